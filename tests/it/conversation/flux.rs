//! A repository that Flux automates: who writes, and in whose words.

use crate::support::world::{REPO, World};

fn automation(name: &str, path: &str, suspend: bool, commit: &str) -> (String, String) {
    let text = format!(
        "apiVersion: image.toolkit.fluxcd.io/v1
kind: ImageUpdateAutomation
metadata: {{name: {name}, namespace: flux-system}}
spec:
  suspend: {suspend}
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
