//! Mirrors follow the remote, and mend themselves.

use super::*;

#[test]
fn a_fetch_follows_new_forced_and_deleted_branches() {
    let (town, first) = town(&[("a.yaml", "a: 1\n")]);
    let second = town.ann.write("a.yaml", "a: 2\n").commit("second");
    town.ann.push().checkout("release").push();
    let heads = |pairs: &[(&str, &str)]| -> BTreeMap<String, String> {
        pairs.iter().map(|(name, id)| (format!("refs/heads/{name}"), (*id).to_owned())).collect()
    };
    assert_eq!(town.mirror.fetch(BRANCHES).unwrap(), heads(&[("main", &second), ("release", &second)]));

    // `release/1` can only be where `release` is not; and `main` goes back.
    town.ann.delete_branch("release").checkout("main").reset_hard(&first).force_push();
    town.ann.git(&["branch", "-D", "release"]);
    town.ann.checkout("release/1").push();
    assert_eq!(town.mirror.fetch(BRANCHES).unwrap(), heads(&[("main", &first), ("release/1", &first)]));

    let refs = Command::new("git").arg("for-each-ref").current_dir(town.folder.path().join("mirror")).output().unwrap();
    let refs = String::from_utf8(refs.stdout).unwrap();
    assert_eq!(refs, format!("{first} commit\trefs/heads/main\n{first} commit\trefs/heads/release/1\n"));
}

#[test]
fn only_what_was_asked_for_is_fetched() {
    let (town, first) = town(&[("a.yaml", "a: 1\n")]);
    town.ann.checkout("feature");
    let feature = town.ann.commit("feature");
    town.ann.push();
    let heads = town.mirror.fetch(&[MAIN, "refs/butler/state"]).unwrap();
    assert_eq!(heads, BTreeMap::from([(MAIN.to_owned(), first)]));
    assert!(matches!(town.mirror.tree_entries(&feature), Err(GitError::Missing { what: "commit", .. })));
    town.mirror.fetch(&["refs/heads/feature"]).unwrap();
    assert_eq!(town.mirror.tree_entries(&feature).unwrap().len(), 1);
}

#[test]
fn damage_is_repaired_by_fetching_anew() {
    let (town, first) = town(&[("a.yaml", "a: 1\n")]);
    let dir = town.folder.path().join("mirror");
    let reopen = || Mirror::open_or_create(&dir, &town.server.url(REPO), token(TOKEN)).unwrap();
    let whole = |mirror: &Mirror| {
        assert_eq!(mirror.fetch(BRANCHES).unwrap()[MAIN], first);
        assert_eq!(mirror.tree_entries(&first).unwrap().len(), 1);
    };
    whole(&reopen());
    // Killed while the folder was made; while a pack was written; between the two.
    fs::remove_file(dir.join("HEAD")).unwrap();
    whole(&reopen());
    for file in fs::read_dir(dir.join("objects/pack")).unwrap() {
        fs::remove_file(file.unwrap().path()).unwrap();
    }
    whole(&reopen());
    fs::write(dir.join("refs/heads/main"), "").unwrap();
    whole(&reopen());
    // Killed while a ref was moved, and only seen when it moves again.
    let mirror = reopen();
    fs::write(dir.join("refs/heads/main.lock"), "").unwrap();
    let second = town.ann.commit("second");
    town.ann.push();
    assert_eq!(mirror.fetch(BRANCHES).unwrap()[MAIN], second);
}

#[test]
fn history_follows_first_parents() {
    let (town, first) = town(&[("a.yaml", "a: 1\n")]);
    let ann = &town.ann;
    let second = ann.write("a.yaml", "a: 2\n").commit("second");
    ann.checkout("side");
    let side = ann.write("b.yaml", "b: 1\n").commit("side");
    ann.checkout("main");
    let third = ann.write("c/d.yaml", "c: 1\n").commit("third");
    ann.git(&["merge", "--quiet", "--no-ff", "--message", "merge", "side"]);
    let merge = ann.head();
    fs::remove_file(ann.folder().join("a.yaml")).unwrap();
    let last = ann.commit("last");
    ann.push();
    town.mirror.fetch(BRANCHES).unwrap();

    let history = town.mirror.first_parent_history(&last, 100).unwrap();
    let ids: Vec<_> = history.iter().map(|commit| commit.id.as_str()).collect();
    assert_eq!(ids, [&last, &merge, &third, &second, &first]);
    assert_eq!(history[1].parents, [third.clone(), side.clone()]);
    assert_eq!((history[0].message.as_str(), history[0].author.email.as_str()), ("last\n", "ann@example.com"));
    assert_eq!(town.mirror.first_parent_history(&last, 2).unwrap().len(), 2);

    let changes = |path: &str, limit| -> Vec<(String, bool, bool)> {
        let versions = town.mirror.file_history(&last, path, limit).unwrap();
        versions
            .into_iter()
            .map(|v| (v.commit.message.trim().to_owned(), v.before.is_some(), v.after.is_some()))
            .collect()
    };
    let row = |message: &str, before, after| (message.to_owned(), before, after);
    assert_eq!(
        changes("a.yaml", 100),
        [row("last", true, false), row("second", true, true), row("first", false, true)]
    );
    assert_eq!(changes("b.yaml", 100), [row("merge", false, true)]);
    assert_eq!(changes("c/d.yaml", 100), [row("third", false, true)]);
    assert_eq!(changes("a.yaml", 4), [row("last", true, false), row("second", true, true)]);
    assert_eq!(changes("absent/x", 100), []);

    for (ancestor, commit, expected) in [
        (&first, &last, true),
        (&side, &last, true),
        (&last, &last, true),
        (&last, &first, false),
        (&side, &third, false),
    ] {
        assert_eq!(town.mirror.is_ancestor(ancestor, commit).unwrap(), expected);
    }
}

