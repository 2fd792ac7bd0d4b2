//! The sandbox's GitHub: that it answers as GitHub describes itself, and that its faults do what they say.

use crate::support::{
    api::{Api, Receiver},
    openapi::Description,
    person::Person as Clone,
};
use butler::sandbox::github::{Fault, Github, Method, Options, Outcome, Protection, Role, Verdict, When};
use serde_json::{Value, json};
use std::{
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering},
    },
    time::Duration,
};

const REPO: &str = "acme/config";

/// A repository with one file, and Alice who may write.
async fn github() -> Github {
    let github = Github::start(Options { record_bodies: true, ..Options::default() }).await.unwrap();
    github.create_repository(REPO, &[("app.yaml", "image: app:1.0.0\n")]).unwrap();
    github.set_role(REPO, "alice", Some(Role::Write)).unwrap();
    github
}

/// A branch `next` with a commit, and its pull request.
fn open_pull(github: &Github) -> u64 {
    let alice = github.person("alice");
    alice.pushes(REPO, "next", "Update app to 1.1.0", &[("app.yaml", Some("image: app:1.1.0\n"))]).unwrap();
    alice.opens(REPO, "next", "main", "Update app").unwrap()
}

#[tokio::test]
async fn requests_answers_and_events_are_as_github_describes_them() {
    let Some(description) = Description::get() else { return };
    let github = github().await;
    let _receiver = Receiver::of(&github).await;
    representative_run(&github).await;
    github.idle().await;
    let (records, deliveries) = (github.recorded(), github.deliveries());
    let mut faults = description.check(&records);
    faults.extend(description.check_deliveries(&deliveries));
    println!("{} requests and {} events checked", records.len(), deliveries.len());
    assert!(records.len() > 60 && deliveries.len() > 15, "the run is no longer representative");
    assert!(faults.is_empty(), "{} faults:\n{}", faults.len(), faults.join("\n"));
}

