//! What commands do to the memory, and what it keeps.

use super::{
    Decision, Decline, Hold, Intent, Memory, MergeIntent, Outcome, PullRecord, Reach, Request, Way, line_file,
    line_key, promotion_key,
};
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
        object: Some(ObjectId { kind: "Deployment".into(), namespace: "".into(), name: name.into() }),
        document: 0,
        path: FieldPath([Step::Key("image".into())].into()),
    }
}

fn request(permission: Option<Permission>) -> Request<'static> {
    Request { comment: 41, by: "ann", permission, own_head: Some(HEAD), now: now() }
}

fn decide(memory: &mut Memory, intent: &Intent) -> Outcome {
    memory.decide(&request(Some(Permission::Admin)), intent, Permission::Read)
}

fn scope(component: Option<&str>, environment: Option<&str>) -> Reach {
    Reach { component: component.map(str::to_owned), environment: environment.map(str::to_owned), way: None }
}

/// The promotion `edge` from dev to prod.
fn edge() -> Reach {
    Reach { way: Some(by_promotion("edge")), ..scope(None, Some("prod")) }
}

fn by_promotion(name: &str) -> Way {
    Way::Promotion { name: name.into(), from: "dev".into() }
}

fn hold_of(scope: Reach) -> Intent {
    Intent::Hold { scope, until: None, reason: "fair".into() }
}

fn hold(component: Option<&str>, environment: Option<&str>) -> Intent {
    hold_of(scope(component, environment))
}

fn resume_of(scope: Reach) -> Intent {
    Intent::Resume { scope, lines: BTreeSet::new(), heads: Vec::new() }
}

fn resume(component: Option<&str>, environment: Option<&str>) -> Intent {
    resume_of(scope(component, environment))
}

fn decline(what: &str, value: &str, why: &str) -> Decline {
    Decline { what: what.into(), value: value.into(), why: why.into(), by: None, at: now(), ended: None }
}

/// An open pull request, and a decline of its edge, of another edge and of a line.
fn memory() -> Memory {
    let mut memory = Memory::new();
    let record = PullRecord { number: Some(7), head: "h1".into(), plan: "p1".into(), ..PullRecord::of("edge") };
    memory.pulls.insert(HEAD.into(), record);
    for what in [promotion_key("edge", &line("a")), promotion_key("edge-2", &line("a")), line_key(&line("a"))] {
        memory.decline(decline(&what, "v2", "#6 was closed"));
    }
    memory
}

