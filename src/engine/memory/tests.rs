//! What commands do to the memory, and what it keeps.

use super::{Decision, Intent, Memory, MergeIntent, Outcome, PullRecord, Request, line_key, promotion_key};
use crate::engine::{
    command::Permission,
    manifest::{FieldPath, LineId, ObjectId, Step},
};
use jiff::{SignedDuration, Timestamp};
use std::collections::BTreeSet;

const HEAD: &str = "butler/promote/edge";

fn now() -> Timestamp {
    "2026-03-01T12:00:00Z".parse().unwrap()
}

fn line(name: &str) -> LineId {
    LineId {
        file: "apps/app.yaml".into(),
        object: Some(ObjectId { kind: "Deployment".into(), namespace: String::new(), name: name.into() }),
        document: 0,
        path: FieldPath(vec![Step::Key("image".into())]),
    }
}

fn request(permission: Option<Permission>) -> Request<'static> {
    Request { comment: 41, by: "ann", permission, own_head: Some(HEAD), now: now() }
}

fn decide(memory: &mut Memory, intent: &Intent) -> Outcome {
    memory.decide(&request(Some(Permission::Admin)), intent, Permission::Read)
}

fn hold(component: Option<&str>, environment: Option<&str>) -> Intent {
    let (component, environment) = (component.map(str::to_owned), environment.map(str::to_owned));
    Intent::Hold { component, environment, until: None, reason: "fair".into() }
}

fn resume(component: Option<&str>, environment: Option<&str>) -> Intent {
    Intent::Resume {
        component: component.map(str::to_owned),
        environment: environment.map(str::to_owned),
        lines: BTreeSet::new(),
    }
}

/// An open pull request, and a decline of its edge, of another edge and of a line.
fn memory() -> Memory {
    let mut memory = Memory::new();
    let record = PullRecord { number: Some(7), head: "h1".into(), plan: "p1".into(), ..PullRecord::of("edge") };
    memory.pulls.insert(HEAD.into(), record);
    for what in [promotion_key("edge", &line("a")), promotion_key("edge-2", &line("a")), line_key(&line("a"))] {
        memory.decline(what, "v2".into(), "#6 closed by bob".into(), now());
    }
    memory
}

#[test]
fn permission_comes_first() {
    let intents = [
        Intent::Promote { heads: vec![HEAD.into()], components: Vec::new() },
        Intent::Merge,
        hold(None, None),
        resume(None, None),
        Intent::Status,
        Intent::Help,
        Intent::Nonsense("why".into()),
    ];
    for intent in &intents {
        for (has, needed, says) in [
            (
                None,
                Permission::Read,
                "this takes `read` permission on the repository, and you have none; whoever has that role or a higher one may",
            ),
            (
                Some(Permission::Read),
                Permission::Write,
                "this takes `write` permission on the repository, and you have `read`; whoever has that role or a higher one may",
            ),
            (
                Some(Permission::Maintain),
                Permission::Admin,
                "this takes `admin` permission on the repository, and you have `maintain`; its administrators have it",
            ),
        ] {
            let mut after = memory();
            let outcome = after.decide(&request(has), intent, needed);
            assert_eq!(outcome, Outcome::Refused { why: says.into() }, "{intent:?}");
            assert_eq!(after, memory(), "{intent:?}: nothing changed");
        }
        let enough = memory().decide(&request(Some(Permission::Write)), intent, Permission::Write);
        assert!(!matches!(enough, Outcome::Refused { why } if why.contains("permission")), "{intent:?}");
    }
}

#[test]
fn promote_asks_for_an_edge_and_ends_its_declines() {
    let mut memory = memory();
    let heads = vec![HEAD.to_owned(), "butler/promote/new".to_owned()];
    let outcome = decide(&mut memory, &Intent::Promote { heads: heads.clone(), components: vec!["web".into()] });
    assert_eq!(outcome, Outcome::Promoting { heads: heads.clone() });
    for head in heads {
        let requested = memory.pulls[&head].requested.clone().unwrap();
        assert_eq!((requested.by.as_str(), requested.comment, requested.at), ("ann", 41, now()));
        assert_eq!(requested.components, ["web"]);
    }
    let ended: Vec<bool> = memory.declines.iter().map(|decline| decline.ended.is_some()).collect();
    assert_eq!(ended, [true, false, false], "of this edge, and of none whose name begins alike");
}