#[tokio::test]
async fn the_check_finds_what_github_does_not_know() {
    let Some(description) = Description::get() else { return };
    let github = github().await;
    let number = open_pull(&github);
    let api = Api::installation(&github, REPO).await;
    github.clear_requests();
    api.get(&format!("/repos/{REPO}/pulls?colour=red")).await;
    api.get("/nonsense").await;
    api.put(&format!("/repos/{REPO}/pulls/{number}"), json!({})).await;
    api.post(&format!("/repos/{REPO}/issues/{number}/comments"), json!({"text": "no body"})).await;
    api.patch(&format!("/repos/{REPO}/pulls/{number}"), json!({"title": 1, "colour": "red"})).await;
    let mut records = github.recorded();
    api.get(&format!("/repos/{REPO}")).await;
    let mut wrong = github.recorded().pop().unwrap();
    wrong.response["private"] = "yes".into();
    records.push(wrong);
    insta::assert_snapshot!(description.check(&records).join("\n"), @r#"
    GET /nonsense: GitHub has no such path
    GET /repos/acme/config/pulls: unknown query parameter colour
    GET /repos/acme/config: 200: /private: "yes" is not of type "boolean"
    PATCH /repos/acme/config/pulls/1: request: /title: 1 is not of type "string"
    PATCH /repos/acme/config/pulls/1: unknown field colour in the request
    POST /repos/acme/config/issues/1/comments: request: : "body" is a required property
    POST /repos/acme/config/issues/1/comments: unknown field text in the request
    PUT /repos/acme/config/pulls/1: /repos/{owner}/{repo}/pulls/{pull_number} has no put
    "#);
}

#[tokio::test]
async fn people_change_their_own_comments_only() {
    let github = github().await;
    let number = open_pull(&github);
    let comment = github.person("alice").comments(REPO, number, "Mine").unwrap();
    github.set_role(REPO, "eve", Some(Role::Read)).unwrap();
    let error = github.person("eve").edits_comment(REPO, comment, "Yours").unwrap_err();
    insta::assert_snapshot!(error, @"eve in acme/config: 403 Must have admin rights to Repository.");
    let error = github.person("stranger").comments(REPO, number, "Hello").unwrap_err();
    insta::assert_snapshot!(error, @"stranger in acme/config: 404 Not Found");
    assert_eq!(github.comments(REPO, number).len(), 1);
}

/// Every endpoint and every event, with what GitHub refuses as well.
async fn representative_run(github: &Github) {
    let app = Api::app(github);
    for path in ["/app", "/app/installations", "/repos/acme/config/installation", "/repos/acme/other/installation"] {
        app.get(path).await;
    }
    let narrowed = json!({"repositories": ["config"], "permissions": {"contents": "write", "pull_requests": "read"}});
    Api::mint(github, REPO, narrowed).await;
    app.post("/app/installations/1/access_tokens", json!({})).await;
    let api = Api::installation(github, REPO).await;
    let repo = |path: &str| format!("/repos/{REPO}{path}");
    let alice = github.person("alice");
    let rules = Protection {
        required_reviews: Some(1),
        required_checks: vec!["build".into()],
        pushers: Some(["alice".to_owned(), github.app_login()].into()),
        bypass: [github.app_login()].into(),
        strict: true,
        ..Protection::default()
    };
    alice.resets(REPO, "guarded", &github.branch(REPO, "main").unwrap()).unwrap();
    alice.resets(REPO, "ruled", &github.branch(REPO, "main").unwrap()).unwrap();
    github.protect(REPO, "guarded", Some(rules.clone())).unwrap();
    github.protect(REPO, "ruled", Some(Protection { as_ruleset: true, ..rules })).unwrap();
    let number = open_pull(github);
    let pull = format!("/pulls/{number}");
    let comment = alice.comments(REPO, number, "/butler status").unwrap();
    alice.edits_comment(REPO, comment, "/butler status please").unwrap();
    github.status(REPO, "next", "lint", "success").unwrap();
    github.check(REPO, "next", "build", Some("success")).unwrap();
    let head = github.branch(REPO, "next").unwrap();
    github.set_role(REPO, "bob", Some(Role::Maintain)).unwrap();
    let bob = github.person("bob");
    let issue = bob.opens_issue(REPO, "A question").unwrap();
    bob.comments(REPO, issue, "What is this?").unwrap();

    for path in [
        "",
        "/branches/main",
        "/branches/guarded",
        "/branches/none",
        "/branches/guarded/protection",
        "/branches/main/protection",
        "/rules/branches/ruled",
        "/rules/branches/main",
        "/git/ref/heads/main",
        "/git/ref/heads/none",
        "/git/matching-refs/heads",
        "/collaborators/alice/permission",
        "/collaborators/bob/permission",
        "/collaborators/nobody/permission",
        "/commits/main",
        "/pulls",
        "/pulls?state=all&head=acme:next&base=main&per_page=1",
        "/issues/1",
        "/issues/2",
        "/issues/9",
        "/pulls/2",
    ] {
        api.get(&repo(path)).await;
    }
    for path in ["", "/files", "/commits", "/reviews", "/requested_reviewers", "/merge"] {
        api.get(&repo(&format!("{pull}{path}"))).await;
    }
    for path in ["/installation/repositories?per_page=1", "/users/alice", "/users/nobody", "/rate_limit"] {
        api.get(path).await;
    }

    // A second pull request, by the App.
    alice.pushes(REPO, "later", "Later", &[("later.yaml", Some("image: later:1\n"))]).unwrap();
    let form = json!({"title": "Later", "head": "later", "base": "main", "body": "Why", "draft": false});
    let opened = api.post(&repo("/pulls"), form.clone()).await;
    assert_eq!(opened.status, 201, "{}", opened.body);
    let later = opened.body["number"].as_u64().unwrap();
    api.post(&repo("/pulls"), form).await;
    api.post(&repo("/pulls"), json!({"title": "None", "head": "main", "base": "main"})).await;
    api.patch(&repo(&format!("/pulls/{later}")), json!({"title": "Much later", "body": "Because"})).await;
    api.post(&repo(&format!("/pulls/{later}/requested_reviewers")), json!({"reviewers": ["bob"]})).await;
    api.post(&repo(&format!("/pulls/{later}/requested_reviewers")), json!({"reviewers": ["eve"]})).await;
    bob.approves(REPO, later).unwrap();
    bob.reviews(REPO, later, Verdict::ChangesRequested, "Not yet").unwrap();
    api.get(&repo(&format!("/pulls/{later}/reviews"))).await;
    api.post(&repo(&format!("/pulls/{later}/reviews")), json!({"event": "COMMENT", "body": "Seen"})).await;
    api.post(&repo(&format!("/pulls/{later}/reviews")), json!({"event": "APPROVE"})).await;

    let labels = repo(&format!("/issues/{later}/labels"));
    api.post(&labels, json!({"labels": ["promotion", "hold"]})).await;
    api.get(&labels).await;
    api.delete(&format!("{labels}/hold")).await;
    api.delete(&format!("{labels}/hold")).await;

    let said = api.post(&repo(&format!("/issues/{later}/comments")), json!({"body": "Done"})).await;
    let said = repo(&format!("/issues/comments/{}", said.body["id"]));
    api.post(&repo(&format!("/issues/{later}/comments")), json!({"body": " "})).await;
    api.patch(&said, json!({"body": "Done, really"})).await;
    api.get(&said).await;
    let reacted = api.post(&format!("{said}/reactions"), json!({"content": "rocket"})).await;
    assert_eq!(reacted.status, 201);
    assert_eq!(api.post(&format!("{said}/reactions"), json!({"content": "rocket"})).await.status, 200);
    api.get(&format!("{said}/reactions?content=rocket")).await;
    api.delete(&format!("{said}/reactions/{}", reacted.body["id"])).await;
    api.get(&repo(&format!("/issues/{later}/comments?since=2020-01-01T00:00:00Z"))).await;
    api.get(&repo("/issues/comments?sort=updated&direction=desc")).await;
    api.delete(&said).await;

    let output = json!({"title": "Plan", "summary": "One change", "text": "…", "annotations": [
        {"path": "app.yaml", "start_line": 1, "end_line": 1, "annotation_level": "notice", "message": "app 1.1.0"}]});
    let run = json!({"name": "butler/plan", "head_sha": head, "external_id": "plan", "status": "in_progress", "output": output});
    let run = api.post(&repo("/check-runs"), run).await;
    let run = repo(&format!("/check-runs/{}", run.body["id"]));
    api.patch(&run, json!({"status": "completed", "conclusion": "success"})).await;
    api.get(&run).await;
    api.get(&repo(&format!("/commits/{head}/check-runs?check_name=butler/plan&filter=latest"))).await;
    api.post(&repo(&format!("/statuses/{head}")), json!({"state": "pending", "context": "deploy"})).await;
    api.get(&repo(&format!("/commits/{head}/status"))).await;
    api.get(&repo(&format!("/commits/{head}/statuses"))).await;

    alice.pushes(REPO, "next", "More", &[("more.yaml", Some("a: 1\n"))]).unwrap();
    api.put(&repo(&format!("{pull}/merge")), json!({"sha": head})).await;
    let merged = api.put(&repo(&format!("{pull}/merge")), json!({"merge_method": "squash"})).await;
    assert_eq!(merged.status, 200, "{}", merged.body);
    api.put(&repo(&format!("{pull}/merge")), json!({})).await;
    api.get(&repo(&format!("{pull}/merge"))).await;
    api.get(&repo(&pull)).await;
    bob.closes(REPO, later).unwrap();
    bob.reopens(REPO, later).unwrap();
    api.patch(&repo(&format!("/pulls/{later}")), json!({"state": "closed"})).await;
    api.delete(&repo("/git/refs/heads/later")).await;
    api.delete(&repo("/git/refs/heads/later")).await;
    github.create_repository("acme/second", &[]).unwrap();
    github.install(&["acme/second"]).unwrap();
    github.uninstall("acme/second").unwrap();
    app.get("/app/hook/deliveries?status=success").await;
    let first = github.deliveries()[0].id;
    app.post(&format!("/app/hook/deliveries/{first}/attempts"), Value::Null).await;
}

/// (what the token may, method, path, status)
#[tokio::test]
async fn tokens_reach_what_they_were_minted_for() {
    let github = github().await;
    github.create_repository("acme/other", &[("a", "b")]).unwrap();
    let number = open_pull(&github);
    let full = json!({});
    let here = json!({"repositories": ["config"]});
    let reader = json!({"permissions": {"contents": "read", "pull_requests": "read"}});
    let (pull, labels) = (format!("/repos/{REPO}/pulls/{number}"), format!("/repos/{REPO}/issues/{number}/labels"));
    let table = [
        (&full, "GET", "/repos/acme/other", 200),
        (&here, "GET", "/repos/acme/other", 404),
        (&here, "GET", "/repos/acme/config", 200),
        (&reader, "GET", pull.as_str(), 200),
        (&reader, "PATCH", pull.as_str(), 403),
        (&reader, "POST", labels.as_str(), 403),
        (&reader, "GET", "/repos/acme/config/branches/main", 200),
        (&reader, "DELETE", "/repos/acme/config/git/refs/heads/next", 403),
        (&reader, "GET", "/repos/acme/config/commits/main/check-runs", 403),
        (&full, "GET", "/repos/acme/none", 404),
        (&full, "GET", "/app", 401),
    ];
    for (narrowed, method, path, status) in table {
        let api = Api::new(&github, &Api::mint(&github, REPO, narrowed.clone()).await);
        let answer = api.send(method, path, Value::Null).await;
        assert_eq!(answer.status, status, "{narrowed} {method} {path}: {}", answer.body);
        if status == 403 {
            assert_eq!(answer.message(), "Resource not accessible by integration");
        }
    }
    let api = Api::installation(&github, REPO).await;
    github.expire_tokens();
    assert_eq!(api.get("/repos/acme/config").await.message(), "Bad credentials");
    assert_eq!(Api::new(&github, "a.b.c").get("/app").await.message(), "A JSON web token could not be decoded");
    github.advance(jiff::SignedDuration::from_mins(-20));
    let early = Api::app(&github);
    github.advance(jiff::SignedDuration::from_mins(20));
    assert!(early.get("/app").await.message().starts_with("'Expiration time' claim"), "an App's token ends");
}

#[tokio::test]
async fn events_arrive_in_order_and_signed() {
    let github = github().await;
    let receiver = Receiver::of(&github).await;
    let alice = github.person("alice");
    let number = open_pull(&github);
    alice.comments(REPO, number, "/butler promote").unwrap();
    alice.pushes(REPO, "next", "More", &[("more.yaml", Some("b: 1\n"))]).unwrap();
    github.set_role(REPO, "bob", Some(Role::Write)).unwrap();
    github.person("bob").approves(REPO, number).unwrap();
    alice.merges(REPO, number).unwrap();
    let received = receiver.take(&github).await;
    let events: Vec<&str> = received.iter().map(|received| received.event.as_str()).collect();
    insta::assert_snapshot!(events.join(" "), @"push pull_request.opened issue_comment.created push pull_request.synchronize pull_request_review.submitted pull_request.closed push");
    let closed = &received[6].payload["pull_request"];
    assert_eq!((&closed["merged"], &closed["merged_by"]["login"]), (&json!(true), &json!("alice")));
    let push = &received[7].payload;
    assert_eq!(push["ref"], "refs/heads/main");
    assert_eq!(push["after"], json!(github.branch(REPO, "main")));
    assert_eq!(push["head_commit"]["message"], "Merge pull request #1 from acme/next\n\nUpdate app");
}

#[tokio::test]
async fn deliveries_can_be_held_lost_and_repeated() {
    let github = github().await;
    let receiver = Receiver::of(&github).await;
    let alice = github.person("alice");
    let number = open_pull(&github);
    assert_eq!(receiver.events(&github).await, ["push", "pull_request.opened"]);

    github.without_webhook(|| alice.comments(REPO, number, "unheard").unwrap());
    github.lose_next_webhook();
    alice.comments(REPO, number, "lost").unwrap();
    alice.comments(REPO, number, "heard").unwrap();
    let received = receiver.take(&github).await;
    assert_eq!(received.len(), 1);
    assert_eq!(received[0].payload["comment"]["body"], "heard");
    assert_eq!(github.comments(REPO, number).len(), 3);
    assert_eq!(github.deliveries()[2].outcome, Some(Outcome::Lost));

    let first = github.deliveries().last().unwrap().id;
    github.redeliver(first).unwrap();
    let again = receiver.take(&github).await;
    assert_eq!(again[0].guid, received[0].guid, "a redelivery keeps the GUID");
    assert_eq!(again[0].payload, received[0].payload);

    github.hold_webhooks();
    alice.comments(REPO, number, "held").unwrap();
    assert!(github.deliveries().last().unwrap().outcome.is_none());
    github.release_webhooks();
    assert_eq!(receiver.events(&github).await, ["issue_comment.created"]);
}

#[tokio::test]
async fn the_app_pushes_with_its_token_and_protected_branches_stay_closed() {
    let github = github().await;
    let receiver = Receiver::of(&github).await;
    let token = Api::mint(&github, REPO, json!({"permissions": {"contents": "write"}})).await;
    let url = github.clone_url(REPO).replace("http://", &format!("http://x-access-token:{token}@"));
    let reader = Api::mint(&github, REPO, json!({"permissions": {"contents": "read"}})).await;
    let reader = github.clone_url(REPO).replace("http://", &format!("http://x-access-token:{reader}@"));
    let github_too = github.clone();
    let refused = tokio::task::spawn_blocking(move || {
        let app = Clone::clone(&url, "butler");
        let first = app.write("app.yaml", "image: app:1.0.1\n").commit("Update app to 1.0.1");
        app.git(&["push", "--quiet", "origin", "main"]);
        assert_eq!(github_too.branch(REPO, "main"), Some(first));
        app.git(&["push", "--quiet", "origin", "main:refs/butler/state"]);

        github_too
            .protect(REPO, "main", Some(Protection { required_reviews: Some(1), ..Protection::default() }))
            .unwrap();
        app.write("app.yaml", "image: app:1.0.2\n").commit("Update app to 1.0.2");
        let refused = app.try_git(&["push", "--quiet", "origin", "main"]).unwrap_err();
        app.git(&["push", "--quiet", "origin", "main:refs/heads/butler/update"]);
        assert!(app.try_git(&["push", "--quiet", &reader, "main:refs/heads/x"]).unwrap_err().contains("403"));
        refused
    });
    let refused = refused.await.unwrap();
    assert!(refused.contains("remote: error: GH006: Protected branch update failed for refs/heads/main."), "{refused}");
    assert!(refused.contains("remote: error: Changes must be made through a pull request."), "{refused}");
    let received = receiver.take(&github).await;
    let refs: Vec<&Value> = received.iter().map(|received| &received.payload["ref"]).collect();
    assert_eq!(refs, ["refs/heads/main", "refs/heads/butler/update"], "refs outside heads and tags send no event");
    assert_eq!(received[0].payload["sender"]["login"], "butler[bot]");
    assert_eq!(received[0].payload["sender"]["type"], "Bot");
    let error = github.person("alice").pushes(REPO, "main", "Mine", &[("a", Some("b"))]).unwrap_err();
    assert!(error.message.starts_with("GH006"), "{error}");
}

/// (what is done first, the request's body, status and message)
#[tokio::test]
async fn merges_are_refused_as_github_refuses_them() {
    type Before = fn(&Github, u64);
    let nothing: Before = |_, _| {};
    let conflict: Before = |github, _| {
        github
            .person("alice")
            .pushes(REPO, "main", "Conflict", &[("app.yaml", Some("image: app:9\n"))])
            .map(drop)
            .unwrap();
    };
    let review: Before = |github, _| {
        github.protect(REPO, "main", Some(Protection { required_reviews: Some(1), ..Protection::default() })).unwrap();
    };
    let check: Before = |github, _| {
        github
            .protect(REPO, "main", Some(Protection { required_checks: vec!["build".into()], ..Protection::default() }))
            .unwrap();
    };
    let closed: Before = |github, number| github.person("alice").closes(REPO, number).unwrap();
    let raced: Before = |github, _| {
        let modified = Fault::refuse(405, "Base branch was modified. Review and try the merge again.");
        github.fail_next("PUT /repos/*/*/pulls/*/merge", modified).unwrap();
    };
    let stale = json!({"sha": "0123456789012345678901234567890123456789"});
    let table = [
        (nothing, stale, 409, "Head branch was modified. Review and try the merge again."),
        (conflict, json!({}), 405, "Pull Request is not mergeable"),
        (review, json!({}), 405, "At least 1 approving review is required by reviewers with write access."),
        (check, json!({}), 405, "Required status check \"build\" is expected."),
        (closed, json!({}), 405, "Pull Request is not mergeable"),
        (raced, json!({}), 405, "Base branch was modified. Review and try the merge again."),
        (nothing, json!({"merge_method": "rebase"}), 405, "Rebase merges are not allowed on this repository."),
        (nothing, json!({"merge_method": "squash"}), 200, "Pull Request successfully merged"),
    ];
    for (before, body, status, message) in table {
        let github = github().await;
        let number = open_pull(&github);
        let api = Api::installation(&github, REPO).await;
        before(&github, number);
        let answer = api.put(&format!("/repos/{REPO}/pulls/{number}/merge"), body).await;
        assert_eq!((answer.status, answer.message()), (status, message));
        assert_eq!(github.issue(REPO, number).unwrap().pull.unwrap().merged.is_some(), status == 200);
    }
}

#[tokio::test]
async fn pull_requests_follow_their_branches() {
    let github = github().await;
    let alice = github.person("alice");
    let number = open_pull(&github);
    let pull = |number| github.issue(REPO, number).unwrap().pull.unwrap();
    let kept = |number| github.refs(REPO)[&format!("refs/pull/{number}/head")].clone();
    let tip = alice.pushes(REPO, "next", "More", &[("more.yaml", Some("b: 1\n"))]).unwrap();
    assert_eq!((pull(number).head_sha, kept(number)), (tip.clone(), tip.clone()));

    alice.deletes_branch(REPO, "next").unwrap();
    assert!(!github.issue(REPO, number).unwrap().open, "without its branch it is closed");
    assert_eq!(kept(number), tip, "and its commits are kept");

    alice.resets(REPO, "next", &tip).unwrap();
    let again = alice.opens(REPO, "next", "main", "Again").unwrap();
    alice.resets(REPO, "main", &tip).unwrap();
    let merged = pull(again).merged.unwrap();
    assert_eq!((merged.by.as_str(), merged.sha.as_str()), ("alice", tip.as_str()), "pushed to its base: merged");

    let undone = alice.reverts(REPO, "main", &tip).unwrap();
    assert_eq!(github.file(REPO, "main", "more.yaml"), None);
    assert_eq!(github.history(REPO, "main").last().unwrap().id, undone);
    let error = alice.opens(REPO, "next", "main", "Nothing").unwrap_err();
    assert_eq!(error.message, "No commits between main and next");
}

#[tokio::test]
async fn mergeability_is_computed() {
    let github = github().await;
    let number = open_pull(&github);
    let api = Api::installation(&github, REPO).await;
    let look = async || {
        let answer = api.get(&format!("/repos/{REPO}/pulls/{number}")).await;
        (answer.body["mergeable"].clone(), answer.body["mergeable_state"].as_str().unwrap().to_owned())
    };
    github.mergeable_unknown(REPO, number, 1).unwrap();
    assert_eq!(look().await, (Value::Null, "unknown".into()));
    assert_eq!(look().await, (json!(true), "clean".into()));
    github.check(REPO, "next", "build", Some("failure")).unwrap();
    assert_eq!(look().await, (json!(true), "unstable".into()));
    github.protect(REPO, "main", Some(Protection { required_reviews: Some(1), ..Protection::default() })).unwrap();
    assert_eq!(look().await, (json!(true), "blocked".into()));
    github.set_role(REPO, "root", Some(Role::Admin)).unwrap();
    github.person("root").pushes(REPO, "main", "Conflict", &[("app.yaml", Some("image: app:9\n"))]).unwrap();
    assert_eq!(look().await, (json!(false), "dirty".into()));
}

#[tokio::test]
async fn faults_strike_once_and_where_they_are_ordered() {
    let github = github().await;
    github.person("alice").pushes(REPO, "next", "Next", &[("next.yaml", Some("a: 1\n"))]).unwrap();
    let api = Api::installation(&github, REPO).await;
    let (pulls, form) = (format!("/repos/{REPO}/pulls"), json!({"title": "Next", "head": "next", "base": "main"}));

    github.fail_next("POST /repos/*/*/pulls", Fault::status(502)).unwrap();
    assert_eq!(api.post(&pulls, form.clone()).await.status, 502);
    assert!(github.pulls(REPO).is_empty(), "a refused request is not performed");

    github.fail_next("POST /repos/*/*/pulls", Fault::secondary_rate_limit(60)).unwrap();
    let limited = api.post(&pulls, form.clone()).await;
    assert_eq!((limited.status, limited.headers["retry-after"].to_str().unwrap()), (403, "60"));

    github.fail_next("POST /repos/*/*/pulls", Fault::LoseResponse).unwrap();
    assert!(api.try_send("POST", &pulls, form.clone()).await.is_err(), "no answer comes");
    assert_eq!(github.pulls(REPO).len(), 1, "but it was performed");
    assert_eq!(api.post(&pulls, form).await.message(), "A pull request already exists for acme:next.");

    github.fail_next("GET /repos/**", Fault::Drop).unwrap();
    assert!(api.try_send("GET", &pulls, Value::Null).await.is_err());
    github.fail_next("GET /repos/**", Fault::Delay(Duration::from_millis(1))).unwrap();
    assert_eq!(api.get(&pulls).await.status, 200);

    let pull = format!("{pulls}/1");
    for (when, seen) in [(When::Before, "Next"), (When::After, "Renamed")] {
        let (inside, title) = (github.clone(), Arc::new(std::sync::Mutex::new(String::new())));
        let kept = title.clone();
        let look = move || *kept.lock().unwrap() = inside.issue(REPO, 1).unwrap().title;
        github.fail_nth("PATCH /repos/**", 2, Fault::Call(when, Box::new(look))).unwrap();
        api.patch(&pull, json!({"title": "Next"})).await;
        api.patch(&pull, json!({"title": "Renamed"})).await;
        assert_eq!(*title.lock().unwrap(), seen);
    }
    assert!(github.all_faults_struck());

    let count = Arc::new(AtomicU32::new(0));
    let counted = count.clone();
    github.on_request(move |seen| {
        counted.fetch_add(u32::from(seen.when == When::After), Ordering::Relaxed);
    });
    github.clear_requests();
    api.get(&pulls).await;
    api.get(&pulls).await;
    assert_eq!((count.load(Ordering::Relaxed), github.requests().len()), (2, 2));
    assert_eq!(github.requests()[0].caller, "installation");
}

#[tokio::test]
async fn lists_come_in_pages_and_unchanged_answers_are_short() {
    let github = github().await;
    let number = open_pull(&github);
    for index in 0..5 {
        github.person("alice").comments(REPO, number, &format!("comment {index}")).unwrap();
    }
    let api = Api::installation(&github, REPO).await;
    let path = format!("/repos/{REPO}/issues/{number}/comments");
    let page = api.get(&format!("{path}?per_page=2&page=2")).await;
    assert_eq!(
        page.body.as_array().unwrap().iter().map(|c| c["body"].as_str().unwrap()).collect::<Vec<_>>(),
        ["comment 2", "comment 3"]
    );
    let link = page.headers["link"].to_str().unwrap().replace(github.url(), "");
    insta::assert_snapshot!(link, @r#"</repos/acme/config/issues/1/comments?page=1&per_page=2>; rel="prev", </repos/acme/config/issues/1/comments?page=3&per_page=2>; rel="next", </repos/acme/config/issues/1/comments?page=3&per_page=2>; rel="last", </repos/acme/config/issues/1/comments?page=1&per_page=2>; rel="first""#);
    let client = reqwest::Client::builder().no_proxy().build().unwrap();
    let again = client
        .get(format!("{}{path}?per_page=2&page=2", github.url()))
        .bearer_auth(Api::mint(&github, REPO, json!({})).await)
        .header("If-None-Match", &page.headers["etag"]);
    assert_eq!(again.send().await.unwrap().status(), 304);
}

#[tokio::test]
async fn squash_and_merge_commits_are_what_github_makes() {
    for (method, parents, message) in [
        (Method::Merge, 2, "Merge pull request #1 from acme/next\n\nUpdate app"),
        (Method::Squash, 1, "Update app (#1)\n\n* Update app to 1.1.0"),
    ] {
        let github = github().await;
        github.delete_branch_on_merge(REPO, true).unwrap();
        let number = open_pull(&github);
        let merged = github.person("alice").merges_by(REPO, number, method).unwrap();
        let tip = github.history(REPO, "main").pop().unwrap();
        assert_eq!((tip.id, tip.parents.len(), tip.message.as_str()), (merged, parents, message));
        assert_eq!((tip.author.name.as_str(), tip.committer.name.as_str()), ("alice", "GitHub"));
        assert_eq!(github.file(REPO, "main", "app.yaml").as_deref(), Some("image: app:1.1.0\n"));
        assert_eq!(github.branch(REPO, "next"), None);
    }
}

#[tokio::test]
async fn a_rebase_keeps_authors_and_messages() {
    let github = github().await;
    github.allow_merging_by(REPO, &[Method::Rebase]).unwrap();
    let number = open_pull(&github);
    github.person("alice").pushes(REPO, "main", "Meanwhile", &[("other.yaml", Some("kind: Other\n"))]).unwrap();
    let merged = github.person("alice").merges_by(REPO, number, Method::Rebase).unwrap();
    let history = github.history(REPO, "main");
    let subjects: Vec<&str> = history.iter().map(|commit| commit.message.trim()).collect();
    assert_eq!(subjects, ["First commit", "Meanwhile", "Update app to 1.1.0"]);
    let tip = history.last().unwrap();
    assert_eq!((tip.id.as_str(), tip.parents.len(), tip.committer.name.as_str()), (merged.as_str(), 1, "alice"));
}

#[tokio::test]
async fn a_way_to_merge_that_is_not_allowed_is_refused() {
    for (allowed, asked, says) in [
        (Method::Squash, "merge", "Merge commits are not allowed on this repository."),
        (Method::Rebase, "squash", "Squash merges are not allowed on this repository."),
        (Method::Merge, "rebase", "Rebase merges are not allowed on this repository."),
    ] {
        let github = github().await;
        github.allow_merging_by(REPO, &[allowed]).unwrap();
        let number = open_pull(&github);
        let api = Api::installation(&github, REPO).await;
        let repository = api.get(&format!("/repos/{REPO}")).await.body;
        let told =
            ["allow_merge_commit", "allow_squash_merge", "allow_rebase_merge"].map(|field| repository[field] == true);
        assert_eq!(told, [Method::Merge, Method::Squash, Method::Rebase].map(|method| method == allowed));
        let answer = api.put(&format!("/repos/{REPO}/pulls/{number}/merge"), json!({"merge_method": asked})).await;
        assert_eq!((answer.status, answer.body["message"].as_str()), (405, Some(says)));
    }
}
