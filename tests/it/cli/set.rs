//! `butler set`

use super::{DEPLOYMENT, repository};
use crate::support::binary::Folder;
use serde_json::{Value, json};

fn set(folder: &Folder, arguments: &[&str]) -> Value {
    folder.run(&[&["set", "-o", "json"], arguments].concat()).json(0)
}

#[test]
fn a_policy_needs_neither_its_object_nor_git() {
    let folder = Folder::with(&[("app.yaml", DEPLOYMENT)]);
    let document = set(&folder, &["app.yaml", "--policy", "flux-system:app=example.com/app:9.9.9", "--write"]);
    assert_eq!(
        document,
        json!({"changes": [{
            "file": "app.yaml", "line": 11, "column": 16,
            "old": "example.com/app:1.0.0", "new": "example.com/app:9.9.9",
            "policy": "flux-system:app", "image": "example.com/app", "object": "Deployment/prod/app",
            "reason": "set by hand",
        }], "skipped": []})
    );
    assert_eq!(folder.text("app.yaml"), DEPLOYMENT.replace("app:1.0.0", "app:9.9.9"));
    let again = set(&folder, &["app.yaml", "--policy", "flux-system:app=example.com/app:9.9.9", "--write"]);
    assert_eq!(again, json!({"changes": [], "skipped": []}));
}

/// The values of the two containers afterwards.
fn values(arguments: &[&str]) -> [String; 2] {
    let folder = repository();
    set(&folder, &[arguments, &["--write"]].concat());
    let text = folder.text("apps/app.yaml");
    let values: Vec<String> = text
        .lines()
        .filter_map(|line| line.trim().strip_prefix("image: "))
        .map(|value| value.split("  #").next().unwrap().replace("example.com/", ""))
        .collect();
    values.try_into().unwrap()
}

#[test]
fn by_policy_image_and_object() {
    #[rustfmt::skip]
    let cases: &[(&[&str], [&str; 2])] = &[
        (&["--policy", "flux-system:app=example.com/app:2"], ["app:2", "proxy:0.1.0"]),
        (&["--policy", "other:app=example.com/app:2"], ["app:1.0.0", "proxy:0.1.0"]),
        (&["--image", "example.com/app:2"], ["app:2", "proxy:0.1.0"]),
        (&["--image", "example.com/app:2", "--image", "example.com/proxy:3"], ["app:2", "proxy:3"]),
        (&["--image", "example.com/none:2"], ["app:1.0.0", "proxy:0.1.0"]),
        (&["--object", "prod:Deployment/app=example.com/proxy:3"], ["app:1.0.0", "proxy:3"]),
        (&["--object", "prod:deployment/app:sidecar=example.com/other:3"], ["app:1.0.0", "other:3"]),
        (&["--object", "dev:Deployment/app=example.com/proxy:3"], ["app:1.0.0", "proxy:0.1.0"]),
        (&["--object", "prod:StatefulSet/app=example.com/proxy:3"], ["app:1.0.0", "proxy:0.1.0"]),
        (&["--object", "prod:Deployment/app:none=example.com/proxy:3"], ["app:1.0.0", "proxy:0.1.0"]),
        // The narrowest has the line.
        (&["--image", "example.com/app:2", "--policy", "flux-system:app=example.com/app:3"], ["app:3", "proxy:0.1.0"]),
        (&["--policy", "flux-system:app=example.com/app:3", "--object", "prod:Deployment/app=example.com/app:4"], ["app:4", "proxy:0.1.0"]),
    ];
    for (arguments, expected) in cases {
        assert_eq!(values(arguments), *expected, "{arguments:?}");
    }
}

