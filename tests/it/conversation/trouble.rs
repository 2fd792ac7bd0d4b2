//! Bad input and bad luck, each with its message.

use super::{REPO, World, only_pull, proposed};
use crate::support::world::{SECRET, replace};
use butler::{
    sandbox::github::{Fault, Protection},
    server::{intake::github::sign, worker::Step},
};
use jiff::SignedDuration;
use serde_json::json;

#[tokio::test(flavor = "multi_thread")]
async fn a_repository_that_is_not_there_or_not_installed() {
    let world = World::new().await;
    world.github.create_repository("acme/other", &[("butler.yaml", "version: 1\n")]).unwrap();
    world.github.uninstall("acme/other").unwrap();
    world.person("ann");
    world.github.set_role("acme/other", "ann", Some(butler::sandbox::github::Role::Admin)).unwrap();
    // It was installed when GitHub sent these, or never heard of.
    for repo in ["acme/other", "acme/unheard-of"] {
        let (old, new) = ("a".repeat(40), "b".repeat(40));
        let push = json!({"ref": "refs/heads/main", "before": old, "after": new, "repository": {"full_name": repo}});
        let pull = json!({
            "action": "opened", "repository": {"full_name": repo}, "number": 1,
            "pull_request": {"head": {"ref": "butler/promote/to-staging"}, "base": {"ref": "main"}},
        });
        for (kind, body) in [("push", push), ("pull_request", pull)] {
            let body = body.to_string();
            let sent = reqwest::Client::new()
                .post(&world.webhooks)
                .header("content-type", "application/json")
                .header("x-github-delivery", format!("{repo} {kind}"))
                .header("x-github-event", kind)
                .header("x-hub-signature-256", sign(&SECRET.into(), body.as_bytes()))
                .body(body);
            assert_eq!(sent.send().await.unwrap().status(), 202);
        }
        world.settle().await;
        let recorded = world.store().deliveries(100).await.unwrap();
        assert_eq!(recorded.iter().filter(|delivery| delivery.id.starts_with(repo)).count(), 2, "{recorded:?}");
    }
    assert_eq!(world.github.refs("acme/other").into_keys().collect::<Vec<_>>(), ["refs/heads/main"]);
    world.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_policy_that_cannot_be_read() {
    let world = World::new().await;
    world.edit("dan", "main", "deploy/policies.yaml", |text| text.replace("range: 1.x", "range: one.x")).await;
    world.push_image("1.1.0").await;
    assert_eq!(world.tag("development"), "1.0.0");
    insta::assert_snapshot!(world.check("main", "butler/update").unwrap(), @r#"
    failure: deploy/development/app.yaml:12:18: deploy/policies.yaml:9:1: semver range "one.x": expected a version, such as `1.2.x` (at byte 0)

    - `deploy/development/app.yaml:12:18` in `development` (`flux-system:app`): ``deploy/policies.yaml:9:1: semver range "one.x": expected a version, such as `1.2.x` (at byte 0)``
    "#);
    world.edit("dan", "main", "deploy/policies.yaml", |text| text.replace("range: one.x", "range: 1.x")).await;
    // While nothing followed the image its push was of no interest: the sweep asks the registry again.
    world.later(SignedDuration::from_mins(6)).await;
    assert_eq!(world.tag("development"), "1.1.0");
    world.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn tags_that_no_policy_allows() {
    let world = World::new().await;
    world.push_image("2.0.0").await;
    world.push_image("latest").await;
    assert_eq!(world.tag("development"), "1.0.0");
    assert_eq!(world.check("main", "butler/update"), None, "nothing is wrong: the newest that is allowed runs");
    world.edit("dan", "main", "deploy/policies.yaml", |text| text.replace("range: 1.x", "range: 3.x")).await;
    assert_eq!(world.tag("development"), "1.0.0");
    insta::assert_snapshot!(world.check("main", "butler/update").unwrap(), @r"
    neutral: deploy/development/app.yaml:12:18: 0 of 3 tags are versions in `3.x`; the highest of 2 versions are: 2.0.0, 1.0.0

    - `deploy/development/app.yaml:12:18` in `development` (`flux-system:app`): ``0 of 3 tags are versions in `3.x`; the highest of 2 versions are: 2.0.0, 1.0.0``
    ");
    world.edit("dan", "main", "deploy/policies.yaml", |text| text.replace("range: 3.x", "range: 2.x")).await;
    assert_eq!(world.tag("development"), "2.0.0");
    world.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_registry_that_is_away_and_comes_back() {
    let world = World::new().await;
    world.registry.push_image("acme/app", "1.1.0", world.clock.now(), &[]);
    world.registry.away(true);
    world.settle().await;
    assert_eq!(world.tag("development"), "1.0.0");
    insta::assert_snapshot!(world.check("main", "butler/update").unwrap(), @r"
    neutral: deploy/development/app.yaml:12:18: tags of REGISTRY/acme/app: REGISTRY cannot be reached: error sending request: client error (SendRequest): connection closed before message completed; a

    - `deploy/development/app.yaml:12:18` in `development` (`flux-system:app`): `tags of REGISTRY/acme/app: REGISTRY cannot be reached: error sending request: client error (SendRequest): connection closed before message completed; asked again in 60 s`
    ");
    world.registry.away(false);
    world.later(SignedDuration::from_secs(61)).await;
    assert_eq!(world.tag("development"), "1.1.0", "nobody had to do anything");
    world.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn github_that_is_away_and_comes_back() {
    let world = World::new().await;
    for _ in 0..4 {
        world.github.fail_next("* /acme/config.git/**", Fault::status(503)).unwrap();
    }
    world.push_image("1.1.0").await;
    world.later(SignedDuration::from_mins(2)).await;
    assert_eq!(world.tag("development"), "1.1.0");
    world.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_line_that_changes_too_often_is_parked() {
    let world = World::with(|files| replace(files, "butler.yaml", ONE)).await;
    for patch in 1..=6 {
        world.push_image(&format!("1.1.{patch}")).await;
        world.later(SignedDuration::from_mins(1)).await;
    }
    assert_eq!(world.tag("development"), "1.1.6");
    world.push_image("1.1.7").await;
    assert_eq!(world.tag("development"), "1.1.6");
    insta::assert_snapshot!(world.check("main", "butler/update").unwrap(), @r"
    failure: deploy/development/app.yaml:12:18: 6 automatic changes of this line within an hour, since 2026-03-02 09:00 UTC; it goes on by itself at 2026-03-02 10:00 UTC (do builds commit, or commits build?)

    - `deploy/development/app.yaml:12:18` in `development` (`flux-system:app`): `6 automatic changes of this line within an hour, since 2026-03-02 09:00 UTC; it goes on by itself at 2026-03-02 10:00 UTC (do builds commit, or commits build?)`
    ");
    world.later(SignedDuration::from_hours(1)).await;
    assert_eq!(world.tag("development"), "1.1.7", "an hour later it goes on");
    world.finish().await;
}

/// GitHub refuses comments for a while: permissions that the organisation took back, a conversation that is locked.
#[tokio::test(flavor = "multi_thread")]
async fn a_reply_that_github_refuses_is_made_up_for() {
    let (world, number) = proposed().await;
    world
        .github
        .fail_next("POST /repos/*/*/issues/*/comments", Fault::refuse(403, "Unable to create comment"))
        .unwrap();
    world.comment("rita", number, "/status").await;
    world.silent(number);
    assert_eq!(world.store().parked().await.unwrap().len(), 1);
    world.later(SignedDuration::from_mins(6)).await;
    world.silent(number);
    world.later(SignedDuration::from_hours(1)).await;
    assert!(world.reply(number).contains("#1 is open"));
    world.finish().await;
}

/// The same, of what butler says by itself: it is the same text that is said at each look.
#[tokio::test(flavor = "multi_thread")]
async fn a_note_that_github_refuses_is_made_up_for() {
    let (world, number) = proposed().await;
    world
        .github
        .fail_next("POST /repos/*/*/issues/*/comments", Fault::refuse(403, "Unable to create comment"))
        .unwrap();
    let head = "butler/promote/to-staging";
    world.push("dan", head, "deploy/staging/app.yaml", "# by hand\n").await;
    world.later(SignedDuration::from_mins(6)).await;
    assert!(world.reply(number).contains("holds a commit that butler does not know as its own"));
    world.finish().await;
}

/// What is only there to be looked up goes when nobody can ask for it any more, and nothing is done twice for that.
#[tokio::test(flavor = "multi_thread")]
async fn the_database_does_not_grow_without_end() {
    let (world, number) = proposed().await;
    let comment = world.comment("ann", number, "/promote to staging").await;
    world.reply(number);
    let place = format!("{REPO}#{number} reply:{comment}");
    let said = async || world.store().fact::<String>("said", &place).await.unwrap().is_some();
    let oldest = async || world.store().deliveries(10_000).await.unwrap().last().map(|delivery| delivery.received_at);
    let began = oldest().await.unwrap();
    world.store().put_fact("created", "sha256:aa", &world.clock.now(), world.clock.now()).await.unwrap();
    let created = async || world.store().fact::<jiff::Timestamp>("created", "sha256:aa").await.unwrap().is_some();
    // (days since the beginning, deliveries are there, what was said is known, an image's time is)
    let mut days = 0;
    for (day, journal, replies, times) in
        [(4, true, true, true), (8, false, true, true), (31, false, false, true), (91, false, false, false)]
    {
        world.later(SignedDuration::from_hours(24 * (day - days))).await;
        days = day;
        assert_eq!(oldest().await == Some(began), journal, "deliveries after {day} days");
        assert_eq!(said().await, replies, "what was said, after {day} days");
        assert_eq!(created().await, times, "an image's time after {day} days");
        world.silent(number);
    }
    // Whatever is told once more is known all the same.
    let old: Vec<_> = world.github.deliveries().iter().map(|delivery| delivery.id).collect();
    for id in old {
        world.github.redeliver(id);
    }
    world.finish().await;
}

/// Production renders staging's line, so that what goes to staging goes to production.
#[tokio::test(flavor = "multi_thread")]
async fn a_promotion_of_a_line_that_another_environment_renders() {
    for (write, merge) in [("commit", "manual"), ("pull-request", "auto")] {
        let world = World::with(|files| {
            replace(files, "butler.yaml", &SHARED.replace("WRITE", write).replace("MERGE", merge));
            replace(files, "deploy/production/kustomization.yaml", "resources: [../staging/app.yaml]\n");
        })
        .await;
        world.push_image("1.1.0").await;
        assert_eq!(world.tag("staging"), "1.0.0", "{write}: not silently");
        if write == "commit" {
            assert_eq!(world.open_pulls(), [0; 0]);
            insta::assert_snapshot!(world.check("main", "butler/update").unwrap(), @r"
            failure: deploy/staging/app.yaml:12:18: environment production renders this file too; give each environment a value of its own, in a patch, or promote by pull request (write: pull-request)

            - `deploy/staging/app.yaml:12:18` in `staging`: `environment production renders this file too; give each environment a value of its own, in a patch, or promote by pull request (write: pull-request)`
            ");
        } else {
            let number = only_pull(&world);
            let text = world.pull(number);
            let first = "-> main\n\n> **Changes `production` too**: `production` renders `deploy/staging/app.yaml:12`. butler does \
                         not merge this by itself.\n\nCarries what";
            assert!(text.contains(first), "{text}");
            world.comment("ann", number, "/merge").await;
            world.reply(number);
            assert_eq!(world.tag("staging"), "1.1.0", "a person's word");
        }
        world.finish().await;
    }
}

const SHARED: &str = "\
version: 1
environments:
  development: {path: deploy/development}
  staging: {path: deploy/staging, update: none}
  production: {path: deploy/production, update: none}
promotions:
- {name: to-staging, from: development, to: staging, write: WRITE, open: at-once, pull-request: {merge: MERGE}}
";

const ONE: &str = "version: 1\nenvironments:\n  development: {path: deploy/development}\n";

#[tokio::test(flavor = "multi_thread")]
async fn a_line_that_another_environment_renders_too() {
    let config = "\
version: 1
environments:
  base: {path: deploy/development}
  staging: {path: deploy/staging, update: none}
";
    let world = World::with(|files| {
        replace(files, "butler.yaml", config);
        let kustomization = "resources: [../development/app.yaml]\n";
        replace(files, "deploy/staging/kustomization.yaml", kustomization);
    })
    .await;
    world.push_image("1.1.0").await;
    assert_eq!(world.tag("development"), "1.0.0");
    insta::assert_snapshot!(world.check("main", "butler/update").unwrap(), @r"
    failure: deploy/development/app.yaml:12:18: environment staging renders this file too, and not by itself; give each environment a value of its own, in a patch, or update both by hand

    - `deploy/development/app.yaml:12:18` in `base` (`flux-system:app`): `environment staging renders this file too, and not by itself; give each environment a value of its own, in a patch, or update both by hand`
    ");
    world.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_event_for_an_image_that_nobody_runs() {
    let world = World::new().await;
    let before = world.github.requests().len();
    world.registry.push_image("acme/other", "1.1.0", world.clock.now(), &[]);
    world.settle().await;
    assert_eq!(world.github.requests().len(), before, "nobody is asked");
    world.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_branch_that_is_not_there() {
    let config = "version: 1\nenvironments:\n  development: {branch: nowhere, path: deploy/development}\n";
    let world = World::configured(config).await;
    world.push_image("1.1.0").await;
    assert_eq!(world.github.branch(REPO, "nowhere"), None);
    insta::assert_snapshot!(world.check("main", "butler/update").unwrap(), @r"
    failure: there is no branch nowhere

    - Environment `development` is on the branch `nowhere`, which is not there. Push it, or correct `branch` in butler.yaml.
    ");
    world.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_head_branch_that_butler_may_not_push_stops_that_promotion_alone() {
    let config = "\
version: 1
environments:
  development: {path: deploy/development}
  staging: {path: deploy/staging, update: none}
  production: {path: deploy/production, update: none}
promotions:
  - {name: to-staging, from: development, to: staging}
  - {name: to-production, from: development, to: production}
";
    let world = World::configured(config).await;
    let locked = Protection { required_reviews: Some(1), ..Protection::default() };
    world.github.protect(REPO, "butler/promote/to-staging", Some(locked)).unwrap();
    world.push_image("1.1.0").await;
    assert_eq!(world.tag("development"), "1.1.0", "the update is done");
    let production = only_pull(&world);
    assert_eq!(world.tag_at("butler/promote/to-production", "production"), "1.1.0", "and so is the other promotion");
    insta::assert_snapshot!(world.check("main", "butler/update").unwrap(), @r"
    failure: butler/promote/to-staging refuses butler's push

    - The branch `butler/promote/to-staging` refuses butler's push: `hook declined: error: GH006: Protected branch update failed for refs/heads/butler/promote/to-staging. error: Changes must be made through a pull request. error: hook declined to update refs/heads/butler/promote/to-staging`. Let the App push to `butler/**`; until then this pull request is not opened or refreshed.
    ");
    world.comment("rita", production, "/status").await;
    insta::assert_snapshot!(world.reply(production), @r"
    | component | `development` | `staging` | `production` |
    | --- | --- | --- | --- |
    | `app` | **`1.1.0`**<br>since 2026-03-02 09:00 UTC by COMMIT | **`1.0.0`**<br>since 2026-03-02 09:00 UTC by COMMIT | **`1.0.0`**<br>since 2026-03-02 09:00 UTC by COMMIT |

    **On the way**

    - `development` → `staging`: `butler/promote/to-staging` refuses butler's push (`hook declined: error: GH006: Protected branch update failed for refs/heads/butler/promote/to-staging. error: Changes must be made through a pull request. error: hook declined to update refs/heads/butler/promote/to-staging`): `app 1.0.0 -> 1.1.0`.
    - `development` → `production`: #1 is open: `app 1.0.0 -> 1.1.0`.

    Nothing is held or declined.
    ");
    world.comment("ann", production, "/merge").await;
    insta::assert_snapshot!(world.reply(production), @"Merged as COMMIT.");

    // Trying again leaves no trace, until it succeeds.
    let state = world.github.refs(REPO).remove("refs/butler/state");
    world.later(SignedDuration::from_mins(10)).await;
    assert_eq!(world.github.refs(REPO).remove("refs/butler/state"), state);
    world.github.protect(REPO, "butler/promote/to-staging", None).unwrap();
    world.later(SignedDuration::from_mins(10)).await;
    assert_eq!(world.tag_at("butler/promote/to-staging", "staging"), "1.1.0");
    assert!(world.check("main", "butler/update").unwrap().starts_with("success: "));
    world.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn commands_are_answered_though_the_work_stops() {
    let (world, number) = proposed().await;
    let forbidden = Fault::refuse(403, "Permission to acme/config.git denied");
    // The two decisions are remembered; the push of the update is refused.
    world.github.fail_nth("POST /acme/config.git/git-receive-pack", 3, forbidden).unwrap();
    let (held, asked) = (
        world.person("dan").comments(REPO, number, "/hold production").unwrap(),
        world.person("rita").comments(REPO, number, "/status").unwrap(),
    );
    world.push_image("1.2.0").await;
    assert_eq!(world.tag("development"), "1.1.0");
    let said = world.replies(number).join("\n---\n").replace(world.github.url(), "GITHUB");
    insta::assert_snapshot!(said, @r#"
    Held: everything in `production`, by `dan` since 2026-03-02 09:00 UTC. butler updates and promotes nothing there. `/butler resume production` ends that.
    ---
    | component | `development` | `staging` | `production` |
    | --- | --- | --- | --- |
    | `app` | **`1.1.0`**<br>since 2026-03-02 09:00 UTC by COMMIT | **`1.0.0`**<br>since 2026-03-02 09:00 UTC by COMMIT | **`1.0.0`**<br>since 2026-03-02 09:00 UTC by COMMIT |

    **On the way**

    - `development` → `staging`: butler stopped before this: `GITHUB/acme/config.git: not allowed (403): {"documentation_url":"https://docs.github.com/rest","message":"Permission to acme/config.git denied","status":"403"}; check the App's permissions on this repository`.
    - `staging` → `production`: butler stopped before this: `GITHUB/acme/config.git: not allowed (403): {"documentation_url":"https://docs.github.com/rest","message":"Permission to acme/config.git denied","status":"403"}; check the App's permissions on this repository`.

    **Held or declined**

    - everything in `production` is held by `dan` since 2026-03-02 09:00 UTC; `/butler resume production` ends that.
    "#);
    assert_eq!(world.reactions(number, held), ["eyes", "rocket"]);
    assert_eq!(world.reactions(number, asked), ["eyes", "rocket"]);
    let parked = world.store().parked().await.unwrap();
    assert_eq!(parked.len(), 1, "{parked:?}");

    // Whatever happens next has it tried again.
    world.push("ann", "main", "notes.md", "Mended\n").await;
    assert_eq!(world.tag("development"), "1.2.0");
    insta::assert_snapshot!(world.reply(number), @r"
    | component | `development` | `staging` | `production` |
    | --- | --- | --- | --- |
    | `app` | **`1.2.0`**<br>since 2026-03-02 09:00 UTC by COMMIT | **`1.0.0`**<br>since 2026-03-02 09:00 UTC by COMMIT | **`1.0.0`**<br>since 2026-03-02 09:00 UTC by COMMIT |

    **On the way**

    - `development` → `staging`: #1 is open: `app 1.0.0 -> 1.2.0`.
    - `staging` → `production`: nothing to promote: `production` runs what `staging` runs.

    **Held or declined**

    - everything in `production` is held by `dan` since 2026-03-02 09:00 UTC; `/butler resume production` ends that.
    ");
    world.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn who_waits_is_told_when_the_job_is_given_up() {
    let (world, number) = proposed().await;
    for _ in 0..3000 {
        world.github.fail_next("* /acme/config.git/**", Fault::status(503)).unwrap();
    }
    let dan = world.person("dan");
    dan.comments(REPO, number, "/hold production").unwrap();
    dan.comments(REPO, number, "No command.").unwrap();
    let issue = dan.opens_issue(REPO, "Release").unwrap();
    dan.comments(REPO, issue, "/butler status").unwrap();
    dan.comments(REPO, issue, "/status").unwrap();
    world.github.idle().await;
    let mut steps = 0;
    while world.store().parked().await.unwrap().is_empty() {
        steps += 1;
        assert!(steps < 300, "it never parks: {:?}", world.store().pending(world.clock.now()).await);
        world.silent(number);
        if world.worker.step().await.unwrap() == Step::Idle {
            world.advance(SignedDuration::from_mins(1));
        }
    }
    while world.worker.step().await.unwrap() != Step::Idle {}
    let said = world.reply(number).replace(world.github.url(), "GITHUB");
    let why = "Not done yet: butler could not go on: `GITHUB/acme/config.git: expected an answer, found status 503";
    assert!(said.starts_with(why) && said.ends_with("this comment is not forgotten."), "{said}");
    let reply = world.reply_id(number);
    assert!(world.reply(issue).starts_with("Not done yet: "));

    world.github.clear_faults();
    world.push("ann", "main", "notes.md", "Mended\n").await;
    assert!(world.reply(number).starts_with("Held: "), "the same comment, edited");
    assert_eq!(world.reply_id(number), reply);
    assert!(world.reply(issue).starts_with("| component |"));
    world.finish().await;
}
