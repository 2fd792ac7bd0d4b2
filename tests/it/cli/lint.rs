//! `butler lint`

use super::{DEPLOYMENT, POLICY, repository};
use serde_json::json;
use std::{ffi::OsStr, fs, os::unix::ffi::OsStrExt as _};

#[test]
fn nothing_to_say_is_0() {
    let folder = repository();
    assert_eq!(folder.run(&["lint", "-o", "json"]).json(0), json!({"findings": []}));
    assert_eq!(folder.run(&["lint"]).text(), "0 findings\n");
}

/// Good to know, and no reason to fail a workflow.
#[test]
fn notices_alone_are_0() {
    let folder = repository();
    folder.put("flux/policy.yaml", POLICY.replace("  policy:", "  suspend: true\n  policy:").as_bytes());
    let ran = folder.run(&["lint", "-o", "json"]).json(0);
    let rows = ran["findings"].as_array().unwrap();
    assert!(!rows.is_empty() && rows.iter().all(|row| row["severity"] == "notice"), "{ran}");
}

#[test]
fn what_is_not_read_is_told() {
    let folder = repository();
    let marker = "# {\"$imagepolicy\": \"flux-system:app:tag\"}";
    let wide: Vec<u8> = format!("\u{feff}tag: v1 {marker}\n").encode_utf16().flat_map(u16::to_le_bytes).collect();
    folder.put("apps/wide.yaml", &wide);
    folder.put("apps/latin.yaml", &[format!("tag: v1 {marker}\n").as_bytes(), b"# \xe9\n"].concat());
    folder.put("apps/twice.yaml", format!("tag: v1 {marker}\ntag: v2 {marker}\n").as_bytes());
    folder.put("apps/template.yaml", format!("{{{{ if x }}}}\ntag: {{{{ y }}}} {marker}\n").as_bytes());
    folder.put("apps/typo.yaml", b"tag: v1 # {\"$imagePolicy\": \"flux-system:app:tag\"}\n");
    let latin = OsStr::from_bytes(b"caf\xe9");
    fs::write(folder.path().join("apps").join(latin).with_extension("yaml"), &wide).unwrap();
    fs::create_dir(folder.path().join("apps").join(latin)).unwrap();
    fs::write(folder.path().join("apps").join(latin).join("a.json"), b"{}").unwrap();
    fs::write(folder.path().join("apps").join(latin).join("a.txt"), b"").unwrap();
    let large = fs::File::create(folder.path().join("apps/large.yaml")).unwrap();
    large.set_len(11 << 20).unwrap();
    std::os::unix::fs::symlink("app.yaml", folder.path().join("apps/link.yaml")).unwrap();
    std::os::unix::fs::symlink("app.yaml", folder.path().join("apps/link.txt")).unwrap();
    std::os::unix::fs::symlink("/etc", folder.path().join("apps/etc")).unwrap();
    let expected = [
        ("apps/caf\\xE9.yaml", "path-not-utf8"),
        ("apps/caf\\xE9/a.json", "path-not-utf8"),
        ("apps/large.yaml", "file-too-large"),
        ("apps/latin.yaml", "not-utf8"),
        ("apps/link.yaml", "symlink"),
        ("apps/template.yaml", "marker-in-unparsed-file"),
        ("apps/twice.yaml", "duplicate-key"),
        ("apps/typo.yaml", "marker-key"),
        ("apps/wide.yaml", "not-utf8"),
    ];
    for (command, rows, code) in [("plan", "skipped", 0), ("lint", "findings", 1)] {
        let document = folder.run(&[command, "-o", "json"]).json(code);
        let found: Vec<(&str, &str)> = document[rows]
            .as_array()
            .unwrap()
            .iter()
            .map(|row| (row["file"].as_str().unwrap(), row["code"].as_str().unwrap()))
            .filter(|(file, code)| *file != "apps/app.yaml" && *code != "unparsed-file")
            .collect();
        let found: std::collections::BTreeSet<_> = found.into_iter().collect();
        assert_eq!(found.into_iter().collect::<Vec<_>>(), expected, "{command}");
    }
}

