//! Small repositories, and what their markers mean.

use crate::engine::{
    config::Config,
    dialect::{Binding, Bindings, PolicyState, Unresolved, bind},
    manifest::{FileKind, scan},
    plan::{Entry, EntryKind, Snapshot},
};
use std::sync::Arc;

/// A repository of these files: `path` and text.
fn repository(files: &[(&str, &str)]) -> Snapshot {
    let mut snapshot = Snapshot::default();
    for (path, text) in files {
        snapshot.entries.insert((*path).into(), Entry { blob: format!("{path}@1").into(), kind: EntryKind::File });
        if let Some(kind) = FileKind::of(path) {
            snapshot.scans.insert((*path).into(), Arc::new(scan(kind, text.as_bytes())));
        }
    }
    snapshot
}

fn bind_alone(snapshot: &Snapshot) -> Bindings {
    bind(snapshot, &Config::whole_repository())
}

const API: &str = "apiVersion: image.toolkit.fluxcd.io/v1\n";

fn source(namespace: &str) -> String {
    format!("{API}kind: ImageRepository\nmetadata: {{name: app{namespace}}}\nspec: {{image: example.org/app}}\n---\n")
}

fn policy(namespace: &str, range: &str) -> String {
    format!(
        "{}{API}kind: ImagePolicy\nmetadata: {{name: app{namespace}, labels: {{team: a}}}}\nspec: {{imageRepositoryRef: {{name: app}}, policy: {{semver: {{range: '{range}'}}}}}}\n---\n",
        source(namespace)
    )
}

fn automation(namespace: &str, spec: &str) -> String {
    format!("{API}kind: ImageUpdateAutomation\nmetadata: {{name: auto{namespace}}}\nspec: {spec}\n---\n")
}

fn kustomization(text: &str) -> String {
    format!("apiVersion: kustomize.config.k8s.io/v1beta1\nkind: Kustomization\n{text}\n")
}

fn flux(name: &str, path: &str, rest: &str) -> String {
    format!(
        "apiVersion: kustomize.toolkit.fluxcd.io/v1\nkind: Kustomization\nmetadata: {{name: {name}, namespace: flux-system}}\nspec:\n  path: {path}\n  sourceRef: {{kind: GitRepository, name: flux-system}}\n{rest}\n---\n"
    )
}

fn marked(marker: &str) -> String {
    format!(
        "kind: Deployment\nmetadata: {{name: app}}\nspec: {{template: {{spec: {{containers: [{{name: app,\n  image: example.org/app:1.0.0 # {{\"$imagepolicy\": \"{marker}\"}}\n}}]}}}}}}\n"
    )
}

const NS: &str = ", namespace: ns";

/// One line for each marker: its file, what it resolves to, and the automations over it; then the problems' codes.
fn show(files: &[(&str, &str)]) -> Vec<String> {
    let bindings = bind_alone(&repository(files));
    let line = |binding: &Binding| {
        let policy = match &binding.policy {
            Ok(policy) => match &policy.state {
                PolicyState::Usable { policy: tags, .. } => {
                    let allowed: Vec<&str> =
                        ["1.5.0", "2.5.0", "3.0.0-rc.1"].into_iter().filter(|tag| tags.allows(tag)).collect();
                    format!("{} {}", policy.file, allowed.join(" "))
                }
                PolicyState::Suspended(_) => "suspended".into(),
                PolicyState::Blocked { code, .. } => (*code).into(),
                PolicyState::Invalid(why) => format!("invalid: {why}"),
            },
            Err(Unresolved { code, .. }) => code.trim_start_matches("policy-").into(),
        };
        let automations: Vec<_> =
            binding.automations.iter().flat_map(|of| &**of).map(|n| bindings.automations[*n].path.as_str()).collect();
        format!("{}: {policy} {automations:?}", binding.file)
    };
    let mut shown: Vec<String> = bindings.lines.iter().map(line).collect();
    shown.extend(bindings.problems.iter().map(|problem| format!("! {} {}", problem.code, problem.file)));
    shown
}

#[track_caller]
fn check(files: &[(&str, &str)], expected: &[&str]) {
    assert_eq!(show(files), expected);
}

