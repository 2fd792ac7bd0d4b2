//! Promotions between branches, by commit, and to several environments; and what becomes of their head branches.

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
    butler/promote/out+development+staging
    butler/promote/out+development+production
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

/// Three environments, and these promotions.
fn promoting(promotions: &str) -> String {
    format!(
        "\
version: 1
environments:
  development: {{path: deploy/development}}
  staging: {{path: deploy/staging, update: none}}
  production: {{path: deploy/production, update: none}}
promotions: [{promotions}]
"
    )
}

/// The open pull requests: number and head.
fn open_heads(world: &World) -> Vec<(u64, String)> {
    let open = world.github.pulls(REPO).into_iter().filter(|issue| issue.open);
    open.map(|issue| (issue.number, issue.pull.unwrap().head_ref)).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_promotion_may_get_a_second_target_and_lose_it() {
    let one = promoting("{name: out, from: development, to: staging}");
    let world = World::configured(&one).await;
    world.push_image("1.1.0").await;
    assert_eq!(open_heads(&world), [(1, "butler/promote/out".to_owned())]);
    let two = promoting("{name: out, from: development, to: [staging, production]}");
    world.push("dan", "main", "butler.yaml", &two).await;
    insta::assert_snapshot!(world.reply(1), @"Closed: butler.yaml has no promotion or update for `butler/promote/out` any more. No version is declined by that.");
    let (staging, production) = ("butler/promote/out+development+staging", "butler/promote/out+development+production");
    assert_eq!(open_heads(&world), [(2, staging.to_owned()), (3, production.to_owned())]);
    world.push("dan", "main", "butler.yaml", &one).await;
    assert_eq!(open_heads(&world), [(4, "butler/promote/out".to_owned())], "nothing was declined");
    for closed in [2, 3] {
        assert!(world.reply(closed).starts_with("Closed: "));
    }
    assert_eq!((world.github.branch(REPO, staging), world.github.branch(REPO, production)), (None, None));
    world.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_pull_request_that_butler_yaml_has_no_place_for_is_closed() {
    let both =
        "{name: to-staging, from: development, to: staging}, {name: to-production, from: development, to: production}";
    let before = promoting(both);
    let renamed = promoting(&both.replace("name: to-staging", "name: stage"));
    let by_commit = promoting(&both.replace("to: staging}", "to: staging, write: commit}"));
    for (what, after, next) in [
        ("removed", promoting("{name: to-production, from: development, to: production}"), None),
        ("renamed", renamed, Some("butler/promote/stage")),
        ("by commit", by_commit, None),
    ] {
        let world = World::configured(&before).await;
        world.push_image("1.1.0").await;
        world.push("dan", "main", "butler.yaml", &after).await;
        assert!(world.reply(1).starts_with("Closed: butler.yaml has no promotion"), "{what}");
        assert_eq!(world.github.branch(REPO, "butler/promote/to-staging"), None, "{what}");
        let heads: Vec<String> = open_heads(&world).into_iter().map(|(_, head)| head).collect();
        let expected = ["butler/promote/to-production"].into_iter().chain(next);
        assert_eq!(heads, expected.collect::<Vec<_>>(), "{what}");
        // Nothing was declined: the promotion comes back with its name.
        if what == "removed" {
            world.push("dan", "main", "butler.yaml", &before).await;
            assert_eq!(open_heads(&world)[1], (3, "butler/promote/to-staging".to_owned()));
        }
        world.finish().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn one_that_a_person_committed_to_is_left_to_people() {
    let config = promoting("{name: to-staging, from: development, to: staging}");
    let world = World::configured(&config).await;
    world.push_image("1.1.0").await;
    let number = only_pull(&world);
    world.push("dan", "butler/promote/to-staging", "notes.md", "By hand\n").await;
    world.reply(number);
    world.push("dan", "main", "butler.yaml", &promoting("")).await;
    insta::assert_snapshot!(world.reply(number), @"butler.yaml has no promotion or update for `butler/promote/to-staging` any more. It holds a commit that butler does not know as its own, so this pull request is left to you: merge it, or close it.");
    assert_eq!(world.open_pulls(), [number]);
    world.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_update_that_is_not_butlers_any_more_is_closed() {
    let config = "version: 1\nenvironments:\n  development: {path: deploy/development, update: pull-request}\n";
    let world = World::configured(config).await;
    world.push_image("1.1.0").await;
    let number = only_pull(&world);
    world.push("dan", "main", "butler.yaml", &config.replace("pull-request", "none")).await;
    assert!(world.reply(number).starts_with("Closed: "));
    assert_eq!((world.open_pulls(), world.github.branch(REPO, "butler/update/development")), (vec![], None));
    world.push("dan", "main", "butler.yaml", config).await;
    assert_eq!(only_pull(&world), number + 1, "nothing was declined");
    world.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_branch_in_the_way_of_a_head_stops_that_promotion_alone() {
    for other in ["butler/promote/to-staging/mine", "butler/promote"] {
        let config = promoting(
            "{name: to-staging, from: development, to: staging}, {name: elsewhere, from: development, to: production, write: commit}",
        );
        let world = World::configured(&config).await;
        world.push("dan", other, "mine.md", "Mine\n").await;
        world.push_image("1.1.0").await;
        assert_eq!((world.tag("production"), world.open_pulls()), ("1.1.0".into(), vec![]), "{other}");
        let said = world.check("main", "butler/update").unwrap();
        let expected = format!("git cannot hold it beside `{other}`. Delete or rename that branch");
        assert!(said.starts_with("failure: ") && said.contains(&expected), "{said}");
        world.person("dan").deletes_branch(REPO, other).unwrap();
        world.settle().await;
        assert_eq!(open_heads(&world), [(1, "butler/promote/to-staging".to_owned())]);
        world.finish().await;
    }
}
