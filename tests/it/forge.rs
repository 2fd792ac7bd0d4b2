//! The GitHub adapter against the in-process GitHub: what happens once, what converges, and what is asked again.

use axum::{Json, Router, http::HeaderMap, routing::any};
use butler::{
    adapters::github::{
        Annotation, AnnotationLevel, AppKey, Change, CheckRun, CheckState, Conclusion, Fixer, Forge, ForgeError,
        ForgeSettings, MergeMethod, MergeOutcome, Patience, PullLookup, PullSpec, PullState, Reaction, ReviewState,
    },
    engine::{
        command::Permission,
        event::{Comment, RepoName},
    },
    sandbox::github as emulator,
};
use emulator::{Fault, Github, Options, Person, Protection};
use futures::future::join_all;
use jiff::{SignedDuration, Timestamp};
use secrecy::ExposeSecret;
use serde_json::json;
use std::{
    sync::{Arc, Mutex},
    time::Duration,
};

const REPO: &str = "acme/fleet";

fn repo() -> RepoName {
    REPO.parse().unwrap()
}

fn impatient() -> Patience {
    let millisecond = Duration::from_millis(1);
    Patience { first: millisecond, longest: millisecond, timeout: Duration::from_secs(20), ..Patience::default() }
}

fn connect(api_url: &str, key: &str, clock: impl Fn() -> Timestamp + Send + Sync + 'static) -> Forge {
    let key = AppKey::from_pem(key.as_bytes()).unwrap();
    let settings = ForgeSettings {
        app_id: 4242,
        key,
        api_url: api_url.parse().unwrap(),
        clock: Arc::new(clock),
        patience: impatient(),
    };
    Forge::new(settings).unwrap()
}

/// A GitHub with one repository, where `ann` may write, and butler connected to it.
struct World {
    github: Github,
    forge: Forge,
    ann: Person,
}

impl World {
    async fn new() -> World {
        let time = Some("2026-03-01T12:00:00Z".parse().unwrap());
        let github = Github::start(Options { time, record_bodies: true, ..Options::default() }).await.unwrap();
        github.create_repository(REPO, &[("README.md", "hello\n")]).unwrap();
        github.set_role(REPO, "ann", Some(emulator::Role::Write)).unwrap();
        let clock = github.clone();
        let forge = connect(github.url(), github.private_key(), move || clock.now());
        let ann = github.person("ann");
        World { github, forge, ann }
    }

    /// A branch with one commit of its own; the commit.
    fn branch(&self, name: &str) -> String {
        self.ann.pushes(REPO, name, "Change", &[("file", Some(name))]).unwrap()
    }

    async fn open(&self, head: &str) -> u64 {
        self.forge.ensure_pull(&repo(), &spec(head)).await.unwrap().pull.number
    }

    /// How many requests matched, as `METHOD /path`'s beginning and end.
    /// The comments on an issue or pull request with a greater id.
    async fn said(&self, number: u64, after: u64) -> Vec<Comment> {
        let found = self.forge.comments_since(&repo(), Timestamp::UNIX_EPOCH).await.unwrap();
        let comments = found.into_iter().map(|found| found.comment);
        comments.filter(|comment| comment.number == number && comment.id > after).collect()
    }

    fn count(&self, method: &str, end: &str) -> usize {
        self.github.requests().iter().filter(|r| r.method == method && r.path.ends_with(end)).count()
    }

    /// Requests that write, minting tokens aside.
    fn writes(&self) -> usize {
        let requests = self.github.requests();
        requests.iter().filter(|r| r.method != "GET" && !r.path.ends_with("/access_tokens")).count()
    }

    fn strike(&self, pattern: &str, fault: Fault) {
        self.github.fail_next(pattern, fault).unwrap();
    }
}

impl Drop for World {
    fn drop(&mut self) {
        if !std::thread::panicking() {
            assert!(self.github.all_faults_struck(), "a fault was ordered in vain");
        }
    }
}

fn spec(head: &str) -> PullSpec {
    PullSpec {
        head: head.into(),
        base: "main".into(),
        title: format!("Promote {head}"),
        body: "What changes".into(),
        ..PullSpec::default()
    }
}

fn at(seconds: i64) -> Timestamp {
    "2026-03-01T12:00:00Z".parse::<Timestamp>().unwrap() + SignedDuration::from_secs(seconds)
}