#[test]
fn namespaces_and_names_come_from_kustomizations() {
    let objects = policy("", "1.x");
    for (kustomize, marker, found) in [
        ("namespace: dev\nresources: [p.yaml]", "dev:app", true),
        ("namespace: dev\nresources: [p.yaml]", "default:app", false),
        ("resources: [p.yaml]", "default:app", true),
        ("namespace: dev\nresources: [../base]", "dev:app", true),
        ("namespace: dev\ncomponents: [../component]", "dev:app", true),
        ("namespace: dev\nbases: [../base]\nnameSuffix: -x", "dev:app-x", false),
    ] {
        let marked = marked(marker);
        let files = [
            ("base/kustomization.yaml", &*kustomization("namespace: base\nresources: [q.yaml]")),
            ("base/q.yaml", &*objects),
            (
                "component/kustomization.yaml",
                "apiVersion: kustomize.config.k8s.io/v1alpha1\nkind: Component\nresources: [r.yaml]\n",
            ),
            ("component/r.yaml", &*objects),
            ("dev/d.yaml", &*marked),
            ("dev/kustomization.yaml", &*kustomization(kustomize)),
            ("dev/p.yaml", &*objects),
        ];
        let shown = show(&files);
        let resolved = shown[0].contains(" 1.5.0");
        // A suffix renames the policy, not what it refers to.
        let invalid = kustomize.contains("nameSuffix") && shown[0].contains("invalid: no ImageRepository");
        assert!(resolved == found || invalid, "{kustomize} {marker}: {shown:?}");
    }
}

#[test]
fn target_namespaces_and_paths_of_flux_kustomizations() {
    check(
        &[
            ("apps/d.yaml", &marked("team:app")),
            ("apps/p.yaml", &policy("", "1.x")),
            ("clusters/a/apps.yaml", &flux("apps", "./apps", "  targetNamespace: team")),
        ],
        &["apps/d.yaml: apps/p.yaml 1.5.0 []"],
    );
}

#[test]
fn patches_complete_and_change_objects() {
    let partial = format!(
        "{}{API}kind: ImagePolicy\nmetadata: {{name: app, namespace: ns}}\nspec: {{imageRepositoryRef: {{name: app}}}}\n",
        source(NS)
    );
    let range = "kind: ImagePolicy\napiVersion: image.toolkit.fluxcd.io/v1\nmetadata: {name: app}\nspec: {policy: {semver: {range: 2.x}}}\n";
    let operations = "- op: add\n  path: /spec/policy\n  value: {semver: {range: 2.x}}\n";
    let inline = |text: &str, target: &str| {
        let text = text.replace('\n', "\n    ");
        format!("resources: [../base]\npatches:\n- patch: |-\n    {text}\n{target}")
    };
    let target = "  target: {kind: ImagePolicy, name: app}";
    let any = "  target: {group: image.toolkit.fluxcd.io, kind: Image.*, name: a.+, labelSelector: '!x'}";
    for overlay in [
        "resources: [../base]\npatches: [{path: range.yaml}]".to_owned(),
        "resources: [../base]\npatchesStrategicMerge: [range.yaml]".into(),
        "resources: [../base]\npatches: [{path: operations.yaml, target: {kind: ImagePolicy}}]".into(),
        "resources: [../base]\npatchesJson6902: [{path: operations.yaml, target: {kind: ImagePolicy, name: app}}]"
            .into(),
        inline(range, ""),
        inline(range, target),
        inline(operations, target),
    ] {
        let mut files = vec![
            ("base/kustomization.yaml", kustomization("resources: [p.yaml]")),
            ("base/p.yaml", partial.clone()),
            ("d.yaml", marked("ns:app")),
            ("prod/kustomization.yaml", kustomization(&overlay)),
        ];
        // A patch that nothing names would be an object of its own.
        let named = [("prod/operations.yaml", operations), ("prod/range.yaml", range)];
        files.extend(
            named
                .iter()
                .filter(|(file, _)| overlay.contains(&file[5..]))
                .map(|(file, text)| (*file, (*text).to_owned())),
        );
        let files: Vec<(&str, &str)> = files.iter().map(|(file, text)| (*file, text.as_str())).collect();
        assert_eq!(show(&files), ["d.yaml: base/p.yaml 2.5.0 []"], "{overlay}");
    }
    // Nothing completes it, or a patch does not apply.
    let files = [("d.yaml", &*marked("ns:app")), ("p.yaml", &*partial)];
    check(&files, &["d.yaml: unresolved []", "! flux-object-invalid p.yaml"]);
    let files = [
        ("base/kustomization.yaml", &*kustomization("resources: [p.yaml]")),
        ("base/p.yaml", &*policy(NS, "1.x")),
        ("d.yaml", &*marked("ns:app")),
        ("prod/kustomization.yaml", &*kustomization(&inline("- {op: remove, path: /spec/suspend}", any))),
    ];
    check(&files, &["d.yaml: base/p.yaml 1.5.0 []", "! patch-failed base/p.yaml", "! patch-failed base/p.yaml"]);
}