#[test]
fn merge_is_bound_to_what_was_seen() {
    let mut there = memory();
    assert_eq!(decide(&mut there, &Intent::Merge), Outcome::Merging { head: HEAD.into() });
    let wanted = MergeIntent { by: "ann".into(), comment: 41, plan: "p1".into(), head: "h1".into(), at: now() };
    assert_eq!(there.pulls[HEAD].merge, Some(wanted));

    let refused = |own_head: Option<&'static str>, memory: &mut Memory| {
        let request = Request { own_head, ..request(Some(Permission::Admin)) };
        memory.decide(&request, &Intent::Merge, Permission::Read)
    };
    let foreign = Outcome::Refused { why: "only butler's own pull requests can be merged this way".into() };
    assert_eq!(refused(None, &mut memory()), foreign);
    assert_eq!(refused(Some("feature"), &mut memory()), foreign);
    let mut ended = memory();
    ended.pulls.get_mut(HEAD).unwrap().ended = Some(7);
    assert_eq!(refused(Some(HEAD), &mut ended), Outcome::Refused { why: "this pull request has ended".into() });
}

#[test]
fn what_a_hold_stops() {
    let later = now() + SignedDuration::from_hours(1);
    #[rustfmt::skip]
    let cases = [
        // component, environment, until; stops web in dev, web in prod, api in dev
        (None,        None,        None,        [true, true, true]),
        (None,        Some("dev"), None,        [true, false, true]),
        (Some("web"), None,        None,        [true, true, false]),
        (Some("web"), Some("dev"), None,        [true, false, false]),
        (None,        None,        Some(later), [true, true, true]),
        (None,        None,        Some(now()), [false, false, false]),
    ];
    for (component, environment, until, stops) in cases {
        let mut memory = Memory::new();
        let Intent::Hold { component, environment, reason, .. } = hold(component, environment) else { unreachable!() };
        decide(&mut memory, &Intent::Hold { component, environment, until, reason });
        let found =
            [("dev", "web"), ("prod", "web"), ("dev", "api")].map(|(e, c)| memory.hold_on(e, c, now()).is_some());
        assert_eq!(found, stops, "{:?}", memory.holds);
    }
}

#[test]
fn holds_and_what_resumes_them() {
    let held = |component, environment| {
        let mut memory = Memory::new();
        decide(&mut memory, &hold(component, environment));
        memory
    };
    let web_dev = || held(Some("web"), Some("dev"));
    #[rustfmt::skip]
    let cases: [(Memory, Intent, &str, usize); 8] = [
        // held, resumed, reply, holds left
        (web_dev(), resume(Some("web"), Some("dev")), "web in dev", 0),
        (web_dev(), resume(Some("web"), None), "web everywhere", 0),
        (web_dev(), resume(None, Some("dev")), "everything in dev", 0),
        (web_dev(), resume(None, None), "everything", 0),
        (web_dev(), resume(Some("api"), None), "nothing is held or declined for `api everywhere`", 1),
        (web_dev(), resume(None, Some("prod")), "nothing is held or declined for `everything in prod`", 1),
        // A wider hold is not ended by half.
        (held(None, None), resume(Some("web"), None), "nothing is held or declined for `web everywhere`", 1),
        (Memory::new(), resume(None, None), "nothing is held or declined for `everything`", 0),
    ];
    for (mut memory, intent, says, left) in cases {
        let sentence = match decide(&mut memory, &intent) {
            Outcome::Resumed { sentence } => sentence,
            Outcome::Refused { why } => why,
            other => panic!("{other:?}"),
        };
        assert_eq!((sentence.as_str(), memory.holds.len()), (says, left), "{intent:?}");
    }
    // The same scope is held once; the last word counts.
    let mut twice = web_dev();
    assert_eq!(
        decide(&mut twice, &hold(Some("web"), Some("dev"))),
        Outcome::Held { sentence: "web in dev".into(), until: None }
    );
    assert_eq!(twice.holds.len(), 1);
    assert_eq!(twice.holds[0].sentence(), "held by ann: fair");
}

