//! Which policy a marker means, and what keeps a policy from being followed.

use crate::engine::{
    config::Config,
    dialect::{Bindings, PolicyState, Unresolved, bind},
    snapshot::EntryKind,
    testing::Files,
};

const REPOSITORY: &str = "\
apiVersion: image.toolkit.fluxcd.io/v1
kind: ImageRepository
metadata: {name: app, namespace: ns}
spec: {image: example.com/app}
";
const POLICY: &str = "\
apiVersion: image.toolkit.fluxcd.io/v1
kind: ImagePolicy
metadata: {name: app, namespace: ns}
spec:
  imageRepositoryRef: {name: app}
  policy: {semver: {range: 1.x}}
";
const LINE: &str = "tag: v1 # {\"$imagepolicy\": \"ns:app:tag\"}\n";

fn both() -> String {
    format!("{REPOSITORY}---\n{POLICY}")
}

/// The same without a namespace of their own.
fn bare() -> String {
    both().replace(", namespace: ns", "")
}

fn kustomization(namespace: &str, resources: &str) -> String {
    let namespace = if namespace.is_empty() { String::new() } else { format!("namespace: {namespace}\n") };
    format!("{namespace}resources: [{resources}]\n")
}

/// `file: state`, for the line of `line.yaml` (or the only one).
fn resolved(files: &[(&str, &str)]) -> String {
    let snapshot = Files::of(files.iter().copied()).snapshot();
    assert!(snapshot.entries.values().all(|entry| entry.kind == EntryKind::File));
    let Bindings { lines, .. } = bind(&snapshot, &Config::whole_repository());
    let [line] = lines.iter().collect::<Vec<_>>()[..] else { panic!("one line: {lines:?}") };
    match line.policy() {
        Err(Unresolved { code, why, .. }) => format!("{}: {why}", code.trim_start_matches("policy-")),
        Ok(policy) => match &policy.state {
            PolicyState::Usable { repository, .. } => format!("{}: {repository}", policy.file),
            PolicyState::Suspended(why) => format!("suspended: {why}"),
            PolicyState::Invalid(why) => format!("invalid: {why}"),
            PolicyState::Blocked { code, why } => format!("{code}: {why}"),
        },
    }
}

