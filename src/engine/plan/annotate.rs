//! `butler annotate`: the document in which an object's annotations are written.

use super::{Snapshot, value::untouchable};
use crate::engine::{
    dialect::{Generated, kustomize::Inclusions},
    manifest::{Document, ObjectId},
};

/// The file and document of an object. `object`: its kind in any case, its namespace that in which it lands.
///
/// # Errors
/// Why there is none whose annotations may be changed, and what to do.
pub fn annotatable<'a>(snapshot: &'a Snapshot, object: &ObjectId) -> Result<(&'a str, &'a Document), String> {
    let ObjectId { kind, namespace, name } = object;
    let wanted = format!("{namespace}:{kind}/{name}");
    let inclusions = Inclusions::of(snapshot);
    let mut found = Vec::new();
    for (file, scan) in &snapshot.scans {
        for (number, document) in scan.documents.iter().enumerate() {
            if document.object.as_ref().is_some_and(|own| {
                own.kind.eq_ignore_ascii_case(kind)
                    && own.name == *name
                    && inclusions.namespaces(file, &own.namespace).contains(namespace.as_str())
            }) {
                found.push((&**file, scan, number, document));
            }
        }
    }
    match found.as_slice() {
        [] => Err(format!("expected an object {wanted}, found none")),
        [(file, scan, number, document)] => {
            if let Some((_, why)) = untouchable(snapshot.entries.get(file), scan) {
                return Err(format!("{file}: {why}"));
            }
            if Generated::of(snapshot, &inclusions).is_base(file, *number) {
                return Err(format!(
                    "{file} is a base of what a .flux.yaml builds: every environment would have the change; give the file \
                     as PATH where that is meant, or write {wanted} into the patch file and give that"
                ));
            }
            Ok((*file, *document))
        }
        [first, second, ..] => Err(format!(
            "expected {wanted} once, found it at {}:{} and {}:{}: give the file that is meant as PATH",
            first.0, first.3.position, second.0, second.3.position
        )),
    }
}
