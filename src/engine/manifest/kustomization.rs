//! What kustomizations say: kustomize's, Flux's, and those that Flux v1 runs.

use super::{
    Annotation, Behavior, Data, FluxKustomization, GeneratedMap, Generator, Kustomization, KustomizeImage,
    KustomizePatch, PatchSource, PatchTarget, Pattern, PostBuild, SourceRef, Updates, Value,
};

/// Of how many patches a file's regular expressions are kept; nobody writes more.
const TARGETS_KEPT: usize = 1_000;

/// Reads a kustomization. What is not understood is left out: kustomize itself says what is wrong with it.
pub(super) fn kustomization(object: &Data) -> Kustomization {
    let list = |key: &str| object.get(key).map(Data::items).unwrap_or_default();
    let mut kustomization = Kustomization {
        namespace: object.get("namespace").and_then(Data::as_str).filter(|name| !name.is_empty()).map(String::from),
        name_prefix: object.text(&["namePrefix"]).into(),
        name_suffix: object.text(&["nameSuffix"]).into(),
        components: object.strings("components"),
        component: object.text(&["kind"]) == "Component",
        ..Kustomization::default()
    };
    for key in ["resources", "bases"] {
        kustomization.resources.extend(object.strings(key));
    }
    for item in list("patchesStrategicMerge") {
        let Some(text) = item.as_str() else { continue };
        // An item may be the patch itself.
        let source = match text.contains('\n') {
            true => PatchSource::Inline(Data::documents(text, item.position)),
            false => PatchSource::File(text.into()),
        };
        kustomization.patches.push(KustomizePatch::of(source, None));
    }
    kustomization.patches.extend(list("patches").iter().filter_map(patch));
    kustomization.patches.extend(list("patchesJson6902").iter().filter_map(patch).map(late));
    for target in kustomization.patches.iter_mut().skip(TARGETS_KEPT).filter_map(|patch| patch.target.as_mut()) {
        *target = std::mem::take(target).passing();
    }
    kustomization.images = list("images").iter().filter_map(image).collect();
    kustomization.labels = object.get("commonLabels").map(pairs).unwrap_or_default();
    kustomization.labels.extend(list("labels").iter().filter_map(|labels| labels.get("pairs")).flat_map(pairs));
    let annotations = object.get("commonAnnotations").map(Data::entries).unwrap_or_default();
    let annotation = |(key, value): &(String, Data)| {
        Some(Annotation { key: key.clone(), value: value.as_str()?.to_owned(), position: value.position })
    };
    kustomization.annotations = annotations.iter().filter_map(annotation).collect();
    for generator in ["configMapGenerator", "secretGenerator"].into_iter().flat_map(list) {
        for key in ["files", "envs"] {
            let file = |text: String| text.split_once('=').map_or(text.clone(), |(_, file)| file.into());
            kustomization.files.extend(generator.strings(key).into_iter().map(file));
        }
    }
    kustomization.config_maps = list("configMapGenerator").iter().map(generated_map).collect();
    for key in ["configurations", "crds", "generators", "transformers", "validators"] {
        kustomization.files.extend(object.strings(key));
    }
    for item in list("replacements") {
        kustomization.files.extend(item.get("path").and_then(Data::as_str).map(String::from));
    }
    let home = match object.text(&["helmGlobals", "chartHome"]) {
        "" => "charts",
        home => home,
    };
    for chart in list("helmCharts") {
        kustomization.files.extend(chart.get("valuesFile").and_then(Data::as_str).map(String::from));
        kustomization.files.extend(chart.strings("additionalValuesFiles"));
        if chart.get("repo").is_none() {
            kustomization.files.push(format!("{home}/{}", chart.text(&["name"])));
        }
    }
    kustomization
}

fn generated_map(generator: &Data) -> GeneratedMap {
    let literal = |text: String| text.split_once('=').map(|(key, value)| (key.into(), unquoted(value).into()));
    GeneratedMap {
        name: generator.text(&["name"]).into(),
        behavior: match generator.text(&["behavior"]) {
            "merge" => Behavior::Merge,
            "replace" => Behavior::Replace,
            _ => Behavior::Create,
        },
        literals: generator.strings("literals").into_iter().filter_map(literal).collect(),
        partial: ["envs", "env", "files"].iter().any(|key| generator.get(key).is_some()),
    }
}

/// A mapping of texts.
fn pairs(mapping: &Data) -> Vec<(String, String)> {
    let pair = |(key, value): &(String, Data)| Some((key.clone(), value.as_str()?.to_owned()));
    mapping.entries().iter().filter_map(pair).collect()
}

