//! What Flux bots committed, done again with `butler set`: the same values on the same lines, and no other byte
//! changed. Those of `replay/` in the test data are real; the first ones here were written for this test.

use crate::support::{
    binary::{Folder, butler},
    data::{data, files},
};
use butler::engine::manifest::{FileKind, Part, scan};
use serde_json::Value;
use std::{collections::BTreeMap, fs, path::Path, thread};

/// What a bot chose for one policy, as far as the lines that it wrote tell.
#[derive(Default)]
struct Chosen {
    name: Option<String>,
    tag: Option<String>,
    digest: Option<String>,
}

/// `--policy NS:NAME=IMAGE:TAG` for what stands on these lines of a file that a bot wrote.
fn policies(kind: FileKind, written: &[u8], lines: &[usize]) -> Vec<String> {
    let mut policies: BTreeMap<String, Chosen> = BTreeMap::new();
    for line in scan(kind, written).lines.iter().filter(|line| lines.contains(&line.position.line)) {
        let Some(marker) = &line.marker else { continue };
        let chosen = policies.entry(format!("{}:{}", marker.namespace, marker.policy)).or_default();
        match marker.part {
            Part::Name => chosen.name = Some(line.value.to_string()),
            Part::Tag => chosen.tag = Some(format!(":{}", line.value)),
            Part::Digest => chosen.digest = Some(format!("@{}", line.value)),
            Part::Reference => {
                let (name, tag) = line.value.rsplit_once(':').unwrap();
                (chosen.name, chosen.tag) = (Some(name.into()), Some(format!(":{tag}")));
            }
        }
    }
    let text = |part: &Option<String>| part.clone().unwrap_or_default();
    policies
        .iter()
        .map(|(policy, chosen)| {
            // Lines that hold a tag alone do not say of which image it is, and need not.
            let name = chosen.name.clone().unwrap_or_else(|| "example.com/any".into());
            format!("{policy}={name}{}{}", text(&chosen.tag), text(&chosen.digest))
        })
        .collect()
}

/// Runs `butler set PATH --write` with these policies and gives what stands in the file then.
fn set(folder: &Folder, path: &str, file: &str, policies: &[String]) -> Vec<u8> {
    let mut arguments = vec!["set", path, "--write", "-o", "json"];
    for policy in policies {
        arguments.extend(["--policy", policy]);
    }
    butler(folder.path(), &arguments).json(0);
    folder.bytes(file)
}

#[test]
fn only_the_values_change() {
    let app = "ns:app=reg.io/team/app:v2";
    #[rustfmt::skip]
    let cases: &[(&str, &str, &str)] = &[
        // policy, before, expected
        (app, "a:   v1   # {\"$imagepolicy\": \"ns:app:tag\"}", "a:   v2   # {\"$imagepolicy\": \"ns:app:tag\"}"),
        (app, "a: 'v1' #{\"$imagepolicy\":\"ns:app:tag\" }\r\nb:  x\r\n", "a: 'v2' #{\"$imagepolicy\":\"ns:app:tag\" }\r\nb:  x\r\n"),
        (app, "\u{feff}---\na: \"\" # {\"$imagepolicy\": \"ns:app:tag\"}\n...\n", "\u{feff}---\na: \"v2\" # {\"$imagepolicy\": \"ns:app:tag\"}\n...\n"),
        (app, "- reg.io/team/app:v1 # {\"$imagepolicy\": \"ns:app\"}\n", "- reg.io/team/app:v2 # {\"$imagepolicy\": \"ns:app\"}\n"),
        (app, "a: &x v1 # {\"$imagepolicy\": \"ns:app:tag\"}\nb: *x\n", "a: &x v2 # {\"$imagepolicy\": \"ns:app:tag\"}\nb: *x\n"),
        ("ns:app=reg.io/team/app:1.10", "a: v1 # {\"$imagepolicy\": \"ns:app:tag\"}\n", "a: \"1.10\" # {\"$imagepolicy\": \"ns:app:tag\"}\n"),
        ("ns:other=reg.io/team/app:v2", "a: v1 # {\"$imagepolicy\": \"ns:app:tag\"}\n", "a: v1 # {\"$imagepolicy\": \"ns:app:tag\"}\n"),
    ];
    for (policy, before, expected) in cases {
        for (path, file) in [(".", "app.yaml"), ("0a1b2c", "0a1b2c")] {
            let folder = Folder::with(&[(file, before)]);
            let after = set(&folder, path, file, &[(*policy).to_owned()]);
            assert_eq!(String::from_utf8(after).unwrap(), *expected, "{before:?} at {file}");
            assert_eq!(set(&folder, path, file, &[(*policy).to_owned()]), expected.as_bytes(), "again");
        }
    }
}

