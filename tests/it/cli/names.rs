//! What files are called in what is printed, and that `git apply` takes a diff there.

use super::{DEPLOYMENT, POLICY, plan::TAGS};
use crate::support::binary::{Folder, butler};
use serde_json::json;
use std::{
    io::Write,
    path::Path,
    process::{Command, Stdio},
};

/// (the folder that it runs in, PATH, what stands before a file's name)
#[test]
fn files_are_named_as_they_are_found() {
    let folder = Folder::with(&[]);
    for (file, text) in [("repo/flux/policy.yaml", POLICY), ("repo/apps/app.yaml", DEPLOYMENT), ("other/x", "")] {
        folder.put(file, text.as_bytes());
    }
    let absolute = folder.path().canonicalize().unwrap().join("repo").display().to_string();
    #[rustfmt::skip]
    let cases = [
        ("repo", ".", ""), ("repo", "./", ""), ("repo", absolute.as_str(), ""), ("repo", "../repo", ""),
        ("repo", "apps/..", ""), ("", "repo", "repo/"), ("", "./repo/", "repo/"), ("", absolute.as_str(), "repo/"),
        // What lies outside is named, and a diff applied, from there.
        ("other", "../repo", ""), ("other", absolute.as_str(), ""), ("repo/flux", "..", ""),
    ];
    for (here, path, before) in cases {
        let at = folder.path().join(here);
        let plan = |more: &[&str]| butler(&at, &[&["plan", path], &TAGS[..], more].concat());
        let file = plan(&["-o", "json"]).json(0)["changes"][0]["file"].clone();
        assert_eq!(file, json!(format!("{before}apps/app.yaml")), "{here} {path}");
        let text = plan(&[]);
        assert!(text.text().starts_with(&format!("{before}apps/app.yaml:11:16 ")), "{here} {path}: {}", text.out);
        let diff = plan(&["-o", "diff"]);
        assert!(diff.text().starts_with(&format!("--- a/{before}apps/app.yaml\n")), "{here} {path}: {}", diff.out);
        // Found from where it runs, else from PATH.
        let from = if at.join(format!("{before}apps/app.yaml")).is_file() { at.clone() } else { at.join(path) };
        git_apply(&from, &diff.out);
        assert!(folder.text("repo/apps/app.yaml").contains("app:1.2.0"), "{here} {path}");
        folder.put("repo/apps/app.yaml", DEPLOYMENT.as_bytes());
        // The same holds of lint.
        folder.put("repo/apps/lost.yaml", DEPLOYMENT.replace("flux-system:app", "flux-system:lost").as_bytes());
        let found = butler(&at, &["lint", path, "-o", "json"]).json(1)["findings"][0]["file"].clone();
        assert_eq!(found, json!(format!("{before}apps/lost.yaml")), "{here} {path}");
        let found = butler(&at, &["lint", path]).out;
        assert!(found.starts_with(&format!("{before}apps/lost.yaml:11:16 error ")), "{here} {path}: {found}");
        let found = butler(&at, &["lint", path, "-o", "github"]).out;
        assert!(found.starts_with(&format!("::error file={before}apps/lost.yaml,line=11,")), "{here} {path}: {found}");
        std::fs::remove_file(folder.path().join("repo/apps/lost.yaml")).unwrap();
    }
    // A single file, and set.
    let diff = butler(folder.path(), &["set", "repo/apps/app.yaml", "--image", "example.com/proxy:2", "-o", "diff"]);
    git_apply(folder.path(), diff.text());
    assert!(folder.text("repo/apps/app.yaml").contains("proxy:2"));
}

/// In a repository and out of one, a patch with names below the current folder is applied there.
fn git_apply(at: &Path, diff: &str) {
    let mut git = Command::new("git");
    git.args(["apply", "-"]).current_dir(at).env("GIT_CEILING_DIRECTORIES", "/").stdin(Stdio::piped());
    let mut child = git.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    child.stdin.take().unwrap().write_all(diff.as_bytes()).unwrap();
    let output = child.wait_with_output().unwrap();
    assert!(output.status.success(), "{}: {diff}", String::from_utf8_lossy(&output.stderr));
}

/// A patch file that is yet to come is made by `git apply` too; in a folder of a git checkout as in any.
#[test]
fn a_diff_makes_files() {
    let folder = Folder::with(&[("sub/kustomization.yaml", "resources: [app.yaml]\n")]);
    let init = Command::new("git").args(["init", "-q"]).current_dir(folder.path()).status().unwrap();
    assert!(init.success());
    let generators =
        "version: 1\npatchUpdated:\n  generators: [{command: kustomize build .}]\n  patchFile: patch.yaml\n";
    folder.put("sub/.flux.yaml", generators.as_bytes());
    let annotated = DEPLOYMENT.replace("namespace: prod\n", "namespace: prod\n  annotations: {fluxcd.io/automated: \"true\", fluxcd.io/tag.app: \"semver:1.x\", fluxcd.io/tag.sidecar: \"semver:9.x\"}\n");
    folder.put("sub/app.yaml", annotated.replace("  # {\"$imagepolicy\": \"flux-system:app\"}", "").as_bytes());
    let tags = ["--tag", "example.com/app:1.1.0", "--tag", "example.com/proxy:0.1.0"];
    for (here, path) in [("", "sub"), ("sub", ".")] {
        let at = folder.path().join(here);
        let diff = butler(&at, &[&["plan", path, "-o", "diff"], &tags[..]].concat());
        git_apply(&at, diff.text());
        assert!(folder.text("sub/patch.yaml").contains("example.com/app:1.1.0"), "{}", diff.out);
        std::fs::remove_file(folder.path().join("sub/patch.yaml")).unwrap();
    }
    // The place that it names can be asked about, by the same name.
    for (here, path, place) in [("", "sub", "sub/patch.yaml:1:1"), ("sub", ".", "patch.yaml:1:1")] {
        let at = folder.path().join(here);
        let plan = butler(&at, &[&["plan", path], &tags[..]].concat());
        assert!(plan.text().starts_with(&format!("{place} ")), "{}", plan.out);
        let told = butler(&at, &[&["explain", path, place], &tags[..]].concat());
        assert!(
            told.text().starts_with("patch.yaml:1\n") && told.out.contains("value     nothing yet, an image"),
            "{}",
            told.out
        );
    }
}
