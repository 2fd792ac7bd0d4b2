//! Byte-exact edits: only the bytes of the value change, whatever else the file holds.

use super::{ImageLine, ScalarStyle, is_plain_string};
use std::{ops::Range, sync::Arc};

/// Replaces the bytes of one scalar's content.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Edit {
    /// Id of the blob that it was planned on.
    pub blob: Arc<str>,
    pub span: Range<usize>,
    /// The raw bytes that must stand there.
    pub old: String,
    /// The raw bytes to put, with quotes where a plain value would stop being a string.
    pub new: String,
}

/// The bytes are not those that the edit was planned on, or two edits want the same ones.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum EditError {
    #[error("bytes {span:?} hold {found:?}, the edit was planned on {expected:?}: plan again")]
    Stale { span: Range<usize>, expected: String, found: String },
    #[error("two edits overlap at byte {at}")]
    Overlap { at: usize },
}

impl ImageLine {
    /// The edit that gives this line a new value; `None` where it has that value already, and for a value with control
    /// characters, which no reference has.
    ///
    /// Quoted stays quoted. Plain stays plain, unless the new value would stop being a string ([`is_plain_string`]):
    /// then it gets double quotes. A value that is not written yet (`tag: # {…}`) is put one space after the colon.
    pub fn edit(&self, blob: &Arc<str>, new_value: &str) -> Option<Edit> {
        if self.value == new_value || new_value.chars().any(char::is_control) {
            return None;
        }
        let escaped = || new_value.replace('\\', "\\\\").replace('"', "\\\"");
        let new = match self.style {
            ScalarStyle::SingleQuoted => new_value.replace('\'', "''"),
            ScalarStyle::DoubleQuoted => escaped(),
            ScalarStyle::Plain => {
                let gap = if self.span.is_empty() { " " } else { "" };
                match is_plain_string(new_value) {
                    true => [gap, new_value].concat(),
                    false => format!("{gap}\"{}\"", escaped()),
                }
            }
        };
        Some(Edit { blob: blob.clone(), span: self.span.clone(), old: self.value.to_string(), new })
    }
}

/// Applies edits to a file's bytes, in any order; every byte outside their spans stays. Several may put whole lines in one
/// place: they go there in the order given.
///
/// # Errors
/// [`EditError`] where the file is not the one that the edits were planned on; nothing is applied then.
pub fn apply(bytes: &[u8], edits: &[Edit]) -> Result<Vec<u8>, EditError> {
    let mut sorted: Vec<&Edit> = edits.iter().collect();
    sorted.sort_by_key(|edit| (edit.span.start, edit.span.end));
    let grown: usize = edits.iter().map(|edit| edit.new.len()).sum();
    let mut out = Vec::with_capacity(bytes.len() + grown);
    let mut reached = 0;
    for (i, edit) in sorted.iter().enumerate() {
        let lines = |edit: &Edit| edit.span.is_empty() && edit.new.ends_with('\n');
        let before =
            i.checked_sub(1).map(|before| sorted[before]).filter(|before| before.span.start == edit.span.start);
        let same_place = before.is_some_and(|before| !(lines(before) && lines(edit)));
        if edit.span.start < reached || same_place {
            return Err(EditError::Overlap { at: edit.span.start });
        }
        let found = bytes.get(edit.span.clone());
        if found != Some(edit.old.as_bytes()) {
            let found = String::from_utf8_lossy(found.unwrap_or_default()).into_owned();
            return Err(EditError::Stale { span: edit.span.clone(), expected: edit.old.clone(), found });
        }
        out.extend_from_slice(&bytes[reached..edit.span.start]);
        out.extend_from_slice(edit.new.as_bytes());
        reached = edit.span.end;
    }
    out.extend_from_slice(&bytes[reached..]);
    Ok(out)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::manifest::{FieldPath, Part};

    fn put(style: ScalarStyle, old: &str, new: &str) -> Option<String> {
        let line = ImageLine {
            document: 0,
            path: FieldPath::default(),
            position: Default::default(),
            span: 3..3 + old.len(),
            value: old.into(),
            style,
            part: Part::Tag,
            image: None,
            marker: None,
            unparsed: false,
        };
        line.edit(&"blob".into(), new).map(|edit| edit.new)
    }

    #[test]
    fn quoting() {
        use ScalarStyle::{DoubleQuoted, Plain, SingleQuoted};
        let cases = [
            (Plain, "v1", "v2", Some("v2")),
            (Plain, "v1", "1.10", Some("\"1.10\"")),
            (Plain, "v1", "on", Some("\"on\"")),
            (Plain, "v1", "a\"b", Some("\"a\\\"b\"")),
            (Plain, "1.10", "v2", Some("v2")),
            (Plain, "1.10", "1.11", Some("\"1.11\"")),
            (Plain, "", "v2", Some(" v2")),
            (Plain, "", "17", Some(" \"17\"")),
            (SingleQuoted, "v1", "1.10", Some("1.10")),
            (SingleQuoted, "v1", "it's", Some("it''s")),
            (DoubleQuoted, "", "v2", Some("v2")),
            (DoubleQuoted, "v1", "on", Some("on")),
            (DoubleQuoted, "v1", "a\\b", Some("a\\\\b")),
            (Plain, "v1", "v1", None),
            (Plain, "1.10", "1.10", None),
            (Plain, "v1", "v2\nevil: yes", None),
        ];
        for (style, old, new, expected) in cases {
            assert_eq!(put(style, old, new).as_deref(), expected, "{style:?} {old:?} -> {new:?}");
        }
    }

    #[test]
    fn applying() {
        let edit =
            |span: Range<usize>, old: &str, new: &str| Edit { blob: "".into(), span, old: old.into(), new: new.into() };
        let text = b"a: 1\r\nb: 2";
        assert_eq!(apply(text, &[]).unwrap(), text);
        assert_eq!(apply(text, &[edit(9..10, "2", "two"), edit(3..4, "1", "")]).unwrap(), b"a: \r\nb: two");
        assert_eq!(apply(text, &[edit(2..2, "", " x")]).unwrap(), b"a: x 1\r\nb: 2");
        let stale = |span: Range<usize>, expected: &str, found: &str| EditError::Stale {
            span,
            expected: expected.into(),
            found: found.into(),
        };
        assert_eq!(apply(text, &[edit(3..4, "2", "x")]), Err(stale(3..4, "2", "1")));
        assert_eq!(apply(text, &[edit(9..12, "2", "x")]), Err(stale(9..12, "2", "")));
        let appended = [edit(11..11, "", "\n"), edit(9..10, "2", "3"), edit(11..11, "", "c: 3\n")];
        assert_eq!(apply(b"a: 1\r\nb: 2\n", &appended).unwrap(), b"a: 1\r\nb: 3\n\nc: 3\n");
        let between = [edit(6..6, "", "y: 1\n"), edit(6..6, "", "x: 2\n")];
        assert_eq!(apply(text, &between).unwrap(), b"a: 1\r\ny: 1\nx: 2\nb: 2");
        let overlap = [edit(0..2, "a:", "x"), edit(1..3, ": ", "y")];
        assert_eq!(apply(text, &overlap), Err(EditError::Overlap { at: 1 }));
        assert_eq!(apply(text, &[edit(2..2, "", "x"), edit(2..2, "", "y\n")]), Err(EditError::Overlap { at: 2 }));
    }
}
