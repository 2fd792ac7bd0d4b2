//! butler.yaml as people write it, and what they are told about it.

use super::*;
use std::{path::PathBuf, time::Duration};

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
fn the_file_as_a_whole() {
    for (text, expected) in [
        ("", r#"1:1: the file is empty; expected at least "version: 1" and "environments""#),
        ("# nothing\n", r#"1:1: the file is empty; expected at least "version: 1" and "environments""#),
        ("---\n~\n", r#"1:1: the file is empty; expected at least "version: 1" and "environments""#),
        ("- a\n", "1:1: expected a mapping, found a list"),
        ("hello\n", r#"1:1: expected a mapping, found "hello""#),
        ("environments: {dev: {}}\n", r#"1:1: the key "version" is missing"#),
        ("version: 2\nenvironment: {}\n", "1:10: version: expected the number 1, found the number 2"),
        ("version: \"1\"\n", r#"1:10: version: expected the number 1, found the string "1""#),
        ("version: 1\nenvironments: {}\n", "2:15: environments: expected at least one environment, found none"),
        ("version: 1\nenvironments:\n", "2:13: environments: expected a mapping, found nothing"),
        ("version: 1\nenvironments: {dev: }\n", "2:19: environments.dev: expected a mapping, found nothing"),
        (
            "version: 1\nenvironments: {dev: {}}\n---\nversion: 1\n",
            "3:1: expected one YAML document, found a second one: put everything into the first",
        ),
        (
            "version: 1\nversion: 1\nenvironments: {dev: {}}\n",
            r#"2:1: duplicate key "version"; it is first given at 1:1"#,
        ),
        ("version: 1\nenvironments:\n  dev: {}\n  dev: {}\n", r#"4:3: duplicate key "dev"; it is first given at 3:3"#),
        (
            "version: 1\nenvironments: {dev: {}}\nüber: 1\nfoo: 2\n",
            "\
3:1: unknown key \"über\"; known here: version, environments, components, images, updates, promotions, keep, commits, \
accepts, registries, dialects, deployments, commands, tenants, defaults
4:1: unknown key \"foo\"; known here: version, environments, components, images, updates, promotions, keep, commits, \
accepts, registries, dialects, deployments, commands, tenants, defaults",
        ),
        (
            "version: 1\r\nenvironments: {dev: {}}\r\npromotion: []\r\n",
            r#"3:1: unknown key "promotion"; did you mean "promotions"?"#,
        ),
        (
            "version: 1\nenvironments: {dev: {branch: \"ä\", pathes: x}}\n",
            r#"2:36: environments.dev: unknown key "pathes"; did you mean "path"?"#,
        ),
        ("version: 1\nenvironments: {dev: !local {}}\n", r#"2:28: the tag "!local" has no meaning here: leave it out"#),
        ("version: 1\nenvironments: {dev: {}}\n? [a]\n: b\n", "3:3: expected a word as key, found a list"),
    ] {
        assert_eq!(errors(text), expected, "{text}");
    }
}

#[test]
fn yaml_that_is_none() {
    for text in ["a: [1, 2\n", "a: b: c\n", "a: *nothing\n", "\t- a\n", "a: \"open\n", "a: &a [*a]\n", "a: {<<: 3}\n"] {
        let told = errors(text);
        let first = told.lines().next().unwrap_or_default();
        assert!(!first.contains("no error") && first.split(':').count() >= 3, "{text:?}: {told}");
    }
    assert_eq!(errors("a: &a [*a]\n"), "1:8: this alias stands inside the very value that it names");
}

#[test]
fn values_of_environments() {
    for (keys, expected) in [
        (
            "update: off",
            "environments.dev.update: expected auto, commit, pull-request, external or none, found \"off\" \
            (YAML reads off as false); the word for it is \"none\"",
        ),
        (
            "update: false",
            "environments.dev.update: expected auto, commit, pull-request, external or none, found the boolean false \
            (YAML reads off as false); the word for it is \"none\"",
        ),
        (
            "update: pull_request",
            "environments.dev.update: expected auto, commit, pull-request, external or none, found \"pull_request\"; \
            did you mean \"pull-request\"?",
        ),
        (
            "update: [auto]",
            "environments.dev.update: expected auto, commit, pull-request, external or none, found a list",
        ),
        ("branch: 1.10", "environments.dev.branch: expected a string, found the number 1.10; put it in quotes"),
        ("branch: true", "environments.dev.branch: expected a string, found the boolean true; put it in quotes"),
        ("branch: ''", "environments.dev.branch: expected a string that is not empty"),
        (
            "branch: refs/heads/main",
            "environments.dev.branch: expected a branch without refs/heads/, found \"refs/heads/main\"; write main",
        ),
        ("branch: 'a b'", "environments.dev.branch: expected the name of a branch, found \"a b\""),
        ("branch: a..b", "environments.dev.branch: expected the name of a branch, found \"a..b\""),
        ("repository: web", "environments.dev.repository: expected a repository as owner/name, found \"web\""),
        (
            "path: /dev",
            "environments.dev.path: expected a path relative to the repository's root, found \"/dev\"; leave out the leading /",
        ),
        ("path: []", "environments.dev.path: expected at least one, found an empty list"),
        ("path: {a: b}", "environments.dev.path: expected a string or a list of strings, found a mapping"),
        ("path: [a, [b]]", "environments.dev.path[1]: expected a string, found a list"),
        ("health: {}", "environments.dev.health: the key \"from\" is missing"),
        (
            "health: {from: agents}",
            "environments.dev.health.from: expected agent, status or deployment, found \"agents\"; did you mean \"agent\"?",
        ),
        (
            "health: {from: agent, stale-after: 5}",
            "environments.dev.health.stale-after: expected a duration such as 10s, 2m, 1h30m or 7d, found the number 5",
        ),
        (
            "protect: {approvals: {count: 0}}",
            "environments.dev.protect.approvals.count: expected a whole number from 1, found the number 0",
        ),
        (
            "protect: {approvals: {not: [requestor]}}",
            "environments.dev.protect.approvals.not[0]: expected requester or source-authors, found \"requestor\"; did you mean \"requester\"?",
        ),
        (
            "protect: {commands: {merg: [admin]}}",
            "environments.dev.protect.commands.merg: unknown command \"merg\"; did you mean \"merge\"?",
        ),
        (
            "protect: {commands: {merge: [admni]}}",
            "environments.dev.protect.commands.merge[0]: expected read, triage, write, maintain, admin or @org/team, found \"admni\"; did you mean \"admin\"?",
        ),
        (
            "protect: {commands: {merge: '@org'}}",
            "environments.dev.protect.commands.merge: expected read, triage, write, maintain, admin or @org/team, found \"@org\"",
        ),
    ] {
        let told = errors(&environment(keys));
        let told = told.split_once(' ').map_or(told.as_str(), |(_, message)| message);
        assert_eq!(told, expected, "{keys}");
    }
}

#[test]
fn names_that_cannot_be() {
    for name in ["'a b'", "-a", "a-", "a/b", "'a..b'", "x.lock", "ä", "all", "to", "until"] {
        let told = errors(&format!("version: 1\nenvironments: {{{name}: {{}}}}\n"));
        assert!(told.starts_with("2:16: environments."), "{name}: {told}");
        assert_eq!(told.lines().count(), 1, "{told}");
    }
    for name in ["dev", "Prod-1", "eu_west.1", "9"] {
        valid(&format!("version: 1\nenvironments: {{{name}: {{}}}}\n"));
    }
}

#[test]
fn values_of_promotions() {
    for (promotion, expected) in [
        ("{from: dev, to: qa}", "4:5: promotions[0]: the key \"name\" is missing"),
        ("{name: p, to: qa}", "4:5: promotions[0]: the key \"from\" is missing"),
        ("{name: p, from: dev, to: []}", "4:30: promotions[0].to: expected at least one, found an empty list"),
        (
            "{name: p/q, from: dev, to: qa}",
            "4:12: promotions[0]: expected letters, digits, `-`, `_` and `.` (at most 63, a letter or digit at both ends), found \"p/q\"",
        ),
        (
            "{name: p, from: dve, to: [qa, live]}",
            "4:21: unknown environment \"dve\"; did you mean \"dev\"?\n4:35: unknown environment \"live\"; known: dev, qa, prod",
        ),
        ("{name: p, from: dev, to: dev}", "4:30: the promotion goes from \"dev\" to itself"),
        ("{name: p, from: [dev, qa], to: [qa, prod]}", "4:37: the promotion goes from \"qa\" to itself"),
        (
            "{name: p, from: dev, to: qa, open: yes}",
            "4:40: promotions[0].open: expected when-ready, command or at-once, found \"yes\"",
        ),
        (
            "{name: p, from: dev, to: qa, gates: {healthy: yes}}",
            "4:51: promotions[0].gates.healthy: expected true or false, found \"yes\"; write true",
        ),
        (
            "{name: p, from: dev, to: qa, gates: {soak: 1 h}}",
            "4:48: promotions[0].gates.soak: expected a duration such as 10s, 2m, 1h30m or 7d, found \"1 h\"",
        ),
        (
            "{name: p, from: dev, to: qa, pull-request: {labels: {a: b}}}",
            "4:57: promotions[0].pull-request.labels: expected a list of strings, found a mapping",
        ),
        (
            "{name: p, from: dev, to: qa, pull-request: {label: [a]}}",
            "4:49: promotions[0].pull-request: unknown key \"label\"; did you mean \"labels\"?",
        ),
        (
            "{name: p, from: dev, to: qa, substitute: {tag: {rewrite: a}}}",
            "4:52: promotions[0].substitute.tag: the key \"to\" is missing",
        ),
        (
            "{name: p, from: dev, to: qa, substitute: {tag: newest}}",
            "4:52: promotions[0].substitute.tag: expected carry, resolve or a mapping {rewrite, to}, found \"newest\"",
        ),
        (
            "{name: p, from: dev, to: qa, keep: [{file: a, kind: b}]}",
            "4:41: promotions[0].keep[0]: expected either file or kind, name and path, found both",
        ),
        (
            "{name: p, from: dev, to: qa, keep: [{}]}",
            "4:41: promotions[0].keep[0]: expected at least one of kind, name, path and file",
        ),
    ] {
        assert_eq!(errors(&promotions(promotion)), expected, "{promotion}");
    }
    insta::assert_snapshot!(errors(&promotions("{name: a, from: dev, to: qa}\n  - {name: a, from: qa, to: prod}\n  - {name: back, from: prod, to: dev}")), @r#"
    5:12: duplicate promotion "a"; the first is at 4:12
    6:34: promotions form a cycle: prod -> dev -> qa -> prod
    "#);
    assert_eq!(
        errors(&file("promotions: {name: a}")),
        "3:13: promotions: expected a list of {name, from, to}, found a mapping"
    );
}

#[test]
fn values_of_the_other_keys() {
    for (rest, expected) in [
        (
            "updates: {quiet: 3m, at-most: 2m}",
            "3:10: updates: quiet (180s) is longer than at-most (120s): it would never end first",
        ),
        (
            "updates: {group: images}",
            "3:18: updates.group: expected environment, component or image, found \"images\"; did you mean \"image\"?",
        ),
        (
            "commits: {author: butler}",
            "3:19: commits.author: expected an author as Name <name@example.org>, found \"butler\"",
        ),
        (
            "commits: {author: A <a@b.c>, sign: github}",
            "3:36: commits: sign: github signs in the App's name only: leave out author, or write ssh or none",
        ),
        ("accepts: web", "3:10: accepts: expected a list of owner/name, found \"web\""),
        ("registries: [{}]", "3:14: registries[0]: the key \"host\" is missing"),
        (
            "registries: [{host: 'https://a.b'}]",
            "3:21: registries[0].host: expected a registry as host or host:port, found \"https://a.b\"",
        ),
        ("registries: [{host: a.b, region: x}]", "3:34: registries[0]: region: expected \"provider: aws\" beside it"),
        ("registries: [{provider: gcp}]", "3:25: registries[0].provider: expected aws, found \"gcp\""),
        (
            "registries: [{provider: aws, accounts: {a: 283234040926}}]",
            "3:44: registries[0].accounts.a: expected an account's twelve digits as a string, found the number 283234040926; put it in quotes",
        ),
        (
            "dialects: {flux: {take-over: on}}",
            "3:30: dialects.flux.take-over: expected true or false, found \"on\"; write true",
        ),
        ("dialects: {flx: {}}", "3:12: dialects: unknown key \"flx\"; did you mean \"flux\"?"),
        ("commands: {bare: all}", "3:18: commands.bare: expected own or everywhere, found \"all\""),
        ("images: [{image: a}]", "3:10: images[0]: the key \"policy\" is missing"),
        (
            "images: [{image: a, policy: {semver: '1', newest: true}}]",
            "3:29: images[0].policy: expected one of semver, numerical, alphabetical, newest, found semver, newest",
        ),
        (
            "images: [{image: a, policy: {numerical: up}}]",
            "3:41: images[0].policy.numerical: expected asc or desc, found \"up\"",
        ),
        (
            "images: [{image: a, environments: stage, policy: {newest: true}}]",
            "3:35: unknown environment \"stage\"; known: dev, qa, prod",
        ),
        (
            "images: [{image: a, policy: {newest: true, extract: $1}}]",
            "3:53: images[0].policy: extract: expected a filter beside it, whose groups it names",
        ),
        ("components: {web: {together: tag}}", "3:30: components.web.together: expected same-tag, found \"tag\""),
        (
            "tenants: {limits: {update: {prod: of}}}",
            "3:35: tenants.limits.update.prod: expected auto, commit, pull-request, external or none, found \"of\"",
        ),
        ("deployments: 1", "3:14: deployments: expected true or false, found the number 1"),
        ("defaults: {environments: {}}", "3:12: defaults: unknown key \"environments\"; did you mean \"environment\"?"),
    ] {
        assert_eq!(errors(&file(rest)), expected, "{rest}");
    }
}

#[test]
fn environments_that_overlap() {
    for (environments, expected) in [
        (
            "{a: {}, b: {path: b}}",
            "2:23: environment \"b\": its path b overlaps with . of \"a\" (at 2:16) on the same branch",
        ),
        (
            "{a: {path: x}, b: {path: x/}}",
            "2:30: environment \"b\": its path x overlaps with x of \"a\" (at 2:16) on the same branch",
        ),
        (
            "{a: {path: [y, x/dev]}, b: {path: [z, x]}}",
            "2:39: environment \"b\": its path x overlaps with x/dev of \"a\" (at 2:16) on the same branch",
        ),
        (
            "{a: {path: 'x/*'}, b: {path: x/y}}",
            "2:34: environment \"b\": its path x/y overlaps with x/* of \"a\" (at 2:16) on the same branch",
        ),
        ("{a: {path: x}, b: {path: xy}}", "no error"),
        ("{a: {path: 'x/*/dev'}, b: {path: 'x/*/prod'}}", "no error"),
        ("{a: {branch: dev}, b: {branch: prod}}", "no error"),
        ("{a: {}, b: {repository: o/b}}", "no error"),
        ("{a: {path: 'x/{env}'}, b: {path: 'x/{env}'}}", "no error"),
    ] {
        assert_eq!(errors(&format!("version: 1\nenvironments: {environments}\n")), expected, "{environments}");
    }
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
    assert_eq!(errors(&format!("{}{}", "[".repeat(100), "]".repeat(100))), "1:66: nested more than 64 levels deep");
    assert_eq!(errors(&"[".repeat(10_000)), "1:256: no valid YAML: recursion limit exceeded");
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
    assert_eq!((config.bare, config.deployments), (Bare::Own, false));
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
  b: &b {branch: y, path: b, update: commit}
  c: {path: c, <<: *a}
  d: {<<: [*b, *a], path: d}
",
    );
    let of = |name| {
        let environment = config.environment(name).unwrap();
        (environment.branch.clone().unwrap(), environment.paths[0].as_str().to_owned(), environment.update)
    };
    assert_eq!(of("c"), ("x".into(), "c".into(), UpdateMode::None));
    assert_eq!(of("d"), ("y".into(), "d".into(), UpdateMode::Commit));
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
fn native_policies_say_where_their_expressions_stand() {
    let config = valid(&file(
        "images:\n  - image: ghcr.io/o/web\n    environments: [dev]\n    policy: {semver: '>=1.0', filter: '^v(.*)$', extract: $1}",
    ));
    let NativePolicy { order: NativeOrder::Semver(range), filter: Some(filter), .. } = &config.images[0].policy else {
        panic!("{:?}", config.images)
    };
    assert_eq!((range.value.as_str(), range.position.to_string().as_str()), (">=1.0", "6:22"));
    assert_eq!((filter.value.as_str(), filter.position.to_string().as_str()), ("^v(.*)$", "6:39"));
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

/// Every key of the vocabulary, so that the reference in the documentation stays true.
#[test]
fn every_key_is_known() {
    valid(include_str!("testdata/every-key.yaml"));
}

#[test]
fn the_examples_of_the_design_are_valid() {
    let data = std::env::var_os("BUTLER_TEST_DATA")
        .map_or_else(|| PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../shared"), PathBuf::from);
    let folder = data.join("design/examples");
    let Ok(files) = std::fs::read_dir(&folder) else {
        eprintln!("skipped: {} is absent (set BUTLER_TEST_DATA)", folder.display());
        return;
    };
    let mut count = 0;
    for file in files {
        let path = file.unwrap().path();
        let config = valid(&std::fs::read_to_string(&path).unwrap());
        println!("{}: {} environments, {} edges", path.display(), config.environments.len(), config.edges().len());
        for warning in config.not_yet() {
            println!("  {warning}");
        }
        count += 1;
    }
    assert!(count >= 6, "{count} examples in {}", folder.display());
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
