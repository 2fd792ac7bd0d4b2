//! Commits without a working tree.

use super::*;

#[test]
fn an_edit_changes_its_file_and_nothing_else() {
    let files =
        [("apps/größe ☃/a b.yaml", "tag: 1\n"), ("apps/other.yaml", "o: 1\n"), ("run.sh", "echo 1\n"), ("z/z", "z")];
    let (town, _) = town(&files);
    town.ann.git(&["update-index", "--chmod=+x", "run.sh"]);
    town.ann.git(&["config", "core.fileMode", "false"]);
    let first = town.ann.commit("executable");
    town.ann.push();
    town.mirror.fetch(BRANCHES).unwrap();

    let changes = [
        change("apps/größe ☃/a b.yaml", Some("tag: 2\n")),
        change("run.sh", Some("echo 2\n")),
        change("new/folder/file", Some("n")),
        change("z/z", None),
    ];
    let id = town.mirror.commit_edits(&first, &changes, &meta("butler: update\n\nGrüße\n\n\n")).unwrap();
    let again = town.mirror_with(REPO, TOKEN);
    again.fetch(BRANCHES).unwrap();
    let shuffled: Vec<_> = changes.iter().rev().cloned().collect();
    assert_eq!(again.commit_edits(&first, &shuffled, &meta("butler: update\n\nGrüße")).unwrap(), id);

    assert_eq!(town.push(MAIN, Some(&first), Some(&id)), PushOutcome::Pushed);
    town.fsck();
    assert_eq!(town.ann.log("main"), ["butler: update", "executable", "first"]);
    town.ann.git(&["config", "core.quotePath", "false"]);
    assert_eq!(
        town.ann
            .git(&["diff", "--raw", "--no-renames", "--abbrev=1", "HEAD", "FETCH_HEAD"])
            .replace('\t', " ")
            .lines()
            .map(|line| {
                let fields: Vec<_> = line.splitn(6, ' ').collect();
                format!("{} {} {} {}", fields[0], fields[1], fields[4], fields[5])
            })
            .collect::<Vec<_>>(),
        [
            ":100644 100644 M apps/größe ☃/a b.yaml",
            ":000000 100644 A new/folder/file",
            ":100755 100755 M run.sh",
            ":100644 000000 D z/z",
        ]
    );
    assert_eq!(
        town.ann.git(&["log", "-1", "--format=%an <%ae> %aI|%cn|%B", "FETCH_HEAD"]),
        "butler <butler@example.com> 2026-03-01T12:00:00+00:00|butler|butler: update\n\nGrüße"
    );

    let paths = |list: Vec<ChangedPath>| list.into_iter().map(|change| change.path.to_string()).collect::<Vec<_>>();
    let changed = town.mirror.changed_paths(&first, &id).unwrap();
    assert_eq!(paths(changed.clone()), ["apps/größe ☃/a b.yaml", "new/folder/file", "run.sh", "z/z"]);
    let new = changed[0].new.as_deref().unwrap();
    assert_eq!(town.mirror.read_blob(new, 7).unwrap(), b"tag: 2\n");
    assert!(matches!(town.mirror.read_blob(new, 6), Err(GitError::TooLarge { size: 7, limit: 6, .. })));
    assert!(changed[1].old.is_none() && changed[3].new.is_none());
}

#[test]
fn symlinks_and_submodules_are_reported_and_not_followed() {
    let (town, _) = town(&[("real/a.yaml", "a: 1\n")]);
    std::os::unix::fs::symlink("real", town.ann.folder().join("link")).unwrap();
    town.ann.git(&["add", "link"]);
    let head = town.ann.head();
    town.ann.git(&["update-index", "--add", "--cacheinfo", &format!("160000,{head},sub")]);
    town.ann.git(&["commit", "--quiet", "--message", "links"]);
    let head = town.ann.push().head();
    town.mirror.fetch(BRANCHES).unwrap();
    let entries = town.mirror.tree_entries(&head).unwrap();
    let seen: Vec<_> = entries.iter().map(|entry| (&*entry.path, entry.mode)).collect();
    assert_eq!(seen, [("link", Mode::Symlink), ("real/a.yaml", Mode::File), ("sub", Mode::Submodule)]);

    for (path, text, expected) in [
        ("link", Some("x"), "link: it is a symlink"),
        ("link/a.yaml", Some("x"), "link: it is no folder"),
        ("sub/a.yaml", Some("x"), "sub: it is no folder"),
        ("sub", None, "sub: it is a submodule"),
        ("real", Some("x"), "real: it is a folder"),
        ("real/a.yaml/b", Some("x"), "real/a.yaml: it is no folder"),
        ("real/absent", None, "real/absent: there is no such file"),
        ("../a", Some("x"), "no path inside"),
        ("/a", Some("x"), "no path inside"),
        ("a/.GIT/hooks/x", Some("x"), "no path inside"),
        ("", Some("x"), "no path inside"),
    ] {
        let error = town.mirror.commit_edits(&head, &[change(path, text)], &meta("m")).unwrap_err();
        assert!(matches!(error, GitError::Invalid(_)) && error.to_string().contains(expected), "{path}: {error}");
    }
}

