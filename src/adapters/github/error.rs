//! What can go wrong when GitHub is asked, told apart by what the caller does about it.
//!
//! No message holds a token, a query string or a body of more than [`EXCERPT`] characters.

use jiff::Timestamp;
use std::fmt;

/// How much of a foreign text is shown, in characters.
pub const EXCERPT: usize = 300;

/// Who has to act before the same call can succeed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fixer {
    /// Whoever runs butler: credentials, addresses, the App's settings.
    Operator,
    /// Whoever administers the repository or its organisation: permissions, rules, names.
    Administrator,
}

impl fmt::Display for Fixer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Fixer::Operator => "whoever runs butler",
            Fixer::Administrator => "an administrator of the repository",
        })
    }
}

/// Why GitHub did not do what was asked. `call` is the method, the route's template and the repository.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ForgeError {
    /// Nothing is wrong with the request; it works again at `at` (a rate limit's end, or a short wait).
    #[error("{call}: {why}; to be tried again at {at}")]
    RetryLater { call: String, at: Timestamp, why: String },
    /// The same request fails until somebody changes something.
    #[error("{call}: {why} ({fixer} has to act)")]
    Refused { call: String, fixer: Fixer, why: String },
    /// GitHub read the request and found its content wrong (409, 422): a reviewer who may not review, a head without commits.
    #[error("{call}: GitHub did not accept this: {message}")]
    Invalid { call: String, message: String },
    /// There is no such thing, or the App may not know of it: GitHub answers both alike (404, 410).
    #[error("{call}: not found, or the App was not given access to it")]
    NotFound { call: String },
    /// A write was sent and its answer was lost: it may or may not have happened. Look before repeating it.
    #[error("{call}: sent, but the answer was lost ({why}); whether it was done is unknown")]
    Unknown { call: String, why: String },
    /// A mistake of butler's: a request that it should not have made, or an answer that it cannot read.
    #[error("{call}: {why} (a bug in butler)")]
    Bug { call: String, why: String },
}

impl ForgeError {
    /// When the same call is worth another try; `None` where time alone changes nothing.
    pub fn retry_at(&self) -> Option<Timestamp> {
        match self {
            ForgeError::RetryLater { at, .. } => Some(*at),
            _ => None,
        }
    }

    pub(super) fn is_not_found(&self) -> bool {
        matches!(self, ForgeError::NotFound { .. })
    }
}

/// A foreign text made fit to be shown: control characters gone, cut at [`EXCERPT`] characters.
pub(super) fn excerpt(text: &str) -> String {
    let mut shown: String = text.trim().chars().map(|c| if c.is_control() { ' ' } else { c }).take(EXCERPT).collect();
    if text.trim().chars().count() > EXCERPT {
        shown.push('…');
    }
    shown
}

/// What GitHub says in an error's body: `message`, then what it holds against single fields. Other bodies (a proxy's
/// page) are shown as they are, cut.
pub(super) fn complaint(body: &[u8]) -> String {
    #[derive(serde::Deserialize)]
    struct Body {
        message: String,
        #[serde(default)]
        errors: Vec<serde_json::Value>,
    }
    let Ok(body) = serde_json::from_slice::<Body>(body) else {
        return excerpt(&String::from_utf8_lossy(body));
    };
    let mut text = body.message;
    for error in body.errors {
        let said = match &error {
            serde_json::Value::String(said) => said.clone(),
            other => match other.get("message").and_then(|m| m.as_str()) {
                Some(said) => said.to_owned(),
                None => ["resource", "field", "code"]
                    .iter()
                    .filter_map(|key| other.get(key).and_then(|v| v.as_str()))
                    .collect::<Vec<_>>()
                    .join(" "),
            },
        };
        if !said.is_empty() && !text.contains(&said) {
            text.push_str(": ");
            text.push_str(&said);
        }
    }
    excerpt(&text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_error_body_is_told_in_a_sentence() {
        let long = "x".repeat(400);
        let cut = format!("{}…", "x".repeat(EXCERPT));
        for (body, told) in [
            (r#"{"message":"Not Found"}"#, "Not Found"),
            (r#"{"message":"Validation Failed","errors":["one","two"]}"#, "Validation Failed: one: two"),
            (
                r#"{"message":"Validation Failed","errors":[{"resource":"PullRequest","field":"head","code":"invalid"}]}"#,
                "Validation Failed: PullRequest head invalid",
            ),
            (
                r#"{"message":"Validation Failed","errors":[{"code":"custom","message":"A pull request already exists for o:h."}]}"#,
                "Validation Failed: A pull request already exists for o:h.",
            ),
            ("<html>\n502 Bad Gateway</html>", "<html> 502 Bad Gateway</html>"),
            (long.as_str(), cut.as_str()),
            ("", ""),
        ] {
            assert_eq!(complaint(body.as_bytes()), told, "{body}");
        }
    }
}
