//! Which lines of a target take which version of the source.

use super::update::{DIGEST, now};
use crate::engine::{
    config::{Config, PathPattern, Write},
    dialect::bind,
    memory::{Decline, Hold, Memory, PullRecord, Reach, Way, promotion_key},
    plan::{Fact, Facts, Planned, PromotionInputs, PromotionPlan, Scope, Side, promotion},
    testing::{Files, only_line},
};
use std::sync::Arc;

const NAME: &str = "dev-to-prod";

/// A Deployment of this name with one container of this image.
fn workload(name: &str, image: &str) -> String {
    format!(
        "apiVersion: apps/v1\nkind: Deployment\nmetadata: {{name: {name}}}\nspec:\n  template:\n    spec:\n      \
         containers:\n      - name: c\n        image: {image}\n"
    )
}

fn kustomization(image: &str, rest: &str) -> String {
    format!("resources: [base]\nimages:\n- name: {image}\n{rest}")
}

struct Edge {
    files: Files,
    memory: Memory,
    target_updates: bool,
    components: Vec<String>,
    write: Write,
}

impl Edge {
    fn of(files: &[(&str, &str)]) -> Self {
        let files = Files::of(files.iter().copied());
        Edge { files, memory: Memory::new(), target_updates: false, components: Vec::new(), write: Write::PullRequest }
    }

    fn held(mut self, environment: &str) -> Self {
        let scope = Reach { environment: Some(environment.into()), ..Reach::default() };
        self.memory.holds.push(Hold { scope, until: None, reason: String::new(), by: "ann".into(), at: now() });
        self
    }

    fn by_commit(mut self) -> Self {
        self.write = Write::Commit;
        self
    }

    /// Only the promotion of that name is held.
    fn held_itself(self, name: &str) -> Self {
        let mut edge = self.held("prod");
        edge.memory.holds[0].scope.way = Some(Way::Promotion { name: name.into(), from: "dev".into() });
        edge
    }

    fn declined(mut self, value: &str) -> Self {
        let line = only_line(&self.files.snapshot(), "prod/a.yaml");
        self.memory.decline(Decline {
            what: promotion_key(NAME, &line),
            value: value.into(),
            why: "#7 closed by ann".into(),
            by: None,
            at: now(),
            ended: None,
        });
        self
    }

    fn plan(&self) -> PromotionPlan {
        let snapshot = self.files.snapshot();
        let mut facts = Facts::default();
        for file in self.files.0.keys() {
            facts.own_writes.insert(("main".into(), file.clone()), Fact::Known { value: Arc::default(), as_of: now() });
        }
        let folder = |path: &str| PathPattern::new(path, "").unwrap();
        let (dev, prod) = (folder("dev"), folder("prod"));
        let (from, to) = (|file: &str| dev.relative(file), |file: &str| prod.relative(file));
        let (in_dev, in_test) = (|file: &str| file.starts_with("dev/"), |file: &str| file.starts_with("test/"));
        let planned = promotion(&PromotionInputs {
            name: NAME,
            from: Side { environment: "dev", branch: "main", snapshot: &snapshot, relative: &from },
            to: Side { environment: "prod", branch: "main", snapshot: &snapshot, relative: &to },
            others: &[
                Scope { name: "dev", contains: &in_dev, automatic: true },
                Scope { name: "test", contains: &in_test, automatic: true },
            ],
            bindings: &bind(&snapshot, &Config::whole_repository()),
            write: self.write,
            target_updates: self.target_updates,
            memory: &self.memory,
            facts: &facts,
            now: now(),
            automatic: false,
            components: &self.components,
        });
        match planned {
            Planned::Ready(plan) => plan,
            Planned::Needs(needs) => panic!("still needs {needs:?}"),
        }
    }

    /// What the pull request of this edge brought to the target's line, once.
    fn landed(mut self, value: &str) -> Self {
        let line = only_line(&self.files.snapshot(), "prod/a.yaml");
        let mut record = PullRecord::of(NAME);
        record.values.insert(promotion_key(NAME, &line), value.into());
        record.land(12, now());
        self.memory.pulls.insert("head".into(), record);
        self
    }

    fn outcome(&self) -> String {
        let plan = self.plan();
        let mut outcomes: Vec<String> = plan
            .changes
            .iter()
            .map(|change| {
                let too: String = change.environments.iter().map(|name| format!(" {name}")).collect();
                format!("{} -> {}{too}", change.line.file, change.new)
            })
            .collect();
        outcomes.extend(plan.skipped.iter().map(|skip| format!("{}: {}", skip.code, skip.reason)));
        outcomes.join("; ")
    }
}

