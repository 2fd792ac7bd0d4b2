//! From an image that is pushed to the last stage.

use super::{REPO, World, only_pull};

#[tokio::test(flavor = "multi_thread")]
async fn an_image_goes_all_the_way() {
    let world = World::new().await;
    world.push_image("1.1.0").await;
    assert_eq!(world.tag("development"), "1.1.0");
    insta::assert_snapshot!(world.message("main"), @"");

    let staging = only_pull(&world);
    insta::assert_snapshot!(world.pull(staging), @"");
    insta::assert_snapshot!(world.message("butler/promote/to-staging"), @"");

    let said = world.comment("ann", staging, "/merge").await;
    insta::assert_snapshot!(world.reply(staging), @"");
    assert_eq!(world.reactions(staging, said), ["eyes", "rocket"]);
    assert_eq!(world.tag("staging"), "1.1.0");
    insta::assert_snapshot!(world.message("main"), @"");
    assert_eq!(world.github.branch(REPO, "butler/promote/to-staging"), None, "the head is deleted after the merge");

    let production = only_pull(&world);
    assert_ne!(production, staging);
    world.comment("ann", production, "/merge").await;
    insta::assert_snapshot!(world.reply(production), @"");
    assert_eq!(world.tag("production"), "1.1.0");
    assert!(world.open_pulls().is_empty());
    insta::assert_snapshot!(world.shown(&world.log("main").join("\n")), @"");
    world.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn images_within_the_debounce_are_one_commit() {
    let world = World::new().await;
    let before = world.log("main").len();
    world.registry.push_image("acme/app", "1.1.0", world.clock.now(), &[]);
    world.registry.push_image("acme/app", "1.1.1", world.clock.now(), &[]);
    world.settle().await;
    assert_eq!(world.tag("development"), "1.1.1");
    assert_eq!(world.log("main").len(), before + 1);
    world.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn every_webhook_delivered_again_changes_nothing() {
    let (world, number) = super::proposed().await;
    world.comment("ann", number, "/merge").await;
    world.reply(number);
    let before = world.written();
    let deliveries = world.github.deliveries();
    assert!(deliveries.len() > 5 && deliveries.iter().all(|delivery| delivery.accepted()), "{deliveries:#?}");
    for delivery in deliveries {
        world.github.redeliver(delivery.id).unwrap();
    }
    world.settle().await;
    assert_eq!(world.written(), before);
    world.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lost_webhook_is_found_by_the_sweep() {
    let world = World::new().await;
    world.registry.notify(None);
    world.push_image("1.1.0").await;
    assert_eq!(world.tag("development"), "1.0.0", "nobody told");
    world.later(jiff::SignedDuration::from_mins(6)).await;
    assert_eq!(world.tag("development"), "1.1.0");

    let number = only_pull(&world);
    world.github.without_webhook(|| world.person("dan").merges(REPO, number).unwrap());
    world.settle().await;
    assert!(world.open_pulls().is_empty(), "merged, and nobody told");
    world.later(jiff::SignedDuration::from_mins(6)).await;
    insta::assert_snapshot!(world.pull(only_pull(&world)).lines().next().unwrap(), @"");
    world.finish().await;
}
