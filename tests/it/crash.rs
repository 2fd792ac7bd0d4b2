//! Killed at any moment, started again: the same end.

use crate::support::{
    end::{End, doubled},
    live::{Kill, Live, Loss, PATIENCE, eventually},
    world::REPO,
};
use butler::{
    adapters::{
        github::Patience,
        store::{JobKey, JobRequest, Store},
    },
    engine::event::Event,
    sandbox::github::{Fault, When},
    server::{assemble, clock::Clock, worker::Step},
};
use futures::{StreamExt, stream};
use std::{collections::BTreeMap, process::Command, sync::atomic::Ordering, time::Instant};

const TO_STAGING: &str = "butler/promote/to-staging";
const TO_PRODUCTION: &str = "butler/promote/to-production";

/// The main job: two images, a pull request that is refreshed, a merge, the next stage's pull request.
async fn walk(live: &Live) {
    live.start();
    live.until("a memory", |live| live.github.refs(REPO).contains_key("refs/butler/state")).await;
    for tag in ["1.1.0", "1.2.0"] {
        live.push_image(tag);
        live.until(&format!("{tag} in development, and offered to staging"), |live| {
            live.tag("main", "development") == tag
                && live.open_pull(TO_STAGING).is_some_and(|number| {
                    live.tag(TO_STAGING, "staging") == tag
                        && live.github.issue(REPO, number).is_some_and(|issue| issue.title.contains(tag))
                })
        })
        .await;
    }
    let number = live.open_pull(TO_STAGING).unwrap();
    live.github.person("ann").comments(REPO, number, "/merge").unwrap();
    live.until("staging merged, production offered, Ann answered", |live| {
        live.tag("main", "staging") == "1.2.0"
            && !live.github.refs(REPO).contains_key(&format!("refs/heads/{TO_STAGING}"))
            && live.open_pull(TO_PRODUCTION).is_some()
            && live.github.comments(REPO, number).len() == 2
            && live.github.comments(REPO, number)[1].body.contains("erged")
            && live.github.comments(REPO, number)[0].reactions.len() == 2
    })
    .await;
}

/// Lets butler finish what it is at, and then look at everything once more: that changes nothing.
async fn rest(live: &Live) -> End {
    let status = live.stop().await;
    assert!(status.success(), "{status}\n{}", live.log());
    let end = End::of(&live.github, live.registry_host());
    let settings = live.settings();
    let worker = assemble(&settings, Clock::System, Patience::default()).await.unwrap();
    worker.store().enqueue(&[JobRequest::urgent(JobKey::Sweep)], Clock::System.now()).await.unwrap();
    while worker.step().await.unwrap() != Step::Idle {}
    assert_eq!(End::of(&live.github, live.registry_host()), end, "a sweep changed something");
    assert_eq!(doubled(&live.github), [""; 0]);
    let parked = worker.store().parked().await.unwrap();
    assert!(parked.is_empty(), "{parked:?}");
    worker.store().close().await;
    end
}

async fn one(kill: Option<Kill>) -> (End, Vec<String>, u32) {
    let mut live = Live::new().await;
    if let Some(kill) = kill {
        live.kill_at(kill);
    }
    walk(&live).await;
    let end = rest(&live).await;
    let writes = live.writes.lock().unwrap().clone();
    (end, writes, live.restarts.load(Ordering::SeqCst))
}

fn all_of_them() -> bool {
    std::env::var("BUTLER_CRASH").is_ok_and(|which| which == "all")
}

/// Each kind of write once; `BUTLER_CRASH=all` does every single one.
fn chosen(writes: &[String]) -> Vec<u32> {
    let all = all_of_them();
    let mut kinds = BTreeMap::new();
    let number = regex::Regex::new("[0-9a-f]{40}|[0-9]+").unwrap();
    for (index, write) in writes.iter().enumerate() {
        let kind = if all { index.to_string() } else { number.replace_all(write, "N").into_owned() };
        kinds.entry(kind).or_insert(u32::try_from(index).unwrap() + 1);
    }
    let mut chosen: Vec<u32> = kinds.into_values().collect();
    chosen.sort_unstable();
    chosen
}

