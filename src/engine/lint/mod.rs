//! What keeps lines from being updated, and what would surprise: findings with stable codes, and what of them is safe to
//! mend by itself.

mod find;
mod fix;
mod table;

pub use find::findings;
pub use fix::{Fix, Fixed, fix};
pub use table::LINTS;

use super::manifest::Position;
use serde::Serialize;
use std::fmt;

/// How bad a finding is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Severity {
    /// Something does not work that its author wrote down.
    Error,
    /// It works, though not as it looks.
    Warning,
    /// Good to know.
    Notice,
}

impl fmt::Display for Severity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Severity::Error => "error",
            Severity::Warning => "warning",
            Severity::Notice => "notice",
        })
    }
}

/// One kind of finding.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Lint {
    /// Stable, kebab-case.
    pub code: &'static str,
    pub severity: Severity,
    /// Whether [`fix`] mends it, where that is safe.
    pub fixable: bool,
    /// A few words, without a full stop.
    pub summary: &'static str,
}

impl Lint {
    /// The kind with this code.
    pub fn of(code: &str) -> Option<&'static Lint> {
        LINTS.binary_search_by(|lint| lint.code.cmp(code)).ok().and_then(|index| LINTS.get(index))
    }

    /// The path of its page in butler's own repository.
    pub fn page(&self) -> String {
        format!("docs/lint/{}.md", self.code)
    }
}

/// Something that a person should look at.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Finding {
    /// Path in the repository, `/`-separated.
    pub file: String,
    pub position: Position,
    /// One of [`LINTS`].
    pub code: String,
    /// What was expected, what was found, what to do.
    pub message: String,
}

#[cfg(test)]
mod tests;