#[test]
fn permission_comes_first() {
    let intents = [
        Intent::Promote { heads: vec![HEAD.into()], components: Vec::new(), lines: BTreeSet::new() },
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
fn promote_asks_for_an_edge_and_ends_the_declines_of_what_it_names() {
    let mut memory = memory();
    let heads = vec![HEAD.to_owned(), "butler/promote/new".to_owned()];
    let lines = BTreeSet::from([promotion_key("edge", &line("a"))]);
    let intent = Intent::Promote { heads: heads.clone(), components: vec!["web".into()], lines };
    let outcome = decide(&mut memory, &intent);
    assert_eq!(outcome, Outcome::Promoting { heads: heads.clone() });
    for head in heads {
        let requested = memory.pulls[&head].requested.clone().unwrap();
        assert_eq!((requested.by.as_str(), requested.comment, requested.at), ("ann", 41, now()));
        assert_eq!(requested.components, ["web"]);
    }
    let ended: Vec<bool> = memory.declines.iter().map(|decline| decline.ended.is_some()).collect();
    assert_eq!(ended, [true, false, false], "of these lines, and of no other");
}

#[test]
fn merge_is_bound_to_what_was_seen() {
    let mut there = memory();
    assert_eq!(decide(&mut there, &Intent::Merge), Outcome::Merging { head: HEAD.into(), number: 7 });
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
        decide(&mut memory, &Intent::Hold { scope: scope(component, environment), until, reason: "fair".into() });
        let found = [("dev", "web"), ("prod", "web"), ("dev", "api")]
            .map(|(e, c)| memory.hold_on(e, c, &Way::Update, now()).is_some());
        assert_eq!(found, stops, "{:?}", memory.holds);
    }
}

#[test]
fn a_hold_of_one_way_stops_no_other() {
    let updates = Reach { way: Some(Way::Update), ..scope(None, Some("prod")) };
    for (held, stops) in [
        // the promotion "edge" into prod, another one, an update of prod, the promotion "edge" into stage
        (edge(), [true, false, false, false]),
        (updates, [false, false, true, false]),
        (scope(None, Some("prod")), [true, true, true, false]),
        (Reach::default(), [true, true, true, true]),
        (Reach { component: Some("api".into()), ..edge() }, [false, false, false, false]),
    ] {
        let mut memory = Memory::new();
        decide(&mut memory, &hold_of(held.clone()));
        let found = [
            ("prod", by_promotion("edge")),
            ("prod", by_promotion("other")),
            ("prod", Way::Update),
            ("stage", by_promotion("edge")),
        ]
        .map(|(environment, way)| memory.hold_on(environment, "web", &way, now()).is_some());
        assert_eq!(found, stops, "{held:?}");
        assert_eq!(Memory::decode(&memory.encode()).unwrap(), memory);
    }
}

#[test]
fn holds_and_what_resumes_them() {
    let held = |scope: Reach| {
        let mut memory = Memory::new();
        decide(&mut memory, &hold_of(scope));
        memory
    };
    let web_dev = || held(scope(Some("web"), Some("dev")));
    let wider = "held by `ann` since 2026-03-01 12:00 UTC (fair)";
    #[rustfmt::skip]
    let cases = [
        // held, resumed, reply ("": it goes on), holds left
        (web_dev(), resume(Some("web"), Some("dev")), String::new(), 0),
        (web_dev(), resume(Some("web"), None), String::new(), 0),
        (web_dev(), resume(None, Some("dev")), String::new(), 0),
        (web_dev(), resume(None, None), String::new(), 0),
        (web_dev(), resume(Some("api"), None), "nothing is held or declined for `api` in every environment".into(), 1),
        (web_dev(), resume(None, Some("prod")), "nothing is held or declined for everything in `prod`".into(), 1),
        (held(edge()), resume_of(edge()), String::new(), 0),
        (held(edge()), resume(None, Some("prod")), String::new(), 0),
        (held(edge()), resume(None, None), String::new(), 0),
        // A wider hold is not ended by half: which one it is, and what ends it, is said.
        (held(Reach::default()), resume(Some("web"), None),
         format!("nothing is held or declined for `web` in every environment; everything is {wider}; `/butler resume all` ends that"), 1),
        (held(scope(None, Some("prod"))), resume_of(edge()),
         format!("nothing is held or declined for the promotion from `dev` to `prod`; everything in `prod` is {wider}; `/butler resume prod` ends that"), 1),
        (held(edge()), resume(Some("web"), Some("prod")),
         format!("nothing is held or declined for `web` in `prod`; the promotion from `dev` to `prod` is {wider}; `/butler resume prod` ends that"), 1),
        (Memory::new(), resume(None, None), "nothing is held or declined for everything".into(), 0),
    ];
    for (mut memory, intent, says, left) in cases {
        let told = match decide(&mut memory, &intent) {
            Outcome::GoingOn { holds, .. } if holds.len() == 1 => String::new(),
            Outcome::Refused { why } => why,
            other => panic!("{other:?}"),
        };
        assert_eq!((told, memory.holds.len()), (says, left), "{intent:?}");
    }
    // The same scope is held once; the last word counts.
    let mut twice = web_dev();
    let expected = Hold {
        scope: scope(Some("web"), Some("dev")),
        until: None,
        reason: "fair".into(),
        by: "ann".into(),
        at: now(),
    };
    let outcome = decide(&mut twice, &hold(Some("web"), Some("dev")));
    assert_eq!(outcome, Outcome::Holding { hold: expected.clone(), here: false });
    assert_eq!(twice.holds, [expected]);
    assert_eq!(twice.holds[0].sentence(), "held by ann since 2026-03-01 12:00 UTC: fair");
    // One that ran out is no more; ending it is nothing to speak of.
    twice.holds[0].until = Some(now());
    assert!(matches!(decide(&mut twice, &resume(None, None)), Outcome::Refused { .. }));
    assert_eq!(twice.holds, []);
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
        Intent::Resume { scope: scope(Some("a"), None), lines: BTreeSet::from([of_edge.clone()]), heads: Vec::new() };
    let goes_on = |scope| Outcome::GoingOn { scope, holds: Vec::new(), declined: vec!["v2".into()], heads: Vec::new() };
    assert_eq!(decide(&mut memory, &named), goes_on(scope(Some("a"), None)));
    assert_eq!(stands(&memory), [true, false]);
    assert_eq!(decide(&mut memory, &resume(None, None)), goes_on(Reach::default()));
    assert_eq!(stands(&memory), [false, false]);
    assert!(memory.decline_ended(&of_line, "v2", written), "what was written before may be written again");
    assert!(!memory.decline_ended(&of_line, "v2", now() + SignedDuration::from_hours(1)), "not what is set back later");
    // Declined once more, it holds again, and is remembered once.
    memory.decline(decline(&of_line, "v2", "again"));
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
    for key in [line_key(&a), line_key(&second), promotion_key("edge", &a)] {
        assert_eq!(line_file(&key), "apps/app.yaml");
    }
}

#[test]
fn the_same_memory_is_the_same_bytes() {
    let mut memory = memory();
    decide(&mut memory, &hold(Some("web"), None));
    let held = |memory: &mut Memory| decide(memory, &hold_of(edge()));
    let outcomes = [held(&mut memory), decide(&mut memory, &resume(Some("web"), None)), Outcome::Status];
    let decisions = outcomes.map(|outcome| Decision { line: "/butler …".into(), outcome });
    memory.remember_command(41, decisions.into(), now());
    let bytes = memory.encode();
    assert_eq!(Memory::decode(&bytes).unwrap(), memory);
    assert_eq!(Memory::decode(&bytes).unwrap().encode(), bytes);
    assert_eq!(bytes.last(), Some(&b'\n'));
    assert_eq!(String::from_utf8(Memory::new().encode()).unwrap(), "{\n  \"version\": 1\n}\n");
    for bad in ["", "[]", "{\"version\": \"one\"}", "{\"version\": 1, \"holds\": [{}]}"] {
        assert!(Memory::decode(bad.as_bytes()).is_err(), "{bad}");
    }
}

/// What an earlier or a later version wrote about commands is read, if only as that: the decision stands.
#[test]
fn outcomes_of_other_versions_are_read() {
    let of_another = r#"{"version": 1, "commands": {"7": [
        {"line": "/hold web", "outcome": "held", "sentence": "web"},
        {"line": "/merge", "outcome": "merging", "head": "h"},
        {"line": "/x", "outcome": "to-come", "more": {"a": [1]}}
    ]}, "holds": [{"component": "web", "by": "ann", "at": "2026-03-01T12:00:00Z"}]}"#;
    let memory = Memory::decode(of_another.as_bytes()).unwrap();
    let outcomes: Vec<&Outcome> = memory.commands[&7].iter().map(|decision| &decision.outcome).collect();
    let merging = Outcome::Merging { head: "h".into(), number: 0 };
    assert_eq!(outcomes, [&Outcome::OfAnotherVersion, &merging, &Outcome::OfAnotherVersion]);
    assert_eq!(memory.holds[0].scope, scope(Some("web"), None));
    assert!(memory.decided(7, now()));
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
