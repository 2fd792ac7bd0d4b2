//! `butler explain`

use super::{AUTOMATION, DEPLOYMENT, POLICY, repository};
use serde_json::json;

const TAGS: [&str; 4] = ["--tag", "example.com/app:1.1.0", "--tag", "example.com/app:2.0.0"];

#[test]
fn a_line_as_text_and_json() {
    let folder = repository();
    let arguments = |more: &[&'static str]| [&["explain", "apps/app.yaml:11"], more, &TAGS].concat();
    assert_eq!(
        folder.run(&arguments(&[])).text(),
        "apps/app.yaml:11
  line      apps/app.yaml:11:16
  value     example.com/app:1.0.0, an image reference
  field     spec.template.spec.containers[name=app].image in Deployment/prod/app
  marker    # {\"$imagepolicy\": \"flux-system:app\"}
  policy    flux-system:app, defined at flux/policy.yaml:6:1
  order     semver 1.x
  tags of   example.com/app
  tags      2
  left out  1 outside `1.x`: 2.0.0
  in order  1 may be chosen: 1.1.0
  chosen    1.1.0 is the only version in `1.x` (of 2 tags)
  result    apps/app.yaml:11:16: example.com/app:1.0.0 -> example.com/app:1.1.0
"
    );
    let document = folder.run(&arguments(&["-o", "json"])).json(0);
    let steps = document["explanations"][0]["steps"].as_array().unwrap();
    let names: Vec<_> = steps.iter().map(|step| step["step"].as_str().unwrap()).collect();
    assert_eq!(names, ["line", "policy", "repository", "tags", "outcome"]);
    assert_eq!(steps[3]["left_out"], json!([{"why": "outside `1.x`", "tags": {"count": 1, "names": ["2.0.0"]}}]));
    assert_eq!(
        steps[4],
        json!({
            "step": "outcome", "file": "apps/app.yaml", "position": {"line": 11, "column": 16}, "environment": null,
            "result": "changes", "old": "example.com/app:1.0.0", "new": "example.com/app:1.1.0",
            "downgrade": false, "written_by": null,
        })
    );
}

#[test]
fn text_fits_80_columns_and_is_plain() {
    let folder = repository();
    folder.put("flux/policy.yaml", POLICY.replace("range: 1.x", "range: one").as_bytes());
    let ran = folder.run_narrow(&["explain", ".", "flux-system:app"]);
    assert!(ran.text().lines().all(|line| line.chars().count() <= 80 && !line.contains('\x1b')), "{}", ran.out);
    assert!(ran.out.contains("  blocked   policy-invalid: "), "{}", ran.out);
}

#[test]
fn what_is_not_there_is_2_with_what_is_near() {
    let folder = repository();
    folder.put("apps/odd.yaml", b"# image: a:1 # {\"$imagepolicy\": \"a:b\"}\n\nimage: a:1\n");
    folder.put("apps/none.yaml", b"a: b\n");
    folder.put("apps/secret.yaml", b"kind: Secret\nstringData:\n  password: hunter2\n  image: a:1\n");
    std::os::unix::fs::symlink("app.yaml", folder.path().join("apps/link.yaml")).unwrap();
    for (name, near) in [
        ("flux-system:ap", "did you mean flux-system:app?"),
        ("apps/app.yaml:1", "there are apps/app.yaml:11, apps/app.yaml:13"),
        ("apps/ap.yaml:11", "did you mean apps/app.yaml?"),
        ("apps/ap.yaml:11", "error: there is no file apps/ap.yaml below .; "),
        ("apps\\ap.yaml:11", "error: there is no file apps/ap.yaml below .; "),
        ("apps/app.yaml:1", "error: apps/app.yaml:1 holds no image; there are "),
        ("apps/secret.yaml:3", "error: apps/secret.yaml:3 holds no image\n"),
        ("apps/app.yaml:99", "error: there is no line 99 in apps/app.yaml, which has 13; there are apps/app.yaml:11, "),
        ("apps/app.yaml:0", "error: there is no line 0 in apps/app.yaml, which has 13; "),
        ("apps/odd.yaml:1", "error: apps/odd.yaml:1 is a comment, which has no effect; did you mean apps/odd.yaml:3?"),
        ("apps/odd.yaml:2", "error: apps/odd.yaml:2 is empty; "),
        ("apps/none.yaml", "error: apps/none.yaml holds no image and nothing of a policy\n"),
        ("apps/none.yaml:7", "error: apps/none.yaml holds no image and nothing of a policy\n"),
        ("apps/link.yaml:11", "error: apps/link.yaml is a symbolic link: expected the file that it leads to\n"),
        ("apps", "error: apps is a folder: expected a policy, an image or FILE:LINE behind it; "),
    ] {
        let ran = folder.run(&["explain", name]);
        assert_eq!(ran.code, 2, "{name}: {}", ran.out);
        assert!(ran.out.is_empty() && ran.err.contains(near), "{name}: {}", ran.err);
        assert!(!ran.err.contains("hunter2"), "{name}: {}", ran.err);
    }
    assert_eq!(folder.run(&["explain"]).code, 2);
}

/// What is no YAML is not updated, but for the plain lines that are seen in it: lint, plan and explain say so and where.
#[test]
fn lines_of_a_file_that_is_no_yaml_say_so() {
    let folder = repository();
    let broken = DEPLOYMENT.replace("kind: Deployment", "kind: Deployment: b");
    folder.put("apps/broken.yaml", broken.as_bytes());
    folder.put("apps/chart.yaml", format!("{{{{ if x }}}}\n{DEPLOYMENT}").as_bytes());
    let fault = "expected YAML, found something else (";
    let found = folder.run(&["lint"]);
    let line = format!("apps/broken.yaml:2:17 warning yaml-invalid\n  {fault}");
    assert!(found.code == 1 && found.out.contains(&line), "{}", found.out);
    let notice = format!("apps/chart.yaml:2:1 notice unparsed-file\n  {fault}");
    assert!(found.out.contains(&notice), "{}", found.out);
    let plan = folder.run(&[&["plan"], &TAGS[..]].concat());
    assert!(plan.text().contains(&format!("apps/broken.yaml:2:17\n  yaml-invalid: {fault}")), "{}", plan.out);
    for (name, says) in [
        (
            "apps/broken.yaml:13",
            format!("apps/broken.yaml:13 is not updated: its document is no YAML at apps/broken.yaml:2:17: {fault}"),
        ),
        (
            "apps/chart.yaml:14",
            format!("apps/chart.yaml:14 is not updated: its document is no YAML at apps/chart.yaml:2:1: {fault}"),
        ),
    ] {
        let ran = folder.run(&["explain", name]);
        assert!(ran.code == 2 && ran.err.starts_with(&format!("error: {says}")), "{name}: {}", ran.err);
    }
    let seen = folder.run(&[&["explain", "apps/broken.yaml:11"], &TAGS[..]].concat());
    assert!(seen.text().contains(&format!("yaml-invalid: apps/broken.yaml:2:17: {fault}")), "{}", seen.out);
    assert!(seen.out.contains("example.com/app:1.0.0 -> example.com/app:1.1.0"), "{}", seen.out);
}

/// A shell completes names from where it stands, not from PATH.
#[test]
fn path_may_stand_before_the_file() {
    let folder = repository();
    let here = folder.path().display().to_string();
    let absolute = format!("{here}/apps/app.yaml:11");
    let tag = ["--tag", "example.com/app:1.1.0"];
    for (path, name, shown) in [
        (".", "./apps/app.yaml:11", "apps/app.yaml:11"),
        (".", absolute.as_str(), "apps/app.yaml:11"),
        (".", ".\\apps\\app.yaml:11", "apps/app.yaml:11"),
        (".", "apps/app.yaml:11:", "apps/app.yaml:11"),
        (".", "app:9.9", "flux-system:app"),
        (".", "proxy:0.1.0", "example.com/proxy"),
        (".", "proxy", "example.com/proxy"),
        ("apps", "app.yaml:11", "app.yaml:11"),
        ("apps", "apps/app.yaml:11", "app.yaml:11"),
        ("apps/", "./apps/app.yaml:11:16", "app.yaml:11"),
        ("flux/../apps", "apps/app.yaml:11", "app.yaml:11"),
        (here.as_str(), "apps/app.yaml:11", "apps/app.yaml:11"),
        ("apps/app.yaml", "apps/app.yaml:11", "app.yaml:11"),
    ] {
        let ran = folder.run(&[&["explain", path, name], &tag[..]].concat());
        assert!(ran.text().starts_with(&format!("{shown}\n")), "{path} {name}: {}", ran.out);
    }
    for (path, name, says) in [
        ("apps", "apps/nope.yaml:3", "error: there is no file apps/nope.yaml below apps"),
        ("apps", "flux/policy.yaml", "error: there is no file flux/policy.yaml below apps"),
        ("apps/app.yaml", "policy.yaml:3", "error: there is no file policy.yaml beside apps/app.yaml"),
    ] {
        let ran = folder.run(&["explain", path, name]);
        assert_eq!(ran.code, 2, "{path} {name}: {}", ran.out);
        assert!(ran.err.starts_with(says), "{path} {name}: {}", ran.err);
    }
}

/// What policies do not update comes by promotion; lint, plan and explain say the same of Flux's bounds.
#[test]
fn lines_that_are_promoted_say_from_where() {
    let folder = repository();
    folder.put(
        "butler.yaml",
        b"version: 1\nenvironments:\n  dev: {path: apps/dev}\n  staging: {path: apps/staging, update: none}\n  \
          live: {path: apps/live, update: external}\n  lab: {path: apps/lab, update: none}\n  \
          prod: {path: apps/prod, update: none, branch: release}\npromotions:\n\
          - {name: up, from: dev, to: staging}\n- {name: out, from: staging, to: prod}\n",
    );
    folder.put("flux/automation.yaml", AUTOMATION.replace("./apps", "./other").as_bytes());
    let (marked, bare) = (DEPLOYMENT, DEPLOYMENT.replace("  # {\"$imagepolicy\": \"flux-system:app\"}", ""));
    let other = marked.replace("name: app\n  namespace", "name: other\n  namespace");
    for environment in ["dev", "staging", "live", "lab", "prod", "none"] {
        folder.put(&format!("apps/{environment}/app.yaml"), marked.as_bytes());
        folder.put(&format!("apps/{environment}/bare.yaml"), bare.replace("name: app\n", "name: bare\n").as_bytes());
    }
    folder.put("apps/staging/other.yaml", other.as_bytes());
    let promoted = "no policy updates it there; the promotion up carries versions from dev, ";
    let outside = "no ImageUpdateAutomation covers this file: spec.update.path is other";
    for (file, says) in [
        ("dev/app", &*format!(" in dev: stays, outside-update-path: {outside}")),
        ("staging/app", &format!(" in staging: {promoted}where apps/dev/app.yaml:11:16 holds example.com/app:1.0.0")),
        ("staging/bare", &format!(" in staging: {promoted}where apps/dev/bare.yaml:11:16 holds example.com/app:1.0.0")),
        ("staging/other", &format!(" in staging: {promoted}where no line corresponds to it")),
        ("live/app", " in live: stays, somebody else updates this environment (`update: external`)"),
        ("live/bare", " in live: stays, somebody else updates this environment (`update: external`)"),
        ("lab/app", " in lab: stays, no policy updates this environment (`update: none`) and no promotion leads there"),
        (
            "prod/app",
            " in prod: no policy updates it there; the promotion out carries versions from staging, which is on the \
             default branch and was not read",
        ),
        ("none/app", ": stays, no environment of butler.yaml holds this file"),
    ] {
        let ran = folder.run(&[&["explain", &format!("apps/{file}.yaml:11")], &TAGS[..]].concat());
        assert!(ran.text().ends_with(&format!("  result    apps/{file}.yaml:11:16{says}\n")), "{file}: {}", ran.out);
    }
    folder.put("other/.keep", b"");
    folder.put("other/app.yaml", b"");
    let found = folder.run(&["lint", "-o", "json"]).json(1);
    assert_eq!(found["findings"].as_array().unwrap().len(), 1, "{found}");
    assert_eq!(
        (&found["findings"][0]["file"], &found["findings"][0]["message"]),
        (&json!("apps/dev/app.yaml"), &json!(outside))
    );
    let plan = folder.run(&[&["plan", "-o", "json"], &TAGS[..]].concat()).json(0);
    assert_eq!(
        (&plan["skipped"][0]["file"], &plan["skipped"][0]["reason"]),
        (&json!("apps/dev/app.yaml"), &json!(outside))
    );
    // Environments that no policy updates, each once.
    let none = "no policy updates the environment";
    let rows = plan["skipped"].as_array().unwrap().iter().filter(|row| row["code"] == "environment-not-updated");
    let told: Vec<_> = rows.map(|row| (row["line"].as_u64().unwrap(), row["reason"].as_str().unwrap())).collect();
    assert_eq!(
        told,
        [
            (4, &*format!("{none} \"staging\" (`update: none`), only promotions do: 2 lines there follow a policy")),
            (5, "somebody else updates the environment \"live\" (`update: external`): 1 line there follows a policy"),
            (
                6,
                &format!("{none} \"lab\" (`update: none`) and no promotion leads there: 1 line there follows a policy")
            ),
            (7, &format!("{none} \"prod\" (`update: none`), only promotions do: 1 line there follows a policy")),
        ]
    );
    let text = folder.run(&[&["plan"], &TAGS[..]].concat());
    assert!(text.text().ends_with(", 1 line skipped, 4 environments not updated by policy\n"), "{}", text.out);
}