#[tokio::test]
async fn butler_knows_itself_and_where_it_is() {
    let world = World::new().await;
    world.github.create_repository("acme/other", &[]).unwrap();
    let app = world.forge.app().await.unwrap();
    assert_eq!((app.id, app.slug.as_str(), app.bot_login.as_str()), (4242, "butler", "butler[bot]"));
    assert_ne!(app.bot_user_id, 0);
    let installations = world.forge.installations().await.unwrap();
    assert_eq!(installations.iter().map(|i| (i.account.as_str(), i.suspended)).collect::<Vec<_>>(), [("acme", false)]);
    let repositories = world.forge.repositories(installations[0].id).await.unwrap();
    assert_eq!(repositories.iter().map(|r| r.to_string()).collect::<Vec<_>>(), [REPO, "acme/other"]);
    let info = world.forge.repository(&repo()).await.unwrap();
    assert_eq!((info.default_branch.as_str(), info.private, info.archived, info.fork), ("main", true, false, false));
    let missing = world.forge.repository(&"acme/missing".parse().unwrap()).await.unwrap_err();
    assert!(matches!(missing, ForgeError::NotFound { .. }), "{missing}");
}

#[tokio::test]
async fn roles_are_read_by_their_names() {
    let world = World::new().await;
    use emulator::Role as Given;
    for (login, given, found) in [
        ("r", Some(Given::Read), Some(Permission::Read)),
        ("t", Some(Given::Triage), Some(Permission::Triage)),
        ("w", Some(Given::Write), Some(Permission::Write)),
        ("m", Some(Given::Maintain), Some(Permission::Maintain)),
        ("a", Some(Given::Admin), Some(Permission::Admin)),
        ("n", None, None),
    ] {
        world.github.set_role(REPO, login, given).unwrap();
        assert_eq!(world.forge.role(&repo(), login).await.unwrap(), found, "{login}");
    }
    assert_eq!(world.forge.role(&repo(), "nobody-of-this-name").await.unwrap(), None);
    assert!(Permission::Write > Permission::Triage);
}

#[tokio::test]
async fn branch_rules_say_whether_a_push_may_be_tried() {
    let world = World::new().await;
    let rule = |as_ruleset, required_reviews, checks: &[&str]| Protection {
        required_reviews,
        required_checks: checks.iter().map(|c| c.to_string()).collect(),
        as_ruleset,
        ..Protection::default()
    };
    for (protection, protected, direct, approvals, checks) in [
        (None, false, true, 0, &[][..]),
        (Some(rule(true, None, &[])), true, true, 0, &[]),
        (Some(rule(true, Some(2), &["ci"])), true, false, 2, &["ci"]),
        (Some(rule(false, Some(1), &["ci"])), true, false, 0, &["ci"]),
    ] {
        world.github.protect(REPO, "main", protection.clone()).unwrap();
        let found = world.forge.branch_rules(&repo(), "main").await.unwrap();
        let seen = (found.protected, found.direct_push, found.required_approvals);
        assert_eq!(seen, (protected, direct, approvals), "{protection:?}");
        assert_eq!(found.required_checks, checks, "{protection:?}");
    }
    let missing = world.forge.branch_rules(&repo(), "no/such#branch").await.unwrap_err();
    assert!(matches!(missing, ForgeError::NotFound { .. }), "{missing}");
}

#[tokio::test]
async fn tokens_are_minted_once_narrowed_and_renewed() {
    let world = World::new().await;
    let look = || async { world.forge.repository(&repo()).await.map(|info| info.id) };
    let ids = join_all((0..10).map(|_| look())).await;
    assert!(ids.iter().all(Result::is_ok), "{ids:?}");
    assert_eq!(world.count("POST", "/access_tokens"), 1, "ten calls at once share one token");
    let git = world.forge.git_token(&repo()).await.unwrap();
    let wanted: Vec<_> =
        world.github.requests().into_iter().filter(|r| r.method == "POST").map(|r| r.request).collect();
    assert_eq!(wanted[0]["repositories"], json!(["fleet"]));
    assert!(wanted[0]["permissions"].as_object().unwrap().values().all(|level| level == "read"));
    assert_eq!(wanted[1], json!({"repositories": ["fleet"], "permissions": {"contents": "write", "metadata": "read"}}));

    world.github.advance(SignedDuration::from_secs(54 * 60));
    look().await.unwrap();
    assert_eq!(world.forge.git_token(&repo()).await.unwrap().expose_secret(), git.expose_secret());
    assert_eq!(world.count("POST", "/access_tokens"), 2);
    world.github.advance(SignedDuration::from_secs(2 * 60));
    look().await.unwrap();
    assert_eq!(world.count("POST", "/access_tokens"), 3, "renewed five minutes before the end");

    // A token that GitHub no longer takes is replaced, for a write as well: a 401 comes before anything is done.
    world.branch("feature");
    let number = world.open("feature").await;
    world.github.expire_tokens();
    world.forge.say(&repo(), number, "k", "hello").await.unwrap();
    assert_eq!(world.said(number, 0).await.len(), 1);
}

