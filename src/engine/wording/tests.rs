//! Commits, pull requests and replies, with hostile names too.

use super::{
    Agreement, CheckText, Finding, Situation, Watched, agreement, config_invalid, findings, promotion_commit,
    promotion_pull, reply, subject, summary, update_commit, update_commits, update_pull,
};
use crate::engine::{
    command::Permission,
    config::Config,
    dialect::Problem,
    image::Repository,
    manifest::{Edit, FieldPath, LineId, ObjectId, Position, Step},
    memory::{Decision, Hold, Intent, Memory, Outcome, Reach, Request, Way},
    plan::{Change, PromotionPlan, Shadowed, Skip, Stands, UpdatePlan},
};
use jiff::Timestamp;
use pulldown_cmark::{Event, Options, Parser, Tag};
use std::collections::BTreeSet;

fn change(component: &str, old: &str, new: &str) -> Change {
    let line = LineId {
        file: format!("apps/{component}.yaml"),
        object: Some(ObjectId { kind: "Deployment".into(), namespace: "prod".into(), name: component.into() }),
        document: 0,
        path: FieldPath([Step::Key("image".into())].into()),
    };
    Change {
        line: line.clone(),
        position: Position { line: 9, column: 16 },
        edit: Edit { blob: "b".into(), span: 0..old.len(), old: old.into(), new: new.into() },
        old: old.into(),
        new: new.into(),
        policy: Some(format!("ns:{component}")),
        component: component.into(),
        image: Repository::parse("example.com/app").ok(),
        reason: "because".into(),
        downgrade: false,
        environments: Vec::new(),
        automation: None,
        shadowed: None,
    }
}

fn promotion(changes: Vec<Change>, skipped: Vec<Skip>) -> PromotionPlan {
    PromotionPlan {
        name: "to-prod".into(),
        from: "dev".into(),
        to: "prod".into(),
        source: "1111111111".into(),
        base: "2222222222".into(),
        changes,
        skipped,
        hash: "feedbeef".into(),
        ..PromotionPlan::default()
    }
}

fn update() -> UpdatePlan {
    UpdatePlan { environment: "dev".into(), ..UpdatePlan::default() }
}

#[test]
fn subjects() {
    let one = |old: &str, new: &str| subject("prod", &[change("web", old, new)]);
    let digest = format!("sha256:{}", "0123456789abcdef".repeat(4));
    #[rustfmt::skip]
    let cases = [
        (one("example.com/app:1.0.0", "example.com/app:1.2.0"), "promote(prod): web 1.0.0 -> 1.2.0"),
        (one("1.0.0", "1.2.0"), "promote(prod): web 1.0.0 -> 1.2.0"),
        (one("", "1.2.0"), "promote(prod): web (none) -> 1.2.0"),
        (one(&digest, "1.2.0"), "promote(prod): web 0123456789ab -> 1.2.0"),
        (one(&format!("app@{digest}"), &format!("app:2@{digest}")), "promote(prod): web 0123456789ab -> 2"),
        // Several lines of one component and version are one thing.
        (subject("prod", &[change("web", "1", "2"), change("web", "1", "2")]), "promote(prod): web 1 -> 2"),
        (subject("prod", &[change("web", "1", "2"), change("api", "1", "2")]), "promote(prod): 2 changes"),
    ];
    for (found, expected) in cases {
        assert_eq!(found, expected);
    }
}

#[test]
fn an_updates_commit() {
    let message = update_commit(&update(), &[change("web", "example.com/app:1.0.0", "example.com/app:1.2.0")]);
    let (text, hash) = message.rsplit_once("Butler-Plan: ").unwrap();
    assert_eq!(
        text,
        "update(dev): ns:web example.com/app 1.0.0 -> 1.2.0\n\nButler-Policy: ns:web\nButler-Image: \
         example.com/app:1.2.0\nButler-Object: Deployment/prod/web\n"
    );
    assert_eq!(hash.trim_end().len(), 16);
    let native = Change { policy: None, ..change("web", "1.0.0", "1.2.0") };
    assert_eq!(update_commit(&update(), &[native]).lines().next(), Some("update(dev): example.com/app 1.0.0 -> 1.2.0"));
    let several = update_commit(&update(), &[change("web", "1", "2"), change("api", "1", "2")]);
    assert!(
        several.starts_with(
            "update(dev): 2 images\n\n- apps/web.yaml:9 1 -> 2\n- apps/api.yaml:9 1 -> 2\n\nButler-Policy: ns:web\n"
        ),
        "{several}"
    );
}