#[test]
fn findings_are_1() {
    let folder = repository();
    folder.put("apps/lost.yaml", DEPLOYMENT.replace("flux-system:app", "flux-system:lost").as_bytes());
    folder.put("flux/policy.yaml", POLICY.replace("range: 1.x", "range: one").as_bytes());
    let document = folder.run(&["lint", "-o", "json"]).json(1);
    let rows = document["findings"].as_array().unwrap();
    let places: Vec<_> =
        rows.iter().map(|row| (row["file"].as_str(), row["line"].as_u64(), row["code"].as_str())).collect();
    assert_eq!(
        places,
        [
            (Some("apps/lost.yaml"), Some(11), Some("policy-unresolved")),
            (Some("flux/policy.yaml"), Some(6), Some("policy-invalid")),
        ]
    );
    assert!(rows.iter().all(|row| !row["message"].as_str().unwrap().is_empty() && row["column"].is_u64()));
    let ran = folder.run(&["lint"]);
    assert_eq!(ran.code, 1);
    assert!(
        ran.out.starts_with("apps/lost.yaml:11:16 error policy-unresolved\n  no ImagePolicy flux-system:lost"),
        "{}",
        ran.out
    );
    assert!(ran.out.ends_with("2 findings: 2 errors\n"), "{}", ran.out);
}

#[test]
fn a_faulty_butler_yaml_is_a_finding() {
    let folder = repository();
    folder.put("butler.yaml", b"version: 1\nenvironments:\n  prod: {pathh: apps}\n");
    let document = folder.run(&["lint", "-o", "json"]).json(1);
    let finding = &document["findings"][0];
    assert_eq!(
        (&finding["file"], &finding["line"], &finding["code"]),
        (&json!("butler.yaml"), &json!(3), &json!("config-invalid"))
    );
    assert!(finding["message"].as_str().unwrap().contains("path"), "{finding}");
}

/// Where butler.yaml is looked for, a name that is nearly its own is told once.
#[test]
fn a_butler_yml_is_a_finding() {
    for (file, meant) in [("butler.yml", "butler.yaml"), (".github/butler.yml", ".github/butler.yaml")] {
        let folder = repository();
        folder.put(file, b"version: 1\nenvironments: {}\n");
        let told = format!("this file is not read: expected the name {meant}; rename it, or remove it");
        let finding = &folder.run(&["lint", "-o", "json"]).json(1)["findings"][0];
        assert_eq!(
            [&finding["file"], &finding["code"], &finding["severity"], &finding["message"]],
            [&json!(file), &json!("config-misnamed"), &json!("warning"), &json!(told)]
        );
        let tag = ["--tag", "example.com/app:1.1.0"];
        for command in [vec!["plan"], vec!["explain", "flux-system:app"]] {
            let ran = folder.run(&[&command[..], &tag[..]].concat());
            assert_eq!((ran.code, ran.err), (0, format!("warning: {file}:1:1: {told}\n")), "{command:?}");
        }
        let set = folder.run(&["set", "--image", "example.com/app:1.2.0"]);
        assert_eq!((set.code, set.err), (0, format!("warning: {file}:1:1: {told}\n")));
    }
}

/// What butler.yaml's own policies say is checked where it stands.
#[test]
fn a_faulty_policy_of_butler_yaml_is_a_finding() {
    let folder = repository();
    let config =
        "version: 1\nenvironments: {dev: {path: .}}\nimages:\n- image: example.com/app\n  policy: {semver: one}\n";
    folder.put(".github/butler.yaml", config.as_bytes());
    let ran = folder.run(&["lint", "-o", "github"]);
    assert_eq!(ran.code, 1, "{}", ran.err);
    let finding = "::error file=.github/butler.yaml,line=5,col=20,title=config-invalid::images[0].policy.semver: semver \
                   range \"one\": expected ";
    assert!(ran.out.starts_with(finding), "{}", ran.out);
}

