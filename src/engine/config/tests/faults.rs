//! What people are told, key by key: one line a case.

use super::*;

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
    assert_eq!(errors("a: &a [*a]\n"), "1:8: the alias *a stands inside the very value that it names");
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
        ("branch: on", "environments.dev.branch: expected a string, found \"on\"; put it in quotes"),
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
            "protect: {windows: {allow: [mon-thu 09:00-17:00, 'fri 9-12']}}",
            "environments.dev.protect.windows.allow[1]: expected days, dates and hours, such as mon-thu 09:00-17:00 or dec 24-31, found \"9-12\"",
        ),
        (
            "protect: {windows: {deny: dec 24-32}}",
            "environments.dev.protect.windows.deny: expected a date or dates behind dec, such as dec 24-31, found \"24-32\"",
        ),
        (
            "protect: {windows: {timezone: '+02:00'}}",
            "environments.dev.protect.windows.timezone: expected the IANA name of a time zone, such as Europe/Berlin, found \"+02:00\"",
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
        (
            "images: [{image: r.io/App, policy: {semver: 1.y}}]",
            "\
3:18: images[0].image: \"r.io/App\" is not an image reference: the path \"App\" has upper-case letters; repositories are lower case
3:45: images[0].policy.semver: semver range \"1.y\": expected a version, such as `1.2.x` (at byte 2)",
        ),
        (
            "images: [{image: 'r.io/app:1', policy: {newest: true, filter: 'a(', extract: $1, exclude: [rc, 'b**']}}]",
            "\
3:18: images[0].image: \"r.io/app:1\" is not an image reference: expected a repository without tag and digest; remove `:1`
3:63: images[0].policy.filter: filter pattern \"a(\": missing `)` for the group that opens here (at byte 1)
3:96: images[0].policy.exclude[1]: exclude pattern \"b**\": `*` repeats a repetition; put the first one in `(?:…)` (at byte 2)",
        ),
        (
            "images: [{image: a, policy: {newest: true, filter: '^v(.*)$', extract: $1x}}]",
            "3:72: images[0].policy: extract: expected groups of the filter, found $1x, which is none; write ${…} where text follows",
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
            "{a: {path: [u, x/dev]}, b: {path: [w, x]}}",
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