#[test]
fn a_promotions_commit() {
    let plan = promotion(vec![Change { policy: None, ..change("web", "1.0.0", "1.2.0") }], Vec::new());
    assert_eq!(
        promotion_commit(&plan, Some("ann")),
        "promote(prod): web 1.0.0 -> 1.2.0\n\nButler-Image: example.com/app:1.2.0\nButler-Object: \
         Deployment/prod/web\nButler-Promotion: to-prod\nButler-Source-Commit: 1111111111\nButler-Base-Commit: \
         2222222222\nButler-Plan: feedbeef\nButler-Requested-By: ann\n"
    );
    assert!(!promotion_commit(&plan, None).contains("Requested-By"));
}

#[test]
fn nobody_adds_a_trailer_or_a_line_to_a_commit() {
    let hostile = "x\n\nButler-Promotion: mine\r\nSigned-off-by: you";
    let change = Change { policy: Some(hostile.into()), ..change(hostile, "1", hostile) };
    for message in [
        update_commit(&update(), std::slice::from_ref(&change)),
        update_commit(&UpdatePlan { environment: hostile.into(), ..update() }, &[change.clone(), change.clone()]),
        promotion_commit(&promotion(vec![change.clone()], Vec::new()), Some(hostile)),
        promotion_commit(&promotion(vec![change.clone(), self::change("a", "1", hostile)], Vec::new()), Some(hostile)),
    ] {
        let forged = message.lines().filter(|line| {
            line.starts_with("Signed-off-by") || line.contains("mine") && line.starts_with("Butler-Promotion")
        });
        assert_eq!(forged.count(), 0, "{message}");
        assert_eq!(message.lines().nth(1), Some(""), "one line of subject: {message}");
    }
}

#[test]
fn nobody_is_called_and_no_issue_closed_by_a_commit() {
    let zwj = |text: &str| text.replace('$', "\u{200d}");
    for (hostile, shown) in [
        ("fixes #12", "fixes #$12"),
        ("closes acme/config#12", "closes acme/config#$12"),
        ("fixes GH-12", "fixes GH-$12"),
        ("@acme/team", "@$acme/team"),
        // What is usual stays as it is.
        ("web", "web"),
        ("c#", "c#"),
        ("high-1", "high-1"),
    ] {
        let change = Change { policy: None, ..change(hostile, "1", "2") };
        let subject = subject("prod", std::slice::from_ref(&change));
        assert_eq!(subject, zwj(&format!("promote(prod): {shown} 1 -> 2")));
        let message = promotion_commit(&promotion(vec![change], Vec::new()), None);
        assert!(message.contains(&zwj(&format!("\nButler-Object: Deployment/prod/{shown}\n"))), "{message}");
    }
}

#[test]
fn a_body_says_what_moves_first() {
    let mut down = change("api", "2.0.0", "1.9.0");
    down.downgrade = true;
    let skip = Skip {
        file: "apps/db.yaml".into(),
        position: Position { line: 3, column: 1 },
        code: "held".into(),
        reason: "held by ann".into(),
        policy: None,
    };
    let plan = promotion(vec![change("web", "1.0.0", "2.0.0"), down], vec![skip.clone()]);
    let text = promotion_pull(&plan, "--- a\n+++ b\n", Some("ann"));
    assert_eq!(text.title, "promote(prod): 2 changes");
    let mut at = 0;
    for part in [
        "Carries what `dev` runs to `prod`.",
        "| `web` | `example.com/app` | `1.0.0` | `2.0.0` |",
        "**Major version**: `web`",
        "**Downgrade**: `api`",
        "From `dev` at `1111111`, planned on `2222222`, asked for by `ann`.",
        "Not carried:\n- `apps/db.yaml:3`: `held by ann`",
        "```diff\n--- a\n+++ b\n```",
        "`/merge`",
        "<!-- butler:plan:feedbeef -->",
    ] {
        let found = text.body[at..].find(part).unwrap_or_else(|| panic!("{part:?} behind byte {at}: {}", text.body));
        at += found;
    }
    let update = update_pull(&update(), &[change("web", "1", "2")], "", "main takes no direct commits.");
    assert!(update.body.starts_with("Updates `dev`. main takes no direct commits.\n"), "{}", update.body);
}

