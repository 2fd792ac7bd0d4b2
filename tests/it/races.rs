//! Somebody is faster, or an answer is lost: nothing of theirs is overwritten, nothing comes back to life, nothing is
//! done twice.

use crate::support::{
    end::End,
    world::{REPO, World},
};
use butler::{
    adapters::store::JobKey,
    sandbox::{
        github::{Fault, Github, Person, When},
        sample,
    },
    server::worker::Step,
};
use jiff::SignedDuration;
use std::sync::Arc;

const PUSH: &str = "POST /acme/config.git/git-receive-pack";
const LIST_REFS: &str = "GET /acme/config.git/info/refs";
const HEAD: &str = "butler/promote/to-staging";
const MEMORY: &str = "refs/butler/state";

fn end(world: &World) -> End {
    End::of(&world.github, world.registry.host())
}

/// Whether `old` is in the history of a branch.
fn holds(world: &World, branch: &str, old: &str) -> bool {
    world.github.history(REPO, branch).iter().any(|commit| commit.id == old)
}

fn at(world: &World, branch: &str) -> String {
    world.github.branch(REPO, branch).unwrap()
}

/// Lets a person act in the middle of what butler does next.
fn meanwhile(world: &World, pattern: &str, nth: u32, act: impl FnOnce(&Github, &Person) + Send + 'static) {
    let (github, ann) = (world.github.clone(), world.person("ann"));
    world.github.fail_nth(pattern, nth, Fault::Call(When::Before, Box::new(move || act(&github, &ann)))).unwrap();
}

/// The end of a test, whatever butler said.
async fn over(world: World) {
    world.settle().await;
    for pull in world.github.pulls(REPO) {
        world.replies(pull.number);
    }
    world.finish().await;
}

