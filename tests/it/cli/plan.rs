//! `butler plan`

use super::{AUTOMATION, DEPLOYMENT, POLICY, repository};
use crate::support::binary::{Folder, butler_reading};
use butler::sandbox::registry::{Options, RegistryServer};
use serde_json::{Value, json};

const DIGEST: &str = "sha256:aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa";

fn change() -> Value {
    json!({
        "file": "apps/app.yaml", "line": 11, "column": 16,
        "old": "example.com/app:1.0.0", "new": "example.com/app:1.2.0",
        "policy": "flux-system:app", "image": "example.com/app", "object": "Deployment/prod/app",
        "reason": "1.2.0 is the highest version in `1.x`; 3 of 4 tags are candidates",
    })
}

pub const TAGS: [&str; 8] = [
    "--tag",
    "example.com/app:1.1.0",
    "--tag",
    "example.com/app:1.2.0",
    "--tag",
    "example.com/app:2.0.0",
    "--tag",
    "example.com/app:latest",
];

fn plan(folder: &Folder, more: &[&str]) -> Value {
    let mut arguments = vec!["plan", "-o", "json"];
    arguments.extend(more);
    folder.run(&arguments).json(0)
}

/// Nothing is put behind what was not read.
#[test]
fn a_patch_file_that_is_not_read_stays() {
    let annotated = DEPLOYMENT
        .replace(
            "  namespace: prod\n",
            "  namespace: prod\n  annotations: {fluxcd.io/automated: \"true\", fluxcd.io/tag.app: \"semver:1.x\"}\n",
        )
        .replace("  # {\"$imagepolicy\": \"flux-system:app\"}", "");
    let generators =
        "version: 1\npatchUpdated:\n  generators: [{command: kustomize build .}]\n  patchFile: patch.yaml\n";
    let folder = Folder::with(&[(".flux.yaml", generators), ("kustomization.yaml", "resources: [app.yaml]\n")]);
    folder.put("app.yaml", annotated.as_bytes());
    let plan = || folder.run(&["plan", "--write", "--tag", "example.com/app:1.1.0", "-o", "json"]).json(0);
    for (bytes, code) in [(&b"# \xe9\n"[..], "not-utf8"), (&[b'\n'; (8 << 20) + 1], "file-too-large")] {
        folder.put("patch.yaml", bytes);
        let plan = plan();
        assert_eq!(plan["changes"], json!([]), "{plan}");
        assert!(plan["skipped"].as_array().unwrap().iter().any(|skip| skip["code"] == code), "{plan}");
        assert_eq!(folder.bytes("patch.yaml"), bytes);
    }
    folder.put("patch.yaml", b"");
    assert_ne!(plan()["changes"], json!([]));
    assert!(folder.text("patch.yaml").contains("example.com/app:1.1.0"));
}

#[test]
fn what_would_change_as_json_text_and_diff() {
    let folder = repository();
    let document = plan(&folder, &TAGS);
    let mut change = change();
    change["reason"] = document["changes"][0]["reason"].clone();
    assert!(change["reason"].as_str().unwrap().contains("1.2.0"), "{document}");
    assert_eq!(document, json!({"changes": [change], "skipped": []}));
    let shown = |format| folder.run(&[&["plan", "-o", format], &TAGS[..]].concat()).text().to_owned();
    let reason = change["reason"].as_str().unwrap();
    assert_eq!(
        shown("text"),
        format!(
            "apps/app.yaml:11:16 flux-system:app\n  - example.com/app:1.0.0\n  + example.com/app:1.2.0\n  {reason}\n\
             1 line would change, 0 lines skipped\n"
        )
    );
    let diff = shown("diff");
    assert!(diff.starts_with("--- a/apps/app.yaml\n+++ b/apps/app.yaml\n@@ -8,6 +8,6 @@\n"), "{diff}");
    assert!(
        diff.contains("\n-        image: example.com/app:1.0.0  # {\"$imagepolicy\": \"flux-system:app\"}\n+"),
        "{diff}"
    );
    assert_eq!(folder.text("apps/app.yaml"), DEPLOYMENT, "nothing is written without --write");
}

