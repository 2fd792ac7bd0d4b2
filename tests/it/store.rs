//! The store against a real SQLite file; the time is passed in.

use butler::{
    adapters::store::{
        Debounce, Delivery, JobKey, JobKind, JobRequest, LeasedJob, MAX_TRIES, Outcome, ParkedFor, Pending, Recorded,
        Store, StoreError,
    },
    engine::{
        event::{Comment, Event, RepoName},
        image::{Repository, Tag},
    },
};
use jiff::Timestamp;
use serde_json::json;
use std::{
    collections::{BTreeMap, BTreeSet},
    path::PathBuf,
    sync::{
        Arc, Mutex,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

const MINUTE: Duration = Duration::from_secs(60);
const DEBOUNCE: Debounce = Debounce { quiet: Duration::from_secs(10), at_most: Duration::from_secs(25) };

/// A database in a folder of its own.
struct Fresh {
    store: Store,
    folder: tempfile::TempDir,
}

impl Fresh {
    async fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::open(folder.path().join("data/butler.db").to_str().unwrap()).await.unwrap();
        Fresh { store, folder }
    }

    fn path(&self) -> PathBuf {
        self.folder.path().join("data/butler.db")
    }

    /// A second process's view of the same file.
    async fn other(&self) -> Store {
        Store::open(self.path().to_str().unwrap()).await.unwrap()
    }
}

/// So many seconds after the test began.
fn at(seconds: i64) -> Timestamp {
    Timestamp::from_second(1_800_000_000 + seconds).unwrap()
}

fn repo(name: &str) -> RepoName {
    format!("acme/{name}").parse().unwrap()
}

fn repository(name: &str) -> JobKey {
    JobKey::Repository(repo(name))
}

fn push(id: &str, name: &str, second: i64) -> (Delivery, Vec<JobRequest>) {
    let event = Event::Push { repo: repo(name), git_ref: "refs/heads/main".into(), after: "0".repeat(40) };
    let delivery =
        Delivery { sender: "github".into(), id: id.into(), event_kind: "push".into(), event, received_at: at(second) };
    (delivery, vec![JobRequest::new(repository(name), DEBOUNCE)])
}

fn comment(id: u64, second: i64) -> Comment {
    Comment {
        repo: repo("config"),
        number: 7,
        on_pull: true,
        id,
        author: "alice".into(),
        author_is_bot: false,
        body: "/promote".into(),
        created_at: at(second),
    }
}

async fn take(store: &Store, second: i64) -> Option<LeasedJob> {
    store.lease(at(second), "worker", MINUTE, &[]).await.unwrap()
}

async fn take_key(store: &Store, second: i64) -> Option<String> {
    take(store, second).await.map(|job| job.key.to_string())
}

const DONE: Outcome = Outcome::Done { again_at: None };

#[tokio::test]
async fn a_delivery_is_recorded_once() {
    let t = Fresh::new().await;
    let (delivery, jobs) = push("d1", "config", 0);
    assert_eq!(t.store.record(&delivery, &jobs).await.unwrap(), Recorded::New);
    assert_eq!(t.store.next_due().await.unwrap(), Some(at(10)));

    // Redelivered later: neither the journal nor the job's time changes.
    let (again, jobs) = push("d1", "config", 9);
    assert_eq!(t.store.record(&again, &jobs).await.unwrap(), Recorded::Duplicate);
    assert_eq!(t.store.next_due().await.unwrap(), Some(at(10)));
    assert_eq!(t.store.deliveries(10).await.unwrap(), vec![delivery.clone()]);

    // Another sender's id is its own.
    let other = Delivery { sender: "registry/main".into(), ..delivery };
    assert_eq!(t.store.record(&other, &[]).await.unwrap(), Recorded::New);
}

#[tokio::test]
async fn an_envelope_is_recorded_as_one() {
    let t = Fresh::new().await;
    let envelope = [push("a", "config", 0), push("b", "config", 0), push("a", "config", 0), push("c", "other", 0)];
    let recorded = t.store.record_all(&envelope).await.unwrap();
    assert_eq!(recorded, [Recorded::New, Recorded::New, Recorded::Duplicate, Recorded::New]);
    assert_eq!(t.store.pending(at(0)).await.unwrap(), Pending { later: 2, ..Pending::default() });
}

#[tokio::test]
async fn comments_wait_in_the_inbox_until_they_are_decided() {
    let t = Fresh::new().await;
    let config = repo("config");
    for (id, second) in [(12, 5), (11, 3), (13, 3)] {
        let delivery = Delivery {
            sender: "github".into(),
            id: format!("d{id}"),
            event_kind: "issue_comment".into(),
            event: Event::Comment(comment(id, second)),
            received_at: at(10),
        };
        t.store.record(&delivery, &[JobRequest::urgent(repository("config"))]).await.unwrap();
    }
    assert_eq!(t.store.inbox(&config).await.unwrap(), [comment(11, 3), comment(13, 3), comment(12, 5)]);
    assert_eq!(t.store.inbox(&repo("other")).await.unwrap(), []);
    assert_eq!(t.store.pending(at(10)).await.unwrap(), Pending { ready: 1, inbox: 3, ..Pending::default() });

    t.store.inbox_done(&config, 13, at(11)).await.unwrap();
    assert_eq!(t.store.inbox(&config).await.unwrap(), [comment(11, 3), comment(12, 5)]);
    // Read again from GitHub: what is decided stays decided, what is known is not doubled.
    assert_eq!(t.store.inbox_add(&[comment(13, 3), comment(11, 3), comment(14, 8)]).await.unwrap(), 1);
    assert_eq!(t.store.inbox(&config).await.unwrap(), [comment(11, 3), comment(12, 5), comment(14, 8)]);
}

#[tokio::test]
async fn a_steady_stream_is_debounced_and_not_starved() {
    let t = Fresh::new().await;
    for (second, due) in [(0, 10), (8, 18), (16, 25), (24, 25)] {
        let (delivery, jobs) = push(&format!("d{second}"), "config", second);
        t.store.record(&delivery, &jobs).await.unwrap();
        assert_eq!(t.store.next_due().await.unwrap(), Some(at(due)), "after the event at {second}");
    }
    assert!(take(&t.store, 24).await.is_none());
    let job = take(&t.store, 25).await.unwrap();
    t.store.finish(job.lease, DONE, at(26)).await.unwrap();
    assert_eq!(t.store.pending(at(1000)).await.unwrap(), Pending::default());
}

#[tokio::test]
async fn events_for_a_running_job_run_it_once_more() {
    let t = Fresh::new().await;
    t.store.enqueue(&[JobRequest::new(repository("config"), DEBOUNCE)], at(0)).await.unwrap();
    let job = take(&t.store, 10).await.unwrap();
    for second in [11, 12, 13] {
        t.store.enqueue(&[JobRequest::new(repository("config"), DEBOUNCE)], at(second)).await.unwrap();
        assert!(take(&t.store, second).await.is_none(), "it runs");
    }
    t.store.finish(job.lease, DONE, at(14)).await.unwrap();
    assert_eq!(t.store.next_due().await.unwrap(), Some(at(23)), "debounced from the events, not from the end");
    let again = take(&t.store, 23).await.unwrap();
    t.store.finish(again.lease, DONE, at(24)).await.unwrap();
    assert_eq!(t.store.pending(at(1000)).await.unwrap(), Pending::default());
}

/// (outcome of a job that was asked for again while it ran, when it is due, tries that failed)
#[tokio::test]
async fn whatever_the_outcome_a_rerun_is_not_lost() {
    for (outcome, due, attempts) in [
        (DONE, 20, 0),
        (Outcome::Done { again_at: Some(at(500)) }, 20, 0),
        (Outcome::Blocked { finding: "no".into() }, 20, 0),
        (Outcome::Bug { why: "oh".into() }, 20, 0),
        // A server's Retry-After is kept.
        (Outcome::Retry { at: at(300), why: "away".into() }, 300, 1),
    ] {
        let t = Fresh::new().await;
        t.store.enqueue(&[JobRequest::urgent(repository("config"))], at(0)).await.unwrap();
        let job = take(&t.store, 0).await.unwrap();
        t.store.enqueue(&[JobRequest::new(repository("config"), DEBOUNCE)], at(10)).await.unwrap();
        t.store.finish(job.lease, outcome.clone(), at(11)).await.unwrap();
        assert_eq!(t.store.next_due().await.unwrap(), Some(at(due)), "{outcome:?}");
        assert_eq!(take(&t.store, due).await.unwrap().attempts, attempts, "{outcome:?}");
    }
}

#[tokio::test]
async fn a_retry_waits_for_its_time_whatever_happens() {
    let t = Fresh::new().await;
    t.store.enqueue(&[JobRequest::urgent(repository("config"))], at(0)).await.unwrap();
    let job = take(&t.store, 0).await.unwrap();
    t.store.finish(job.lease, Outcome::Retry { at: at(100), why: "rate limited".into() }, at(1)).await.unwrap();
    t.store.enqueue(&[JobRequest::urgent(repository("config"))], at(50)).await.unwrap();
    assert!(take(&t.store, 99).await.is_none());
    let job = take(&t.store, 100).await.unwrap();
    assert_eq!(job.attempts, 1);
    // Once it worked, nothing is held back any more.
    t.store.finish(job.lease, Outcome::Done { again_at: Some(at(5000)) }, at(101)).await.unwrap();
    t.store.enqueue(&[JobRequest::urgent(repository("config"))], at(102)).await.unwrap();
    assert_eq!(take(&t.store, 102).await.unwrap().attempts, 0);
}

#[tokio::test]
async fn looking_again_at_a_time_is_brought_forward_by_an_event() {
    let t = Fresh::new().await;
    t.store.enqueue(&[JobRequest::urgent(repository("config"))], at(0)).await.unwrap();
    let job = take(&t.store, 0).await.unwrap();
    t.store.finish(job.lease, Outcome::Done { again_at: Some(at(7200)) }, at(1)).await.unwrap();
    assert_eq!(t.store.next_due().await.unwrap(), Some(at(7200)));
    t.store.enqueue(&[JobRequest::new(repository("config"), DEBOUNCE)], at(100)).await.unwrap();
    assert_eq!(t.store.next_due().await.unwrap(), Some(at(110)));
}

#[tokio::test]
async fn a_lease_that_ran_out_is_taken_over_and_its_holder_fenced_off() {
    let t = Fresh::new().await;
    let other = t.other().await;
    t.store.enqueue(&[JobRequest::urgent(repository("config"))], at(0)).await.unwrap();
    let mut old = take(&t.store, 0).await.unwrap();
    assert_eq!(old.lease.repository(), Some(&repo("config")));
    assert_eq!(t.store.next_due().await.unwrap(), Some(at(60)), "the lease's end is something to wake up for");
    assert!(take(&other, 59).await.is_none());

    // Renewed: it stays the holder's, even a moment after it ran out, as long as nobody took it.
    t.store.renew(&mut old.lease, at(61), MINUTE).await.unwrap();
    assert_eq!(old.lease.until(), at(121));
    assert!(take(&other, 120).await.is_none());

    let new = take(&other, 121).await.unwrap();
    assert!(new.lease.fencing_token() > old.lease.fencing_token());
    assert_eq!(new.attempts, 1, "a worker died on it");
    let lost = |result: Result<(), StoreError>| matches!(result, Err(StoreError::LeaseLost { key }) if key == repository("config"));
    assert!(lost(t.store.renew(&mut old.lease, at(122), MINUTE).await));
    assert!(lost(t.store.set_seen_state(&old.lease, "old", at(122)).await));
    let effects = [JobRequest::effect(repo("config"), "reply", json!({}))];
    assert!(lost(t.store.finish_with(old.lease, DONE, &effects, at(122)).await));
    assert_eq!(t.store.pending(at(122)).await.unwrap(), Pending { running: 1, ..Pending::default() });

    other.set_seen_state(&new.lease, "newer", at(123)).await.unwrap();
    // The clock was set back.
    other.set_seen_state(&new.lease, "new", at(100)).await.unwrap();
    other.finish(new.lease, DONE, at(123)).await.unwrap();
    assert_eq!(t.store.seen_state(&repo("config")).await.unwrap().as_deref(), Some("new"));
}

#[tokio::test]
async fn the_lease_of_an_earlier_round_cannot_end_a_later_one() {
    let t = Fresh::new().await;
    t.store.enqueue(&[JobRequest::urgent(repository("config"))], at(0)).await.unwrap();
    let first = take(&t.store, 0).await.unwrap();
    let second = take(&t.store, 60).await.unwrap();
    t.store.finish(second.lease, DONE, at(61)).await.unwrap();
    t.store.enqueue(&[JobRequest::urgent(repository("config"))], at(62)).await.unwrap();
    let third = take(&t.store, 62).await.unwrap();
    assert!(matches!(t.store.hand_back(first.lease, at(63)).await, Err(StoreError::LeaseLost { .. })));
    t.store.finish(third.lease, DONE, at(64)).await.unwrap();
}

#[tokio::test]
async fn handed_back_it_is_free_at_once_and_no_try_is_counted() {
    let t = Fresh::new().await;
    t.store.enqueue(&[JobRequest::effect(repo("config"), "reply", json!({"text": "a"}))], at(0)).await.unwrap();
    let job = take(&t.store, 0).await.unwrap();
    t.store.hand_back(job.lease, at(1)).await.unwrap();
    let job = take(&t.store, 1).await.unwrap();
    assert_eq!((job.attempts, job.payload), (0, Some(json!({"text": "a"}))));
}

#[tokio::test]
async fn a_restarted_worker_need_not_wait_for_its_own_leases() {
    let t = Fresh::new().await;
    t.store.enqueue(&[JobRequest::urgent(repository("a")), JobRequest::urgent(repository("b"))], at(0)).await.unwrap();
    t.store.lease(at(0), "me", MINUTE, &[]).await.unwrap().unwrap();
    t.store.lease(at(0), "somebody", MINUTE, &[]).await.unwrap().unwrap();
    assert_eq!(t.store.expire_leases_of("me", at(1)).await.unwrap(), 1);
    assert_eq!(take_key(&t.store, 1).await.as_deref(), Some("repository:acme/a"));
    assert_eq!(take_key(&t.store, 1).await, None);
}

#[tokio::test]
async fn after_so_many_tries_a_job_is_parked_until_an_event_or_a_person_wants_it() {
    let t = Fresh::new().await;
    t.store.enqueue(&[JobRequest::urgent(repository("config"))], at(0)).await.unwrap();
    for round in 0..MAX_TRIES {
        let job = take(&t.store, i64::from(round)).await.unwrap();
        assert_eq!(job.attempts, round);
        let outcome = Outcome::Retry { at: at(i64::from(round) + 1), why: format!("away {round}") };
        t.store.finish(job.lease, outcome, at(i64::from(round))).await.unwrap();
    }
    assert!(take(&t.store, 10_000).await.is_none());
    assert_eq!(t.store.next_due().await.unwrap(), None);
    let parked = t.store.parked().await.unwrap();
    assert_eq!(parked.len(), 1);
    assert_eq!(
        (parked[0].key.to_string().as_str(), parked[0].parked_for, parked[0].why.as_str(), parked[0].attempts),
        ("repository:acme/config", ParkedFor::Tries, "away 9", MAX_TRIES)
    );

    assert!(t.store.unpark(&repository("config"), at(20_000)).await.unwrap());
    assert!(!t.store.unpark(&repository("config"), at(20_000)).await.unwrap(), "it is parked no more");
    let job = take(&t.store, 20_000).await.unwrap();
    assert_eq!(job.attempts, 0);

    t.store.finish(job.lease, Outcome::Blocked { finding: "butler.yaml:3:1".into() }, at(20_001)).await.unwrap();
    assert_eq!(t.store.parked().await.unwrap()[0].parked_for, ParkedFor::Blocked);
    let (delivery, jobs) = push("fix", "config", 20_002);
    t.store.record(&delivery, &jobs).await.unwrap();
    assert_eq!(t.store.parked().await.unwrap(), []);
    assert_eq!(take(&t.store, 20_012).await.unwrap().attempts, 0);
}

#[tokio::test]
async fn a_job_that_kills_its_workers_is_parked() {
    let t = Fresh::new().await;
    t.store.enqueue(&[JobRequest::urgent(repository("config"))], at(0)).await.unwrap();
    for round in 0..MAX_TRIES {
        assert_eq!(take(&t.store, i64::from(round) * 60).await.unwrap().attempts, round);
    }
    assert!(take(&t.store, 600).await.is_none());
    let parked = t.store.parked().await.unwrap();
    assert_eq!(parked[0].why, "no try ever ended (its worker died, or hung)");
}

#[tokio::test]
async fn people_first_and_nobody_is_starved() {
    let t = Fresh::new().await;
    let jobs = [
        JobRequest::new(JobKey::Sweep, Debounce::NONE),
        JobRequest::new(repository("config"), Debounce::NONE),
        JobRequest::effect(repo("config"), "reply", json!({})),
        JobRequest::urgent(repository("asked")),
    ];
    t.store.enqueue(&jobs, at(0)).await.unwrap();
    let mut order = Vec::new();
    while let Some(key) = take_key(&t.store, 1).await {
        order.push(key);
    }
    assert_eq!(order, ["effect:acme/config:reply", "repository:acme/asked", "repository:acme/config", "sweep"]);

    // One new effect a second, for ever: the sweep gets its turn.
    let t = Fresh::new().await;
    t.store.enqueue(&[JobRequest::new(JobKey::Sweep, Debounce::NONE)], at(0)).await.unwrap();
    let mut waited = 0;
    for second in 1.. {
        t.store.enqueue(&[JobRequest::effect(repo("busy"), format!("{second}"), json!({}))], at(second)).await.unwrap();
        if take(&t.store, second).await.unwrap().key == JobKey::Sweep {
            waited = second;
            break;
        }
    }
    assert_eq!(waited, 61);
}

#[tokio::test]
async fn a_worker_takes_only_the_kinds_it_wants() {
    let t = Fresh::new().await;
    let jobs = [JobRequest::effect(repo("config"), "reply", json!({})), JobRequest::urgent(JobKey::Sweep)];
    t.store.enqueue(&jobs, at(0)).await.unwrap();
    let kinds = [JobKind::Sweep, JobKind::Repository];
    let job = t.store.lease(at(0), "w", MINUTE, &kinds).await.unwrap().unwrap();
    assert_eq!(job.key, JobKey::Sweep);
    assert!(job.lease.repository().is_none());
    assert!(t.store.lease(at(0), "w", MINUTE, &kinds).await.unwrap().is_none());
}

#[tokio::test]
async fn a_job_and_the_effects_that_follow_end_together() {
    let t = Fresh::new().await;
    t.store.enqueue(&[JobRequest::urgent(repository("config"))], at(0)).await.unwrap();
    let job = take(&t.store, 0).await.unwrap();
    let effects = [
        JobRequest::effect(repo("config"), "reply:1", json!({"text": "first"})),
        JobRequest::effect(repo("config"), "reply:1", json!({"text": "second"})),
        JobRequest::effect(repo("config"), "reply:2", json!({"text": "other"})),
    ];
    t.store.finish_with(job.lease, DONE, &effects, at(1)).await.unwrap();
    let first = take(&t.store, 1).await.unwrap();
    assert_eq!(first.payload, Some(json!({"text": "second"})), "the latest payload wins");
    // A newer text while the older is on its way: said once more, with the newer.
    t.store.enqueue(&[JobRequest::effect(repo("config"), "reply:1", json!({"text": "third"}))], at(2)).await.unwrap();
    t.store.finish(first.lease, DONE, at(3)).await.unwrap();
    let mut left = BTreeMap::new();
    while let Some(job) = take(&t.store, 3).await {
        left.insert(job.key.to_string(), job.payload.unwrap()["text"].as_str().unwrap().to_owned());
    }
    let expected = [("effect:acme/config:reply:1", "third"), ("effect:acme/config:reply:2", "other")];
    assert_eq!(left, expected.map(|(k, v)| (k.to_owned(), v.to_owned())).into());
}

#[tokio::test]
async fn an_event_says_which_repositories_follow_the_image() {
    let t = Fresh::new().await;
    let image = |text: &str| Repository::parse(text).unwrap();
    let (app, base) = (image("registry.example.com/app"), image("nginx"));
    t.store.index_images(&repo("b"), &BTreeSet::from([app.clone(), base.clone()])).await.unwrap();
    t.store.index_images(&repo("a"), &BTreeSet::from([app.clone()])).await.unwrap();
    assert_eq!(t.store.repos_following(&app).await.unwrap(), [repo("a"), repo("b")]);
    t.store.index_images(&repo("b"), &BTreeSet::from([base.clone()])).await.unwrap();
    assert_eq!(t.store.repos_following(&app).await.unwrap(), [repo("a")]);
    assert_eq!(t.store.repos_following(&image("docker.io/library/nginx")).await.unwrap(), [repo("b")]);
}

#[tokio::test]
async fn cached_tags_are_stale_once_an_event_says_so() {
    let t = Fresh::new().await;
    let app = Repository::parse("registry.example.com/app").unwrap();
    assert_eq!(t.store.cached_tags(&app).await.unwrap(), None);
    t.store.cache_tags(&app, &[Tag::named("1.0.0")], at(10)).await.unwrap();
    assert_eq!(t.store.cached_tags(&app).await.unwrap().unwrap().as_of, at(10));
    let delivery = Delivery {
        sender: "registry/main".into(),
        id: "e1".into(),
        event_kind: "push".into(),
        event: Event::Image { repository: app.clone(), tag: Some("1.1.0".into()) },
        received_at: at(20),
    };
    t.store.record(&delivery, &[]).await.unwrap();
    assert_eq!(t.store.cached_tags(&app).await.unwrap(), None);
    // Asked before the push, answered after it: not to be trusted.
    t.store.cache_tags(&app, &[Tag::named("1.0.0")], at(19)).await.unwrap();
    assert_eq!(t.store.cached_tags(&app).await.unwrap(), None);
    t.store.cache_tags(&app, &[Tag::named("1.1.0")], at(21)).await.unwrap();
    assert_eq!(t.store.cached_tags(&app).await.unwrap().unwrap().tags, [Tag::named("1.1.0")]);
}

#[tokio::test]
async fn what_was_recorded_is_there_after_a_restart() {
    let t = Fresh::new().await;
    let (delivery, jobs) = push("d1", "config", 0);
    t.store.record(&delivery, &jobs).await.unwrap();
    t.store.set_heard(&repo("config"), at(0)).await.unwrap();
    let Fresh { store, folder } = t;
    store.close().await;
    drop(store);
    let store = Store::open(&format!("sqlite://{}", folder.path().join("data/butler.db").display())).await.unwrap();
    assert_eq!(store.record(&delivery, &jobs).await.unwrap(), Recorded::Duplicate);
    assert_eq!(store.heard(&repo("config")).await.unwrap(), Some(at(0)));
    assert_eq!(store.heard(&repo("other")).await.unwrap(), None);
    assert_eq!(take_key(&store, 10).await.as_deref(), Some("repository:acme/config"));
}

#[tokio::test]
async fn old_deliveries_are_pruned() {
    let t = Fresh::new().await;
    for second in [0, 100] {
        let (delivery, _) = push(&format!("d{second}"), "config", second);
        t.store.record(&delivery, &[]).await.unwrap();
    }
    t.store.inbox_add(&[comment(1, 0), comment(2, 0)]).await.unwrap();
    t.store.inbox_done(&repo("config"), 1, at(1)).await.unwrap();
    assert_eq!(t.store.prune(at(50)).await.unwrap(), 2);
    assert_eq!(t.store.deliveries(10).await.unwrap().len(), 1);
    assert_eq!(t.store.inbox(&repo("config")).await.unwrap(), [comment(2, 0)], "an undecided one is never pruned");
}

#[tokio::test]
async fn a_change_between_asking_and_waiting_is_not_missed() {
    let t = Fresh::new().await;
    let changed = t.store.changed();
    assert!(take(&t.store, 0).await.is_none());
    t.store.clone().enqueue(&[JobRequest::urgent(JobKey::Sweep)], at(0)).await.unwrap();
    tokio::time::timeout(Duration::from_secs(5), changed).await.expect("woken by what came before the wait");
    // A redelivery is no change.
    let (delivery, jobs) = push("d1", "config", 0);
    t.store.record(&delivery, &jobs).await.unwrap();
    let changed = t.store.changed();
    t.store.record(&delivery, &jobs).await.unwrap();
    assert!(futures_now(changed).await.is_none());
}

/// What the future is already, without waiting.
async fn futures_now<F: Future>(future: F) -> Option<F::Output> {
    tokio::select! {
        biased;
        output = future => Some(output),
        () = std::future::ready(()) => None,
    }
}

#[tokio::test]
async fn a_location_that_cannot_be() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path().to_str().unwrap();
    for (location, says) in [
        ("postgres://butler:secret@db/butler", "PostgreSQL comes with a later version"),
        ("sqlite:", "expected the path of a SQLite file"),
        (folder, "unable to open database file"),
    ] {
        let error = Store::open(location).await.err().unwrap().to_string();
        assert!(error.contains(says) && !error.contains("secret"), "{error}");
    }
}