/// (arguments, why no line answers to them)
#[test]
fn an_argument_that_no_line_answers_to_is_told() {
    #[rustfmt::skip]
    let cases: &[(&str, &str, &str)] = &[
        ("--policy", "flux-system:ap=example.com/app:2", "no line carries a marker of the policy flux-system:ap; did you mean flux-system:app?"),
        ("--policy", "other:app=example.com/app:2", "no line carries a marker of the policy other:app; did you mean flux-system:app?"),
        ("--policy", "other:thing=example.com/app:2", "no line carries a marker of the policy other:thing; there is flux-system:app"),
        ("--image", "example.com/proxi:2", "no line runs the image example.com/proxi; did you mean example.com/proxy?"),
        ("--image", "registry.example.net/team/app:2", "no line runs the image registry.example.net/team/app; did you mean example.com/app?"),
        ("--image", "nginx:2", "no line runs the image docker.io/library/nginx; there are example.com/app, example.com/proxy"),
        ("--object", "prd:Deployment/app=example.com/app:2", "no line stands in an object prd:Deployment/app; did you mean prod:Deployment/app?"),
        ("--object", "prod:StatefulSet/app=example.com/app:2", "no line stands in an object prod:StatefulSet/app; did you mean prod:Deployment/app?"),
        ("--object", "prod:Deployment/app:none=example.com/app:2", "prod:Deployment/app has no container none; it has app, sidecar"),
        ("--object", "prod:Deployment/app=nginx:2", "prod:Deployment/app runs no docker.io/library/nginx; name the container to put it there: it has app, sidecar"),
    ];
    for (option, text, reason) in cases {
        let folder = repository();
        assert_eq!(
            set(&folder, &[option, text]),
            json!({"changes": [], "skipped": [{
                "file": null, "line": null, "code": "no-line", "reason": reason, "policy": null,
                "argument": format!("{option} {text}"),
            }]})
        );
        let shown = folder.run(&["set", option, text]);
        assert_eq!(
            shown.text(),
            format!(
                "{option} {text}\n  no-line: {reason}\n0 lines would change, 0 lines skipped, 1 argument without a line\n"
            )
        );
        // A diff has no place for it.
        let diff = folder.run(&["set", option, text, "-o", "diff"]);
        assert_eq!((diff.text(), diff.err.as_str()), ("", format!("warning: {option} {text}: {reason}\n").as_str()));
    }
    // Told for each, beside what the others do, and apart from a line that has it already.
    let folder = repository();
    let ran =
        folder.run(&["set", "--image", "example.com/app:1.0.0", "--image", "a.io/x:1", "--policy", "b:c=a.io/x:1"]);
    let last = ran.text().lines().last();
    assert_eq!(
        last,
        Some("0 lines would change, 0 lines skipped, 1 line already as asked, 2 arguments without a line")
    );
    let bare = Folder::with(&[("a.yaml", "images: []\n")]);
    for (option, text, reason) in [
        (
            "--policy",
            "b:c=a.io/x:1",
            "no line carries a marker of the policy b:c, nor of another: name the lines by image or object",
        ),
        ("--image", "a.io/x:1", "no line runs the image a.io/x; none is known here"),
    ] {
        assert_eq!(set(&bare, &[option, text])["skipped"][0]["reason"], reason);
    }
    // What a narrower argument has taken is there all the same.
    let both = ["--image", "example.com/app:2", "--policy", "flux-system:app=example.com/app:3"];
    assert_eq!(set(&folder, &both)["skipped"], json!([]));
}

#[test]
fn an_objects_namespace_may_come_from_its_kustomization() {
    let bare = DEPLOYMENT.replace("  namespace: prod\n", "");
    let folder =
        Folder::with(&[("app.yaml", &bare), ("kustomization.yaml", "namespace: prod\nresources: [app.yaml]\n")]);
    let document = set(&folder, &["--object", "prod:Deployment/app=example.com/app:2"]);
    assert_eq!(document["changes"][0]["new"], "example.com/app:2");
}

#[test]
fn lines_that_stay_say_why() {
    let digest = "image:\n  digest: sha256:00 # {\"$imagepolicy\": \"a:b:digest\"}\n";
    let sops = "tag: v1 # {\"$imagepolicy\": \"a:b:tag\"}\nsops: {mac: x}\n";
    let kind = "tag: v1 # {\"$imagepolicy\": \"a:b\"}\n";
    for (text, code, policy) in
        [(digest, "no-value", json!("a:b")), (sops, "sops", json!("a:b")), (kind, "marker-wrong-kind", Value::Null)]
    {
        let folder = Folder::with(&[("a.yaml", text)]);
        let document = set(&folder, &["--policy", "a:b=example.com/app:2", "--write"]);
        assert_eq!(document["skipped"][0]["code"], code, "{document}");
        assert_eq!(document["skipped"][0]["policy"], policy);
        assert_eq!(folder.text("a.yaml"), text);
    }
}

