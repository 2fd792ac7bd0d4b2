//! What holds for every repository, whichever dialects it mixes.

use super::{
    clusters::{cluster, policies},
    patched::generated,
    shapes,
    update::{DIGEST, now},
};
use crate::engine::{
    config::{Config, Downgrade, parse},
    dialect::{Bindings, bind},
    image::{Repository, Tag},
    memory::Memory,
    plan::{Fact, Facts, Need, Planned, Scope, UpdateInputs, UpdatePlan, update},
    snapshot::Snapshot,
    testing::{Files, at_least},
};
use jiff::SignedDuration;
use proptest::{prelude::*, strategy::ValueTree};
use regex::Regex;
use std::{
    collections::{BTreeMap, BTreeSet},
    fmt::Write,
    sync::Arc,
};

const JSON: &str = "apps/dev/j.json";
const FILES: &[&str] =
    &["apps/dev/a.yaml", "apps/dev/b.yaml", "apps/dev/kustomization.yaml", "apps/prod/a.yaml", "c.yaml"];
/// The only files that may be made, or grow.
pub(super) const PATCH: &str = "flux-patch.yaml";
/// Stands on both sides of each value while a file is made: what an update may change, told by who made it.
pub(super) const VALUE: char = '\u{e000}';
/// The same, of a value that neither marker nor annotation asks for: only a policy of butler.yaml may change it.
pub(super) const UNASKED: char = '\u{e001}';
const NATIVE: &str = "version: 1\nenvironments: {dev: {path: apps/dev}, prod: {path: apps/prod}}\nimages:\n- image: \
                      example.com/app\n  environments: [dev]\n  policy: ";
const LILLY: &str = "283234040926.dkr.ecr.us-east-2.amazonaws.com/app";

#[derive(Clone, Debug)]
struct Made {
    files: Files,
    /// What stands between the values of each file.
    kept: BTreeMap<String, Vec<String>>,
    config: Config,
    /// As registries list them.
    tags: Vec<Tag>,
}

/// Lines of a file, with and without markers, in the forms that occur.
fn line() -> impl Strategy<Value = String> {
    let policy =
        prop_oneof![Just("ns:app"), Just("ns:app:tag"), Just("ns:app:name"), Just("ns:app:digest"), Just("ns:no")];
    let value = prop_oneof![
        Just("1.0.0"),
        Just("\"1.0.0\""),
        Just("'1.9.0'"),
        Just("~"),
        Just("example.com/app:1.0.0"),
        Just("example.org/other@sha256:00"),
        Just("\"\""),
        Just("")
    ];
    // No policy, or one, in a comment of any spacing.
    let comment = |policy: Option<&'static str>| shapes::comment(policy.unwrap_or_default());
    let key = prop_oneof![Just("tag"), Just("image"), Just("x"), Just("newName"), Just("digest")];
    let end = prop_oneof![Just("\n"), Just("\r\n"), Just("\n\n")];
    let sound = prop::sample::select(&[
        ("tag", "1.0.0", Some("ns:app:tag")),
        ("tag", "\"\"", Some("ns:app:tag")),
        ("image", "example.com/app:1.0.0", Some("ns:app")),
        ("newName", "example.org/other", Some("ns:app:name")),
        ("digest", "sha256:00", Some("ns:app:digest")),
    ]);
    let field = prop_oneof![(key, value, proptest::option::of(policy)), sound];
    let field = field.prop_flat_map(move |(key, value, policy)| (Just((key, value, policy)), comment(policy)));
    let gap = prop::sample::select(&[" ", " ", " ", "   ", " &a ", " !!str "]);
    (field, gap, end).prop_map(|(((key, value, policy), marker), gap, end)| {
        let edge = if policy.is_some_and(|policy| policy != "ns:no") { VALUE } else { UNASKED };
        // A value that is not there is written behind a space.
        let gap = if value.is_empty() { "" } else { gap };
        let inner = value.trim_matches(['"', '\'']);
        let quote = &value[..(value.len() - inner.len()) / 2];
        format!("{key}:{gap}{quote}{edge}{inner}{edge}{quote}{marker}{end}")
    })
}