#[test]
fn writing_changes_the_value_and_no_other_byte() {
    let folder = repository();
    let written = plan(&folder, &[&TAGS[..], &["--write"]].concat());
    assert_eq!(written["changes"].as_array().unwrap().len(), 1);
    assert_eq!(folder.text("apps/app.yaml"), DEPLOYMENT.replace("app:1.0.0", "app:1.2.0"));
    assert_eq!(folder.text("flux/policy.yaml"), POLICY);
    assert_eq!(plan(&folder, &TAGS), json!({"changes": [], "skipped": []}), "again");
}

#[test]
fn tags_from_a_file() {
    let folder = repository();
    let list = json!({"example.com/app": [
        {"tag": "1.2.0", "digest": DIGEST, "pushed_at": "2026-01-02T03:04:05Z", "created_at": "2026-01-02T03:04:05Z"},
        {"tag": "1.1.0"},
    ]});
    folder.put("tags.json", list.to_string().as_bytes());
    assert_eq!(plan(&folder, &["--tags", "tags.json"])["changes"][0]["new"], "example.com/app:1.2.0");
}

#[test]
fn tags_that_cannot_be() {
    let folder = repository();
    #[rustfmt::skip]
    let files = [
        ("not json", "tags.json:1:2: "),
        ("{\"example.com/app\": [\n  {\"tagg\": \"1\"}]}", "tags.json:2:"),
        ("{\"example.com/app\": [\n  {\"tag\": 1}]}", "tags.json:2:11: "),
        ("{\"example.com/app\": [{\"tag\": \"1\", \"pushed_at\": \"yesterday\"}]}", "tags.json:1:"),
        ("[]", "tags.json:1:1: expected {\"IMAGE\": [{\"tag\": \"1.2.3\"}]}: "),
        ("{\"Example/App:1\": []}", "tags.json: \"Example/App:1\""),
    ];
    for (text, says) in files {
        folder.put("tags.json", text.as_bytes());
        let ran = folder.run(&["plan", "--tags", "tags.json"]);
        assert_eq!((ran.code, ran.out.as_str()), (2, ""), "{text}");
        assert!(ran.err.starts_with("error: ") && ran.err.contains(says), "{text}: {}", ran.err);
        // The place stands there once.
        assert!(!ran.err.contains(" at line "), "{text}: {}", ran.err);
    }
    for (argument, says) in [
        (["--tag", "example.com/app"], "expected IMAGE:TAG, found \"example.com/app\" without a tag"),
        (["--tag", "example.com/app:"], "\"\" is not a tag"),
        (["--tags", "nowhere.json"], "cannot read nowhere.json"),
    ] {
        let ran = folder.run(&["plan", argument[0], argument[1]]);
        assert_eq!(ran.code, 2, "{argument:?}");
        assert!(ran.err.contains(says), "{argument:?}: {}", ran.err);
    }
}

#[test]
fn a_line_that_flux_writes_stays_and_is_flagged() {
    let folder = repository();
    folder.put("flux/automation.yaml", AUTOMATION.as_bytes());
    let document = plan(&folder, &TAGS);
    assert_eq!(document["changes"][0]["written_by"], "Flux: ImageUpdateAutomation/flux-system/flux");
    let shown = folder.run(&[&["plan"], &TAGS[..]].concat());
    assert!(
        shown.text().contains("Flux: ImageUpdateAutomation/flux-system/flux still writes this line"),
        "{}",
        shown.out
    );
}

#[test]
fn one_bad_policy_stops_no_other() {
    let folder = repository();
    let bad = POLICY.replace("name: app", "name: bad").replace("range: 1.x", "range: 1.y.z");
    folder.put("flux/bad.yaml", bad.as_bytes());
    folder.put("apps/bad.yaml", DEPLOYMENT.replace("flux-system:app", "flux-system:bad").as_bytes());
    let document = plan(&folder, &TAGS);
    assert_eq!(document["changes"][0]["file"], "apps/app.yaml");
    let skip = &document["skipped"][0];
    assert_eq!(
        (&skip["file"], &skip["line"], &skip["code"], &skip["policy"]),
        (&json!("apps/bad.yaml"), &json!(11), &json!("policy-invalid"), &json!("flux-system:bad"))
    );
    assert_eq!(skip.as_object().unwrap().len(), 5, "file, line, code, reason, policy: {skip}");
    let reason = skip["reason"].as_str().unwrap();
    assert!(reason.contains("1.y.z") && reason.contains("flux/bad.yaml:6:1: "), "{reason}");
    let shown = folder.run(&[&["plan"], &TAGS[..]].concat());
    assert!(shown.text().contains("apps/bad.yaml:11:16 flux-system:bad\n  policy-invalid: "), "{}", shown.out);
}