#[test]
fn each_cluster_follows_its_own_policy() {
    // As a fleet does it: one policy for all, patched for the first cluster; the automation's path is substituted.
    let cluster = |name: &str, patch: &str| {
        let substitute = format!("  postBuild: {{substitute: {{CLUSTER: {name}}}}}");
        let sync = flux("flux-system", &format!("./clusters/{name}"), "");
        sync + &flux("automation", "./shared/automation", &substitute) + &flux("policies", "./shared/policies", patch)
    };
    let patch = "  patches:\n  - patch: |-\n      kind: ImagePolicy\n      apiVersion: image.toolkit.fluxcd.io/v1\n      metadata: {name: app}\n      spec: {policy: {semver: {range: '>=0.0.0-0'}}}\n    target: {kind: ImagePolicy, name: app}\n";
    check(
        &[
            ("clusters/one/app.yaml", &marked("ns:app")),
            ("clusters/one/sync.yaml", &cluster("one", patch)),
            ("clusters/two/app.yaml", &marked("ns:app")),
            ("clusters/two/sync.yaml", &cluster("two", "")),
            ("elsewhere/app.yaml", &marked("ns:app")),
            ("shared/automation/a.yaml", &automation(NS, "{update: {path: './clusters/${CLUSTER}'}}")),
            ("shared/policies/p.yaml", &policy(NS, ">=0.0.0")),
        ],
        &[
            "clusters/one/app.yaml: shared/policies/p.yaml 1.5.0 2.5.0 3.0.0-rc.1 [\"clusters/one\"]",
            "clusters/two/app.yaml: shared/policies/p.yaml 1.5.0 2.5.0 [\"clusters/two\"]",
            "elsewhere/app.yaml: ambiguous []",
        ],
    );
}

#[test]
fn the_nearest_of_several_definitions() {
    let files = |one: &str, two: &str| {
        [
            ("a/d.yaml", marked("ns:app")),
            ("a/p.yaml", policy(NS, one)),
            ("b/p.yaml", policy(NS, two)),
            ("c/d.yaml", marked("ns:app")),
        ]
    };
    let show = |files: [(&str, String); 4]| show(&files.each_ref().map(|(path, text)| (*path, text.as_str())));
    assert_eq!(show(files("1.x", "2.x")), ["a/d.yaml: a/p.yaml 1.5.0 []", "c/d.yaml: ambiguous []"]);
    assert_eq!(show(files("1.x", "1.x")), ["a/d.yaml: a/p.yaml 1.5.0 []", "c/d.yaml: a/p.yaml 1.5.0 []"]);
}

#[test]
fn automations_cover_paths_namespaces_and_selected_policies() {
    for (spec, covers) in [
        ("{update: {path: ./apps}}", true),
        ("{}", true),
        ("{update: {path: ./app}}", false),
        ("{update: {path: apps/d.yaml}}", true),
        ("{update: {path: './${X}/y'}}", true),
        ("{policySelector: {matchLabels: {team: a}}}", true),
        ("{policySelector: {matchLabels: {team: b}}}", false),
        ("{policySelector: {matchExpressions: [{key: team, operator: In, values: [a, b]}]}}", true),
        ("{policySelector: {matchExpressions: [{key: team, operator: NotIn, values: [a]}]}}", false),
        ("{policySelector: {matchExpressions: [{key: team, operator: Exists}]}}", true),
        ("{policySelector: {matchExpressions: [{key: x, operator: DoesNotExist}]}}", true),
    ] {
        let files = [
            ("apps/a.yaml", &*automation(NS, spec)),
            ("apps/d.yaml", &marked("ns:app")),
            ("apps/p.yaml", &policy(NS, "1.x")),
        ];
        let bindings = bind_alone(&repository(&files));
        assert_eq!(bindings.lines[0].automations.as_ref().unwrap().len(), usize::from(covers), "{spec}");
    }
    let files = [("a.yaml", &*automation(", namespace: other", "{}")), ("d.yaml", &marked("ns:app"))];
    assert_eq!(bind_alone(&repository(&files)).lines[0].automations, Some([].into()));
}

#[test]
fn branches_of_automations() {
    let of = |git: &str| {
        bind_alone(&repository(&[("a.yaml", &automation(NS, &format!("{{git: {git}}}")))])).automations.remove(0)
    };
    for (git, main, other) in [
        ("{checkout: {ref: {branch: main}}}", true, false),
        ("{checkout: {ref: {branch: main}}, push: {branch: bump}}", true, false),
        ("{checkout: {ref: {branch: x}}, push: {branch: main}}", true, false),
        ("{checkout: {ref: {branch: main}}, push: {branch: 'bump-${zone}'}}", true, true),
        ("{checkout: {ref: {branch: main}}, push: {refspec: 'a:b'}}", true, true),
        ("{}", true, true),
    ] {
        let automation = of(git);
        assert_eq!((automation.is_of_branch("main"), automation.is_of_branch("other")), (main, other), "{git}");
    }
}