#[test]
fn one_line() {
    let v = |version: &str| workload("web", &format!("example.com/app:{version}"));
    let (old, new) = (v("1"), v("2"));
    let same = || Edge::of(&[("dev/a.yaml", &new), ("prod/a.yaml", &old)]);
    let api = workload("api", "example.com/api:2");
    let marked = format!("{} # {{\"$imagepolicy\": \"ns:app\"}}\n", old.trim_end());
    let pinned = v(&format!("2@{DIGEST}"));
    let tag = |tag: &str| kustomization("example.com/app", &format!("  newTag: {tag}\n"));
    let digest = kustomization("example.com/app", &format!("  digest: {DIGEST}\n"));
    let old_digest = kustomization("example.com/app", &format!("  digest: {}\n", DIGEST.replace('a', "b")));
    let shared = |kustomization: &str, resource: &str| {
        let text = format!("resources: [{resource}]\n");
        Edge::of(&[("dev/a.yaml", &new), ("prod/a.yaml", &old), (kustomization, &text)])
    };
    let (to_digest, to_pinned) =
        (format!("prod/kustomization.yaml -> {DIGEST}"), format!("prod/a.yaml -> example.com/app:2@{DIGEST}"));
    #[rustfmt::skip]
    let cases: Vec<(&str, Edge, &str)> = vec![
        ("same file and object", same(), "prod/a.yaml -> example.com/app:2"),
        ("the same version", Edge::of(&[("dev/a.yaml", &new), ("prod/a.yaml", &new)]), ""),
        ("another file, same object", Edge::of(&[("dev/x.yaml", &new), ("prod/a.yaml", &old)]), "prod/a.yaml -> example.com/app:2"),
        ("the same file goes first", Edge::of(&[("dev/a.yaml", &new), ("dev/x.yaml", &v("3")), ("prod/a.yaml", &old)]), "prod/a.yaml -> example.com/app:2"),
        ("two of that name, in other files", Edge::of(&[("dev/x.yaml", &new), ("dev/y.yaml", &v("3")), ("prod/a.yaml", &old)]), ""),
        ("another object", Edge::of(&[("dev/a.yaml", &api), ("prod/a.yaml", &old)]), ""),
        ("another kind", Edge::of(&[("dev/a.yaml", &new.replace("Deployment", "DaemonSet")), ("prod/a.yaml", &old)]), ""),
        ("another container", Edge::of(&[("dev/a.yaml", &new.replace("name: c", "name: d")), ("prod/a.yaml", &old)]), ""),
        ("another image", Edge::of(&[("dev/a.yaml", &workload("web", "example.com/other:2")), ("prod/a.yaml", &old)]),
            "different-image: the source runs example.com/other, this line runs example.com/app"),
        ("the target's spelling stays", Edge::of(&[("dev/a.yaml", &workload("web", "docker.io/library/nginx:2")), ("prod/a.yaml", &workload("web", "nginx:1"))]),
            "prod/a.yaml -> nginx:2"),
        ("with its digest", Edge::of(&[("dev/a.yaml", &pinned), ("prod/a.yaml", &old)]), &to_pinned),
        ("a source without digest takes the target's away", Edge::of(&[("dev/a.yaml", &new), ("prod/a.yaml", &v(&format!("1@{DIGEST}")))]), "prod/a.yaml -> example.com/app:2"),
        ("a source without version", Edge::of(&[("dev/a.yaml", &workload("web", "example.com/app")), ("prod/a.yaml", &old)]),
            "no-version: \"example.com/app\" names no version"),
        ("kustomize's tag", Edge::of(&[("dev/kustomization.yaml", &tag("v2")), ("prod/kustomization.yaml", &tag("v1"))]), "prod/kustomization.yaml -> v2"),
        ("kustomize's digest", Edge::of(&[("dev/kustomization.yaml", &digest), ("prod/kustomization.yaml", &old_digest)]), &to_digest),
        ("kustomizations of other folders", Edge::of(&[("dev/x/kustomization.yaml", &tag("v2")), ("prod/y/kustomization.yaml", &tag("v1"))]), ""),
        ("kustomize's other image", Edge::of(&[("dev/kustomization.yaml", &tag("v2").replace("example.com/app", "example.com/api")), ("prod/kustomization.yaml", &tag("v1"))]), ""),
        ("rendered elsewhere too, in a pull request", shared("test/kustomization.yaml", "../prod/a.yaml"), "prod/a.yaml -> example.com/app:2 prod test"),
        ("rendered elsewhere too, by commit", shared("test/kustomization.yaml", "../prod/a.yaml").by_commit(),
            "shared-line: environment test renders this file too; give each environment a value of its own, in a patch, or promote by pull request (write: pull-request)"),
        ("rendered by the source too, by commit", shared("dev/kustomization.yaml", "../prod/a.yaml").by_commit(),
            "shared-line: environment dev renders this file too; give each environment a value of its own, in a patch, or promote by pull request (write: pull-request)"),
        ("rendered elsewhere too, and held there", shared("test/kustomization.yaml", "../prod/a.yaml").held("test"),
            "shared-line: environment test renders this file too: held by ann since 2026-03-01 12:00 UTC"),
        ("rendered by the target alone, by commit", shared("prod/kustomization.yaml", "a.yaml").by_commit(), "prod/a.yaml -> example.com/app:2"),
        ("another file rendered elsewhere, by commit", shared("test/kustomization.yaml", "../dev/a.yaml").by_commit(), "prod/a.yaml -> example.com/app:2"),
        ("held in the target", same().held("prod"), "held: held by ann since 2026-03-01 12:00 UTC"),
        ("held in the source", same().held("dev"), "held: held by ann since 2026-03-01 12:00 UTC"),
        ("held itself", same().held_itself(NAME), "held: held by ann since 2026-03-01 12:00 UTC"),
        ("another promotion held", same().held_itself("other"), "prod/a.yaml -> example.com/app:2"),
        ("held elsewhere", same().held("test"), "prod/a.yaml -> example.com/app:2"),
        ("declined", same().declined("example.com/app:2"), "declined: example.com/app:2 was declined (#7 closed by ann); a newer version, /resume or /promote ends that"),
        ("an older one declined", same().declined("example.com/app:1.5"), "prod/a.yaml -> example.com/app:2"),
        ("set back by hand", same().landed("example.com/app:2"), "declined: example.com/app:2 was declined (set back by hand after #12); a newer version, /resume or /promote ends that"),
        ("set back from an older one", same().landed("example.com/app:1.5"), "prod/a.yaml -> example.com/app:2"),
        ("follows a policy", Edge { target_updates: true, ..Edge::of(&[("dev/a.yaml", &new), ("prod/a.yaml", &marked)]) }, "follows-policy: prod updates this line by its own policy"),
        ("a marker that nothing follows", Edge::of(&[("dev/a.yaml", &new), ("prod/a.yaml", &marked)]), "prod/a.yaml -> example.com/app:2"),
        ("this component", Edge { components: vec!["web".into()], ..same() }, "prod/a.yaml -> example.com/app:2"),
        ("another component", Edge { components: vec!["api".into()], ..same() }, ""),
        ("sops", Edge::of(&[("dev/a.yaml", &new), ("prod/a.yaml", &format!("{old}sops: {{mac: x}}\n"))]), "sops: the file is encrypted with SOPS; any change would break its MAC"),
    ];
    for (name, edge, expected) in cases {
        assert_eq!(edge.outcome(), expected, "{name}");
    }
}