#[test]
fn declines_last_until_they_are_ended() {
    let (of_line, of_edge) = (line_key(&line("a")), promotion_key("edge", &line("a")));
    let mut memory = memory();
    let stands = |memory: &Memory| [&of_line, &of_edge].map(|what| memory.declined(what, "v2").is_some());
    assert_eq!(stands(&memory), [true, true]);
    assert!(memory.declined(&of_line, "v3").is_none(), "a newer version is another");
    assert!(memory.declined(&promotion_key("other", &line("a")), "v2").is_none());
    let written = now() - SignedDuration::from_hours(1);
    assert!(!memory.decline_ended(&of_line, "v2", written));
    // Of what was named, the declines of its lines.
    let named =
        Intent::Resume { component: Some("a".into()), environment: None, lines: BTreeSet::from([of_edge.clone()]) };
    assert_eq!(decide(&mut memory, &named), Outcome::Resumed { sentence: "a everywhere".into() });
    assert_eq!(stands(&memory), [true, false]);
    assert_eq!(decide(&mut memory, &resume(None, None)), Outcome::Resumed { sentence: "everything".into() });
    assert_eq!(stands(&memory), [false, false]);
    assert!(memory.decline_ended(&of_line, "v2", written), "what was written before may be written again");
    assert!(!memory.decline_ended(&of_line, "v2", now() + SignedDuration::from_hours(1)), "not what is set back later");
    // Declined once more, it holds again, and is remembered once.
    memory.decline(of_line.clone(), "v2".into(), "again".into(), now());
    assert_eq!(memory.declined(&of_line, "v2").unwrap().why, "again");
    assert_eq!(memory.declines.len(), 3);
}

#[test]
fn what_a_merged_pull_request_brought_is_remembered() {
    let mut memory = memory();
    let record = memory.pulls.get_mut(HEAD).unwrap();
    for (value, number, minutes) in [("v2", 7, 0), ("v3", 8, 5)] {
        record.values.insert("line".into(), value.into());
        record.land(number, now() + SignedDuration::from_mins(minutes));
        assert!(record.values.is_empty(), "nothing is proposed any more");
    }
    let landed = memory.landed("line").unwrap();
    assert_eq!((landed.value.as_str(), landed.number), ("v3", 8));
    assert!(memory.landed("another").is_none());
}

#[test]
fn every_line_has_a_key_of_its_own() {
    let a = line("a");
    let unnamed = LineId { object: None, document: 1, ..a.clone() };
    let second = LineId { document: 1, ..a.clone() };
    assert_eq!(line_key(&a), "apps/app.yaml#Deployment//a#image");
    assert_eq!(line_key(&unnamed), "apps/app.yaml#document 1#image");
    assert_eq!(line_key(&second), "apps/app.yaml#Deployment//a[1]#image");
    assert_eq!(promotion_key("edge", &a), "promotion:edge:apps/app.yaml#Deployment//a#image");
}

#[test]
fn the_same_memory_is_the_same_bytes() {
    let mut memory = memory();
    decide(&mut memory, &hold(Some("web"), None));
    memory.remember_command(
        41,
        vec![Decision { line: "/hold web".into(), outcome: Outcome::Held { sentence: "web".into(), until: None } }],
        now(),
    );
    let bytes = memory.encode();
    assert_eq!(Memory::decode(&bytes).unwrap(), memory);
    assert_eq!(Memory::decode(&bytes).unwrap().encode(), bytes);
    assert_eq!(bytes.last(), Some(&b'\n'));
    assert_eq!(String::from_utf8(Memory::new().encode()).unwrap(), "{\n  \"version\": 1\n}\n");
    for bad in ["", "[]", "{\"version\": \"one\"}", "{\"version\": 1, \"holds\": [{}]}"] {
        assert!(Memory::decode(bad.as_bytes()).is_err(), "{bad}");
    }
}

#[test]
fn a_comment_is_decided_once_for_ever() {
    let mut memory = Memory::new();
    let at = |hours: i64| now() + SignedDuration::from_hours(hours);
    assert!(!memory.decided(1, at(0)));
    for comment in 2..=600 {
        memory.remember_command(comment, Vec::new(), at(0));
    }
    assert!(memory.commands.len() < 599, "what came of the oldest is forgotten");
    assert!((2..=600).all(|comment| memory.decided(comment, at(0))), "that they were decided is not");
    assert!(!memory.decided(1, at(0)) && !memory.decided(601, at(0)), "those that come late, and those that are new");

    // butler was away for long: what waited all the while is heard still.
    memory.remember_command(700, Vec::new(), at(1000));
    assert!(!memory.decided(601, at(2)));
    assert_eq!(memory.decided.len(), 1, "nobody can tell those of a month ago again");
    assert!((1..=600).all(|comment| memory.decided(comment, at(0))));
    memory.remember_command(601, Vec::new(), at(1001));
    assert!(memory.decided(601, at(2)) && !memory.decided(602, at(2)));
    let again = Memory::decode(&memory.encode()).unwrap();
    assert!(again.decided(2, at(0)) && again.decided(601, at(2)) && !again.decided(602, at(2)));
}
