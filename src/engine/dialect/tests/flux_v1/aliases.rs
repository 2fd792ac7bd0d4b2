//! Values that aliases and merge keys share.

use super::{
    super::{Repo, repo},
    assignment,
};
use crate::engine::plan::Assignment;

/// A workload whose containers share what they run, and what becomes of it.
#[test]
fn aliases_and_merge_keys() {
    let workload = |annotations: &str, spec: &str| {
        format!(
            "x-all: &all\n  image: r.io/app:1.0.0 # all\nx-on: &on\n  fluxcd.io/automated: 'true'\n  fluxcd.io/tag.a: &one semver:~1\nkind: Deployment\nmetadata: {{name: d, annotations: {annotations}}}\nspec:\n  template:\n    spec:\n      containers:\n{spec}"
        )
    };
    let release = |values: &str| {
        format!(
            "apiVersion: helm.fluxcd.io/v1\nkind: HelmRelease\nmetadata: {{name: d, annotations: {{fluxcd.io/automated: 'true', fluxcd.io/tag.chart-image: 'semver:~1'}}}}\nspec:\n  values:\n{values}"
        )
    };
    let both = "{<<: *on, fluxcd.io/tag.b: *one}";
    #[rustfmt::skip]
    let cases: &[(&str, String, usize, &[&str])] = &[
        // How many values change, and the codes.
        ("annotations by a merge key", workload("{<<: *on}", "      - {name: a, image: &i r.io/app:1.0.0}\n"), 1, &[]),
        ("all annotations by an alias", workload("*on", "      - {name: a, image: r.io/app:1.0.0}\n"), 1, &[]),
        ("an own annotation goes first", workload("{<<: *on, fluxcd.io/automated: 'false'}", "      - {name: a, image: r.io/app:1.0.0}\n"), 0, &[]),
        ("an alias of another container's image", workload(both, "      - {name: a, image: &i r.io/app:1.0.0}\n      - {name: b, image: *i}\n"), 1, &[]),
        ("which is to have another tag", workload("*on", "      - {name: a, image: &i r.io/app:1.0.0}\n      - {name: b, image: *i}\n"), 0, &["policy-conflict"]),
        ("containers by a merge key", workload(both, "      - {<<: *all, name: a}\n      - <<: *all\n        name: b\n"), 1, &[]),
        ("a merge key whose image gives way", workload(both, "      - {<<: *all, name: a, image: 'r.io/app:1.0.0'}\n"), 1, &[]),
        ("a container that is an alias", workload(both, "      - &c {name: a, image: r.io/app:1.0.0}\n      initContainers:\n      - *c\n"), 1, &[]),
        ("an alias in another field", workload(both, "      - {name: a, image: &i r.io/app:1.0.0, env: [{name: I, value: *i}]}\n"), 0, &["value-not-editable"]),
        ("an anchor on another field", workload(both, "      - {env: [{name: I, value: &i r.io/app:1.0.0}], name: a, image: *i}\n"), 0, &["value-not-editable"]),
        ("a value's parts", release("    image: {repository: &r r.io/app, tag: &t 1.0.0}\n"), 1, &[]),
        ("a tag of two images", release("    image: {repository: &r r.io/app, tag: &t 1.0.0}\n    b: {image: {repository: *r, tag: *t}}\n"), 0, &["policy-conflict"]),
        ("a tag that something else reads", release("    image: {repository: r.io/app, tag: &t 1.0.0}\n    version: *t\n"), 0, &["value-not-editable"]),
        ("a repository that something else reads", release("    image: {repository: &r r.io/app, tag: 1.0.0}\n    name: *r\n"), 1, &[]),
        ("an alias of nothing", workload("*on", "      - {name: a, image: *none}\n"), 0, &[]),
    ];
    for (what, text, values, codes) in cases {
        let repo = repo(&[("a.yaml", text)]).tags("r.io/app", "1.0.0 1.1.0 2.0.0").times("1.0.0@1 1.1.0@2 2.0.0@3");
        let outcome = repo.plan();
        assert_eq!((outcome.plan.changes.len(), outcome.codes()), (*values, codes.to_vec()), "{what}");
        let changed = outcome.files["a.yaml"].lines().zip(text.lines()).filter(|(after, before)| after != before);
        for (after, before) in changed {
            assert_eq!(after, before.replace("1.0.0", "1.1.0"), "{what}");
        }
        let again = Repo { files: outcome.files, ..repo }.plan();
        assert!(again.plan.changes.is_empty(), "{what}: planned again on its own output");
    }
}

