//! Slash-commands against comments that are written to cost time.

use butler::engine::command::{Scope, parse};
use std::time::{Duration, Instant};

/// What nests deeply, or is opened and never closed, costs no more than a blink: milliseconds in a debug build, where
/// anything quadratic takes minutes.
#[test]
fn a_comment_made_to_be_slow_is_not() {
    for piece in ["- ", "> ", "[", "![", "*a ", "`", "``a", "<a ", "<!--", "~~", "a|", "[a]:", "&a;", "\\"] {
        let text = format!("{}\n/status\n{}", piece.repeat(60_000 / piece.len()), "a\n".repeat(30_000));
        let start = Instant::now();
        parse(&text, Scope { bare: true });
        assert!(start.elapsed() < Duration::from_secs(10), "{piece:?} took {:?}", start.elapsed());
    }
}
