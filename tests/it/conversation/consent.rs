//! Nothing is written without a butler.yaml that can be used.

use super::{REPO, World, only_pull};
use crate::support::world::replace;
use butler::sandbox::github::Nature;

#[tokio::test(flavor = "multi_thread")]
async fn without_butler_yaml_nothing_is_written() {
    let world = World::with(|files| files.retain(|(path, _)| path != "butler.yaml")).await;
    let before = world.github.refs(REPO);
    world.push_image("1.1.0").await;
    world.push("dan", "main", "notes.md", "Unrelated\n").await;
    let issue = world.person("ann").opens_issue(REPO, "Hello?").unwrap();
    world.comment("ann", issue, "/butler status").await;
    world.silent(issue);
    world.later(jiff::SignedDuration::from_mins(6)).await;
    assert_eq!(world.github.refs(REPO).keys().collect::<Vec<_>>(), before.keys().collect::<Vec<_>>(), "no ref at all");
    assert_eq!(world.tag("development"), "1.0.0");
    assert_eq!(world.check("main", "butler/config"), None);
    world.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn archived_repositories_forks_and_templates_are_left_alone() {
    for nature in [Nature::Archived, Nature::Fork, Nature::Template] {
        let world = World::prepared(|_| {}, |github| github.set_nature(REPO, nature).unwrap()).await;
        world.push_image("1.1.0").await;
        let refs: Vec<_> = world.github.refs(REPO).into_keys().collect();
        assert_eq!(refs, ["refs/heads/main"], "{nature:?}");
        assert_eq!(world.tag("development"), "1.0.0");
        world.finish().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_invalid_butler_yaml_fails_a_check_and_nothing_is_written() {
    let good = std::cell::RefCell::new(String::new());
    let world = World::with(|files| {
        let file = files.iter_mut().find(|(path, _)| path == "butler.yaml").unwrap();
        good.replace(file.1.clone());
        file.1 = file.1.replace("promotions:", "promotoins:");
    })
    .await;
    insta::assert_snapshot!(world.check("main", "butler/config").unwrap(), @r#"
    failure: butler.yaml:7:1: unknown key "promotoins"; did you mean "promotions"?

    Nothing is written to this repository until this is mended.

    - `butler.yaml:7:1: unknown key "promotoins"; did you mean "promotions"?`
    "#);
    world.push_image("1.1.0").await;
    assert_eq!(world.github.refs(REPO).into_keys().collect::<Vec<_>>(), ["refs/heads/main"]);

    world.push("dan", "main", "butler.yaml", &good.into_inner()).await;
    assert_eq!(world.tag("development"), "1.1.0");
    assert_eq!(world.open_pulls().len(), 1);
    insta::assert_snapshot!(world.check("main", "butler/config").unwrap(), @r"
    success: 3 environments, 2 promotions

    butler.yaml is valid.
    ");
    world.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn broken_later_it_stops_what_was_under_way() {
    let (world, number) = super::proposed().await;
    world.edit("dan", "main", "butler.yaml", |text| format!("{text}frobnicate: true\n")).await;
    insta::assert_snapshot!(world.check("main", "butler/config").unwrap(), @r#"
    failure: butler.yaml:11:1: unknown key "frobnicate"; known here: version, environments, components, images, updates, promotions, keep, commits, accepts, registries, dialects, deployments, commands, tenants, d…

    Nothing is written to this repository until this is mended.

    - `butler.yaml:11:1: unknown key "frobnicate"; known here: version, environments, components, images, updates, promotions, keep, commits, accepts, registries, dialects, deployments, commands, tenants, defaults`
    "#);
    world.push_image("1.2.0").await;
    assert_eq!(world.tag("development"), "1.1.0");
    world.comment("ann", number, "/merge").await;
    assert_eq!(world.tag("staging"), "1.0.0");
    world.silent(number);
    world.edit("dan", "main", "butler.yaml", |text| text.replace("frobnicate: true\n", "")).await;
    assert_eq!(world.tag("development"), "1.2.0");
    insta::assert_snapshot!(world.replies(number).join("\n---\n"), @r"
    There is something newer: `app 1.0.0 -> 1.2.0`. This pull request stays as it is while it is under review or waits to be merged.
    ---
    Merged as COMMIT.
    ");
    world.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn two_files_are_one_too_many() {
    let world = World::with(|files| replace(files, ".github/butler.yaml", "version: 1\n")).await;
    insta::assert_snapshot!(world.check("main", "butler/config").unwrap(), @r"
    failure: .github/butler.yaml:1:1: there is a butler.yaml too: keep one of the two

    Nothing is written to this repository until this is mended.

    - `.github/butler.yaml:1:1: there is a butler.yaml too: keep one of the two`
    ");
    world.push_image("1.1.0").await;
    assert_eq!(world.github.refs(REPO).into_keys().collect::<Vec<_>>(), ["refs/heads/main"]);
    world.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_protects_and_is_not_known_yet_stops_butler() {
    let config = "\
version: 1
environments:
  development: {path: deploy/development}
  staging: {path: deploy/staging, update: none, protect: {approvals: {team: acme/qa, count: 2}}}
promotions:
  - {name: to-staging, from: development, to: staging, pull-request: {merge: auto}}
";
    let world = World::configured(config).await;
    insta::assert_snapshot!(world.check("main", "butler/config").unwrap(), @r#"
    success: 2 environments, 1 promotion

    butler.yaml is valid. Not in effect in this version:

    - `4:59: environments.staging.protect.approvals is not available in this version: butler neither commits nor merges to "staging" while it is set`
    "#);
    world.push_image("1.1.0").await;
    let number = only_pull(&world);
    world.comment("ann", number, "/merge").await;
    insta::assert_snapshot!(world.reply(number), @"Not done: `environments.staging.protect.approvals` is set, which this version of butler cannot check; a person has to merge this pull request on GitHub.");
    assert_eq!(world.tag("staging"), "1.0.0", "people merge it");
    world.finish().await;
}