#[test]
fn rows_for_programs_and_annotations_for_workflows() {
    let folder = repository();
    folder.put("apps/lost.yaml", DEPLOYMENT.replace("flux-system:app", "flux-system:lost").as_bytes());
    let row = &folder.run(&["lint", "-o", "json"]).json(1)["findings"][0];
    assert_eq!((&row["severity"], &row["page"]), (&json!("error"), &json!("docs/lint/policy-unresolved.md")));
    let ran = folder.run(&["lint", "apps", "-o", "github"]);
    assert_eq!(ran.code, 1, "{}", ran.err);
    let lines: Vec<&str> = ran.out.lines().collect();
    // Without the policies beside it, both files' markers name none.
    let start = "::error file=apps/lost.yaml,line=11,col=16,title=policy-unresolved::no ImagePolicy flux-system:lost";
    assert!(lines.len() == 2 && lines[1].starts_with(start), "{}", ran.out);
}

#[test]
fn fix_mends_what_is_safe_and_leaves_the_rest() {
    let folder = repository();
    let good = "{\"$imagepolicy\": \"flux-system:app\"}";
    let faulty =
        DEPLOYMENT.replace(good, "{'$imagepolicy': 'flux-system/app'}").replace("proxy:0.1.0", "proxy:0.1.0 # é");
    assert_ne!(faulty, DEPLOYMENT);
    let crlf = faulty.replace('\n', "\r\n");
    folder.put("apps/app.yaml", crlf.as_bytes());
    folder.put("apps/lost.yaml", DEPLOYMENT.replace("flux-system:app", "flux-system:lost").as_bytes());

    let ran = folder.run(&["lint"]);
    assert_eq!(ran.code, 1);
    assert_eq!(folder.text("apps/app.yaml"), crlf, "nothing is written without --fix");

    let ran = folder.run(&["lint", "--fix"]);
    assert_eq!(ran.code, 1, "what is left: {}", ran.out);
    assert!(
        ran.out.starts_with(
            "apps/app.yaml:11:39 marker-not-json fixed\n  -         image: example.com/app:1.0.0  # \
             {'$imagepolicy': 'flux-system/app'}\n  +         image: example.com/app:1.0.0  # \
             {\"$imagepolicy\": \"flux-system:app\"}\napps/lost.yaml:11:16 error policy-unresolved\n"
        ),
        "{}",
        ran.out
    );
    assert!(ran.out.ends_with("1 fixed\n1 finding: 1 error\n"), "{}", ran.out);
    assert_eq!(folder.text("apps/app.yaml"), crlf.replace("{'$imagepolicy': 'flux-system/app'}", good));

    let again = folder.run(&["lint", "--fix", "-o", "json"]).json(1);
    assert_eq!(again["findings"].as_array().unwrap().len(), 1);
    assert_eq!(again.get("fixed"), None, "a second run changes nothing");
}

#[test]
fn markers_in_files_that_are_not_read() {
    let folder = repository();
    let marked = "TAG=v1 # {\"$imagepolicy\": \"flux-system:app:tag\"}\n";
    for file in ["Dockerfile", "apps/values.yaml.gotmpl", "apps/b.YAML", "README.md", "large.bin"] {
        folder.put(file, marked.as_bytes());
    }
    folder.put("Dockerfile", format!("FROM x\nARG {marked}ENV {marked}").as_bytes());
    folder.put("large.bin", marked.repeat(1 << 15).as_bytes());
    let document = folder.run(&["lint", "-o", "json"]).json(1);
    let rows = document["findings"].as_array().unwrap().iter();
    let places: Vec<_> = rows.map(|row| format!("{}:{} {}", row["file"], row["line"], row["code"])).collect();
    assert_eq!(
        places,
        [
            "\"Dockerfile\":2 \"marker-in-other-file\"",
            "\"apps/b.YAML\":1 \"marker-in-other-file\"",
            "\"apps/values.yaml.gotmpl\":1 \"marker-in-other-file\"",
        ]
    );
    let message = document["findings"][0]["message"].as_str().unwrap();
    assert!(message.contains("(and 1 more in this file)"), "{message}");
}

