//! Every edit names the environments that render its line; what more environments render than agree is not written.

use super::update::{POLICY, now};
use crate::engine::{
    config::{Config, Downgrade, parse},
    dialect::bind,
    image::{Repository, Tag},
    memory::Memory,
    plan::{Fact, Facts, Planned, Scope, UpdateInputs, UpdatePlan, update},
    testing::Files,
};
use proptest::prelude::*;
use std::{collections::BTreeMap, sync::Arc};

const LINE: &str = "kind: ConfigMap\ndata:\n  image: example.com/app:1.0.0 # {\"$imagepolicy\": \"ns:app\"}\n";

/// A chain from environments to shared files: how each environment brings the base along.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Way {
    /// Not at all.
    None,
    /// `resources: [../../base]`
    Resource,
    /// Through an overlay between them.
    Overlay,
    /// As a component.
    Component,
    /// A Flux Kustomization with the base's path.
    Flux,
    /// A HelmRelease whose chart is the base's folder.
    Chart,
    /// A Flux Kustomization with the path of an overlay, which has the base.
    FluxOverlay,
    /// A patch of one of the base's files.
    Patch,
}

fn way() -> impl Strategy<Value = Way> {
    prop::sample::select(vec![
        Way::None,
        Way::Resource,
        Way::Overlay,
        Way::Component,
        Way::Flux,
        Way::Chart,
        Way::FluxOverlay,
        Way::Patch,
    ])
}

const ENVIRONMENTS: [&str; 3] = ["dev", "stage", "prod"];

fn repository(ways: [Way; 3]) -> Files {
    let component = ways.contains(&Way::Component);
    let base = match component {
        true => "apiVersion: kustomize.config.k8s.io/v1alpha1\nkind: Component\nresources: [app.yaml]\n",
        false => "resources: [app.yaml]\n",
    };
    let mut files = Files::of([
        ("flux/policy.yaml", POLICY),
        ("base/app.yaml", LINE),
        ("base/kustomization.yaml", base),
        ("overlay/kustomization.yaml", "components: [../base]\nresources: [../base]\n"),
    ]);
    for (environment, way) in ENVIRONMENTS.iter().zip(ways) {
        let own = format!("envs/{environment}/own.yaml");
        files.0.insert(own, LINE.to_owned());
        let (name, text) = match way {
            Way::None => ("kustomization.yaml", "resources: [own.yaml]\n".to_owned()),
            Way::Resource => ("kustomization.yaml", "resources: [own.yaml, ../../base]\n".into()),
            Way::Overlay => ("kustomization.yaml", "resources: [own.yaml, ../../overlay/]\n".into()),
            Way::Component => ("kustomization.yaml", "resources: [own.yaml]\ncomponents: [../../base]\n".into()),
            Way::Patch => ("kustomization.yaml", "resources: [own.yaml]\npatches: [{path: ../../base/app.yaml}]\n".into()),
            Way::Flux => (
                "base.yaml",
                "apiVersion: kustomize.toolkit.fluxcd.io/v1\nkind: Kustomization\nmetadata: {name: base}\nspec: {path: ./base, sourceRef: {kind: GitRepository, name: x}}\n".into(),
            ),
            Way::FluxOverlay => (
                "overlay.yaml",
                "apiVersion: kustomize.toolkit.fluxcd.io/v1\nkind: Kustomization\nmetadata: {name: overlay}\nspec: {path: ./overlay, sourceRef: {kind: GitRepository, name: x}}\n".into(),
            ),
            Way::Chart => (
                "release.yaml",
                "apiVersion: helm.toolkit.fluxcd.io/v2\nkind: HelmRelease\nmetadata: {name: app}\nspec: {chart: {spec: {chart: ./base, sourceRef: {kind: GitRepository, name: x}}}}\n".into(),
            ),
        };
        files.0.insert(format!("envs/{environment}/{name}"), text);
    }
    files
}

