//! What becomes of butler's memory when somebody meddles with it, beyond the conversations.

use crate::support::world::{REPO, World};
use butler::engine::memory::MEMORY_REF;

#[tokio::test(flavor = "multi_thread")]
async fn a_memory_that_is_gone_for_good_is_begun_anew_by_hand() {
    let world = World::new().await;
    world.push_image("1.1.0").await;
    world.person("ann").deletes_ref(REPO, MEMORY_REF).unwrap();
    world.push_image("1.2.0").await;
    assert_eq!(world.tag("development"), "1.1.0", "nothing is written without a memory");

    let commit = world.worker.reset_memory(&REPO.parse().unwrap()).await.unwrap();
    assert_eq!(world.github.refs(REPO).get(MEMORY_REF), Some(&commit));
    world.push_image("1.3.0").await;
    assert_eq!(world.tag("development"), "1.3.0");
    insta::assert_snapshot!(world.reply(1), @"`butler/promote/to-staging` holds a commit that butler does not know as its own, so it leaves this pull request alone. Merge it, or close it and delete the branch: butler then opens a new one.");
    world.finish().await;
}