#[test]
fn addresses_and_ids_that_make_no_sense_are_refused() {
    let folder = TempDir::new().unwrap();
    for url in ["http://user:secret@host/a/b", "ssh://host/a/b", "file:///a/b", "a/b"] {
        let error = Mirror::open_or_create(folder.path(), url, token(TOKEN)).err().unwrap();
        assert!(matches!(error, GitError::Invalid(_)) && !error.to_string().contains("secret"), "{error}");
    }
    let (town, first) = town(&[("a.yaml", "a: 1\n")]);
    for id in ["HEAD", "", "abc", &first[1..]] {
        assert!(matches!(town.mirror.tree_entries(id), Err(GitError::Invalid(_))), "{id}");
    }
    for pattern in ["main", "refs/heads/a..b", "*"] {
        assert!(matches!(town.mirror.fetch(&[pattern]), Err(GitError::Invalid(_))), "{pattern}");
    }
}

#[test]
fn many_packs_become_few() {
    let (town, first) = town(&[("a.yaml", "a: 1\n")]);
    let dir = town.folder.path().join("mirror");
    let packs = || {
        let files = fs::read_dir(dir.join("objects/pack")).unwrap();
        files.filter(|file| file.as_ref().unwrap().path().extension().is_some_and(|end| end == "pack")).count()
    };
    for number in 0..50 {
        let mut import = Command::new("git")
            .args(["-c", "fastimport.unpackLimit=0", "fast-import", "--quiet"])
            .current_dir(&dir)
            .stdin(std::process::Stdio::piped())
            .spawn()
            .unwrap();
        let text = format!("blob\ndata {}\n{number}\n", number.to_string().len());
        std::io::Write::write_all(&mut import.stdin.take().unwrap(), text.as_bytes()).unwrap();
        assert!(import.wait().unwrap().success());
    }
    assert_eq!(packs(), 51);
    town.mirror.fetch(BRANCHES).unwrap();
    assert!(packs() <= 2, "{}", packs());
    assert_eq!(town.mirror.tree_entries(&first).unwrap().len(), 1);
    let next = town.edit(&first, "a.yaml", "a: 2\n");
    assert_eq!(town.push(MAIN, Some(&first), Some(&next)), PushOutcome::Pushed);
}

#[test]
fn a_renamed_repository_is_followed_on_its_host() {
    let (town, first) = town(&[("a.yaml", "a: 1\n")]);
    town.server.rename("acme/before", REPO);
    let mirror = town.mirror_with("acme/before", TOKEN);
    assert_eq!(mirror.fetch(BRANCHES).unwrap()[MAIN], first);
    let next = mirror.commit_edits(&first, &[change("a.yaml", Some("a: 2\n"))], &meta("renamed")).unwrap();
    assert_eq!(mirror.push(&[update(MAIN, Some(&first), Some(&next))]).unwrap(), PushOutcome::Pushed);
    assert_eq!(town.ann.log("main"), ["renamed", "first"]);
}

#[test]
fn blocking_threads_of_a_runtime_share_a_mirror() {
    let (town, first) = town(&[("a.yaml", "a: 1\n")]);
    let town = Arc::new(town);
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let tasks: Vec<_> = (0..8)
        .map(|_| {
            let (town, first) = (town.clone(), first.clone());
            runtime.spawn_blocking(move || {
                assert_eq!(town.mirror.fetch(BRANCHES).unwrap()[MAIN], first);
                assert_eq!(town.mirror.tree_entries(&first).unwrap().len(), 1);
            })
        })
        .collect();
    for task in tasks {
        runtime.block_on(task).unwrap();
    }
}