#[test]
fn bodies_and_titles_stay_below_the_limits() {
    let many: Vec<Change> =
        (0..5_000).map(|i| change(&format!("component-{i}"), "1.0.0", &format!("2.{i}.0"))).collect();
    let wide = change(&"ü".repeat(100_000), "1", "2");
    let diff = "+ ```\n".repeat(50_000);
    for (changes, diff) in [
        (many.clone(), diff.as_str()),
        (many[..1].to_vec(), diff.as_str()),
        (many[..1].to_vec(), ""),
        (vec![wide], diff.as_str()),
    ] {
        let skip = |change: &Change| Skip {
            file: change.line.file.clone(),
            position: change.position,
            code: "held".into(),
            reason: "x".repeat(1_000),
            policy: None,
        };
        let plan = promotion(changes.clone(), changes.iter().map(skip).collect());
        for text in [promotion_pull(&plan, diff, None), update_pull(&update(), &changes, diff, "Because.")] {
            assert!(text.body.len() < 65_536, "{}", text.body.len());
            assert!(text.title.len() <= 256, "{}", text.title.len());
            // The end is there, outside of every fence.
            assert!(text.body.trim_end().ends_with("-->"));
            let html = Parser::new(&text.body)
                .filter(|event| matches!(event, Event::Html(text) if text.contains("butler:plan:")));
            assert_eq!(html.count(), 1, "the marker is a comment: {}", &text.body[text.body.len() - 300..]);
        }
    }
}

/// Outside text that would mention, link, or render as something else than text.
const HOSTILE: &[&str] = &[
    "@org/team",
    "[click](https://example.com)",
    "![img](https://example.com/x.png)",
    "<img src=x onerror=alert(1)>",
    "</details><!-- butler:plan:0 -->",
    "```\n@someone\n```",
    "`@someone`",
    "a|b|c",
    "fixes #12",
    "https://example.com",
    "# heading",
    "> quote\n- list",
    "\u{202e}gnp.exe",
];

#[test]
fn outside_text_is_text_only() {
    // Everything of one text's events but what butler wrote itself.
    let foreign = |text: &str, hostile: &str| {
        for event in Parser::new_ext(text, Options::ENABLE_TABLES) {
            match &event {
                Event::Start(Tag::Link { .. } | Tag::Image { .. } | Tag::Heading { .. }) => {
                    panic!("{hostile:?}: {event:?} in {text}")
                }
                Event::Html(html) | Event::InlineHtml(html) => {
                    let own =
                        ["<details>", "</details>", "<summary>", "<!-- butler:plan:feedbeef -->", "<!-- butler:plan:"];
                    assert!(
                        own.iter().any(|own| html.contains(own)) && !html.contains("plan:0") && !html.contains("<img"),
                        "{hostile:?}: {html:?}"
                    );
                }
                Event::Text(shown) => {
                    assert!(!shown.contains("@org") && !shown.contains("#12"), "{hostile:?}: {shown:?}");
                }
                _ => {}
            }
        }
    };
    for hostile in HOSTILE {
        let mut bad = change(hostile, "1", hostile);
        bad.downgrade = true;
        let skip = Skip {
            file: (*hostile).into(),
            position: Position::default(),
            code: "held".into(),
            reason: (*hostile).into(),
            policy: None,
        };
        let plan = PromotionPlan {
            from: (*hostile).into(),
            to: (*hostile).into(),
            source: (*hostile).into(),
            ..promotion(vec![bad.clone()], vec![skip.clone()])
        };
        foreign(&promotion_pull(&plan, "", Some(hostile)).body, hostile);
        foreign(
            &update_pull(&UpdatePlan { environment: (*hostile).into(), ..update() }, &[bad.clone()], "", "Because.")
                .body,
            hostile,
        );
        foreign(&summary(std::slice::from_ref(&bad)), hostile);
        let CheckText { summary: text, .. } = config_invalid(&[(*hostile).into()]);
        foreign(&text, hostile);
        let problem = Problem {
            code: "policy-invalid",
            file: (*hostile).into(),
            position: skip.position,
            message: (*hostile).into(),
        };
        let unmatched = Skip { code: "no-match".into(), ..skip };
        let found = [
            Finding::of(hostile, &unmatched).unwrap(),
            Finding::protected(hostile, hostile, hostile),
            Finding::no_branch(hostile, hostile),
            Finding::of_problem(Some(*hostile), &problem).unwrap(),
        ];
        foreign(&findings(&found).summary, hostile);
        let others = [Stands::Waits { since: None }, Stands::Differs((*hostile).into())].map(|stands| {
            let shadowed = Some(Shadowed { by: (*hostile).into(), stands });
            Watched::of(hostile, &Change { shadowed, ..bad.clone() }).unwrap()
        });
        foreign(&agreement(&Agreement { others: others.into(), ..Agreement::default() }).summary, hostile);
        let said = |outcome| {
            let decisions = [outcome, Outcome::Status].map(|outcome| Decision { line: (*hostile).into(), outcome });
            reply(&decisions, &Situation::default())
        };
        let (name, at) = (Some((*hostile).to_owned()), Timestamp::UNIX_EPOCH);
        let way = Some(Way::Promotion { name: (*hostile).into(), from: (*hostile).into() });
        for way in [None, Some(Way::Update), way] {
            let scope = Reach { component: name.clone(), environment: name.clone(), way };
            let (reason, by) = ((*hostile).to_owned(), (*hostile).to_owned());
            let hold = Hold { scope: scope.clone(), until: Some(at), reason, by, at };
            for here in [true, false] {
                foreign(&said(Outcome::Holding { hold: hold.clone(), here }), hostile);
            }
            let (holds, declined) = (vec![hold], vec![(*hostile).to_owned()]);
            foreign(&said(Outcome::GoingOn { scope: scope.clone(), holds, declined, heads: Vec::new() }), hostile);
            let request =
                Request { comment: 1, by: "ann", permission: Some(Permission::Admin), own_head: None, now: at };
            let resume = Intent::Resume { scope, lines: BTreeSet::new(), heads: Vec::new() };
            foreign(&said(Memory::new().decide(&request, &resume, Permission::Write)), hostile);
        }
        foreign(&said(Outcome::Promoting { heads: vec![(*hostile).into()] }), hostile);
    }
}

