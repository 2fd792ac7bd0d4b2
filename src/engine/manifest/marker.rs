//! Markers: comments that bind a value to an image policy.
//!
//! Flux's form is one JSON object and nothing else behind the `#`s: `# {"$imagepolicy": "ns:policy[:tag|:name|:digest]"}`
//! (<https://fluxcd.io/flux/components/image/imageupdateautomations/#updating-with-markers>); other keys may stand in
//! the object, any number of `#` and spaces before it. What Flux ignores without a word is told apart here, with what
//! should have been written.

use super::{Marker, Part};
use crate::engine::config::is_near;
use serde_json::Value;
use std::fmt;

pub(super) const KEY: &str = "$imagepolicy";

/// What a comment says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Reading {
    /// No marker, and nothing that its author could believe to be one.
    Nothing,
    Marker(Marker),
    Faulty(Fault),
}

/// A comment that its author believes to be a marker.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Fault {
    pub code: &'static str,
    /// Begins with "found".
    pub found: String,
    /// What was probably meant.
    pub meant: Option<Marker>,
}

impl fmt::Display for Marker {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let suffix = match self.part {
            Part::Reference => "",
            Part::Name => ":name",
            Part::Tag => ":tag",
            Part::Digest => ":digest",
        };
        write!(f, r#"{{"{KEY}": "{}:{}{suffix}"}}"#, self.namespace, self.policy)
    }
}

/// Reads a comment, given with its `#`s.
pub(super) fn read(comment: &str) -> Reading {
    let text = comment.trim_start_matches('#').trim();
    if !text.contains(KEY) {
        return misspelt(text).map_or(Reading::Nothing, Reading::Faulty);
    }
    let fault = |code, found: &str| Reading::Faulty(Fault { code, found: found.into(), meant: meant(text) });
    let Some(start) = text.find('{') else {
        return match meant(text) {
            Some(_) => fault("marker-not-json", "found no JSON object"),
            None => Reading::Nothing,
        };
    };
    if start > 0 {
        return fault("marker-leading-text", "found text before the object");
    }
    let mut values = serde_json::Deserializer::from_str(text).into_iter::<Value>();
    let Some(Ok(Value::Object(object))) = values.next() else {
        return fault("marker-not-json", "found something that is no JSON");
    };
    if text.get(values.byte_offset()..).is_none_or(|rest| !rest.trim().is_empty()) {
        return fault("marker-trailing-text", "found text behind the object");
    }
    match object.get(KEY) {
        Some(Value::String(reference)) => match policy(reference) {
            Some(marker) => Reading::Marker(marker),
            None => Reading::Faulty(Fault {
                code: "marker-reference",
                found: format!("found the policy {reference:?}"),
                meant: meant(text),
            }),
        },
        _ => fault("marker-reference", "found no text for the policy"),
    }
}

/// An object that is a marker but for the spelling of its key: `$imagePolicy`, `imagepolicy`, `$image-policy`,
/// `$imagepolcy`. What it holds has to be a policy's name, so that other tools' setters are none.
fn misspelt(text: &str) -> Option<Fault> {
    let fault = |key: &str, meant| {
        Some(Fault {
            code: "marker-key",
            found: format!("found the key {key:?} (did you mean {KEY:?}?)"),
            meant: Some(meant),
        })
    };
    let Ok(Value::Object(object)) = serde_json::from_str(text.starts_with('{').then_some(text)?) else {
        let (key, meant) = misspelt_and_no_json(text)?;
        return fault(key, meant);
    };
    let (key, value) = object.iter().find(|(key, _)| slips(key).is_some())?;
    fault(key, policy(value.as_str()?)?)
}

/// A misspelt key may differ from the right one by so many letters.
const SLIPS: usize = 2;

/// How a key that is nearly [`KEY`] differs: `Some(false)` by its case and signs alone, `Some(true)` by letters.
fn slips(key: &str) -> Option<bool> {
    let letters: String = key.chars().filter(char::is_ascii_alphabetic).collect();
    let exact = letters.eq_ignore_ascii_case(&KEY[1..]);
    (exact || is_near(&letters, &KEY[1..], SLIPS)).then_some(!exact)
}