#[test]
fn carrying_again_carries_nothing() {
    let edge = Edge::of(&[
        ("dev/a.yaml", &workload("web", "example.com/app:2")),
        ("prod/a.yaml", &workload("web", "example.com/app:1")),
    ]);
    let plan = edge.plan();
    assert_eq!((plan.from.as_str(), plan.to.as_str(), plan.name.as_str()), ("dev", "prod", NAME));
    assert_eq!(plan.changes[0].reason, "dev runs it");
    let after = Edge { files: edge.files.after(&plan.changes), ..edge };
    assert_eq!(after.plan().changes, []);
    assert_ne!(after.plan().hash, plan.hash);
}

#[test]
fn a_lower_version_is_told_apart() {
    for (source, target, lower) in [
        ("1.2.0", "1.3.0", true),
        ("1.10.0", "1.9.0", false),
        ("v1.2.0", "1.3.0", true),
        ("1.3.0-rc.1", "1.3.0", true),
        ("main-7", "main-9", false),
        ("1.2.0", "main-9", false),
    ] {
        let v = |version: &str| workload("web", &format!("example.com/app:{version}"));
        let plan = Edge::of(&[("dev/a.yaml", &v(source)), ("prod/a.yaml", &v(target))]).plan();
        let [change] = &plan.changes[..] else { panic!("one change: {:?}", plan.changes) };
        assert_eq!(change.downgrade, lower, "{target} -> {source}");
    }
}
