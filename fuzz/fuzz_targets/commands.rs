//! Slash-commands: any comment. What is read stands on a line of the comment.
#![no_main]

use butler::engine::command::{MOST_COMMANDS, Scope, parse};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|text: &str| {
    let bare = parse(text, Scope { bare: true });
    let strict = parse(text, Scope { bare: false });
    assert!(strict.len() <= bare.len() && bare.len() <= MOST_COMMANDS + 1);
    for parsed in bare.iter().chain(&strict) {
        assert!(!parsed.line().is_empty());
    }
    assert_eq!(parse(text, Scope { bare: true }), bare);
});
