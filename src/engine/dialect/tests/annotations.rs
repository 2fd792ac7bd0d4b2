//! Annotations of the app.lilly.com style, with the documentation's own examples.

use super::{Outcome, Repo, repo};

const ACCOUNT: &str = "283234040926.dkr.ecr.us-east-2.amazonaws.com";

/// A deployment as the documentation has it; `flux` are the annotations.
fn deployment(flux: &str) -> Repo {
    let text = format!(
        "apiVersion: apps/v1\nkind: Deployment\nmetadata:\n  name: bartender\n  namespace: falcon-qa\n  annotations:\n{flux}    wave.pusher.com/update-on-config-change: \"true\"\nspec:\n  template:\n    spec:\n      containers:\n      - name: app\n        image: {ACCOUNT}/lrl_falcon_bartender:qa-sha-06c5953 # {{\"$imagepolicy\": \"falcon-qa:my-policy-bartender\"}}\n"
    );
    repo(&[("app.yaml", &text)])
}

fn simple(pattern: &str) -> Repo {
    deployment(&format!(
        "    app.lilly.com/flux.automated: \"true\"\n    app.lilly.com/flux.simple.my-policy-bartender: \"283234040926;lrl_falcon_bartender;{pattern}\"\n"
    ))
}

fn new_tags(outcome: &Outcome) -> Vec<&str> {
    outcome.values().into_iter().filter_map(|value| value.rsplit(':').next()).collect()
}

#[test]
fn simple_policies() {
    let image = format!("{ACCOUNT}/lrl_falcon_bartender");
    #[rustfmt::skip]
    let cases: &[(&str, &str, &[&str])] = &[
        ("glob:sha-.*", "qa-sha-06c5953@1 qa-sha-1234567@2", &["qa-sha-1234567"]),
        ("glob:sha-.*", "qa-sha-06c5953@1 other-1@3", &[]),
        // One build, three tags, one time: the shape of what stands there.
        ("glob:sha-.*", "qa-sha-06c5953@1 sha-1234567@2 sha-1234567890123456789012345678901234567890@2 qa-sha-1234567@2", &["qa-sha-1234567"]),
        ("glob:^sha-.*", "qa-sha-06c5953@1 sha-1234567@2 sha-1234567890123456789012345678901234567890@2", &["sha-1234567890123456789012345678901234567890"]),
        // No regular expression: a glob.
        ("glob:*.*.*", "1.2.3@1 x1.2.4@3 1.2@4", &["x1.2.4"]),
        ("glob:*-sha-*", "qa-sha-1234567@2 sha-1@3", &["qa-sha-1234567"]),
        ("qa", "qa-sha-1234567@2 sha-1@3", &["qa-sha-1234567"]),
    ];
    for (pattern, tags, expected) in cases {
        let outcome = simple(pattern).tags(&image, tags).plan();
        assert_eq!(new_tags(&outcome), *expected, "{pattern} {tags}: {:?}", outcome.skipped());
    }
    // Registries that tell no time with the tags are asked, for those that match.
    let outcome = simple("glob:sha-.*").tags(&image, "qa-sha-1 x qa-sha-2").times("qa-sha-1@1 qa-sha-2@2").plan();
    assert_eq!(new_tags(&outcome), ["qa-sha-2"]);
    assert_eq!(outcome.asked, ["qa-sha-1", "qa-sha-2"]);
}

