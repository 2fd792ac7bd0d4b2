//! The circuit breaker: a line that changes too often is left alone, and people hear of it.

use super::{REPO, World};
use jiff::SignedDuration;

#[tokio::test(flavor = "multi_thread")]
async fn a_line_that_is_updated_too_often_is_told_and_goes_on_by_itself() {
    let world = World::configured(
        "version: 1\nenvironments:\n  development: {path: deploy/development}\nupdates: {quiet: 1s, at-most: 10s}\n",
    )
    .await;
    for patch in 1..=7 {
        world.later(SignedDuration::from_mins(1)).await;
        world.push_image(&format!("1.0.{patch}")).await;
    }
    assert_eq!(world.tag("development"), "1.0.6", "the seventh change is one too many");
    insta::assert_snapshot!(world.check("main", "butler/update").unwrap(), @r"
    failure: deploy/development/app.yaml:12:18: 6 automatic changes of this line within an hour, since 2026-03-02 09:01 UTC; it goes on by itself at 2026-03-02 10:01 UTC (do builds commit, or commits build?)

    - `deploy/development/app.yaml:12:18` in `development` (`flux-system:app`): `6 automatic changes of this line within an hour, since 2026-03-02 09:01 UTC; it goes on by itself at 2026-03-02 10:01 UTC (do builds commit, or commits build?)`
    ");
    let issue = world.person("rita").opens_issue(REPO, "Where is 1.0.7?").unwrap();
    world.comment("rita", issue, "/butler status").await;
    insta::assert_snapshot!(world.reply(issue), @r"
    | component | `development` |
    | --- | --- |
    | `app` | **`1.0.6`**<br>since 2026-03-02 09:06 UTC by COMMIT |

    **On the way**

    Nothing: butler.yaml names no promotions.

    **Held or declined**

    - `app` in `development` (`deploy/development/app.yaml:12:18`) is stopped by the circuit breaker: `6 automatic changes of this line within an hour, since 2026-03-02 09:01 UTC; it goes on by itself at 2026-03-02 10:01 UTC (do builds commit, or commits build?)`.
    ");

    world.later(SignedDuration::from_mins(55)).await;
    assert_eq!(world.tag("development"), "1.0.7");
    let tip = world.github.branch(REPO, "main").unwrap();
    let checks = world.github.checks(REPO, &tip);
    assert!(checks.iter().all(|check| check.name != "butler/update"), "nothing is wrong with it");
    world.comment("rita", issue, "/butler status").await;
    assert!(world.reply(issue).ends_with("Nothing is held or declined."));
    world.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_line_that_is_promoted_too_often_by_commits_is_told() {
    let config = "\
version: 1
environments:
  development: {path: deploy/development, update: none}
  staging: {path: deploy/staging, update: none}
promotions:
  - {name: to-staging, from: development, to: staging, write: commit}
";
    let world = World::configured(config).await;
    for patch in 1..=7 {
        world.set_tag("dan", "main", "development", &format!("1.0.{patch}")).await;
    }
    assert_eq!(world.tag("staging"), "1.0.6", "the seventh change is one too many");
    insta::assert_snapshot!(world.check("main", "butler/update").unwrap(), @r"
    failure: deploy/staging/app.yaml:12:18: 6 automatic changes of this line within an hour, since 2026-03-02 09:00 UTC; it goes on by itself at 2026-03-02 10:00 UTC (do builds commit, or commits build?)

    - `deploy/staging/app.yaml:12:18` in `staging`: `6 automatic changes of this line within an hour, since 2026-03-02 09:00 UTC; it goes on by itself at 2026-03-02 10:00 UTC (do builds commit, or commits build?)`
    ");
    let issue = world.person("rita").opens_issue(REPO, "Where is 1.0.7?").unwrap();
    world.comment("rita", issue, "/butler status").await;
    insta::assert_snapshot!(world.reply(issue), @r"
    | component | `development` | `staging` |
    | --- | --- | --- |
    | `app` | **`1.0.7`**<br>since 2026-03-02 09:02 UTC by COMMIT | **`1.0.6`**<br>since 2026-03-02 09:01 UTC by COMMIT |

    **On the way**

    - `development` → `staging`: nothing to promote: `6 automatic changes of this line within an hour, since 2026-03-02 09:00 UTC; it goes on by itself at 2026-03-02 10:00 UTC (do builds commit, or commits build?)`.

    **Held or declined**

    - `app` in `staging` (`deploy/staging/app.yaml:12:18`) is stopped by the circuit breaker: `6 automatic changes of this line within an hour, since 2026-03-02 09:00 UTC; it goes on by itself at 2026-03-02 10:00 UTC (do builds commit, or commits build?)`.
    ");
    // A person's word is no automatic change.
    world.comment("dan", issue, "/butler promote to staging").await;
    insta::assert_snapshot!(world.reply(issue), @"- `development` → `staging`: committed as COMMIT: `app 1.0.6 -> 1.0.7`.");
    assert_eq!(world.tag("staging"), "1.0.7");
    world.finish().await;
}