fn unmarked(mut files: Files) -> Files {
    for text in files.0.values_mut() {
        *text = text.replace(LINE, "image: example.com/app:1.0.0\n");
    }
    files
}

/// A butler.yaml whose policy is followed by `dev`, and by such of the others as say so.
fn native(follow: [bool; 2]) -> Config {
    let others = ENVIRONMENTS[1..].iter().zip(follow).filter(|(_, follows)| *follows);
    let names: Vec<&str> = std::iter::once("dev").chain(others.map(|(name, _)| *name)).collect();
    let text = format!(
        "version: 1\nenvironments: {{dev: {{path: [envs/dev, base]}}, stage: {{path: envs/stage}}, prod: {{path: \
         envs/prod}}}}\nimages: [{{image: example.com/app, environments: [{}], policy: {{semver: 1.x}}}}]\n",
        names.join(", ")
    );
    parse("butler.yaml", &text).unwrap()
}

/// The plan of `dev`, which holds the base.
fn planned(files: &Files, config: &Config, automatic: [bool; 2]) -> UpdatePlan {
    let snapshot = files.snapshot();
    let mut facts = Facts::default();
    let tags = ["1.2.0", "1.0.0"].map(Tag::named).to_vec();
    facts
        .tags
        .insert(Repository::parse("example.com/app").unwrap(), Fact::Known { value: Arc::new(tags), as_of: now() });
    let stage = |file: &str| file.starts_with("envs/stage/");
    let prod = |file: &str| file.starts_with("envs/prod/");
    let planned = update(&UpdateInputs {
        environment: Scope {
            name: "dev",
            contains: &|file| file.starts_with("envs/dev/") || file.starts_with("base/"),
            automatic: true,
        },
        others: &[
            Scope { name: "stage", contains: &stage, automatic: automatic[0] },
            Scope { name: "prod", contains: &prod, automatic: automatic[1] },
        ],
        branch: "main",
        snapshot: &snapshot,
        bindings: &bind(&snapshot, config),
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
    fn every_edit_is_attributed(
        ways in [way(), way(), way()],
        automatic in any::<[bool; 2]>(),
        follow in proptest::option::of(any::<[bool; 2]>()),
    ) {
        // By a marker, which all environments follow, or by a policy of butler.yaml, which says who follows it.
        let (files, config) = match follow {
            None => (repository(ways), Config::whole_repository()),
            Some(follow) => (unmarked(repository(ways)), native(follow)),
        };
        let plan = planned(&files, &config, automatic);
        let willing = [0, 1].map(|other| automatic[other] && follow.is_none_or(|follow| follow[other]));
        let environments: BTreeMap<&str, &[String]> =
            plan.changes.iter().map(|change| (change.line.file.as_str(), change.environments.as_slice())).collect();

        // What only dev renders is dev's alone.
        prop_assert_eq!(environments.get("envs/dev/own.yaml"), Some(&&[][..]));
        prop_assert!(plan.changes.iter().all(|change| !change.line.file.starts_with("envs/prod")));

        let others: Vec<usize> = [1, 2].into_iter().filter(|other| ways[*other] != Way::None).collect();
        let by_hand: Vec<usize> = others.iter().copied().filter(|other| !willing[other - 1]).collect();
        if by_hand.is_empty() {
            let mut expected: Vec<String> = Vec::new();
            if !others.is_empty() {
                expected.push("dev".into());
                expected.extend(others.iter().map(|other| ENVIRONMENTS[*other].to_owned()));
            }
            prop_assert_eq!(environments.get("base/app.yaml"), Some(&expected.as_slice()), "{:?}", ways);
        } else {
            prop_assert_eq!(environments.get("base/app.yaml"), None, "{:?}", ways);
            let skip = plan.skipped.iter().find(|skip| skip.file == "base/app.yaml").unwrap();
            prop_assert_eq!(&skip.code, "shared-line");
            for other in by_hand {
                prop_assert!(skip.reason.contains(ENVIRONMENTS[other]), "{}", skip.reason);
            }
        }
    }
}

#[test]
fn clusters_that_follow_different_policies_do_not_agree() {
    let patch = "apiVersion: image.toolkit.fluxcd.io/v1\nkind: ImagePolicy\nmetadata: {name: app}\nspec: {policy: {semver: {range: '>=1.1'}}}\n";
    let files = repository([Way::Resource, Way::None, Way::Resource]).with([
        ("flux/kustomization.yaml", "resources: [policy.yaml]\n"),
        ("envs/dev/kustomization.yaml", "resources: [own.yaml, ../../base, ../../flux]\n"),
        (
            "envs/prod/kustomization.yaml",
            "resources: [own.yaml, ../../base, ../../flux]\npatches: [{path: range.yaml}]\n",
        ),
        ("envs/prod/range.yaml", patch),
        ("base/apart.yaml", LINE),
    ]);
    let plan = planned(&files, &Config::whole_repository(), [true, true]);
    let of_base: Vec<String> =
        plan.skipped.iter().filter(|skip| skip.file == "base/app.yaml").map(|skip| skip.code.to_string()).collect();
    // Which of the two a shared line follows cannot even be told.
    assert_eq!(of_base, ["policy-ambiguous"]);
    let why = |file: &str| plan.skipped.iter().find(|skip| skip.file == file).map(|skip| skip.reason.clone()).unwrap();
    assert!(why("base/app.yaml").contains("for clusters that all render this file;"), "{}", why("base/app.yaml"));
    let apart = why("base/apart.yaml");
    assert!(apart.contains("for clusters, and none of them is seen to render this file;"), "{apart}");
    assert!(plan.changes.iter().any(|change| change.line.file == "envs/dev/own.yaml"));
}

/// The cluster whose automation writes a line tells its policy; another that renders the line may follow another one.
#[test]
fn a_cluster_that_follows_another_policy_does_not_agree() {
    let automation = "apiVersion: image.toolkit.fluxcd.io/v1\nkind: ImageUpdateAutomation\nmetadata: {name: flux, namespace: ns}\nspec: {suspend: true, interval: 5m, sourceRef: {kind: GitRepository, name: flux-system}, git: {commit: {author: {email: flux@example.org}}}, update: {path: .}}\n";
    let overlay = |more: &str| format!("resources: [own.yaml, ../../base, policy.yaml{more}]\n");
    let differs = "environment prod renders this file too, and the policy ns:app differs between the clusters (see \
                   envs/prod/policy.yaml); ";
    for (from, to, expected) in [
        ("app", "app", ""),
        ("apiVersion", "# Another text of the same meaning.\napiVersion", ""),
        ("1.x", "1.0.x", differs),
        ("  policy:", "  suspend: true\n  policy:", differs),
        ("  policy:", "  digestReflectionPolicy: Always\n  interval: 1h\n  policy:", differs),
        ("example.com/app}", "example.com/app, exclusionList: [rc]}", differs),
        ("example.com/app}", "example.org/app}", differs),
    ] {
        let mut files = repository([Way::Resource, Way::None, Way::Resource]).with([
            ("envs/dev/policy.yaml", POLICY),
            ("envs/dev/automation.yaml", automation),
            ("envs/dev/kustomization.yaml", &overlay(", automation.yaml")),
            ("envs/prod/policy.yaml", &POLICY.replace(from, to)),
            ("envs/prod/kustomization.yaml", &overlay("")),
        ]);
        files.0.remove("flux/policy.yaml");
        let plan = planned(&files, &Config::whole_repository(), [true, true]);
        let skip = plan.skipped.iter().find(|skip| skip.file == "base/app.yaml");
        let reason = skip.map_or("", |skip| &skip.reason);
        assert!(reason.starts_with(expected) && reason.is_empty() == expected.is_empty(), "{to}: {reason:?}");
    }
}