/// A mapping or a list of such lines; and now and then no YAML at all.
fn lines() -> impl Strategy<Value = String> {
    let other = prop_oneof![Just("---\n".to_owned()), Just("{{ if }}\n".to_owned())];
    let lines = prop::collection::vec(line(), 1..8);
    (any::<bool>(), lines, proptest::option::weighted(0.2, other)).prop_map(|(list, lines, other)| {
        let item = |line: String| if list { format!("- {line}") } else { line };
        let lines: String = lines.into_iter().map(item).collect();
        other.unwrap_or_default() + &lines
    })
}

/// A workload with annotations of Flux v1, of the app.lilly.com style, or none. `marked`: how often a marker wants the
/// same value as an annotation.
pub(super) fn workload(marked: f64) -> impl Strategy<Value = String> {
    let annotations = prop::sample::select(&[
        "{fluxcd.io/automated: 'true'}",
        "{fluxcd.io/automated: 'true', fluxcd.io/tag.c: 'semver:~1'}",
        "{flux.weave.works/automated: 'true', flux.weave.works/tag.c: 'regexp:^1'}",
        "{fluxcd.io/automated: 'true', fluxcd.io/tag.c: 'glob:dev-*'}",
        "{fluxcd.io/automated: 'true', fluxcd.io/locked: 'true'}",
        "{app.lilly.com/flux.automated: 'true', app.lilly.com/flux.simple.p: '283234040926;app;glob:sha-.*'}",
        "{}",
        "{a: b}",
        "{c: d}",
    ]);
    let value = prop::sample::select(&["1.0.0", "1.9.0", "dev-1", "sha-06c5953", "gone"]);
    let quote = prop::sample::select(&["", "'", "\""]);
    let name = prop::sample::select(&["a", "b"]);
    let marked = prop::bool::weighted(marked);
    (name, annotations, value, quote, marked).prop_map(|(name, annotations, value, quote, marked)| {
        let lilly = annotations.contains("lilly");
        let asked = marked || annotations.contains("automated") && !annotations.contains("locked");
        let edge = if asked { VALUE } else { UNASKED };
        let (image, marker) = match (lilly, marked) {
            (true, _) => (LILLY, " # {\"$imagepolicy\": \"ns:p\"}"),
            (false, true) => ("example.com/app", " # {\"$imagepolicy\": \"ns:app\"}"),
            (false, false) => ("example.com/app", " # é"),
        };
        format!(
            "kind: Deployment\napiVersion: apps/v1\nmetadata: {{name: {name}, namespace: ns, annotations: {annotations}}}\n\
             spec:\n  template:\n    spec:\n      containers:\n      - name: c\n        image: \
             {quote}{edge}{image}:{value}{edge}{quote}{marker}\n"
        )
    })
}

fn config() -> impl Strategy<Value = Config> {
    let native = prop::sample::select(&["{semver: 1.x}", "{newest: true}", "{alphabetical: asc}"]);
    proptest::option::weighted(0.7, native).prop_map(|native| match native {
        Some(policy) => parse("butler.yaml", &format!("{NATIVE}{policy}\n")).unwrap(),
        None => Config::whole_repository(),
    })
}

/// In any order, with any times.
fn tags() -> impl Strategy<Value = Vec<Tag>> {
    let names = prop::sample::subsequence(
        &[
            "2.0.0",
            "1.2.0",
            "v1.2.0",
            "1.0.0",
            "1.9",
            "10",
            "dev-1",
            "dev-2",
            "sha-1234567",
            "qa-sha-1234567",
            "latest",
        ][..],
        0..11,
    );
    (names.prop_shuffle(), prop::collection::vec(proptest::option::weighted(0.9, 0..4i64), 11)).prop_map(
        |(names, hours)| {
            let time = |hour: i64| now() - SignedDuration::from_hours(hour);
            let tag = |(name, hour): (&str, Option<i64>)| Tag {
                digest: Some(DIGEST.into()),
                pushed_at: hour.map(time),
                ..Tag::named(name)
            };
            names.into_iter().zip(hours).map(tag).collect()
        },
    )
}

