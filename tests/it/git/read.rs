//! Commits as snapshots: what is read again, and that it is the same as reading everything anew.

use super::*;
use butler::{
    adapters::git::{BranchState, Reader, Work},
    engine::{config::Config, manifest::SIZE_LIMIT},
};
use std::{os::unix::fs::symlink, sync::Arc};

const IMAGE: &str = "image: registry.example.com/app:1\n";

/// All that a snapshot says and means, to be compared.
fn content(state: &BranchState) -> [Vec<String>; 4] {
    let entries = state.snapshot.entries.iter().map(|(path, entry)| format!("{path} {entry:?}"));
    let scans = state.snapshot.scans.iter().map(|(path, scan)| format!("{path} {scan:?}"));
    let lines = state.bindings.lines.iter().map(|line| format!("{line:?}"));
    let policies = state.bindings.policies.iter().map(|policy| format!("{policy:?}"));
    [entries.collect(), scans.collect(), lines.collect(), policies.collect()]
}

#[test]
fn a_push_is_read_as_its_difference() {
    let files: Vec<(String, String)> =
        (0..200).map(|n| (format!("apps/{}/{n}.yaml", n % 7), format!("# {n}\n{IMAGE}"))).collect();
    let files: Vec<(&str, &str)> = files.iter().map(|(path, text)| (path.as_str(), text.as_str())).collect();
    let (town, first) = town(&files);
    let (reader, config) = (Reader::default(), Arc::new(Config::whole_repository()));
    let state = reader.branch(&town.mirror, "main", &first, &config).unwrap();
    assert_eq!(state.snapshot.scans.len(), 200);
    assert_eq!(reader.work(), Work { read: 200, parsed: 200 });

    let folder = town.ann.folder().to_owned();
    let path = |name: &str| folder.join(name);
    let mut before = reader.work();
    let mut step = |what: &str, change: &dyn Fn(), read: u64, parsed: u64| {
        change();
        town.ann.git(&["add", "--all"]);
        town.ann.git(&["commit", "--quiet", "--message", what]);
        let head = town.ann.push().head();
        town.mirror.fetch(BRANCHES).unwrap();
        let state = reader.branch(&town.mirror, "main", &head, &config).unwrap();
        let anew = Reader::default().branch(&town.mirror, "main", &head, &config).unwrap();
        assert_eq!(content(&state), content(&anew), "{what}");
        assert_eq!(state.snapshot.commit, Some(head));
        let work = reader.work();
        assert_eq!((work.read - before.read, work.parsed - before.parsed), (read, parsed), "{what}");
        before = work;
    };
    let write = |name: &str, text: &str| fs::write(path(name), text).unwrap();
    step("a file changes", &|| write("apps/0/0.yaml", "image: a:2\n"), 1, 1);
    step("a file without interest comes", &|| write("apps/0/new.yaml", "kind: Namespace\n"), 1, 0);
    step("a file is no longer of interest", &|| write("apps/0/0.yaml", "kind: Secret\n"), 1, 0);
    step("it is again what it was", &|| write("apps/0/0.yaml", "image: a:2\n"), 0, 0);
    step(
        "new files are copies of each other",
        &|| ["a", "b", "c"].iter().for_each(|name| write(&format!("apps/copy-{name}.yaml"), "image: c:1\n")),
        1,
        1,
    );
    step("one is removed", &|| fs::remove_file(path("apps/1/1.yaml")).unwrap(), 0, 0);
    step("one moves", &|| fs::rename(path("apps/1/8.yaml"), path("apps/8.yaml")).unwrap(), 0, 0);
    step(
        "a folder becomes a file",
        &|| {
            fs::remove_dir_all(path("apps/2")).unwrap();
            write("apps/2", "text");
            write("apps/3.yaml", "image: b:1\n");
        },
        1,
        1,
    );
    step(
        "a file becomes a symlink",
        &|| {
            fs::remove_file(path("apps/4/4.yaml")).unwrap();
            symlink("11.yaml", path("apps/4/4.yaml")).unwrap();
        },
        0,
        0,
    );
    step(
        "another mode",
        &|| {
            town.ann.git(&["update-index", "--chmod=+x", "apps/5/5.yaml"]);
            town.ann.git(&["config", "core.fileMode", "false"]);
        },
        0,
        0,
    );
}