/// `{'$imagePolicy': 'ns:policy'}`: misspelt, and no JSON.
fn misspelt_and_no_json(text: &str) -> Option<(&str, Marker)> {
    let quotes = ['"', '\'', '`'];
    let inside = text.strip_prefix('{')?.trim_start().trim_start_matches(quotes);
    let rest = inside.strip_prefix('$')?;
    let end = rest.find(|c: char| !(c.is_ascii_alphanumeric() || c == '-' || c == '_'))?;
    let (key, rest) = (inside.get(..end + 1)?, rest.get(end..)?);
    slips(key)?;
    let rest = rest.trim_start_matches(quotes).trim_start().strip_prefix(':')?.trim_start().trim_start_matches(quotes);
    let end = rest.find(|c: char| !(c.is_ascii_alphanumeric() || "-.:".contains(c))).unwrap_or(rest.len());
    let (reference, after) = rest.split_at_checked(end)?;
    let meant = policy(reference).filter(|_| !has_words(after))?;
    Some((key, meant))
}

/// `namespace:policy[:tag|:name|:digest]`
fn policy(reference: &str) -> Option<Marker> {
    let mut parts = reference.split(':');
    let (namespace, policy) = (parts.next()?, parts.next()?);
    let part = match parts.next() {
        None => Part::Reference,
        Some("tag") => Part::Tag,
        Some("name") => Part::Name,
        Some("digest") => Part::Digest,
        Some(_) => return None,
    };
    let valid =
        |name: &str| !name.is_empty() && name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'.');
    (parts.next().is_none() && valid(namespace) && valid(policy)).then(|| Marker {
        namespace: namespace.into(),
        policy: policy.into(),
        part,
    })
}

/// The reference in a marker that is not written as one: whatever quotes it has, `/` for `:`.
fn meant(text: &str) -> Option<Marker> {
    around(text).map(|(_, marker, _)| marker)
}

/// What was probably meant, and what stands before and behind it.
fn around(text: &str) -> Option<(&str, Marker, &str)> {
    let (before, rest) = text.split_once(KEY)?;
    let rest = rest.trim_start_matches(['"', '\'', '`', ':', '=', ' ', '\t']);
    let end = rest.find(|c: char| !(c.is_ascii_alphanumeric() || "-.:/".contains(c))).unwrap_or(rest.len());
    let marker = policy(&rest[..end].replacen('/', ":", 1))?;
    Some((before, marker, &rest[end..]))
}

/// The text with a space before each marker that follows a closing quote at once, `"v1"# {…}`: every byte keeps its place,
/// as the `#` moves over what stands behind it. go-yaml, and so Flux, reads such a marker; to YAML it is an error. `None`
/// where there is none.
pub(super) fn spaced(text: &str) -> Option<String> {
    let mut bytes = text.as_bytes().to_vec();
    let blank = [' ', '\t'];
    let hash = |key: usize| {
        let object = text[..key].strip_suffix('"')?.trim_end_matches(blank).strip_suffix('{')?.trim_end_matches(blank);
        let value = object.trim_end_matches('#');
        (value.len() < object.len() && value.ends_with(['"', '\''])).then_some(value.len())
    };
    let mut found = false;
    for at in memchr::memmem::find_iter(text.as_bytes(), KEY).filter_map(hash) {
        bytes[at..at + 2].copy_from_slice(b" #");
        found = true;
    }
    String::from_utf8(bytes).ok().filter(|_| found)
}

fn has_words(text: &str) -> bool {
    text.chars().any(char::is_alphanumeric)
}

/// Whether what stands before a marker's key opens an object, whatever the quotes and brackets: anything else (`#`, `//`,
/// `!`, a dash) may have been put there to switch the marker off, which it does for Flux too.
fn only_opens(before: &str) -> bool {
    before.chars().all(|c| c.is_whitespace() || "\"'`{[(".contains(c))
}

/// A comment that was meant as a marker, written as one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Correction {
    pub comment: String,
    /// The words that stood behind the marker.
    pub note: Option<String>,
}

