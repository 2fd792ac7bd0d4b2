//! Folders that a `.flux.yaml` builds: what Flux v1 updates there goes to a patch file, which is made or grows.

use super::properties::{PATCH, VALUE, workload};
use proptest::prelude::*;

const GENERATOR: &str =
    "version: 1\npatchUpdated:\n  generators:\n  - command: kustomize build .\n  patchFile: flux-patch.yaml\n";

/// What is in the folder of a generator.
pub fn generated() -> impl Strategy<Value = Vec<(String, String)>> {
    let folder = prop::sample::select(&["apps/dev/gen", "apps/dev/gen", "apps/prod/gen"]);
    let images = prop::sample::select(&[
        "",
        "",
        "",
        "images:\n- {name: example.com/app, newTag: \u{e000}1.0.0\u{e000}}\n",
        "images:\n- name: example.com/app\n  newTag: \u{e000}1.0.0\u{e000} # {\"$imagepolicy\": \"ns:app:tag\"}\n",
    ]);
    (folder, workload(0.4), images, proptest::option::of(patch())).prop_map(|(folder, workload, images, patch)| {
        // Most are automated, and most have the name that patches have.
        let workload = workload
            .replace("{a: b}", "{fluxcd.io/automated: 'true', fluxcd.io/tag.c: 'semver:*'}")
            .replace("{c: d}", "{fluxcd.io/automated: 'true', fluxcd.io/tag.c: 'semver:~1'}")
            .replace(":1.9.0", ":1.2.0")
            .replace("{name: b,", "{name: a,");
        let mut files = vec![
            (format!("{folder}/.flux.yaml"), GENERATOR.to_owned()),
            (format!("{folder}/kustomization.yaml"), format!("resources: [deployment.yaml]\n{images}")),
            (format!("{folder}/deployment.yaml"), workload),
        ];
        files.extend(patch.map(|patch| (format!("{folder}/{PATCH}"), patch)));
        files
    })
}

/// A patch file: objects that are patched already, in the forms that grow and in those that do not, and others.
fn patch() -> impl Strategy<Value = String> {
    let documents = prop::collection::vec(prop_oneof![4 => object(), 1 => other()], 1..4);
    let end = prop::sample::select(&["\n", "\n", "\n", "", "\n# end\n", "\n\n"]);
    (documents, end, prop::bool::weighted(0.2)).prop_map(|(documents, end, crlf)| {
        let text = format!("{}{end}", documents.join("---\n").trim_end());
        if crlf { text.replace('\n', "\r\n") } else { text }
    })
}

fn other() -> impl Strategy<Value = String> {
    prop::sample::select(&[
        "kind: ConfigMap\n",
        "kind: ConfigMap\ndata: {}\n",
        "apiVersion: v1\nkind: Service\nmetadata: {name: a, namespace: ns}\nspec:\n  type: NodePort\n",
        "# none\n",
    ])
    .prop_map(String::from)
}

fn object() -> impl Strategy<Value = String> {
    let spec = prop::sample::select(&[
        "",
        "spec:\n",
        "spec: {replicas: 2}\n",
        "spec: &s\n  replicas: 2\n",
        "spec:\n  replicas: 2 # two\n\n",
        "spec:\n    template:\n        spec:\n            hostname: x\n",
        "spec:\n  template:\n    spec:\n      containers:\n      - name: b\n        image: é:1\n",
        "spec:\n  template:\n    spec:\n      containers:\n        - name: c\n          tty: true\n  replicas: 2\n",
        "spec:\n  template:\n    spec:\n      $setElementOrder/containers:\n      - name: b\n      containers:\n      - name: b\n",
        "spec:\n  template:\n    spec:\n      containers:\n      - image: 'V1.0.0V'\n        name: c\n",
        "spec:\n  template:\n    spec:\n      containers:\n      - {name: c, image: VgoneV}\n",
        "spec:\n  selector: {}\n",
    ]);
    let metadata = prop::sample::select(&[
        "metadata: {name: NAME, namespace: ns}\n",
        "metadata:\n  annotations:\n    fluxcd.io/automated: \"true\"\n  name: NAME\n  namespace: ns\n",
        "metadata:\n  name: NAME\n  annotations: {fluxcd.io/tag.c: 'semver:~1'}\n",
    ]);
    (metadata, prop::sample::select(&["a", "a", "a", "b"]), spec, any::<bool>()).prop_map(
        |(metadata, name, spec, last)| {
            let image = |value: &str| format!("{VALUE}example.com/app:{value}{VALUE}");
            let spec = spec.replace("V1.0.0V", &image("1.0.0")).replace("VgoneV", &image("gone"));
            let metadata = metadata.replace("NAME", name);
            let (first, second) =
                if last { (spec.as_str(), metadata.as_str()) } else { (metadata.as_str(), spec.as_str()) };
            format!("apiVersion: apps/v1\nkind: Deployment\n{first}{second}")
        },
    )
}
