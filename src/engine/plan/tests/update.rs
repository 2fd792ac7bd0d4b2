//! What becomes of a line that follows a policy.

use crate::engine::{
    config::{Config, Downgrade},
    dialect::bind,
    image::{Repository, Tag},
    manifest::{FileKind, scan},
    memory::{Decline, Hold, Memory, PullRecord, Reach, line_key},
    plan::{Fact, Facts, ForeignCommit, Need, OwnWrite, Planned, Scope, UpdateInputs, UpdatePlan, update},
    snapshot::{Entry, EntryKind, Snapshot},
    testing::{Files, only_line},
};
use jiff::{SignedDuration, Timestamp};
use std::sync::Arc;

pub const DIGEST: &str = "sha256:aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa";
const OLDER: &str = "sha256:bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb";

pub const POLICY: &str = "\
apiVersion: image.toolkit.fluxcd.io/v1
kind: ImageRepository
metadata: {name: app, namespace: ns}
spec: {image: example.com/app}
---
apiVersion: image.toolkit.fluxcd.io/v1
kind: ImagePolicy
metadata: {name: app, namespace: ns}
spec:
  imageRepositoryRef: {name: app}
  policy: {semver: {range: 1.x}}
";

const APP: &str = "\
apiVersion: apps/v1
kind: Deployment
metadata: {name: web}
spec:
  template:
    spec:
      containers:
      - name: c
        image: example.com/app:1.0.0 # {\"$imagepolicy\": \"ns:app\"}
";

const AUTOMATION: &str = "\
apiVersion: image.toolkit.fluxcd.io/v1
kind: ImageUpdateAutomation
metadata: {name: flux, namespace: ns}
spec: {interval: 5m, sourceRef: {kind: GitRepository, name: flux-system}, git: {commit: {author: {email: flux@example.org}}}, update: {path: ./apps}}
";

pub fn now() -> Timestamp {
    "2026-03-01T12:00:00Z".parse().unwrap()
}

/// Whether an outcome is the expected one, whose ending of dots leaves the rest open.
pub fn is_as(outcome: &str, expected: &str) -> bool {
    expected.strip_suffix('…').map_or(outcome == expected, |beginning| outcome.starts_with(beginning))
}

/// One environment, `apps/dev`, with one line; each case says what is other than plain.
#[derive(Clone)]
pub struct World {
    pub files: Files,
    pub symlinks: Vec<&'static str>,
    pub tags: Option<Fact<Arc<Vec<Tag>>>>,
    pub digest: Option<Fact<Option<String>>>,
    pub memory: Memory,
    pub writes: Option<Fact<Arc<Vec<OwnWrite>>>>,
    flux_v1: Option<Fact<Option<ForeignCommit>>>,
    pub downgrade: Downgrade,
    pub edit_unparsed: bool,
    pub take_over: bool,
    pub others: &'static [&'static str],
    pub others_automatic: bool,
}

fn app() -> Repository {
    Repository::parse("example.com/app").unwrap()
}

fn known<T>(value: T) -> Option<Fact<T>> {
    Some(Fact::Known { value, as_of: now() })
}

fn not_given<T>() -> Option<Fact<T>> {
    Some(Fact::NotGiven { why: "none was given".into() })
}

fn away<T>() -> Option<Fact<T>> {
    Some(Fact::Unavailable { why: "503".into(), retry_at: None })
}

impl World {
    pub fn new() -> Self {
        World {
            files: Files::of([("flux/policy.yaml", POLICY), ("apps/dev/app.yaml", APP)]),
            symlinks: Vec::new(),
            tags: known(Arc::new(["2.0.0", "1.2.0", "1.1.0", "1.0.0"].map(Tag::named).to_vec())),
            digest: known(Some(DIGEST.to_owned())),
            memory: Memory::new(),
            writes: known(Arc::default()),
            flux_v1: known(None),
            downgrade: Downgrade::PullRequest,
            edit_unparsed: true,
            take_over: false,
            others: &[],
            others_automatic: false,
        }
    }

    /// With another text for the line's value, or for the line's whole file.
    fn app(mut self, from: &str, to: &str) -> Self {
        assert!(APP.contains(from));
        self.files = self.files.with([("apps/dev/app.yaml", &*APP.replace(from, to))]);
        self
    }

    fn policy(mut self, from: &str, to: &str) -> Self {
        assert!(POLICY.contains(from));
        self.files = self.files.with([("flux/policy.yaml", &*POLICY.replace(from, to))]);
        self
    }

