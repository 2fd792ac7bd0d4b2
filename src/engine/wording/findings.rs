//! Check runs: what keeps butler from working, and what to do about it.

use super::code;
use crate::engine::memory::{MEMORY_REF, SealError};
use sha2::{Digest, Sha256};

/// A check run's words.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CheckText {
    pub title: String,
    pub summary: String,
}

/// The longest list in a check run's summary, in bytes. GitHub takes 65,535 characters, of all of it.
const LIST_MAX: usize = 20_000;

/// The first `most` items, as far as they fit, and how many there are more. Each ends its line.
pub(super) fn listed(items: impl Iterator<Item = String>, most: usize) -> String {
    let (mut list, mut more) = (String::new(), 0);
    for (at, item) in items.enumerate() {
        match more == 0 && at < most && list.len() + item.len() <= LIST_MAX {
            true => list.push_str(&item),
            false => more += 1,
        }
    }
    if more > 0 {
        list.push_str(&format!("- and {more} more\n"));
    }
    list
}

/// butler.yaml cannot be used. `errors` are sentences with file, line and column.
pub fn config_invalid(errors: &[String]) -> CheckText {
    let list: String = errors.iter().map(|error| format!("- {}\n", code(error))).collect();
    CheckText {
        title: match errors {
            [one] if one.chars().count() > 200 => one.chars().take(199).chain(['…']).collect(),
            [one] => one.clone(),
            several => format!("{} errors in butler.yaml", several.len()),
        },
        summary: format!("Nothing is written to this repository until this is mended.\n\n{list}"),
    }
}

/// butler.yaml is fine; `warnings` name what has no effect in this version.
pub fn config_valid(environments: usize, promotions: usize, warnings: &[String]) -> CheckText {
    let list: String = warnings.iter().map(|warning| format!("- {}\n", code(warning))).collect();
    CheckText {
        title: format!("{}, {}", counted(environments, "environment"), counted(promotions, "promotion")),
        summary: match warnings {
            [] => "butler.yaml is valid.".into(),
            _ => format!("butler.yaml is valid. Not in effect in this version:\n\n{list}"),
        },
    }
}

/// Why butler's memory is not believed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum MemoryTrouble {
    #[error("{0}")]
    Seal(#[from] SealError),
    #[error("it is not the memory's format: {0}")]
    Unreadable(String),
    #[error("it does not descend from {last_seen}, which butler saw last")]
    Rewound { last_seen: String },
    #[error("the ref is gone")]
    Vanished { last_seen: Option<String> },
}

/// butler's memory is not believed: nothing is written until a person has looked. `last_seen` is the tip that was
/// believed last, where that is known.
pub fn memory_refused(trouble: &MemoryTrouble, found: Option<&str>, last_seen: Option<&str>) -> CheckText {
    let found = found.map(|found| format!(" at {}", code(found))).unwrap_or_default();
    let repair = match last_seen {
        Some(commit) => format!(
            "If nobody meant this, put the last good state back from a clone that has it:\n\n```\ngit push --force origin {commit}:{MEMORY_REF}\n```\n"
        ),
        None => format!(
            "If nobody meant this, push the last commit that butler sealed to {} again (each one's parent is in its history).\n",
            code(MEMORY_REF)
        ),
    };
    CheckText {
        title: "butler's memory is not to be trusted".into(),
        summary: format!(
            "{}{found} holds people's decisions (holds, declines, what was promoted). {}: {trouble}.\n\nNothing is written to this \
             repository until that is resolved. {repair}\nTo begin anew, and forget all holds and declines: `butler memory reset OWNER/NAME`, run beside the server.\n",
            code(MEMORY_REF),
            "It is not believed"
        ),
    }
}

/// Said on the commit that the memory was refused on, once it is believed again.
pub fn memory_mended() -> CheckText {
    CheckText { title: "butler's memory is in order again".into(), summary: "Work goes on.\n".into() }
}

/// The same words have the same fingerprint.
pub fn fingerprint(text: &CheckText) -> String {
    let mut hasher = Sha256::new();
    for part in [&text.title, &text.summary] {
        hasher.update(part.as_bytes());
        hasher.update([0]);
    }
    hex::encode(hasher.finalize())
}

/// `1 promotion`, `2 promotions`.
fn counted(count: usize, what: &str) -> String {
    format!("{count} {what}{}", if count == 1 { "" } else { "s" })
}