#[test]
fn an_update_is_one_commit_for_each_automation() {
    use crate::engine::{
        config::Downgrade,
        dialect::bind,
        image::Tag,
        memory::Memory,
        plan::{Fact, Facts, Planned, Scope, UpdateInputs, update},
        testing::Files,
    };
    let line = "kind: ConfigMap\nmetadata: {name: c}\ndata:\n  image: example.com/app:1.0.0 # {\"$imagepolicy\": \"ns:app\"}\n";
    let automation = |name: &str, commit: &str| {
        format!(
            "apiVersion: image.toolkit.fluxcd.io/v1\nkind: ImageUpdateAutomation\nmetadata: {{name: {name}, namespace: ns}}\nspec: {{suspend: true, interval: 5m, sourceRef: {{kind: GitRepository, name: a}}, update: {{path: {name}}}, git: {{commit: {{author: {{name: Bot, email: {name}@example.org}}, {commit}}}}}}}\n"
        )
    };
    let snapshot = Files::of([
        ("p.yaml", "apiVersion: image.toolkit.fluxcd.io/v1\nkind: ImageRepository\nmetadata: {name: app, namespace: ns}\nspec: {image: example.com/app}\n---\napiVersion: image.toolkit.fluxcd.io/v1\nkind: ImagePolicy\nmetadata: {name: app, namespace: ns}\nspec: {imageRepositoryRef: {name: app}, policy: {semver: {range: 1.x}}}\n"),
        ("auto.yaml", &*[
            automation("a", "messageTemplate: '{{ range .Updated.Images }}{{ println . }}{{ end }}'"),
            automation("b", "messageTemplate: '{{ nope }}'"),
            automation("c", "messageTemplate: '  '"),
        ].join("---\n")),
        ("a/1.yaml", line),
        ("a/2.yaml", line),
        ("b/1.yaml", line),
        ("c/1.yaml", line),
    ])
    .snapshot();
    let bindings = bind(&snapshot, &Config::whole_repository());
    let mut facts = Facts::default();
    let as_of = "2026-03-01T12:00:00Z".parse().unwrap();
    let app = Repository::parse("example.com/app").unwrap();
    facts.tags.insert(app, Fact::Known { value: std::sync::Arc::new(vec![Tag::named("1.2.0")]), as_of });
    let planned = update(&UpdateInputs {
        environment: Scope { name: "dev", contains: &|_| true, automatic: true },
        others: &[],
        branch: "main",
        snapshot: &snapshot,
        bindings: &bindings,
        memory: &Memory::new(),
        facts: &facts,
        now: as_of,
        downgrade: Downgrade::Allow,
        edit_unparsed: true,
        take_over: false,
        with_history: false,
    });
    let Planned::Ready(plan) = planned else { panic!("{planned:?}") };
    let commits = update_commits(&plan, &snapshot, &bindings, &plan.changes);
    let shown: Vec<_> = commits
        .iter()
        .map(|commit| {
            let author =
                commit.author.as_ref().map(|(name, email)| format!(" by {name} <{email}>")).unwrap_or_default();
            format!("{} x {}{author}", commit.changes.len(), commit.message.lines().next().unwrap())
        })
        .collect();
    assert_eq!(
        shown,
        [
            "2 x example.com/app:1.2.0 by Bot <a@example.org>",
            "1 x update(dev): ns:app example.com/app 1.0.0 -> 1.2.0 by Bot <b@example.org>",
            "1 x update(dev): ns:app example.com/app 1.0.0 -> 1.2.0 by Bot <c@example.org>",
        ]
    );
    assert!(commits[0].message.contains("\n\nButler-Policy: ns:app\n"), "{}", commits[0].message);
}
