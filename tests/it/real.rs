//! The main job on real parts: Debian's docker-registry with its own notifications, git over HTTP through
//! `git http-backend` (which serves the emulator's repositories), and `butler serve` as a process.

use crate::support::{
    docker_registry::DockerRegistry,
    live::{Live, spare_port},
    world::{REPO, TOKEN},
};
use butler::sandbox::{registry::push_image, sample};
use jiff::Timestamp;

#[tokio::test(flavor = "multi_thread")]
async fn from_docker_registry_to_the_merge() {
    let port = spare_port();
    let notify = format!("http://127.0.0.1:{port}/webhooks/registry/sandbox");
    let Some(registry) = DockerRegistry::start(Some(notify), TOKEN) else { return };
    let push = async |tag: &str| push_image(&registry.url(), sample::IMAGE, tag, Timestamp::now(), &[]).await.unwrap();
    push("1.0.0").await;
    let live = Live::with(port, Some(registry.host().to_owned())).await;
    live.start_and_wait().await;
    live.until("a memory", |live| live.github.refs(REPO).contains_key("refs/butler/state")).await;
    push("1.1.0").await;
    live.until("a promotion", |live| live.open_pull("butler/promote/to-staging").is_some()).await;
    assert_eq!(live.tag("main", "development"), "1.1.0");
    assert!(live.log().contains("notifications came in"), "the registry told it\n{}", live.log());
    let commit = live.github.history(REPO, "main").pop().unwrap();
    for trailer in ["Butler-Policy: flux-system:app", "Butler-Image: ", "Butler-Plan: "] {
        assert!(commit.message.contains(trailer), "{trailer}: {}", commit.message);
    }
    let pull = live.open_pull("butler/promote/to-staging").unwrap();
    live.github.person("ann").comments(REPO, pull, "/merge").unwrap();
    live.until("the merge", |live| live.tag("main", "staging") == "1.1.0").await;
    live.until("the answer", |live| live.github.comments(REPO, pull).last().unwrap().body.contains("Merged as")).await;
    assert!(live.stop().await.success());
}
