//! `butler serve` as a process: how it starts, stops, shares a database and loses one.

use crate::support::{
    end::doubled,
    live::{Live, PATIENCE, Process, eventually, spare_port},
    world::{REPO, SECRET},
};
use butler::{
    adapters::store::Store,
    sandbox::github::{Fault, Webhook, When},
};
use jiff::Timestamp;
use std::{collections::BTreeSet, fs, process::Command, time::Duration};

fn serve(config: &std::path::Path) -> (Option<i32>, String) {
    let output = Command::new(env!("CARGO_BIN_EXE_butler"))
        .args(["serve", "--config"])
        .arg(config)
        .env_clear()
        .env("NO_COLOR", "1")
        .output()
        .unwrap();
    (output.status.code(), String::from_utf8(output.stderr).unwrap())
}

#[test]
fn settings_that_cannot_be_are_all_told_at_once() {
    let folder = tempfile::tempdir().unwrap();
    let config = folder.path().join("settings.yaml");
    fs::write(&config, "listen: nowhere\ngithub: {app-id: x}\nworkers: {}\n").unwrap();
    let (code, text) = serve(&config);
    assert_eq!(code, Some(2), "{text}");
    for part in ["listen", "app-id", "workers"] {
        assert!(text.contains(part), "{part}: {text}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_somebody_else_uses_is_said() {
    let live = Live::new().await;
    live.start_and_wait().await;
    let (code, text) = serve(&live.config());
    assert_eq!(code, Some(3), "{text}");
    assert!(text.contains("is used by another butler process"), "{text}");

    let other = tempfile::tempdir().unwrap();
    let config = other.path().join("settings.yaml");
    let text = fs::read_to_string(live.config()).unwrap();
    let (ours, theirs) = (live.data.path().display().to_string(), other.path().display().to_string());
    fs::write(&config, text.replace(&format!("data-dir: {ours}"), &format!("data-dir: {theirs}"))).unwrap();
    let (code, text) = serve(&config);
    assert_eq!(code, Some(3), "{text}");
    assert!(text.contains("cannot listen on") && text.contains(&live.port.to_string()), "{text}");
}

#[tokio::test(flavor = "multi_thread")]
async fn told_to_stop_it_finishes_what_it_is_at() {
    let live = Live::new().await;
    live.start_and_wait().await;
    live.until("a memory", |live| live.github.refs(REPO).contains_key("refs/butler/state")).await;
    let process = live.process.clone();
    // In the middle of the job: the update is pushed, the pull request is not there yet.
    let stop = Fault::Call(When::After, Box::new(move || process.terminate()));
    live.github.fail_next("POST /acme/config.git/git-receive-pack", stop).unwrap();
    live.push_image("1.1.0");
    eventually("butler stops", PATIENCE, || live.process.ended().is_some(), || live.log()).await;
    assert!(live.process.ended().unwrap().success(), "{}", live.log());
    assert!(live.log().contains("stopping"), "{}", live.log());
    assert_eq!((live.tag("main", "development"), live.github.pulls(REPO).len()), ("1.1.0".into(), 1));
    live.start_and_wait().await;
    live.push_image("1.2.0");
    live.until("the next image", |live| live.tag("butler/promote/to-staging", "staging") == "1.2.0").await;
    assert_eq!(live.github.history(REPO, "main").len(), 3);
}

#[tokio::test(flavor = "multi_thread")]
async fn told_to_stop_it_gives_up_what_takes_too_long() {
    let live = Live::new().await;
    live.configure(|text| text.replace("lease: 2s", "lease: 10m, grace: 1s"));
    live.start_and_wait().await;
    live.until("a memory", |live| live.github.refs(REPO).contains_key("refs/butler/state")).await;
    let process = live.process.clone();
    // git waits for an answer that is an hour away, in a thread that nothing can end.
    let listing = "GET /acme/config.git/info/refs";
    live.github.fail_nth(listing, 1, Fault::Call(When::Before, Box::new(move || process.terminate()))).unwrap();
    live.github.fail_nth(listing, 2, Fault::Delay(Duration::from_secs(3600))).unwrap();
    live.push_image("1.1.0");
    eventually("butler stops", PATIENCE, || live.process.ended().is_some(), || live.log()).await;
    assert!(live.process.ended().unwrap().success(), "{}", live.log());
    assert!(live.log().contains("given up and handed back"), "{}", live.log());
    let store = Store::open(&live.settings().database).await.unwrap();
    let pending = store.pending(Timestamp::now()).await.unwrap();
    assert_eq!((pending.running, pending.ready), (0, 1), "not left to a lease of ten minutes: {pending:?}");
    store.close().await;
    live.start_and_wait().await;
    live.until("the image", |live| live.tag("main", "development") == "1.1.0").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn two_processes_on_one_database_do_nothing_twice() {
    let live = Live::new().await;
    live.start_and_wait().await;
    let (second, port) = (tempfile::tempdir().unwrap(), spare_port());
    let text = fs::read_to_string(live.config()).unwrap();
    let data = live.data.path().display().to_string();
    let text = text
        .replace(
            &format!("data-dir: {data}"),
            &format!("data-dir: {}\ndatabase: {data}/butler.db", second.path().display()),
        )
        .replace(&format!("127.0.0.1:{}", live.port), &format!("127.0.0.1:{port}"));
    let config = second.path().join("settings.yaml");
    fs::write(&config, text).unwrap();
    let (other, log) = (Process::default(), second.path().join("log"));
    other.start(&config, &log);
    let told = || fs::read_to_string(&log).unwrap_or_default();
    eventually("the second listens", PATIENCE, || told().contains("butler serves"), told).await;
    // Each hears of something, so that both are awake.
    let url = format!("http://127.0.0.1:{port}/webhooks/github");
    live.github.set_webhook(Some(Webhook { url, secret: SECRET.into() }));

    live.push_image("1.1.0");
    live.until("a pull request", |live| live.open_pull("butler/promote/to-staging").is_some()).await;
    let pull = live.open_pull("butler/promote/to-staging").unwrap();
    let ann = live.github.person("ann");
    let mut asked = Vec::new();
    for minor in 2..12 {
        live.push_image(&format!("1.{minor}.0"));
        if minor % 2 == 0 {
            asked.push(ann.comments(REPO, pull, "/status").unwrap());
        }
    }
    let answers = |live: &Live| -> Vec<String> {
        let comments = live.github.comments(REPO, pull);
        let own = live.github.app_login();
        comments.iter().filter(|comment| comment.author == own).map(|comment| comment.body.clone()).collect()
    };
    live.until("the newest is offered, and all are answered", |live| {
        live.tag("butler/promote/to-staging", "staging") == "1.11.0" && answers(live).len() >= asked.len()
    })
    .await;
    ann.comments(REPO, pull, "/merge").unwrap();
    live.until("it is merged", |live| {
        live.open_pull("butler/promote/to-production").is_some() && answers(live).len() > asked.len()
    })
    .await;
    assert!(live.stop().await.success());
    other.terminate();
    eventually("the second stops", PATIENCE, || other.ended().is_some(), told).await;
    let worked = |log: &str| log.matches("butler::server::worker: done").count();
    println!("jobs done: {} and {}", worked(&live.log()), worked(&told()));
    assert!(worked(&live.log()) > 0 && worked(&told()) > 0);

    for comment in &asked {
        let replies = answers(&live).iter().filter(|body| body.contains(&format!("butler:reply:{comment} "))).count();
        assert_eq!(replies, 1, "{comment}");
    }
    assert_eq!(answers(&live).len(), asked.len() + 1);
    let log = live.github.history(REPO, "main");
    let updates: Vec<_> = log.iter().filter(|commit| commit.message.starts_with("update(")).collect();
    assert_eq!(log.iter().filter(|commit| commit.parents.len() == 2).count(), 1, "one merge");
    assert_eq!(live.github.pulls(REPO).len(), 2);
    assert!(updates.len() <= 11);
    let versions: BTreeSet<_> =
        updates.iter().map(|commit| commit.message.lines().next().unwrap().rsplit(' ').next().unwrap()).collect();
    assert_eq!(versions.len(), updates.len(), "no version twice: {versions:?}");
    assert_eq!(doubled(&live.github), [""; 0]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_database_that_vanishes_ends_the_process_and_is_rebuilt() {
    let live = Live::new().await;
    live.start_and_wait().await;
    live.until("a memory", |live| live.github.refs(REPO).contains_key("refs/butler/state")).await;
    for end in ["", "-wal", "-shm"] {
        let _ = fs::remove_file(live.data.path().join(format!("butler.db{end}")));
    }
    eventually("butler ends", PATIENCE, || live.process.ended().is_some(), || live.log()).await;
    assert_eq!(live.process.ended().unwrap().code(), Some(3), "{}", live.log());
    assert!(live.log().contains("butler.db is gone"), "{}", live.log());
    live.push_image("1.1.0");
    live.start_and_wait().await;
    live.until("the image", |live| live.tag("main", "development") == "1.1.0").await;
}
