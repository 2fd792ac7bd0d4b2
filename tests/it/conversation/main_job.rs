//! From an image that is pushed to the last stage.

use super::{REPO, World, only_pull};

#[tokio::test(flavor = "multi_thread")]
async fn an_image_goes_all_the_way() {
    let world = World::new().await;
    world.push_image("1.1.0").await;
    assert_eq!(world.tag("development"), "1.1.0");
    insta::assert_snapshot!(world.message("main"), @r"
    update(development): flux-system:app REGISTRY/acme/app 1.0.0 -> 1.1.0

    Butler-Policy: flux-system:app
    Butler-Image: REGISTRY/acme/app:1.1.0
    Butler-Object: Deployment/development/app
    Butler-Plan: PLAN
    ");

    let staging = only_pull(&world);
    insta::assert_snapshot!(world.pull(staging), @r"
    promote(staging): app 1.0.0 -> 1.1.0
    butler/promote/to-staging -> main

    Carries what `development` runs to `staging`.

    | component | image | from | to |
    | --- | --- | --- | --- |
    | `app` | `REGISTRY/acme/app` | `1.0.0` | `1.1.0` |

    From `development` at `COMMIT`, planned on `COMMIT`.

    <details><summary>Diff</summary>

    ```diff
    --- a/deploy/staging/app.yaml
    +++ b/deploy/staging/app.yaml
    @@ -9,4 +9,4 @@
         spec:
           containers:
             - name: app
    -          image: REGISTRY/acme/app:1.0.0
    +          image: REGISTRY/acme/app:1.1.0
    ```

    </details>

    `/merge` merges it when it may be merged, `/hold` stops it, `/status` says where things stand, `/help` lists the rest. Closing it declines these versions.
    ");
    insta::assert_snapshot!(world.message("butler/promote/to-staging"), @r"
    promote(staging): app 1.0.0 -> 1.1.0

    Butler-Image: REGISTRY/acme/app:1.1.0
    Butler-Object: Deployment/staging/app
    Butler-Promotion: to-staging
    Butler-Source-Commit: COMMIT
    Butler-Base-Commit: COMMIT
    Butler-Plan: PLAN
    ");

    let said = world.comment("ann", staging, "/merge").await;
    insta::assert_snapshot!(world.reply(staging), @"Merged as COMMIT.");
    assert_eq!(world.reactions(staging, said), ["eyes", "rocket"]);
    assert_eq!(world.tag("staging"), "1.1.0");
    insta::assert_snapshot!(world.message("main"), @r"
    promote(staging): app 1.0.0 -> 1.1.0

    Merges #1.

    Butler-Plan: PLAN
    Butler-Requested-By: ann
    ");
    assert_eq!(world.github.branch(REPO, "butler/promote/to-staging"), None, "the head is deleted after the merge");

    let production = only_pull(&world);
    assert_ne!(production, staging);
    world.comment("ann", production, "/merge").await;
    insta::assert_snapshot!(world.reply(production), @"Merged as COMMIT.");
    assert_eq!(world.tag("production"), "1.1.0");
    assert!(world.open_pulls().is_empty());
    insta::assert_snapshot!(world.shown(&world.log("main").join("\n")), @r"
    promote(production): app 1.0.0 -> 1.1.0
    promote(production): app 1.0.0 -> 1.1.0
    promote(staging): app 1.0.0 -> 1.1.0
    promote(staging): app 1.0.0 -> 1.1.0
    update(development): flux-system:app REGISTRY/acme/app 1.0.0 -> 1.1.0
    First commit
    ");
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
    insta::assert_snapshot!(world.pull(only_pull(&world)).lines().next().unwrap(), @"promote(production): app 1.0.0 -> 1.1.0");
    world.finish().await;
}
