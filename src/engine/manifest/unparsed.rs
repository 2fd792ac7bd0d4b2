//! Markers in text that is no YAML: Go templates, files with conflict markers, tabs.
//!
//! A line that is a plain `key: value # {…}` can be edited all the same; every other marker there is left alone.

use super::{Marker, ScalarStyle, marker, mismatch::mismatch};
use std::ops::Range;

/// A plain `key: value # {…}` line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Found<'a> {
    pub key: &'a str,
    /// Of the value's content, in the text given.
    pub span: Range<usize>,
    pub style: ScalarStyle,
    pub marker: Marker,
}

/// Whether a file is meant to become YAML only when something fills it in. What stands in a block scalar is for somebody
/// else: a commit message, a script.
pub(super) fn is_template(text: &str) -> bool {
    outside_blocks(text).any(|(_, line)| line.contains("{{"))
}

/// The lines, with their places, that are no content of a block scalar (`script: |`).
fn outside_blocks(text: &str) -> impl Iterator<Item = (usize, &str)> {
    let (mut block, mut start) = (None, 0);
    text.split_inclusive('\n').filter_map(move |line| {
        let at = start;
        start += line.len();
        let content = line.trim_end_matches(['\n', '\r']);
        let indent = content.len() - content.trim_start_matches([' ', '\t']).len();
        if !content.trim().is_empty() && block.is_some_and(|header| indent <= header) {
            block = None;
        }
        if block.is_some() {
            return None;
        }
        if opens_block(content) {
            block = Some(indent);
        }
        Some((at, content))
    })
}

/// Whether somebody says something to butler in a text: by a marker, an annotation or an object of Flux.
pub(super) fn is_addressed(text: &str) -> bool {
    // Of annotations with a prefix of one's own, what stands behind it.
    const WORDS: [&str; 6] =
        [marker::KEY, "fluxcd.io/", "flux.weave.works/", "/flux.automated", "/flux.simple.", "/flux.v2."];
    WORDS.iter().any(|word| memchr::memmem::find(text.as_bytes(), word.as_bytes()).is_some())
}

/// Looks for markers line by line.
pub(super) fn find(text: &str) -> Vec<Found<'_>> {
    let read = |(start, line): (usize, _)| {
        let mut found = read_line(line)?;
        found.span = start + found.span.start..start + found.span.end;
        Some(found)
    };
    outside_blocks(text).filter_map(read).collect()
}

/// The markers that [`find`] does not see, each with the place of its comment. A line that is a comment as a whole is
/// commented out.
pub(super) fn unseen<'a>(text: &'a str, found: &'a [Found<'a>]) -> impl Iterator<Item = (usize, Marker)> {
    memchr::memmem::find_iter(text.as_bytes(), marker::KEY).filter_map(|key| {
        let start = text[..key].rfind('\n').map_or(0, |end| end + 1);
        let line = text[start..].lines().next().unwrap_or_default();
        let hash = text[start..key].rfind('#')?;
        let seen = found.iter().any(|found| (start..start + line.len()).contains(&found.span.start));
        if seen || line.trim_start().starts_with('#') {
            return None;
        }
        let marker::Reading::Marker(marker) = marker::read(&line[hash..]) else { return None };
        Some((start + hash, marker))
    })
}

fn read_line(line: &str) -> Option<Found<'_>> {
    let comment = [" #", "\t#"].iter().filter_map(|hash| line.find(hash)).min()?;
    let marker::Reading::Marker(marker) = marker::read(&line[comment + 1..]) else { return None };
    let field = line[..comment].trim_end();
    let (key, value) = field.split_once(':')?;
    let at = field.len() - value.trim_start().len();
    let gap = &field[key.len() + 1..at];
    let key = key.trim_start_matches([' ', '\t']);
    let key = key.strip_prefix("- ").unwrap_or(key).trim_start();
    let plain_key = |b: u8| b.is_ascii_alphanumeric() || b"._-/".contains(&b);
    if gap.is_empty() || key.is_empty() || !key.bytes().all(plain_key) {
        return None;
    }
    let value = &field[at..];
    let (style, content) = match value.as_bytes() {
        [b'"', .., b'"'] if value.len() > 1 => (ScalarStyle::DoubleQuoted, at + 1..field.len() - 1),
        [b'\'', .., b'\''] if value.len() > 1 => (ScalarStyle::SingleQuoted, at + 1..field.len() - 1),
        _ => (ScalarStyle::Plain, at..field.len()),
    };
    let text = &line[content.clone()];
    let plain = text.bytes().all(|b| b.is_ascii_alphanumeric() || b"._-/:@+".contains(&b));
    // What ends with a colon is a key.
    let is_none = text.is_empty() || text.starts_with(['@', '-']) || text.ends_with(':');
    let refused = !plain || (style == ScalarStyle::Plain && is_none);
    let refused = refused || mismatch(Some(key), marker.part, text).is_some();
    (!refused).then_some(Found { key, span: content, style, marker })
}