fn repository() -> impl Strategy<Value = Made> {
    let others = prop_oneof![shapes::release(), shapes::images(), shapes::flow(), shapes::anchored()];
    let documents = prop::collection::vec(prop_oneof![lines(), workload(0.15), others], 1..4);
    let text = (documents, prop::bool::weighted(0.1)).prop_map(|(documents, mark)| {
        let text = documents.join("---\n");
        if mark { format!("\u{feff}{text}") } else { text }
    });
    let files = prop::collection::vec((prop::sample::select(FILES), text), 0..5);
    let json = proptest::option::weighted(0.2, shapes::json().prop_map(|text| (JSON, text)));
    let files = (files, json).prop_map(|(files, json)| files.into_iter().chain(json).collect::<Vec<_>>());
    let generated = proptest::option::weighted(0.6, generated());
    let flux = (policies(), prop_oneof![Just(Vec::new()), cluster()]);
    (files, flux, generated, config(), tags()).prop_map(|(drawn, (policies, cluster), generated, config, tags)| {
        let unasked = if config.images.is_empty() { String::new() } else { VALUE.to_string() };
        let all = drawn.into_iter().chain(policies).chain(cluster).map(|(file, text)| (file.to_owned(), text));
        let mut made = Made { files: Files::default(), kept: BTreeMap::new(), config, tags };
        for (file, text) in all.chain(generated.into_iter().flatten()) {
            let text = text.replace(UNASKED, &unasked);
            let pieces = text.split(VALUE).step_by(2).map(String::from);
            made.kept.insert(file.clone(), pieces.collect());
            made.files.0.insert(file, text.replace(VALUE, ""));
        }
        made
    })
}

impl Made {
    fn planned(&self, files: &Files) -> UpdatePlan {
        let snapshot = files.snapshot();
        let bindings = bind(&snapshot, &self.config);
        self.planned_with(&snapshot, &bindings, &mut Facts::default())
    }

    fn planned_with(&self, snapshot: &Snapshot, bindings: &Bindings, facts: &mut Facts) -> UpdatePlan {
        let memory = Memory::new();
        // Tags, digests, times, and those that count once a line has changed.
        for _ in 0..5 {
            let planned = update(&UpdateInputs {
                environment: Scope { name: "dev", contains: &|file| file.starts_with("apps/dev/"), automatic: true },
                others: &[],
                branch: "main",
                snapshot,
                bindings,
                memory: &memory,
                facts,
                now: now(),
                downgrade: Downgrade::PullRequest,
                edit_unparsed: true,
                take_over: false,
                with_history: false,
            });
            match planned {
                Planned::Ready(plan) => return plan,
                Planned::Needs(needs) => needs.into_iter().for_each(|need| self.answer(need, facts)),
            }
        }
        panic!("still asks");
    }

    fn answer(&self, need: Need, facts: &mut Facts) {
        fn known<T>(value: T) -> Fact<T> {
            Fact::Known { value, as_of: now() }
        }
        match need {
            Need::Tags(repository) => drop(facts.tags.insert(repository, known(Arc::new(self.tags.clone())))),
            Need::Digest { repository, tag } => {
                facts.digests.insert((repository, tag), known(Some(DIGEST.to_owned())));
            }
            Need::Times { repository, tags } => {
                facts.times.entry(repository).or_default().extend(tags.into_iter().map(|tag| (tag, known(None))));
            }
            Need::OwnWrites { .. } | Need::FluxV1 { .. } => panic!("no history is read"),
        }
    }

    /// Whether all that stands between a file's values is there as it was made, and nothing new but values.
    fn is_kept(&self, file: &str, now: &str) -> bool {
        let mut pattern = "^".to_owned();
        let mut value = "";
        for piece in &self.kept[file] {
            // A patch file grows by whole lines.
            let lines = if file.ends_with(PATCH) { "\n(?:[^\n]*\n)*" } else { "\n" };
            write!(pattern, "{value}{}", regex::escape(piece).replace('\n', lines)).unwrap();
            // Quotes stay; a value without them may get them.
            value = match piece.ends_with(['"', '\'']) {
                true => "[A-Za-z0-9._/:@+~-]*",
                false => r#" ?(?:[A-Za-z0-9._/:@+~-]*|"[A-Za-z0-9._/:@+~-]*")"#,
            };
        }
        pattern.push_str(if file.ends_with(PATCH) { "(?s:.*)$" } else { "$" });
        Regex::new(&pattern).unwrap().is_match(now)
    }
}

/// The same files, read in another order.
fn snapshot_in_order(files: &Files, keys: &[u32]) -> Snapshot {
    let mut order: Vec<_> = files.0.iter().zip(keys.iter().cycle()).collect();
    order.sort_by_key(|(_, key)| *key);
    let mut snapshot = Files::default().snapshot();
    for ((path, text), _) in order {
        let one = Files::of([(path.as_str(), text.as_str())]).snapshot();
        one.entries.iter().for_each(|(path, entry)| drop(snapshot.entries.insert(path.clone(), entry.clone())));
        one.scans.iter().for_each(|(path, scan)| drop(snapshot.scans.insert(path.clone(), scan.clone())));
    }
    snapshot
}

