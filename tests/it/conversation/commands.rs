//! What people say to butler, and what it answers.

use super::{REPO, World, only_pull, proposed};
use jiff::SignedDuration;

#[tokio::test(flavor = "multi_thread")]
async fn a_merge_takes_permission() {
    let (world, number) = proposed().await;
    let before = world.github.refs(REPO);

    let said = world.comment("dan", number, "/merge").await;
    insta::assert_snapshot!(world.reply(number), @"Not done: this takes `maintain` permission on the repository, and you have `write`; whoever has that role or a higher one may.");
    assert_eq!(world.reactions(number, said), ["eyes", "confused"]);

    let said = world.comment("rita", number, "/merge").await;
    insta::assert_snapshot!(world.reply(number), @"Not done: this takes `maintain` permission on the repository, and you have `read`; whoever has that role or a higher one may.");
    assert_eq!(world.reactions(number, said), ["eyes", "confused"]);

    world.github.make_public(REPO).unwrap();
    let said = world.comment("stranger", number, "/merge").await;
    insta::assert_snapshot!(world.reply(number), @"Not done: this takes `maintain` permission on the repository, and you have `read`; whoever has that role or a higher one may.");
    assert_eq!(world.reactions(number, said), ["eyes", "confused"]);

    assert_eq!(world.open_pulls(), [number]);
    assert_eq!(world.tag("staging"), "1.0.0");
    let branches = |refs: std::collections::BTreeMap<String, String>| -> Vec<_> {
        refs.into_iter().filter(|(name, _)| name.starts_with("refs/heads/")).collect()
    };
    assert_eq!(branches(world.github.refs(REPO)), branches(before), "no branch moved");
    world.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_no_command_gets_no_answer() {
    let (world, number) = proposed().await;
    let other = {
        world.push("dan", "feature", "README.md", "Feature\n").await;
        world.person("dan").opens(REPO, "feature", "main", "A feature").unwrap()
    };
    world.settle().await;
    let before = world.written();
    let asked = world.person("ann").comments(REPO, number, "I wonder").unwrap();
    world.person("ann").edits_comment(REPO, asked, "/merge").unwrap();
    let mut said = vec![asked];
    for text in ["> /merge", "```\n/merge\n```", "    /merge", "`/merge`", "<!-- /merge -->", "please /merge", "/lgtm"]
    {
        said.push(world.person("ann").comments(REPO, number, text).unwrap());
    }
    said.push(world.person("renovate[bot]").comments(REPO, number, "/merge").unwrap_or_default());
    world.settle().await;
    for comment in said.into_iter().filter(|comment| *comment != 0) {
        assert_eq!(world.reactions(number, comment), [""; 0]);
    }
    world.silent(number);
    // On somebody else's pull request the bare command is somebody else's.
    let bare = world.comment("ann", other, "/status").await;
    world.silent(other);
    assert_eq!(world.reactions(other, bare), [""; 0]);
    assert!(world.written().starts_with(before.split("\n[").next().unwrap()), "no ref moved");
    world.comment("ann", other, "/butler status").await;
    insta::assert_snapshot!(world.reply(other), @r"
    | component | `development` | `staging` | `production` |
    | --- | --- | --- | --- |
    | `app` | **`1.1.0`**<br>since 2026-03-02 09:00 UTC by COMMIT | **`1.0.0`**<br>since 2026-03-02 09:00 UTC by COMMIT | **`1.0.0`**<br>since 2026-03-02 09:00 UTC by COMMIT |

    **On the way**

    - `development` → `staging`: #1 is open: `app 1.0.0 -> 1.1.0`.
    - `staging` → `production`: nothing to promote: `production` runs what `staging` runs.

    Nothing is held or declined.
    ");
    world.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn commands_on_an_issue() {
    let world = World::configured(COMMAND_ONLY).await;
    world.push_image("1.1.0").await;
    assert!(world.open_pulls().is_empty(), "it waits to be asked");
    let issue = world.person("dan").opens_issue(REPO, "Release 1.1.0").unwrap();
    world.comment("dan", issue, "Let us have it.\n\n/butler promote staging\n").await;
    insta::assert_snapshot!(world.reply(issue), @"- `development` → `staging`: #2 is open: `app 1.0.0 -> 1.1.0`.");
    let number = only_pull(&world);
    insta::assert_snapshot!(world.pull(number), @r"
    promote(staging): app 1.0.0 -> 1.1.0
    butler/promote/to-staging -> main

    Carries what `development` runs to `staging`.

    | component | image | from | to |
    | --- | --- | --- | --- |
    | `app` | `REGISTRY/acme/app` | `1.0.0` | `1.1.0` |

    From `development` at `COMMIT`, planned on `COMMIT`, asked for by `dan`.

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
    Butler-Requested-By: dan
    ");
    world.finish().await;
}

const COMMAND_ONLY: &str = "\
version: 1
environments:
  development: {path: deploy/development}
  staging: {path: deploy/staging, update: none}
promotions:
  - {name: to-staging, from: development, to: staging, open: command}
";

#[tokio::test(flavor = "multi_thread")]
async fn a_slip_gets_the_nearest_command() {
    let (world, number) = proposed().await;
    let said = world.comment("rita", number, "/butler mrege").await;
    insta::assert_snapshot!(world.reply(number), @"Not done: there is no command `mrege`; did you mean `/merge`?");
    assert_eq!(world.reactions(number, said), ["eyes", "confused"]);
    world.comment("dan", number, "/hold stagin").await;
    insta::assert_snapshot!(world.reply(number), @"Not done: `stagin` is neither an environment nor a component here (did you mean `staging`?); there are the environments `development`, `staging`, `production` and the component `app`; a reason goes behind a name or `all`, or as several words.");
    world.comment("dan", number, "/promote to produktion").await;
    insta::assert_snapshot!(world.reply(number), @"Not done: `produktion` is no environment here (did you mean `production`?); there are the environments `development`, `staging`, `production`.");
    world.comment("dan", number, "/promote to staging 1.0.0").await;
    insta::assert_snapshot!(world.reply(number), @"Not done: choosing a version (`1.0.0`) is not available in this version of butler; it promotes what the source runs.");
    world.comment("ann", number, "/rollback app staging").await;
    insta::assert_snapshot!(world.reply(number), @"Not done: rollback is not available in this version; available:‍ promote, merge, hold, resume, status, help; `rollback <component> <env> [to <version>]`.");
    world.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_hold_stops_updates_and_promotions_until_it_ends() {
    let (world, number) = proposed().await;
    world.comment("dan", number, "/hold app staging until 2h waiting for QA").await;
    insta::assert_snapshot!(world.reply(number), @"Held: `app` in `staging`, by `dan` since 2026-03-02 09:00 UTC, until 2026-03-02 11:00 UTC (waiting for QA). butler updates and promotes nothing there. `/butler resume app staging` ends that.");
    world.push_image("1.2.0").await;
    assert_eq!(world.tag("development"), "1.2.0", "development is not held");
    assert_eq!(world.open_pulls(), [number], "it waits as it is");
    assert_eq!(world.tag_at("butler/promote/to-staging", "staging"), "1.1.0");
    world.comment("rita", number, "/status").await;
    insta::assert_snapshot!(world.reply(number), @r"
    | component | `development` | `staging` | `production` |
    | --- | --- | --- | --- |
    | `app` | **`1.2.0`**<br>since 2026-03-02 09:00 UTC by COMMIT | **`1.0.0`**<br>since 2026-03-02 09:00 UTC by COMMIT | **`1.0.0`**<br>since 2026-03-02 09:00 UTC by COMMIT |

    **On the way**

    - `development` → `staging`: #1 stays as it is: `app` in `staging` is held by `dan` since 2026-03-02 09:00 UTC, until 2026-03-02 11:00 UTC (waiting for QA); `/butler resume app staging` ends that.
    - `staging` → `production`: nothing to promote: `production` runs what `staging` runs.

    **Held or declined**

    - `app` in `staging` is held by `dan` since 2026-03-02 09:00 UTC, until 2026-03-02 11:00 UTC (waiting for QA); `/butler resume app staging` ends that.
    ");

    world.later(SignedDuration::from_hours(2)).await;
    assert_eq!(world.open_pulls(), [number]);
    assert_eq!(world.tag_at("butler/promote/to-staging", "staging"), "1.2.0", "the hold is over");

    world.comment("dan", number, "/hold development").await;
    insta::assert_snapshot!(world.reply(number), @"Held: everything in `development`, by `dan` since 2026-03-02 11:00 UTC. butler updates and promotes nothing there. `/butler resume development` ends that.");
    world.push_image("1.3.0").await;
    assert_eq!(world.tag("development"), "1.2.0");
    world.comment("dan", number, "/resume staging").await;
    insta::assert_snapshot!(world.reply(number), @"Not done: nothing is held or declined for everything in `staging`.");
    world.comment("dan", number, "/resume development").await;
    insta::assert_snapshot!(world.reply(number), @r"
    Resumed: everything in `development`.

    - No longer held: everything in `development`, by `dan` since 2026-03-02 11:00 UTC.

    Now:

    - `development` → `staging`: #1 is open: `app 1.0.0 -> 1.3.0`.
    ");
    assert_eq!(world.tag("development"), "1.3.0");
    world.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_hold_stops_a_merge_as_well() {
    let (world, number) = proposed().await;
    world.comment("dan", number, "/hold staging release freeze").await;
    world.reply(number);
    let said = world.comment("ann", number, "/merge").await;
    insta::assert_snapshot!(world.reply(number), @"Merging as soon as it may be: #1 stays as it is: everything in `staging` is held by `dan` since 2026-03-02 09:00 UTC (release freeze); `/butler resume staging` ends that.");
    assert_eq!(world.reactions(number, said), ["eyes", "rocket"]);
    assert_eq!(world.tag("staging"), "1.0.0");
    // The pull request itself is not held: what is, and the word that ends it, is said.
    world.comment("dan", number, "/resume").await;
    insta::assert_snapshot!(world.reply(number), @"Not done: nothing is held or declined for the promotion from `development` to `staging`; everything in `staging` is held by `dan` since 2026-03-02 09:00 UTC (release freeze); `/butler resume staging` ends that.");
    assert_eq!(world.tag("staging"), "1.0.0");
    world.comment("dan", number, "/resume staging").await;
    insta::assert_snapshot!(world.replies(number).join("\n---\n"), @r"
    Merged as COMMIT.
    ---
    Resumed: everything in `staging`.

    - No longer held: everything in `staging`, by `dan` since 2026-03-02 09:00 UTC (release freeze).

    Now:

    - `development` → `staging`: #1 was merged as COMMIT, as `ann` asked.
    - `staging` → `production`: nothing to promote: `production` runs what `staging` runs.
    ");
    assert_eq!(world.tag("staging"), "1.1.0");
    world.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn help_says_what_a_person_may() {
    let (world, number) = proposed().await;
    world.comment("rita", number, "/help").await;
    insta::assert_snapshot!(world.reply(number), @r"
    | command | does | takes |
    | --- | --- | --- |
    | `/promote [component…] [to <env>] [version]` | open or refresh a promotion | write (not you) |
    | `/merge` | merge this pull request, or say what is missing | maintain (not you) |
    | `/hold [component] [env] [until <when>] [reason]` | stop this pull request's promotion; or a component, an environment, `all` | write (not you) |
    | `/resume [component] [env]` | end what `hold` stopped, or take a declined version after all | write (not you) |
    | `/status` | what runs where since when, what is on the way, what is held | read |
    | `/help` | list what you may do here | read |

    On other pull requests and issues, begin with `/butler`: `/butler status`. `<when>` is `2h`, `3d`, `2026-12-24` or `2026-12-24T18:00Z`.
    ");
    world.comment("dan", number, "/butler").await;
    insta::assert_snapshot!(world.reply(number), @r"
    | command | does | takes |
    | --- | --- | --- |
    | `/promote [component…] [to <env>] [version]` | open or refresh a promotion | write |
    | `/merge` | merge this pull request, or say what is missing | maintain (not you) |
    | `/hold [component] [env] [until <when>] [reason]` | stop this pull request's promotion; or a component, an environment, `all` | write |
    | `/resume [component] [env]` | end what `hold` stopped, or take a declined version after all | write |
    | `/status` | what runs where since when, what is on the way, what is held | read |
    | `/help` | list what you may do here | read |

    On other pull requests and issues, begin with `/butler`: `/butler status`. `<when>` is `2h`, `3d`, `2026-12-24` or `2026-12-24T18:00Z`.
    ");
    world.comment("ann", number, "/butler help").await;
    insta::assert_snapshot!(world.reply(number), @r"
    | command | does | takes |
    | --- | --- | --- |
    | `/promote [component…] [to <env>] [version]` | open or refresh a promotion | write |
    | `/merge` | merge this pull request, or say what is missing | maintain |
    | `/hold [component] [env] [until <when>] [reason]` | stop this pull request's promotion; or a component, an environment, `all` | write |
    | `/resume [component] [env]` | end what `hold` stopped, or take a declined version after all | write |
    | `/status` | what runs where since when, what is on the way, what is held | read |
    | `/help` | list what you may do here | read |

    On other pull requests and issues, begin with `/butler`: `/butler status`. `<when>` is `2h`, `3d`, `2026-12-24` or `2026-12-24T18:00Z`.
    ");
    world.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn several_commands_get_one_reply() {
    let (world, number) = proposed().await;
    let said = world.comment("dan", number, "/hold production\nand then\n/merge\n/status").await;
    insta::assert_snapshot!(world.reply(number), @r"
    `/hold production`

    Held: everything in `production`, by `dan` since 2026-03-02 09:00 UTC. butler updates and promotes nothing there. `/butler resume production` ends that.

    `/merge`

    Not done: this takes `maintain` permission on the repository, and you have `write`; whoever has that role or a higher one may.

    `/status`

    | component | `development` | `staging` | `production` |
    | --- | --- | --- | --- |
    | `app` | **`1.1.0`**<br>since 2026-03-02 09:00 UTC by COMMIT | **`1.0.0`**<br>since 2026-03-02 09:00 UTC by COMMIT | **`1.0.0`**<br>since 2026-03-02 09:00 UTC by COMMIT |

    **On the way**

    - `development` → `staging`: #1 is open: `app 1.0.0 -> 1.1.0`.
    - `staging` → `production`: nothing to promote: `production` runs what `staging` runs.

    **Held or declined**

    - everything in `production` is held by `dan` since 2026-03-02 09:00 UTC; `/butler resume production` ends that.
    ");
    assert_eq!(world.reactions(number, said), ["eyes", "confused"]);
    assert_eq!(world.tag("staging"), "1.0.0");
    world.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_environment_may_ask_for_more() {
    let config = "\
version: 1
environments:
  development: {path: deploy/development}
  staging: {path: deploy/staging, update: none, protect: {commands: {hold: [maintain], status: [write]}}}
promotions:
  - {name: to-staging, from: development, to: staging}
";
    let world = World::configured(config).await;
    world.push_image("1.1.0").await;
    let number = only_pull(&world);
    world.comment("dan", number, "/hold staging").await;
    insta::assert_snapshot!(world.reply(number), @"Not done: this takes `maintain` permission on the repository, and you have `write`; whoever has that role or a higher one may.");
    world.comment("rita", number, "/status").await;
    insta::assert_snapshot!(world.reply(number), @"Not done: this takes `write` permission on the repository, and you have `read`; whoever has that role or a higher one may.");
    world.comment("rita", number, "/help").await;
    insta::assert_snapshot!(world.reply(number), @r"
    | command | does | takes |
    | --- | --- | --- |
    | `/promote [component…] [to <env>] [version]` | open or refresh a promotion | write (not you) |
    | `/merge` | merge this pull request, or say what is missing | maintain (not you) |
    | `/hold [component] [env] [until <when>] [reason]` | stop this pull request's promotion; or a component, an environment, `all` | maintain (not you) |
    | `/resume [component] [env]` | end what `hold` stopped, or take a declined version after all | write (not you) |
    | `/status` | what runs where since when, what is on the way, what is held | write (not you) |
    | `/help` | list what you may do here | read |

    On other pull requests and issues, begin with `/butler`: `/butler status`. `<when>` is `2h`, `3d`, `2026-12-24` or `2026-12-24T18:00Z`.
    ");
    world.finish().await;
}
