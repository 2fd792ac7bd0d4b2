//! Failures to order: answer badly, slowly or not at all, or do something (such as killing a process) before or after a
//! request is performed. They hold for git's requests as well.

use super::rest::Reply;
use std::{fmt, time::Duration};

/// When a [`Fault::Call`] runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum When {
    /// Nothing is done yet.
    Before,
    /// Everything is done, the answer is not yet sent.
    After,
}

/// What goes wrong.
pub enum Fault {
    /// Answered with this, and nothing is done.
    Refuse(Reply),
    /// Performed; then the connection is dropped without an answer.
    LoseResponse,
    /// The connection is dropped and nothing is done.
    Drop,
    /// Performed, so much later.
    Delay(Duration),
    /// Performed, with this called before or after.
    Call(When, Box<dyn FnOnce() + Send>),
}

impl Fault {
    /// This status with GitHub's kind of body: 500, 502, 503.
    pub fn status(status: u16) -> Self {
        let message = match status {
            502 => "Server Error",
            503 => "No server is currently available to service your request.",
            _ => "Unexpected failure",
        };
        Fault::Refuse(Reply::error(status, message))
    }

    /// A status with a message of your own, such as 405 "Base branch was modified. Review and try the merge again.".
    pub fn refuse(status: u16, message: &str) -> Self {
        Fault::Refuse(Reply::error(status, message))
    }

    /// 403 with `Retry-After`.
    pub fn secondary_rate_limit(seconds: u32) -> Self {
        Fault::Refuse(Reply::slow_down(seconds))
    }

    /// 429 with `Retry-After`.
    pub fn too_many_requests(seconds: u32) -> Self {
        let mut reply = Reply::slow_down(seconds);
        reply.status = 429;
        Fault::Refuse(reply)
    }
}

impl fmt::Debug for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Fault::Refuse(reply) => write!(f, "Refuse({})", reply.status),
            Fault::LoseResponse => f.write_str("LoseResponse"),
            Fault::Drop => f.write_str("Drop"),
            Fault::Delay(time) => write!(f, "Delay({time:?})"),
            Fault::Call(when, _) => write!(f, "Call({when:?})"),
        }
    }
}

/// A fault that waits for its request.
#[derive(Debug)]
struct Ordered {
    method: String,
    path: globset::GlobMatcher,
    /// How many matching requests pass before it strikes.
    pass: u32,
    fault: Fault,
}

/// The faults that wait.
#[derive(Debug, Default)]
pub struct Faults(Vec<Ordered>);

impl Faults {
    /// Orders a fault for the `nth` (from 1) request from now on whose method and path match. `*` in the path stands for
    /// anything but a slash, `**` for anything.
    pub fn order(&mut self, pattern: &str, nth: u32, fault: Fault) -> Result<(), FaultError> {
        let bad = |why: &str| FaultError { pattern: pattern.to_owned(), why: why.to_owned() };
        let (method, path) = pattern.split_once(' ').ok_or_else(|| bad("no space between them"))?;
        let glob = globset::GlobBuilder::new(path).literal_separator(true).build().map_err(|e| bad(&e.to_string()))?;
        let pass = nth.saturating_sub(1);
        self.0.push(Ordered { method: method.to_owned(), path: glob.compile_matcher(), pass, fault });
        Ok(())
    }

    /// The fault that strikes this request: the first ordered that is due. Others that match count it.
    pub fn strike(&mut self, method: &str, path: &str) -> Option<Fault> {
        let mut due = None;
        for (index, ordered) in self.0.iter_mut().enumerate() {
            if (ordered.method == "*" || ordered.method == method) && ordered.path.is_match(path) {
                match ordered.pass.checked_sub(1) {
                    Some(left) => ordered.pass = left,
                    None => due = due.or(Some(index)),
                }
            }
        }
        due.map(|index| self.0.remove(index).fault)
    }

    /// Whether every fault that was ordered has struck.
    pub fn all_struck(&self) -> bool {
        self.0.is_empty()
    }

    pub fn clear(&mut self) {
        self.0.clear();
    }
}

/// A pattern that matches nothing because it cannot be read.
#[derive(Debug, thiserror::Error)]
#[error("expected METHOD and a path pattern as in `POST /repos/*/*/pulls`, found {pattern:?}: {why}")]
pub struct FaultError {
    pattern: String,
    why: String,
}

#[cfg(test)]
mod tests {
    use super::{Fault, Faults};

    #[test]
    fn a_fault_strikes_the_nth_match_once() {
        let mut faults = Faults::default();
        faults.order("POST /repos/*/*/pulls", 2, Fault::LoseResponse).unwrap();
        let mut strikes = |method: &str, path: &str| faults.strike(method, path).is_some();
        assert!(!strikes("POST", "/repos/a/b/pulls"));
        assert!(!strikes("GET", "/repos/a/b/pulls"), "another method");
        assert!(!strikes("POST", "/repos/a/b/pulls/1/reviews"), "another path");
        assert!(strikes("POST", "/repos/a/b/pulls"));
        assert!(!strikes("POST", "/repos/a/b/pulls"), "once");
    }

    #[test]
    fn a_pattern_without_a_method_is_refused() {
        let error = Faults::default().order("/repos", 1, Fault::Drop).unwrap_err();
        insta::assert_snapshot!(error, @r#"expected METHOD and a path pattern as in `POST /repos/*/*/pulls`, found "/repos": no space between them"#);
    }
}
