//! What becomes of a pull request, and the plan's fingerprint.

use super::update::World;
use crate::engine::{
    manifest::{FieldPath, Position},
    memory::PullRecord,
    plan::{Change, PullAction, PullState, decide_pull, plan_hash},
};

#[test]
fn what_becomes_of_a_pull_request() {
    let record = |head: &str, plan: &str| PullRecord { head: head.into(), plan: plan.into(), ..PullRecord::of("edge") };
    let ours = Some(record("h1", "p1"));
    let open = |head: &str, reviewed, mergeable| PullState::Open { number: 7, head: head.into(), reviewed, mergeable };
    let (yes, no, unknown) = (Some(true), Some(false), None);
    #[rustfmt::skip]
    let cases = [
        // plan, changes, record, pull request, action
        ("p1", 0, None,         PullState::None,                PullAction::Keep),
        ("p1", 1, None,         PullState::None,                PullAction::Write),
        ("p1", 1, ours.clone(), PullState::None,                PullAction::Write),
        ("p1", 1, ours.clone(), open("h1", false, yes),         PullAction::Keep),
        ("p1", 1, ours.clone(), open("h1", false, unknown),     PullAction::Keep),
        ("p1", 1, ours.clone(), open("h1", false, no),          PullAction::Write),
        ("p1", 1, ours.clone(), open("h1", true, no),           PullAction::Write),
        ("p2", 1, ours.clone(), open("h1", false, yes),         PullAction::Write),
        ("p2", 1, ours.clone(), open("h1", true, yes),          PullAction::Announce),
        ("p2", 1, ours.clone(), open("h1", true, unknown),      PullAction::Announce),
        ("p2", 1, ours.clone(), open("h1", true, no),           PullAction::Write),
        ("p2", 0, ours.clone(), open("h1", false, yes),         PullAction::Close),
        ("p2", 0, ours.clone(), open("h1", true, yes),          PullAction::Close),
        ("p1", 1, ours.clone(), open("person", false, yes),     PullAction::Edited),
        ("p2", 0, ours.clone(), open("person", false, no),      PullAction::Edited),
        ("p1", 1, None,         open("h1", false, yes),         PullAction::Edited),
        ("p1", 1, ours.clone(), PullState::Foreign { number: 9 }, PullAction::Foreign { number: 9 }),
        ("p1", 0, None,         PullState::Foreign { number: 9 }, PullAction::Foreign { number: 9 }),
    ];
    for (hash, changes, record, pull, action) in cases {
        let found = decide_pull(hash, changes, record.as_ref(), &pull);
        assert_eq!(found, action, "{hash} with {changes} changes, {record:?}, {pull:?}");
    }
}

#[test]
fn a_plans_hash_is_its_lines_and_values() {
    let change = World::new().ready().changes.remove(0);
    let hash = |changes: &[Change]| plan_hash(changes);
    let same = hash(std::slice::from_ref(&change));
    assert_eq!(same.len(), 16);
    let told = |edit: fn(&mut Change)| {
        let mut other = change.clone();
        edit(&mut other);
        hash(&[other])
    };
    // Text and place are no matter.
    assert_eq!(told(|c| c.reason = "because".into()), same);
    assert_eq!(told(|c| c.position = Position { line: 99, column: 9 }), same);
    assert_eq!(told(|c| c.downgrade = true), same);
    for other in [
        told(|c| c.new = "x".into()),
        told(|c| c.old = "x".into()),
        told(|c| c.line.file = "x".into()),
        told(|c| c.line.document = 7),
        told(|c| c.line.object = None),
        told(|c| c.line.path = FieldPath::default()),
        hash(&[]),
        hash(&[change.clone(), change.clone()]),
    ] {
        assert_ne!(other, same);
    }
    let second = Change { new: "y".into(), ..change.clone() };
    assert_eq!(hash(&[change.clone(), second.clone()]), hash(&[second, change]), "in any order");
}