/// Another name behind `flux.` than those that are read.
#[test]
fn names_that_nothing_reads() {
    let unread = "which butler does not read";
    #[rustfmt::skip]
    let cases = [
        ("app.lilly.com/flux.automted", format!("found app.lilly.com/flux.automted, {unread}; did you mean app.lilly.com/flux.automated?")),
        ("app.lilly.com/flux.v2.policy", format!("found app.lilly.com/flux.v2.policy, {unread}; did you mean app.lilly.com/flux.v2.policies?")),
        ("app.lilly.com/flux.simpel.app", format!("found app.lilly.com/flux.simpel.app, {unread}; did you mean app.lilly.com/flux.simple.POLICY?")),
        ("app.lilly.com/flux.simple.", format!("found app.lilly.com/flux.simple., {unread}; did you mean app.lilly.com/flux.simple.POLICY?")),
        ("app.lilly.com/flux.owner", format!("found app.lilly.com/flux.owner, {unread}; known there: automated, v2.repos, v2.policies, simple.POLICY")),
        // Not behind `flux.`: somebody else's.
        ("app.lilly.com/automted", String::new()), ("app.example.com/flux.automted", String::new()),
    ];
    for (name, expected) in cases {
        let problems = deployment(&format!("    {name}: x\n")).problems();
        let told = problems.iter().find_map(|problem| problem.strip_prefix("app.yaml:7:"));
        let told = told.and_then(|told| told.split_once(" annotation-unknown "));
        assert_eq!(told.map(|(_, message)| message).unwrap_or_default(), expected, "{name}: {problems:?}");
    }
}

#[test]
fn the_reading_is_told() {
    #[rustfmt::skip]
    let cases = [
        ("glob:sha-.*", "app.yaml:8:52 pattern-is-regexp policy falcon-qa:my-policy-bartender: `glob:sha-.*` is read as a regular expression"),
        ("glob:*.*.*", "app.yaml:8:52 pattern-is-glob policy falcon-qa:my-policy-bartender: `glob:*.*.*` is read as a glob"),
    ];
    for (pattern, expected) in cases {
        let problems = simple(pattern).problems();
        assert!(problems.len() == 1 && problems[0].starts_with(expected), "{problems:?}");
    }
    assert_eq!(simple("glob:qa").problems(), [""; 0]);
}

#[test]
fn off_unless_automated() {
    let image = format!("{ACCOUNT}/lrl_falcon_bartender");
    let annotation =
        "    app.lilly.com/flux.simple.my-policy-bartender: \"283234040926;lrl_falcon_bartender;glob:sha\"\n";
    for automated in ["", "    app.lilly.com/flux.automated: \"false\"\n"] {
        let outcome = deployment(&format!("{automated}{annotation}")).tags(&image, "qa-sha-2@2").plan();
        assert_eq!((outcome.values().len(), outcome.codes()), (0, vec!["policy-suspended"]));
    }
}

#[test]
fn regions_and_prefixes() {
    let other = ACCOUNT.replace("us-east-2", "eu-west-1");
    let config = "version: 1\nenvironments: {dev: {path: .}}\nregistries: [{provider: aws, region: eu-west-1}]\n";
    let outcome = simple("glob:sha").config(config).tags(&format!("{other}/lrl_falcon_bartender"), "sha-2@2").plan();
    assert_eq!(outcome.values(), [format!("{other}/lrl_falcon_bartender:sha-2")]);
    // China has a domain of its own.
    let mut china = simple("glob:sha");
    let host = "283234040926.dkr.ecr.cn-north-1.amazonaws.com.cn";
    china.files.values_mut().for_each(|text| *text = text.replace(ACCOUNT, host));
    let outcome = china.tags(&format!("{host}/lrl_falcon_bartender"), "sha-2@2").plan();
    assert_eq!(outcome.values(), [format!("{host}/lrl_falcon_bartender:sha-2")]);
    let mut elsewhere = simple("glob:sha");
    for text in elsewhere.files.values_mut() {
        *text = text.replace(&format!("image: {ACCOUNT}/"), "image: example.com/");
    }
    let outcome = elsewhere.plan();
    let skipped = outcome.skipped();
    assert!(skipped[0].contains("no line that follows it names an ECR region"), "{skipped:?}");
    // The advice is a butler.yaml that helps.
    let advice = skipped[0].split_once("butler.yaml: ").unwrap().1.replace('…', "us-east-2");
    let config = format!("version: 1\nenvironments: {{dev: {{path: .}}}}\n{advice}\n");
    let image = format!("{ACCOUNT}/lrl_falcon_bartender");
    assert_eq!(elsewhere.config(&config).tags(&image, "sha-2@2").plan().codes(), [""; 0]);
    let mut prefixed = simple("glob:sha")
        .config("version: 1\nenvironments: {dev: {path: .}}\ndialects: {annotations: {prefix: x.org}}\n");
    assert_eq!(prefixed.plan().codes(), ["policy-unresolved"]);
    for text in prefixed.files.values_mut() {
        *text = text.replace("app.lilly.com", "x.org");
    }
    assert_eq!(prefixed.tags(&format!("{ACCOUNT}/lrl_falcon_bartender"), "sha-2@2").plan().values().len(), 1);
}

