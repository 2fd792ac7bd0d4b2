//! The command line as a process: what it prints in a pipe, what it writes, and its exit codes.

mod annotate;
mod explain;
mod lint;
mod names;
mod plan;
mod policy;
mod serve;
mod set;

use crate::support::binary::Folder;

const POLICY: &str = "\
apiVersion: image.toolkit.fluxcd.io/v1
kind: ImageRepository
metadata: {name: app, namespace: flux-system}
spec: {image: example.com/app}
---
apiVersion: image.toolkit.fluxcd.io/v1
kind: ImagePolicy
metadata: {name: app, namespace: flux-system}
spec:
  imageRepositoryRef: {name: app}
  policy: {semver: {range: 1.x}}
";

const DEPLOYMENT: &str = "\
apiVersion: apps/v1
kind: Deployment
metadata:
  name: app
  namespace: prod
spec:
  template:
    spec:
      containers:
      - name: app
        image: example.com/app:1.0.0  # {\"$imagepolicy\": \"flux-system:app\"}
      - name: sidecar
        image: example.com/proxy:0.1.0
";

const AUTOMATION: &str = "\
apiVersion: image.toolkit.fluxcd.io/v1
kind: ImageUpdateAutomation
metadata: {name: flux, namespace: flux-system}
spec: {interval: 5m, sourceRef: {kind: GitRepository, name: flux-system}, git: {commit: {author: {email: flux@example.org}}}, update: {path: ./apps}}
";

/// A config repository with one policy and one workload that follows it.
fn repository() -> Folder {
    Folder::with(&[("flux/policy.yaml", POLICY), ("apps/app.yaml", DEPLOYMENT)])
}

#[test]
fn arguments_that_cannot_be_are_2_and_help_is_0() {
    let folder = repository();
    #[rustfmt::skip]
    let cases: &[(&[&str], i32, &str)] = &[
        (&["--help"], 0, "Usage: butler"),
        (&["--version"], 0, "butler 0"),
        (&["plan", "--help"], 0, "localhost"),
        (&[], 2, "Usage: butler"),
        (&["plann"], 2, "plan"),
        (&["plan", "-o", "yaml"], 2, "invalid value 'yaml'"),
        (&["plan", "nowhere"], 2, "expected a folder or a file, found nothing at nowhere"),
        (&["plan", "apps/app.yaml/b"], 2, "found nothing at apps/app.yaml/b"),
        (&["lint", "nowhere"], 2, "expected a folder or a file, found nothing at nowhere"),
        (&["set", "nowhere", "--policy", "a:b=c:1"], 2, "found nothing at nowhere"),
        (&["set"], 2, "--policy <NS:NAME=IMAGE:TAG[@DIGEST]>|--image <IMAGE:TAG[@DIGEST]>|--object <NS:KIND/NAME"),
        (&["policy", "--semver", "*"], 2, "--image"),
    ];
    for (arguments, code, says) in cases {
        let ran = folder.run(arguments);
        assert_eq!(ran.code, *code, "{arguments:?}: {}{}", ran.out, ran.err);
        assert!(format!("{}{}", ran.out, ran.err).contains(says), "{arguments:?}: {}{}", ran.out, ran.err);
        assert!(!format!("{}{}", ran.out, ran.err).contains('\x1b'), "{arguments:?}: plain text in a pipe");
    }
}

#[test]
fn help_fits_a_terminal() {
    let folder = repository();
    let pages = [
        "",
        "plan",
        "set",
        "policy",
        "explain",
        "lint",
        "serve",
        "config",
        "config check",
        "memory",
        "memory reset",
        "sandbox",
        "sandbox push",
        "sandbox comment",
        "sandbox show",
        "sandbox status",
    ];
    for page in pages {
        let arguments: Vec<&str> = page.split_whitespace().chain(["--help"]).collect();
        let ran = folder.run_narrow(&arguments);
        let wide = ran.text().lines().filter(|line| line.chars().count() > 80);
        assert_eq!(wide.collect::<Vec<_>>(), [""; 0], "{page}");
    }
}

#[test]
fn a_folder_that_cannot_be_read_is_3() {
    let folder = repository();
    // A file that is listed and cannot be opened, whoever the tests run as: a folder in its place a moment later would
    // be a race, a name in a loop of links is not.
    std::os::unix::fs::symlink("loop", folder.path().join("loop")).unwrap();
    for command in ["plan", "lint"] {
        let ran = folder.run(&[command, "loop"]);
        assert_eq!(ran.code, 3, "{command}: {}{}", ran.out, ran.err);
        assert!(ran.err.starts_with("error: cannot read loop: "), "{}", ran.err);
    }
}