fn unquoted(text: &str) -> &str {
    let inner = |quote| text.strip_prefix(quote).and_then(|text: &str| text.strip_suffix(quote));
    inner('"').or_else(|| inner('\'')).unwrap_or(text)
}

fn image(image: &Data) -> Option<KustomizeImage> {
    let text = |key: &str| image.get(key).and_then(Data::as_str).map(String::from);
    Some(KustomizeImage {
        name: text("name")?,
        new_name: text("newName"),
        new_tag: text("newTag"),
        digest: text("digest"),
    })
}

/// An item of `patches`.
fn patch(item: &Data) -> Option<KustomizePatch> {
    let source = match (item.get("path").and_then(Data::as_str), item.get("patch")) {
        (Some(path), _) => PatchSource::File(path.into()),
        (None, Some(patch)) => PatchSource::Inline(Data::documents(patch.as_str()?, patch.position)),
        (None, None) => return None,
    };
    let allows = |option: &str| item.text(&["options", option]) == "true";
    Some(KustomizePatch {
        renames: allows("allowNameChange"),
        changes_kind: allows("allowKindChange"),
        ..KustomizePatch::of(source, item.get("target").map(target))
    })
}

fn target(target: &Data) -> PatchTarget {
    let text = |key: &str| target.text(&[key]).to_owned();
    let pattern = |key: &str| Pattern::of(target.text(&[key]));
    PatchTarget {
        group: pattern("group"),
        version: pattern("version"),
        kind: pattern("kind"),
        name: pattern("name"),
        namespace: pattern("namespace"),
        label_selector: text("labelSelector"),
        annotation_selector: text("annotationSelector"),
    }
}

fn late(patch: KustomizePatch) -> KustomizePatch {
    KustomizePatch { late: true, ..patch }
}

impl KustomizePatch {
    fn of(source: PatchSource, target: Option<PatchTarget>) -> Self {
        KustomizePatch { source, target, late: false, renames: false, changes_kind: false }
    }
}

impl Generator {
    /// Reads a `.flux.yaml`; `None` where it is something else, such as an object of Kubernetes.
    pub(super) fn read(object: &Data) -> Option<Self> {
        if object.get("scanForFiles").is_some() {
            return Some(Generator { updates: Updates::InPlace, commands: Vec::new() });
        }
        let variant = |name: &str| object.get(name).filter(|variant| !variant.is_null());
        let (patch, command) = (variant("patchUpdated"), variant("commandUpdated"));
        let generators = patch.or(command).and_then(|variant| variant.get("generators")).map(Data::items);
        let commands: Option<Vec<String>> = generators.and_then(|generators| {
            generators.iter().map(|generator| Some(generator.get("command")?.as_str()?.to_owned())).collect()
        });
        let patch_file = patch.and_then(|patch| patch.get("patchFile")).and_then(Data::as_str);
        let invalid = |expected: &str| Updates::Invalid(format!("expected {expected}, as Flux v1 does"));
        let updates = match (patch, command, &commands, patch_file) {
            (None, None, ..) if object.get("version").is_none() || object.get("kind").is_some() => return None,
            (None, None, ..) => invalid("one of patchUpdated, commandUpdated and scanForFiles"),
            (_, _, None, _) => invalid("a list of generators with a command each"),
            (Some(_), _, _, None) => invalid("a patchFile under patchUpdated"),
            (Some(_), _, _, Some(file)) => Updates::PatchFile(file.to_owned()),
            (None, Some(_), ..) => Updates::Command,
        };
        Some(Generator { updates, commands: commands.unwrap_or_default() })
    }
}

impl FluxKustomization {
    /// Reads a Kustomization of the group `kustomize.toolkit.fluxcd.io`, or a FluxInstance. What is not understood is
    /// left out.
    pub fn read(object: &Data) -> Self {
        let none = Data { position: object.position, value: Value::Null };
        let spec = object.get("spec").unwrap_or(&none);
        if let Some(sync) = spec.get("sync") {
            return FluxKustomization {
                path: sync.text(&["path"]).into(),
                source: Some(synced(object)),
                ..Self::default()
            };
        }
        let text = |key: &str| spec.text(&[key]).to_owned();
        let list = |key: &str| spec.get(key).map(Data::items).unwrap_or_default();
        let patches = ["patches", "patchesStrategicMerge"].into_iter().flat_map(list).filter_map(flux_patch);
        FluxKustomization {
            path: text("path"),
            source: spec.get("sourceRef").map(source),
            target_namespace: spec.get("targetNamespace").and_then(Data::as_str).map(String::from),
            name_prefix: text("namePrefix"),
            name_suffix: text("nameSuffix"),
            patches: patches.chain(list("patchesJson6902").iter().filter_map(flux_patch).map(late)).collect(),
            components: spec.strings("components"),
            labels: spec.at(&["commonMetadata", "labels"]).map(pairs).unwrap_or_default(),
            post_build: spec.get("postBuild").filter(|data| !data.is_null()).map(post_build),
        }
    }
}

