//! Markers in files that no tool reads as manifests: a Dockerfile, a script, `values.yaml.gotmpl`, `app.YAML`.

use super::{
    FileKind, Position,
    marker::{self, Reading},
};
use memchr::memmem;

/// Where markers are written about, or where no `#` begins a comment: nobody takes those for markers.
const NO_COMMENTS: [&str; 21] = [
    "md", "markdown", "mdx", "adoc", "rst", "txt", "html", "diff", "patch", "go", "rs", "js", "jsx", "ts", "tsx",
    "java", "kt", "c", "h", "cs", "swift",
];

/// The places of markers behind something on their lines, in a file that is none of [`FileKind`]'s by its name: they have
/// no effect, for Flux neither.
pub fn markers_elsewhere(path: &str, bytes: &[u8]) -> Vec<Position> {
    let ending = path.rsplit_once('.').map_or("", |(_, ending)| ending);
    if FileKind::of(path).is_some() || NO_COMMENTS.iter().any(|known| ending.eq_ignore_ascii_case(known)) {
        return Vec::new();
    }
    let mut found = Vec::new();
    let (mut line, mut counted) = (1, 0);
    for key in memmem::find_iter(bytes, marker::KEY) {
        let start = memchr::memrchr(b'\n', &bytes[..key]).map_or(0, |at| at + 1);
        let end = memchr::memchr(b'\n', &bytes[key..]).map_or(bytes.len(), |at| key + at);
        line += memchr::memchr_iter(b'\n', &bytes[counted..start]).count();
        counted = start;
        let Some(comment) = memchr::memrchr(b'#', &bytes[start..key]).map(|at| start + at) else { continue };
        let Ok(text) = std::str::from_utf8(&bytes[comment..end]) else { continue };
        let behind_something = !matches!(bytes[start..comment].trim_ascii(), [] | [b'#', ..]);
        if behind_something && matches!(marker::read(text), Reading::Marker(_)) {
            found.push(Position { line, column: comment - start + 1 });
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn where_people_would_believe_in_them() {
        let marker = r#"# {"$imagepolicy": "ns:app:tag"}"#;
        #[rustfmt::skip]
        let cases = [
            ("Dockerfile", format!("FROM x\nARG TAG=v1 {marker}\r\nENV A=b # no\nENV TAG=v2  {marker}\n"), "2:12 4:13"),
            ("a/values.yaml.gotmpl", format!("tag: v1 #{}", &marker[2..]), "1:9"),
            ("a.YAML", format!("\u{e9}: v1 {marker}"), "1:8"),
            ("deploy.sh", format!("TAG='v1#2' {marker}\n"), "1:12"),
            // On a line of its own, switched off, or none.
            ("deploy.sh", format!("{marker}\n  {marker}\n# TAG=v1 {marker}\n"), ""),
            ("deploy.sh", "TAG=v1 # off: {\"$imagepolicy\": \"ns:app\"}\necho '{\"$imagepolicy\": \"ns:app\"}'\n".into(), ""),
            // Written about; and what is read anyway.
            ("README.md", format!("tag: v1 {marker}"), ""), ("docs/a.MD", format!("tag: v1 {marker}"), ""),
            ("main_test.go", format!("tag: v1 {marker}"), ""), ("a.yaml", format!("tag: v1 {marker}"), ""),
        ];
        for (path, text, expected) in cases {
            let found: Vec<String> = markers_elsewhere(path, text.as_bytes()).iter().map(Position::to_string).collect();
            assert_eq!(found.join(" "), expected, "{path}: {text}");
        }
        assert_eq!(markers_elsewhere("x.bin", b"\xff # {\"$imagepolicy\": \"n:\xff\"}\0"), []);
    }
}
