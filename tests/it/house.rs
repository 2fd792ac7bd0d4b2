//! Rules of the house that no compiler checks.

use crate::support::data::files;
use std::path::Path;

/// What the engine may not name, and the rule that says so.
const NOT_IN_THE_ENGINE: &[(&str, &str)] = &[
    ("std::fs", "the engine does no I/O"),
    ("std::net", "the engine does no I/O"),
    ("std::process", "the engine does no I/O"),
    ("std::env", "the engine does no I/O"),
    ("::now()", "time comes in as an argument"),
    ("Instant", "time comes in as an argument"),
    ("rand::", "ids and chance come in as arguments"),
    ("tokio", "the engine is not async"),
    ("async fn", "the engine is not async"),
    ("crate::adapters", "lower floors never import upper ones"),
    ("crate::server", "lower floors never import upper ones"),
    ("crate::cli", "lower floors never import upper ones"),
    ("crate::sandbox", "lower floors never import upper ones"),
];

/// Where machines keep what is theirs alone. Spelled in halves, so that this file does not name them.
const MACHINES: &[&str] =
    &[concat!("/ho", "me/"), concat!("/Us", "ers/"), concat!("/wo", "rk/"), concat!("/tmp", "/w/")];

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// `file:line: rule: what stands there`, for each line of these files that names something it may not.
fn broken<'a>(files: impl IntoIterator<Item = (String, Vec<u8>)>, rules: &[(&'a str, &'a str)]) -> Vec<String> {
    let mut broken = Vec::new();
    for (file, bytes) in files {
        let text = String::from_utf8_lossy(&bytes);
        for (number, line) in (1..).zip(text.lines()) {
            for (_, rule) in rules.iter().filter(|(name, _)| line.contains(name)) {
                broken.push(format!("{file}:{number}: {rule}: {}", line.trim()));
            }
        }
    }
    broken
}

#[test]
fn the_engine_is_pure() {
    let engine = files(&root().join("src/engine"));
    assert!(engine.len() > 50, "the engine is where it was");
    assert_eq!(broken(engine, NOT_IN_THE_ENGINE), [""; 0]);
}

#[test]
fn the_check_itself_finds_something() {
    let code = b"use std::time::Duration;\nlet now = Timestamp::now();\n".to_vec();
    assert_eq!(
        broken([("a.rs".to_owned(), code)], NOT_IN_THE_ENGINE),
        ["a.rs:2: time comes in as an argument: let now = Timestamp::now();"]
    );
}

#[test]
fn no_file_names_a_machines_own_paths() {
    let rules: Vec<_> = MACHINES.iter().map(|path| (*path, "a path of one machine")).collect();
    let everything = [".ci", "src", "tests", "docs", "migrations", "benches", "fuzz/fuzz_targets", "fuzz/seeds"]
        .into_iter()
        .flat_map(|folder| files(&root().join(folder)));
    // What fuzzing makes lies in folders beside its sources.
    let top = ["", "fuzz"].into_iter().flat_map(|folder| std::fs::read_dir(root().join(folder)).unwrap());
    let top = top.map(Result::unwrap);
    let top = top.filter(|entry| entry.file_type().unwrap().is_file() && entry.file_name() != ".git");
    let top = top.map(|entry| (entry.file_name().into_string().unwrap(), std::fs::read(entry.path()).unwrap()));
    assert_eq!(broken(everything.chain(top), &rules), [""; 0]);
}