#[test]
fn what_a_marker_means() {
    let (both, bare) = (both(), bare());
    let k = kustomization;
    let change = |from: &str, to: &str| {
        assert!(both.contains(from));
        both.replace(from, to)
    };
    let other_app = both.replace("example.com/app", "example.com/other");
    let far =
        |text: &str| text.replace("imageRepositoryRef: {name: app}", "imageRepositoryRef: {name: app, namespace: src}");
    #[rustfmt::skip]
    let cases: Vec<(&str, Vec<(&str, String)>, &str)> = vec![
        ("the same file", vec![("a.yaml", format!("{both}---\n{LINE}"))], "a.yaml: example.com/app"),
        ("another file", vec![("p.yaml", both.clone()), ("line.yaml", LINE.into())], "p.yaml: example.com/app"),
        ("repository and policy apart", vec![("r.yaml", REPOSITORY.into()), ("x/p.yaml", POLICY.into()), ("line.yaml", LINE.into())], "x/p.yaml: example.com/app"),
        ("a repository in another namespace", vec![("r.yaml", REPOSITORY.replace("namespace: ns", "namespace: src").replace("app}\n", "app, accessFrom: {namespaceSelectors: [{}]}}\n")), ("p.yaml", far(POLICY)), ("line.yaml", LINE.into())], "p.yaml: example.com/app"),
        ("nothing of that name", vec![("line.yaml", LINE.into())], "unresolved: no ImagePolicy ns:app in this repository"),
        ("a near one", vec![("p.yaml", change("namespace: ns", "namespace: xx")), ("line.yaml", LINE.into())], "unresolved: no ImagePolicy ns:app in this repository; there is xx:app in p.yaml"),
        // Namespaces from kustomizations.
        ("no namespace is the default one", vec![("p.yaml", bare.clone()), ("line.yaml", LINE.replace("ns:", "default:"))], "p.yaml: example.com/app"),
        ("the kustomization's namespace", vec![("f/p.yaml", bare.clone()), ("f/kustomization.yaml", k("ns", "p.yaml")), ("line.yaml", LINE.into())], "f/p.yaml: example.com/app"),
        ("it replaces the written one", vec![("f/p.yaml", both.replace("namespace: ns", "namespace: old")), ("f/kustomization.yaml", k("ns", "p.yaml")), ("line.yaml", LINE.into())], "f/p.yaml: example.com/app"),
        ("the written one without it", vec![("f/p.yaml", both.clone()), ("f/kustomization.yaml", k("", "p.yaml")), ("line.yaml", LINE.into())], "f/p.yaml: example.com/app"),
        ("the outermost has the last word", vec![("base/p.yaml", bare.clone()), ("base/kustomization.yaml", k("inner", "p.yaml")), ("top/kustomization.yaml", k("ns", "../base")), ("line.yaml", LINE.into())], "base/p.yaml: example.com/app"),
        ("an overlay without one keeps the inner", vec![("base/p.yaml", bare.clone()), ("base/kustomization.yaml", k("ns", "p.yaml")), ("top/kustomization.yaml", k("", "../base")), ("line.yaml", LINE.into())], "base/p.yaml: example.com/app"),
        ("a base of two overlays lands in both", vec![("base/p.yaml", bare.clone()), ("base/kustomization.yaml", k("", "p.yaml")), ("a/kustomization.yaml", k("other", "../base")), ("b/kustomization.yaml", k("ns", "../base")), ("line.yaml", LINE.into())], "base/p.yaml: example.com/app"),
        ("kustomizations that include each other", vec![("a/p.yaml", both.clone()), ("a/kustomization.yaml", k("", "p.yaml, ../b")), ("b/kustomization.yaml", k("", "../a")), ("line.yaml", LINE.into())], "a/p.yaml: example.com/app"),
        ("by aliases", vec![("r.yaml", REPOSITORY.into()), ("p.yaml", POLICY.replace("{name: app, namespace: ns}", "{labels: {app: &n app}, name: *n, namespace: ns}").replace("imageRepositoryRef: {name: app}", "imageRepositoryRef: {name: *n}")), ("line.yaml", LINE.into())], "p.yaml: example.com/app"),
        // Several of one name.
        ("the nearest", vec![("eu/p.yaml", both.clone()), ("us/p.yaml", other_app.clone()), ("us/apps/line.yaml", LINE.into())], "us/p.yaml: example.com/other"),
        ("its own cluster's repository", vec![("eu/p.yaml", both.clone()), ("us/r.yaml", REPOSITORY.replace("com/app", "com/other")), ("us/p.yaml", POLICY.into()), ("us/line.yaml", LINE.into())], "us/p.yaml: example.com/other"),
        ("equally near", vec![("eu/p.yaml", both.clone()), ("us/p.yaml", other_app.clone()), ("line.yaml", LINE.into())], "ambiguous: ImagePolicy ns:app is defined in eu/p.yaml and in us/p.yaml, equally near to this file"),
        ("a folder whose name begins alike is not nearer", vec![("eu/p.yaml", both.clone()), ("eu-2/p.yaml", other_app), ("eu-2/x/line.yaml", LINE.into())], "eu-2/p.yaml: example.com/other"),
        // What keeps it from being followed.
        ("suspended", vec![("p.yaml", change("  policy:", "  suspend: true\n  policy:")), ("line.yaml", LINE.into())], "suspended: ImagePolicy ns:app is suspended"),
        ("its repository suspended", vec![("p.yaml", change("{image: example.com/app}", "{image: example.com/app, suspend: true}")), ("line.yaml", LINE.into())], "suspended: ImageRepository ns:app is suspended"),
        ("suspended and broken is suspended", vec![("p.yaml", change("  policy: {semver: {range: 1.x}}", "  suspend: true\n  policy: {semver: {range: one}}")), ("line.yaml", LINE.into())], "suspended: ImagePolicy ns:app is suspended"),
        ("a bad range", vec![("p.yaml", change("1.x", "1.y")), ("line.yaml", LINE.into())], "invalid: semver range \"1.y\": expected a version, such as `1.2.x` (at byte 2)"),
        ("a bad filter", vec![("p.yaml", change("  policy:", "  filterTags: {pattern: \"a(\"}\n  policy:")), ("line.yaml", LINE.into())], "invalid: filter pattern \"a(\": "),
        ("a bad image", vec![("p.yaml", change("example.com/app", "example.com/App")), ("line.yaml", LINE.into())], "invalid: \"example.com/App\" is not an image reference: "),
        ("a repository with a tag", vec![("p.yaml", change("example.com/app}", "'example.com/app:v1'}")), ("line.yaml", LINE.into())], "invalid: \"example.com/app:v1\" is not an image reference: "),
        ("no repository", vec![("p.yaml", POLICY.into()), ("line.yaml", LINE.into())], "invalid: no ImageRepository ns:app in this repository; add it, or correct spec.imageRepositoryRef"),
    ];
    for (name, files, expected) in cases {
        let files: Vec<(&str, &str)> = files.iter().map(|(file, text)| (*file, text.as_str())).collect();
        let found = resolved(&files);
        let open = expected.ends_with(": ");
        assert!(if open { found.starts_with(expected) } else { found == expected }, "{name}: {found}");
    }
}

