//! Markers: comments that bind a value to an image policy.
//!
//! Flux's form is one JSON object and nothing else behind the `#`s: `# {"$imagepolicy": "ns:policy[:tag|:name|:digest]"}`
//! (<https://fluxcd.io/flux/components/image/imageupdateautomations/#updating-with-markers>); other keys may stand in
//! the object, any number of `#` and spaces before it. What Flux ignores without a word is told apart here, with what
//! should have been written.

use super::{Marker, Part};
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
        return Reading::Nothing;
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
    let (_, rest) = text.split_once(KEY)?;
    let rest = rest.trim_start_matches(['"', '\'', '`', ':', '=', ' ', '\t']);
    let end = rest.find(|c: char| !(c.is_ascii_alphanumeric() || "-.:/".contains(c))).unwrap_or(rest.len());
    policy(&rest[..end].replacen('/', ":", 1))
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
            (r#"# {"$imagepolicy": "ns:app", "why": {"x": [1]}}"#, app.into()),
            (r#"# {"why": 1, "$imagepolicy": "ns:app"}"#, app.into()),
            ("# nothing", "-".into()),
            ("#", "-".into()),
            (r#"# {"$other": "ns:app"}"#, "-".into()),
            ("# see $imagepolicy in the docs", "-".into()),
            (r#"# {"$imagepolicy": "ns:app"} keep me"#, format!("marker-trailing-text -> {app}")),
            (r#"# {"$imagepolicy": "ns:app"}}"#, format!("marker-trailing-text -> {app}")),
            (r#"# set by {"$imagepolicy": "ns:app:tag"}"#, format!("marker-leading-text -> {tag}")),
            (r###"# # {"$imagepolicy": "ns:app:tag"}"###, format!("marker-leading-text -> {tag}")),
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
}