/// What the reader leaves out is told, of a first commit and of a later one.
#[test]
fn files_that_are_not_read_are_told() {
    use std::{ffi::OsStr, os::unix::ffi::OsStrExt as _};
    let (town, first) = town(&[("a.yaml", IMAGE)]);
    let (reader, config) = (Reader::default(), Arc::new(Config::whole_repository()));
    reader.branch(&town.mirror, "main", &first, &config).unwrap();
    let path = |name: &[u8]| town.ann.folder().join(OsStr::from_bytes(name));
    fs::create_dir(path(b"d\xff")).unwrap();
    for name in [&b"caf\xe9.yaml"[..], b"caf\xe9.txt", b"d\xff/b.yaml"] {
        fs::write(path(name), IMAGE).unwrap();
    }
    fs::write(path(b"large.yaml"), vec![b'\n'; SIZE_LIMIT + 1]).unwrap();
    town.ann.git(&["add", "--all"]);
    town.ann.git(&["commit", "--quiet", "--message", "odd"]);
    let head = town.ann.push().head();
    town.mirror.fetch(BRANCHES).unwrap();
    let state = reader.branch(&town.mirror, "main", &head, &config).unwrap();
    let anew = Reader::default().branch(&town.mirror, "main", &head, &config).unwrap();
    assert_eq!(content(&state), content(&anew));
    let told = state.snapshot.unread().chain(state.snapshot.faults());
    let told: Vec<String> = told.map(|skip| format!("{} {}", skip.file, skip.code)).collect();
    let expected = [r"caf\xE9.yaml path-not-utf8", r"d\xFF/b.yaml path-not-utf8", "large.yaml file-too-large"];
    assert_eq!(told, expected);
    assert_eq!(state.snapshot.lines().count(), 1);

    // A file may have the very name that another is shown by: it comes, and stays when the other goes.
    fs::write(path(br"caf\xE9.yaml"), IMAGE).unwrap();
    for gone in [None, Some(&b"caf\xe9.yaml"[..])] {
        if let Some(name) = gone {
            fs::remove_file(path(name)).unwrap();
        }
        town.ann.git(&["add", "--all"]);
        town.ann.git(&["commit", "--quiet", "--message", "namesakes"]);
        let head = town.ann.push().head();
        town.mirror.fetch(BRANCHES).unwrap();
        let state = reader.branch(&town.mirror, "main", &head, &config).unwrap();
        let anew = Reader::default().branch(&town.mirror, "main", &head, &config).unwrap();
        assert_eq!(content(&state), content(&anew));
        assert_eq!(state.snapshot.lines().count(), 2, "{gone:?}");
    }
}

#[test]
fn a_mirror_made_anew_is_read_from_the_beginning() {
    let (town, first) = town(&[("a.yaml", IMAGE)]);
    let (reader, config) = (Reader::default(), Arc::new(Config::whole_repository()));
    reader.branch(&town.mirror, "main", &first, &config).unwrap();
    town.ann.write("a.yaml", "image: b:1\n");
    town.ann.git(&["add", "--all"]);
    // The old commit is nobody's any more.
    town.ann.git(&["commit", "--quiet", "--amend", "--message", "other"]);
    town.ann.git(&["push", "--quiet", "--force"]);
    let head = town.ann.head();
    fs::remove_dir_all(town.folder.path().join("mirror")).unwrap();
    let mirror =
        Mirror::open_or_create(&town.folder.path().join("mirror"), &town.server.url(REPO), token(TOKEN)).unwrap();
    mirror.fetch(BRANCHES).unwrap();
    let state = reader.branch(&mirror, "main", &head, &config).unwrap();
    assert_eq!(state.snapshot.scans.get("a.yaml").unwrap().lines[0].value, "b:1");
}

const POLICY: &str = "\
apiVersion: image.toolkit.fluxcd.io/v1
kind: ImageRepository
metadata: {name: app}
spec: {image: example.com/app}
---
apiVersion: image.toolkit.fluxcd.io/v1
kind: ImagePolicy
metadata: {name: app}
spec: {imageRepositoryRef: {name: app}, policy: {semver: {range: 1.x}}}
";