#[test]
fn a_policy_that_cannot_be_is_a_problem_of_its_own() {
    let bindings =
        bind(&Files::of([("x/p.yaml", both().replace("1.x", "1.y").as_str())]).snapshot(), &Config::whole_repository());
    let [problem] = &bindings.problems[..] else { panic!("{:?}", bindings.problems) };
    assert_eq!(
        (problem.code, problem.file.as_str(), problem.position.to_string()),
        ("policy-invalid", "x/p.yaml", "6:1".into())
    );
    assert!(problem.message.starts_with("policy ns:app: semver range"), "{}", problem.message);
}

#[test]
fn a_repository_of_another_namespace_has_to_allow_it() {
    let denied = "policy-invalid x.yaml:1:1 policy ns:app: ImageRepository other:app (x.yaml:8:1) is of another namespace and does not \
                  allow policies of ns: Flux gives them none of its tags; add matchLabels {kubernetes.io/metadata.name: ns} to \
                  its spec.accessFrom.namespaceSelectors, or an ImageRepository to ns";
    let name = |name: &str| format!("{{matchLabels: {{kubernetes.io/metadata.name: {name}}}}}");
    let allowed = |selectors: &[&str]| format!(", accessFrom: {{namespaceSelectors: [{}]}}", selectors.join(", "));
    let team = "{matchLabels: {team: a}}";
    #[rustfmt::skip]
    let cases = [
        // the policy's version, its repository's namespace, who may use that, whether it may not
        ("v1", "ns", String::new(), false),
        ("v1", "other", String::new(), true),
        ("v1beta1", "other", String::new(), true),
        ("v1beta2", "other", ", accessFrom:".into(), true),
        ("v1", "other", ", accessFrom: {}".into(), true),
        ("v1", "other", allowed(&[]), true),
        ("v1", "other", allowed(&["{}"]), false),
        ("v1", "other", allowed(&["{matchLabels: {}}"]), false),
        ("v1", "other", allowed(&[&name("ns")]), false),
        ("v1", "other", allowed(&[&name("else")]), true),
        ("v1", "other", allowed(&[&name("else"), &name("ns")]), false),
        // Whose labels the repository does not tell.
        ("v1", "other", allowed(&[team]), false),
        ("v1", "other", allowed(&[&name("else"), team]), false),
        ("v1", "other", allowed(&["{matchLabels: {team: a, kubernetes.io/metadata.name: else}}"]), true),
        // There it is of the policy's own namespace, whatever stands there.
        ("v1alpha1", "other", String::new(), false),
        ("v1alpha2", "other", String::new(), false),
    ];
    for (version, namespace, access, is_denied) in cases {
        let policy = POLICY
            .replace("{name: app}", &format!("{{name: app, namespace: {namespace}}}"))
            .replace("io/v1", &format!("io/{version}"));
        let repository = REPOSITORY
            .replace("namespace: ns", &format!("namespace: {namespace}"))
            .replace("example.com/app}", &format!("example.com/app{access}}}"));
        let bindings =
            bind(&Files::of([("x.yaml", &*(policy + "---\n" + &repository))]).snapshot(), &Config::whole_repository());
        let told: Vec<String> = bindings
            .problems
            .iter()
            .map(|told| format!("{} {}:{} {}", told.code, told.file, told.position, told.message))
            .collect();
        assert_eq!(told.join("; "), if is_denied { denied } else { "" }, "{version} {namespace} {access}");
    }
}

