//! What `butler set` puts on which lines.

use super::update::is_as;
use crate::engine::{
    image::Reference,
    plan::{AssignRules, Assigned, Assignment, AssignmentTarget, assign},
    testing::Files,
};

const DIGEST: &str = "sha256:aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa";

const WEB: &str = "\
kind: Deployment
metadata: {name: web, namespace: ns}
spec:
  template:
    spec:
      containers:
      - name: c
        image: example.com/app:1
      - name: d
        image: example.com/side:1
";

const RELEASE: &str = "\
kind: HelmRelease
metadata: {name: web, namespace: ns}
spec:
  values:
    api:
      image:
        registry: example.com
        repository: team/api
        tag: 1
    image: {repository: example.com/app, tag: '1'}
";

/// A patch of an object whose image stands elsewhere.
const PATCH: &str = "\
kind: HelmRelease
metadata: {name: web, namespace: ns}
spec:
  values:
    image:
      tag: 1
";

/// `ns:policy`, `ns/kind/name`, `ns/kind/name/container`, or nothing: the image itself.
fn target(text: &str) -> AssignmentTarget {
    let object = |namespace: &str, kind: &str, name: &str, container: Option<&str>| AssignmentTarget::Object {
        namespace: namespace.into(),
        kind: kind.into(),
        name: name.into(),
        container: container.map(str::to_owned),
    };
    match text.split('/').collect::<Vec<_>>()[..] {
        [""] => AssignmentTarget::Image,
        [namespace, kind, name] => object(namespace, kind, name, None),
        [namespace, kind, name, container] => object(namespace, kind, name, Some(container)),
        _ => AssignmentTarget::Policy(text.parse().unwrap()),
    }
}

/// `old -> new`, `code: reason`, `current`, in the order of the lines.
fn outcome(text: &str, on: &str, image: &str, edit_unparsed: bool) -> String {
    outcome_by(AssignRules { edit_unparsed, ..AssignRules::default() }, text, on, image)
}

fn outcome_by(rules: AssignRules, text: &str, on: &str, image: &str) -> String {
    let assignment = Assignment { on: target(on), image: Reference::parse(image).unwrap() };
    let snapshot = Files::of([("a.yaml", text)]).snapshot();
    let Assigned { changes, skipped, current } = assign(&snapshot, &[assignment], rules);
    let mut outcomes: Vec<String> = changes.iter().map(|change| format!("{} -> {}", change.old, change.new)).collect();
    outcomes.extend(skipped.iter().map(|skip| format!("{}: {}", skip.code, skip.reason)));
    outcomes.extend(std::iter::repeat_n("current".to_owned(), current));
    outcomes.join("; ")
}

