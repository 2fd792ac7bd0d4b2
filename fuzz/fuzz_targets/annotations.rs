//! Annotations: a repository's files, divided by lines `=== PATH`, planned for one environment and written. *Confined*:
//! other environments' files stay. *Idempotent*: planning again on the result changes nothing. Then annotations are set on
//! its objects: *exact* (they are there and read so), *local* (every other line stays), twice is once.
#![no_main]

use butler::engine::{
    config::{Config, Downgrade},
    dialect::{PolicyChange, bind, with_policies},
    image::Tag,
    manifest::{EditError, FileKind, scan},
    memory::Memory,
    plan::{Fact, Facts, Need, Planned, Scope, UpdateInputs, UpdatePlan, rewritten, update},
    snapshot::{Entry, EntryKind, Snapshot},
};
use jiff::Timestamp;
use libfuzzer_sys::fuzz_target;
use std::{collections::BTreeMap, sync::Arc};

type Files = BTreeMap<String, String>;

const TAGS: [&str; 7] = ["v1.2.0", "sha-1234567", "main-2", "latest", "2.0.0", "1.2.4", "1.0.0"];
const MOST_FILES: usize = 8;

fuzz_target!(|text: &str| {
    let files = files(text);
    let after = written(&files, &planned(&files));
    for (file, text) in &after {
        assert!(dev(file) || files.get(file) == Some(text), "{file} is another environment's");
    }
    let again = planned(&after);
    assert!(again.changes.is_empty(), "planned again on its own output: {:?}", again.changes);
    for text in files.values() {
        annotated(text);
    }
});

/// The files of a repository; what stands before the first name is `dev/a.yaml`.
fn files(text: &str) -> Files {
    let (mut files, mut path) = (Files::new(), "dev/a.yaml".to_owned());
    for line in text.split_inclusive('\n') {
        match line.strip_prefix("=== ").map(str::trim) {
            Some(name) if name.split('/').all(|part| !matches!(part, "" | "." | ".." | ".git")) => {
                path = name.to_owned()
            }
            _ => files.entry(path.clone()).or_default().push_str(line),
        }
    }
    while files.len() > MOST_FILES {
        files.pop_last();
    }
    files
}

fn dev(file: &str) -> bool {
    file.starts_with("dev/")
}

fn snapshot(files: &Files) -> Snapshot {
    let mut snapshot = Snapshot::default();
    for (path, text) in files {
        snapshot.entries.insert(path.as_str().into(), Entry { blob: text.as_str().into(), kind: EntryKind::File });
        if let Some(kind) = FileKind::of(path) {
            snapshot.scans.insert(path.as_str().into(), Arc::new(scan(kind, text.as_bytes())));
        }
    }
    snapshot
}

fn planned(files: &Files) -> UpdatePlan {
    let snapshot = snapshot(files);
    let bindings = bind(&snapshot, &Config::whole_repository());
    for binding in bindings.lines.iter() {
        let scan = snapshot.scans.get(&binding.file).expect("bound lines are in files that were read");
        assert!(scan.lines.get(binding.line).is_some());
    }
    let now = Timestamp::UNIX_EPOCH;
    let mut facts = Facts::default();
    // Tags, digests, times.
    for _ in 0..4 {
        let planned = update(&UpdateInputs {
            environment: Scope { name: "dev", contains: &dev, automatic: true },
            others: &[],
            branch: "main",
            snapshot: &snapshot,
            bindings: &bindings,
            memory: &Memory::new(),
            facts: &facts,
            now,
            downgrade: Downgrade::PullRequest,
            edit_unparsed: true,
            take_over: true,
            with_history: false,
        });
        match planned {
            Planned::Ready(plan) => return plan,
            Planned::Needs(needs) => needs.into_iter().for_each(|need| answer(need, &mut facts, now)),
        }
    }
    panic!("still asks");
}

fn answer(need: Need, facts: &mut Facts, as_of: Timestamp) {
    match need {
        Need::Tags(repository) => {
            let tags = TAGS.map(Tag::named).to_vec();
            facts.tags.insert(repository, Fact::Known { value: Arc::new(tags), as_of });
        }
        Need::Digest { repository, tag } => {
            let value = Some(format!("sha256:{}", "0".repeat(64)));
            facts.digests.insert((repository, tag), Fact::Known { value, as_of });
        }
        Need::Times { repository, tags } => {
            let time = |tag: &str| Timestamp::from_second(TAGS.iter().position(|known| *known == tag)? as i64).ok();
            let times = tags.into_iter().map(|tag| {
                let value = time(&tag);
                (tag, Fact::Known { value, as_of })
            });
            facts.times.entry(repository).or_default().extend(times);
        }
        Need::OwnWrites { .. } | Need::FluxV1 { .. } => unreachable!("planned without a history"),
    }
}

fn written(files: &Files, plan: &UpdatePlan) -> Files {
    let read = |file: &str, _: &str| Ok::<_, EditError>(files.get(file).cloned().unwrap_or_default().into_bytes());
    let changed = rewritten(&plan.changes, read).expect("a plan fits what it was made on");
    let mut after = files.clone();
    after.extend(changed.into_iter().map(|(file, bytes)| (file, String::from_utf8(bytes).expect("text stays text"))));
    after
}

fn annotated(text: &str) {
    let set = |name: &str, value: &str| -> PolicyChange { (name.to_owned(), Some(value.to_owned())) };
    let scanned = scan(FileKind::Yaml, text.as_bytes());
    for (number, document) in scanned.documents.iter().enumerate() {
        for changes in [
            vec![set("locked", "true"), set("locked_msg", "no: \"more\" # é")],
            vec![set("tag_all", "semver:~1"), ("automated".to_owned(), None)],
        ] {
            let Ok(after) = with_policies(text, document, &changes) else { continue };
            let again = scan(FileKind::Yaml, after.as_bytes());
            assert_eq!(again.documents.len(), scanned.documents.len());
            let document = &again.documents[number];
            for (name, value) in &changes {
                let keys = ["fluxcd.io", "flux.weave.works"].map(|prefix| format!("{prefix}/{name}"));
                let mut found = document.annotations.iter().filter(|found| keys.contains(&found.key));
                match value {
                    Some(value) if name != "tag_all" => assert!(found.any(|found| found.value == *value), "{name}"),
                    _ => assert!(name == "tag_all" || found.next().is_none(), "{name}"),
                }
            }
            // What is not of these policies stands there as it did, and in that order.
            let ours = ["annotations", "locked", "tag.", "filter.", "automated"];
            let others = |text: &str| -> Vec<String> {
                let lines = text.split_inclusive('\n').filter(|line| !ours.iter().any(|name| line.contains(name)));
                lines.map(str::to_owned).collect()
            };
            let (before, now) = (others(text), others(&after));
            // The last line may have no line break, and gets one when something is put behind it.
            let is_kept = |line: &str, kept: &str| match line.strip_prefix(kept) {
                Some(end) => end.is_empty() || !kept.ends_with('\n') && ["\n", "\r\n"].contains(&end),
                None => false,
            };
            // A value of several lines gives way to one line: lines may go, and none may come.
            let mut rest = before.iter();
            assert!(now.iter().all(|line| rest.any(|kept| is_kept(line, kept))), "{before:?} became {now:?}");
            assert_eq!(with_policies(&after, document, &changes).as_deref(), Ok(after.as_str()), "twice is once");
        }
    }
}
