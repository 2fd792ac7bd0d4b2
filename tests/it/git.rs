//! The git adapter against real git over HTTP, with a person at the `git` command line on the other side.

use crate::support::git_http::{GitServer, READER, TOKEN};
use crate::support::person::Person;
use butler::adapters::git::{
    ChangedPath, CommitMeta, FileChange, GitError, Identity, Mirror, Mode, PushOutcome, RefUpdate, Remedy, TokenSource,
};
use butler::sandbox::git_http::{Fault, RequestInfo, Service};
use std::{collections::BTreeMap, fs, process::Command, sync::Arc, time::Duration};
use tempfile::TempDir;

const REPO: &str = "acme/config";
const MAIN: &str = "refs/heads/main";
const BRANCHES: &[&str] = &["refs/heads/*"];

/// A server with one repository, Ann with a clone of it, and butler's mirror.
struct Town {
    server: GitServer,
    ann: Person,
    folder: TempDir,
    mirror: Mirror,
}

fn token(text: &str) -> TokenSource {
    let text = text.to_owned();
    Arc::new(move || Ok(text.clone().into()))
}

/// `main` has one commit of Ann's with `files`, and is fetched.
fn town(files: &[(&str, &str)]) -> (Town, String) {
    let server = GitServer::start();
    server.create(REPO);
    let ann = server.person(REPO, "Ann");
    for (file, text) in files {
        ann.write(file, text);
    }
    let first = ann.commit("first");
    ann.push();
    let folder = TempDir::new().unwrap();
    let mirror = Mirror::open_or_create(&folder.path().join("mirror"), &server.url(REPO), token(TOKEN)).unwrap();
    let heads = mirror.fetch(BRANCHES).unwrap();
    assert_eq!(heads, BTreeMap::from([(MAIN.to_owned(), first.clone())]));
    (Town { server, ann, folder, mirror }, first)
}

impl Town {
    fn mirror_with(&self, repo: &str, secret: &str) -> Mirror {
        let dir = self.folder.path().join(format!("{}-{secret}", repo.replace('/', "-")));
        Mirror::open_or_create(&dir, &self.server.url(repo), token(secret)).unwrap()
    }

    fn edit(&self, base: &str, path: &str, text: &str) -> String {
        self.mirror.commit_edits(base, &[change(path, Some(text))], &meta("butler: update")).unwrap()
    }

    fn push(&self, name: &str, expected: Option<&str>, new: Option<&str>) -> PushOutcome {
        self.mirror.push(&[update(name, expected, new)]).unwrap()
    }

    fn fsck(&self) {
        for dir in [self.folder.path().join("mirror"), self.server.folder(REPO)] {
            let output = Command::new("git").args(["fsck", "--strict", "--full"]).current_dir(&dir).output().unwrap();
            let words = String::from_utf8_lossy(&output.stderr);
            assert!(output.status.success() && !words.contains("error"), "{words}");
        }
    }
}

fn change(path: &str, text: Option<&str>) -> FileChange {
    FileChange { path: path.to_owned(), new_bytes: text.map(|text| text.as_bytes().to_vec()) }
}

fn meta(message: &str) -> CommitMeta {
    let butler = Identity { name: "butler".to_owned(), email: "butler@example.com".to_owned() };
    CommitMeta {
        author: butler.clone(),
        committer: butler,
        time: "2026-03-01T12:00:00Z".parse().unwrap(),
        message: message.to_owned(),
        more_parents: Vec::new(),
    }
}

fn update(name: &str, expected: Option<&str>, new: Option<&str>) -> RefUpdate {
    RefUpdate { name: name.to_owned(), expected: expected.map(str::to_owned), new: new.map(str::to_owned) }
}

fn moved(name: &str, expected: Option<&str>, found: Option<&str>) -> PushOutcome {
    let own = |id: Option<&str>| id.map(str::to_owned);
    PushOutcome::Moved { name: name.to_owned(), expected: own(expected), found: own(found) }
}

