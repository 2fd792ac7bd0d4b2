//! Whether a marker's part fits the field that it stands behind, and the value that it would replace.

use super::{Part, place::is_whole};
use crate::engine::image::Reference;

/// What speaks against writing a marker's part.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Mismatch {
    /// The field is for this part.
    Field(Part),
    /// The value is another part, of which the marker's would replace all.
    Value(Part),
    /// The value is something else, or more than a part of an image, as in `--image=a:1` or `https://a/1`.
    More,
}

/// `key`: the value's, where it is no item of a list. A field that holds what the marker writes already is used so by
/// its author, whatever it is called.
pub(super) fn mismatch(key: Option<&str>, part: Part, value: &str) -> Option<Mismatch> {
    let key = key.unwrap_or_default();
    let field = part_of_key(key);
    let is_other = match (key, field, part) {
        // An empty one says nothing, where only the name's end does.
        (key, Some(Part::Tag), _) if value.is_empty() && !matches!(key, "tag" | "newTag") => false,
        (_, Some(Part::Tag), Part::Reference | Part::Name) => !value.contains(['/', ':']),
        (_, Some(Part::Tag), Part::Digest) | ("image" | "repository", _, Part::Digest) => !value.starts_with("sha256:"),
        ("image" | "repository", _, Part::Tag) => !is_version(value),
        ("newName", _, Part::Reference) => !is_whole(value),
        ("newName", _, Part::Tag | Part::Digest)
        | (_, Some(Part::Digest), Part::Tag | Part::Name | Part::Reference) => true,
        _ => false,
    };
    if let Some(field) = field.filter(|_| is_other) {
        return Some(Mismatch::Field(field));
    }
    // What a variable stands for is replaced with it.
    if value.contains("${") {
        return None;
    }
    if is_assignment(value) || value.contains("://") {
        return Some(Mismatch::More);
    }
    let is_other = match part {
        Part::Reference => false,
        Part::Name => field != Some(Part::Name) && is_whole(value),
        // A digest that is pinned goes with the tag.
        Part::Tag => field != Some(Part::Tag) && value.split('@').next().is_some_and(|tag| tag.contains(['/', ':'])),
        Part::Digest => value.contains(['/', '@']),
    };
    is_other.then(|| match (Reference::parse(value), is_whole(value)) {
        (Err(_), _) => Mismatch::More,
        (Ok(_), true) => Mismatch::Value(Part::Reference),
        (Ok(_), false) => Mismatch::Value(Part::Name),
    })
}

/// `TAG=1`, `--image=a:1`; a range of versions is none: `>=1.0`.
fn is_assignment(value: &str) -> bool {
    let name = value.split_once('=').map_or("", |(name, _)| name);
    name.ends_with(|c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-'))
        && !name.starts_with(['<', '>', '=', '!', '~', '^'])
}

/// What a field is for, where its key says that.
pub(crate) fn part_of_key(key: &str) -> Option<Part> {
    Some(match key {
        "image" => Part::Reference,
        "newName" | "repository" => Part::Name,
        "digest" => Part::Digest,
        key if key.to_ascii_lowercase().ends_with("tag") => Part::Tag,
        _ => return None,
    })
}

/// A version, and no image's name: `1.2.3`, `v4`.
fn is_version(value: &str) -> bool {
    value.strip_prefix('v').unwrap_or(value).starts_with(|c: char| c.is_ascii_digit())
        && !value.contains(['/', ':', '@'])
}

#[cfg(test)]
mod tests {
    use super::{Mismatch::*, Part::*, *};

    #[test]
    fn markers_fit_fields_and_values() {
        #[rustfmt::skip]
        let cases = [
            ("tag", Tag, "v1", None), ("tag", Tag, "", None), ("tag", Tag, "a/b:1", None),
            ("tag", Reference, "v1", Some(Field(Tag))), ("newTag", Name, "v1", Some(Field(Tag))), ("tag", Digest, "v1", Some(Field(Tag))),
            ("imageTag", Reference, "1.0.0", Some(Field(Tag))), ("IMAGE_TAG", Reference, "1.0.0", Some(Field(Tag))),
            ("tag", Reference, "r.io/a:1", None), ("imageTag", Reference, "a:1", None), ("tag", Digest, "sha256:0", None),
            ("image", Reference, "a:1", None), ("image", Reference, "", None), ("image", Reference, "TBD", None),
            ("image", Tag, "web", Some(Field(Reference))), ("image", Tag, "a:v1", Some(Field(Reference))), ("image", Tag, "v1", None),
            ("image", Name, "r.io/a", None), ("image", Name, "r.io:5000/a", None), ("image", Name, "r.io/a:1", Some(Value(Reference))),
            ("repository", Name, "r.io/a:1", None), ("repository", Tag, "r.io/a", Some(Field(Name))),
            ("newName", Reference, "r.io:5000/a", Some(Field(Name))), ("newName", Reference, "a:1", None), ("newName", Tag, "v1", Some(Field(Name))),
            ("digest", Digest, "sha256:0", None), ("digest", Tag, "v1", Some(Field(Digest))),
            ("value", Reference, "v1", None), ("value", Tag, "v1", None), ("value", Tag, "r.io/a:1", Some(Value(Reference))),
            ("value", Tag, "r.io/a", Some(Value(Name))), ("value", Digest, "r.io/a:1", Some(Value(Reference))), ("value", Digest, "", None),
            ("value", Name, "a:1", Some(Value(Reference))),
            ("url", Tag, "https://x/1.0.0", Some(More)), ("schedule", Tag, "*/5 * * * *", Some(More)), ("time", Tag, "12:30 PM", Some(More)), ("url", Name, "oci://r.io/a", Some(More)), ("image", Reference, "docker://a:1", Some(More)),
            ("", Tag, "TAG=1.0.0", Some(More)), ("", Reference, "--image=r.io/a:1", Some(More)), ("", Reference, "r.io/a:1", None), ("", Tag, "v1", None),
            ("version", Tag, "${VERSION:=1.0.0}", None), ("image", Name, "${IMAGE:=r.io/a:1}", None),
            ("version", Tag, ">=1.0.0", None), ("version", Tag, "^1.0 || >=2.0", None), ("version", Tag, "1.2.3@sha256:0", None),
            ("imageTag", Reference, "", None), ("tag", Reference, "", Some(Field(Tag))),
            ("image", Reference, "${IMAGE:=r.io/a:1}", None), ("image", Reference, "${REGISTRY}/a:1", None),
        ];
        for (key, part, value, expected) in cases {
            assert_eq!(
                mismatch(Some(key).filter(|key| !key.is_empty()), part, value),
                expected,
                "{key} {part:?} {value}"
            );
        }
    }
}