    fn file(mut self, path: &str, text: &str) -> Self {
        self.files = self.files.with([(path, text)]);
        self
    }

    fn snapshot(&self) -> Snapshot {
        let mut snapshot = self.files.snapshot();
        for file in &self.symlinks {
            let blob = snapshot.blob(file).into();
            snapshot.entries.insert((*file).into(), Entry { blob, kind: EntryKind::Symlink });
        }
        snapshot
    }

    pub fn planned(&self) -> Planned<UpdatePlan> {
        let snapshot = self.snapshot();
        let mut facts = Facts::default();
        facts.tags.extend(self.tags.clone().map(|fact| (app(), fact)));
        for tag in ["1.2.0", "1.0.0"] {
            facts.digests.extend(self.digest.clone().map(|fact| ((app(), tag.to_owned()), fact)));
        }
        for file in self.files.0.keys() {
            facts.own_writes.extend(self.writes.clone().map(|fact| (("main".to_owned(), file.clone()), fact)));
        }
        facts.flux_v1.extend(self.flux_v1.clone().map(|fact| ("main".to_owned(), fact)));
        let others: Vec<Box<dyn Fn(&str) -> bool>> =
            self.others.iter().map(|folder| Box::new(move |file: &str| file.starts_with(folder)) as _).collect();
        let others: Vec<Scope<'_>> = self
            .others
            .iter()
            .zip(&others)
            .map(|(name, contains)| Scope { name, contains: &**contains, automatic: self.others_automatic })
            .collect();
        update(&UpdateInputs {
            environment: Scope { name: "dev", contains: &|file| file.starts_with("apps/dev/"), automatic: true },
            others: &others,
            branch: "main",
            snapshot: &snapshot,
            bindings: &bind(&snapshot, &Config::whole_repository()),
            memory: &self.memory,
            facts: &facts,
            now: now(),
            downgrade: self.downgrade,
            edit_unparsed: self.edit_unparsed,
            take_over: self.take_over,
            with_history: true,
        })
    }

    pub fn ready(&self) -> UpdatePlan {
        match self.planned() {
            Planned::Ready(plan) => plan,
            Planned::Needs(needs) => panic!("still needs {needs:?}"),
        }
    }

    /// `-> new`, `code: reason`, `current`, `needs …`: what becomes of the one line.
    fn outcome(&self) -> String {
        let plan = match self.planned() {
            Planned::Ready(plan) => plan,
            Planned::Needs(needs) => return format!("needs {needs:?}"),
        };
        let mut outcomes: Vec<String> = plan.changes.iter().map(|change| format!("-> {}", change.new)).collect();
        outcomes.extend(plan.skipped.iter().map(|skip| format!("{}: {}", skip.code, skip.reason)));
        outcomes.extend(std::iter::repeat_n("current".to_owned(), plan.current));
        outcomes.join("; ")
    }

    /// What butler wrote to the line, newest first: (minutes ago, before, after).
    fn wrote(mut self, writes: &[(i64, &str, &str)]) -> Self {
        let text = |value: &str| Arc::new(scan(FileKind::Yaml, APP.replace("1.0.0", value).as_bytes()));
        let writes = writes.iter().map(|(minutes, before, after)| OwnWrite {
            commit: "0123456789abcdef".into(),
            at: now() - SignedDuration::from_mins(*minutes),
            before: text(before),
            after: text(after),
        });
        self.writes = known(Arc::new(writes.collect()));
        self
    }

    fn held(mut self, environment: Option<&str>, component: Option<&str>, until: Option<Timestamp>) -> Self {
        self.memory.holds.push(Hold {
            scope: Reach {
                component: component.map(str::to_owned),
                environment: environment.map(str::to_owned),
                way: None,
            },
            until,
            reason: "fair".into(),
            by: "ann".into(),
            at: now(),
        });
        self
    }

    fn landed(mut self, value: &str) -> Self {
        let line = only_line(&self.snapshot(), "apps/dev/app.yaml");
        let mut record = PullRecord::of("update:dev");
        record.values.insert(line_key(&line), value.into());
        record.land(12, now());
        self.memory.pulls.insert("butler/update/dev".into(), record);
        self
    }

    fn declined(mut self, value: &str, ended: bool) -> Self {
        let line = only_line(&self.snapshot(), "apps/dev/app.yaml");
        self.memory.decline(Decline {
            what: line_key(&line),
            value: value.into(),
            why: "by hand".into(),
            by: None,
            at: now(),
            ended: None,
        });
        if ended {
            self.memory.declines[0].ended = Some(now());
        }
        self
    }
}

