use super::*;
use serde_json::{Value, json};

const APP: u64 = 4711;

/// One line an event: as `kind`, from these fields besides `repository`, read as this (in short).
#[test]
fn events() {
    let sha = "6113728f27ae82c7b1a177c8d03f9e96e0adf246";
    let user = json!({"login": "alice", "type": "User", "id": 1});
    let said = |body: &str| json!({"id": 9, "user": user, "body": body, "created_at": "2026-11-02T03:04:05Z"});
    let comment = |action: &str, body: &str| json!({"action": action, "issue": {"number": 3, "pull_request": {"url": "…"}}, "comment": said(body)});
    let checked = |kind: &str, app: u64| json!({"action": "completed", kind: {"head_sha": sha, "app": {"id": app}}});
    let table: &[(&str, Value, &str)] = &[
        (
            "push",
            json!({"ref": "refs/heads/main", "before": sha, "after": sha, "deleted": false}),
            "push refs/heads/main",
        ),
        (
            "pull_request",
            json!({"action": "closed", "number": 3, "pull_request": {"head": {"ref": "a"}, "base": {"ref": "b"}}}),
            "pull 3 closed a b",
        ),
        ("issue_comment", comment("created", "/promote"), "comment 3 true alice"),
        ("issue_comment", comment("created", "thanks\r\n  /hold app"), "comment 3 true alice"),
        (
            "issue_comment",
            json!({"action": "created", "issue": {"number": 3}, "comment": said("/butler help")}),
            "comment 3 false alice",
        ),
        ("issue_comment", comment("created", "see a/b"), "ignored: no line of the comment begins with a command"),
        (
            "issue_comment",
            comment("edited", "/promote"),
            "ignored: the comment was edited; only a new comment carries commands",
        ),
        (
            "issue_comment",
            comment("deleted", "/promote"),
            "ignored: the comment was deleted; only a new comment carries commands",
        ),
        (
            "issue_comment",
            json!({"action": "created", "issue": {"number": 3}, "comment": {"id": 9, "user": {"login": "butler[bot]", "type": "Bot"}, "body": "/promote", "created_at": "2026-11-02T03:04:05Z"}}),
            "ignored: butler[bot] is a bot; bots give no commands",
        ),
        (
            "issue_comment",
            json!({"action": "created", "issue": {"number": 3}, "comment": {"id": 9, "user": null, "body": "/promote", "created_at": "2026-11-02T03:04:05Z"}}),
            "ignored: the comment's author is gone",
        ),
        (
            "pull_request_review",
            json!({"action": "submitted", "pull_request": {"number": 3}, "review": {}}),
            "review 3",
        ),
        ("pull_request_review_comment", json!({"action": "created", "pull_request": {"number": 3}}), "review 3"),
        ("check_run", checked("check_run", 1), "status 6113728f"),
        ("check_run", checked("check_run", APP), "ignored: the check_run is butler's own"),
        (
            "check_run",
            json!({"action": "rerequested", "check_run": {"head_sha": sha, "app": {"id": APP}}}),
            "status 6113728f",
        ),
        ("check_suite", checked("check_suite", 1), "status 6113728f"),
        ("check_suite", checked("check_suite", APP), "ignored: the check_suite is butler's own"),
        ("workflow_run", checked("workflow_run", 1), "status 6113728f"),
        ("merge_group", json!({"action": "checks_requested", "merge_group": {"head_sha": sha}}), "status 6113728f"),
        ("status", json!({"sha": sha, "state": "success"}), "status 6113728f"),
        (
            "status",
            json!({"state": "success"}),
            "ignored: a status event without what butler needs: it names no commit",
        ),
        ("deployment_status", json!({"deployment": {"sha": sha}}), "status 6113728f"),
        (
            "installation",
            json!({"action": "created", "repositories": [{"full_name": "Acme/One"}, {"full_name": "acme/two"}]}),
            "installed acme/one acme/two",
        ),
        (
            "installation",
            json!({"action": "deleted", "repositories": [{"full_name": "acme/one"}]}),
            "ignored: the installation was changed (deleted) and no repository came with it",
        ),
        (
            "installation_repositories",
            json!({"action": "added", "repositories_added": [{"full_name": "acme/one"}]}),
            "installed acme/one",
        ),
        (
            "installation_repositories",
            json!({"action": "removed", "repositories_added": []}),
            "ignored: the installation was changed (removed) and no repository came with it",
        ),
        ("ping", json!({"zen": "Speak like a human."}), "ignored: butler has no use for \"ping\" events"),
        ("push", json!({"after": sha}), "ignored: a push event without what butler needs: missing field `ref`"),
    ];
    for (kind, fields, expected) in table {
        let mut body = fields.clone();
        body["repository"] = json!({"id": 1, "full_name": "Acme/Config"});
        let event = parse(kind, body.to_string().as_bytes(), APP).unwrap();
        let short = short(&event);
        assert!(short.starts_with(expected), "{kind} {fields}: {short}");
    }
}