#[tokio::test]
async fn a_permission_that_is_not_granted_names_who_has_to_act() {
    let world = World::new().await;
    world.github.set_permissions([("metadata".to_owned(), emulator::Access::Read)].into());
    match world.forge.git_token(&repo()).await.unwrap_err() {
        ForgeError::Refused { fixer: Fixer::Administrator, why, .. } => {
            assert!(why.contains("contents: write"), "{why}");
        }
        other => panic!("{other}"),
    }
}

#[tokio::test]
async fn a_repository_that_was_taken_from_the_app_is_not_found() {
    let world = World::new().await;
    world.forge.repository(&repo()).await.unwrap();
    world.github.uninstall(REPO).unwrap();
    let gone = world.forge.git_token(&repo()).await.unwrap_err();
    assert!(matches!(gone, ForgeError::NotFound { .. }), "{gone}");
}

#[tokio::test]
async fn reads_are_repeated_and_writes_are_not() {
    let world = World::new().await;
    world.forge.repository(&repo()).await.unwrap();
    world.github.clear_requests();
    world.strike("GET /repos/acme/fleet", Fault::status(502));
    world.strike("GET /repos/acme/fleet", Fault::Drop);
    world.forge.repository(&repo()).await.unwrap();
    assert_eq!(world.count("GET", "/fleet"), 3);

    world.github.clear_requests();
    for _ in 0..3 {
        world.strike("GET /repos/acme/fleet", Fault::status(503));
    }
    let error = world.forge.repository(&repo()).await.unwrap_err();
    assert!(error.retry_at().is_some_and(|at| at > world.github.now()), "{error}");
    assert_eq!(world.count("GET", "/fleet"), 3);

    world.branch("feature");
    let number = world.open("feature").await;
    for fault in [Fault::status(500), Fault::status(502), Fault::status(503), Fault::Drop] {
        world.github.clear_requests();
        let name = format!("{fault:?}");
        world.strike("POST /repos/acme/fleet/issues/*/comments", fault);
        let error = world.forge.say(&repo(), number, "k", "hello").await.unwrap_err();
        assert!(error.retry_at().is_some(), "{name}: {error}");
        assert_eq!(world.count("POST", "/comments"), 1, "{name}");
    }
    assert_eq!(world.said(number, 0).await, []);
}

#[tokio::test]
async fn rate_limits_say_when_to_come_back() {
    let world = World::new().await;
    world.forge.app().await.unwrap();
    world.forge.repository(&repo()).await.unwrap();
    let when = |result: Result<_, ForgeError>| {
        result.map(|_: butler::adapters::github::RepositoryInfo| ()).unwrap_err().retry_at()
    };
    world.github.rate_limit_until(Some(at(600)));
    assert_eq!(when(world.forge.repository(&repo()).await), Some(at(601)));
    world.github.rate_limit_until(None);
    world.strike("GET /repos/acme/fleet", Fault::secondary_rate_limit(30));
    assert_eq!(when(world.forge.repository(&repo()).await), Some(at(30)));
    world.strike("GET /repos/acme/fleet", Fault::too_many_requests(7));
    assert_eq!(when(world.forge.repository(&repo()).await), Some(at(7)));
    // A write that was refused so was not done.
    world.branch("feature");
    world.strike("POST /repos/acme/fleet/pulls", Fault::secondary_rate_limit(30));
    let error = world.forge.ensure_pull(&repo(), &spec("feature")).await.unwrap_err();
    assert_eq!(error.retry_at(), Some(at(30)), "{error}");
}