/// `key: |`, `- >-`, with or without a comment behind it.
fn opens_block(line: &str) -> bool {
    let line = line.split(" #").next().unwrap_or(line).trim_end();
    let header = line.rsplit([' ', '\t']).next().unwrap_or_default();
    let mut bytes = header.bytes();
    matches!(bytes.next(), Some(b'|' | b'>')) && bytes.all(|b| b"+-123456789".contains(&b)) && header.len() < line.len()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines() {
        const M: &str = r#"# {"$imagepolicy": "ns:app:tag"}"#;
        let cases = [
            (format!("tag: v1 {M}"), Some("v1")),
            (format!("\t- tag:\tv1 {M}\r"), Some("v1")),
            (format!("  - x.y/z: \"v1\"  #{}", &M[2..]), Some("v1")),
            (format!("tag: '' {M}"), Some("")),
            (format!("RADIX_TAG: 1.10 {M}"), Some("1.10")),
            (format!("tag: {M}"), None),
            (format!("# tag: v1 {M}"), None),
            (format!("tag: {{{{ .Values.tag }}}} {M}"), None),
            (format!("tag: {{{{ x }}}}v1 {M}"), None),
            (format!("tag: &a v1 {M}"), None),
            (format!("tag: two words {M}"), None),
            (format!("- v1 {M}"), None),
            (format!("tag:v1 {M}"), None),
            (format!("tag: v1: {M}"), None),
            (format!("{{tag: v1}} {M}"), None),
            (format!("tag: v1 {M} trailing"), None),
            (format!("tag: v1 # old {M}"), None),
            (format!("image: a:v1 {M}"), None),
            ("tag: v1 # {'$imagepolicy': 'ns:app:tag'}".into(), None),
            ("tag: v1".into(), None),
        ];
        for (line, expected) in cases {
            let found = find(&line);
            assert_eq!(found.first().map(|found| &line[found.span.clone()]), expected, "{line:?}");
        }
    }

    #[test]
    fn what_is_said_to_butler() {
        let cases = [
            ("tag: v1 # {\"$imagepolicy\": \"ns:app:tag\"}", true),
            ("apiVersion: image.toolkit.fluxcd.io/v1", true),
            ("fluxcd.io/automated: 'true'", true),
            ("filter.fluxcd.io/app: glob:*", true),
            ("flux.weave.works/locked: 'true'", true),
            ("app.lilly.com/flux.automated: 'true'", true),
            ("flux.example.org/flux.simple.app: x", true),
            ("flux.example.org/flux.v2.repos: []", true),
            ("image: a:1", false),
            ("path: ./apps/flux.yaml", false),
            ("", false),
        ];
        for (text, expected) in cases {
            assert_eq!(is_addressed(text), expected, "{text}");
        }
    }

    #[test]
    fn markers_that_are_not_seen() {
        const M: &str = r#"# {"$imagepolicy": "ns:app:tag"}"#;
        let text =
            format!("{{{{ if }}}}\ntag: v1 {M}\n  # tag: v1 {M}\na: \"v1\"{M}\r\nb: {{{{ x }}}} {M}\nc: v1 # {M} d\n");
        let found = find(&text);
        assert_eq!(found.len(), 1);
        let lines: Vec<usize> = unseen(&text, &found).map(|(at, _)| text[..at].lines().count()).collect();
        assert_eq!(lines, [4, 5]);
    }

    #[test]
    fn block_scalars_are_skipped() {
        let marked = |key: &str| format!("{key}: v1 # {{\"$imagepolicy\": \"ns:app:tag\"}}\n");
        let text = format!(
            "{{{{ if }}}}\n{}script: |- # run\n  {}\n  {}list:\n  - >\n    {}  - {}",
            marked("a"),
            marked("b"),
            marked("c"),
            marked("d"),
            marked("e")
        );
        let found = find(&text);
        assert_eq!(found.iter().map(|found| found.key).collect::<Vec<_>>(), ["a", "e"]);
        assert!(found.iter().all(|found| &text[found.span.clone()] == "v1"));
    }
}
