//! butler.yaml as people write it, and what they are told about it.

mod documented;
mod faults;

use super::*;
use std::time::Duration;

/// The errors of a text, without the file's name, one a line.
fn errors(text: &str) -> String {
    match parse("butler.yaml", text) {
        Ok(_) => "no error".into(),
        Err(errors) => {
            let lines = errors.iter().map(|error| error.to_string().replacen("butler.yaml:", "", 1));
            lines.collect::<Vec<_>>().join("\n")
        }
    }
}

fn valid(text: &str) -> Config {
    parse("butler.yaml", text).unwrap_or_else(|errors| panic!("{errors:#?}\n{text}"))
}

/// A valid file around one environment's keys.
fn environment(keys: &str) -> String {
    format!("version: 1\nenvironments:\n  dev: {{{keys}}}\n")
}

/// A valid file around top-level lines that stand from line 3 on.
fn file(rest: &str) -> String {
    format!("version: 1\nenvironments: {{dev: {{path: dev}}, qa: {{path: qa}}, prod: {{path: prod}}}}\n{rest}\n")
}

fn promotions(rest: &str) -> String {
    file(&format!("promotions:\n  - {rest}"))
}

#[test]
fn the_message_names_file_line_and_column() {
    let errors = parse(".github/butler.yaml", "version: 1\nenviroments: {}\n").unwrap_err();
    let told: Vec<String> = errors.iter().map(ToString::to_string).collect();
    insta::assert_snapshot!(told.join("\n"), @r#"
    .github/butler.yaml:1:1: the key "environments" is missing
    .github/butler.yaml:2:1: unknown key "enviroments"; did you mean "environments"?
    "#);
}

#[test]
fn all_faults_are_told_in_one_go() {
    insta::assert_snapshot!(errors(
        "version: 1
environments:
  dev:
    pathes: [dev]
    update: off
    protect: {approvals: {count: none}}
  prod: {path: ../prod}
promotions:
  - {name: up, from: dev, to: porduction, mode: version}
updates: {quiet: 10}
"
    ), @r#"
    4:5: environments.dev: unknown key "pathes"; did you mean "path"?
    5:13: environments.dev.update: expected auto, commit, pull-request, external or none, found "off" (YAML reads off as false); the word for it is "none"
    6:34: environments.dev.protect.approvals.count: expected a whole number from 1, found "none"
    7:16: environments.prod.path: expected a path within the repository, found .. in "../prod"
    9:31: unknown environment "porduction"; known: dev, prod
    9:49: promotions[0].mode: expected versions, copy or merge, found "version"; did you mean "versions"?
    10:18: updates.quiet: expected a duration such as 10s, 2m, 1h30m or 7d, found the number 10
    "#);
}

#[test]
fn a_fault_in_a_value_used_twice_is_told_once() {
    let text = "version: 1
environments:
  dev: &e {path: '{env}', update: comit}
  prod: {<<: *e}
";
    assert_eq!(errors(text).lines().count(), 1, "{}", errors(text));
    let text = "version: 1
defaults:
  environment: {update: comit, brnch: x}
  promotion: {mode: copi}
environments: {dev: {path: a}, prod: {path: b}}
promotions: [{name: p, from: dev, to: prod}]
";
    insta::assert_snapshot!(errors(text), @r#"
    3:25: defaults.environment.update: expected auto, commit, pull-request, external or none, found "comit"; did you mean "commit"?
    3:32: defaults.environment: unknown key "brnch"; did you mean "branch"?
    4:21: defaults.promotion.mode: expected versions, copy or merge, found "copi"; did you mean "copy"?
    "#);
}

#[test]
fn limits() {
    let large = format!("# {}\n", "x".repeat(LARGEST_FILE));
    assert_eq!(errors(&large), "1:1: expected at most 1048576 bytes, found 1048579");
    let deep = |depth: usize| errors(&format!("{}{}", "[".repeat(depth), "]".repeat(depth)));
    assert_eq!(deep(200), "1:129: no valid YAML: expected at most 128 levels of nesting, found more");
    assert!(deep(10_000).starts_with("1:"), "{}", deep(10_000));
    let laughs = (1..9).fold("a0: &a0 [x, x, x, x, x, x, x, x, x]\n".to_owned(), |text, i| {
        text + &format!("a{i}: &a{i} [{}]\n", vec![format!("*a{}", i - 1); 9].join(", "))
    });
    assert!(errors(&laughs).contains("more than 20000 values, counting each use of an alias"), "{}", errors(&laughs));
    let many: String = (0..1_100).map(|i| format!("  e{i}: {{path: p{i}}}\n")).collect();
    assert_eq!(
        errors(&format!("version: 1\nenvironments:\n{many}")),
        "1:1: expected at most 1000 paths of environments, found 1100"
    );
    let labels: String = (0..1_000).map(|i| format!("l{i}, ")).collect();
    let text = format!(
        "version: 1\ndefaults: {{environment: {{clusters: [{labels}]}}}}\nenvironments:\n{}",
        &many[..many.len() / 2]
    );
    assert!(errors(&text).contains("more than 20000 values, counting each use of the defaults"));
}

#[test]
fn defaults_of_everything() {
    let config = valid(
        "version: 1\nenvironments: {dev: {}, prod: {branch: release}}\npromotions: [{name: up, from: dev, to: prod}]\n",
    );
    let dev = config.environment("dev").unwrap();
    assert_eq!((dev.branch.as_deref(), dev.update, dev.repository.as_ref()), (None, UpdateMode::Auto, None));
    assert!(dev.contains("any/file.yaml"));
    let up = config.promotion("up").unwrap();
    assert_eq!((up.mode, up.write, up.open), (Mode::Versions, Write::PullRequest, Open::WhenReady));
    assert_eq!(up.pull_request, PullRequest::default());
    assert_eq!(config.updates, Updates::default());
    assert_eq!((config.updates.quiet, config.updates.at_most), (Duration::from_secs(10), Duration::from_secs(120)));
    assert_eq!((config.commands.bare, config.deployments), (Bare::Own, false));
    assert!(config.not_yet().is_empty(), "{:?}", config.not_yet());
}

#[test]
fn defaults_lie_under_every_environment_and_promotion() {
    let config = valid(
        "version: 1
defaults:
  environment: {branch: main, path: 'envs/{env}', update: none, health: {from: status, context: 'kustomization/*'}}
  promotion: {write: commit, pull-request: {labels: [release], reviewers: {teams: [ops]}}}
environments:
  dev: {update: commit}
  prod: {branch: release, health: {from: agent}}
promotions:
  - {name: up, from: dev, to: prod, pull-request: {reviewers: {users: [ann]}, draft: true}}
",
    );
    let (dev, prod) = (config.environment("dev").unwrap(), config.environment("prod").unwrap());
    assert_eq!((dev.branch.as_deref(), dev.update), (Some("main"), UpdateMode::Commit));
    assert_eq!((prod.branch.as_deref(), prod.update), (Some("release"), UpdateMode::None));
    assert!(dev.contains("envs/dev/app.yaml") && !dev.contains("envs/prod/app.yaml") && prod.contains("envs/prod/a"));
    let health = prod.health.as_ref().unwrap();
    assert_eq!(
        (health.from, health.context.as_slice()),
        (HealthSource::Agent, ["kustomization/*".to_owned()].as_slice())
    );
    let up = config.promotion("up").unwrap();
    assert_eq!(up.write, Write::Commit);
    assert_eq!((up.pull_request.teams.join(","), up.pull_request.users.join(",")), ("ops".into(), "ann".into()));
    assert!(up.pull_request.draft);
    assert_eq!(up.pull_request.labels, ["release"]);
}

#[test]
fn merge_keys_bring_what_the_mapping_does_not_give() {
    let config = valid(
        "version: 1
environments:
  a: &a {branch: x, path: a, update: none}
  b: &b {branch: z, path: b, update: commit}
  c: {path: c, <<: *a}
  d: {<<: [*b, *a], path: d}
",
    );
    let of = |name| {
        let environment = config.environment(name).unwrap();
        (environment.branch.clone().unwrap(), environment.paths[0].as_str().to_owned(), environment.update)
    };
    assert_eq!(of("c"), ("x".into(), "c".into(), UpdateMode::None));
    assert_eq!(of("d"), ("z".into(), "d".into(), UpdateMode::Commit));
}

#[test]
fn edges_are_each_source_with_each_target() {
    let config = valid(&promotions("{name: up, from: dev, to: [qa, prod]}\n  - {name: over, from: qa, to: prod}"));
    let edges: Vec<String> =
        config.edges().iter().map(|e| format!("{} {} {}", e.promotion.name, e.from.name, e.to.name)).collect();
    assert_eq!(edges, ["up dev qa", "up dev prod", "over qa prod"]);
}

#[test]
fn keys_without_effect_are_listed_and_those_that_protect_block() {
    for (rest, expected) in [
        (
            "registries: [{host: a.b}]\ncommands: {bare: everywhere}\ndialects: {flux: {take-over: true}, unparsed-files: skip}\nupdates: {quiet: 1s, at-most: 5s, downgrade: deny}\ncommits: {author: A <a@b.c>}\ndeployments: false",
            "",
        ),
        ("deployments: true", "3:1: deployments is not available in this version: it has no effect"),
        ("components: {web: {images: [web]}}", "3:1: components is not available in this version: it has no effect"),
        ("updates: {group: image}", "3:11: updates.group is not available in this version: it has no effect"),
        ("commits: {subject: x}", "3:11: commits.subject is not available in this version: it has no effect"),
        (
            "registries: [{provider: aws}]",
            "3:15: registries[0].provider is not available in this version: it has no effect",
        ),
        ("registries: [{provider: aws, region: eu-west-1}]", ""),
        (
            "registries: [{provider: aws, region: eu-west-1, role: x}]",
            "3:49: registries[0].role is not available in this version: it has no effect",
        ),
        (
            "tenants: {repositories: [o/a], limits: {merge: manual}}",
            "3:11: tenants.repositories is not available in this version: it has no effect\n3:32: tenants.limits is not available in this version: butler writes nothing while it is set",
        ),
        (
            "promotions: [{name: p, from: dev, to: qa, mode: copy}]",
            "3:43: promotions[0].mode is not available in this version: the promotion \"p\" does not run while it is set",
        ),
        ("promotions: [{name: p, from: dev, to: qa, mode: versions, gates: {healthy: false, soak: 0s}}]", ""),
        (
            "promotions: [{name: p, from: dev, to: qa, gates: {soak: 1h}}]",
            "3:43: promotions[0].gates is not available in this version: the promotion \"p\" does not run while it is set",
        ),
        (
            "promotions: [{name: p, from: dev, to: qa, substitute: {tag: resolve}}]",
            "3:43: promotions[0].substitute is not available in this version: the promotion \"p\" does not run while it is set",
        ),
        (
            "promotions: [{name: p, from: dev, to: qa, pull-request: {merge: queue}}]",
            "3:58: promotions[0].pull-request.merge is not available in this version: it has no effect",
        ),
        (
            "promotions: [{name: p, from: dev, to: qa, pull-request: {refresh: never}}]",
            "3:58: promotions[0].pull-request.refresh is not available in this version: it has no effect",
        ),
        (
            "promotions: [{name: p, from: dev, to: qa}]\nkeep: [{file: x}]",
            "4:1: keep is not available in this version: the promotion \"p\" does not run while it is set",
        ),
    ] {
        let config = valid(&file(rest));
        let told: Vec<String> = config.not_yet().iter().map(ToString::to_string).collect();
        assert_eq!(told.join("\n"), expected, "{rest}");
    }
    let config = valid(
        "version: 1
environments:
  dev: {path: dev}
  prod: &p {path: '{env}', protect: {approvals: {team: ops}, commands: {merge: [admin, '@org/ops']}}}
  live: {<<: *p, path: live, clusters: x}
promotions: [{name: p, from: dev, to: prod}, {name: q, from: dev, to: live, gates: {checks: ci/*}}]
",
    );
    let told: Vec<String> = config.not_yet().iter().map(ToString::to_string).collect();
    insta::assert_snapshot!(told.join("\n"), @r#"
    4:38: environments.prod.protect.approvals is not available in this version: butler neither commits nor merges to "prod" while it is set
    4:38: environments.live.protect.approvals is not available in this version: butler neither commits nor merges to "live" while it is set
    5:30: environments.live.clusters is not available in this version: it has no effect
    6:77: promotions[1].gates is not available in this version: the promotion "q" does not run while it is set
    "#);
    assert!(config.blocks_environment("prod").is_some() && config.blocks_environment("live").is_some());
    assert!(config.blocks_environment("dev").is_none());
    assert!(config.blocks_promotion("q").is_some() && config.blocks_promotion("p").is_none());
    let commands = &config.environment("prod").unwrap().protect.commands;
    assert_eq!(commands[0].1.iter().map(ToString::to_string).collect::<Vec<_>>(), ["admin", "@org/ops"]);
}

#[test]
fn limits_of_tenants_that_nobody_enforces_stop_everything() {
    let config = valid(&file("promotions: [{name: p, from: dev, to: qa}]\ntenants: {limits: {merge: manual}}"));
    assert!(config.blocks_everything().is_some());
    assert!(config.blocks_environment("dev").is_some() && config.blocks_promotion("p").is_some());
    assert!(valid(&file("tenants: {repositories: [o/x]}")).blocks_everything().is_none());
}

#[test]
fn a_checkout_without_the_file_is_one_environment() {
    let config = Config::whole_repository();
    assert!(config.environments[0].contains("any/file.yaml"));
    assert!(config.not_yet().is_empty() && config.edges().is_empty());
}

#[test]
fn native_policies() {
    let config = valid(&file(
        "images:\n  - image: nginx\n    environments: [dev]\n    policy: {semver: '>=1.0', filter: '^v(.*)$', extract: $1, exclude: rc}",
    ));
    let [ImagePolicy { image, repository, tags, .. }] = &config.images[..] else { panic!("{:?}", config.images) };
    assert_eq!((image.position.to_string(), repository.to_string()), ("4:12".into(), "docker.io/library/nginx".into()));
    assert_eq!(tags.describe(), "semver >=1.0 of `^v(.*)$` $1");
    assert_eq!(tags.exclusions().collect::<Vec<_>>(), ["rc"]);
    let directions = "images:\n- {image: a, policy: {numerical: asc}}\n- {image: a, policy: {alphabetical: desc}}";
    let told: Vec<String> = valid(&file(directions)).images.iter().map(|image| image.tags.describe()).collect();
    assert_eq!(told, ["numerical asc", "alphabetical desc"]);
}

#[test]
fn where_the_file_is() {
    for (there, expected) in [
        (vec![], Ok(None)),
        (vec!["butler.yaml", "README.md"], Ok(Some("butler.yaml"))),
        (vec![".github/butler.yaml"], Ok(Some(".github/butler.yaml"))),
        (
            vec!["butler.yaml", ".github/butler.yaml"],
            Err(".github/butler.yaml:1:1: there is a butler.yaml too: keep one of the two".to_owned()),
        ),
    ] {
        assert_eq!(locate(|file| there.contains(&file)).map_err(|error| error.to_string()), expected);
    }
}

#[test]
fn where_the_file_is_not() {
    let told = |file: &str, name: &str| {
        format!("{file}:1:1: this file is not read: expected the name {name}; rename it, or remove it")
    };
    for (there, expected) in [
        (vec!["butler.yaml", "apps/butler.yml"], vec![]),
        (vec!["butler.yml"], vec![told("butler.yml", "butler.yaml")]),
        (vec!["butler.yaml", "butler.yml"], vec![told("butler.yml", "butler.yaml")]),
        (vec![".github/butler.yml"], vec![told(".github/butler.yml", ".github/butler.yaml")]),
    ] {
        let found = misnamed(|file| there.contains(&file));
        assert_eq!(found.iter().map(ToString::to_string).collect::<Vec<_>>(), expected, "{there:?}");
    }
}

/// Every key of the vocabulary, so that the reference in the documentation stays true.
#[test]
fn every_key_is_known() {
    valid(include_str!("../testdata/every-key.yaml"));
}

proptest::proptest! {
    /// Whatever stands in the file, the answer is a config or errors whose places lie in it.
    #[test]
    fn any_text_is_answered(lines in proptest::collection::vec("( {0,4})(version: 1|environments:|dev:|path: [a{/*]{0,3}|- |<<: \\*a|&a|promotions:|from: dev|\\PC{0,8})", 0..12)) {
        let text = lines.join("\n");
        if let Err(errors) = parse("butler.yaml", &text) {
            proptest::prop_assert!(!errors.is_empty());
            let last = text.split('\n').count();
            for error in errors {
                proptest::prop_assert!((1..=last).contains(&error.position.line) && error.position.column >= 1, "{error}");
            }
        }
    }
}
