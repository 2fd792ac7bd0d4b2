//! butler's memory is a ref that anybody may push: what is not its own is not believed.

use super::{REPO, World, only_pull, proposed};
use butler::sandbox::github::Method;

const STATE: &str = "refs/butler/state";

/// Nothing is written while the memory is in doubt.
async fn stands_still(world: &World) {
    let refs = world.github.refs(REPO);
    world.push_image("1.9.0").await;
    world.sweep().await;
    assert_eq!(world.github.refs(REPO), refs);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_forged_memory_is_not_believed() {
    let (world, _) = proposed().await;
    let good = world.github.refs(REPO)[STATE].clone();
    let forged = world.person("dan").pushes(REPO, "forged", "trust me", &[("memory.json", Some("{\"version\": 1}\n"))]);
    world.person("dan").deletes_branch(REPO, "forged").unwrap();
    world.person("dan").sets_ref(REPO, STATE, &forged.unwrap()).unwrap();
    stands_still(&world).await;
    insta::assert_snapshot!(world.check("main", "butler/memory").unwrap(), @r"
    failure: butler's memory is not to be trusted

    `refs/butler/state` at `COMMIT` holds people's decisions (holds, declines, what was promoted). It is not believed: the commit carries no seal of butler's.

    Nothing is written to this repository until that is resolved. If nobody meant this, put the last good state back from a clone that has it:

    ```
    git push --force origin COMMIT:refs/butler/state
    ```

    To begin anew, and forget all holds and declines: `butler memory reset OWNER/NAME`, run beside the server.
    ");
    world.person("ann").sets_ref(REPO, STATE, &good).unwrap();
    world.sweep().await;
    assert_eq!(world.tag("development"), "1.9.0");
    world.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_deleted_memory_stops_everything() {
    let (world, _) = proposed().await;
    let good = world.github.refs(REPO)[STATE].clone();
    world.person("dan").deletes_ref(REPO, STATE).unwrap();
    stands_still(&world).await;
    insta::assert_snapshot!(world.check("main", "butler/memory").unwrap(), @r"
    failure: butler's memory is not to be trusted

    `refs/butler/state` holds people's decisions (holds, declines, what was promoted). It is not believed: the ref is gone.

    Nothing is written to this repository until that is resolved. If nobody meant this, put the last good state back from a clone that has it:

    ```
    git push --force origin COMMIT:refs/butler/state
    ```

    To begin anew, and forget all holds and declines: `butler memory reset OWNER/NAME`, run beside the server.
    ");
    world.person("ann").sets_ref(REPO, STATE, &good).unwrap();
    world.sweep().await;
    assert_eq!(world.tag("development"), "1.9.0");
    insta::assert_snapshot!(world.check("main", "butler/memory").unwrap(), @r"
    success: butler's memory is in order again

    Work goes on.
    ");
    world.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_older_memory_put_back_stops_everything() {
    let (world, number) = proposed().await;
    let old = world.github.refs(REPO)[STATE].clone();
    world.comment("dan", number, "/hold production").await;
    world.reply(number);
    let good = world.github.refs(REPO)[STATE].clone();
    world.person("dan").sets_ref(REPO, STATE, &old).unwrap();
    stands_still(&world).await;
    insta::assert_snapshot!(world.check("main", "butler/memory").unwrap(), @r"
    failure: butler's memory is not to be trusted

    `refs/butler/state` at `COMMIT` holds people's decisions (holds, declines, what was promoted). It is not believed: it does not descend from COMMIT, which butler saw last.

    Nothing is written to this repository until that is resolved. If nobody meant this, put the last good state back from a clone that has it:

    ```
    git push --force origin COMMIT:refs/butler/state
    ```

    To begin anew, and forget all holds and declines: `butler memory reset OWNER/NAME`, run beside the server.
    ");
    world.person("ann").sets_ref(REPO, STATE, &good).unwrap();
    world.sweep().await;
    assert_eq!(world.tag("development"), "1.9.0");
    only_pull(&world);
    world.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_memory_that_is_lost_with_the_database_is_missed_where_people_merge() {
    let config = "version: 1\nenvironments:\n  development: {path: deploy/development, update: pull-request}\n";
    let world = World::configured(config).await;
    world.push_image("1.1.0").await;
    world.person("dan").merges_by(REPO, only_pull(&world), Method::Squash).unwrap();
    world.settle().await;
    assert_eq!(world.tag("development"), "1.1.0");
    assert!(world.github.history(REPO, "main").iter().all(|commit| commit.committer.name != world.github.app_login()));
    let good = world.github.refs(REPO)[STATE].clone();
    world.person("dan").deletes_ref(REPO, STATE).unwrap();
    world.store().forget_state(&REPO.parse().unwrap()).await.unwrap();
    stands_still(&world).await;
    insta::assert_snapshot!(world.check("main", "butler/memory").unwrap(), @r"
    failure: butler's memory is not to be trusted

    `refs/butler/state` holds people's decisions (holds, declines, what was promoted). It is not believed: the ref is gone.

    Nothing is written to this repository until that is resolved. If nobody meant this, push the last commit that butler sealed to `refs/butler/state` again (each one's parent is in its history).

    To begin anew, and forget all holds and declines: `butler memory reset OWNER/NAME`, run beside the server.
    ");
    world.person("ann").sets_ref(REPO, STATE, &good).unwrap();
    world.sweep().await;
    assert_eq!(world.pull(only_pull(&world)).lines().next().unwrap().split(' ').next_back(), Some("1.9.0"));
    world.finish().await;
}