fn source(reference: &Data) -> SourceRef {
    SourceRef {
        kind: reference.text(&["kind"]).into(),
        name: reference.text(&["name"]).into(),
        namespace: reference.get("namespace").and_then(Data::as_str).map(String::from),
    }
}

/// The source that a FluxInstance makes: it has the namespace's name, if it is given none.
fn synced(instance: &Data) -> SourceRef {
    let text = |path: &[&str]| instance.text(path).to_owned();
    let namespace = text(&["metadata", "namespace"]);
    let name = Some(text(&["spec", "sync", "name"])).filter(|name| !name.is_empty());
    SourceRef {
        kind: text(&["spec", "sync", "kind"]),
        name: name.unwrap_or_else(|| namespace.clone()),
        namespace: Some(namespace),
    }
}

/// Flux's `patches` are kustomize's; its older fields hold the patches as objects, not as texts.
fn flux_patch(item: &Data) -> Option<KustomizePatch> {
    let inline = |document: &Data, target| KustomizePatch::of(PatchSource::Inline(vec![document.clone()]), target);
    match item.get("patch") {
        None => Some(inline(item, None)),
        Some(operations) if matches!(operations.value, Value::Sequence(_)) => {
            Some(inline(operations, Some(target(item.get("target")?))))
        }
        Some(_) => patch(item),
    }
}

fn post_build(post_build: &Data) -> PostBuild {
    let substitute = post_build.get("substitute").map(Data::entries).unwrap_or_default();
    let from = post_build.get("substituteFrom").map(Data::items).unwrap_or_default();
    PostBuild {
        substitute: substitute
            .iter()
            .map(|(name, value)| (name.clone(), value.as_str().unwrap_or_default().to_owned()))
            .collect(),
        substitute_from: from
            .iter()
            .map(|from| (from.text(&["kind"]).to_owned(), from.text(&["name"]).to_owned()))
            .collect(),
    }
}

#[cfg(test)]
mod tests {
    use super::super::{FileKind, PatchSource, PatchTarget, Pattern, scan};

    #[test]
    fn kustomizations() {
        let text = "namespace: n\nresources: [a.yaml, ../b]\nbases: [c]\ncomponents: [d]\npatchesStrategicMerge:\n- e.yaml\n- |-\n  kind: A\n  x: y\npatches:\n- path: f.yaml\n- target: {kind: K, name: n}\n  patch: |-\n    - op: replace\npatchesJson6902:\n- target: {kind: K, name: n}\n  path: g.yaml\nimages:\n- {name: a, newName: b, newTag: v1}\n- {name: c, digest: 'sha256:00'}\n- newTag: lost\n";
        let scanned = scan(FileKind::Kustomization, text.as_bytes());
        let read = scanned.documents[0].kustomization.as_ref().unwrap();
        assert_eq!(read.namespace.as_deref(), Some("n"));
        assert_eq!((read.resources.join(" "), read.components.join(" ")), ("a.yaml ../b c".into(), "d".into()));
        let named = PatchTarget { kind: Pattern::of("K"), name: Pattern::of("n"), ..PatchTarget::default() };
        let patches: Vec<_> = read
            .patches
            .iter()
            .map(|patch| {
                let target =
                    patch.target.as_ref().map(|target| if *target == named { " for K/n" } else { " for another" });
                match &patch.source {
                    PatchSource::File(file) => format!("{file}{}", target.unwrap_or_default()),
                    PatchSource::Inline(documents) => {
                        format!("{}{}", documents[0].describe(), target.unwrap_or_default())
                    }
                }
            })
            .collect();
        assert_eq!(patches, ["e.yaml", "a mapping", "f.yaml", "a sequence for K/n", "g.yaml for K/n"]);
        assert_eq!(read.images.len(), 2);
        assert_eq!(read.images[0].new_name.as_deref(), Some("b"));
        assert_eq!(read.images[1].digest.as_deref(), Some("sha256:00"));
        assert!(scan(FileKind::Yaml, text.as_bytes()).documents[0].kustomization.is_none());
    }
}