#[test]
fn nothing_above_the_path_is_looked_at() {
    let folder = repository();
    folder.put("butler.yaml", b"version: 99\n");
    folder.put("apps/.keep", b"");
    let plan = folder.run(&["plan", "apps", "--tag", "example.com/app:1.1.0", "-o", "json"]).json(0);
    assert_eq!(plan["skipped"][0]["code"], "policy-unresolved", "the policy is in a folder beside: {plan}");
    // With it, butler.yaml counts.
    let ran = folder.run(&["plan", "--tag", "example.com/app:1.1.0"]);
    assert_eq!(ran.code, 2, "{}", ran.out);
    assert!(ran.err.starts_with("error: butler.yaml:1:10: "), "{}", ran.err);
}

/// "in this repository" is more than what was read, where PATH is a part of a checkout.
#[test]
fn a_part_of_a_checkout_is_called_one() {
    let folder = repository();
    let note = |path: &str, argument: &str| {
        let commands: [&[&str]; 3] = [
            &["lint", path],
            &["plan", path, "--tag", "example.com/app:1.1.0"],
            &["explain", path, argument, "--tag", "example.com/app:1.1.0"],
        ];
        commands.map(|arguments| folder.run(arguments).err)
    };
    assert_eq!(note("apps", "app.yaml:11"), [""; 3], "no checkout");
    folder.put(".git/HEAD", b"ref: refs/heads/main\n");
    assert_eq!(note(".", "apps/app.yaml:11"), [""; 3], "all of it");
    let elsewhere = "read: what is elsewhere in the git checkout is not known\n";
    assert_eq!(
        note("apps", "app.yaml:11"),
        [(); 3].map(|()| format!("note: only the files below apps are {elsewhere}"))
    );
    let file = [(); 3].map(|()| format!("note: only apps/app.yaml is {elsewhere}"));
    assert_eq!(note("apps/app.yaml", "app.yaml:11"), file);
    // Its own butler.yaml makes a folder a repository's top: an example within another one.
    folder.put("apps/butler.yaml", b"version: 1\n");
    assert!(note("apps", "app.yaml:11").iter().all(|said| !said.contains("elsewhere")));
    // What is missing is a policy's image.
    let (_, policy) = POLICY.split_once("---\n").unwrap();
    folder.put("flux/policy.yaml", policy.as_bytes());
    let said = folder.run(&["lint", "flux"]).err;
    assert!(said.ends_with(&format!("note: only the files below flux are {elsewhere}")), "{said}");
    // Nothing is said to be missing.
    folder.put("flux/policy.yaml", POLICY.as_bytes());
    let said = folder.run(&["lint", "flux/policy.yaml"]).err;
    assert!(!said.contains("elsewhere"), "{said}");
}

/// A butler.yaml counts in PATH alone; it is named as the current folder has it.
#[test]
fn a_butler_yaml_of_another_folder_is_told() {
    let folder = repository();
    folder.put(".git/HEAD", b"ref: refs/heads/main\n");
    let tag = ["--tag", "example.com/app:1.1.0"];
    let plan = |path: &str| folder.run(&[&["plan", path], &tag[..]].concat()).err;
    folder.put("apps/butler.yml", b"version: 1\n");
    assert!(plan("apps").starts_with("warning: apps/butler.yml:1:1: this file is not read: "), "{}", plan("apps"));
    folder.put(".github/butler.yaml", b"version: 1\nenvironments: {}\n");
    let told = "/.github/butler.yaml is not read, since it is not below apps: give ";
    assert!(plan("apps").contains(told), "{}", plan("apps"));
    assert!(plan("apps/app.yaml").contains(&told.replace("apps:", "apps/app.yaml:")), "{}", plan("apps/app.yaml"));
    assert!(!plan(".").contains("is not read"), "{}", plan("."));
    folder.put("apps/butler.yaml", b"version: x\n");
    assert!(plan("apps").starts_with("error: apps/butler.yaml:1:"), "{}", plan("apps"));
}

/// "0 findings" of a folder that butler has nothing to do with is not "all is well".
#[test]
fn a_folder_without_anything_of_butlers_is_called_so() {
    let folder = Folder::with(&[("apps/app.yaml", &DEPLOYMENT.replace("$imagepolicy", "another"))]);
    let said = || [["lint", "."], ["plan", "."]].map(|arguments| folder.run(&arguments).err);
    assert_eq!(said(), ["note: no butler.yaml here, and no line follows a policy\n"; 2]);
    folder.put("butler.yaml", b"version: 1\n");
    assert!(said().iter().all(|said| !said.contains("no butler.yaml")), "{:?}", said());
    assert_eq!(repository().run(&["lint"]).err, "");
}