/// Corrects a comment that its author plainly believes to be a marker; `None` where it says more than that, so that a
/// correction would lose words or switch on what somebody switched off.
pub(crate) fn correction(comment: &str) -> Option<Correction> {
    let Reading::Faulty(fault) = read(comment) else { return None };
    let body = comment.trim_start_matches('#').trim_start();
    let lead = &comment[..comment.len() - body.len()];
    if fault.code == "marker-trailing-text" {
        let mut values = serde_json::Deserializer::from_str(body).into_iter::<Value>();
        values.next()?.ok()?;
        let (object, rest) = body.split_at_checked(values.byte_offset())?;
        let note = rest.trim().trim_start_matches('#').trim();
        let note = has_words(note).then(|| note.to_owned());
        let again = note.as_ref().is_some_and(|note| note.contains(KEY));
        return (!again).then(|| Correction { comment: format!("{lead}{object}"), note });
    }
    if fault.code == "marker-key" {
        let object: serde_json::Map<String, Value> = serde_json::from_str(body).ok()?;
        // `_imagepolicy`, `-imagepolicy`: more than a slip of the pen. Other letters may have been put there to switch
        // the marker off.
        let plain =
            |key: &String| key.starts_with(|c: char| c == '$' || c.is_ascii_alphabetic()) && slips(key) == Some(false);
        let meant = fault.meant.filter(|_| object.len() == 1 && object.keys().all(plain))?;
        return Some(Correction { comment: format!("{lead}{meant}"), note: None });
    }
    let (before, meant, after) = around(body)?;
    let lead = if fault.code == "marker-leading-text" { "# " } else { lead };
    let plain = only_opens(before) && !has_words(after);
    plain.then(|| Correction { comment: format!("{lead}{meant}"), note: None })
}

