//! Promotions between branches, by commit, and to several environments.

use super::{REPO, World, only_pull};
use crate::support::world::replace;

const BRANCHES: &str = "\
version: 1
environments:
  development: {branch: development, path: deploy/development}
  staging: {path: deploy/staging, update: none}
promotions:
  - name: to-staging
    from: development
    to: staging
    pull-request: {labels: [promotion, 'needs care'], reviewers: {users: [dan]}}
";

#[tokio::test(flavor = "multi_thread")]
async fn from_the_development_branch_to_main() {
    let world = World::prepared(
        |files| replace(files, "butler.yaml", BRANCHES),
        |github| {
            let main = github.branch(REPO, "main").unwrap();
            github.person("ann").resets(REPO, "development", &main).unwrap();
        },
    )
    .await;
    world.push_image("1.1.0").await;
    assert_eq!(
        (world.tag_at("development", "development"), world.tag("development")),
        ("1.1.0".into(), "1.0.0".into())
    );
    let number = only_pull(&world);
    insta::assert_snapshot!(world.pull(number), @r"
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
    let issue = world.github.issue(REPO, number).unwrap();
    assert_eq!(issue.labels.iter().collect::<Vec<_>>(), ["needs care", "promotion"]);
    let asked = issue.pull.unwrap().requested_reviewers;
    insta::assert_snapshot!(asked.into_iter().collect::<Vec<_>>().join(" "), @"dan");
    world.comment("ann", number, "/merge").await;
    insta::assert_snapshot!(world.reply(number), @"Merged as COMMIT.");
    assert_eq!(world.tag("staging"), "1.1.0");
    assert_eq!(world.tag("development"), "1.0.0", "the development branch is not merged");
    world.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn by_commit_when_somebody_says_so() {
    let config = "\
version: 1
environments:
  development: {path: deploy/development}
  staging: {path: deploy/staging, update: none}
promotions:
  - {name: to-staging, from: development, to: staging, write: commit, open: command}
";
    let world = World::configured(config).await;
    world.push_image("1.1.0").await;
    assert_eq!((world.tag("staging"), world.open_pulls()), ("1.0.0".into(), vec![]));
    let issue = world.person("dan").opens_issue(REPO, "Release").unwrap();
    world.comment("rita", issue, "/butler promote").await;
    insta::assert_snapshot!(world.reply(issue), @"Not done: this takes `write` permission on the repository, and you have `read`; whoever has that role or a higher one may.");
    world.comment("rita", issue, "/butler status").await;
    insta::assert_snapshot!(world.reply(issue), @r"
    | component | `development` | `staging` |
    | --- | --- | --- |
    | `app` | **`1.1.0`**<br>since 2026-03-02 09:00 UTC by COMMIT | **`1.0.0`**<br>since 2026-03-02 09:00 UTC by COMMIT |

    **On the way**

    - `development` → `staging`: waits for `/promote`: `app 1.0.0 -> 1.1.0`.

    Nothing is held or declined.
    ");
    world.comment("dan", issue, "/butler promote").await;
    insta::assert_snapshot!(world.reply(issue), @"- `development` → `staging`: committed as COMMIT: `app 1.0.0 -> 1.1.0`.");
    assert_eq!(world.tag("staging"), "1.1.0");
    insta::assert_snapshot!(world.message("main"), @r"
    promote(staging): app 1.0.0 -> 1.1.0

    Butler-Image: REGISTRY/acme/app:1.1.0
    Butler-Object: Deployment/staging/app
    Butler-Promotion: to-staging
    Butler-Source-Commit: COMMIT
    Butler-Base-Commit: COMMIT
    Butler-Plan: PLAN
    Butler-Requested-By: dan
    ");
    world.push_image("1.2.0").await;
    assert_eq!(world.tag("staging"), "1.1.0", "a command is carried out once");
    world.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn by_commit_as_soon_as_the_source_has_it() {
    let config = "\
version: 1
environments:
  development: {path: deploy/development}
  staging: {path: deploy/staging, update: none}
promotions:
  - {name: to-staging, from: development, to: staging, write: commit}
";
    let world = World::configured(config).await;
    world.push_image("1.1.0").await;
    assert_eq!(world.tag("staging"), "1.1.0");
    // Set back by hand: declined, as an update would be.
    world.set_tag("dan", "main", "staging", "1.0.0").await;
    world.later(jiff::SignedDuration::from_mins(30)).await;
    assert_eq!(world.tag("staging"), "1.0.0");
    world.push_image("1.2.0").await;
    assert_eq!(world.tag("staging"), "1.2.0");
    world.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn one_promotion_to_two_environments() {
    let config = "\
version: 1
environments:
  development: {path: deploy/development}
  staging: {path: deploy/staging, update: none}
  production: {path: deploy/production, update: none}
promotions:
  - {name: out, from: development, to: [staging, production]}
";
    let world = World::configured(config).await;
    world.push_image("1.1.0").await;
    let open = world.open_pulls();
    let heads: Vec<_> = open.iter().map(|n| world.github.issue(REPO, *n).unwrap().pull.unwrap().head_ref).collect();
    insta::assert_snapshot!(heads.join("\n"), @r"
    butler/promote/out/development-staging
    butler/promote/out/development-production
    ");
    let [staging, production] = open[..] else { panic!("{open:?}") };
    world.comment("ann", staging, "/merge").await;
    world.reply(staging);
    assert_eq!((world.tag("staging"), world.tag("production")), ("1.1.0".into(), "1.0.0".into()));
    world.person("dan").closes(REPO, production).unwrap();
    world.settle().await;
    world.comment("dan", production, "/butler promote production").await;
    insta::assert_snapshot!(world.reply(production), @"- `development` → `production`: #3 is open: `app 1.0.0 -> 1.1.0`.");
    world.finish().await;
}
