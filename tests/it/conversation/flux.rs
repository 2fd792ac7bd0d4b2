//! A repository that Flux automates: who writes, and in whose words.

use crate::support::world::{REPO, World, replace};
use jiff::SignedDuration;

/// Nothing is promoted.
const ONE: &str = "version: 1\nenvironments:\n  development: {path: deploy/development, update: commit}\n";

pub fn automation(name: &str, path: &str, suspend: bool, commit: &str) -> (String, String) {
    let text = format!(
        "apiVersion: image.toolkit.fluxcd.io/v1
kind: ImageUpdateAutomation
metadata: {{name: {name}, namespace: flux-system}}
spec:
  suspend: {suspend}
  interval: 5m
  sourceRef: {{kind: GitRepository, name: flux-system}}
  update: {{path: {path}}}
  git:
    checkout: {{ref: {{branch: main}}}}
    commit:
      author: {{name: Flux Bot, email: flux@example.org}}
{commit}"
    );
    (format!("clusters/{name}.yaml"), text)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_suspended_automation_says_how_commits_look() {
    let template = "      messageTemplate: |\n        {{ .AutomationObject.Name }}: {{ len .Changed.Changes }} change\n        {{ range .Changed.Changes }}\n        {{ .Setter }}{{ end }}\n";
    let world = World::with(|files| files.push(automation("apps", "./deploy", true, template))).await;
    world.push_image("1.1.0").await;

    assert_eq!(world.tag("development"), "1.1.0");
    let head = world.github.history(REPO, "main").pop().unwrap();
    let (words, trailers) = head.message.split_once("\n\nButler-").unwrap();
    assert_eq!(words, "apps: 1 change\n\nflux-system:app");
    assert!(trailers.contains("Butler-Plan: "), "{}", head.message);
    assert_eq!((head.author.name.as_str(), head.author.email.as_str()), ("Flux Bot", "flux@example.org"));
    world.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_template_that_does_not_work_gives_way() {
    let template = "      messageTemplate: '{{ template \"mine\" }}'\n";
    let world = World::with(|files| files.push(automation("apps", "./deploy", true, template))).await;
    world.push_image("1.1.0").await;

    let subject = world.shown(&world.log("main")[0]);
    assert_eq!(subject, "update(development): flux-system:app REGISTRY/acme/app 1.0.0 -> 1.1.0");
    let told = world.check("main", "butler/update").unwrap();
    assert!(told.starts_with("neutral: clusters/apps.yaml:") && told.contains("messageTemplate"), "{told}");
    world.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_active_automation_writes_and_butler_only_looks() {
    let world = World::with(|files| files.push(automation("apps", "./deploy", false, ""))).await;
    world.push_image("1.1.0").await;
    assert_eq!(world.tag("development"), "1.0.0");
    world.finish().await;

    // Of another branch, it has no say here.
    let other = World::with(|files| {
        let (path, text) = automation("apps", "./deploy", false, "");
        files.push((path, text.replace("branch: main", "branch: other")));
    })
    .await;
    other.push_image("1.1.0").await;
    assert_eq!(other.tag("development"), "1.1.0");
    other.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn butler_takes_over_where_it_is_told_to() {
    let world = World::with(|files| {
        files.push(automation("apps", "./deploy", false, ""));
        let config = files.iter_mut().find(|(path, _)| path == "butler.yaml").unwrap();
        config.1 += "dialects: {flux: {take-over: true}}\n";
    })
    .await;
    world.push_image("1.1.0").await;
    assert_eq!(world.tag("development"), "1.1.0");
    world.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_flux_writes_is_compared_with_what_butler_would_have_written() {
    let world = World::with(|files| {
        files.push(automation("apps", "./deploy", false, ""));
        replace(files, "butler.yaml", ONE);
    })
    .await;
    let told = || world.check("main", "butler/shadow").unwrap();
    let title = || told().lines().next().unwrap().to_owned();
    assert_eq!(title(), "success: Flux writes 1 line: 1 agrees, 0 wait, 0 differ");

    world.push_image("1.1.0").await;
    insta::assert_snapshot!(told(), @r"
    success: Flux writes 1 line: 0 agree, 1 waits, 0 differ

    Flux is the writer of these lines: an ImageUpdateAutomation that is not suspended covers them, or Flux v1 still commits releases to this branch. butler plans what it would write, and compares.

    Flux has not written yet what butler would write:

    - `deploy/development/app.yaml:12:18` in `development` (`flux-system:app`), `Flux: ImageUpdateAutomation/flux-system/apps`: `REGISTRY/acme/app:1.0.0` → `REGISTRY/acme/app:1.1.0`, since 2026-03-02 09:00 UTC

    To let butler write, suspend the automation or stop Flux v1, or say `dialects: {flux: {take-over: true}}` in butler.yaml.
    ");
    let checks = || world.github.requests().iter().filter(|request| request.path.ends_with("/check-runs")).count();
    let before = checks();
    world.push("dan", "main", "notes.md", "Unrelated\n").await;
    world.later(SignedDuration::from_mins(30)).await;
    assert_eq!(checks(), before, "it is said once, since when included");

    world.set_tag("dan", "main", "development", "1.1.0").await;
    assert_eq!(title(), "success: Flux writes 1 line: 1 agrees, 0 wait, 0 differ");

    world.set_tag("dan", "main", "development", "1.7.0").await;
    assert_eq!(world.tag("development"), "1.7.0");
    insta::assert_snapshot!(told(), @r"
    neutral: Flux writes 1 line: 0 agree, 0 wait, 1 differs

    Flux is the writer of these lines: an ImageUpdateAutomation that is not suspended covers them, or Flux v1 still commits releases to this branch. butler plans what it would write, and compares.

    Somebody put something there that butler would not have:

    - `deploy/development/app.yaml:12:18` in `development` (`flux-system:app`), `Flux: ImageUpdateAutomation/flux-system/apps`: `REGISTRY/acme/app:1.7.0` stands there, butler would have written `REGISTRY/acme/app:1.1.0`: `1.7.0 is higher than 1.1.0`

    To let butler write, suspend the automation or stop Flux v1, or say `dialects: {flux: {take-over: true}}` in butler.yaml.
    ");
    assert_eq!(world.check("main", "butler/update"), None, "nothing is for anybody to mend");

    world.set_tag("dan", "main", "development", "1.0.0").await;
    world.edit("dan", "main", "butler.yaml", |text| text + "dialects: {flux: {take-over: true}}\n").await;
    assert_eq!(world.tag("development"), "1.1.0");
    assert!(title().starts_with("success: "), "{}", title());
    world.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn flux_v1_writes_until_it_has_stopped_committing() {
    let world = World::with(|files| {
        replace(files, "butler.yaml", ONE);
        let app = files.iter_mut().find(|(path, _)| path == "deploy/development/app.yaml").unwrap();
        let (before, after) = app.1.split_once("metadata:\n").unwrap();
        let annotations = "  annotations:\n    fluxcd.io/automated: \"true\"\n    fluxcd.io/tag.app: semver:1.x\n";
        let unmarked = after.lines().map(|line| line.split(" #").next().unwrap_or_default());
        app.1 = format!("{before}metadata:\n{annotations}{}\n", unmarked.collect::<Vec<_>>().join("\n"));
    })
    .await;
    let release = ("notes.md", Some("Released\n"));
    world.person("dan").pushes(REPO, "main", "Auto-release acme/other:2.0.0", &[release]).unwrap();
    world.push_image("1.1.0").await;
    assert_eq!(world.tag("development"), "1.0.0");
    let told = world.check("main", "butler/shadow").unwrap();
    assert!(told.starts_with("success: Flux writes 1 line: 0 agree, 1 waits, 0 differ"), "{told}");
    assert!(told.contains("Flux v1: released COMMIT at 2026-03-02"), "{told}");

    world.later(SignedDuration::from_hours(15 * 24)).await;
    assert_eq!(world.tag("development"), "1.1.0", "nobody else writes it any more");
    world.finish().await;
}