impl Marker {
    /// Reads a comment that is a marker and says nothing else.
    pub(crate) fn alone(comment: &str) -> Option<Marker> {
        let Reading::Marker(marker) = read(comment) else { return None };
        let (before, _, after) = around(comment)?;
        (!has_words(before) && !has_words(after)).then_some(marker)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn show(comment: &str) -> String {
        match read(comment) {
            Reading::Nothing => "-".into(),
            Reading::Marker(marker) => marker.to_string(),
            Reading::Faulty(fault) => match fault.meant {
                Some(meant) => format!("{} -> {meant}", fault.code),
                None => format!("{} -> ?", fault.code),
            },
        }
    }

    #[test]
    fn readings() {
        let app = r#"{"$imagepolicy": "ns:app"}"#;
        let tag = r#"{"$imagepolicy": "ns:app:tag"}"#;
        let cases = [
            (r#"# {"$imagepolicy": "ns:app"}"#, app.to_string()),
            (r#"#{"$imagepolicy": "ns:app"}"#, app.into()),
            (r###"## {"$imagepolicy":"ns:app"}"###, app.into()),
            (r###"###{"$imagepolicy":"ns:app"}"###, app.into()),
            ("#\t  {  \"$imagepolicy\"  :  \"ns:app\"  }  ", app.into()),
            (r#"# {"$imagepolicy": "ns:app:tag" }"#, tag.into()),
            (r#"# {"$imagepolicy": "ns:app:name"}"#, r#"{"$imagepolicy": "ns:app:name"}"#.into()),
            (r#"# {"$imagepolicy": "ns:app:digest"}"#, r#"{"$imagepolicy": "ns:app:digest"}"#.into()),
            (r#"# {"$imagepolicy": "a-b.1:c-d.2"}"#, r#"{"$imagepolicy": "a-b.1:c-d.2"}"#.into()),
            (r#"# {"$imagepolicy": "ns:app", "why": {"x": [1]}}"#, app.into()),
            (r#"# {"why": 1, "$imagepolicy": "ns:app"}"#, app.into()),
            ("# nothing", "-".into()),
            ("#", "-".into()),
            (r#"# {"$imagePolicy": "ns:app:tag"}"#, format!("marker-key -> {tag}")),
            (r#"#{"imagepolicy":"ns:app"}"#, format!("marker-key -> {app}")),
            (r#"# {"$image-policy": "ns:app", "why": 1}"#, format!("marker-key -> {app}")),
            (r#"# {"$imagepolcy": "ns:app"}"#, format!("marker-key -> {app}")),
            (r#"# {"$imgpolicy": "ns:app:tag"}"#, format!("marker-key -> {tag}")),
            (r#"# {"$imagepoilcy": "ns:app:tag"}"#, format!("marker-key -> {tag}")),
            (r#"# {"imagepolicys": "ns:app:tag"}"#, format!("marker-key -> {tag}")),
            ("# {'$imagePolicy': 'ns:app:tag'}", format!("marker-key -> {tag}")),
            ("# {$imagepolcy: ns:app:tag}", format!("marker-key -> {tag}")),
            (r#"# { "$imagepolcy" : "ns:app:tag""#, format!("marker-key -> {tag}")),
            (r#"# {"$imagepolcy": "app"}"#, "-".into()),
            (r#"# {"$imagepoliciesx": "ns:app"}"#, "-".into()),
            (r#"# {"$imagerepo": "ns:app"}"#, "-".into()),
            (r#"# {"$policy": "ns:app"}"#, "-".into()),
            (r##"# {"$ref": "#/definitions/io.k8s.cli.setters.image"}"##, "-".into()),
            (r#"# {"$kpt-set": "image:tag"}"#, "-".into()),
            ("# {$imagePolicy: ns:app, why: 1}", "-".into()),
            ("# {'$imagePolicy': 'app'}", "-".into()),
            ("# {$}", "-".into()),
            (r#"# {"$imagePolicy": "app"}"#, "-".into()),
            (r#"# {"imagePolicy": {"semver": "1.x"}}"#, "-".into()),
            (r#"# see {"$imagePolicy": "ns:app"}"#, "-".into()),
            (r#"# {"$imagepolicies": "ns:app"}"#, "-".into()),
            (r#"# {"$other": "ns:app"}"#, "-".into()),
            ("# see $imagepolicy in the docs", "-".into()),
            (r#"# {"$imagepolicy": "ns:app"} keep me"#, format!("marker-trailing-text -> {app}")),
            (r#"# {"$imagepolicy": "ns:app"}}"#, format!("marker-trailing-text -> {app}")),
            (r#"# set by {"$imagepolicy": "ns:app:tag"}"#, format!("marker-leading-text -> {tag}")),
            (r###"# # {"$imagepolicy": "ns:app:tag"}"###, format!("marker-leading-text -> {tag}")),
            (r##"# // {"$imagepolicy": "ns:app:tag"}"##, format!("marker-leading-text -> {tag}")),
            (r##"# {"_$imagepolicy": "ns:app:tag"}"##, format!("marker-reference -> {tag}")),
            (r##"# {"_imagepolicy": "ns:app:tag"}"##, format!("marker-key -> {tag}")),
            ("# {'$imagepolicy': 'ns:app:tag'}", format!("marker-not-json -> {tag}")),
            (r#"# {"$imagepolicy": "ns:app:tag""#, format!("marker-not-json -> {tag}")),
            (r#"# "$imagepolicy": "ns:app:tag""#, format!("marker-not-json -> {tag}")),
            ("# {$imagepolicy: ns:app:tag}", format!("marker-not-json -> {tag}")),
            (r#"# {"$imagepolicy": "ns/app"}"#, format!("marker-reference -> {app}")),
            (r#"# {"$imagepolicy": "ns/app:tag"}"#, format!("marker-reference -> {tag}")),
            (r#"# {"$imagepolicy": "app"}"#, "marker-reference -> ?".into()),
            (r#"# {"$imagepolicy": "ns:app:version"}"#, "marker-reference -> ?".into()),
            (r#"# {"$imagepolicy": "ns:app:tag:x"}"#, "marker-reference -> ?".into()),
            (r#"# {"$imagepolicy": ""}"#, "marker-reference -> ?".into()),
            (r#"# {"$imagepolicy": ["ns:app"]}"#, "marker-reference -> ?".into()),
        ];
        for (comment, expected) in cases {
            assert_eq!(show(comment), expected, "{comment}");
        }
    }

    #[test]
    fn markers_right_behind_a_quote() {
        let cases = [
            (r###"a: "v1"# {"$imagepolicy": "n:p"}"###, Some(r###"a: "v1" #{"$imagepolicy": "n:p"}"###)),
            (r###"a: 'é'#{ "$imagepolicy": "n:p"}"###, Some(r###"a: 'é' # "$imagepolicy": "n:p"}"###)),
            (r###"a: "v1"## {"$imagepolicy": "n:p"}"###, Some(r###"a: "v1" # {"$imagepolicy": "n:p"}"###)),
            (r###"a: "v1" # {"$imagepolicy": "n:p"}"###, None),
            (r###"a: v1# {"$imagepolicy": "n:p"}"###, None),
            (r###"a: "v1"# see $imagepolicy"###, None),
            (r###"a: "v1"# {$imagepolicy: "n:p"}"###, None),
            (r###""$imagepolicy"###, None),
        ];
        for (text, expected) in cases {
            assert_eq!(spaced(text).as_deref(), expected, "{text}");
        }
    }

    #[test]
    fn corrections() {
        let tag = r##"# {"$imagepolicy": "ns:app:tag"}"##;
        #[rustfmt::skip]
        let cases = [
            ("# {'$imagepolicy': 'ns:app:tag'}", Some((tag, None))),
            (r##"# {"$imagepolicy": "ns:app:tag""##, Some((tag, None))),
            (r##"# "$imagepolicy": "ns:app:tag""##, Some((tag, None))),
            (r##"# {"$imagepolicy": "ns/app:tag"}"##, Some((tag, None))),
            (r###"## {"$imagepolicy": "ns/app:tag"}"###, Some((r###"## {"$imagepolicy": "ns:app:tag"}"###, None))),
            (r##"# {"$imagepolicy": "ns:app:tag"}}"##, Some((tag, None))),
            (r##"# {"$imagepolicy": "ns:app:tag"} # keep me"##, Some((tag, Some("keep me")))),
            (r##"# {"$imagepolicy": "ns:app:tag", "a": 1} é"##, Some((r##"# {"$imagepolicy": "ns:app:tag", "a": 1}"##, Some("é")))),
            (r##"# '{"$imagepolicy": "ns:app:tag"}'"##, Some((tag, None))),
            (r##"# [{"$imagepolicy": "ns:app:tag"}]"##, Some((tag, None))),
            ("# ('$imagepolicy': `ns:app:tag`)", Some((tag, None))),
            (r##"#  {"$imagePolicy":"ns:app:tag"}"##, Some((&tag.replace("# ", "#  ")[..], None))),
            // Switched off.
            (r###"# # {"$imagepolicy": "ns:app:tag"}"###, None),
            (r##"# // {"$imagepolicy": "ns:app:tag"}"##, None),
            (r##"# !{"$imagepolicy": "ns:app:tag"}"##, None),
            (r##"# ~~{"$imagepolicy": "ns:app:tag"}~~"##, None),
            (r##"# - {"$imagepolicy": "ns:app:tag"}"##, None),
            (r##"# // {'$imagepolicy': 'ns:app:tag'}"##, None),
            ("# - $imagepolicy: ns:app:tag", None),
            (r##"# {"_$imagepolicy": "ns:app:tag"}"##, None),
            (r##"# {"#$imagepolicy": "ns:app:tag"}"##, None),
            (r##"# {"_imagepolicy": "ns:app:tag"}"##, None),
            (r##"# {"!imagePolicy": "ns:app:tag"}"##, None),
            (r##"# {"$imagepolicyx": "ns:app:tag"}"##, None),
            (r##"# {"$imagepolcy": "ns:app:tag"}"##, None),
            ("# {'$imagePolicy': 'ns:app:tag'}", None),
            // More than a marker: a person's to decide.
            (r##"# {"$imagePolicy": "ns:app:tag", "why": 1}"##, None),
            (r##"# off: {"$imagepolicy": "ns:app:tag"}"##, None),
            (r##"# {"$imagepolicy": "ns/app:tag", "why": 1}"##, None),
            ("# {'$imagepolicy': 'ns:app:tag'} keep me", None),
            (r##"# {"$imagepolicy": "ns:a"} {"$imagepolicy": "ns:b"}"##, None),
            (r##"# {"$imagepolicy": "app"}"##, None),
            // Nothing to correct.
            (tag, None),
            ("# nothing", None),
        ];
        for (comment, expected) in cases {
            let found = correction(comment);
            let found = found.as_ref().map(|found| (found.comment.as_str(), found.note.as_deref()));
            assert_eq!(found, expected, "{comment}");
        }
    }
}
