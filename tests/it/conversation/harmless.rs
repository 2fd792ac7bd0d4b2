//! Text from outside mentions nobody, links nowhere and is never HTML, wherever butler repeats it.

use super::{REPO, World, only_pull};
use crate::support::world::replace;

#[tokio::test(flavor = "multi_thread")]
async fn hold_reasons_and_words_from_outside() {
    let (world, number) = super::proposed().await;
    world.comment("dan", number, "/hold production @acme/everybody <img src=x> [here](https://evil.example) `x` |").await;
    insta::assert_snapshot!(world.reply(number), @"");
    world.comment("rita", number, "/status").await;
    insta::assert_snapshot!(world.reply(number), @"");
    world.comment("rita", number, "/butler @everybody<b>").await;
    insta::assert_snapshot!(world.reply(number), @"");
    world.comment("dan", number, "/promote `@everybody` <!--x-->").await;
    insta::assert_snapshot!(world.reply(number), @"");
    world.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn file_names_and_values_in_pull_requests() {
    let name = "@everybody ![x](https:__evil.example) <b>`|`.yaml";
    let config = "\
version: 1
environments:
  development: {path: deploy/development, update: pull-request}
";
    let world = World::with(|files| {
        replace(files, "butler.yaml", config);
        let app = files.iter().find(|(path, _)| path == "deploy/development/app.yaml").unwrap().1.clone();
        let app = app.replace("name: app\n  namespace", "name: other\n  namespace");
        let app = app.replace("replicas:   2", "replicas:   2 # ``` @everybody </details> <script>");
        replace(files, &format!("deploy/development/{name}"), &app);
    })
    .await;
    world.push_image("1.1.0").await;
    insta::assert_snapshot!(world.pull(only_pull(&world)), @"");
    insta::assert_snapshot!(world.message("butler/update/development"), @"");
    world.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_butler_yaml_full_of_mischief() {
    let config = "version: 1\nenvironments:\n  development: {path: deploy/development}\n\"@everybody <b> [x](y) `|`\": 1\n";
    let world = World::configured(config).await;
    insta::assert_snapshot!(world.check("main", "butler/config").unwrap(), @"");
    assert_eq!(world.github.refs(REPO).len(), 1);
    world.finish().await;
}
