//! The data of real repositories, and tables computed with the systems that they describe. `BUTLER_TEST_DATA` names
//! its folder.

use serde_json::Value;
use std::{
    fs,
    io::{self, Write},
    path::{Path, PathBuf},
    thread,
};

/// Says why a test, or a part of it, does not run: even where the output of tests that pass is not shown.
pub fn skipped(why: &str) {
    let test = thread::current().name().unwrap_or_default().to_owned();
    let _ = writeln!(io::stderr(), "skipped: {test}: {why}");
}

/// A file or folder of the test data; `None`, with the reason printed, where it is absent.
pub fn data(name: &str) -> Option<PathBuf> {
    let root = std::env::var_os("BUTLER_TEST_DATA")
        .map_or_else(|| Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared"), PathBuf::from);
    let path = root.join(name);
    if !path.exists() {
        skipped(&format!("{} is not there (set BUTLER_TEST_DATA)", path.display()));
        return None;
    }
    Some(path)
}

/// A table of `cases/`, as it stands in its file.
pub fn table(name: &str) -> Option<Value> {
    let path = data(&format!("cases/{name}.json"))?;
    let table: Value = serde_json::from_slice(&fs::read(path).unwrap()).unwrap();
    assert_eq!(table["count"], table["cases"].as_array().unwrap().len(), "{name} is whole");
    Some(table)
}

/// Every file below a folder, with its path in it; symlinks are not followed.
pub fn files(folder: &Path) -> Vec<(String, Vec<u8>)> {
    let mut found = Vec::new();
    let mut folders = vec![folder.to_path_buf()];
    while let Some(current) = folders.pop() {
        for entry in fs::read_dir(current).unwrap().map(Result::unwrap) {
            let kind = entry.file_type().unwrap();
            if kind.is_dir() {
                folders.push(entry.path());
            } else if kind.is_file() {
                let name = entry.path().strip_prefix(folder).unwrap().to_str().unwrap().to_string();
                found.push((name, fs::read(entry.path()).unwrap()));
            }
        }
    }
    found.sort();
    found
}

/// Prints how many cases of a table agree, and fails where others disagree than those that are `meant` to, each with
/// its reason.
pub fn report(name: &str, total: usize, disagreements: &[(String, String)], meant: &[(&str, &str)]) {
    println!("{name}: {} of {total} agree", total - disagreements.len());
    for (id, what) in disagreements {
        let why = meant.iter().find(|(meant, _)| meant == id).map_or("NOT MEANT", |(_, why)| why);
        println!("  {id}: {what} ({why})");
    }
    let mut found: Vec<_> = disagreements.iter().map(|(id, _)| id.as_str()).collect();
    let mut expected: Vec<_> = meant.iter().map(|(id, _)| *id).collect();
    found.sort_unstable();
    expected.sort_unstable();
    assert_eq!(found, expected, "{name}: the cases that disagree");
}
