//! Check runs: what keeps butler from working, and what to do about it.

use super::escape::code;
use crate::engine::memory::{MEMORY_REF, SealError};

/// A check run's words.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CheckText {
    pub title: String,
    pub summary: String,
}

/// butler.yaml cannot be used. `errors` are sentences with file, line and column.
pub fn config_invalid(errors: &[String]) -> CheckText {
    let list: String = errors.iter().map(|error| format!("- {}\n", code(error))).collect();
    CheckText {
        title: match errors {
            [one] => one.chars().take(200).collect(),
            several => format!("{} errors in butler.yaml", several.len()),
        },
        summary: format!("Nothing is written to this repository until this is mended.\n\n{list}"),
    }
}

/// butler.yaml is fine; `warnings` name what has no effect in this version.
pub fn config_valid(environments: usize, promotions: usize, warnings: &[String]) -> CheckText {
    let list: String = warnings.iter().map(|warning| format!("- {}\n", code(warning))).collect();
    CheckText {
        title: format!("{environments} environments, {promotions} promotions"),
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

/// butler's memory is not believed: nothing is written until a person has looked.
pub fn memory_refused(trouble: &MemoryTrouble, found: Option<&str>) -> CheckText {
    let last_seen = match trouble {
        MemoryTrouble::Rewound { last_seen } => Some(last_seen.clone()),
        MemoryTrouble::Vanished { last_seen } => last_seen.clone(),
        _ => None,
    };
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

/// Lines that people set back: said once.
pub fn hand_edits(lines: &[String]) -> CheckText {
    let list: String = lines.iter().map(|line| format!("- {}\n", code(line))).collect();
    CheckText {
        title: match lines {
            [_] => "1 line stays as a person set it".into(),
            several => format!("{} lines stay as people set them", several.len()),
        },
        summary: format!(
            "{list}\nA newer version ends that by itself; `/butler resume` on any pull request or issue ends it now.\n"
        ),
    }
}

/// The branch refused a commit that butler.yaml asks for.
pub fn protected(environment: &str, branch: &str, message: &str) -> CheckText {
    CheckText {
        title: format!("{branch} takes no direct commits"),
        summary: format!(
            "Environment {} says `update: commit`, but {} refuses butler's push: {}\n\nLet the App push there, or set \
             `update: auto` or `update: pull-request`.\n",
            code(environment),
            code(branch),
            code(message)
        ),
    }
}
