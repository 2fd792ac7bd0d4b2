//! The value that a line takes for a new image: whole reference, name, tag or digest, in the author's spelling.

use super::{Change, Entry, EntryKind, promotion::image_of};
use crate::engine::{
    image::{Reference, Repository},
    manifest::{Container, ImageLine, ObjectId, Part, Scan, Step},
};

/// The container that a line is part of, as Flux v1 counts them.
pub(super) fn container_of<'s>(scan: &'s Scan, line: &ImageLine) -> Option<&'s Container> {
    let start = Some(line.span.start);
    let containers = &scan.documents.get(line.document)?.containers;
    containers.iter().find(|container| container.tag == start || container.repository == start)
}

/// The object that a line stands in.
pub(super) fn object_of<'s>(scan: &'s Scan, line: &ImageLine) -> Option<&'s ObjectId> {
    scan.documents.get(line.document)?.object.as_ref()
}

/// The name of the container, or other list item, that a line belongs to.
pub(super) fn container_name<'s>(scan: &'s Scan, line: &'s ImageLine) -> Option<&'s str> {
    let named = container_of(scan, line).map(|container| container.name.as_str());
    named.or_else(|| line.path.0.iter().rev().find_map(item_name))
}

pub(super) fn item_name(step: &Step) -> Option<&str> {
    match step {
        Step::Item { key, value } if key == "name" => Some(value),
        _ => None,
    }
}

/// The new value for a line that holds `part`, when `image` is to run. `None`: the part cannot be told (a digest that
/// the image has not).
///
/// The name keeps its author's spelling where it means the same repository. Without a marker a line may hold only the
/// rest of a name whose registry has a key of its own.
pub fn value_for<'i>(line: &ImageLine, part: Part, image: &'i Reference) -> Option<String> {
    let split = line.marker.is_none() && image_of(line).is_some_and(|whole| whole == image.repository);
    match part {
        Part::Tag => image.tag.clone(),
        Part::Digest => image.digest.clone(),
        Part::Name => {
            let same = split || Repository::parse(&line.value).is_ok_and(|current| current == image.repository);
            Some(if same { line.value.to_string() } else { image.name.clone() })
        }
        Part::Reference => {
            let written =
                Reference::parse(&line.value).ok().filter(|current| split || current.repository == image.repository);
            let name = written.map_or(image.name.clone(), |current| current.name);
            let part = |mark, part: &'i Option<String>| part.as_deref().map_or(["", ""], |part| [mark, part]);
            let ([colon, tag], [at, digest]) = (part(":", &image.tag), part("@", &image.digest));
            Some([&name, colon, tag, at, digest].concat())
        }
    }
}

/// Why a marked line of a file that is no YAML stays.
pub(super) const UNPARSED: &str = "the file is no YAML, and butler.yaml says `dialects.unparsed-files: skip`";

/// Files whose bytes are never changed, whatever they follow.
pub(super) fn untouchable(entry: Option<&Entry>, scan: &Scan) -> Option<(&'static str, String)> {
    encrypted(scan).or_else(|| match entry.map(|entry| entry.kind) {
        Some(EntryKind::File) => None,
        Some(EntryKind::Misnamed) => Some(("path-not-utf8", "the file's path is not in UTF-8: rename it".into())),
        _ => Some(("symlink", "the file is a symbolic link; butler edits only the file itself".into())),
    })
}

/// The same, as far as the file's own bytes tell.
pub(super) fn encrypted(scan: &Scan) -> Option<(&'static str, String)> {
    scan.sops.then(|| ("sops", "the file is encrypted with SOPS; any change would break its MAC".into()))
}

/// Why a file whose bytes are there was not read: what stands in it is not known, so nothing is put behind it.
pub(super) fn not_read(scan: &Scan) -> Option<(&'static str, String)> {
    let of = |code| Some((code, scan.findings.iter().find(|finding| finding.code == code)?.message.clone()));
    of("not-utf8").or_else(|| of("file-too-large"))
}

/// The change of one line to `value`; `None` where it holds that already.
pub(super) fn change(entry: &Entry, file: &str, scan: &Scan, line: &ImageLine, value: String) -> Option<Change> {
    if line.value == value {
        return None;
    }
    let id = scan.line_id(file, line);
    let edit = line.edit(&entry.blob, &value)?;
    Some(Change {
        component: super::component_of(&id, line),
        line: id,
        position: line.position,
        edit,
        old: line.value.to_string(),
        new: value,
        policy: None,
        image: None,
        reason: String::new(),
        downgrade: false,
        environments: Vec::new(),
        automation: None,
        shadowed: None,
    })
}
