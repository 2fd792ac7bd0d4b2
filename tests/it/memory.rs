//! What becomes of butler's memory when somebody meddles with it, beyond the conversations.

use crate::support::world::{REPO, World};
use base64::{Engine as _, engine::general_purpose::STANDARD};
use butler::{adapters::github::AppKey, engine::memory::MEMORY_REF};

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

/// Line ends, and GitHub's own form in place of PKCS #8, make no other key.
#[tokio::test(flavor = "multi_thread")]
async fn the_same_key_in_another_file_is_the_same_key() {
    let mut world = World::new().await;
    world.push_image("1.1.0").await;
    let pem = world.github.private_key().to_owned();
    let der = AppKey::from_pem(pem.as_bytes()).unwrap().der().to_vec();
    let pkcs1 = format!("-----BEGIN RSA PRIVATE KEY-----\n{}\n-----END RSA PRIVATE KEY-----", STANDARD.encode(der));
    for (text, tag) in [(pem.replace('\n', "\r\n"), "1.2.0"), (pkcs1, "1.3.0")] {
        world.restart(|settings| settings.github.private_key = text.into()).await;
        world.push_image(tag).await;
        assert_eq!(world.tag("development"), tag);
    }
    world.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_private_key_is_changed_and_the_memory_is_sealed_anew() {
    let mut world = World::new().await;
    world.push_image("1.1.0").await;
    let (old, new) = (world.github.private_key().to_owned(), world.github.generate_private_key().unwrap());
    let seal = |world: &World| {
        let history = world.github.history(REPO, MEMORY_REF);
        let message = &history.last().unwrap().message;
        let seal = message.lines().find_map(|line| line.strip_prefix("Butler-Seal: ")).unwrap();
        seal.split_once(' ').unwrap().0.to_owned()
    };
    let before = seal(&world);

    // Without the one before, the memory is nobody's.
    world.restart(|settings| settings.github.private_key = new.clone().into()).await;
    world.push_image("1.2.0").await;
    assert_eq!(world.tag("development"), "1.1.0", "nothing is written over a memory with an unknown seal");

    world
        .restart(|settings| {
            settings.github.private_key = new.clone().into();
            settings.github.previous_private_keys = vec![old.into()];
        })
        .await;
    world.push_image("1.3.0").await;
    assert_eq!(world.tag("development"), "1.3.0");
    assert_ne!(seal(&world), before, "sealed by the new key");

    // The one before is not needed any more.
    world.restart(|settings| settings.github.private_key = new.into()).await;
    world.push_image("1.4.0").await;
    assert_eq!(world.tag("development"), "1.4.0");
    world.finish().await;
}
