//! The unified diff of a file, as `git diff` shows it.

use similar::TextDiff;

/// Three lines of context; bytes that are no UTF-8 show as U+FFFD.
pub fn unified(file: &str, before: &[u8], after: &[u8]) -> String {
    let (before, after) = (String::from_utf8_lossy(before), String::from_utf8_lossy(after));
    let diff = TextDiff::from_lines(before.as_ref(), after.as_ref());
    diff.unified_diff().header(&format!("a/{file}"), &format!("b/{file}")).to_string()
}