#[test]
fn a_faulty_marker_is_listed_with_what_to_write() {
    let folder = repository();
    folder.put("apps/values.yaml", b"tag: v1 # {\"$imagepolicy\": \"flux-system:app\"}\n");
    let document = plan(&folder, &TAGS);
    let skip = &document["skipped"][0];
    assert_eq!(
        (&skip["file"], &skip["line"], &skip["code"], &skip["policy"]),
        (&json!("apps/values.yaml"), &json!(1), &json!("marker-wrong-kind"), &Value::Null)
    );
    assert!(
        skip["reason"].as_str().unwrap().contains("write `# {\"$imagepolicy\": \"flux-system:app:tag\"}`"),
        "{skip}"
    );
}

#[test]
fn no_match_is_0_with_its_reason() {
    let folder = repository();
    let document = plan(&folder, &["--tag", "example.com/app:2.0.0"]);
    assert_eq!(document["changes"], json!([]));
    assert_eq!(document["skipped"][0]["code"], "no-match");
    let reason = document["skipped"][0]["reason"].as_str().unwrap();
    assert!(reason.contains("0 of 1 tags"), "{reason}");
    // An image without tags given has none: nothing else is asked.
    let document = plan(&folder, &["--tag", "example.com/other:1.0.0"]);
    let skip = &document["skipped"][0];
    assert_eq!(
        (&skip["code"], &skip["reason"]),
        (
            &json!("not-given"),
            &json!(
                "no tags of example.com/app were given: tags were given of example.com/other only, and no registry is \
                 asked then; add --tag example.com/app:TAG"
            )
        )
    );
    folder.put("none.json", b"{}");
    let document = plan(&folder, &["--tags", "none.json"]);
    let reason = document["skipped"][0]["reason"].as_str().unwrap();
    assert!(reason.starts_with("no tags of example.com/app were given: tags were given of no image, "), "{reason}");
    // Nor is a digest asked for.
    let always = POLICY
        .replace("  imageRepositoryRef", "  digestReflectionPolicy: Always\n  interval: 1h\n  imageRepositoryRef");
    folder.put("flux/policy.yaml", always.as_bytes());
    let document = plan(&folder, &["--tag", "example.com/app:1.1.0"]);
    let skip = &document["skipped"][0];
    let reason = skip["reason"].as_str().unwrap();
    assert_eq!(skip["code"], "not-given", "{document}");
    assert!(reason.contains("give it as --tag example.com/app:1.1.0@sha256:…"), "{reason}");
}

/// stdout is a patch or nothing; that there is nothing is said beside it.
#[test]
fn a_diff_of_nothing_says_so() {
    let folder = repository();
    let ran = folder.run(&["plan", "--tag", "example.com/app:2.0.0", "-o", "diff"]);
    assert_eq!((ran.text(), ran.err.as_str()), ("", "note: no diff: 0 lines would change, 1 line skipped\n"));
    let ran = folder.run(&["set", "--image", "example.com/app:1.0.0", "-o", "diff"]);
    let said = "note: no diff: 0 lines would change, 0 lines skipped, 1 line already as asked\n";
    assert_eq!((ran.text(), ran.err.as_str()), ("", said));
    let ran = folder.run(&[&["plan", "-o", "diff"], &TAGS[..]].concat());
    assert!(!ran.text().is_empty() && ran.err.is_empty(), "{}", ran.err);
}