#[tokio::test(flavor = "multi_thread")]
async fn killed_at_any_write_it_comes_to_the_same_end() {
    let (expected, writes, _) = one(None).await;
    println!("undisturbed: {expected:#?}");
    for (index, write) in writes.iter().enumerate() {
        println!("{:3} {write}", index + 1);
    }
    assert_eq!(expected.log[1..].iter().filter(|subject| subject.starts_with("update(")).count(), 2);
    let chosen = chosen(&writes);
    let kills = chosen.iter().flat_map(|&nth| {
        let of = move |when, loss| Kill { nth, when, loss };
        let mut kills = vec![
            of(When::After, Loss::Nothing),
            of(When::After, Loss::Database),
            of(When::Before, Loss::DatabaseAndMirrors),
        ];
        if all_of_them() {
            kills.push(of(When::Before, Loss::Nothing));
        }
        kills
    });
    let began = Instant::now();
    let results: Vec<_> = stream::iter(kills)
        .map(async |kill| {
            let result = tokio::spawn(one(Some(kill))).await;
            (kill, result)
        })
        .buffer_unordered(6)
        .collect()
        .await;
    let mut wrong = Vec::new();
    let (mut struck, mut all) = (0, 0);
    for (kill, result) in results {
        all += 1;
        let told = format!("{kill:?} at {}", writes[kill.nth as usize - 1]);
        match result {
            Ok((end, _, restarts)) if end == expected && restarts > 0 => struck += 1,
            Ok((end, writes, _)) if end == expected => {
                wrong.push(format!("{told}: there was nothing to kill it at: {writes:#?}"));
            }
            Ok((end, ..)) => wrong.push(format!("{told}: {end:#?}")),
            Err(panic) => {
                let panic = panic.to_string();
                wrong.push(format!("{told}: {}", panic.split("\\n").next().unwrap_or_default()));
            }
        }
    }
    println!(
        "{all} kills at {} of {} writes, {struck} struck, in {:?}: {} came to another end",
        chosen.len(),
        writes.len(),
        began.elapsed(),
        wrong.len()
    );
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    assert_eq!(struck, all);
}

#[tokio::test(flavor = "multi_thread")]
async fn killed_after_the_202_and_after_the_fetch_the_event_is_there() {
    let mut live = Live::new().await;
    live.start_and_wait().await;
    let looked = "job{key=repository:acme/config attempts=0}: butler::server::worker: done";
    live.until("a first look, which tells what images matter", |live| live.log().contains(looked)).await;
    live.push_image("1.1.0");
    live.registry.idle().await;
    live.process.kill();
    let store = Store::open(&live.settings().database).await.unwrap();
    let deliveries = store.deliveries(10).await.unwrap();
    assert!(deliveries.iter().any(|one| matches!(&one.event, Event::Image { tag: Some(tag), .. } if tag == "1.1.0")));
    store.close().await;
    live.until("the image", |live| live.tag("main", "development") == "1.1.0").await;

    // After the fetch of what a person pushed: the next thing that is asked is which pull requests are open.
    live.until("a pull request", |live| live.open_pull(TO_STAGING).is_some()).await;
    let (github, process) = (live.github.clone(), live.process.clone());
    let fetched = move || {
        let kill = Fault::Call(When::Before, Box::new(move || process.kill()));
        github.fail_next("GET /repos/acme/config/pulls", kill).unwrap();
    };
    let fetched = Fault::Call(When::After, Box::new(fetched));
    live.github.fail_next("POST /acme/config.git/git-upload-pack", fetched).unwrap();
    live.push_image("1.2.0");
    let commit = live.github.person("ann").pushes(REPO, "main", "Notes", &[("NOTES.md", Some("By hand\n"))]).unwrap();
    eventually("it is killed", PATIENCE, || live.process.was_killed(), || live.log()).await;
    assert!(live.github.all_faults_struck());
    let mirror = live.data.path().join("mirrors/acme/config.git");
    let found = Command::new("git").arg("-C").arg(mirror).args(["cat-file", "-e", &commit]).status().unwrap();
    assert!(found.success(), "{commit} was fetched before the end came");
    live.until("the next image", |live| live.tag("main", "development") == "1.2.0").await;
    assert_eq!(live.github.history(REPO, "main").len(), 4);
    live.kill_at(Kill { nth: u32::MAX, when: When::After, loss: Loss::Database });

    // Said while nobody listens, on an issue that is not butler's, and the database is lost too.
    live.process.kill();
    let issue = live.github.person("ann").opens_issue(REPO, "Freeze").unwrap();
    live.github.person("ann").comments(REPO, issue, "/butler hold development").unwrap();
    live.github.idle().await;
    live.until("an answer", |live| live.github.comments(REPO, issue).len() == 2).await;
    live.push_image("1.3.0");
    live.registry.idle().await;
    let end = rest(&live).await;
    assert_eq!((end.holds, end.tags[0].as_str()), (1, "1.2.0"), "{end:?}");
}