#[test]
fn a_file_that_its_kustomization_leaves_out() {
    let k = kustomization;
    let policy = bare().split_once("---\n").unwrap().1.to_owned();
    let wrong = "policy-invalid";
    let sync = |path: &str| {
        format!(
            "apiVersion: kustomize.toolkit.fluxcd.io/v1\nkind: Kustomization\nmetadata: {{name: s, namespace: flux-system}}\n\
             spec: {{path: ./{path}, sourceRef: {{kind: GitRepository, name: flux-system}}}}\n"
        )
    };
    let line = |name: &str| LINE.replace("ns:app", name);
    let out = |kustomization: &str| {
        format!(
            "file-not-included {kustomization} does not list this file: no cluster gets what it defines; list it, or remove it"
        )
    };
    #[rustfmt::skip]
    let cases: Vec<(&str, Vec<(&str, String)>, String)> = vec![
        // files beside the policy a/b/p.yaml, what is told of that
        ("no kustomization", vec![], wrong.into()),
        ("listed", vec![("a/b/kustomization.yaml", k("", "p.yaml"))], wrong.into()),
        ("its folder's kustomization", vec![("a/b/kustomization.yaml", k("ns", "d.yaml"))], out("a/b/kustomization.yaml")),
        ("that of the folder above", vec![("a/kustomization.yaml", k("ns", "b/d.yaml"))], out("a/kustomization.yaml")),
        ("one above all, of others", vec![("kustomization.yaml", k("ns", "clusters")), ("clusters/kustomization.yaml", k("", "x.yaml"))], wrong.into()),
        ("one above, of a folder below", vec![("a/kustomization.yaml", k("ns", "b/c/d.yaml"))], wrong.into()),
        ("one above, of the folder beside", vec![("a/kustomization.yaml", k("ns", "bb/d.yaml"))], wrong.into()),
        ("listed from elsewhere", vec![("a/b/kustomization.yaml", k("", "d.yaml")), ("c/kustomization.yaml", k("", "../a/b/p.yaml"))], wrong.into()),
        ("a patch", vec![("a/b/kustomization.yaml", "patches: [{path: p.yaml}]\n".into())], String::new()),
        ("applied by its path", vec![("a/kustomization.yaml", k("", "b/d.yaml")), ("s.yaml", sync("a/b"))], wrong.into()),
        ("applied, with a kustomization", vec![("a/b/kustomization.yaml", k("", "d.yaml")), ("s.yaml", sync("a/b"))], out("a/b/kustomization.yaml")),
        ("named by a marker", vec![("a/b/kustomization.yaml", k("", "d.yaml")), ("line.yaml", line("default:app"))], wrong.into()),
        ("another is named", vec![("a/b/kustomization.yaml", k("", "d.yaml")), ("line.yaml", line("default:other"))], out("a/b/kustomization.yaml")),
    ];
    for (name, mut files, expected) in cases {
        files.push(("a/b/p.yaml", policy.clone()));
        let files: Vec<(&str, &str)> = files.iter().map(|(file, text)| (*file, text.as_str())).collect();
        let bindings = bind(&Files::of(files).snapshot(), &Config::whole_repository());
        let told: Vec<String> = bindings
            .problems
            .iter()
            .map(|told| match told.code {
                "file-not-included" => format!("{} {}", told.code, told.message),
                code => code.to_owned(),
            })
            .collect();
        assert_eq!(told.join("; "), expected, "{name}");
    }
}