#[test]
fn tags_from_standard_input() {
    let folder = repository();
    let list = json!({"example.com/app": [{"tag": "1.2.0"}]}).to_string();
    for command in [&["plan", "-o", "json"][..], &["explain", "-o", "json", "flux-system:app"]] {
        let ran = butler_reading(folder.path(), &[command, &["--tags", "-"]].concat(), &list);
        assert!(ran.text().contains("example.com/app:1.2.0"), "{}", ran.out);
    }
    let ran = butler_reading(folder.path(), &["plan", "--tags", "-"], "{\"example.com/app\": [\n\"1.2.0\"]}");
    let says = "error: <stdin>:2:7: expected {\"IMAGE\": [{\"tag\": \"1.2.3\"}]}: expected an object such as {\"tag\": \
                \"1.2.3\"} there, found \"1.2.0\"\n";
    assert_eq!((ran.code, ran.err.as_str()), (2, says));
}

#[test]
fn a_single_file_is_a_path_too() {
    let folder = Folder::with(&[("all.yaml", &format!("{POLICY}---\n{DEPLOYMENT}"))]);
    let document = plan(&folder, &[&["all.yaml"], &TAGS[..]].concat());
    assert_eq!(document["changes"][0]["file"], "all.yaml");
    assert_eq!(document["changes"][0]["line"], 23);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_registry_on_this_machine_is_asked() {
    let registry = RegistryServer::start(Options::default()).await.unwrap();
    let created = "2026-01-02T03:04:05Z".parse().unwrap();
    for tag in ["1.0.0", "1.3.0", "2.0.0"] {
        registry.push_image("app", tag, created, &[]);
    }
    let image = format!("{}/app", registry.host());
    let folder = repository();
    folder.put("flux/policy.yaml", POLICY.replace("example.com/app", &image).as_bytes());
    folder.put("apps/app.yaml", DEPLOYMENT.replace("example.com/app", &image).as_bytes());
    let (folder, document) = tokio::task::spawn_blocking(move || {
        let document = plan(&folder, &[]);
        (folder, document)
    })
    .await
    .unwrap();
    assert_eq!(document["changes"][0]["new"], format!("{image}:1.3.0"), "{document}");
    let asked = image.clone();
    let (folder, selected) = tokio::task::spawn_blocking(move || {
        let selected = folder.run(&["policy", "--semver", "1.x", "--image", &asked, "-o", "json"]).json(0);
        (folder, selected)
    })
    .await
    .unwrap();
    assert_eq!(selected["selected"], "1.3.0");
    // Away: the line stays, with the reason; the plan is there all the same.
    registry.fail_next(20, 503);
    let document = tokio::task::spawn_blocking(move || plan(&folder, &[])).await.unwrap();
    assert_eq!(document["changes"], json!([]));
    assert_eq!(document["skipped"][0]["code"], "registry-unavailable", "{document}");
}

/// The code is 0, and what was not asked is said apart from the plan.
#[test]
fn registries_that_do_not_answer_are_named() {
    let folder = repository();
    let closed = "127.0.0.1:1/team/app";
    folder.put("flux/policy.yaml", POLICY.replace("example.com/app", closed).as_bytes());
    // Of two lines too, once.
    let marker = "  # {\"$imagepolicy\": \"flux-system:app\"}";
    let two = DEPLOYMENT.replace("proxy:0.1.0", &format!("proxy:0.1.0{marker}"));
    folder.put("apps/app.yaml", two.as_bytes());
    let text = folder.run(&["plan"]).out;
    assert_eq!(text.matches("cannot be reached").count(), 1, "{text}");
    let both = "apps/app.yaml:11:16 flux-system:app\napps/app.yaml:13:16 flux-system:app\n  registry-unavailable: ";
    assert!(text.starts_with(both) && text.ends_with("2 lines skipped\n"), "{text}");
    for format in ["text", "json", "diff"] {
        let ran = folder.run(&["plan", "-o", format]);
        assert_eq!(ran.code, 0, "{}", ran.err);
        let nothing = match format {
            "diff" => "note: no diff: 0 lines would change, 2 lines skipped\n",
            _ => "",
        };
        assert_eq!(
            ran.err,
            format!(
                "{nothing}warning: no registry answered, so nothing is known of {closed}; give their tags with --tag or --tags\n"
            )
        );
    }
    // The process ends: it says nothing of asking again.
    let (plan, explain) = (folder.run(&["plan"]), folder.run(&["explain", "flux-system:app"]));
    for (said, code) in [(&plan, 0), (&explain, 0), (&folder.run(&["policy", "--semver", "*", "--image", closed]), 3)] {
        assert_eq!(said.code, code, "{}", said.err);
        let text = format!("{}{}", said.out, said.err).replace('\n', " ");
        assert!(text.contains("cannot be") && text.contains("reached") && !text.contains("again"), "{text}");
    }
    // Tags given by hand are not asked for.
    assert_eq!(folder.run(&["plan", "--tag", "example.com/other:1"]).err, "");
}

#[test]
fn a_faulty_butler_yaml_says_its_place_once() {
    for (text, place) in [("version: [\n", "1:10"), ("version: 1\nenvironments:\n  prod: {pathh: apps}\n", "3:10")] {
        let folder = repository();
        folder.put("butler.yaml", text.as_bytes());
        let ran = folder.run(&["plan", "--tag", "example.com/app:1.1.0"]);
        assert_eq!(ran.code, 2, "{}", ran.err);
        for line in ran.err.trim_start_matches("error: ").lines() {
            assert!(line.starts_with("butler.yaml:"), "{line}");
            assert_eq!(line.matches("butler.yaml").count(), 1, "{line}");
            assert!(!line.contains(" line ") && !line.contains("byte"), "{line}");
        }
        assert!(ran.err.contains(&format!("butler.yaml:{place}: ")), "{}", ran.err);
    }
}

#[test]
fn a_private_address_is_not_asked_unless_it_is_named() {
    let folder = repository();
    let image = "10.255.255.1:5000/app";
    folder.put("flux/policy.yaml", POLICY.replace("example.com/app", image).as_bytes());
    let document = plan(&folder, &[]);
    let reason = document["skipped"][0]["reason"].as_str().unwrap();
    assert!(reason.contains("10.255.255.1:5000 is a loopback, private or reserved address"), "{reason}");
}

/// Two environments of one repository; the second renders the first one's folder.
fn shared(prod: &str) -> Folder {
    let folder = repository();
    folder.put(
        "butler.yaml",
        format!("version: 1\nenvironments:\n  dev: {{path: [flux, apps]}}\n  prod: {{path: prod, {prod}}}\n")
            .as_bytes(),
    );
    folder.put("prod/kustomization.yaml", b"resources: [../apps]\n");
    folder.put("apps/kustomization.yaml", b"resources: [app.yaml]\n");
    folder
}

#[test]
fn a_line_that_several_environments_render() {
    let document = plan(&shared("update: commit"), &TAGS);
    assert_eq!(document["changes"][0]["environments"], json!(["dev", "prod"]), "{document}");
    let shown = shared("update: commit").run(&[&["plan"], &TAGS[..]].concat());
    assert!(shown.text().contains("\n  one value for the environments dev, prod\n"), "{}", shown.out);
    // One that does not follow by itself.
    let document = plan(&shared("update: pull-request"), &TAGS);
    assert_eq!((&document["changes"], &document["skipped"][0]["code"]), (&json!([]), &json!("shared-line")));
    let ran = shared("update: none").run(&[&["explain", ".", "apps/app.yaml:11"], &TAGS[..]].concat());
    assert!(ran.text().contains("in dev: stays, shared-line: "), "{}", ran.out);
    // On another branch.
    let document = plan(&shared("branch: live, update: none"), &TAGS);
    assert_eq!(document["changes"].as_array().unwrap().len(), 1);
    assert_eq!(document["changes"][0].get("environments"), None, "{document}");
}

#[test]
fn an_automation_of_another_branch_says_nothing() {
    let folder = repository();
    let other = AUTOMATION.replace("git: {", "git: {checkout: {ref: {branch: live}}, ").replace("./apps", "./live");
    folder.put("flux/automation.yaml", other.as_bytes());
    // Which branch this is a checkout of is not known.
    let code = |document: &Value| document["skipped"][0]["code"].clone();
    assert_eq!(code(&plan(&folder, &TAGS)), "outside-update-path");
    for (branch, expected) in [("main", Value::Null), ("live", json!("outside-update-path"))] {
        let config = format!("version: 1\nenvironments: {{dev: {{path: apps, branch: {branch}}}}}\n");
        folder.put("butler.yaml", config.as_bytes());
        let document = plan(&folder, &TAGS);
        assert_eq!(code(&document), expected, "{document}");
        let found = folder.run(&["lint", "-o", "json"]);
        assert_eq!(found.out.contains("outside-update-path"), !expected.is_null(), "{branch}: {}", found.out);
    }
}

#[test]
fn what_flux_writes_and_downgrades_are_not_written() {
    let folder = repository();
    folder.put("flux/automation.yaml", AUTOMATION.as_bytes());
    let down = DEPLOYMENT.replace("app:1.0.0", "app:1.9.0");
    folder.put("other/down.yaml", down.as_bytes());
    folder.put("other/app.yaml", DEPLOYMENT.as_bytes());
    folder.put(
        "flux/other.yaml",
        AUTOMATION
            .replace("name: flux,", "name: other,")
            .replace("./apps", "./other")
            .replace("spec: {", "spec: {suspend: true, ")
            .as_bytes(),
    );
    let ran = folder.run(&[&["plan"], &TAGS[..]].concat());
    let summary = |text: &str| text.lines().last().unwrap_or_default().to_owned();
    let rest = "1 left to Flux, 1 downgrade only shown, 0 lines skipped";
    assert_eq!(summary(ran.text()), format!("1 line would change, {rest}"), "{}", ran.out);
    let diff = folder.run(&[&["plan", "-o", "diff"], &TAGS[..]].concat());
    assert_eq!(diff.text().matches("+++ b/").count(), 1, "what would be written: {}", diff.out);
    let ran = folder.run(&[&["plan", "--write"], &TAGS[..]].concat());
    assert_eq!(summary(ran.text()), format!("1 line changed, {rest}"), "{}", ran.out);
    assert_eq!(folder.text("apps/app.yaml"), DEPLOYMENT);
    assert_eq!(folder.text("other/down.yaml"), down);
    assert_eq!(folder.text("other/app.yaml"), DEPLOYMENT.replace("app:1.0.0", "app:1.2.0"));
    // They stay in `changes`, flagged.
    let document = plan(&folder, &TAGS);
    let rows: Vec<_> = document["changes"].as_array().unwrap().iter().map(|row| row["file"].clone()).collect();
    assert_eq!(rows, ["apps/app.yaml", "other/down.yaml"]);
    assert_eq!(
        (document["changes"][0]["written_by"].is_string(), &document["changes"][1]["downgrade"]),
        (true, &json!(true))
    );
}

#[test]
fn texts_of_the_repository_stay_on_their_line() {
    let folder = repository();
    folder.put("flux/policy.yaml", POLICY.replace("range: 1.x", "range: \"x\\nfake.yaml:1:1\\e[2J\"").as_bytes());
    let ran = folder.run(&[&["plan"], &TAGS[..]].concat());
    assert!(ran.text().contains("\\u{1b}") && !ran.out.contains("\nfake.yaml"), "{}", ran.out);
}

/// A pipe gets whole sentences, for grep; a terminal what fits.
#[test]
fn sentences_are_wrapped_on_a_terminal() {
    let folder = repository();
    folder.put("flux/policy.yaml", POLICY.replace("range: 1.x", "range: one").as_bytes());
    for command in ["plan", "lint", "explain"] {
        let subject = if command == "explain" { "apps/app.yaml:11" } else { "." };
        let (wide, narrow) = (folder.run(&[command, subject]), folder.run_narrow(&[command, subject]));
        assert!(wide.out.lines().any(|line| line.chars().count() > 80), "{command}: {}", wide.out);
        assert!(narrow.out.lines().all(|line| line.chars().count() <= 80), "{command}: {}", narrow.out);
        let words = |text: &str| text.split_whitespace().map(str::to_owned).collect::<Vec<_>>();
        assert_eq!(words(&wide.out), words(&narrow.out));
    }
}
