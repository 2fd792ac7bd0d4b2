//! What clusters get: policies and automations, and the objects of Flux that say where and with which values.

use super::update::POLICY;
use proptest::prelude::*;

const AUTOMATION: &str = "apiVersion: image.toolkit.fluxcd.io/v1\nkind: ImageUpdateAutomation\nmetadata: {name: flux, \
                          namespace: ns}\nspec: {suspend: SUSPEND, interval: 5m, sourceRef: {kind: \
                          GitRepository, name: SOURCE}, git: {commit: {author: {email: flux@example.org}}}, update: {path: \
                          PATH}SELECTOR}\n";
const KUSTOMIZATION: &str = "apiVersion: kustomize.toolkit.fluxcd.io/v1\nkind: Kustomization\nmetadata: {name: apps, \
                             namespace: flux-system}\nspec:\n  path: ./flux\n  sourceRef: {kind: GitRepository, name: \
                             SOURCE}\n";

/// An image policy, and whose automation follows it.
pub fn policies() -> impl Strategy<Value = Vec<(&'static str, String)>> {
    let order = prop::sample::select(&[
        "semver: {range: 1.x}",
        "semver: {range: '*'}",
        "semver: {range: '${range:=1.x}'}",
        "alphabetical: {order: asc}",
        "alphabetical: {order: desc}",
        "numerical: {order: asc}",
    ]);
    let reflection = prop_oneof![Just("Never"), Just("IfNotPresent"), Just("Always")];
    let selector = prop::sample::select(&[
        "",
        "",
        ", policySelector: {matchLabels: {team: a}}",
        ", policySelector: {matchExpressions: [{key: team, operator: NotIn, values: [a]}]}",
    ]);
    let source = prop::sample::select(&["flux-system", "flux-system", "other"]);
    let path = prop::sample::select(&["./apps", "./apps/dev", "./other", "."]);
    let automation = (any::<bool>(), path, source, selector);
    let label = prop::sample::select(&["", ", labels: {team: a}", ", labels: {team: b}"]);
    (order, reflection, label, proptest::option::of(automation)).prop_map(|(order, reflection, label, automation)| {
        let policy = POLICY
            .replace("  policy:", &format!("  digestReflectionPolicy: {reflection}\n  interval: 1h\n  policy:"))
            .replace("semver: {range: 1.x}", order)
            .replace("{name: app, namespace: ns}", &format!("{{name: app, namespace: ns{label}}}"));
        let mut files = vec![("flux/policy.yaml", policy)];
        files.extend(automation.map(|(suspended, path, source, selector)| {
            let text = AUTOMATION.replace("SUSPEND", &suspended.to_string());
            ("flux/automation.yaml", text.replace("PATH", path).replace("SOURCE", source).replace("SELECTOR", selector))
        }));
        files
    })
}

/// What a cluster has beside them: who applies their folder, from which repository, with which values.
pub fn cluster() -> impl Strategy<Value = Vec<(&'static str, String)>> {
    let below = prop::sample::select(&[
        "",
        "  targetNamespace: other\n",
        "  postBuild: {substituteFrom: [{kind: ConfigMap, name: vars}]}\n",
        "  postBuild: {substituteFrom: [{kind: ConfigMap, name: vars}], substitute: {range: 2.x}}\n",
        "  postBuild: {substitute: {zone: dev}}\n",
    ]);
    let kustomization = (prop::sample::select(&["flux-system", "other"]), below)
        .prop_map(|(source, below)| format!("{}{below}", KUSTOMIZATION.replace("SOURCE", source)));
    let vars = prop::sample::select(&["1.x", "'*'", "2.x"]).prop_map(|range| {
        format!("apiVersion: v1\nkind: ConfigMap\nmetadata: {{name: vars, namespace: flux-system}}\ndata: {{range: {range}}}\n")
    });
    let urls = &["https://example.org/a/own.git", "ssh://git@example.org/a/own", "https://example.org/a/other"];
    let source = (prop::sample::select(&["flux-system", "other"]), prop::sample::select(urls)).prop_map(|(name, url)| {
        format!("apiVersion: source.toolkit.fluxcd.io/v1\nkind: GitRepository\nmetadata: {{name: {name}, namespace: flux-system}}\nspec: {{url: '{url}'}}\n")
    });
    let instance = (prop::sample::select(urls), prop::sample::select(&["clusters/dev", "flux"])).prop_map(|(url, path)| {
        format!("apiVersion: fluxcd.controlplane.io/v1\nkind: FluxInstance\nmetadata: {{name: flux, namespace: flux-system}}\nspec: {{sync: {{kind: GitRepository, url: '{url}', path: {path}}}}}\n")
    });
    let folder = prop::sample::select(&[
        "resources: [policy.yaml]\n",
        "resources: [policy.yaml, automation.yaml]\nnamePrefix: x-\n",
        "resources: [policy.yaml]\npatches:\n- target: {kind: ImagePolicy}\n  patch: '[{op: add, path: /metadata/labels, value: {team: a}}]'\n",
        "configMapGenerator: [{name: vars, literals: [range=2.x], options: {disableNameSuffixHash: true}}]\nresources: [policy.yaml]\n",
    ])
    .prop_map(String::from);
    let file = |path: &'static str, share: f64, text: BoxedStrategy<String>| {
        proptest::option::weighted(share, text.prop_map(move |text| (path, text)))
    };
    (
        file("clusters/dev/apps.yaml", 0.5, kustomization.boxed()),
        file("clusters/dev/vars.yaml", 0.5, vars.boxed()),
        file("clusters/dev/source.yaml", 0.4, source.clone().boxed()),
        file("clusters/dev/other.yaml", 0.2, source.boxed()),
        file("clusters/dev/instance.yaml", 0.2, instance.boxed()),
        file("flux/kustomization.yaml", 0.3, folder.boxed()),
    )
        .prop_map(|(a, b, c, d, e, f)| [a, b, c, d, e, f].into_iter().flatten().collect())
}