proptest! {
    #![proptest_config(at_least(800))]

    /// Deterministic: what is done depends on what the files and the registry say, and never on the order in which they do.
    #[test]
    fn an_update_does_not_depend_on_the_order_of_files_and_tags(
        made in repository(),
        keys in prop::collection::vec(any::<u32>(), 16),
    ) {
        let mut made = made;
        // Of equal versions the first of a list counts, and lists are read in one order.
        made.tags.retain(|tag| tag.name != "v1.2.0");
        let mut other = made.clone();
        let mut order: Vec<_> = made.tags.iter().cloned().zip(&keys).collect();
        order.sort_by_key(|(_, key)| *key);
        other.tags = order.into_iter().map(|(tag, _)| tag).collect();
        let snapshot = snapshot_in_order(&made.files, &keys);
        let outcome = |mut plan: UpdatePlan| {
            // Sentences name a few tags, in the order of the list.
            plan.changes.iter_mut().for_each(|change| change.reason.clear());
            plan.skipped.iter_mut().for_each(|skip| skip.reason.clear());
            plan
        };
        let plan = other.planned_with(&snapshot, &bind(&snapshot, &other.config), &mut Facts::default());
        prop_assert_eq!(outcome(plan), outcome(made.planned(&made.files)));
    }

    #[test]
    fn an_update_is_deterministic_confined_local_and_idempotent(made in repository()) {
        let plan = made.planned(&made.files);
        prop_assert_eq!(&plan, &made.planned(&made.files), "deterministic");

        let after = made.files.after(&plan.changes);
        for (file, text) in &after.0 {
            match made.files.0.get(file) {
                // Confined: only the environment's files.
                Some(before) if !file.starts_with("apps/dev/") => prop_assert_eq!(text, before),
                // Local: only values.
                Some(before) => prop_assert!(made.is_kept(file, text), "{}: {:?} became {:?}", file, before, text),
                None => prop_assert!(file.starts_with("apps/dev/") && file.ends_with(PATCH), "{} is made", file),
            }
        }

        let mut again = made.planned(&after);
        // Which image a line runs since a marker named it, a policy of butler.yaml learns from what stands there then.
        if made.files.0.values().any(|text| text.contains(":name\"")) && !made.config.images.is_empty() {
            again = made.planned(&after.after(&again.changes));
        }
        prop_assert_eq!(&again.changes, &[], "idempotent: after {:?}", after);
        prop_assert!(again.current >= plan.current, "{} of {} lines are current", again.current, plan.current);
    }
}

proptest! {
    /// What is kept over pushes only saves time: the plan is the one of a reader who knows nothing.
    #[test]
    fn a_plan_after_pushes_is_the_plan_from_nothing(
        made in repository(),
        pushes in prop::collection::vec((push(), proptest::option::weighted(0.3, config())), 1..4),
    ) {
        let (mut files, mut config, mut facts) = (made.files.clone(), made.config.clone(), Facts::default());
        let mut snapshot = files.snapshot();
        let mut bindings = Arc::new(bind(&snapshot, &config));
        made.planned_with(&snapshot, &bindings, &mut facts);
        // butler's own push comes first: most lines are current then.
        let own = files.after(&made.planned(&files).changes).0;
        let own = std::iter::once((Push::Files(own), None));
        for (push, other_config) in own.chain(pushes) {
            let after = push.onto(&files);
            let fresh = after.snapshot();
            let all = files.0.keys().chain(after.0.keys());
            let changed: BTreeSet<&str> =
                all.filter(|file| files.0.get(*file) != after.0.get(*file)).map(String::as_str).collect();
            // As a reader does it: what did not change is the same scan.
            let mut followed = snapshot.clone();
            for file in &changed {
                followed.scans.remove(file);
                match fresh.entries.get(file) {
                    Some(entry) => drop(followed.entries.insert((*file).into(), entry.clone())),
                    None => drop(followed.entries.remove(file)),
                }
                if let Some(scan) = fresh.scans.get(file) {
                    followed.scans.insert((*file).into(), scan.clone());
                }
            }
            let next = other_config.unwrap_or_else(|| config.clone());
            bindings = bindings.follow(&snapshot, &followed, changed.iter().copied(), (&config, &next));
            (snapshot, files, config) = (followed, after, next);
            let plan = made.planned_with(&snapshot, &bindings, &mut facts);
            let anew = Made { config: config.clone(), ..made.clone() };
            prop_assert_eq!(plan, anew.planned(&files), "after {:?}", push);
        }
    }
}

