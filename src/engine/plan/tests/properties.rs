//! What holds for every repository.

use super::update::{DIGEST, POLICY, now};
use crate::engine::{
    config::{Config, Downgrade},
    dialect::bind,
    image::{Repository, Tag},
    memory::Memory,
    plan::{Fact, Facts, Planned, Scope, UpdateInputs, UpdatePlan, update},
    testing::Files,
};
use proptest::{prelude::*, strategy::ValueTree};
use std::sync::Arc;

const FILES: &[&str] =
    &["apps/dev/a.yaml", "apps/dev/b.yaml", "apps/dev/kustomization.yaml", "apps/prod/a.yaml", "c.yaml"];

/// Lines of a file, with and without markers, in the forms that occur.
fn line() -> impl Strategy<Value = String> {
    let policy =
        prop_oneof![Just("ns:app"), Just("ns:app:tag"), Just("ns:app:name"), Just("ns:app:digest"), Just("ns:no")];
    let value = prop_oneof![
        Just("1.0.0"),
        Just("\"1.0.0\""),
        Just("'1.9.0'"),
        Just("example.com/app:1.0.0"),
        Just("example.org/other@sha256:00"),
        Just("\"\""),
        Just("")
    ];
    let key = prop_oneof![Just("tag"), Just("image"), Just("x"), Just("newName"), Just("digest")];
    let end = prop_oneof![Just("\n"), Just("\r\n"), Just("\n\n")];
    let sound = prop::sample::select(&[
        ("tag", "1.0.0", Some("ns:app:tag")),
        ("tag", "\"\"", Some("ns:app:tag")),
        ("image", "example.com/app:1.0.0", Some("ns:app")),
        ("newName", "example.org/other", Some("ns:app:name")),
        ("digest", "sha256:00", Some("ns:app:digest")),
    ]);
    (prop_oneof![(key, value, proptest::option::of(policy)), sound], end).prop_map(|((key, value, policy), end)| {
        let marker = policy.map(|policy| format!(" # {{\"$imagepolicy\": \"{policy}\"}}")).unwrap_or_default();
        format!("{key}: {value}{marker}{end}")
    })
}

/// A mapping or a list of such lines; and now and then no YAML at all.
fn file() -> impl Strategy<Value = String> {
    let other = prop_oneof![Just("---\n".to_owned()), Just("{{ if }}\n".to_owned())];
    let lines = prop::collection::vec(line(), 0..8);
    (any::<bool>(), lines, proptest::option::weighted(0.2, other)).prop_map(|(list, lines, other)| {
        let item = |line: String| if list { format!("- {line}") } else { line };
        let lines: String = lines.into_iter().map(item).collect();
        other.unwrap_or_default() + &lines
    })
}

fn repository() -> impl Strategy<Value = Files> {
    let files = prop::collection::vec((prop::sample::select(FILES), file()), 0..5);
    let reflection = prop_oneof![Just("Never"), Just("IfNotPresent"), Just("Always")];
    (files, reflection).prop_map(|(files, reflection)| {
        let policy = POLICY.replace("  policy:", &format!("  digestReflectionPolicy: {reflection}\n  policy:"));
        let files = Files::of(files.iter().map(|(name, text)| (*name, text.as_str())));
        files.with([("flux/policy.yaml", policy.as_str())])
    })
}

fn planned(files: &Files) -> UpdatePlan {
    let snapshot = files.snapshot();
    let mut facts = Facts::default();
    let app = Repository::parse("example.com/app").unwrap();
    let tags = ["2.0.0", "1.2.0", "1.0.0"].map(|name| Tag { digest: Some(DIGEST.into()), ..Tag::named(name) });
    facts.tags.insert(app, Fact::Known { value: Arc::new(tags.to_vec()), as_of: now() });
    let planned = update(&UpdateInputs {
        environment: Scope { name: "dev", contains: &|file| file.starts_with("apps/dev/"), automatic: true },
        others: &[],
        branch: "main",
        snapshot: &snapshot,
        bindings: &bind(&snapshot, &Config::whole_repository()),
        memory: &Memory::new(),
        facts: &facts,
        now: now(),
        downgrade: Downgrade::PullRequest,
        edit_unparsed: true,
        take_over: false,
        with_history: false,
    });
    match planned {
        Planned::Ready(plan) => plan,
        Planned::Needs(needs) => panic!("still needs {needs:?}"),
    }
}

proptest! {
    #[test]
    fn an_update_is_deterministic_confined_local_and_idempotent(files in repository()) {
        let plan = planned(&files);
        prop_assert_eq!(&plan, &planned(&files), "deterministic");

        let after = files.after(&plan.changes);
        for (path, before) in &files.0 {
            // Confined: only the environment's files.
            if !path.starts_with("apps/dev/") {
                prop_assert_eq!(&after.0[path], before);
            }
            // Local: without the new values, from the back, each file is as it was.
            let mut restored = after.0[path].clone();
            let mut edits: Vec<_> =
                plan.changes.iter().filter(|change| change.line.file == *path).map(|change| &change.edit).collect();
            edits.sort_by_key(|edit| edit.span.start);
            for edit in edits {
                restored.replace_range(edit.span.start..edit.span.start + edit.new.len(), &edit.old);
            }
            prop_assert_eq!(&restored, before);
        }
        for change in &plan.changes {
            prop_assert!(change.line.file.starts_with("apps/dev/"));
        }

        let again = planned(&after);
        prop_assert_eq!(&again.changes, &[], "idempotent: after {:?}", after);
        prop_assert_eq!(again.current, plan.current + plan.changes.len());
    }
}

#[test]
fn the_repositories_made_here_do_have_updates() {
    let mut runner = proptest::test_runner::TestRunner::deterministic();
    let (mut changed, mut skipped) = (0, 0);
    for _ in 0..50 {
        let plan = planned(&repository().new_tree(&mut runner).unwrap().current());
        changed += plan.changes.len();
        skipped += plan.skipped.len();
    }
    assert!(changed > 20 && skipped > 20, "{changed} changes, {skipped} skips");
}
