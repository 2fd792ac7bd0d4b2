//! Small repositories, and what their markers mean.

use crate::engine::{
    config::Config,
    dialect::{Binding, Bindings, PolicyState, Unresolved, bind},
    manifest::{FileKind, scan},
    snapshot::{Entry, EntryKind, Snapshot},
    testing::Files,
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

/// `spec`: what is more in it than Flux wants.
fn automation(namespace: &str, spec: &str) -> String {
    automation_of("flux-system", "", namespace, spec)
}

fn automation_of(source: &str, git: &str, namespace: &str, spec: &str) -> String {
    format!(
        "{API}kind: ImageUpdateAutomation\nmetadata: {{name: auto{namespace}}}\nspec:\n  interval: 5m\n  sourceRef: {{kind: GitRepository, name: {source}}}\n  git: {{commit: {{author: {{email: flux@example.org}}}}{git}}}\n  {spec}\n---\n"
    )
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
    show_of(&bind_alone(&repository(files)))
}

fn show_of(bindings: &Bindings) -> Vec<String> {
    let line = |binding: &Binding| {
        let policy = match binding.policy() {
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
            // Without a kustomization Flux applies what is YAML.
            ("apps/e.yaml", &marked("team:json")),
            (
                "apps/p.json",
                r#"{"apiVersion": "image.toolkit.fluxcd.io/v1", "kind": "ImagePolicy", "metadata": {"name": "json"}, "spec": {"imageRepositoryRef": {"name": "app"}, "policy": {"semver": {"range": "1.x"}}}}"#,
            ),
            ("apps/p.yaml", &policy("", "1.x")),
            ("clusters/a/apps.yaml", &flux("apps", "./apps", "  targetNamespace: team")),
        ],
        &["apps/d.yaml: apps/p.yaml 1.5.0 []", "apps/e.yaml: unresolved []", "! policy-invalid apps/p.json"],
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
    check(&files, &["d.yaml: patch-failed []", "! patch-failed base/p.yaml", "! patch-failed base/p.yaml"]);
}

/// With a target, kustomize looks at no kind or name of the patch, but wants them there: what it printed (api v0.20.1) is
/// what each case expects, `patch-failed` where it stops. What butler has not read is told as well: the policy may be
/// suspended.
#[test]
fn patches_for_a_target_are_followed_or_told() {
    const API: &str = "apiVersion: image.toolkit.fluxcd.io/v1\n";
    let patch = |own: &str| format!("{own}\nmetadata: {{name: other, namespace: other}}\nspec: {{suspend: true}}\n");
    let own = patch(&format!("{API}kind: ImagePolicy"));
    let other = patch("apiVersion: v1\nkind: NotImportant");
    let foreign = patch("apiVersion: apps/v1\nkind: Deployment");
    let nameless = format!("{API}kind: ImagePolicy\nspec: {{suspend: true}}\n");
    let (none, operations) = ("spec: {suspend: true}\n", "[{op: add, path: /spec/suspend, value: true}]\n");
    let target = "kind: ImagePolicy";
    #[rustfmt::skip]
    let cases = [
        // file, target and options, as a file, in the kustomization
        (own.clone(), target, "suspended", "suspended"),
        (other.clone(), target, "suspended", "suspended"),
        (patch("kind: not-used"), target, "suspended", "suspended"),
        (patch("kind: ImagePolicy"), target, "suspended", "suspended"),
        (patch("apiVersion: image.toolkit.fluxcd.io/v1beta2\nkind: ImagePolicy"), target, "suspended", "suspended"),
        (other.clone(), "{}", "suspended", "suspended"),
        (other.clone(), "kind: Deployment", "base/p.yaml 1.5.0", "base/p.yaml 1.5.0"),
        (operations.into(), target, "suspended", "suspended"),
        // The object keeps its name and kind, unless it may not.
        (other.clone(), "kind: ImagePolicy}, options: {allowNameChange: true", "unresolved", "unresolved"),
        (other.clone(), "kind: ImagePolicy}, options: {allowKindChange: true", "unresolved", "unresolved"),
        (own.clone(), "kind: ImagePolicy}, options: {allowKindChange: true", "suspended", "suspended"),
        (other.replace("spec", "$patch: delete\nx"), target, "unresolved", "unresolved"),
        // More than one, or one without a kind and a name.
        (format!("{own}---\n{other}"), target, "patch-failed", "patch-failed"),
        (format!("---\n{own}---\n# nothing\n"), target, "suspended", "suspended"),
        (none.into(), target, "patch-failed", "patch-failed"),
        (nameless, target, "patch-failed", "patch-failed"),
        (format!("metadata: {{name: app}}\n{none}"), target, "patch-failed", "patch-failed"),
        // kustomize follows the file; butler has not kept it.
        (foreign.clone(), target, "patch-failed", "suspended"),
        (foreign, "kind: Deployment", "base/p.yaml 1.5.0", "base/p.yaml 1.5.0"),
        ("# nothing\n".into(), target, "base/p.yaml 1.5.0", "base/p.yaml 1.5.0"),
        // There is no such file.
        (String::new(), target, "patch-failed", "base/p.yaml 1.5.0"),
    ];
    for (text, target, from_file, inline) in cases {
        let target = format!("target: {{{}}}", target.trim_matches(['{', '}']));
        let block = text.replace('\n', "\n    ");
        let entries = [
            (format!("patches: [{{path: patch.yaml, {target}}}]"), from_file),
            (format!("patches:\n- {}\n  patch: |-\n    {block}", target.replace("}, ", "}\n  ")), inline),
        ];
        for (entry, expected) in entries {
            let mut files = Files::of([
                ("base/kustomization.yaml", kustomization("resources: [p.yaml]").as_str()),
                ("base/p.yaml", &policy(NS, "1.x")),
                ("d.yaml", &marked("ns:app")),
                ("prod/kustomization.yaml", &kustomization(&format!("resources: [../base]\n{entry}"))),
            ]);
            if entry.contains("path:") && !text.is_empty() {
                files = files.with([("prod/patch.yaml", text.as_str())]);
            }
            let shown = show_of(&bind_alone(&files.snapshot()));
            assert_eq!(shown[0], format!("d.yaml: {expected} []"), "{entry} {text}: {shown:?}");
        }
    }
}

/// What one folder costs, others need not pay for.
#[test]
fn a_kustomization_without_end_stops_no_other() {
    let doubling: Vec<(String, String)> = (0..40)
        .map(|n| {
            let next = n + 1;
            let text = format!("kind: Component\nresources: [../../p.yaml]\ncomponents: [../{next}, ../{next}]\n");
            (format!("a/{n}/kustomization.yaml"), text)
        })
        .collect();
    let (sound, marker) = (policy(NS, "1.x"), marked("ns:app"));
    let mut files = vec![
        ("a/kustomization.yaml", "components: [0]\n"),
        ("d.yaml", marker.as_str()),
        ("z/kustomization.yaml", "resources: [p.yaml]\n"),
        ("z/p.yaml", sound.as_str()),
    ];
    let other = policy("{namespace: other}", "1.x").replace("name: app", "name: b");
    files.push(("a/p.yaml", &other));
    files.extend(doubling.iter().map(|(file, text)| (file.as_str(), text.as_str())));
    assert_eq!(show(&files)[0], "d.yaml: z/p.yaml 1.5.0 []");
}

#[test]
fn patches_find_rename_and_move_objects() {
    let over = |rest: &str| format!("resources: [../base]\n{rest}");
    let patch = |target: &str, patch: &str| over(&format!("patches: [{{target: {{{target}}}, patch: '{patch}'}}]"));
    let operation = |path: &str, value: &str| format!("[{{op: add, path: {path}, value: {value}}}]");
    let suspend = operation("/spec/suspend", "true");
    let all = "group: image.toolkit.fluxcd.io";
    let named = "apiVersion: image.toolkit.fluxcd.io/v1\n    kind: ImagePolicy\n    metadata: {name: NAME}";
    let merge =
        |rest: &str, name: &str| over(&format!("patches:\n- {rest}\n  patch: |\n    {named}").replace("NAME", name));
    #[rustfmt::skip]
    let cases = [
        (over(""), "inner:app", "1.5.0"),
        // What a patch leaves alone stays: the namespace is the one that was given, not the one that is written.
        (patch(all, &operation("/spec/x", "y")), "inner:app", "1.5.0"),
        (patch("kind: ImagePolicy", &operation("/metadata/name", "new")), "inner:new", "1.5.0"),
        (patch("kind: ImagePolicy", &operation("/metadata/name", "new")), "inner:app", "unresolved"),
        (patch(all, &operation("/metadata/namespace", "moved")), "moved:app", "1.5.0"),
        // Patches come before namespaces, and patchesJson6902 after them.
        (patch(all, &operation("/metadata/namespace", "moved")) + "\nnamespace: outer", "outer:app", "1.5.0"),
        (over(&format!("patchesJson6902: [{{target: {{{all}, name: x-app}}, patch: '{}'}}]\nnamespace: outer\nnamePrefix: x-",
            "[{op: add, path: /metadata/namespace, value: moved}, {op: replace, path: /metadata/name, value: app}]")), "moved:app", "1.5.0"),
        // Objects are known by what they were called first, and by what they are called now.
        (patch("namespace: ns, name: app", &suspend), "inner:app", "suspended"),
        (patch("namespace: inner", &suspend), "inner:app", "suspended"),
        (patch("namespace: other", &suspend), "inner:app", "1.5.0"),
        (patch("kind: ImagePolicy, version: v1", &suspend), "inner:app", "suspended"),
        (patch("kind: ImagePolicy, version: v1beta.", &suspend), "inner:app", "1.5.0"),
        (patch("annotationSelector: automated != disabled", &suspend), "inner:app", "suspended"),
        (patch("kind: ImagePolicy, annotationSelector: \"pinned == yes\"", &suspend), "inner:app", "1.5.0"),
        (patch("labelSelector: \"team in (b, a), !other\"", &suspend), "inner:app", "suspended"),
        (patch("labelSelector: team notin (a)", &suspend).replace("team notin (a)", "\"team notin (a), team\""), "inner:app", "1.5.0"),
        (merge("target: {kind: ImagePolicy}\n  options: {allowNameChange: true}", "new"), "inner:new", "1.5.0"),
        (merge("target: {kind: ImagePolicy}", "new"), "inner:app", "1.5.0"),
        (merge("target: {kind: ImagePolicy}", "new") + "\n    $patch: delete", "inner:app", "unresolved"),
    ];
    for (overlay, marker, expected) in cases {
        let shown = show(&[
            ("base/kustomization.yaml", &kustomization("namespace: inner\nresources: [p.yaml]")),
            ("base/p.yaml", &policy(NS, "1.x")),
            ("d.yaml", &marked(marker)),
            ("prod/kustomization.yaml", &kustomization(&overlay)),
        ]);
        assert!(shown.len() == 1 && shown[0].contains(expected), "{overlay} {marker}: {shown:?}");
    }
}

#[test]
fn patches_without_a_namespace_are_for_the_object_without_one() {
    let suspend = format!("{API}kind: ImagePolicy\nmetadata: {{name: app}}\nspec: {{suspend: true}}\n");
    check(
        &[
            ("a.yaml", &marked("default:app")),
            ("b.yaml", &marked("ns:app")),
            ("k/kustomization.yaml", &kustomization("resources: [p.yaml, q.yaml]\npatches: [{path: s.yaml}]")),
            ("k/p.yaml", &policy("", "1.x")),
            ("k/q.yaml", &policy(NS, "1.x")),
            ("k/s.yaml", &suspend),
        ],
        &["a.yaml: suspended []", "b.yaml: k/q.yaml 1.5.0 []"],
    );
}

#[test]
fn annotations_keep_policies_from_patches() {
    // As a large fleet does it: policies without an order get one where all of them are put together.
    let policy = |name: &str, metadata: &str, spec: &str| {
        source("").replace("name: app", &format!("name: {name}"))
            + &format!(
                "{API}kind: ImagePolicy\nmetadata: {{name: {name}{metadata}}}\nspec: {{imageRepositoryRef: {{name: {name}}}{spec}}}\n"
            )
    };
    let own = policy("two", ", annotations: {automated: disabled}", ", policy: {semver: {range: 1.x}}");
    check(
        &[
            (
                "all/kustomization.yaml",
                &kustomization(
                    "namespace: ns\nresources: [one.yaml, two.yaml]\npatches:\n- path: order.yaml\n  target: {kind: ImagePolicy, annotationSelector: automated != disabled}",
                ),
            ),
            ("all/one.yaml", &policy("one", "", "")),
            (
                "all/order.yaml",
                &format!(
                    "{API}kind: ImagePolicy\nmetadata: {{name: default}}\nspec: {{policy: {{semver: {{range: 2.x}}}}}}\n"
                ),
            ),
            ("all/two.yaml", &own),
            ("one.yaml", &marked("ns:one")),
            ("two.yaml", &marked("ns:two")),
        ],
        &["one.yaml: all/one.yaml 2.5.0 []", "two.yaml: all/two.yaml 1.5.0 []"],
    );
}

#[test]
fn flux_writes_into_the_kustomization_of_the_folder() {
    let apps = "namespace: inner\nnamePrefix: a-\nresources: [p.yaml]";
    let patch = |target: &str| {
        format!("  patches: [{{target: {{{target}}}, patch: '[{{op: add, path: /spec/suspend, value: true}}]'}}]")
    };
    for (spec, marker, expected) in [
        (String::new(), "inner:a-app", "1.5.0"),
        ("  targetNamespace: outer".into(), "outer:a-app", "1.5.0"),
        // Its prefix replaces the kustomization's.
        ("  namePrefix: b-".into(), "inner:b-app", "1.5.0"),
        ("  nameSuffix: -c".into(), "inner:a-app-c", "1.5.0"),
        // Its patches come before the kustomization's namespace and prefix.
        (patch("kind: ImagePolicy, name: app, namespace: ns"), "inner:a-app", "suspended"),
        (patch("kind: ImagePolicy, namespace: inner"), "inner:a-app", "1.5.0"),
        (patch("kind: ImagePolicy, name: a-app"), "inner:a-app", "1.5.0"),
    ] {
        let shown = show(&[
            ("apps/kustomization.yaml", &kustomization(apps)),
            (
                "apps/p.yaml",
                &policy(NS, "1.x")
                    .replace("imageRepositoryRef: {name: app}", "imageRepositoryRef: {name: r, namespace: inner}"),
            ),
            (
                "r.yaml",
                &source(", namespace: inner")
                    .replace("name: app", "name: r")
                    .replace("org/app}", "org/app, accessFrom: {namespaceSelectors: [{}]}}"),
            ),
            ("clusters/a/apps.yaml", &flux("apps", "./apps", &spec)),
            ("d.yaml", &marked(marker)),
        ]);
        assert!(shown.len() == 1 && shown[0].contains(expected), "{spec} {marker}: {shown:?}");
    }
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
            ("shared/automation/a.yaml", &automation(NS, "update: {path: './clusters/${CLUSTER}'}")),
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
        ("update: {path: ./apps}", true),
        ("", true),
        ("update: {path: ./app}", false),
        ("update: {path: apps/d.yaml}", true),
        ("update: {path: './${X}/y'}", true),
        ("policySelector: {matchLabels: {team: a}}", true),
        ("policySelector: {matchLabels: {team: b}}", false),
        ("policySelector: {matchExpressions: [{key: team, operator: In, values: [a, b]}]}", true),
        ("policySelector: {matchExpressions: [{key: team, operator: NotIn, values: [a]}]}", false),
        ("policySelector: {matchExpressions: [{key: team, operator: Exists}]}", true),
        ("policySelector: {matchExpressions: [{key: x, operator: DoesNotExist}]}", true),
    ] {
        let files = [
            ("apps/a.yaml", &*automation(NS, spec)),
            ("apps/d.yaml", &marked("ns:app")),
            ("apps/p.yaml", &policy(NS, "1.x")),
        ];
        let bindings = bind_alone(&repository(&files));
        assert_eq!(
            bindings.lines.iter().next().unwrap().automations.as_ref().unwrap().len(),
            usize::from(covers),
            "{spec}"
        );
    }
    let files = [("a.yaml", &*automation(", namespace: other", "")), ("d.yaml", &marked("ns:app"))];
    let unwritten = bind_alone(&repository(&files));
    assert_eq!(unwritten.lines.iter().next().unwrap().automations, Some([].into()));
}

#[test]
fn branches_of_automations() {
    let of = |git: &str| {
        bind_alone(&repository(&[("a.yaml", &automation_of("flux-system", git, NS, ""))])).automations.remove(0)
    };
    for (git, main, other) in [
        (", checkout: {ref: {branch: main}}", true, false),
        (", checkout: {ref: {branch: main}}, push: {branch: bump}", true, false),
        (", checkout: {ref: {branch: x}}, push: {branch: main}", true, false),
        (", checkout: {ref: {branch: main}}, push: {branch: 'bump-${zone}'}", true, true),
        (", checkout: {ref: {branch: main}}, push: {refspec: 'a:b'}", true, true),
        ("", true, true),
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

/// What a ConfigMap has is read where a patch names it, whatever that patch calls itself.
#[test]
fn config_maps_that_patches_name() {
    let from = "spec: {postBuild: {substituteFrom: [{kind: ConfigMap, name: vars}]}}\n";
    for own in ["apiVersion: kustomize.toolkit.fluxcd.io/v1\nkind: Kustomization", "kind: NotImportant"] {
        let shown = show_of(&bind_alone(
            &Files::of([
                ("apps/p.yaml", policy(NS, "${RANGE}").as_str()),
                ("clusters/a/apps.yaml", &flux("apps", "./apps", "")),
                (
                    "clusters/a/kustomization.yaml",
                    &kustomization(
                        "resources: [apps.yaml, vars.yaml]\npatches: [{path: from.yaml, target: {kind: Kustomization}}]",
                    ),
                ),
                ("clusters/a/from.yaml", &format!("{own}\nmetadata: {{name: apps}}\n{from}")),
                (
                    "clusters/a/vars.yaml",
                    "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: vars, namespace: flux-system}\ndata: {RANGE: 1.x}\n",
                ),
                ("d.yaml", &marked("ns:app")),
            ])
            .snapshot(),
        ));
        assert_eq!(shown, ["d.yaml: apps/p.yaml 1.5.0 []"], "{own}");
    }
}

#[test]
fn names_are_substituted() {
    let named = policy(", namespace: '${ZONE}'", "1.x").replace("name: app", "name: '${CLUSTER:=dev}-app'");
    let shown = show(&[
        ("apps/kustomization.yaml", &kustomization("resources: [p.yaml]\nnameSuffix: -${ZONE}")),
        (
            "apps/p.yaml",
            &named.replace(
                "imageRepositoryRef: {name: '${CLUSTER:=dev}-app'}",
                "imageRepositoryRef: {name: 'dev-app-${ZONE}'}",
            ),
        ),
        ("clusters/a/apps.yaml", &flux("apps", "./apps", "  postBuild: {substitute: {ZONE: eu}}")),
        ("d.yaml", &marked("eu:dev-app-eu")),
    ]);
    assert_eq!(shown, ["d.yaml: apps/p.yaml 1.5.0 []"]);
}

#[test]
fn groups_of_a_pattern_are_no_variables() {
    let extract = |extract: &str| {
        policy(NS, "1.x").replace(
            "policy: {",
            &format!("filterTags: {{pattern: '^v(?P<version>.*)$', extract: '{extract}'}}, policy: {{"),
        )
    };
    let codes = |extract: &str| {
        let problems = bind_alone(&repository(&[("p.yaml", extract)])).problems;
        problems.into_iter().map(|problem| problem.code).collect::<Vec<_>>()
    };
    assert_eq!(codes(&extract("${version}")), Vec::<&str>::new());
    assert_eq!(codes(&extract("${vision}")), ["substitution-unresolved"]);
}

/// The extract of a policy that a Kustomization with `postBuild` applies, and what is said of it.
#[test]
fn groups_that_substitution_empties() {
    let said = |extract: &str, post_build: &str, more: &str| -> Vec<String> {
        let policy = policy(NS, "1.x").replace(
            "policy: {",
            &format!("filterTags: {{pattern: '^v(?P<ts>.*)$', extract: '{extract}'}}, policy: {{"),
        );
        let policy = policy.replace("namespace: ns", &format!("namespace: ns{more}"));
        let files = [("apps/p.yaml", policy.as_str()), ("clusters/a/apps.yaml", &flux("apps", "./apps", post_build))];
        let problems = bind_alone(&repository(&files)).problems;
        let problems = problems.into_iter().filter(|problem| problem.file == "apps/p.yaml");
        problems.map(|problem| format!("{} {}", problem.code, problem.message)).collect()
    };
    let given = "  postBuild: {substitute: {ZONE: eu}}";
    let emptied = "extract-emptied ImagePolicy app: `${ts}` is emptied by Kustomization flux-system/apps, whose postBuild \
                   gives it no value, so that the extract is without it; write `$ts` or `$${ts}`";
    let unsupported = "substitution-unresolved ImagePolicy app: the value for ${ZONE%-*} is there, and butler does not \
                       evaluate what is done with it: what depends on it is not guessed; give a name its own value in \
                       spec.postBuild.substitute, and write that name alone";
    let disabled = ", annotations: {kustomize.toolkit.fluxcd.io/substitute: disabled}";
    #[rustfmt::skip]
    let cases = [
        ("${ts}", given, "", Some(emptied)), ("$ts", given, "", None), ("$1", given, "", None), ("$${ts}", given, "", None),
        ("${ts}", given, disabled, None), ("${ts}", "", "", None), ("${ts}", "  postBuild: {substitute: {ts: $ts}}", "", None),
        ("${ZONE%-*}", given, "", Some(unsupported)),
    ];
    for (extract, post_build, more, expected) in cases {
        assert_eq!(said(extract, post_build, more), expected.as_slice(), "{extract} {post_build} {more}");
    }
}

#[test]
fn config_maps_of_the_cluster() {
    let apps = flux("apps", "./apps", "  postBuild: {substituteFrom: [{kind: ConfigMap, name: vars}]}");
    let generator = |rest: &str| {
        format!("configMapGenerator: [{{name: vars, {rest}}}]\ngeneratorOptions: {{disableNameSuffixHash: true}}")
    };
    let base = generator("literals: [RANGE=1.x, OTHER=y]");
    let overlay = |rest: &str| format!("resources: [../base]\n{}", generator(rest));
    for (vars, expected) in [
        (base.clone(), "1.5.0"),
        (overlay("behavior: merge, literals: [OTHER=z]"), "1.5.0"),
        (overlay("behavior: merge, literals: [RANGE=2.x]"), "2.5.0"),
        (overlay("behavior: replace, literals: [RANGE=2.x]"), "2.5.0"),
        (generator("literals: [OTHER=y], envs: [more.env]"), "invalid"),
        (overlay("behavior: merge, envs: [more.env]"), "1.5.0"),
    ] {
        let shown = show(&[
            ("apps/p.yaml", &policy(NS, "${RANGE}")),
            ("base/kustomization.yaml", &kustomization(&base)),
            ("clusters/a/apps.yaml", &apps),
            ("clusters/a/sync.yaml", &flux("flux-system", "./clusters/a", "")),
            // A ConfigMap may come of what is applied later.
            ("clusters/a/vars.yaml", &flux("vars", "./vars", "")),
            ("d.yaml", &marked("ns:app")),
            ("vars/kustomization.yaml", &kustomization(&vars)),
        ]);
        assert!(shown[0].contains(expected), "{vars}: {shown:?}");
        assert_eq!(shown.len() > 1, expected == "invalid", "{vars}: {shown:?}");
    }
}

#[test]
fn config_maps_beside_a_kustomization() {
    // Where the repository does not tell what a cluster applies, as with a sync that is kept elsewhere.
    let map = |range: &str| {
        format!(
            "kind: ConfigMap\napiVersion: v1\nmetadata: {{name: vars, namespace: flux-system}}\ndata: {{RANGE: {range}}}\n"
        )
    };
    let apps = flux("apps", "./apps", "  postBuild: {substituteFrom: [{kind: ConfigMap, name: vars}]}");
    let of = |files: &[(&str, String)]| {
        let mut all = vec![
            ("apps/p.yaml", policy(NS, "${RANGE}")),
            ("clusters/a/apps.yaml", apps.clone()),
            ("d.yaml", marked("ns:app")),
        ];
        all.extend(files.iter().cloned());
        show(&all.iter().map(|(file, text)| (*file, text.as_str())).collect::<Vec<_>>()).remove(0)
    };
    let usable = |range: &str| format!("d.yaml: apps/p.yaml {range} []");
    assert_eq!(of(&[("clusters/a/vars.yaml", map("1.x")), ("clusters/b/vars.yaml", map("2.x"))]), usable("1.5.0"));
    assert_eq!(of(&[("vars/vars.yaml", map("2.x"))]), usable("2.5.0"));
    assert!(of(&[("clusters/b/vars.yaml", map("1.x")), ("clusters/c/vars.yaml", map("2.x"))]).contains("invalid"));
    let sync = flux("flux-system", "./clusters/a", "");
    assert!(of(&[("clusters/a/sync.yaml", sync), ("clusters/b/vars.yaml", map("1.x"))]).contains("invalid"));
}

#[test]
fn automations_of_other_repositories() {
    let source = |name: &str, url: &str| {
        format!(
            "apiVersion: source.toolkit.fluxcd.io/v1\nkind: GitRepository\nmetadata: {{name: {name}, namespace: ns}}\nspec: {{url: '{url}'}}\n---\n"
        )
    };
    let instance = "apiVersion: fluxcd.controlplane.io/v1\nkind: FluxInstance\nmetadata: {name: flux, namespace: flux-system}\nspec: {sync: {kind: GitRepository, url: 'https://example.org/a/own.git', path: clusters/a}}\n---\n";
    let sync = source("flux-system", "ssh://git@example.org/a/own") + &flux("flux-system", "./clusters/a", "");
    for (sync, url, covers) in [
        (sync.as_str(), "https://example.org/a/apps", false),
        (sync.as_str(), "https://example.org/a/own.git", true),
        (sync.as_str(), "git@example.org:A/own", true),
        (instance, "https://example.org/a/apps", false),
        (instance, "ssh://git@example.org/a/own", true),
        // Which repository this is, nothing tells.
        ("", "https://example.org/a/apps", true),
    ] {
        let automation = automation_of("apps", "", NS, "update: {path: ./deploy}");
        let bindings = bind_alone(&repository(&[
            ("clusters/a/automation.yaml", &(source("apps", url) + &automation)),
            ("clusters/a/sync.yaml", sync),
            ("deploy/d.yaml", &marked("ns:app")),
        ]));
        assert_eq!(bindings.automations.len(), usize::from(covers), "{url} {sync}");
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
        ("charts/other/values.yaml", "image: {repository: example.org/other, tag: '1'}\n"),
        (
            "releases/chart.yaml",
            "apiVersion: source.toolkit.fluxcd.io/v1\nkind: HelmChart\nmetadata: {name: other}\nspec: {chart: ./charts/other, sourceRef: {kind: GitRepository, name: x}}\n",
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
    assert_eq!(renderers("charts/other/values.yaml"), "charts/other/values.yaml releases/chart.yaml");
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
        // kustomize refuses a component of itself.
        &["d.yaml: patch-failed []", "! patch-failed a/p.yaml", "! patch-failed a/p.yaml"],
    );
}

/// Followed one by one, these would not end, or only with the stack.
#[test]
fn kustomizations_without_end_are_not_followed() {
    let all = (0..10).map(|number| format!("../{number}")).collect::<Vec<_>>().join(", ");
    let next = |number: usize| number + 1;
    type Text<'t> = &'t dyn Fn(usize) -> String;
    let cases: [(&str, usize, Text<'_>, &str); 3] = [
        ("each includes all", 10, &|_| format!("components: [{all}]"), "0/kustomization.yaml is a component of itself"),
        (
            "doubling",
            40,
            &|n| format!("resources: [../p.yaml, ../{0}, ../{0}]", next(n)),
            "kustomizations include each",
        ),
        ("deep", 9_000, &|n| format!("resources: [../{}]", next(n)), "kustomization.yaml is included more than 64"),
    ];
    for (what, count, text, expected) in cases {
        let last = |number| if next(number) == count || number == 0 { "\nresources: [../p.yaml]" } else { "" };
        let of = |number| match text(number) {
            text if text.contains("resources") && next(number) < count => kustomization(&text),
            text => kustomization(&format!("{}{}", text.replace("resources", "# "), last(number))),
        };
        let mut files: Vec<(String, String)> =
            (0..count).map(|number| (format!("{number}/kustomization.yaml"), of(number))).collect();
        files.push(("p.yaml".into(), policy(NS, "1.x")));
        let files: Vec<(&str, &str)> = files.iter().map(|(path, text)| (path.as_str(), text.as_str())).collect();
        let problems = bind_alone(&repository(&files)).problems;
        let told = |told: &str| problems.iter().any(|problem| problem.message.contains(told));
        assert!(told(expected), "{what}: {problems:?}");
        assert!(problems.iter().all(|problem| problem.code == "patch-failed"), "{what}: {problems:?}");
    }
}
