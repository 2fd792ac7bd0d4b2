//! What kustomize puts into images otherwise than by `images` and patches: replacements and transformers. Only that they
//! do is read, for it to be told.
//! <https://kubectl.docs.kubernetes.io/references/kustomize/kustomization/replacements/>

use super::yaml::Node;

const TAGS: &str = "ImageTagTransformer";
const REPLACEMENTS: &str = "ReplacementTransformer";

/// Where a document sets images so, by the first byte, and what says so. `kustomization`: it is one.
pub(super) fn replaced(kustomization: bool, api_version: &str, kind: &str, root: &Node<'_>) -> Vec<(usize, String)> {
    let mut found = Vec::new();
    let mut add = |node: &Node<'_>, what: String| found.push((node.span.start, what));
    let list = |key: &str| root.get(key).map(Node::items).unwrap_or_default();
    match (api_version, kind) {
        ("builtin", TAGS) => add(root, format!("a {TAGS}")),
        ("builtin", REPLACEMENTS) => list("replacements").iter().for_each(|one| targets(one, &mut add)),
        _ if kustomization => {
            list("replacements").iter().for_each(|one| targets(one, &mut add));
            for transformer in list("transformers") {
                // A file's path, or the transformer itself.
                if transformer.as_str().is_some_and(|text| text.contains(TAGS)) {
                    add(transformer, format!("a {TAGS}"));
                }
            }
        }
        // The file that a replacement's `path` names.
        ("", "") => {
            let several = root.items().iter().filter(|item| item.get("source").is_some());
            several.for_each(|one| targets(one, &mut add));
            if root.get("source").is_some() {
                targets(root, &mut add);
            }
        }
        _ => {}
    }
    found
}

/// The fields of images that a replacement is put into.
fn targets(replacement: &Node<'_>, add: &mut impl FnMut(&Node<'_>, String)) {
    for target in replacement.get("targets").map(Node::items).unwrap_or_default() {
        // Without what it selects it is none of kustomize's.
        let fields = target.get("select").and_then(|_| target.get("fieldPaths")).map(Node::items).unwrap_or_default();
        for field in fields {
            if let Some(path) = field.as_str().filter(|path| is_of_image(path)) {
                add(field, format!("a replacement of {path}"));
            }
        }
    }
}

/// Whether a path like `spec.template.spec.containers.[name=app].image` or `spec.values.image.tag` leads to an image.
fn is_of_image(path: &str) -> bool {
    let steps: Vec<&str> = path.split('.').collect();
    let names = |step: &str| step == "image" || step.ends_with("Image");
    match steps.split_last() {
        Some((&("newTag" | "newName"), _)) => true,
        Some((&("tag" | "digest" | "repository" | "registry" | "name"), above)) => {
            above.last().is_some_and(|step| names(step))
        }
        Some((last, _)) => names(last),
        None => false,
    }
}

#[cfg(test)]
mod tests {
    use crate::engine::manifest::{FileKind, scan};

    #[test]
    fn images_that_are_set_otherwise() {
        let replaced = |path: &str| {
            format!(
                "- source: {{kind: ConfigMap, name: a, fieldPath: data.tag}}\n  targets:\n  - select: {{kind: Deployment}}\n    fieldPaths: [metadata.name, '{path}']\n"
            )
        };
        let kustomization = |path: &str| format!("resources: [a.yaml]\nreplacements:\n{}", replaced(path));
        let image = "spec.template.spec.containers.[name=a].image";
        let tags =
            "apiVersion: builtin\nkind: ImageTagTransformer\nmetadata: {name: a}\nimageTag: {name: a, newTag: b}\n";
        let (here, other) = (FileKind::Kustomization, FileKind::Yaml);
        #[rustfmt::skip]
        let cases = [
            (here, kustomization(image), "6:33"),
            (here, kustomization("spec.values.image.tag"), "6:33"),
            (here, kustomization("spec.values.sidecarImage"), "6:33"),
            (here, kustomization("images.*.newTag"), "6:33"),
            (here, kustomization("spec.ref.tag"), ""),
            (here, kustomization("spec.values.imagePullSecrets.0.name"), ""),
            (here, kustomization("spec.template.spec.containers.[name=image].env.[name=A].value"), ""),
            (here, kustomization("spec.values.host"), ""),
            (here, "replacements: [{path: a.yaml}]\n".into(), ""),
            (here, format!("transformers:\n- a.yaml\n- |-\n  {}", tags.replace('\n', "\n  ").trim_end()), "4:3"),
            (here, "transformers: [labels.yaml]\n".into(), ""),
            (here, "images: [{name: a, newTag: b}]\n".into(), ""),
            (other, tags.into(), "1:1"),
            (other, tags.replace("builtin", "example.org/v1"), ""),
            (other, replaced(image), "4:33"),
            (other, replaced(image)[2..].replace("\n  ", "\n"), "4:31"),
            (other, format!("apiVersion: builtin\nkind: ReplacementTransformer\nmetadata: {{name: a}}\nreplacements:\n{}", replaced(image)), "8:33"),
            (other, format!("kind: ConfigMap\nreplacements:\n{}", replaced(image)), ""),
            (other, format!("- source: a\n  targets: [{{fieldPaths: ['{image}']}}]\n"), ""),
        ];
        for (kind, text, expected) in cases {
            let found = scan(kind, text.as_bytes()).findings;
            let places: Vec<String> = found.iter().map(|it| format!("{} {}", it.code, it.position)).collect();
            let expected = if expected.is_empty() { vec![] } else { vec![format!("image-replaced {expected}")] };
            assert_eq!(places, expected, "{text}");
        }
    }
}
