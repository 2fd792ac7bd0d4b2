//! What is safe to mend by itself: markers that are plainly meant as such, and values that lack their quotes. Every
//! mend is an [`Edit`]; one that would change anything else of what the file says is not made.

use crate::engine::manifest::{
    Edit, FileKind, Marker, Part, Position, ScalarStyle, Scan, ScanFinding, apply, correction, is_string, part_of_key,
    scan,
    yaml::{self, Node, NodeKind},
};
use std::ops::Range;

/// More than this in one file are left for the next run.
const MOST: usize = 10_000;

/// One finding that was mended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fix {
    pub code: String,
    /// Where the finding stood when it was mended.
    pub position: Position,
    /// The lines that changed, before and after, without their line breaks.
    pub before: String,
    pub after: String,
}

/// A file with its findings mended, as far as that is safe.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fixed {
    pub bytes: Vec<u8>,
    pub fixes: Vec<Fix>,
}

/// Mends a file. What comes out has nothing more to mend: a second run changes nothing.
pub fn fix(kind: FileKind, bytes: &[u8]) -> Fixed {
    let mut fixed = Fixed { bytes: bytes.to_vec(), fixes: Vec::new() };
    let mut scanned = scan(kind, bytes);
    // Files with a MAC over their content stay as they are.
    while !scanned.sops && fixed.fixes.len() < MOST {
        let mended = scanned.findings.iter().find_map(|finding| mend(kind, &fixed.bytes, &scanned, finding));
        let Some((bytes, again, fix)) = mended else { break };
        fixed.fixes.push(fix);
        fixed.bytes = bytes;
        scanned = again;
    }
    fixed
}

/// The file without one of its findings; `None` where that takes a person.
fn mend(kind: FileKind, bytes: &[u8], before: &Scan, finding: &ScanFinding) -> Option<(Vec<u8>, Scan, Fix)> {
    let text = std::str::from_utf8(bytes).ok()?;
    let edits = match finding.code.as_str() {
        "value-not-a-string" => quote(before, finding)?,
        "marker-wrong-kind" => right_part(text, before, finding)?,
        "unparsed-file" | "yaml-invalid" => missing_space(text, finding)?,
        // What a document that is no YAML says cannot be compared.
        "marker-in-unparsed-file" => return None,
        code if code.starts_with("marker-") => right_marker(text, finding)?,
        _ => return None,
    };
    let edits: Vec<Edit> = edits
        .into_iter()
        .map(|(span, new)| {
            let old = text.get(span.clone()).unwrap_or_default().into();
            Edit { blob: "".into(), span, old, new }
        })
        .collect();
    let after = apply(bytes, &edits).ok()?;
    let after_text = std::str::from_utf8(&after).ok()?;
    let again = scan(kind, &after);
    let mended = match finding.code.as_str() {
        "unparsed-file" | "yaml-invalid" => unparsed_at(&again).is_none_or(|position| position > finding.position),
        _ => same_data(text, after_text) && weight(&again) < weight(before),
    };
    if !mended {
        return None;
    }
    let first = edits.iter().map(|edit| edit.span.start).min()?;
    let fix = Fix {
        code: finding.code.clone(),
        position: finding.position,
        before: lines_at(text, first, 1),
        after: lines_at(after_text, first, edits.len()),
    };
    Some((after, again, fix))
}

/// Every mend of a document that is YAML makes this less, so that mending ends: a comment that is no marker may become
/// one that is in the wrong place, never the other way round. Of one that is not, the fault moves on.
fn weight(scan: &Scan) -> usize {
    let of = |finding: &ScanFinding| match finding.code.as_str() {
        "marker-trailing-text" | "marker-leading-text" => 4,
        "marker-not-json" => 3,
        "marker-reference" | "marker-key" => 2,
        _ => 1,
    };
    scan.findings.iter().map(of).sum()
}

/// Where the first document that is no YAML stops being one.
fn unparsed_at(scan: &Scan) -> Option<Position> {
    scan.findings.iter().filter(|finding| finding.is_of_unparsed()).map(|finding| finding.position).min()
}

type Replacement = (Range<usize>, String);

/// Quotes around an image's plain value.
fn quote(scan: &Scan, finding: &ScanFinding) -> Option<Vec<Replacement>> {
    let line = scan.lines.iter().find(|line| line.position == finding.position)?;
    let plain = line.style == ScalarStyle::Plain && !line.unparsed && !line.span.is_empty() && !is_string(&line.value);
    plain.then(|| vec![(line.span.clone(), format!("\"{}\"", line.value))])
}

