//! Refs move only from where they were expected.

use super::*;

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
fn a_ref_is_not_made_beside_one_that_is_its_folder_or_in_it() {
    let (town, first) = town(&[("a.yaml", "a: 1\n")]);
    let mine = town.edit(&first, "a.yaml", "a: 2\n");
    assert_eq!(town.push("refs/heads/a/b", None, Some(&mine)), PushOutcome::Pushed);
    for name in ["refs/heads/a", "refs/heads/a/b/c"] {
        let (name, other) = (name.to_owned(), "refs/heads/a/b".to_owned());
        assert_eq!(town.push(&name, None, Some(&mine)), PushOutcome::InTheWay { name, other });
    }
    assert_eq!(town.push("refs/heads/a-b", None, Some(&mine)), PushOutcome::Pushed);
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
