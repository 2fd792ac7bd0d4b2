//! Shapes that real repositories have beside plain manifests: releases, kustomizations, flow style, anchors, JSON.

use super::properties::{UNASKED, VALUE};
use proptest::prelude::*;

/// A comment in the spacings that occur; empty for none.
pub fn comment(policy: &'static str) -> impl Strategy<Value = String> {
    let spacing = prop::sample::select(&[" # ", "   # ", " #", "\t##  "]);
    (spacing, any::<bool>()).prop_map(move |(before, wide)| {
        let marker = match wide {
            _ if policy.is_empty() => return String::new(),
            true => format!("{{ \"$imagepolicy\" :\"{policy}\" }} "),
            false => format!("{{\"$imagepolicy\": \"{policy}\"}}"),
        };
        format!("{before}{marker}")
    })
}

/// A marker, or none.
fn maybe(policy: &'static str) -> impl Strategy<Value = String> {
    prop_oneof![comment(policy), comment("")]
}

fn edge(asked: bool) -> char {
    if asked { VALUE } else { UNASKED }
}

/// A HelmRelease with an image in its values, which Flux v1 or a marker updates, or both.
pub fn release() -> impl Strategy<Value = String> {
    let annotations =
        prop::sample::select(&["{}", "{fluxcd.io/automated: 'true', filter.fluxcd.io/chart-image: 'semver:~1'}"]);
    let quote = prop::sample::select(&["", "'", "\""]);
    (annotations, maybe("ns:app:tag"), quote, any::<bool>()).prop_map(|(annotations, marker, quote, deep)| {
        let edge = edge(annotations != "{}" || !marker.is_empty());
        let (open, indent) = if deep { ("    app:\n", "  ") } else { ("", "") };
        format!(
            "apiVersion: helm.fluxcd.io/v1\nkind: HelmRelease\nmetadata: {{name: r, namespace: ns, annotations: {annotations}}}\n\
             spec:\n  values:\n{open}{indent}    image:\n{indent}      repository:   example.com/app\n\
             {indent}      tag: {quote}{edge}1.0.0{edge}{quote}{marker}\n    # é\n    replicas: 2\n"
        )
    })
}

/// A kustomization with `images`.
pub fn images() -> impl Strategy<Value = String> {
    (maybe("ns:app:tag"), any::<bool>()).prop_map(|(marker, renamed)| {
        let edge = edge(!marker.is_empty());
        let names = if renamed { "name: app\n  newName: example.com/app" } else { "name: example.com/app" };
        format!(
            "apiVersion: kustomize.config.k8s.io/v1beta1\nkind: Kustomization\nimages:\n- {names}\n  newTag: \
             \"{edge}1.0.0{edge}\"{marker}\n- {{name: x, newName: example.com/app ,newTag: {UNASKED}1.0.0{UNASKED}}}\n"
        )
    })
}

/// A workload in flow style.
pub fn flow() -> impl Strategy<Value = String> {
    maybe("ns:app").prop_map(|marker| {
        let edge = edge(!marker.is_empty());
        format!(
            "kind: DaemonSet\nmetadata: {{name: d}}\nspec: {{template: {{spec: {{ containers: [ {{name: c,\n  image:  \
             '{edge}example.com/app:1.0.0{edge}' ,{marker}\n  args: [a, \"#b\"]}}] }}}}}}\n"
        )
    })
}

/// A value that is used again.
pub fn anchored() -> impl Strategy<Value = String> {
    (maybe("ns:app"), maybe("ns:app"), any::<bool>()).prop_map(|(marker, on_alias, merged)| {
        let edge = edge(!marker.is_empty() || !on_alias.is_empty());
        let again = if merged { "<<: *all" } else { "image: *image" };
        format!(
            "first: &all\n  image: &image {edge}example.com/app:1.0.0{edge}{marker}\nsecond:\n  {again}{on_alias}\n"
        )
    })
}

/// A workload as JSON.
pub fn json() -> impl Strategy<Value = String> {
    (any::<bool>(), any::<bool>()).prop_map(|(automated, spaced)| {
        let edge = edge(automated);
        let text = format!(
            "{{\"kind\":\"Deployment\",\"apiVersion\":\"apps/v1\",\"metadata\":{{\"name\":\"j\",\"namespace\":\"ns\",\
             \"annotations\":{{\"fluxcd.io/automated\":\"{automated}\",\"fluxcd.io/tag.c\":\"semver:~1\"}}}},\"spec\":\
             {{\"template\":{{\"spec\":{{\"containers\":[{{\"name\":\"c\",\"image\":\"{edge}example.com/app:1.0.0{edge}\"}}]}}}}}}}}"
        );
        if spaced { text.replace(",\"", ",\r\n\t\"") + "\n" } else { text }
    })
}
