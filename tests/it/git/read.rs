//! Commits as snapshots: what is read again, and that it is the same as reading everything anew.

use super::*;
use butler::{
    adapters::git::{BranchState, Reader, Work},
    engine::config::Config,
};
use std::{os::unix::fs::symlink, sync::Arc};

const IMAGE: &str = "image: registry.example.com/app:1\n";

/// All that a snapshot says, to be compared.
fn content(state: &BranchState) -> (Vec<String>, Vec<String>) {
    let entries = state.snapshot.entries.iter().map(|(path, entry)| format!("{path} {entry:?}"));
    let scans = state.snapshot.scans.iter().map(|(path, scan)| format!("{path} {scan:?}"));
    (entries.collect(), scans.collect())
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
