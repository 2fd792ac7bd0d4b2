//! Values for fields that are not there yet: what is put into a file beside each other, as one text.

use super::{
    Change, Snapshot, component_of,
    promotion::image_of,
    value::{not_read, untouchable},
    wanted::tag_of,
};
use crate::engine::{
    dialect::MissingField,
    image::Repository,
    manifest::{Edit, ImageLine},
};
use std::collections::HashMap;

/// A value for a field that is not there yet.
pub(super) struct Added<'a> {
    pub field: &'a MissingField,
    pub change: Change,
}

/// Values of lines that a plan changes: of each file, by the image and the tag that goes, what comes.
pub(super) struct Moving<'c>(HashMap<&'c str, HashMap<(&'c Repository, &'c str), &'c str>>);

impl<'c> Moving<'c> {
    pub fn of(changes: &'c [Change]) -> Self {
        let mut moving: HashMap<&str, HashMap<_, &str>> = HashMap::new();
        for change in changes {
            if let Some(image) = &change.image {
                moving.entry(&change.line.file).or_default().insert((image, tag_in(&change.old)), &change.new);
            }
        }
        Moving(moving)
    }

    /// The file that changes the value which holds where the field is not there yet, and what comes there.
    pub fn of_field(&self, field: &MissingField) -> Option<(&'c str, &'c str)> {
        let image = image_of(&field.patched)?;
        let held = (&image, tag_in(&field.patched.value));
        field.sources.iter().find_map(|file| {
            let (file, values) = self.0.get_key_value(file.as_str())?;
            let (_, value) = values.iter().find(|(key, _)| **key == held)?;
            Some((*file, *value))
        })
    }
}

/// The line that a field takes the place of, with another value's tag; `None` where that is pinned by a digest.
pub(super) fn with_tag_of(line: &ImageLine, value: &str) -> Option<ImageLine> {
    let held = tag_in(&line.value).len();
    let name =
        line.value.get(..line.value.len() - held).filter(|_| !line.value.contains('@') && !value.contains('@'))?;
    Some(ImageLine { value: [name, tag_in(value)].concat().into(), ..line.clone() })
}

/// The tag of a line's value: it is one, or has one.
fn tag_in(value: &str) -> &str {
    tag_of(value).unwrap_or(value)
}

/// Why a field's file cannot be written.
pub(super) fn obstacle(snapshot: &Snapshot, field: &MissingField) -> Option<(&'static str, String)> {
    let file = field.file.as_str();
    let entry = snapshot.entries.get(file);
    let scan = entry.and_then(|_| snapshot.scans.get(file));
    scan.and_then(|scan| untouchable(entry, scan).or_else(|| not_read(scan))).or_else(|| {
        let why = snapshot.obstacle(file)?;
        Some(("patch-file-invalid", format!("{file} cannot be written: {why}")))
    })
}

/// The change that gives a field its value. Its text is put together when all values of the document are known.
pub(super) fn addition(snapshot: &Snapshot, field: &MissingField, value: String) -> Change {
    let line = field.line_id();
    let at = field.at();
    Change {
        component: component_of(&line, &field.patched),
        position: field.position(),
        edit: Edit { blob: snapshot.blob(&field.file).into(), span: at..at, old: String::new(), new: String::new() },
        line,
        old: field.patched.value.to_string(),
        new: value,
        policy: None,
        image: None,
        reason: String::new(),
        downgrade: false,
        environments: Vec::new(),
        automation: None,
        shadowed: None,
    }
}

/// Values that are put into files, an object's side by side in one document. Where one of a file's goes through a pull
/// request, all of them do: they are one text.
pub(super) fn written_together(mut added: Vec<Added<'_>>) -> Vec<Change> {
    added.sort_by(|a, b| (&a.field.file, a.field.order()).cmp(&(&b.field.file, b.field.order())));
    added.dedup_by(|a, b| a.change.line == b.change.line);
    for file in added.chunk_by_mut(|a, b| a.field.file == b.field.file) {
        let downgrade = file.iter().any(|added| added.change.downgrade);
        let mut before: Option<&MissingField> = None;
        for Added { field, change } in file {
            let end = field.end;
            let first_at_end = field.at() == end.size && before.is_none_or(|before| before.at() < end.size);
            change.edit.new = field.text(&change.new, before, first_at_end && end.size > 0 && !end.newline);
            change.downgrade = downgrade;
            before = Some(field);
        }
    }
    added.into_iter().map(|added| added.change).collect()
}