#[test]
fn one_line() {
    let world = World::new;
    let later = now() + SignedDuration::from_hours(1);
    let earlier = now() - SignedDuration::from_hours(1);
    let moves = "-> example.com/app:1.2.0";
    let pinned = format!("{moves}@{DIGEST}");
    let reflected = |when: &str| {
        world().policy("  policy:", &format!("  digestReflectionPolicy: {when}\n  interval: 1h\n  policy:"))
    };
    let lower = || world().app("1.0.0", "1.9.0");
    let six = [(5, "a", "b"), (10, "b", "a"), (15, "a", "b"), (20, "b", "a"), (25, "a", "b"), (30, "b", "a")];
    let flux = || world().file("flux/automation.yaml", AUTOMATION);
    #[rustfmt::skip]
    let cases: Vec<(&str, World, &str)> = vec![
        ("plain", world(), moves),
        ("already there", world().app("1.0.0", "1.2.0"), "current"),
        ("another spelling is kept", world().policy("example.com/app", "docker.io/library/app").app("example.com/app:1.0.0", "app:1.0.0"), "needs {Tags(Repository { host: \"docker.io\", path: \"library/app\" })}"),
        ("another repository is the policy's", world().app("example.com/app", "example.org/old"), moves),
        ("outside the environment", World { files: Files::of([("flux/policy.yaml", POLICY), ("apps/prod/app.yaml", APP)]), ..world() }, ""),
        // The policy.
        ("no policy", world().app("ns:app", "ns:nope"), "policy-unresolved: no ImagePolicy ns:nope in this repository"),
        ("policy in another namespace", world().app("ns:app", "xx:app"), "policy-unresolved: no ImagePolicy xx:app in this repository; there is ns:app in flux/policy.yaml"),
        ("two policies", world().file("flux/again.yaml", &POLICY.replace("1.x", "2.x")), "policy-ambiguous: ImagePolicy ns:app is defined in flux/again.yaml and in flux/policy.yaml, equally near to this file"),
        ("two that say the same", world().file("flux/again.yaml", POLICY), moves),
        ("bad range", world().policy("1.x", "one"), "policy-invalid: flux/policy.yaml:6:1: semver range \"one\": …"),
        ("no repository", world().policy("imageRepositoryRef: {name: app}", "imageRepositoryRef: {name: none}"), "policy-invalid: flux/policy.yaml:6:1: no ImageRepository ns:none in this repository…"),
        ("policy suspended", world().policy("  policy:", "  suspend: true\n  policy:"), "policy-suspended: ImagePolicy ns:app is suspended"),
        ("repository suspended", world().policy("{image: example.com/app}", "{image: example.com/app, suspend: true}"), "policy-suspended: ImageRepository ns:app is suspended"),
        // The registry.
        ("tags not asked", World { tags: None, ..world() }, "needs {Tags(…"),
        ("registry away", World { tags: away(), ..world() }, "registry-unavailable: 503"),
        ("tags not given", World { tags: not_given(), ..world() }, "not-given: none was given"),
        ("no match", world().policy("1.x", "9.x"), "no-match: 0 of 4 tags are versions in `9.x`…"),
        ("no tags", World { tags: known(Arc::default()), ..world() }, "no-match: there are no tags to choose from"),
        // The digest.
        ("never", reflected("Never"), moves),
        ("never: a pinned line loses its digest with its tag", world().app("1.0.0", &format!("1.0.0@{OLDER}")), moves),
        ("always", reflected("Always"), &pinned),
        ("always: the tag moved", reflected("Always").app("1.0.0", &format!("1.2.0@{OLDER}")), &pinned),
        ("if not present", reflected("IfNotPresent"), &pinned),
        ("if not present: it is there", reflected("IfNotPresent").app("1.0.0", &format!("1.2.0@{OLDER}")), "current"),
        ("if not present: a newer tag brings its own", reflected("IfNotPresent").app("1.0.0", &format!("1.0.0@{OLDER}")), &pinned),
        ("digest not asked", World { digest: None, ..reflected("Always") }, "needs {Digest {…"),
        ("digest away", World { digest: away(), ..reflected("Always") }, "registry-unavailable: 503"),
        ("digest not given", World { digest: not_given(), ..reflected("Always") }, "not-given: none was given"),
        ("no digest", World { digest: known(None), ..reflected("Always") }, "no-digest: example.com/app:1.2.0 has no digest"),
        ("a digest marker without one", world().app("image: example.com/app:1.0.0", &format!("digest: {OLDER}")).app_marker(":digest"), "no-digest: policy ns:app has no digest to write"),
        // The file.
        ("sops", world().app("spec:\n  template", "sops: {mac: x}\nspec:\n  template"), "sops: …"),
        ("a link", World { symlinks: vec!["apps/dev/app.yaml"], ..world() }, "symlink: …"),
        ("no YAML", world().app("spec:\n  template", "{{ if }}\nspec:\n  template"), moves),
        ("no YAML, left alone", World { edit_unparsed: false, ..world().app("spec:\n  template", "{{ if }}\nspec:\n  template") }, "unparsed-file: …"),
        ("a marker of the wrong kind", world().app("ns:app\"", "ns:app:tag\""), "marker-wrong-kind: …"),
        // Who else writes, and who else reads.
        ("no automation covers it", flux().file("flux/automation.yaml", &AUTOMATION.replace("./apps", "./other")), "outside-update-path: no ImageUpdateAutomation covers this file: spec.update.path is other"),
        ("covered by Flux", flux(), moves),
        ("another environment's folder", World { others: &["apps/"], ..world() }, "shared-line: environment apps/ renders this file too…"),
        ("another environment's kustomization", World { others: &["apps/prod/"], ..world().file("apps/prod/kustomization.yaml", "resources: [../dev/app.yaml]") }, "shared-line: environment apps/prod/…"),
        ("both updated automatically", World { others: &["apps/"], others_automatic: true, ..world() }, moves),
        ("one of them held", World { others: &["apps/"], others_automatic: true, ..world() }.held(Some("apps/"), None, None), "shared-line: environment apps/ renders this file too: …"),
        ("selected by no automation", flux().file("flux/automation.yaml", &AUTOMATION.replace("./apps}", "./apps}, policySelector: {matchLabels: {x: y}}")), "not-selected: …"),
        ("an automation of another branch", flux().file("flux/automation.yaml", &AUTOMATION.replace("./apps}", "./other}").replace("git: {", "git: {checkout: {ref: {branch: x}}, ")), moves),
        ("another environment beside it", World { others: &["apps/prod/"], ..world().file("apps/prod/kustomization.yaml", "resources: [app.yaml]") }, moves),
        // Down.
        ("down", lower(), moves),
        ("down, allowed", World { downgrade: Downgrade::Allow, ..lower() }, moves),
        ("down, denied", World { downgrade: Downgrade::Deny, ..lower() }, "downgrade: example.com/app:1.2.0 is lower than example.com/app:1.9.0…"),
        ("nothing stands there yet", World { downgrade: Downgrade::Deny, ..world().policy("semver: {range: 1.x}", "alphabetical: {order: asc}").app("image: example.com/app:1.0.0", "tag: ~") }.app_marker(":tag"), "-> 2.0.0"),
        // People.
        ("held", world().held(None, None, None), "held: held by ann since 2026-03-01 12:00 UTC: fair"),
        ("held here", world().held(Some("dev"), Some("web"), Some(later)), "held: held by ann since 2026-03-01 12:00 UTC until 2026-03-01 13:00 UTC: fair"),
        ("held elsewhere", world().held(Some("prod"), None, None), moves),
        ("another component held", world().held(None, Some("api"), None), moves),
        ("no longer held", world().held(None, None, Some(earlier)), moves),
        ("declined", world().declined("example.com/app:1.2.0", false), "declined: example.com/app:1.2.0 was declined (by hand)…"),
        ("another value declined", world().declined("example.com/app:1.1.0", false), moves),
        ("a decline that was ended", world().declined("example.com/app:1.2.0", true), moves),
        ("history not asked", World { writes: None, ..world() }, "needs {OwnWrites {…"),
        ("history away", World { writes: away(), ..world() }, "history-unavailable: 503"),
        ("set back by hand", world().wrote(&[(90, "1.0.0", "1.2.0")]), "declined: example.com/app:1.2.0 was declined (set back by hand after 0123456)…"),
        ("set back, and asked for again", world().wrote(&[(90, "1.0.0", "1.2.0")]).declined("example.com/app:1.2.0", true), moves),
        ("set back from an older one", world().wrote(&[(90, "1.0.0", "1.1.0")]), moves),
        ("not the last that was written", world().wrote(&[(80, "1.2.0", "1.1.0"), (90, "1.0.0", "1.2.0")]), moves),
        ("set back after a pull request", world().landed("example.com/app:1.2.0"), "declined: example.com/app:1.2.0 was declined (set back by hand after #12)…"),
        ("set back after a pull request with an older one", world().landed("example.com/app:1.1.0"), moves),
        // The breaker.
        ("written six times in an hour", world().wrote(&six), "circuit-breaker: 6 automatic changes of this line within an hour…"),
        ("written five times", world().wrote(&six[1..]), moves),
        ("a change of another line does not count", world().wrote(&[(5, "a", "a"); 9]), moves),
    ];
    for (name, world, expected) in cases {
        let outcome = world.outcome();
        assert!(is_as(&outcome, expected), "{name}: expected {expected:?}, found {outcome:?}");
    }
}