#[test]
fn lines_and_what_they_get() {
    let marked = |field: &str, policy: &str| format!("{field} # {{\"$imagepolicy\": \"{policy}\"}}\n");
    let tag = marked("tag: v1", "ns:app:tag");
    let pinned = format!("example.com/app@{DIGEST}");
    let both = format!("example.com/app:2@{DIGEST}");
    let to_both = format!("nginx:1 -> {both}");
    let second = WEB.replace("namespace: ns", "namespace: xx");
    #[rustfmt::skip]
    let cases: Vec<(&str, String, &str, &str, &str)> = vec![
        // By a marker.
        ("a tag", tag.clone(), "ns:app", "example.com/app:v2", "v1 -> v2"),
        ("a tag that is there", tag.clone(), "ns:app", "example.com/app:v1", "current"),
        ("another policy", tag.clone(), "ns:other", "example.com/app:v2", ""),
        ("another namespace", tag.clone(), "xx:app", "example.com/app:v2", ""),
        ("no tag to write", tag.clone(), "ns:app", &pinned, "no-value: the line holds a tag, the given image has none"),
        ("no digest to write", marked(&format!("digest: {DIGEST}"), "ns:app:digest"), "ns:app", "example.com/app:v2", "no-value: the line holds a digest, the given image has none"),
        ("a name of the same image", marked("newName: nginx", "ns:app:name"), "ns:app", "docker.io/library/nginx:2", "current"),
        ("a name of another image", marked("newName: example.org/app", "ns:app:name"), "ns:app", "example.com/app:2", "example.org/app -> example.com/app"),
        ("a reference in its spelling", marked("image: nginx:1", "ns:app"), "ns:app", "docker.io/library/nginx:2", "nginx:1 -> nginx:2"),
        ("a reference of another image", marked("image: nginx:1", "ns:app"), "ns:app", &both, &to_both),
        ("beside a faulty marker", format!("{tag}x: v1 # {{\"$imagepolicy\": \"ns/app:tag\"}}\n"), "ns:app", "example.com/app:v1", "marker-reference: …"),
        ("a faulty marker is of no policy that is not asked for", format!("x: v1 # {{\"$imagepolicy\": \"ns/app:tag\"}}\n{WEB}"), "", "example.com/app:1", "current"),
        // By its image.
        ("an image", WEB.into(), "", "example.com/app:2", "example.com/app:1 -> example.com/app:2"),
        ("an image that is nowhere", WEB.into(), "", "example.com/none:2", ""),
        ("an image in three keys", RELEASE.into(), "", "example.com/team/api:2", "1 -> 2; current"),
        // By its object.
        ("an object", WEB.into(), "ns/deployment/web", "example.com/app:2", "example.com/app:1 -> example.com/app:2"),
        ("another kind", WEB.into(), "ns/statefulset/web", "example.com/app:2", ""),
        ("another name", WEB.into(), "ns/deployment/api", "example.com/app:2", ""),
        ("another object's namespace", format!("{WEB}---\n{second}"), "xx/deployment/web", "example.com/app:2", "example.com/app:1 -> example.com/app:2"),
        ("another image of the object", WEB.into(), "ns/deployment/web", "example.com/none:2", ""),
        ("a container", WEB.into(), "ns/deployment/web/d", "example.com/app:2", "example.com/side:1 -> example.com/app:2"),
        ("another container", WEB.into(), "ns/deployment/web/e", "example.com/app:2", ""),
        ("a container of a release", RELEASE.into(), "ns/helmrelease/web/api", "example.com/team/api:2", "1 -> 2; current"),
        ("a registry in a key of its own", RELEASE.into(), "ns/helmrelease/web/api", "example.org/team/api:2", "1 -> 2; example.com -> example.org; current"),
        ("a registry that is not written", RELEASE.into(), "ns/helmrelease/web/api", "other/api:2", "team/api -> other/api; 1 -> 2; example.com -> docker.io"),
        ("a registry in its author's spelling", RELEASE.into(), "ns/helmrelease/web/api", "EXAMPLE.org/team/api:2", "1 -> 2; example.com -> EXAMPLE.org; current"),
        ("a tag alone", PATCH.into(), "ns/helmrelease/web", "example.com/app:2", "1 -> 2"),
        ("two tags alone", format!("{PATCH}    side:\n      image:\n        tag: 1\n"), "ns/helmrelease/web", "example.com/app:2", ""),
        ("a tag alone beside the image", format!("{PATCH}    side: {{image: 'example.com/app:1'}}\n"), "ns/helmrelease/web", "example.com/app:2", "example.com/app:1 -> example.com/app:2"),
        ("a tag alone beside another image", format!("{PATCH}    side: {{image: 'example.com/side:1'}}\n"), "ns/helmrelease/web", "example.com/app:2", "1 -> 2"),
        ("a tag alone beside another image's", format!("{PATCH}    side: {{image: {{repository: example.com/side, tag: 1}}}}\n"), "ns/helmrelease/web", "example.com/app:2", "1 -> 2"),
        ("a tag alone, the image in another document", format!("{PATCH}---\n{WEB}"), "ns/helmrelease/web", "example.com/app:2", "1 -> 2"),
        // Files that stay.
        ("sops", format!("{tag}sops: {{mac: x}}\n"), "ns:app", "example.com/app:v2", "sops: the file is encrypted with SOPS; any change would break its MAC"),
        ("no YAML", format!("{{{{ if }}}}\n{tag}"), "ns:app", "example.com/app:v2", "v1 -> v2"),
    ];
    for (name, text, on, image, expected) in cases {
        let outcome = outcome(&text, on, image, true);
        assert!(is_as(&outcome, expected), "{name}: expected {expected:?}, found {outcome:?}");
    }
    let unparsed = format!("{{{{ if }}}}\n{tag}");
    assert!(outcome(&unparsed, "ns:app", "example.com/app:v2", false).starts_with("unparsed-file: "));
    assert_eq!(outcome(&tag, "ns:app", "example.com/app:v2", false), "v1 -> v2");
}

/// What a person locked for Flux v1 stays, whoever automates it, unless that is forced.
#[test]
fn locked_objects() {
    let locked =
        |annotations: &str| WEB.replace("namespace: ns}", &format!("namespace: ns, annotations: {{{annotations}}}}}"));
    let by_ann = locked("fluxcd.io/locked: 'true', fluxcd.io/locked_user: Ann, fluxcd.io/locked_msg: the fair");
    let old = locked("flux.weave.works/locked: true");
    let marked = by_ann.replace("app:1", "app:1 # {\"$imagepolicy\": \"ns:app\"}");
    let release = RELEASE.replace("namespace: ns}", "namespace: ns, annotations: {fluxcd.io/locked: 'true'}}");
    let (moves, stays) = ("example.com/app:1 -> example.com/app:2", "; set with --force, it changes all the same");
    #[rustfmt::skip]
    let cases = [
        (&by_ann, "", "example.com/app:2", format!("locked: locked by Ann: the fair{stays}"), moves),
        (&by_ann, "ns/deployment/web", "example.com/app:2", format!("locked: locked by Ann: the fair{stays}"), moves),
        (&by_ann, "ns/deployment/web/c", "example.com/app:2", format!("locked: locked by Ann: the fair{stays}"), moves),
        (&old, "", "example.com/app:2", format!("locked: locked{stays}"), moves),
        (&old, "", "example.com/app:1", "current".into(), "current"),
        (&locked("fluxcd.io/locked: 'false'"), "", "example.com/app:2", moves.into(), moves),
        (&locked("fluxcd.io/automated: 'true'"), "", "example.com/app:2", moves.into(), moves),
        // Another object of the file is another's.
        (&format!("{by_ann}---\n{}", WEB.replace("name: web", "name: api")), "ns/deployment/api", "example.com/app:2", moves.into(), moves),
        // Markers are Flux v2's.
        (&marked, "ns:app", "example.com/app:2", moves.into(), moves),
        (&release, "ns/helmrelease/web/api", "example.org/team/api:1", format!("locked: locked{stays}; current"), "example.com -> example.org; current; current"),
    ];
    for (text, on, image, expected, forced) in cases {
        assert_eq!(outcome(text, on, image, true), expected, "{on} {text}");
        let rules = AssignRules { edit_unparsed: true, force: true };
        assert_eq!(outcome_by(rules, text, on, image), forced, "{on} {text}");
    }
    let assignment = Assignment { on: target(""), image: Reference::parse("example.com/app:2").unwrap() };
    let rules = AssignRules { force: true, ..AssignRules::default() };
    let assigned = assign(&Files::of([("a.yaml", &*by_ann)]).snapshot(), &[assignment], rules);
    assert_eq!(assigned.changes[0].reason, "set by hand, with --force: locked by Ann: the fair");
}