/// The comment as a marker, words behind it on a line above.
fn right_marker(text: &str, finding: &ScanFinding) -> Option<Vec<Replacement>> {
    let (comment, line_start) = comment_at(text, finding.position)?;
    let correction = correction(&text[comment.clone()])?;
    let mut edits = vec![(comment, correction.comment)];
    if let Some(note) = correction.note {
        let line_start = if text[line_start..].starts_with('\u{feff}') { line_start + 3 } else { line_start };
        let line = &text[line_start..];
        let indent = &line[..line.len() - line.trim_start_matches(' ').len()];
        let end = if text.contains("\r\n") { "\r\n" } else { "\n" };
        edits.push((line_start..line_start, format!("{indent}# {note}{end}")));
    }
    Some(edits)
}

/// The part that the field holds, on fields that can hold nothing else.
fn right_part(text: &str, scan: &Scan, finding: &ScanFinding) -> Option<Vec<Replacement>> {
    let (comment, line_start) = comment_at(text, finding.position)?;
    let mut lines = scan.lines.iter().filter(|line| line.position.line == finding.position.line);
    let part = match (lines.next(), lines.next()) {
        (Some(line), None) => part_of(line.path.key()?)?,
        // The field alone is no image line.
        (None, _) => part_of(key_before(&text[line_start..comment.start])?)?,
        (Some(_), Some(_)) => return None,
    };
    let marker = Marker::alone(&text[comment.clone()])?;
    let meant = Marker { part, ..marker };
    Some(vec![(comment, format!("# {meant}"))])
}

/// The key of a line that is `key: value` and nothing else.
fn key_before(field: &str) -> Option<&str> {
    let (key, _) = field.trim().trim_start_matches("- ").split_once(':')?;
    Some(key.trim())
}

fn part_of(key: &str) -> Option<Part> {
    part_of_key(key).filter(|part| matches!(part, Part::Tag | Part::Digest))
}

/// `"v1"# {…}`: a space before a marker that has none, where that alone is the fault.
fn missing_space(text: &str, finding: &ScanFinding) -> Option<Vec<Replacement>> {
    let (comment, _) = comment_at(text, finding.position)?;
    Marker::alone(&text[comment.clone()])?;
    Some(vec![(comment.start..comment.start, " ".to_owned())])
}

/// The bytes of the comment that begins at a place, and where its line begins.
fn comment_at(text: &str, position: Position) -> Option<(Range<usize>, usize)> {
    let index = yaml::LineIndex::new(text.as_bytes());
    let line_start = index.start_of(position.line)?;
    let start = line_start + position.column - 1;
    let rest = text.get(start..).filter(|rest| rest.starts_with('#'))?;
    let end = rest.find(['\n', '\r']).unwrap_or(rest.len());
    let comment = rest[..end].trim_end();
    Some((start..start + comment.len(), line_start))
}

/// Whether two texts say the same: comments and quotes may differ, nothing else.
fn same_data(a: &str, b: &str) -> bool {
    let (a, b) = (yaml::parse(a), yaml::parse(b));
    a.documents.len() == b.documents.len()
        && a.documents.iter().zip(&b.documents).all(|(a, b)| match (&a.root, &b.root) {
            (Some(a), Some(b)) => same_node(a, b),
            (None, None) => true,
            _ => false,
        })
}

fn same_node(a: &Node<'_>, b: &Node<'_>) -> bool {
    if (a.anchor, &a.tag) != (b.anchor, &b.tag) {
        return false;
    }
    match (&a.kind, &b.kind) {
        (NodeKind::Scalar { value: a, .. }, NodeKind::Scalar { value: b, .. }) => a == b,
        (NodeKind::Alias(a), NodeKind::Alias(b)) => a == b,
        (NodeKind::Sequence(a), NodeKind::Sequence(b)) => {
            a.len() == b.len() && a.iter().zip(b).all(|(a, b)| same_node(a, b))
        }
        (NodeKind::Mapping(a), NodeKind::Mapping(b)) => {
            a.len() == b.len() && a.iter().zip(b).all(|((ak, av), (bk, bv))| same_node(ak, bk) && same_node(av, bv))
        }
        _ => false,
    }
}

/// Some lines from the one that a byte stands on.
fn lines_at(text: &str, offset: usize, count: usize) -> String {
    let start = text[..offset].rfind('\n').map_or(0, |at| at + 1);
    text[start..].lines().take(count).collect::<Vec<_>>().join("\n")
}