#[tokio::test]
async fn what_cannot_be_reached_was_not_sent() {
    let world = World::new().await;
    let free = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let forge = connect(&format!("http://{free}"), world.github.private_key(), Timestamp::now);
    let error = forge.close_pull(&repo(), 1).await.unwrap_err();
    assert!(error.retry_at().is_some(), "{error}");
    assert!(!error.to_string().contains("unknown"), "{error}");
}

#[tokio::test]
async fn a_wrong_key_is_the_operators_to_mend() {
    let world = World::new().await;
    let clock = world.github.now() - SignedDuration::from_hours(2);
    let forge = connect(world.github.url(), world.github.private_key(), move || clock);
    match forge.app().await.unwrap_err() {
        ForgeError::Refused { fixer: Fixer::Operator, why, .. } => assert!(why.contains("clock"), "{why}"),
        other => panic!("{other}"),
    }
}

#[tokio::test]
async fn a_pull_request_is_opened_once_and_changed_only_where_it_differs() {
    let world = World::new().await;
    let head = world.branch("feature");
    world.github.set_role(REPO, "rex", Some(emulator::Role::Write)).unwrap();
    let wanted = PullSpec { labels: vec!["promotion".into()], reviewers: vec!["rex".into()], ..spec("feature") };
    assert_eq!(world.forge.find_pull(&repo(), "feature", "main").await.unwrap(), PullLookup::None);

    let made = world.forge.ensure_pull(&repo(), &wanted).await.unwrap();
    assert_eq!((made.change, made.findings.as_slice()), (Change::Created, &[][..]));
    assert_eq!((made.pull.author.as_str(), made.pull.head_sha.as_str()), ("butler[bot]", head.as_str()));
    assert_eq!((made.pull.labels, made.pull.requested_reviewers), (vec!["promotion".into()], vec!["rex".into()]));

    world.github.clear_requests();
    let again = world.forge.ensure_pull(&repo(), &wanted).await.unwrap();
    assert_eq!((again.change, again.pull.number), (Change::Unchanged, made.pull.number));
    assert_eq!((world.writes(), world.github.requests().len()), (0, 1), "nothing to change is one look");

    // A person's label stays, the reviewer who has reviewed is not asked again.
    world.ann.labels(REPO, made.pull.number, "urgent").unwrap();
    world.github.person("rex").approves(REPO, made.pull.number).unwrap();
    world.github.clear_requests();
    let changed = PullSpec { body: "Something else".into(), ..wanted };
    let changed = world.forge.ensure_pull(&repo(), &changed).await.unwrap();
    assert_eq!((changed.change, changed.pull.body.as_str()), (Change::Updated, "Something else"));
    assert_eq!((changed.pull.labels.len(), world.writes()), (2, 1));
    assert!(matches!(world.forge.find_pull(&repo(), "feature", "main").await.unwrap(), PullLookup::Ours(_)));
    assert_eq!(world.forge.own_pulls(&repo(), "open").await.unwrap().len(), 1);

    let reviews = world.forge.reviews(&repo(), made.pull.number).await.unwrap();
    let seen: Vec<_> = reviews.iter().map(|r| (r.author.as_str(), r.state, r.commit.as_str())).collect();
    assert_eq!(seen, [("rex", ReviewState::Approved, head.as_str())]);

    world.forge.close_pull(&repo(), made.pull.number).await.unwrap();
    world.forge.close_pull(&repo(), made.pull.number).await.unwrap();
    let last = world.forge.last_pulls(&repo(), "feature", "main").await.unwrap();
    assert_eq!(last.iter().map(|p| (p.state, p.merged)).collect::<Vec<_>>(), [(PullState::Closed, false)]);
    assert_eq!(world.forge.own_pulls(&repo(), "open").await.unwrap(), []);
}