impl World {
    fn app_marker(mut self, suffix: &str) -> Self {
        for text in self.files.0.values_mut() {
            *text = text.replace("\"ns:app\"", &format!("\"ns:app{suffix}\""));
        }
        self
    }
}

#[test]
fn what_a_change_says() {
    let plan = World::new().ready();
    let [change] = &plan.changes[..] else { panic!("{plan:?}") };
    assert_eq!(plan.environment, "dev");
    assert_eq!((change.old.as_str(), change.new.as_str()), ("example.com/app:1.0.0", "example.com/app:1.2.0"));
    assert_eq!(change.policy.as_deref(), Some("ns:app"));
    assert_eq!(change.image, Some(app()));
    assert_eq!(change.component, "web");
    assert_eq!(change.position.to_string(), "9:16");
    assert!(!change.downgrade && change.shadowed.is_none());
    assert_eq!(change.reason, "1.2.0 is the highest of 3 versions in `1.x` (of 4 tags)");
}

#[test]
fn a_downgrade_is_flagged_unless_it_is_allowed() {
    let lower = World::new().app("1.0.0", "1.9.0");
    assert!(lower.ready().changes[0].downgrade);
    assert!(!World { downgrade: Downgrade::Allow, ..lower }.ready().changes[0].downgrade);
}