/// A digest decides what runs, whatever tag stands beside it.
#[test]
fn digests() {
    let one = format!("sha256:{}", "1".repeat(64));
    let two = format!("sha256:{}", "2".repeat(64));
    let listed = format!(
        "kind: Kustomization\napiVersion: kustomize.config.k8s.io/v1beta1\nimages:\n- name: example.com/app\n  newTag: v1\n  digest: {one}\n- name: example.com/app\n  newTag: v1\n"
    );
    let pinned = WEB.replace("app:1", &format!("app:1@{one}"));
    let held = "no-value: the line holds a digest, the given image has none";
    let beside = "no-value: the digest beside it would still run what it is of, and the given image has none: give IMAGE:TAG@DIGEST, or take the digest out first";
    #[rustfmt::skip]
    let cases = [
        (listed.clone(), "example.com/app:v2".to_owned(), format!("v1 -> v2; {held}; {beside}")),
        (listed.clone(), format!("example.com/app:v2@{two}"), format!("v1 -> v2; {one} -> {two}; v1 -> v2")),
        (listed.replace(&one, "\"\""), "example.com/app:v2".into(), format!("v1 -> v2; v1 -> v2; {held}")),
        (pinned.clone(), "example.com/app:2".into(), format!("example.com/app:1@{one} -> example.com/app:2")),
    ];
    for (text, image, expected) in cases {
        let found = outcome(&text, "", &image, true);
        let sorted = |text: &str| {
            let mut parts: Vec<_> = text.split("; ").map(str::to_owned).collect();
            parts.sort();
            parts
        };
        assert_eq!(sorted(&found), sorted(&expected), "{text}");
    }
    let assignment = Assignment { on: target(""), image: Reference::parse("example.com/app:2").unwrap() };
    let assigned = assign(&Files::of([("a.yaml", &*pinned)]).snapshot(), &[assignment], AssignRules::default());
    assert_eq!(assigned.changes[0].reason, "set by hand; its digest goes, since the given image has none");
}

/// A butler.yaml names images and runs none, and workflows are not what clusters run.
#[test]
fn files_beside_manifests_are_left_alone() {
    let assignment = || Assignment { on: target(""), image: Reference::parse("example.com/app:2").unwrap() };
    for (file, changes) in
        [("a.yaml", 1), ("butler.yaml", 0), (".github/butler.yaml", 0), (".github/workflows/a.yaml", 0)]
    {
        let files = Files::of([(file, "image: example.com/app:1\n")]);
        let assigned = assign(&files.snapshot(), &[assignment()], AssignRules::default());
        assert_eq!((assigned.changes.len(), assigned.skipped.len()), (changes, 0), "{file}");
    }
}

#[test]
fn what_a_change_says() {
    let text = format!("kind: Namespace\n---\n{RELEASE}");
    let image = Reference::parse("example.org/team/api:2").unwrap();
    let assignment = Assignment { on: target("ns/helmrelease/web/api"), image: image.clone() };
    let assigned = assign(&Files::of([("a.yaml", &*text)]).snapshot(), &[assignment], AssignRules::default());
    assert_eq!(assigned.changes.len(), 2);
    for change in assigned.changes {
        assert_eq!(change.line.object.map(|object| object.name).as_deref(), Some("web"));
        assert_eq!((change.image.as_ref(), change.policy), (Some(&image.repository), None));
        assert_eq!(change.reason, "set by hand");
    }
    let marked = Files::of([("a.yaml", "tag: v1 # {\"$imagepolicy\": \"ns:app:tag\"}\n")]);
    let assigned = assign(&marked.snapshot(), &[Assignment { on: target("ns:app"), image }], AssignRules::default());
    assert_eq!(assigned.changes[0].policy.as_deref(), Some("ns:app"));
}
