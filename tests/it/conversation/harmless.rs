//! Text from outside mentions nobody, links nowhere and is never HTML, wherever butler repeats it.

use super::{REPO, World, only_pull};
use crate::support::world::replace;

#[tokio::test(flavor = "multi_thread")]
async fn hold_reasons_and_words_from_outside() {
    let (world, number) = super::proposed().await;
    world
        .comment("dan", number, "/hold production @acme/everybody <img src=x> [here](https://evil.example) `x` |")
        .await;
    insta::assert_snapshot!(world.reply(number), @r"Held: everything in `production`, by `dan` since 2026-03-02 09:00 UTC (@‍acme/everybody &lt;img src=x&gt; \[here\]\(https:‍//evil.example\) \`x\` \|). butler updates and promotes nothing there. `/butler resume production` ends that.");
    world.comment("rita", number, "/status").await;
    insta::assert_snapshot!(world.reply(number), @r"
    | component | `development` | `staging` | `production` |
    | --- | --- | --- | --- |
    | `app` | **`1.1.0`**<br>since 2026-03-02 09:00 UTC by COMMIT | **`1.0.0`**<br>since 2026-03-02 09:00 UTC by COMMIT | **`1.0.0`**<br>since 2026-03-02 09:00 UTC by COMMIT |

    **On the way**

    - `development` → `staging`: #1 is open: `app 1.0.0 -> 1.1.0`.
    - `staging` → `production`: nothing to promote: `production` runs what `staging` runs.

    **Held or declined**

    - everything in `production` is held by `dan` since 2026-03-02 09:00 UTC (@‍acme/everybody &lt;img src=x&gt; \[here\]\(https:‍//evil.example\) \`x\` \|); `/butler resume production` ends that.
    ");
    world.comment("rita", number, "/butler @everybody<b>").await;
    insta::assert_snapshot!(world.reply(number), @"Not done: there is no command `@everybody<b>`; `/butler help` lists what there is.");
    world.comment("dan", number, "/promote `@everybody` <!--x-->").await;
    insta::assert_snapshot!(world.reply(number), @"Not done: `` `@everybody` `` is neither an environment nor a component here; there are the environments `development`, `staging`, `production` and the component `app`.");
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
    insta::assert_snapshot!(world.pull(only_pull(&world)), @r#"
    update(development): flux-system:app REGISTRY/acme/app 1.0.0 -> 1.1.0
    butler/update/development -> main

    Updates `development`. This environment is updated by pull request.

    | component | image | from | to |
    | --- | --- | --- | --- |
    | `other` | `REGISTRY/acme/app` | `1.0.0` | `1.1.0` |
    | `app` | `REGISTRY/acme/app` | `1.0.0` | `1.1.0` |

    <details><summary>Diff</summary>

    ```diff
    --- a/deploy/development/@everybody ![x](https:__evil.example) <b>`|`.yaml
    +++ b/deploy/development/@everybody ![x](https:__evil.example) <b>`|`.yaml
    @@ -9,4 +9,4 @@
         spec:
           containers:
             - name: app
    -          image: REGISTRY/acme/app:1.0.0 # {"$imagepolicy": "flux-system:app"}
    +          image: REGISTRY/acme/app:1.1.0 # {"$imagepolicy": "flux-system:app"}
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
    insta::assert_snapshot!(world.message("butler/update/development"), @r"
    update(development): flux-system:app REGISTRY/acme/app 1.0.0 -> 1.1.0

    - deploy/development/@‍everybody ![x](https:__evil.example) <b>`|`.yaml:12 1.0.0 -> 1.1.0
    - deploy/development/app.yaml:12 1.0.0 -> 1.1.0

    Butler-Policy: flux-system:app
    Butler-Image: REGISTRY/acme/app:1.1.0
    Butler-Object: Deployment/development/other
    Butler-Object: Deployment/development/app
    Butler-Plan: PLAN
    ");
    world.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_butler_yaml_full_of_mischief() {
    let config =
        "version: 1\nenvironments:\n  development: {path: deploy/development}\n\"@everybody <b> [x](y) `|`\": 1\n";
    let world = World::configured(config).await;
    insta::assert_snapshot!(world.check("main", "butler/config").unwrap(), @r#"
    failure: butler.yaml:4:1: unknown key "@everybody <b> [x](y) `|`"; known here: version, environments, components, images, updates, promotions, keep, commits, accepts, registries, dialects, deployments, comman…

    Nothing is written to this repository until this is mended.

    - ``butler.yaml:4:1: unknown key "@everybody <b> [x](y) `\|`"; known here: version, environments, components, images, updates, promotions, keep, commits, accepts, registries, dialects, deployments, commands, tenants, defaults``
    "#);
    assert_eq!(world.github.refs(REPO).len(), 1);
    world.finish().await;
}