/// The digest of a lower version is that version, and the new name of an image has no use for the old one's tag.
#[test]
fn no_part_of_an_image_goes_down_alone() {
    let entry = |lines: &str| {
        let other = "- name: other\n  newTag: 1.0.0 # {\"$imagepolicy\": \"ns:app:tag\"}\n";
        World::new().file("apps/dev/kustomization.yaml", &format!("images:\n- name: app\n{lines}{other}"))
    };
    let marker = |part: &str| format!("# {{\"$imagepolicy\": \"ns:app:{part}\"}}");
    let tag = |value: &str| format!("  newTag: {value} {}\n", marker("tag"));
    let digest = format!("  digest: {OLDER} {}\n", marker("digest"));
    let name = format!("  newName: example.com/old {}\n", marker("name"));
    #[rustfmt::skip]
    let cases = [
        // lines, which of them (and the other entry's) are a downgrade
        (tag("1.9.0") + &digest, vec![true, true, false]),
        (digest.clone() + &tag("1.9.0"), vec![true, true, false]),
        (name + &tag("1.9.0"), vec![true, true, false]),
        (tag("1.1.0") + &digest, vec![false, false, false]),
        // Written as it is.
        (tag("1.2.0") + &digest, vec![false, false]),
    ];
    for (lines, expected) in cases {
        let world = entry(&lines).policy("  policy:", "  digestReflectionPolicy: Always\n  interval: 1h\n  policy:");
        let world = world.file("apps/dev/app.yaml", "");
        let lower: Vec<bool> = world.ready().changes.iter().map(|change| change.downgrade).collect();
        assert_eq!(lower, expected, "{lines}");
        let denied = World { downgrade: Downgrade::Deny, ..world }.ready();
        let skipped = denied.skipped.iter().filter(|skip| skip.code == "downgrade").count();
        assert_eq!(
            (skipped, denied.changes.len()),
            (expected.iter().filter(|lower| **lower).count(), expected.iter().filter(|lower| !**lower).count(),),
            "{lines}"
        );
    }
}

