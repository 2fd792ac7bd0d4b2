//! `butler explain`

use super::{POLICY, repository};
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
    let ran = folder.run(&["explain", ".", "flux-system:app"]);
    assert!(ran.text().lines().all(|line| line.chars().count() <= 80 && !line.contains('\x1b')), "{}", ran.out);
    assert!(ran.out.contains("  blocked   policy-invalid: "), "{}", ran.out);
}

#[test]
fn what_is_not_there_is_2_with_what_is_near() {
    let folder = repository();
    for (name, near) in [
        ("flux-system:ap", "did you mean flux-system:app?"),
        ("apps/app.yaml:1", "there are apps/app.yaml:11, apps/app.yaml:13"),
        ("apps/ap.yaml:11", "did you mean apps/app.yaml?"),
        ("apps/ap.yaml:11", "error: there is no file apps/ap.yaml below .: \"apps/ap.yaml:11\" is no policy, "),
    ] {
        let ran = folder.run(&["explain", name]);
        assert_eq!(ran.code, 2, "{name}: {}", ran.out);
        assert!(ran.out.is_empty() && ran.err.contains(near), "{name}: {}", ran.err);
    }
    assert_eq!(folder.run(&["explain"]).code, 2);
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
        ("apps", "apps/nope.yaml:3", "error: there is no file apps/nope.yaml below apps: "),
        ("apps", "flux/policy.yaml", "error: there is no file flux/policy.yaml below apps: "),
        ("apps/app.yaml", "policy.yaml:3", "error: there is no file policy.yaml beside apps/app.yaml: "),
    ] {
        let ran = folder.run(&["explain", path, name]);
        assert_eq!(ran.code, 2, "{path} {name}: {}", ran.out);
        assert!(ran.err.starts_with(says), "{path} {name}: {}", ran.err);
    }
}