#[tokio::test]
async fn a_pull_request_whose_answer_was_lost_is_found_again() {
    let world = World::new().await;
    world.branch("feature");
    world.strike("POST /repos/acme/fleet/pulls", Fault::LoseResponse);
    let made = world.forge.ensure_pull(&repo(), &spec("feature")).await.unwrap();
    assert_eq!((made.change, world.count("POST", "/pulls")), (Change::Created, 1));

    world.strike("PATCH /repos/acme/fleet/pulls/*", Fault::LoseResponse);
    let changed = PullSpec { title: "Another".into(), ..spec("feature") };
    assert_eq!(world.forge.ensure_pull(&repo(), &changed).await.unwrap().change, Change::Updated);
    world.strike("PATCH /repos/acme/fleet/pulls/*", Fault::Drop);
    assert!(world.forge.ensure_pull(&repo(), &spec("feature")).await.unwrap_err().retry_at().is_some());

    world.strike("PATCH /repos/acme/fleet/pulls/*", Fault::LoseResponse);
    world.forge.close_pull(&repo(), made.pull.number).await.unwrap();
    assert_eq!(world.forge.last_pulls(&repo(), "feature", "main").await.unwrap().len(), 1);
}

#[tokio::test]
async fn what_stands_in_the_way_of_a_pull_request_is_said() {
    let world = World::new().await;
    world.branch("theirs");
    world.ann.opens(REPO, "theirs", "main", "Mine").unwrap();
    assert!(matches!(world.forge.find_pull(&repo(), "theirs", "main").await.unwrap(), PullLookup::Foreign(_)));
    match world.forge.ensure_pull(&repo(), &spec("theirs")).await.unwrap_err() {
        ForgeError::Refused { fixer: Fixer::Administrator, why, .. } => assert!(why.contains("#1 by ann"), "{why}"),
        other => panic!("{other}"),
    }
    assert_eq!(world.forge.own_pulls(&repo(), "open").await.unwrap(), []);
    let main = world.ann.pushes(REPO, "main", "More", &[("more", Some("x"))]).unwrap();
    world.ann.resets(REPO, "same", &main).unwrap();
    match world.forge.ensure_pull(&repo(), &spec("same")).await.unwrap_err() {
        ForgeError::Invalid { message, .. } => assert!(message.contains("No commits between"), "{message}"),
        other => panic!("{other}"),
    }
    let bug = world.forge.ensure_pull(&repo(), &PullSpec { body: "x".repeat(65_537), ..spec("x") }).await.unwrap_err();
    assert!(matches!(bug, ForgeError::Bug { .. }), "{bug}");
    // A team that is not there leaves the pull request standing.
    world.branch("feature");
    let wanted = PullSpec { team_reviewers: vec!["ops".into()], ..spec("feature") };
    let made = world.forge.ensure_pull(&repo(), &wanted).await.unwrap();
    assert_eq!((made.change, made.findings.len()), (Change::Created, 1));
}

#[tokio::test]
async fn a_merge_happens_once_at_the_head_that_was_judged() {
    let world = World::new().await;
    let merge = async |number: u64, head: &str| {
        world.forge.merge(&repo(), number, head, MergeMethod::Merge, "Promote", "Because").await
    };
    let first = world.branch("first");
    let number = world.open("first").await;
    let MergeOutcome::Merged { sha } = merge(number, &first).await.unwrap() else { panic!("not merged") };
    let pull = world.forge.pull(&repo(), number).await.unwrap();
    assert_eq!(
        (pull.merged, pull.merge_sha.as_deref(), pull.merged_by.as_deref()),
        (true, Some(sha.as_str()), Some("butler[bot]"))
    );
    assert_eq!(merge(number, &first).await.unwrap(), MergeOutcome::AlreadyMerged { sha });

    let second = world.branch("second");
    let number = world.open("second").await;
    let moved = world.ann.pushes(REPO, "second", "More", &[("more", Some("x"))]).unwrap();
    assert_eq!(merge(number, &second).await.unwrap(), MergeOutcome::HeadMoved);
    world.strike(
        "PUT /repos/acme/fleet/pulls/*/merge",
        Fault::refuse(405, "Base branch was modified. Review and try the merge again."),
    );
    assert_eq!(merge(number, &moved).await.unwrap(), MergeOutcome::BaseMoved);
    let rules = Protection { required_reviews: Some(1), as_ruleset: true, ..Protection::default() };
    world.github.protect(REPO, "main", Some(rules)).unwrap();
    match merge(number, &moved).await.unwrap() {
        MergeOutcome::NotMergeable { why } => assert!(why.contains("review"), "{why}"),
        other => panic!("{other:?}"),
    }
    world.github.protect(REPO, "main", None).unwrap();

    world.strike("PUT /repos/acme/fleet/pulls/*/merge", Fault::Drop);
    assert!(merge(number, &moved).await.unwrap_err().retry_at().is_some());
    world.strike("PUT /repos/acme/fleet/pulls/*/merge", Fault::LoseResponse);
    let before = world.count("PUT", "/merge");
    assert!(matches!(merge(number, &moved).await.unwrap(), MergeOutcome::Merged { .. }));
    assert_eq!(world.count("PUT", "/merge"), before + 1);

    world.branch("third");
    let number = world.open("third").await;
    world.ann.closes(REPO, number).unwrap();
    assert!(matches!(merge(number, &first).await.unwrap(), MergeOutcome::NotMergeable { .. }));
}