async fn main_job(world: &World) {
    world.push_image("1.1.0").await;
    let [pull] = world.open_pulls()[..] else { panic!("{:?}", world.open_pulls()) };
    world.comment("ann", pull, "/merge").await;
    for _ in 0..3 {
        // What was lost is tried again later than a debounce.
        world.advance(SignedDuration::from_mins(1));
        world.settle().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_answer_that_is_lost_after_success_has_one_effect() {
    let undisturbed = World::new().await;
    main_job(&undisturbed).await;
    let expected = end(&undisturbed);
    assert_eq!(expected.log.iter().filter(|subject| subject.starts_with("update(")).count(), 1);
    assert_eq!((expected.pulls.len(), expected.said.len()), (2, 1), "{expected:?}");
    for (what, pattern, nth) in [
        ("the update's push", PUSH, 1),
        ("the memory's push", PUSH, 2),
        ("the push of the pull request's head", PUSH, 3),
        ("the memory of the pull request's number", PUSH, 4),
        ("the memory of the command", PUSH, 5),
        ("the memory of the merge", PUSH, 6),
        ("the deletion of the head", PUSH, 7),
        ("the pull request", "POST /repos/*/*/pulls", 1),
        ("the merge", "PUT /repos/*/*/pulls/*/merge", 1),
        ("the reply", "POST /repos/*/*/issues/*/comments", 1),
        ("the reaction", "POST /repos/*/*/issues/comments/*/reactions", 1),
    ] {
        let world = World::new().await;
        world.github.fail_nth(pattern, nth, Fault::LoseResponse).unwrap();
        main_job(&world).await;
        assert!(world.github.all_faults_struck(), "{what}");
        assert_eq!(end(&world), expected, "{what}");
        over(world).await;
    }
    over(undisturbed).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn github_says_that_something_moved_at_the_merge() {
    for (what, fault) in [
        ("the base moved", Fault::refuse(405, "Base branch was modified. Review and try the merge again.")),
        ("the head moved", Fault::refuse(409, "Head branch was modified. Review and try the merge again.")),
        ("an internal error", Fault::status(502)),
    ] {
        let world = World::new().await;
        world.github.fail_next("PUT /repos/*/*/pulls/*/merge", fault).unwrap();
        main_job(&world).await;
        assert!(world.github.all_faults_struck(), "{what}");
        assert_eq!((world.tag("staging"), end(&world).pulls.len()), ("1.1.0".into(), 2), "{what}");
        over(world).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_delivery_that_comes_again_changes_nothing() {
    let world = World::new().await;
    main_job(&world).await;
    let before = (end(&world), world.github.refs(REPO));
    let deliveries = world.github.deliveries();
    assert!(deliveries.len() > 10, "{}", deliveries.len());
    for delivery in &deliveries {
        world.github.redeliver(delivery.id);
    }
    world.settle().await;
    assert_eq!((end(&world), world.github.refs(REPO)), before);
    over(world).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn two_images_within_the_debounce_are_one_commit() {
    let world = World::new().await;
    world.registry.push_image(sample::IMAGE, "1.1.0", world.clock.now(), &[]);
    world.push_image("1.2.0").await;
    assert_eq!(world.log("main").len(), 2, "{:?}", world.log("main"));
    assert_eq!(world.tag("development"), "1.2.0");
    over(world).await;
}

/// When a person moves a branch: before butler's push lists the refs, or after that.
const MOMENTS: [(&str, u32); 2] = [(LIST_REFS, 2), (PUSH, 1)];

#[tokio::test(flavor = "multi_thread")]
async fn a_branch_that_is_reset_before_the_push_stays_reset() {
    for (pattern, nth) in MOMENTS {
        let world = World::new().await;
        let first = at(&world, "main");
        world.push_image("1.1.0").await;
        let gone = at(&world, "main");
        let to = first.clone();
        meanwhile(&world, pattern, nth, move |_, ann| ann.resets(REPO, "main", &to).unwrap());
        world.push_image("1.2.0").await;
        assert!(world.github.all_faults_struck());
        assert!(holds(&world, "main", &first) && !holds(&world, "main", &gone), "{:?}", world.log("main"));
        assert_eq!((world.tag("development"), world.log("main").len()), ("1.2.0".into(), 2), "{pattern}");
        over(world).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_branch_that_is_pushed_to_before_the_push_keeps_that() {
    for (pattern, nth) in MOMENTS {
        let world = World::new().await;
        meanwhile(&world, pattern, nth, |_, ann| {
            ann.pushes(REPO, "main", "Notes", &[("NOTES.md", Some("hello\n"))]).unwrap();
        });
        world.push_image("1.1.0").await;
        assert!(world.github.all_faults_struck());
        let log = world.log("main");
        assert!(log[0].starts_with("update(") && log[1] == "Notes" && log.len() == 3, "{pattern}: {log:?}");
        over(world).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_branch_that_is_deleted_before_the_push_stays_deleted() {
    for (pattern, nth) in MOMENTS {
        let world = World::with(|files| {
            let config = &mut files.iter_mut().find(|(path, _)| path == "butler.yaml").unwrap().1;
            *config = config.replace("deploy/development,", "deploy/development, branch: dev,");
        })
        .await;
        world.person("ann").resets(REPO, "dev", &at(&world, "main")).unwrap();
        world.settle().await;
        meanwhile(&world, pattern, nth, |_, ann| ann.deletes_branch(REPO, "dev").unwrap());
        world.push_image("1.1.0").await;
        assert!(world.github.all_faults_struck());
        assert_eq!(world.github.branch(REPO, "dev"), None, "{pattern}");
        over(world).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_persons_commit_on_a_pull_requests_head_is_left_alone() {
    // Of the second image's pushes the third is the head's; each lists the refs once, after the fetch did.
    for (pattern, nth) in [(LIST_REFS, 4), (PUSH, 3)] {
        let world = World::new().await;
        world.push_image("1.1.0").await;
        meanwhile(&world, pattern, nth, |_, ann| {
            ann.pushes(REPO, HEAD, "Mine", &[("deploy/staging/extra.txt", Some("x\n"))]).unwrap();
        });
        world.push_image("1.2.0").await;
        assert!(world.github.all_faults_struck());
        assert_eq!(world.log(HEAD)[0], "Mine", "{pattern}: {:?}", world.log(HEAD));
        assert!(world.reply(1).contains("commit"), "{}", world.reply(1));
        world.push_image("1.3.0").await;
        assert_eq!(world.log(HEAD)[0], "Mine", "{pattern}");
        assert_eq!((world.tag("development"), world.tag_at(HEAD, "staging")), ("1.3.0".into(), "1.1.0".into()));
        over(world).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_hold_that_is_said_while_a_push_is_planned_holds() {
    let world = World::new().await;
    world.push_image("1.1.0").await;
    let [pull] = world.open_pulls()[..] else { panic!("one") };
    let (github, ann) = (world.github.clone(), world.person("ann"));
    let said = Arc::new(std::sync::Once::new());
    world.registry.on_request(move |seen| {
        if seen.path.contains("/tags/list") {
            said.call_once(|| {
                ann.comments(REPO, pull, "/hold development").unwrap();
                tokio::task::block_in_place(|| tokio::runtime::Handle::current().block_on(github.idle()));
            });
        }
    });
    world.push_image("1.2.0").await;
    assert_eq!(world.tag("development"), "1.1.0", "{:?}", world.log("main"));
    assert!(world.reply(pull).starts_with("Held"), "{}", world.reply(pull));
    over(world).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_hold_that_is_said_before_a_merge_holds() {
    let world = World::new().await;
    world.push_image("1.1.0").await;
    let [pull] = world.open_pulls()[..] else { panic!("one") };
    meanwhile(&world, "GET /repos/*/*/rules/branches/*", 1, move |github, _| {
        github.person("dan").comments(REPO, pull, "/hold staging").unwrap();
        tokio::task::block_in_place(|| tokio::runtime::Handle::current().block_on(github.idle()));
    });
    world.comment("ann", pull, "/merge").await;
    assert!(world.github.all_faults_struck());
    assert_eq!(world.tag("staging"), "1.0.0", "{:?}", world.log("main"));
    over(world).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_memory_that_is_forged_or_deleted_before_it_is_written_stops_everything() {
    for deleted in [false, true] {
        // Of the second image's pushes the second is the memory's.
        for (pattern, nth) in [(LIST_REFS, 3), (PUSH, 2)] {
            let world = World::new().await;
            world.push_image("1.1.0").await;
            let forged = at(&world, "main");
            let to = forged.clone();
            meanwhile(&world, pattern, nth, move |_, ann| match deleted {
                true => ann.deletes_ref(REPO, MEMORY).unwrap(),
                false => ann.sets_ref(REPO, MEMORY, &to).unwrap(),
            });
            world.push_image("1.2.0").await;
            assert!(world.github.all_faults_struck());
            let stands = world.github.refs(REPO);
            assert_eq!(stands.get(MEMORY), (!deleted).then_some(&forged), "{pattern}");
            let head = stands.get(&format!("refs/heads/{HEAD}")).cloned();
            world.push_image("1.3.0").await;
            assert_eq!(world.tag("development"), "1.2.0", "nothing is written without a memory");
            assert_eq!(world.github.refs(REPO).get(&format!("refs/heads/{HEAD}")).cloned(), head);
            let checks = world.github.checks(REPO, "main");
            let checks = if checks.is_empty() { world.github.checks(REPO, &at(&world, "main")) } else { checks };
            assert!(checks.iter().any(|check| check.name == "butler/memory"), "{checks:?}");
            over(world).await;
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_pull_request_that_is_merged_or_closed_while_it_is_refreshed_converges() {
    for merged in [true, false] {
        let world = World::new().await;
        world.push_image("1.1.0").await;
        meanwhile(&world, PUSH, 3, move |_, ann| match merged {
            true => drop(ann.merges(REPO, 1).unwrap()),
            false => ann.closes(REPO, 1).unwrap(),
        });
        world.push_image("1.2.0").await;
        world.advance(SignedDuration::from_mins(1));
        world.settle().await;
        assert!(world.github.all_faults_struck());
        let staging = if merged { "1.1.0" } else { "1.0.0" };
        assert_eq!(world.tag("staging"), staging);
        // The newer version goes on in a pull request of its own.
        let stage = world.github.pulls(REPO).into_iter().filter(|pull| pull.pull.as_ref().unwrap().head_ref == HEAD);
        let numbers: Vec<_> = stage.filter(|pull| pull.open).map(|pull| pull.number).collect();
        assert_eq!(numbers.len(), 1, "{merged}: {:?}", world.github.pulls(REPO));
        assert_eq!(world.tag_at(HEAD, "staging"), "1.2.0");
        world.comment("ann", numbers[0], "/merge").await;
        assert_eq!(world.tag("staging"), "1.2.0", "{merged}: {}", world.reply(numbers[0]));
        over(world).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_job_that_fails_for_good_parks_until_something_happens() {
    let world = World::new().await;
    for _ in 0..3000 {
        world.github.fail_next("* /repos/**", Fault::status(500)).unwrap();
    }
    world.registry.push_image(sample::IMAGE, "1.1.0", world.clock.now(), &[]);
    world.registry.idle().await;
    let store = world.worker.store();
    let mut tries = 0;
    while store.parked().await.unwrap().is_empty() {
        tries += 1;
        assert!(tries < 100, "it never parks: {:?}", store.pending(world.clock.now()).await);
        world.advance(SignedDuration::from_mins(10));
        while world.worker.step().await.unwrap() != Step::Idle {}
    }
    let parked = store.parked().await.unwrap();
    assert_eq!(parked[0].key, JobKey::Repository(REPO.parse().unwrap()), "{parked:?}");
    assert_eq!(parked[0].attempts, 10, "{parked:?}");
    world.github.clear_faults();
    world.push_image("1.2.0").await;
    assert_eq!((world.tag("development"), store.parked().await.unwrap().len()), ("1.2.0".into(), 0));
    over(world).await;
}