fn pushes(request: &RequestInfo) -> bool {
    request.service == Service::ReceivePack && !request.advertise
}

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
            .replace(|c| c == '\t', " ")
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

    let paths = |list: Vec<ChangedPath>| list.into_iter().map(|change| change.path).collect::<Vec<_>>();
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
    let seen: Vec<_> = entries.iter().map(|entry| (entry.path.as_str(), entry.mode)).collect();
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
fn a_push_moves_nothing_that_is_elsewhere_than_expected() {
    let (town, first) = town(&[("a.yaml", "a: 1\n")]);
    let second = town.ann.write("a.yaml", "a: 2\n").commit("second");
    town.ann.push().checkout("gone").push();
    town.mirror.fetch(BRANCHES).unwrap();
    let mine = town.edit(&second, "a.yaml", "a: 3\n");

    // Reset to an older commit, of which ours is a descendant: a fast-forward, and still not what was planned.
    town.ann.delete_branch("gone").checkout("main").reset_hard(&first).force_push();
    assert_eq!(town.push(MAIN, Some(&second), Some(&mine)), moved(MAIN, Some(&second), Some(&first)));
    assert_eq!(town.ann.log("main"), ["first"]);

    let gone = "refs/heads/gone";
    assert_eq!(town.push(gone, Some(&second), Some(&mine)), moved(gone, Some(&second), None));
    assert_eq!(town.push(MAIN, None, Some(&mine)), moved(MAIN, None, Some(&first)));

    let hers = town.ann.write("b.yaml", "b: 1\n").commit("hers");
    town.ann.push();
    assert_eq!(town.push(MAIN, Some(&first), Some(&mine)), moved(MAIN, Some(&first), Some(&hers)));
    assert_eq!(town.push(MAIN, Some(&first), None), moved(MAIN, Some(&first), Some(&hers)));

    // One that is elsewhere holds back the others.
    let new = update("refs/heads/new", None, Some(&mine));
    let both = town.mirror.push(&[new, update(MAIN, Some(&first), Some(&mine))]).unwrap();
    assert_eq!(both, moved(MAIN, Some(&first), Some(&hers)));

    assert_eq!(town.ann.log("main"), ["hers", "first"]);
    assert_eq!(town.mirror.fetch(BRANCHES).unwrap(), BTreeMap::from([(MAIN.to_owned(), hers)]));
}

#[test]
fn refs_are_made_moved_back_and_deleted() {
    let (town, first) = town(&[("a.yaml", "a: 1\n")]);
    let mine = town.edit(&first, "a.yaml", "a: 2\n");
    let rival = town.edit(&first, "a.yaml", "a: 3\n");
    let name = "refs/heads/butler/dev";
    for (expected, new) in [
        (None, Some(mine.as_str())),
        // Neither is the other's ancestor.
        (Some(mine.as_str()), Some(rival.as_str())),
        (Some(rival.as_str()), Some(first.as_str())),
        (Some(first.as_str()), Some(first.as_str())),
        (Some(first.as_str()), None),
    ] {
        assert_eq!(town.push(name, expected, new), PushOutcome::Pushed);
        let here = town.mirror.fetch(BRANCHES).unwrap();
        assert_eq!(here.get(name).map(String::as_str), new);
    }
}

#[test]
fn a_push_that_races_with_another_is_moved_by_the_servers_word() {
    let (town, first) = town(&[("a.yaml", "a: 1\n")]);
    let mine = town.edit(&first, "a.yaml", "a: 2\n");
    let folder = town.server.folder(REPO);
    let hers = town.ann.write("b.yaml", "b: 1\n").commit("hers");
    town.ann.git(&["push", "--quiet", "origin", "HEAD:refs/heads/parked"]);
    // Between the listing and the push itself.
    let target = hers.clone();
    town.server.fault(move |request| {
        if pushes(request) {
            let set = Command::new("git").args(["update-ref", MAIN, &target]).current_dir(&folder).status().unwrap();
            assert!(set.success());
        }
        Fault::None
    });
    assert_eq!(town.push(MAIN, Some(&first), Some(&mine)), moved(MAIN, Some(&first), Some(&hers)));
    assert_eq!(town.ann.log("main"), ["hers", "first"]);
}

#[test]
fn a_hook_that_declines_protects() {
    let (town, first) = town(&[("a.yaml", "a: 1\n")]);
    town.server.hook(REPO, "update", "echo \"GH006: $1 is protected\" >&2; exit 1");
    let mine = town.edit(&first, "a.yaml", "a: 2\n");
    let outcome = town.push(MAIN, Some(&first), Some(&mine));
    let PushOutcome::Protected { name, message } = outcome else { panic!("{outcome:?}") };
    assert_eq!(
        (name.as_str(), message.as_str()),
        (MAIN, "hook declined: GH006: refs/heads/main is protected\nerror: hook declined to update refs/heads/main")
    );
    assert_eq!(town.mirror.fetch(BRANCHES).unwrap()[MAIN], first);
}

#[test]
fn refusals_are_told_apart_and_hold_no_token() {
    let (town, first) = town(&[("a.yaml", "a: 1\n")]);
    let wrong = town.mirror_with(REPO, "wrong-token").fetch(BRANCHES).unwrap_err();
    let absent = town.mirror_with("acme/absent", TOKEN).fetch(BRANCHES).unwrap_err();
    let reader = town.mirror_with(REPO, READER);
    reader.fetch(BRANCHES).unwrap();
    let forbidden = reader.push(&[update("refs/heads/x", None, Some(&first))]).unwrap_err();
    let after = Some(Duration::from_secs(17));
    town.server.fault(|_| Fault::Status { code: 429, retry_after: Some(17) });
    let limited = town.mirror.fetch(BRANCHES).unwrap_err();
    let limited_push = town.push(MAIN, Some(&first), None);
    assert!(matches!(&limited_push, PushOutcome::Retry { after: Some(wait), .. } if Some(*wait) == after));
    town.server.fault(|_| Fault::Status { code: 403, retry_after: Some(17) });
    let secondary = town.mirror.fetch(BRANCHES).unwrap_err();
    town.server.fault(|_| Fault::Status { code: 503, retry_after: None });
    let down = town.mirror.fetch(BRANCHES).unwrap_err();
    town.server.fault(|_| Fault::Close);
    let closed = town.mirror.fetch(BRANCHES).unwrap_err();

    let retry = |after| Remedy::Retry { after };
    for (error, kind, remedy) in [
        (wrong, "the credentials were refused (401)", retry(None)),
        (absent, "no such repository, or the App is not installed on it (404)", Remedy::Fix),
        (forbidden, "not allowed (403): write access not granted", Remedy::Fix),
        (limited, "found status 429", retry(after)),
        (secondary, "found status 403", retry(after)),
        (down, "found status 503", retry(None)),
        (closed, "no answer", retry(None)),
    ] {
        let text = format!("{error} {error:?}");
        assert!(text.contains(kind), "{text}");
        assert_eq!(error.remedy(), remedy, "{text}");
        assert!(![TOKEN, READER, "wrong-token"].iter().any(|secret| text.contains(secret)), "{text}");
    }
}