#[test]
fn values_that_cannot_be() {
    #[rustfmt::skip]
    let cases = [
        ("283234040926;repo", "expected \"<account>;<repository>;glob:<pattern>\""),
        ("12;repo;glob:x", "expected an AWS account of 12 digits, found \"12\""),
        ("283234040926;Repo;glob:x", "is not an image reference"),
    ];
    for (value, expected) in cases {
        let flux = format!(
            "    app.lilly.com/flux.automated: \"true\"\n    app.lilly.com/flux.simple.my-policy-bartender: \"{value}\"\n"
        );
        let outcome = deployment(&flux).plan();
        assert!(outcome.skipped()[0].starts_with("policy-invalid: app.yaml:8:52: "), "{:?}", outcome.skipped());
        assert!(outcome.skipped()[0].contains(expected), "{:?}", outcome.skipped());
    }
}

/// The documentation's example, with its two oddities.
const CUSTOM: &str = r#"    app.lilly.com/flux.automated: "true"
    app.lilly.com/flux.v2.repos: |
        [
            {
                "name": "repo-1",
                "image": "408787358807.dkr.ecr.us-east-2.amazonaws.com/flux-testing",
                "injectCreatedAt": "true",
                "provider": "aws", optional
                "policies": [
                    "my-policy-bartender"
                ]
            }
        ]
    app.lilly.com/flux.v2.policies: |
        [
            {
                "name": "my-policy-bartender",
                "policy": {
                    "alphabetical": {
                        "order": "asc"
                    }
                },
                "filterTags": {
                    "pattern": "^dev-(?P<timestamp>\d+)$",
                    "extract": "$timestamp"
                }
            }
        ]
"#;

/// The examples in docs/compatibility.md are read as the page says, with nothing found wrong.
#[test]
fn the_examples_of_the_page() {
    const PAGE: &str = include_str!("../../../../docs/compatibility.md");
    let blocks = PAGE.split("```yaml\n").skip(1).filter_map(|rest| rest.split("```").next());
    let examples: Vec<&str> = blocks.filter(|block| block.contains("app.lilly.com/flux.")).collect();
    let [simple, custom] = examples[..] else { panic!("expected two examples, found {}", examples.len()) };
    const WEB: &str = "123456789012.dkr.ecr.us-east-2.amazonaws.com/team/web";
    let container = format!("      - name: web\n        image: {WEB}:sha-1 # {{\"$imagepolicy\": \"shop:web\"}}\n");
    let simple = format!("kind: Deployment\n{simple}spec:\n  template:\n    spec:\n      containers:\n{container}");
    let outcome = repo(&[("app.yaml", &simple)]).tags(WEB, "sha-2@2 sha-1@1 x@3").plan();
    assert_eq!((new_tags(&outcome), outcome.codes()), (vec!["sha-2"], vec![]));
    // Later text, number and version are another tag each.
    let custom = repo(&[("app.yaml", custom)])
        .tags("registry.example.com/init", "20240101 20240301 20240201 latest")
        .tags(WEB, "dev-fffffff@1 dev-0000000@2 x@3")
        .tags("registry.example.com/proxy", "1.2.3 1.10.0 2.0.0 main-9 main-10");
    assert_eq!(custom.problems(), [""; 0]);
    let outcome = custom.plan();
    assert_eq!((new_tags(&outcome), outcome.codes()), (vec!["20240301", "dev-0000000", "1.10.0", "main-10"], vec![]));
}