#[tokio::test]
async fn a_comment_converges_to_one() {
    let world = World::new().await;
    world.branch("feature");
    let number = world.open("feature").await;
    let bodies = async || {
        let comments = world.said(number, 0).await;
        comments.into_iter().map(|c| (c.author, c.body)).collect::<Vec<_>>()
    };
    // Somebody else's comment with the same marker is theirs.
    world.ann.comments(REPO, number, "mine\n\n<!-- butler:status -->").unwrap();
    world.strike("POST /repos/acme/fleet/issues/*/comments", Fault::LoseResponse);
    let id = world.forge.say(&repo(), number, "status", "one").await.unwrap();
    assert_eq!(world.count("POST", "/comments"), 1);
    let ours = |text: &str, key: &str| ("butler[bot]".to_owned(), format!("{text}\n\n<!-- butler:{key} -->"));
    assert_eq!(bodies().await[1..], [ours("one", "status")]);

    world.github.clear_requests();
    assert_eq!(world.forge.say(&repo(), number, "status", "one\n").await.unwrap(), id);
    assert_eq!(world.writes(), 0, "what is said already is not said again");
    assert_eq!(world.forge.say(&repo(), number, "status", "two").await.unwrap(), id);
    world.strike("PATCH /repos/acme/fleet/issues/comments/*", Fault::LoseResponse);
    assert!(world.forge.say(&repo(), number, "status", "three").await.unwrap_err().retry_at().is_some());
    assert_eq!(world.forge.say(&repo(), number, "status", "three").await.unwrap(), id);

    // Two at the same time, each of which looked before the other wrote, leave two; the next one leaves the oldest.
    world.strike("POST /repos/acme/fleet/issues/*/comments", Fault::Delay(Duration::from_millis(300)));
    world.github.clear_requests();
    let other = Forge::clone(&world.forge);
    let name = repo();
    let both = join_all([&world.forge, &other].map(|forge| forge.say(&name, number, "reply:1", "a"))).await;
    assert_eq!(world.count("POST", "/comments"), 2);
    let oldest = both.into_iter().map(Result::unwrap).min().unwrap();
    assert_eq!(world.forge.say(&repo(), number, "reply:1", "b").await.unwrap(), oldest);
    assert_eq!(bodies().await[1..], [ours("three", "status"), ours("b", "reply:1")]);

    let later = world.said(number, id).await;
    assert_eq!(later.iter().map(|c| (c.id, c.author_is_bot, c.on_pull)).collect::<Vec<_>>(), [(oldest, true, true)]);
    for _ in 0..120 {
        world.ann.comments(REPO, number, "many").unwrap();
    }
    assert_eq!(world.said(number, oldest).await.len(), 120, "all pages are read");
    let bug = world.forge.say(&repo(), number, "a-->b", "x").await.unwrap_err();
    assert!(matches!(bug, ForgeError::Bug { .. }), "{bug}");
}

#[tokio::test]
async fn reactions_may_be_repeated_and_taken_back() {
    let world = World::new().await;
    world.branch("feature");
    let number = world.open("feature").await;
    let comment = world.ann.comments(REPO, number, "/merge").unwrap();
    world.strike("POST /repos/acme/fleet/issues/comments/*/reactions", Fault::LoseResponse);
    for reaction in [Reaction::Eyes, Reaction::Eyes, Reaction::Rocket, Reaction::Confused] {
        world.forge.react(&repo(), comment, reaction).await.unwrap();
    }
    world.forge.unreact(&repo(), comment, Reaction::Eyes).await.unwrap();
    world.forge.unreact(&repo(), comment, Reaction::Eyes).await.unwrap();
    assert_eq!(world.count("DELETE", ""), 1);
    world.github.clear_requests();
    world.forge.unreact(&repo(), comment, Reaction::Rocket).await.unwrap();
    assert_eq!(world.count("DELETE", ""), 1, "the rocket was still there");
}