#[test]
fn a_failure_that_passes_is_not_seen() {
    let (town, first) = town(&[("a.yaml", "a: 1\n")]);
    let mut faults = vec![Fault::Close, Fault::Status { code: 502, retry_after: None }];
    town.server.fault(move |_| faults.pop().unwrap_or_default());
    assert_eq!(town.mirror.fetch(BRANCHES).unwrap()[MAIN], first);
}

#[test]
fn a_server_that_does_not_answer_is_given_up() {
    let (town, _) = town(&[("a.yaml", "a: 1\n")]);
    let hasty = town.mirror_with(REPO, TOKEN).with_timeout(Duration::from_millis(50));
    town.server.fault(|_| Fault::Delay(Duration::from_secs(600)));
    assert!(matches!(hasty.fetch(BRANCHES), Err(GitError::Unreachable { .. })));
}

#[test]
fn a_lost_answer_is_unknown_and_the_next_fetch_tells() {
    let (town, first) = town(&[("a.yaml", "a: 1\n")]);
    let mine = town.edit(&first, "a.yaml", "a: 2\n");
    for fault in [Fault::LoseResponse, Fault::Status { code: 502, retry_after: None }] {
        let ordered = fault.clone();
        town.server.fault(move |request| if pushes(request) { ordered.clone() } else { Fault::None });
        let outcome = town.push(MAIN, Some(&first), Some(&mine));
        assert!(matches!(outcome, PushOutcome::Unknown { .. }), "{outcome:?}");
        town.server.heal();
        let done = fault == Fault::LoseResponse;
        assert_eq!(town.mirror.fetch(BRANCHES).unwrap()[MAIN], if done { mine.clone() } else { first.clone() });
        town.ann.force_push();
    }
    // Nothing was sent yet: no doubt about it.
    town.server.fault(|_| Fault::Close);
    let outcome = town.push(MAIN, Some(&first), Some(&mine));
    assert!(matches!(outcome, PushOutcome::Retry { after: None, .. }), "{outcome:?}");
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

/// A server of its own that sends everything below `/old` to `target`.
fn redirect(target: String) -> (tokio::runtime::Runtime, String) {
    use axum::{Router, extract::Request, response::Redirect};
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
    let listener = runtime.block_on(tokio::net::TcpListener::bind("127.0.0.1:0")).unwrap();
    let url = format!("http://{}/old/name.git", listener.local_addr().unwrap());
    let answer = move |request: Request| {
        let rest = request.uri().to_string().replace("/old/name.git", "");
        let to = format!("{target}{rest}");
        async move { Redirect::permanent(&to) }
    };
    runtime.spawn(async move { axum::serve(listener, Router::new().fallback(answer)).await });
    (runtime, url)
}

#[test]
fn a_redirect_to_another_host_gets_no_token() {
    let (town, _) = town(&[("a.yaml", "a: 1\n")]);
    let seen = Arc::new(std::sync::Mutex::new(0));
    let count = seen.clone();
    town.server.fault(move |_| {
        *count.lock().unwrap() += 1;
        Fault::None
    });
    let (_runtime, url) = redirect(town.server.url(REPO));
    let mirror = Mirror::open_or_create(&town.folder.path().join("far"), &url, token(TOKEN)).unwrap();
    let error = mirror.fetch(BRANCHES).unwrap_err();
    assert!(matches!(&error, GitError::Redirected { to, .. } if to.contains(&town.server.url(REPO))), "{error}");
    assert_eq!(error.remedy(), Remedy::Fix);
    assert_eq!(*seen.lock().unwrap(), 0);
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
fn threads_share_a_mirror() {
    let (town, first) = town(&[("a.yaml", "a: 1\n")]);
    std::thread::scope(|scope| {
        for _ in 0..8 {
            scope.spawn(|| {
                assert_eq!(town.mirror.fetch(BRANCHES).unwrap()[MAIN], first);
                assert_eq!(town.mirror.tree_entries(&first).unwrap().len(), 1);
            });
        }
    });
}