#[test]
fn arguments_that_cannot_be() {
    let folder = repository();
    #[rustfmt::skip]
    let cases = [
        ("--policy", "a:b", "expected an image behind `=`, found no `=`"),
        ("--policy", "ab=c:1", "expected a policy as NAMESPACE:NAME, found \"ab\""),
        ("--policy", "a:b=c", "expected a tag or a digest behind the image's name"),
        ("--policy", "a:b=C:1", "is not an image reference"),
        ("--image", "c", "expected a tag or a digest behind the image's name"),
        ("--object", "app=c:1", "expected an object as NAMESPACE:KIND/NAME[:CONTAINER], found \"app\""),
        ("--object", "ns:app=c:1", "expected an object as"),
        ("--object", "ns:Deployment/=c:1", "expected an object as"),
        ("--object", "ns:Deployment/a:b:c=c:1", "expected an object as"),
        ("--object", "ns:Deployment/a:=c:1", "expected an object as"),
    ];
    let both = ["set", "--image", "example.com/app:4", "--image", "example.com/app:5"];
    let ran = folder.run(&both);
    assert_eq!(ran.code, 2, "{}", ran.out);
    assert!(ran.err.contains("--image example.com/app:4 and --image example.com/app:5 name two images"), "{}", ran.err);
    let twice = ["set", "--image", "example.com/app:4", "--image", "example.com/app:4"];
    assert_eq!(folder.run(&twice).code, 0);
    let object = "prod:Deployment/app=example.com";
    let images = [&format!("{object}/app:4"), &format!("{object}/proxy:5")];
    assert_eq!(folder.run(&["set", "--object", images[0], "--object", images[1]]).code, 0);
    for (option, text, says) in cases {
        let ran = folder.run(&["set", option, text]);
        assert_eq!(ran.code, 2, "{option} {text}");
        assert!(ran.err.contains(says) && ran.err.contains(option), "{option} {text}: {}", ran.err);
    }
}

/// As with fluxctl, whose option has the same name.
#[test]
fn what_is_locked_stays_unless_it_is_forced() {
    let locked = DEPLOYMENT.replace(
        "namespace: prod\n",
        "namespace: prod\n  annotations: {fluxcd.io/locked: \"true\", fluxcd.io/locked_user: Ann}\n",
    );
    let folder = Folder::with(&[("app.yaml", &locked)]);
    for on in [["--image", "example.com/proxy:2"], ["--object", "prod:deployment/app:sidecar=example.com/proxy:2"]] {
        folder.put("app.yaml", locked.as_bytes());
        let document = set(&folder, &[&on[..], &["--write"]].concat());
        let reason = "locked by Ann; set with --force, it changes all the same";
        assert_eq!(
            document,
            json!({"changes": [], "skipped": [
                {"file": "app.yaml", "line": 14, "code": "locked", "reason": reason, "policy": null}
            ]})
        );
        assert_eq!(folder.text("app.yaml"), locked);
        let document = set(&folder, &[&on[..], &["--write", "--force"]].concat());
        assert_eq!(document["changes"][0]["reason"], "set by hand, with --force: locked by Ann");
        assert_eq!(folder.text("app.yaml"), locked.replace("proxy:0.1.0", "proxy:2"));
    }
}

#[test]
fn a_link_is_not_written_through() {
    let folder = Folder::with(&[("app.yaml", DEPLOYMENT)]);
    std::os::unix::fs::symlink("app.yaml", folder.path().join("link.yaml")).unwrap();
    let document = set(&folder, &["link.yaml", "--policy", "flux-system:app=example.com/app:9.9.9", "--write"]);
    assert_eq!((&document["changes"], &document["skipped"][0]["code"]), (&json!([]), &json!("symlink")));
    assert_eq!(folder.text("app.yaml"), DEPLOYMENT);
    assert!(folder.path().join("link.yaml").is_symlink());
}

#[test]
fn files_that_are_no_yaml_stay_where_butler_yaml_says_so() {
    let text = "{{ if x }}\ntag: v1 # {\"$imagepolicy\": \"a:b:tag\"}\n{{ end }}\n";
    let folder = Folder::with(&[("a.yaml", text)]);
    let arguments = ["--policy", "a:b=example.com/app:2"];
    assert_eq!(set(&folder, &arguments)["changes"].as_array().unwrap().len(), 1);
    folder.put("butler.yaml", b"version: 1\nenvironments: {dev: {}}\ndialects: {unparsed-files: skip}\n");
    let document = set(&folder, &arguments);
    assert_eq!((&document["changes"], &document["skipped"][0]["code"]), (&json!([]), &json!("unparsed-file")));
}

#[test]
fn the_summary_says_whether_files_changed() {
    let folder = repository();
    let set = ["set", "--image", "example.com/app:2"];
    assert_eq!(folder.run(&set).text().lines().last(), Some("1 line would change, 0 lines skipped"));
    let written = folder.run(&[&set[..], &["--write"]].concat());
    assert_eq!(written.text().lines().last(), Some("1 line changed, 0 lines skipped"));
}