#[test]
fn who_writes_a_line_beside_butler() {
    let flux = World::new().file("flux/automation.yaml", AUTOMATION);
    let suspended = World::new().file("flux/automation.yaml", &AUTOMATION.replace("spec: {", "spec: {suspend: true, "));
    for (world, writer, automation) in [
        (flux.clone(), Some("Flux: ImageUpdateAutomation/ns/flux"), Some(0)),
        (World { take_over: true, ..flux }, None, Some(0)),
        (suspended, None, Some(0)),
        // Flux refuses it as it stands, and something that is not seen may complete it.
        (
            World::new().file("flux/automation.yaml", &AUTOMATION.replace("interval: 5m, ", "")),
            Some("Flux: ImageUpdateAutomation/ns/flux"),
            Some(0),
        ),
        (World::new(), None, None),
    ] {
        let change = &world.ready().changes[0];
        let by = change.shadowed.as_ref().map(|shadowed| shadowed.by.as_str());
        assert_eq!((by, change.automation), (writer, automation));
    }
}

/// When Flux v1 released something last, in hours before now.
#[test]
fn flux_v1_is_the_writer_while_it_releases() {
    let annotated =
        "metadata: {name: web, annotations: {fluxcd.io/automated: \"true\", fluxcd.io/tag.c: \"semver:1.x\"}}";
    let text = APP.replace("metadata: {name: web}", annotated).replace(" # {\"$imagepolicy\": \"ns:app\"}", "");
    let flux_v1 = World::new().file("apps/dev/app.yaml", &text);
    let by = Some("Flux v1: released 0123456 at 2026-02-28 12:00 UTC");
    for (world, hours, take_over, expected) in [
        (&flux_v1, Some(24), false, by),
        (&flux_v1, Some(24), true, None),
        (&flux_v1, Some(14 * 24), false, None),
        (&flux_v1, None, false, None),
        // It has no say where its annotations are not.
        (&World::new(), Some(24), false, None),
    ] {
        let at = |hours| now() - SignedDuration::from_hours(hours);
        let last = hours.map(|hours| ForeignCommit { commit: "0123456789".into(), at: at(hours) });
        let plan = World { flux_v1: known(last), take_over, ..world.clone() }.ready();
        let [change] = &plan.changes[..] else { panic!("{plan:?}") };
        assert_eq!(change.new, "example.com/app:1.2.0");
        assert_eq!(change.shadowed.as_ref().map(|shadowed| shadowed.by.as_str()), expected, "{hours:?} {take_over}");
    }
    let Planned::Needs(needs) = (World { flux_v1: None, ..flux_v1 }).planned() else { panic!("nothing is asked") };
    assert_eq!(needs.into_iter().collect::<Vec<_>>(), [Need::FluxV1 { branch: "main".into() }]);
}

#[test]
fn lines_of_another_writer_are_counted() {
    let flux = World::new().file("flux/automation.yaml", AUTOMATION);
    let unresolved = |world: World| world.app_marker("-none");
    for (world, expected) in [
        (flux.clone(), (0, 0, 1)),
        (flux.clone().app("1.0.0", "1.2.0"), (1, 0, 0)),
        (unresolved(flux.clone()), (0, 1, 0)),
        (World { take_over: true, ..flux.app("1.0.0", "1.2.0") }, (0, 0, 0)),
        (World::new().app("1.0.0", "1.2.0"), (0, 0, 0)),
        (unresolved(World::new()), (0, 0, 0)),
    ] {
        let plan = world.ready();
        let shadowed = plan.changes.iter().filter(|change| change.shadowed.is_some()).count();
        assert_eq!((plan.agree, plan.uncompared, shadowed), expected, "{plan:?}");
    }
}

#[test]
fn a_hand_edit_is_told_once() {
    let world = World::new().wrote(&[(90, "1.0.0", "1.2.0")]);
    let line = only_line(&world.snapshot(), "apps/dev/app.yaml");
    let decline = Decline {
        what: line_key(&line),
        value: "example.com/app:1.2.0".into(),
        why: "set back by hand after 0123456".into(),
        by: None,
        at: now(),
        ended: None,
    };
    assert_eq!(world.ready().hand_edits, [decline]);
    // Once it is remembered it is a decline like any other.
    assert_eq!(world.declined("example.com/app:1.2.0", false).ready().hand_edits, []);
}

#[test]
fn every_question_is_asked_at_once() {
    let other = POLICY.replace("name: app", "name: api").replace("example.com/app", "example.com/api");
    let line = APP.replace("ns:app", "ns:api").replace("web", "api");
    let world = World { tags: None, ..World::new().file("flux/api.yaml", &other).file("apps/dev/api.yaml", &line) };
    let Planned::Needs(needs) = world.planned() else { panic!("{:?}", world.planned()) };
    let tags = |image: &str| Need::Tags(Repository::parse(image).unwrap());
    assert_eq!(needs.into_iter().collect::<Vec<_>>(), [tags("example.com/api"), tags("example.com/app")]);
}