/// An anchor's value changes where only the object's containers have it, and a `set` of the object says the same.
#[test]
fn aliases_count_wherever_they_stand() {
    let deployment = |image: &str, top: &str| {
        format!(
            "{{kind: Deployment, metadata: {{name: d, namespace: n, annotations: {{fluxcd.io/automated: 'true', fluxcd.io/tag.c: 'semver:*'}}}}, {top}spec: {{template: {{spec: {{containers: [{{name: c, {image}}}]}}}}}}}}\n"
        )
    };
    let list = |items: &[&str]| format!("kind: List\napiVersion: v1\nitems:\n- {}", items.join("- "));
    let own = deployment("image: &i 'r.io/d:1.0.0'", "");
    let top = |top: &str| deployment("image: *i", top);
    #[rustfmt::skip]
    let cases: &[(&str, String, bool)] = &[
        // Whether the value changes.
        ("no alias", list(&[&own]), true),
        ("another object's data", list(&[&own, "{kind: ConfigMap, data: {v: *i}}\n"]), false),
        ("another object's secret", list(&[&own, "{kind: Secret, stringData: {v: *i}}\n"]), false),
        ("another object's subjects", list(&[&own, "{kind: RoleBinding, subjects: [{name: *i}]}\n"]), false),
        ("another object's key", list(&[&own, "{kind: ConfigMap, data: {*i : v}}\n"]), false),
        ("the list's own field", format!("{}x: *i\n", list(&[&own])), false),
        ("an item's anchor", list(&[&top("x: &i 'r.io/d:1.0.0', ")]), true),
        ("a field at the top", own.replace("}\n", ", data: {x: *i}}\n"), false),
        ("a field at the top of an item", list(&[&top("x: &i 'r.io/d:1.0.0', data: {x: *i}, ")]), false),
        ("an anchor at the top", top("x: &i 'r.io/d:1.0.0', "), true),
        ("an anchor below the top", top("x: {i: &i 'r.io/d:1.0.0', j: k}, "), true),
        ("an anchor whose value has an alias", deployment("<<: *c", "x: &i 'r.io/d:1.0.0', y: &c {image: *i}, "), true),
        ("an anchor at the top, and another alias", top("x: &i 'r.io/d:1.0.0', data: {x: *i}, "), false),
        ("an alias beside its anchor", top("x: {i: &i 'r.io/d:1.0.0', j: *i}, "), false),
        ("an alias in place of items", top("x: &i 'r.io/d:1.0.0', items: *i, "), false),
        ("an alias as a whole field", top("x: &i 'r.io/d:1.0.0', y: *i, "), false),
    ];
    for (what, text, changes) in cases {
        let repo = repo(&[("a.yaml", text)]).tags("r.io/d", "1.0.0 2.0.0");
        let expected = if *changes { text.replace("1.0.0", "2.0.0") } else { text.clone() };
        let codes = if *changes { vec![] } else { vec!["value-not-editable"] };
        let outcome = repo.plan();
        assert_eq!((&outcome.files["a.yaml"], outcome.codes()), (&expected, codes.clone()), "{what}");
        let (files, told) = repo.set(&[assignment("n:deployment/d=r.io/d:2.0.0")]);
        assert_eq!(files.get("a.yaml").unwrap_or(text), &expected, "{what}");
        assert_eq!(told, codes, "{what}");
    }
}

#[test]
fn set_changes_shared_values_for_all_or_none() {
    let text = |env: &str| {
        format!(
            "kind: Deployment\nmetadata: {{name: d, namespace: n}}\nspec: {{template: {{spec: {{containers: [{{name: a, image: &i 'r.io/app:1'}}, {{name: b, image: *i{env}}}]}}}}}}\n"
        )
    };
    let env = ", env: [{name: x, value: *i}]";
    #[rustfmt::skip]
    let cases: &[(&str, &[&str], &str)] = &[
        ("", &["n:deployment/d=r.io/app:2"], ""),
        ("", &["n:deployment/d:a=r.io/app:2", "n:deployment/d:b=r.io/app:2"], ""),
        ("", &["n:deployment/d:a=r.io/app:2", "n:deployment/d:b=r.io/app:3"], "value-not-editable"),
        ("", &["n:deployment/d:b=r.io/app:2"], "value-not-editable"),
        (env, &["n:deployment/d=r.io/app:2"], "value-not-editable"),
        // Whoever names the image wants every field that has it.
        (env, &["r.io/app:2"], ""),
    ];
    for (env, given, code) in cases {
        let text = text(env);
        let assignments: Vec<Assignment> = given.iter().map(|text| assignment(text)).collect();
        let (files, codes) = repo(&[("a.yaml", &text)]).set(&assignments);
        let expected = if code.is_empty() { Some(text.replace("app:1", "app:2")) } else { None };
        assert_eq!((files.get("a.yaml"), codes.concat().as_str()), (expected.as_ref(), *code), "{given:?} {env}");
    }
}