#[test]
fn substitutions_come_from_the_repository() {
    let apps = |rest: &str| flux("apps", "./apps", &format!("  postBuild: {rest}"));
    let base = |sync: &str, maps: &str| {
        show(&[
            ("apps/d.yaml", &marked("ns:app")),
            ("apps/p.yaml", &policy(NS, "${RANGE}")),
            ("clusters/a/maps.yaml", maps),
            ("clusters/a/sync.yaml", &(flux("flux-system", "./clusters/a", "") + sync)),
        ])
    };
    let map = "kind: ConfigMap\napiVersion: v1\nmetadata: {name: vars, namespace: flux-system}\ndata: {RANGE: 2.x}\n";
    let resolved = |range: &str| vec![format!("apps/d.yaml: apps/p.yaml {range} []")];
    assert_eq!(base(&apps("{substitute: {RANGE: 1.x}}"), ""), resolved("1.5.0"));
    assert_eq!(base(&apps("{substituteFrom: [{kind: ConfigMap, name: vars}]}"), map), resolved("2.5.0"));
    assert_eq!(
        base(&apps("{substitute: {RANGE: 1.x}, substituteFrom: [{kind: ConfigMap, name: vars}]}"), map),
        resolved("1.5.0")
    );
    for (sync, map) in [
        (apps("{substituteFrom: [{kind: ConfigMap, name: vars}]}"), ""),
        (apps("{substituteFrom: [{kind: Secret, name: vars}]}"), map),
        (flux("apps", "./apps", ""), map),
    ] {
        let shown = base(&sync, map);
        assert!(
            shown[0].contains("invalid") && shown.iter().any(|line| line == "! substitution-unresolved apps/p.yaml"),
            "{shown:?}"
        );
    }
}

#[test]
fn who_renders_a_file() {
    let bindings = bind_alone(&repository(&[
        ("apps/base/d.yaml", &marked("ns:app")),
        ("apps/base/kustomization.yaml", &kustomization("resources: [d.yaml]")),
        ("apps/prod/kustomization.yaml", &kustomization("resources: [../base]")),
        ("charts/app/values.yaml", "image: {repository: example.org/app, tag: '1'}\n"),
        ("clusters/dev/sync.yaml", &flux("dev", "./clusters/dev", "")),
        ("clusters/dev/apps.yaml", &flux("apps", "./apps/base", "")),
        (
            "clusters/prod/kustomization.yaml",
            &kustomization(
                "resources: [sync.yaml, ../../flux]\npatches:\n- target: {kind: Kustomization, name: apps}\n  patch: '[{op: replace, path: /spec/path, value: ./apps/prod}]'\n",
            ),
        ),
        ("clusters/prod/sync.yaml", &flux("prod", "./clusters/prod", "")),
        ("flux/apps.yaml", &flux("apps", "./nowhere", "")),
        ("flux/kustomization.yaml", &kustomization("resources: [apps.yaml]")),
        (
            "releases/app.yaml",
            "apiVersion: helm.toolkit.fluxcd.io/v2\nkind: HelmRelease\nmetadata: {name: app}\nspec: {chart: {spec: {chart: ./charts/app, sourceRef: {kind: GitRepository, name: x}, valuesFiles: [values/app.yaml]}}}\n",
        ),
        ("values/app.yaml", "image: example.org/app:1\n"),
    ]));
    let renderers = |file: &str| bindings.renderers(file).into_iter().collect::<Vec<_>>().join(" ");
    assert_eq!(
        renderers("apps/base/d.yaml"),
        "apps/base/d.yaml apps/base/kustomization.yaml apps/prod/kustomization.yaml clusters/dev/apps.yaml \
         clusters/dev/sync.yaml clusters/prod/kustomization.yaml clusters/prod/sync.yaml"
    );
    assert_eq!(renderers("charts/app/values.yaml"), "charts/app/values.yaml releases/app.yaml");
    assert_eq!(renderers("values/app.yaml"), "releases/app.yaml values/app.yaml");
    assert_eq!(
        renderers("flux/apps.yaml"),
        "clusters/prod/kustomization.yaml clusters/prod/sync.yaml flux/apps.yaml flux/kustomization.yaml"
    );
    assert_eq!(renderers("unknown.yaml"), "unknown.yaml");
}

#[test]
fn kustomizations_that_include_each_other_end() {
    check(
        &[
            ("a/kustomization.yaml", &kustomization("resources: [../b, p.yaml]\ncomponents: [../a]")),
            ("a/p.yaml", &policy(NS, "1.x")),
            ("b/kustomization.yaml", &kustomization("resources: [../a]")),
            ("d.yaml", &marked("ns:app")),
            ("x.yaml", &(flux("x", ".", "") + &flux("y", "./", ""))),
        ],
        &["d.yaml: a/p.yaml 1.5.0 []"],
    );
}