fn short(event: &Event) -> String {
    let acme = |repo: &RepoName| assert_eq!(repo.to_string(), "acme/config");
    match event {
        Event::Push { repo, git_ref, .. } => {
            acme(repo);
            format!("push {git_ref}")
        }
        Event::Pull { repo, number, action, head_ref, base_ref } => {
            acme(repo);
            format!("pull {number} {action} {head_ref} {base_ref}")
        }
        Event::Comment(c) => {
            acme(&c.repo);
            assert_eq!((c.id, c.created_at.to_string().as_str()), (9, "2026-11-02T03:04:05Z"));
            format!("comment {} {} {}", c.number, c.on_pull, c.author)
        }
        Event::Review { repo, number } => {
            acme(repo);
            format!("review {number}")
        }
        Event::Status { repo, sha } => {
            acme(repo);
            format!("status {sha}")
        }
        Event::Installed { repos } => {
            format!("installed {}", repos.iter().map(ToString::to_string).collect::<Vec<_>>().join(" "))
        }
        Event::Ignored { why } => format!("ignored: {why}"),
        Event::Image { .. } => "image".into(),
    }
}

#[test]
fn what_is_no_json_is_an_error_and_not_an_event() {
    for (kind, body) in [("push", "payload=%7B%7D"), ("push", ""), ("push", "{\"ref\": "), ("new_event", "<html>")] {
        assert!(parse(kind, body.as_bytes(), APP).is_err(), "{kind} {body}");
    }
    for body in ["[]", "null", "3", "{}", "{\"repository\": {\"full_name\": \"../etc\"}}"] {
        assert!(matches!(parse("push", body.as_bytes(), APP), Ok(Event::Ignored { .. })), "{body}");
    }
}

/// GitHub's own example: <https://docs.github.com/en/webhooks/using-webhooks/validating-webhook-deliveries>
#[test]
fn signatures() {
    let example = "sha256=757107ea0eb2509fc211221cce984b8a37570b6d7586c22c46f4379c8b043e17";
    let (ours, old) = (SecretString::from("It's a Secret to Everybody"), SecretString::from("an older one"));
    assert_eq!(sign(&ours, b"Hello, World!"), example);
    let sender = Sender { secrets: vec![old.clone(), ours], app_id: APP };
    for (signature, body, expected) in [
        (example, "Hello, World!", true),
        (example, "Hello, World", false),
        (&sign(&old, b"Hello, World!"), "Hello, World!", true),
        (&example.to_uppercase(), "Hello, World!", false),
        (&example[7..], "Hello, World!", false),
        (&example[..40], "Hello, World!", false),
        ("sha256=", "Hello, World!", false),
        ("sha256=zz", "Hello, World!", false),
        ("sha1=757107ea0eb2509fc211221cce984b8a37570b6d", "Hello, World!", false),
        ("", "Hello, World!", false),
    ] {
        assert_eq!(is_authentic(&sender, signature, body.as_bytes()), expected, "{signature} {body}");
    }
    assert!(!is_authentic(&Sender { secrets: vec![], app_id: APP }, example, b"Hello, World!"), "no secret, no trust");
}

fn is_authentic(sender: &Sender, signature: &str, body: &[u8]) -> bool {
    code_of(signature).is_some_and(|code| authentic(sender, &code, body))
}

/// What is refused by its name alone is what nothing is read from.
#[test]
fn the_kinds_are_those_that_are_read() {
    let unused = |kind: &str| parse(kind, b"{}", APP).unwrap() == Event::Ignored { why: no_use(kind) };
    for kind in KINDS {
        assert_eq!(unused(kind), kind == "ping", "{kind}");
    }
    assert!(unused("star"));
}