/// What files mean together is put together anew only where it may have changed: by a file, or by butler.yaml.
#[test]
fn a_new_tag_changes_no_meaning() {
    let marked = |tag: &str| format!("image: example.com/app:{tag} # {{\"$imagepolicy\": \"default:app\"}}\n");
    let kustomization = "resources: [../app.yaml]\n";
    let (town, first) =
        town(&[("app.yaml", &marked("1.0.0")), ("policy.yaml", POLICY), ("dev/kustomization.yaml", kustomization)]);
    let (reader, config) = (Reader::default(), Arc::new(Config::whole_repository()));
    let mut state = reader.branch(&town.mirror, "main", &first, &config).unwrap();
    for (file, text, same) in [
        ("app.yaml", marked("1.1.0"), true),
        ("policy.yaml", POLICY.replace("1.x", "2.x"), false),
        ("dev/kustomization.yaml", format!("# more\n{kustomization}"), true),
        ("dev/kustomization.yaml", format!("{kustomization}namespace: dev\n"), false),
        ("new.yaml", "text".to_owned(), false),
    ] {
        town.ann.write(file, &text);
        town.ann.git(&["add", "--all"]);
        town.ann.git(&["commit", "--quiet", "--message", file]);
        let head = town.ann.push().head();
        town.mirror.fetch(BRANCHES).unwrap();
        let next = reader.branch(&town.mirror, "main", &head, &config).unwrap();
        assert_eq!(Arc::ptr_eq(&state.bindings, &next.bindings), same, "{file}: {text}");
        let anew = Reader::default().branch(&town.mirror, "main", &head, &config).unwrap();
        assert_eq!(content(&next), content(&anew), "{file}: {text}");
        state = next;
    }
    let equal = Arc::new((*config).clone());
    let known = reader.branch(&town.mirror, "main", &state.commit, &equal).unwrap();
    assert!(Arc::ptr_eq(&state, &known));
    let text =
        "version: 1\nenvironments: {dev: {path: .}}\nimages: [{image: example.com/app, policy: {semver: 1.x}}]\n";
    let other = Arc::new(butler::engine::config::parse("butler.yaml", text).unwrap());
    let before = reader.work();
    let under_other = reader.branch(&town.mirror, "main", &state.commit, &other).unwrap();
    assert_eq!((under_other.bindings.lines.len(), state.bindings.lines.len()), (2, 1));
    assert_eq!(reader.work(), before);
}

/// What butler wrote is told of any file, from what its commits changed.
#[test]
fn own_writes_are_those_of_an_email() {
    let (town, first) = town(&[("a.yaml", "image: a:1\n"), ("b.yaml", "image: b:1\n")]);
    let reader = Reader::default();
    let commit = |email: &str, files: &[(&str, &str)]| {
        for (file, text) in files {
            town.ann.write(file, text);
        }
        town.ann.git(&["add", "--all"]);
        town.ann.git(&["commit", "--quiet", "--author", &format!("x <{email}>"), "--message", email]);
        let head = town.ann.push().head();
        town.mirror.fetch(BRANCHES).unwrap();
        head
    };
    let values = |head: &str, file: &str| -> Vec<(String, String, String)> {
        let writes = reader.own_writes(&town.mirror, head, file, "butler@example.com").unwrap();
        let value = |scan: &butler::engine::manifest::Scan| {
            scan.lines.iter().map(|line| line.value.as_str()).collect::<Vec<_>>().join(" ")
        };
        writes.into_iter().map(|write| (write.commit.clone(), value(&write.before), value(&write.after))).collect()
    };
    let row = |commit: &str, before: &str, after: &str| (commit.to_owned(), before.to_owned(), after.to_owned());
    assert_eq!(values(&first, "a.yaml"), []);
    let second = commit("butler@example.com", &[("a.yaml", "image: a:2\n"), ("c/c.yaml", "image: c:1\n")]);
    let third = commit("someone@example.com", &[("a.yaml", "image: a:1\n"), ("b.yaml", "image: b:2\n")]);
    let fourth = commit("butler@example.com", &[("a.yaml", "image: a:3\n")]);
    for (head, file, expected) in [
        (&second, "a.yaml", vec![row(&second, "a:1", "a:2")]),
        (&fourth, "a.yaml", vec![row(&fourth, "a:1", "a:3"), row(&second, "a:1", "a:2")]),
        (&fourth, "b.yaml", vec![]),
        (&fourth, "c/c.yaml", vec![row(&second, "", "c:1")]),
        (&third, "a.yaml", vec![row(&second, "a:1", "a:2")]),
        (&fourth, "absent.yaml", vec![]),
    ] {
        assert_eq!(values(head, file), expected, "{file} at {head}");
    }
}