#[test]
fn custom_policies() {
    let image = "408787358807.dkr.ecr.us-east-2.amazonaws.com/flux-testing";
    #[rustfmt::skip]
    let cases = [
        // By the time of the push, or else by the text.
        (CUSTOM.to_owned(), "dev-9@1 dev-10@2 dev-x@3", "dev-10"),
        (CUSTOM.replace("\"true\",\n                \"provider", "true,\n                \"provider"), "dev-9@1 dev-10@2", "dev-10"),
        (CUSTOM.replace("\"injectCreatedAt\": \"true\"", "\"injectCreatedAt\": \"false\""), "dev-9@1 dev-10@2", "dev-9"),
        (CUSTOM.replace("\"injectCreatedAt\": \"true\",", "").replace("alphabetical", "numerical"), "dev-9@1 dev-10@2", "dev-10"),
    ];
    for (flux, tags, expected) in cases {
        let repo = deployment(&flux).tags(image, tags);
        let outcome = repo.plan();
        assert_eq!(new_tags(&outcome), [expected], "{flux}: {:?} {:?}", outcome.skipped(), repo.problems());
    }
}

#[test]
fn faults_in_json_are_told_by_their_place_in_the_manifest() {
    #[rustfmt::skip]
    let cases = [
        // A comma too many behind the list of the repository, in line 17 of the file.
        ("                ]\n            }\n        ]\n    app.lilly.com/flux.v2.pol", "                ],\n            }\n        ]\n    app.lilly.com/flux.v2.pol", "app.yaml:18:13 annotation-json-invalid app.lilly.com/flux.v2.repos: expected JSON as documented: trailing comma"),
        ("\"order\": \"asc\"", "\"order\": asc", "app.yaml:26:34 annotation-json-invalid app.lilly.com/flux.v2.policies: expected JSON as documented: expected value"),
        ("\"extract\": \"$timestamp\"", "\"extractor\": \"$timestamp\"", "app.yaml:31:31 annotation-json-invalid app.lilly.com/flux.v2.policies: expected JSON as documented: unknown field `extractor`, expected `pattern` or `extract`"),
        ("                    \"my-policy-bartender\"\n", "                    \"other\"\n", "app.yaml:21:9 policy-invalid policy falcon-qa:my-policy-bartender: no entry of flux.v2.repos lists it under policies"),
    ];
    for (from, to, expected) in cases {
        assert!(CUSTOM.contains(from), "{from}");
        let repo = deployment(&CUSTOM.replace(from, to));
        let problems = repo.problems();
        assert_eq!(problems.first().map(String::as_str), Some(expected), "{problems:#?}");
        // It is the only fault; the line says that its policy cannot be.
        let listed = expected.contains("lists it");
        assert_eq!(
            (problems.len(), repo.plan().codes()),
            (if listed { 2 } else { 1 }, vec!["policy-invalid"]),
            "{from}"
        );
    }
    // One of the two alone.
    let (repos, policies) = CUSTOM.split_at(CUSTOM.find("    app.lilly.com/flux.v2.policies").unwrap());
    #[rustfmt::skip]
    let cases = [
        (repos.to_owned(), "app.yaml:9:9 policy-invalid flux.v2.repos lists the policy \"my-policy-bartender\", which flux.v2.policies does not define"),
        (policies.to_owned(), "app.yaml:8:9 policy-invalid policy falcon-qa:my-policy-bartender: no entry of flux.v2.repos lists it under policies"),
    ];
    for (flux, expected) in cases {
        assert_eq!(deployment(&flux).problems(), [expected]);
    }
}