#[derive(Clone, Debug)]
enum Push {
    Files(BTreeMap<String, String>),
    /// The policy's digests are reflected otherwise, and nothing else is.
    Reflection(&'static str),
    Removal(prop::sample::Index),
}

fn push() -> impl Strategy<Value = Push> {
    let some = (repository(), prop::collection::vec(any::<bool>(), 20)).prop_map(|(other, taken)| {
        let taken = other.files.0.into_iter().zip(taken).filter(|(_, taken)| *taken);
        Push::Files(taken.map(|(file, _)| file).collect())
    });
    let reflection = prop::sample::select(&["Never", "IfNotPresent", "Always"]).prop_map(Push::Reflection);
    prop_oneof![2 => some, 1 => reflection, 1 => any::<prop::sample::Index>().prop_map(Push::Removal)]
}

impl Push {
    fn onto(&self, files: &Files) -> Files {
        let mut after = files.clone();
        match self {
            Push::Files(pushed) => after.0.extend(pushed.clone()),
            Push::Reflection(reflection) => {
                let field = Regex::new("digestReflectionPolicy: [A-Za-z]+").unwrap();
                for text in after.0.values_mut() {
                    *text = field.replace(text, format!("digestReflectionPolicy: {reflection}")).into_owned();
                }
            }
            Push::Removal(which) => {
                let file = after.0.keys().nth(which.index(after.0.len().max(1))).cloned();
                file.map(|file| after.0.remove(&file));
            }
        }
        after
    }
}

/// Each dialect has its share in the cases above.
#[test]
fn the_repositories_made_here_do_have_updates() {
    let mut runner = proptest::test_runner::TestRunner::deterministic();
    let mut found: BTreeMap<&str, usize> = BTreeMap::new();
    for _ in 0..400 {
        let made = repository().new_tree(&mut runner).unwrap().current();
        let plan = made.planned(&made.files);
        *found.entry("skipped").or_default() += plan.skipped.len();
        let conflicts = plan.skipped.iter().filter(|skip| skip.code == "policy-conflict");
        *found.entry("conflict").or_default() += conflicts.count();
        for change in &plan.changes {
            let key = change.policy.as_deref().unwrap_or_default();
            let text = &made.files.0.get(&*change.line.file).map(String::as_str).unwrap_or_default();
            let before = text.lines().nth(change.position.line - 1).unwrap_or_default();
            for (shape, there) in [
                ("json", change.line.file.ends_with(".json")),
                ("kustomize images", before.contains("newTag: ")),
                ("helm values", format!("{:?}", change.line.path).contains("\"values\"")),
                ("flow style", before.starts_with("  image:  '")),
                ("anchor", before.contains(" &")),
                (
                    "grown patch",
                    change.line.file.ends_with(PATCH) && change.edit.span.start > 0 && change.edit.old.is_empty(),
                ),
                ("patched value", change.line.file.ends_with(PATCH) && !change.edit.old.is_empty()),
                ("byte order mark", text.starts_with('\u{feff}')),
            ] {
                *found.entry(shape).or_default() += usize::from(there);
            }
            let dialect = match key {
                _ if change.line.file.ends_with(PATCH) => "patch file",
                "ns:app" | "ns:x-app" | "other:app" => "marker",
                "ns:p" => "annotation",
                _ if key.starts_with("butler.yaml:") => "native",
                _ => "flux v1",
            };
            *found.entry(dialect).or_default() += 1;
            *found.entry("written by flux").or_default() += usize::from(change.shadowed.is_some());
            *found.entry("down").or_default() += usize::from(change.downgrade);
        }
    }
    let dialects = ["patch file", "marker", "annotation", "native", "flux v1"];
    let shapes = ["json", "kustomize images", "helm values", "flow style", "anchor", "byte order mark"];
    let patches = ["grown patch", "patched value"];
    for what in
        ["skipped", "conflict", "written by flux", "down"].iter().chain(&dialects).chain(&shapes).chain(&patches)
    {
        assert!(found.get(what).is_some_and(|count| *count >= 3), "{what}: {found:?}");
    }
    assert!(Repository::parse(LILLY).is_ok());
}