#[tokio::test]
async fn a_check_run_converges_to_one() {
    let world = World::new().await;
    let sha = world.branch("feature");
    let annotation = |line| Annotation {
        path: "butler.yaml".into(),
        start_line: line,
        end_line: line,
        level: AnnotationLevel::Failure,
        message: "unknown key".into(),
    };
    let run = |conclusion, summary: &str, annotations: u64| CheckRun {
        name: "butler/config".into(),
        external_id: "config".into(),
        conclusion,
        title: "butler.yaml".into(),
        summary: summary.into(),
        text: String::new(),
        annotations: (1..=annotations).map(annotation).collect(),
    };
    let conclude = async |run: &CheckRun| world.forge.conclude(&repo(), &sha, run).await;
    world.strike("POST /repos/acme/fleet/check-runs", Fault::LoseResponse);
    conclude(&run(Conclusion::Success, "fine", 0)).await.unwrap();
    assert_eq!(world.count("POST", "/check-runs"), 1);
    world.github.clear_requests();
    conclude(&run(Conclusion::Success, "fine", 0)).await.unwrap();
    assert_eq!(world.writes(), 0);
    conclude(&run(Conclusion::Failure, &"long ".repeat(20_000), 0)).await.unwrap();
    assert_eq!((world.count("POST", "/check-runs"), world.writes()), (0, 1), "updated in place");

    world.github.clear_requests();
    conclude(&run(Conclusion::Failure, "many", 120)).await.unwrap();
    assert_eq!(world.writes(), 3, "50 annotations a call");
    conclude(&run(Conclusion::Failure, "many", 120)).await.unwrap();
    assert_eq!(world.writes(), 3);
    conclude(&run(Conclusion::Success, "fine", 0)).await.unwrap();

    world.github.check(REPO, &sha, "build", None).unwrap();
    world.github.check(REPO, &sha, "lint", Some("skipped")).unwrap();
    world.github.status(REPO, &sha, "ci/old", "failure").unwrap();
    let checks = world.forge.checks(&repo(), &sha).await.unwrap().checks;
    let seen: Vec<_> = checks.iter().map(|c| (c.name.as_str(), c.state)).collect();
    assert_eq!(
        seen,
        [
            ("build", CheckState::Pending),
            ("butler/config", CheckState::Success),
            ("ci/old", CheckState::Failure),
            ("lint", CheckState::Neutral),
        ]
    );
}

#[tokio::test]
async fn no_token_goes_to_another_host() {
    let world = World::new().await;
    let serve = async |router: Router| {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        tokio::spawn(async move { axum::serve(listener, router).await });
        url
    };
    let seen: Arc<Mutex<Vec<bool>>> = Arc::default();
    let log = seen.clone();
    let elsewhere = Router::new().fallback(any(move |headers: HeaderMap| {
        log.lock().unwrap().push(headers.contains_key("authorization"));
        async { Json(json!([])) }
    }));
    let elsewhere = serve(elsewhere).await;
    let (next, moved) = (format!("<{elsewhere}/next>; rel=\"next\""), format!("{elsewhere}/moved"));
    let token = json!({"token": "t", "expires_at": "2030-01-01T00:00:00Z"});
    let here = Router::new()
        .route("/app/installations", any(async move || ([("link", next)], Json(json!([])))))
        .route("/repos/acme/fleet/installation", any(async || Json(json!({"id": 1}))))
        .route("/app/installations/1/access_tokens", any(async move || Json(token)))
        .route("/repos/acme/fleet", any(async move || axum::response::Redirect::temporary(&moved)));
    let forge = connect(&serve(here).await, world.github.private_key(), || at(0));
    match forge.installations().await.unwrap_err() {
        ForgeError::Refused { fixer: Fixer::Operator, why, .. } => assert!(why.contains("another host"), "{why}"),
        other => panic!("{other}"),
    }
    assert!(seen.lock().unwrap().is_empty(), "the next page was not asked for");
    let error = forge.repository(&repo()).await.unwrap_err();
    assert!(matches!(error, ForgeError::Bug { .. }), "{error}");
    assert_eq!(*seen.lock().unwrap(), [false], "a redirect is followed without the token");
}
