//! A pull request's life: refreshed in place, left alone, closed.

use super::{REPO, World, only_pull, proposed};
use butler::sandbox::github::{Protection, Verdict};
use std::process::Command;

const HEAD: &str = "butler/promote/to-staging";

#[tokio::test(flavor = "multi_thread")]
async fn a_newer_version_refreshes_the_pull_request_in_place() {
    let (world, number) = proposed().await;
    world.push_image("1.2.0").await;
    assert_eq!(world.open_pulls(), [number], "the same one");
    insta::assert_snapshot!(world.pull(number), @r"
    promote(staging): app 1.0.0 -> 1.2.0
    butler/promote/to-staging -> main

    Carries what `development` runs to `staging`.

    | component | image | from | to |
    | --- | --- | --- | --- |
    | `app` | `REGISTRY/acme/app` | `1.0.0` | `1.2.0` |

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
    +          image: REGISTRY/acme/app:1.2.0
    ```

    </details>

    `/merge` merges it when it may be merged, `/hold` stops it, `/status` says where things stand, `/help` lists the rest. Closing it declines these versions.
    ");
    assert_eq!(world.tag_at("butler/promote/to-staging", "staging"), "1.2.0");
    world.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn under_review_a_newer_version_is_only_announced() {
    let (world, number) = proposed().await;
    world.person("dan").reviews(REPO, number, Verdict::Commented, "Why this one?").unwrap();
    world.push_image("1.2.0").await;
    insta::assert_snapshot!(world.reply(number), @"There is something newer: `app 1.0.0 -> 1.2.0`. This pull request stays as it is while it is under review or waits to be merged.");
    assert_eq!(world.tag_at("butler/promote/to-staging", "staging"), "1.1.0");
    world.push_image("1.3.0").await;
    let first = world.reply_id(number);
    insta::assert_snapshot!(world.reply(number), @"There is something newer: `app 1.0.0 -> 1.3.0`. This pull request stays as it is while it is under review or waits to be merged.");
    assert_eq!(world.reply_id(number), first, "one comment, edited");
    world.comment("ann", number, "/merge").await;
    world.reply(number);
    assert_eq!(world.tag("staging"), "1.1.0", "what was reviewed");
    world.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn promoted_by_hand_it_is_closed() {
    let (world, number) = proposed().await;
    world.set_tag("dan", "main", "staging", "1.1.0").await;
    insta::assert_snapshot!(world.reply(number), @"Nothing is left to carry: the target has these versions, or they were declined.");
    let [production] = world.open_pulls()[..] else { panic!("{:?}", world.open_pulls()) };
    assert_ne!(production, number);
    assert_eq!(world.github.branch(REPO, "butler/promote/to-staging"), None);
    // It was butler that closed it: nothing is declined.
    world.set_tag("dan", "main", "staging", "1.0.0").await;
    world.replies(production);
    world.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_persons_commit_on_the_head_stops_butler() {
    let (world, number) = proposed().await;
    let commit = world.push("dan", "butler/promote/to-staging", "notes.md", "By hand\n").await;
    insta::assert_snapshot!(world.reply(number), @"`butler/promote/to-staging` holds a commit that butler does not know as its own, so it leaves this pull request alone. Merge it, or close it and delete the branch: butler then opens a new one.");
    world.push_image("1.2.0").await;
    assert_eq!(world.github.branch(REPO, "butler/promote/to-staging"), Some(commit), "left alone");
    world.comment("ann", number, "/merge").await;
    insta::assert_snapshot!(world.reply(number), @"Not merged: #1: somebody committed to its branch since; butler leaves the merge to people.");
    assert_eq!(world.tag("staging"), "1.0.0", "nobody judged that commit");
    world.person("dan").merges(REPO, number).unwrap();
    world.settle().await;
    assert_eq!(world.tag("staging"), "1.1.0");
    assert!(world.github.branch(REPO, "butler/promote/to-staging").is_some(), "a person's branch is not deleted");
    world.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn update_branch_does_not_count_as_a_persons_commit() {
    let (world, number) = proposed().await;
    world.push("dan", "main", "notes.md", "Unrelated\n").await;
    world.update_branch("dan", number);
    world.settle().await;
    world.silent(number);
    world.push_image("1.2.0").await;
    world.silent(number);
    assert_eq!(world.open_pulls(), [number]);
    assert_eq!(world.tag_at("butler/promote/to-staging", "staging"), "1.2.0");
    world.update_branch("dan", number);
    world.comment("ann", number, "/merge").await;
    world.reply(number);
    assert_eq!(world.tag("staging"), "1.2.0");
    world.finish().await;
}

/// What looks like GitHub's "Update branch", and carries a file more: anybody may set a committer's address.
fn forge_update(world: &World, number: u64, path: &str, text: &str) -> String {
    let (ours, main) = (world.github.branch(REPO, HEAD).unwrap(), world.github.branch(REPO, "main").unwrap());
    let dan = world.person("dan");
    let with_more = world.github.without_webhook(|| {
        dan.updates_branch(REPO, number).unwrap();
        dan.pushes(REPO, HEAD, "More", &[(path, Some(text))]).unwrap()
    });
    let mut git = Command::new("git");
    git.arg("--git-dir").arg(world.github.git_dir(REPO).unwrap());
    git.args(["commit-tree", &format!("{with_more}^{{tree}}"), "-p", &ours, "-p", &main]);
    git.args(["-m", "Merge branch 'main' into butler/promote/to-staging"]);
    for (who, name, email) in [("AUTHOR", "dan", "dan@example.com"), ("COMMITTER", "GitHub", "noreply@github.com")] {
        git.env(format!("GIT_{who}_NAME"), name).env(format!("GIT_{who}_EMAIL"), email);
    }
    let made = git.output().unwrap();
    assert!(made.status.success(), "{made:?}");
    let forged = String::from_utf8(made.stdout).unwrap().trim().to_owned();
    dan.resets(REPO, HEAD, &forged).unwrap();
    forged
}

#[tokio::test(flavor = "multi_thread")]
async fn a_forged_update_branch_is_a_persons_commit() {
    for (path, text) in [("evil.yaml", "kind: Evil\n"), ("deploy/staging/app.yaml", "kind: Evil\n")] {
        let (world, number) = proposed().await;
        world.push("dan", "main", "notes.md", "Unrelated\n").await;
        let forged = forge_update(&world, number, path, text);
        world.settle().await;
        assert!(world.reply(number).contains("holds a commit that butler does not know"), "{path}");
        world.push_image("1.2.0").await;
        assert_eq!(world.github.branch(REPO, HEAD), Some(forged), "{path}: not overwritten");
        world.comment("ann", number, "/merge").await;
        assert!(world.reply(number).starts_with("Not merged: #1: somebody committed to its branch"), "{path}");
        assert_ne!(world.github.file(REPO, "main", path).as_deref(), Some(text));
        assert_eq!(world.open_pulls(), [number]);
        world.finish().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_updated_head_is_deleted_when_its_pull_request_ends() {
    for how in ["/merge", "merged by hand", "closed by hand", "nothing is left"] {
        let (world, number) = proposed().await;
        world.push("dan", "main", "notes.md", "Unrelated\n").await;
        world.update_branch("dan", number);
        match how {
            "/merge" => drop(world.comment("ann", number, "/merge").await),
            "merged by hand" => drop(world.person("dan").merges(REPO, number).unwrap()),
            "closed by hand" => world.person("dan").closes(REPO, number).unwrap(),
            _ => drop(world.set_tag("dan", "main", "staging", "1.1.0").await),
        }
        world.settle().await;
        assert_eq!(world.github.branch(REPO, HEAD), None, "{how}");
        world.push_image("1.2.0").await;
        let pulls = world.github.pulls(REPO);
        let next = pulls.iter().find(|pull| pull.open && pull.pull.as_ref().unwrap().head_ref == HEAD);
        assert!(next.is_some_and(|next| next.number > number), "{how}: the way is free: {pulls:?}");
        for pull in pulls {
            world.replies(pull.number);
        }
        world.finish().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn somebody_elses_pull_request_from_that_head_is_not_adopted() {
    let world = World::new().await;
    let commit = world.push("dan", "butler/promote/to-staging", "mine.md", "Mine\n").await;
    let theirs = world.person("dan").opens(REPO, "butler/promote/to-staging", "main", "Mine").unwrap();
    world.push_image("1.1.0").await;
    assert_eq!(world.open_pulls(), [theirs]);
    assert_eq!(world.github.branch(REPO, "butler/promote/to-staging"), Some(commit));
    world.comment("ann", theirs, "/merge").await;
    world.silent(theirs);
    world.comment("ann", theirs, "/butler merge").await;
    insta::assert_snapshot!(world.reply(theirs), @"Not done: only butler's own pull requests can be merged this way.");
    world.comment("ann", theirs, "/butler status").await;
    insta::assert_snapshot!(world.reply(theirs), @r"
    | component | `development` | `staging` | `production` |
    | --- | --- | --- | --- |
    | `app` | **`1.1.0`**<br>since 2026-03-02 09:00 UTC by COMMIT | **`1.0.0`**<br>since 2026-03-02 09:00 UTC by COMMIT | **`1.0.0`**<br>since 2026-03-02 09:00 UTC by COMMIT |

    **On the way**

    - `development` → `staging`: the branch `butler/promote/to-staging` is not butler's; delete or rename it.
    - `staging` → `production`: nothing to promote: `production` runs what `staging` runs.

    Nothing is held or declined.
    ");
    world.person("dan").closes(REPO, theirs).unwrap();
    world.person("dan").deletes_branch(REPO, "butler/promote/to-staging").unwrap();
    world.settle().await;
    assert_ne!(only_pull(&world), theirs, "the way is free");
    world.finish().await;
}

const AUTO: &str = "version: 1\nenvironments:\n  development: {path: deploy/development}\n";

fn reviewed() -> Protection {
    Protection { required_reviews: Some(1), ..Protection::default() }
}

#[tokio::test(flavor = "multi_thread")]
async fn update_auto_goes_by_pull_request_where_the_branch_is_protected() {
    let world = World::prepared(
        |files| crate::support::world::replace(files, "butler.yaml", AUTO),
        |github| github.protect(REPO, "main", Some(reviewed())).unwrap(),
    )
    .await;
    world.push_image("1.1.0").await;
    assert_eq!(world.tag("development"), "1.0.0");
    let number = only_pull(&world);
    insta::assert_snapshot!(world.pull(number), @r#"
    update(development): flux-system:app REGISTRY/acme/app 1.0.0 -> 1.1.0
    butler/update/development -> main

    Updates `development`. The branch takes no direct commits.

    | component | image | from | to |
    | --- | --- | --- | --- |
    | `app` | `REGISTRY/acme/app` | `1.0.0` | `1.1.0` |

    <details><summary>Diff</summary>

    ```diff
    --- a/deploy/development/app.yaml
    +++ b/deploy/development/app.yaml
    @@ -9,4 +9,4 @@
         spec:
           containers:
             - name: app
    -          image: REGISTRY/acme/app:1.0.0 # {"$imagepolicy": "flux-system:app"}
    +          image: REGISTRY/acme/app:1.1.0 # {"$imagepolicy": "flux-system:app"}
    ```

    </details>

    Merging it is all there is to do. Closing it declines these versions; a newer one opens another.
    "#);
    world.push_image("1.2.0").await;
    assert_eq!(world.open_pulls(), [number]);
    world.person("dan").approves(REPO, number).unwrap();
    world.person("dan").merges(REPO, number).unwrap();
    world.settle().await;
    assert_eq!(world.tag("development"), "1.2.0");
    assert!(world.open_pulls().is_empty());
    world.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_update_that_is_closed_is_declined() {
    let world = World::configured(&AUTO.replace("development}", "development, update: pull-request}")).await;
    world.push_image("1.1.0").await;
    let number = only_pull(&world);
    world.person("dan").closes(REPO, number).unwrap();
    world.settle().await;
    world.later(jiff::SignedDuration::from_mins(30)).await;
    assert!(world.open_pulls().is_empty());
    world.push_image("1.2.0").await;
    insta::assert_snapshot!(world.pull(only_pull(&world)), @r#"
    update(development): flux-system:app REGISTRY/acme/app 1.0.0 -> 1.2.0
    butler/update/development -> main

    Updates `development`. This environment is updated by pull request.

    | component | image | from | to |
    | --- | --- | --- | --- |
    | `app` | `REGISTRY/acme/app` | `1.0.0` | `1.2.0` |

    <details><summary>Diff</summary>

    ```diff
    --- a/deploy/development/app.yaml
    +++ b/deploy/development/app.yaml
    @@ -9,4 +9,4 @@
         spec:
           containers:
             - name: app
    -          image: REGISTRY/acme/app:1.0.0 # {"$imagepolicy": "flux-system:app"}
    +          image: REGISTRY/acme/app:1.2.0 # {"$imagepolicy": "flux-system:app"}
    ```

    </details>

    Merging it is all there is to do. Closing it declines these versions; a newer one opens another.
    "#);
    world.finish().await;
}

/// An update to 1.1.0 that waits in a pull request.
async fn updated_by_pull() -> (World, u64) {
    let world = World::configured(&AUTO.replace("development}", "development, update: pull-request}")).await;
    world.push_image("1.1.0").await;
    let number = only_pull(&world);
    (world, number)
}

#[tokio::test(flavor = "multi_thread")]
async fn an_update_that_is_held_stays_as_it_is() {
    let (world, number) = updated_by_pull().await;
    let head = world.github.branch(REPO, "butler/update/development");
    world.comment("dan", number, "/hold until 3h").await;
    assert!(world.reply(number).starts_with("Held: the updates of `development`"));
    world.push_image("1.2.0").await;
    assert_eq!((world.open_pulls(), world.github.branch(REPO, "butler/update/development")), (vec![number], head));
    world.comment("ann", number, "/merge").await;
    insta::assert_snapshot!(world.reply(number), @"Merging as soon as it may be: #1 stays as it is: the updates of `development` are held by `dan` since 2026-03-02 09:00 UTC, until 2026-03-02 12:00 UTC; `/butler resume development` ends that.");
    assert_eq!(world.tag("development"), "1.0.0");
    world.comment("dan", number, "/resume").await;
    world.replies(number);
    assert_eq!(world.tag("development"), "1.1.0", "what ann asked for");
    for number in world.open_pulls() {
        world.replies(number);
    }
    world.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_update_stays_as_it_is_while_nobody_can_tell_what_it_should_be() {
    let (world, number) = updated_by_pull().await;
    world.registry.away(true);
    world.later(jiff::SignedDuration::from_mins(6)).await;
    world.comment("rita", number, "/status").await;
    assert!(world.reply(number).contains("#1 stays as it is: `tags of REGISTRY/acme/app"), "{}", world.reply(number));
    assert_eq!(world.open_pulls(), [number], "the registry is away");
    world.registry.away(false);
    world.later(jiff::SignedDuration::from_mins(6)).await;
    world.edit("dan", "main", "deploy/policies.yaml", |text| text.replace("range: 1.x", "range: one.x")).await;
    assert_eq!(world.open_pulls(), [number], "the policy cannot be read");
    world.edit("dan", "main", "deploy/policies.yaml", |text| text.replace("range: one.x", "range: 1.0.x")).await;
    assert!(world.open_pulls().is_empty(), "the line is as its policy wants it");
    world.reply(number);
    world.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_promotion_stays_as_it_is_while_nobody_can_tell_what_it_should_be() {
    let (world, number) = proposed().await;
    let head = world.github.branch(REPO, HEAD);
    world
        .edit("dan", "main", "deploy/development/app.yaml", |text| text.replace("/acme/app:1.1.0", "/acme/other:7"))
        .await;
    assert_eq!((world.open_pulls(), world.github.branch(REPO, HEAD)), (vec![number], head));
    world.set_tag("dan", "main", "staging", "1.1.0").await;
    assert!(!world.open_pulls().contains(&number), "the target has it");
    world.reply(number);
    world.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn update_commit_on_a_protected_branch_says_what_to_do() {
    let config = AUTO.replace("development}", "development, update: commit}");
    let world = World::prepared(
        |files| crate::support::world::replace(files, "butler.yaml", &config),
        |github| github.protect(REPO, "main", Some(reviewed())).unwrap(),
    )
    .await;
    world.push_image("1.1.0").await;
    assert_eq!(world.tag("development"), "1.0.0");
    assert!(world.open_pulls().is_empty());
    insta::assert_snapshot!(world.check("main", "butler/update").unwrap(), @r"
    failure: main takes no direct commits

    - Environment `development` says `update: commit`, but `main` refuses butler's push: `hook declined: error: GH006: Protected branch update failed for refs/heads/main. error: Changes must be made through a pull request. error: hook declined to update refs/heads/main`. Let the App push there, or set `update: auto` or `update: pull-request`.
    ");
    world.github.protect(REPO, "main", None).unwrap();
    world.sweep().await;
    assert_eq!(world.tag("development"), "1.1.0");
    world.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_downgrade_is_a_pull_request_that_says_so() {
    let world = World::configured(AUTO).await;
    world.push_image("1.1.0").await;
    assert_eq!(world.tag("development"), "1.1.0");
    world.registry.remove_tag("acme/app", "1.1.0");
    world.sweep().await;
    world.later(jiff::SignedDuration::from_mins(6)).await;
    assert_eq!(world.tag("development"), "1.1.0");
    insta::assert_snapshot!(world.pull(only_pull(&world)), @r#"
    update(development): flux-system:app REGISTRY/acme/app 1.1.0 -> 1.0.0
    butler/update/development -> main

    Updates `development`. A downgrade is never committed without a person's word.

    | component | image | from | to |
    | --- | --- | --- | --- |
    | `app` | `REGISTRY/acme/app` | `1.1.0` | `1.0.0` |

    > **Downgrade**: `app` goes `1.1.0 -> 1.0.0` (`deploy/development/app.yaml:12`), since `` 1.0.0 is the only version in `1.x` ``.

    <details><summary>Diff</summary>

    ```diff
    --- a/deploy/development/app.yaml
    +++ b/deploy/development/app.yaml
    @@ -9,4 +9,4 @@
         spec:
           containers:
             - name: app
    -          image: REGISTRY/acme/app:1.1.0 # {"$imagepolicy": "flux-system:app"}
    +          image: REGISTRY/acme/app:1.0.0 # {"$imagepolicy": "flux-system:app"}
    ```

    </details>

    Merging it is all there is to do. Closing it declines these versions; a newer one opens another.
    "#);
    world.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn downgrades_can_be_denied() {
    let world = World::configured(&format!("{AUTO}updates: {{downgrade: deny}}\n")).await;
    world.push_image("1.1.0").await;
    world.registry.remove_tag("acme/app", "1.1.0");
    world.later(jiff::SignedDuration::from_mins(6)).await;
    assert_eq!(world.tag("development"), "1.1.0");
    assert!(world.open_pulls().is_empty());
    insta::assert_snapshot!(world.check("main", "butler/update").unwrap(), @r"
    neutral: deploy/development/app.yaml:12:18: REGISTRY/acme/app:1.0.0 is lower than REGISTRY/acme/app:1.1.0; `updates.downgrade: deny`

    - `deploy/development/app.yaml:12:18` in `development` (`flux-system:app`): `` REGISTRY/acme/app:1.0.0 is lower than REGISTRY/acme/app:1.1.0; `updates.downgrade: deny` ``
    ");
    world.finish().await;
}