#[test]
fn the_last_file_takes_its_folders_along() {
    let (town, first) = town(&[("deep/er/a", "a"), ("b", "b")]);
    let id = town.mirror.commit_edits(&first, &[change("deep/er/a", None)], &meta("m")).unwrap();
    assert_eq!(town.push(MAIN, Some(&first), Some(&id)), PushOutcome::Pushed);
    town.ann.pull();
    assert_eq!(town.ann.git(&["ls-tree", "-r", "-t", "--name-only", "HEAD"]), "b");
}

#[test]
fn a_small_tree_of_its_own_goes_to_its_own_ref() {
    let (town, _) = town(&[("a.yaml", "a: 1\n")]);
    let state = "refs/butler/state";
    let files = |text: &str| BTreeMap::from([("state.json".to_owned(), text.as_bytes().to_vec())]);
    let one = town.mirror.commit_files(None, &files("1"), &meta("one")).unwrap();
    assert_eq!(town.push(state, None, Some(&one)), PushOutcome::Pushed);
    let two = town.mirror.commit_files(Some(&one), &files("2"), &meta("two")).unwrap();
    assert_eq!(town.push(state, Some(&one), Some(&two)), PushOutcome::Pushed);

    let other = town.mirror_with(REPO, TOKEN);
    assert_eq!(other.fetch(&[state]).unwrap(), BTreeMap::from([(state.to_owned(), two.clone())]));
    let entries = other.tree_entries(&two).unwrap();
    assert_eq!(other.read_blob(&entries[0].id, 100).unwrap(), b"2");
    town.fsck();
}

#[test]
fn a_plain_merge_brings_nothing_of_its_own() {
    let (town, first) = town(&[("a.yaml", "a: 1\n"), ("b.yaml", "b: 1\n")]);
    let ann = &town.ann;
    let side = ann.checkout("side").write("a.yaml", "a: 2\n").commit("side");
    let rival = ann.checkout("main").checkout("rival").write("b.yaml", "b: 3\n").commit("rival");
    let main = ann.checkout("main").write("b.yaml", "b: 2\n").commit("main");
    let merge = |files: &[(&str, &str)], onto: &str, other: &str| {
        ann.git(&["checkout", "--quiet", "--detach", onto]);
        let _ = ann.try_git(&["merge", "--quiet", "--no-commit", "--no-ff", other]);
        for (file, text) in files {
            ann.write(file, text);
        }
        let commit = ann.commit("merge");
        ann.git(&["push", "--quiet", "--force", "origin", "HEAD:refs/heads/merge"]);
        town.mirror.fetch(BRANCHES).unwrap();
        commit
    };
    for (what, files, onto, other, plain) in [
        ("as git does it", &[][..], &side, &main, true),
        ("a file more", &[("evil.yaml", "x\n")], &side, &main, false),
        ("a change taken back", &[("b.yaml", "b: 1\n")], &side, &main, false),
        ("a change of its own", &[("a.yaml", "a: 3\n")], &side, &main, false),
        ("a conflict resolved", &[("b.yaml", "b: 2\n")], &main, &rival, false),
    ] {
        assert_eq!(town.mirror.is_plain_merge(&merge(files, onto, other)).unwrap(), plain, "{what}");
    }
    assert!(!town.mirror.is_plain_merge(&side).unwrap() && !town.mirror.is_plain_merge(&first).unwrap(), "no merges");
}
