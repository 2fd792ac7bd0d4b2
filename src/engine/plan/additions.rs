//! Values for fields that are not there yet: what is put at the end of a file, as one text.

use super::{
    Change, Snapshot, component_of,
    value::{not_read, untouchable},
};
use crate::engine::{
    dialect::MissingField,
    manifest::{Edit, FieldPath, LineId, ObjectId, Position},
};

/// A value for a field that is not there yet.
pub(super) struct Added<'a> {
    pub field: &'a MissingField,
    pub change: Change,
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
    let size = field.end.size;
    Change {
        component: component_of(&line, &field.patched),
        position: Position { line: 1, column: 1 },
        edit: Edit {
            blob: snapshot.blob(&field.file).into(),
            span: size..size,
            old: String::new(),
            new: String::new(),
        },
        line,
        old: field.patched.value.clone(),
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

/// Values that are put at the end of a file, an object's side by side in one document. Where one of a file's goes
/// through a pull request, all of them do: they are one text.
pub(super) fn written_together(mut added: Vec<Added<'_>>) -> Vec<Change> {
    fn place(change: &Change) -> (&str, Option<&ObjectId>, &FieldPath) {
        (&change.line.file, change.line.object.as_ref(), &change.line.path)
    }
    added.sort_by(|a, b| place(&a.change).cmp(&place(&b.change)));
    added.dedup_by(|a, b| a.change.line == b.change.line);
    for file in added.chunk_by_mut(|a, b| a.change.line.file == b.change.line.file) {
        let downgrade = file.iter().any(|added| added.change.downgrade);
        let mut before: Option<LineId> = None;
        for Added { field, change } in file {
            let same = before.as_ref().filter(|before| before.object == change.line.object);
            change.edit.new = field.text(&change.new, same.map(|before| &before.path), before.is_none());
            change.downgrade = downgrade;
            before = Some(change.line.clone());
        }
    }
    added.into_iter().map(|added| added.change).collect()
}