/// What a cluster gets counts: a base that something includes is not judged by itself.
#[test]
fn an_automation_that_flux_refuses_is_told() {
    let head =
        "apiVersion: image.toolkit.fluxcd.io/v1\nkind: ImageUpdateAutomation\nmetadata: {name: a, namespace: ns}\n";
    let whole =
        "spec: {interval: 5m, sourceRef: {kind: GitRepository, name: s}, git: {commit: {author: {email: a@b.c}}}}\n";
    let bare = "spec: {sourceRef: {kind: GitRepository, name: s}, git: {commit: {messageTemplate: x}}}\n";
    let no_interval = "flux-object-refused base/a.yaml:4:7 ImageUpdateAutomation a: expected interval in spec, found nothing, and no kustomization here that adds it: Flux takes no such object";
    let no_email = "flux-object-refused base/a.yaml:1:1 ImageUpdateAutomation a: expected email in spec.git.commit.author, found nothing, and no kustomization here that adds it: Flux takes no such object";
    let email = "spec: {git: {commit: {author: {email: a@b.c}}}}";
    let overlay = |patches: &str| format!("resources: [../base]\npatches:\n{patches}");
    let patch =
        |spec: &str| format!("- patch: |\n    {}    {spec}\n", head.replace('\n', "\n    ").trim_end_matches(' '));
    #[rustfmt::skip]
    let cases = [
        // base, overlay ("": none), problem; it may be completed elsewhere, and counts as a writer
        (whole, String::new(), ""),
        (bare, String::new(), no_email),
        (bare, overlay(&patch("spec: {interval: 5m}")), no_email),
        (bare, overlay(&patch(email)), no_interval),
        (bare, overlay(&(patch(email) + &patch("spec: {interval: 5m}"))), ""),
        (whole, overlay(&patch("spec: {interval: null}")), no_interval),
    ];
    for (base, overlay, problem) in cases {
        let base = format!("{head}{base}");
        let mut files =
            Files::of([("base/a.yaml", base.as_str()), ("base/kustomization.yaml", "resources: [a.yaml]\n")]);
        if !overlay.is_empty() {
            files = files.with([("overlay/kustomization.yaml", overlay.as_str())]);
        }
        let bindings = bind(&files.snapshot(), &Config::whole_repository());
        let told: Vec<String> = bindings
            .problems
            .iter()
            .map(|told| format!("{} {}:{} {}", told.code, told.file, told.position, told.message))
            .collect();
        assert_eq!((bindings.automations.len(), told.join("; ").as_str()), (1, problem), "{base}{overlay}");
    }
}

#[test]
fn which_files_an_automation_writes() {
    let automation = |path: &str| {
        let text = format!(
            "apiVersion: image.toolkit.fluxcd.io/v1\nkind: ImageUpdateAutomation\nmetadata: {{name: a, namespace: ns}}\n\
             spec: {{interval: 5m, sourceRef: {{kind: GitRepository, name: flux-system}}, \
             git: {{commit: {{author: {{email: flux@example.org}}}}}}, update: {{path: '{path}'}}}}\n"
        );
        bind(&Files::of([("a.yaml", text.as_str())]).snapshot(), &Config::whole_repository()).automations.remove(0)
    };
    #[rustfmt::skip]
    let cases = [
        ("", "x/y.yaml", true),
        ("./", "x/y.yaml", true),
        ("./apps", "apps/y.yaml", true),
        ("apps/", "apps/x/y.yaml", true),
        ("apps", "apps2/y.yaml", false),
        ("apps", "x/apps/y.yaml", false),
        ("apps/y.yaml", "apps/y.yaml", true),
        // What is filled in elsewhere may be anything.
        ("clusters/${cluster}/apps", "clusters/eu/y.yaml", true),
        ("${path}", "x/y.yaml", true),
    ];
    for (path, file, covers) in cases {
        assert_eq!(automation(path).covers(file), covers, "{path:?} and {file}");
    }
}