#[test]
fn what_a_workflow_is_told_of_a_fix() {
    let folder = repository();
    folder.put("apps/b.yaml", b"tag: v1 # {'$imagepolicy': 'flux-system:app:tag'}\n");
    let ran = folder.run(&["lint", "--fix", "-o", "github"]);
    assert_eq!(
        (ran.code, ran.out.as_str()),
        (
            0,
            "::notice file=apps/b.yaml,line=1,col=9,title=marker-not-json fixed::- tag: v1 # {'$imagepolicy': \
             'flux-system:app:tag'}%0A+ tag: v1 # {\"$imagepolicy\": \"flux-system:app:tag\"}\n"
        ),
        "{}",
        ran.err
    );
}

#[test]
fn a_region_of_ecr_is_no_finding() {
    let folder = repository();
    let config = "version: 1\nenvironments: {dev: {path: .}}\nregistries: [{provider: aws, region: eu-west-1ROLE}]\n";
    folder.put("butler.yaml", config.replace("ROLE", "").as_bytes());
    assert_eq!(folder.run(&["lint"]).text(), "0 findings\n");
    folder.put("butler.yaml", config.replace("ROLE", ", role: x").as_bytes());
    let document = folder.run(&["lint", "-o", "json"]).json(1);
    let message = &document["findings"][0]["message"];
    assert_eq!(message, "registries[0].role is not available in this version: it has no effect");
}

#[test]
fn the_text_says_how_bad_it_is() {
    let folder = repository();
    let config = "version: 1\nenvironments: {dev: {path: app}, qa: {path: flux}, live: {path: apps}}\n";
    folder.put("butler.yaml", config.as_bytes());
    folder.put("apps/lost.yaml", DEPLOYMENT.replace("flux-system:app", "flux-system:lost").as_bytes());
    folder.put("apps/sops.yaml", b"tag: v1 # {\"$imagepolicy\": \"flux-system:app:tag\"}\nsops: {mac: x}\n");
    let ran = folder.run_narrow(&["lint"]);
    assert_eq!(ran.code, 1, "{}", ran.err);
    assert_eq!(
        ran.out,
        "apps/lost.yaml:11:16 error policy-unresolved
  no ImagePolicy flux-system:lost in this repository
apps/sops.yaml:1:6 notice sops
  the file is encrypted with SOPS and never edited: this line does not follow
  flux-system:app
butler.yaml:2:16 warning environment-path-missing
  environment \"dev\": nothing is at its path app; did you mean apps?
3 findings: 1 error, 1 warning, 1 notice
"
    );
    // A plan is there all the same.
    let plan = folder.run(&["plan", "--tag", "example.com/app:1.1.0", "-o", "json"]).json(0);
    assert_eq!(plan["changes"][0]["file"], "apps/app.yaml");
}

#[test]
fn annotations_and_markers_that_nothing_reads() {
    let folder = repository();
    let annotations =
        "namespace: prod\n  annotations: {fluxcd.io/automted: \"true\", app.lilly.com/flux.automted: \"true\"}\n";
    folder.put("apps/app.yaml", DEPLOYMENT.replace("namespace: prod\n", annotations).as_bytes());
    let found = folder.run(&["lint"]);
    // The exit code stays 0.
    assert!(found.text().ends_with("2 findings: 2 notices\n"), "{}", found.out);
    assert_eq!(found.out.matches("notice annotation-unknown\n").count(), 2, "{}", found.out);
    folder.put("apps/app.yaml", DEPLOYMENT.replace("$imagepolicy", "$imagepolcy").as_bytes());
    let found = folder.run(&["lint"]);
    let says = "apps/app.yaml:11:39 warning marker-key\n  expected one JSON object alone behind the #, found the key \
                \"$imagepolcy\" (did you mean \"$imagepolicy\"?): write `# {\"$imagepolicy\": \"flux-system:app\"}`\n";
    assert!(found.out.starts_with(says), "{}", found.out);
}