/// One row of `replay/*.jsonl`: whether both ways of giving the file end in the bot's bytes.
fn same(blobs: &Path, row: &Value) -> bool {
    let blob = |key: &str| fs::read(blobs.join(row[key].as_str().unwrap())).unwrap();
    let (before, expected) = (blob("before"), blob("expected"));
    let path = row["path"].as_str().unwrap();
    let lines: Vec<usize> =
        row["edits"].as_array().unwrap().iter().map(|edit| edit["line"].as_u64().unwrap() as usize).collect();
    let policies = policies(FileKind::of(path).unwrap(), &expected, &lines);
    // In a repository; and the blob alone, under the name that it has in `blobs`.
    let folder = Folder::with(&[]);
    folder.put(path, &before);
    folder.put("blob", &before);
    set(&folder, ".", path, &policies) == expected && set(&folder, "blob", "blob", &policies) == expected
}

/// The rows of `replay/*.jsonl` of one kind.
fn rows(root: &Path, kind: &str) -> Vec<Value> {
    files(root)
        .into_iter()
        .filter(|(name, _)| name.ends_with(".jsonl"))
        .flat_map(|(_, bytes)| String::from_utf8(bytes).unwrap().lines().map(str::to_owned).collect::<Vec<_>>())
        .map(|row| serde_json::from_str(&row).unwrap())
        .filter(|row: &Value| row["kind"] == kind)
        .collect()
}

/// Does each row again, and prints how many end in the bot's bytes. `all`: how many rows there are.
fn replay(kind: &str, all: usize, same: fn(&Path, &Value) -> bool) {
    let Some(root) = data("replay") else { return };
    let rows = rows(&root, kind);
    let workers = thread::available_parallelism().map_or(2, Into::into);
    let other: Vec<String> = thread::scope(|scope| {
        let shares: Vec<_> = rows
            .chunks(rows.len().div_ceil(workers).max(1))
            .map(|share| {
                let blobs = root.join("blobs");
                scope.spawn(move || {
                    let other = share.iter().filter(|row| !same(&blobs, row));
                    other.map(|row| format!("{} {} {}", row["repo"], row["commit"], row["path"])).collect::<Vec<_>>()
                })
            })
            .collect();
        shares.into_iter().flat_map(|share| share.join().unwrap()).collect()
    });
    println!("replay: {} of {} commits of Flux {kind} bots byte for byte", rows.len() - other.len(), rows.len());
    assert_eq!(other, [""; 0], "other bytes than the bot's");
    assert_eq!(rows.len(), all, "every case is there");
}

#[test]
fn flux_v2_commits_byte_for_byte() {
    replay("v2", 497, same);
}

/// A commit of a Flux v1 bot: by the object and container of its note, by the object alone, and by the image.
fn same_v1(blobs: &Path, row: &Value) -> bool {
    let blob = |key: &str| fs::read(blobs.join(row[key].as_str().unwrap())).unwrap();
    let (before, expected) = (blob("before"), blob("expected"));
    let path = row["path"].as_str().unwrap();
    let set = |options: &[String]| {
        let folder = Folder::with(&[]);
        folder.put(path, &before);
        let options: Vec<&str> = options.iter().map(String::as_str).collect();
        butler(folder.path(), &[&["set", ".", "--write", "-o", "json"], options.as_slice()].concat()).json(0);
        folder.bytes(path) == expected
    };
    let mut by_container = Vec::new();
    let mut by_object = Vec::new();
    for (object, containers) in row["flux_note"]["success"].as_object().into_iter().flatten() {
        for container in containers.as_array().unwrap() {
            let (name, image) = (container["Container"].as_str().unwrap(), container["Target"].as_str().unwrap());
            by_container.extend(["--object".to_owned(), format!("{object}:{name}={image}")]);
            by_object.extend(["--object".to_owned(), format!("{object}={image}")]);
        }
    }
    // What the bot wrote says the image, unless it is a patch with a tag alone.
    let lines: Vec<u64> = row["edits"].as_array().unwrap().iter().map(|edit| edit["line"].as_u64().unwrap()).collect();
    let written = scan(FileKind::of(path).unwrap(), &expected);
    let images = written.lines.iter().filter(|line| lines.contains(&(line.position.line as u64)));
    let by_image: Option<Vec<String>> = images
        .map(|line| Some(["--image".to_owned(), line.image.clone()?]))
        .collect::<Option<Vec<_>>>()
        .map(|all| all.concat());
    // A note names all objects of its commit, the row is one file of it.
    let ways = [Some(by_container), Some(by_object), by_image];
    let ways: Vec<Vec<String>> = ways.into_iter().flatten().filter(|way| !way.is_empty()).collect();
    !ways.is_empty() && ways.iter().all(|way| set(way))
}

#[test]
fn flux_v1_commits_byte_for_byte() {
    replay("v1", 71, same_v1);
}