/// Two processes' worth of workers on one file, while events pour in: a key is never held twice, every job that was asked
/// for after the last look is looked at again, nothing is left.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn two_workers_never_hold_one_key() {
    const KEYS: u64 = 5;
    const EVENTS: u64 = 120;
    let t = Fresh::new().await;
    let stores = [t.store.clone(), t.other().await];
    let clock = Arc::new(AtomicU64::new(0));
    let now = |clock: &AtomicU64| at(0) + Duration::from_millis(clock.fetch_add(1, Ordering::SeqCst));
    // What was asked for, what was looked at, and what is held, by key.
    let asked: Arc<Vec<AtomicU64>> = Arc::new((0..KEYS).map(|_| AtomicU64::new(0)).collect());
    let seen: Arc<Vec<AtomicU64>> = Arc::new((0..KEYS).map(|_| AtomicU64::new(0)).collect());
    let held = Arc::new(Mutex::new(BTreeSet::new()));

    let senders: Vec<_> = (0..4u64)
        .map(|sender| {
            let (store, clock, asked) = (stores[sender as usize % 2].clone(), clock.clone(), asked.clone());
            tokio::spawn(async move {
                for i in 0..EVENTS / 4 {
                    let key = (i * 7 + sender) % KEYS;
                    asked[key as usize].fetch_add(1, Ordering::SeqCst);
                    let debounce = Debounce { quiet: Duration::from_millis(3), at_most: Duration::from_millis(9) };
                    let (mut delivery, _) = push(&format!("{sender}-{i}"), "config", 0);
                    delivery.received_at = now(&clock);
                    let jobs = [JobRequest::new(repository(&key.to_string()), debounce)];
                    store.record(&delivery, &jobs).await.unwrap();
                }
            })
        })
        .collect();
    let workers: Vec<_> = (0..6)
        .map(|worker| {
            let (store, clock, asked, seen, held) =
                (stores[worker % 2].clone(), clock.clone(), asked.clone(), seen.clone(), held.clone());
            tokio::spawn(async move {
                let owner = format!("worker {worker}");
                let mut runs = 0;
                loop {
                    match store.lease(now(&clock), &owner, MINUTE * 60, &[]).await.unwrap() {
                        Some(job) => {
                            assert!(held.lock().unwrap().insert(job.key.clone()), "{} is held twice", job.key);
                            let key: usize = job.lease.repository().unwrap().name().parse().unwrap();
                            seen[key].store(asked[key].load(Ordering::SeqCst), Ordering::SeqCst);
                            tokio::task::yield_now().await;
                            runs += 1;
                            assert!(held.lock().unwrap().remove(&job.key));
                            store.finish(job.lease, DONE, now(&clock)).await.unwrap();
                        }
                        None => {
                            let done = store.deliveries(EVENTS as u32 + 1).await.unwrap().len() as u64 == EVENTS;
                            if done && store.next_due().await.unwrap().is_none() {
                                return runs;
                            }
                        }
                    }
                }
            })
        })
        .collect();
    for sender in senders {
        sender.await.unwrap();
    }
    let mut runs = 0;
    for worker in workers {
        runs += worker.await.unwrap();
    }
    for (asked, seen) in asked.iter().zip(seen.iter()) {
        assert_eq!(asked.load(Ordering::SeqCst), seen.load(Ordering::SeqCst), "the last event was looked at");
    }
    assert!((KEYS..=EVENTS).contains(&runs), "{runs} runs");
    let end = now(&clock);
    assert_eq!(t.store.pending(end).await.unwrap(), Pending::default());
    println!("{EVENTS} events for {KEYS} keys: {runs} runs");
}
