//! Which files are read, and how.

use super::only_patch;
use memchr::memmem;
use std::sync::LazyLock;

/// How a file is read, by its name alone.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum FileKind {
    /// `*.yaml`, `*.yml`
    Yaml,
    /// `*.json`
    Json,
    /// `kustomization.yaml`, `kustomization.yml`, `Kustomization`: kustomize knows them by their name, with or without
    /// `apiVersion` and `kind`.
    Kustomization,
    /// `.flux.yaml`, Flux v1's file of generators.
    FluxYaml,
    /// `flux-patch.yaml`, as Flux v1's documents call the patch file of a `.flux.yaml`: what it has is edited, and what it
    /// lacks is put into it, whether it speaks of an image yet or not.
    FluxPatch,
}

impl FileKind {
    /// By a path's last component; the match is case sensitive, as Flux's is.
    pub fn of(path: &str) -> Option<FileKind> {
        let name = path.rsplit('/').next().unwrap_or(path);
        match name {
            "kustomization.yaml" | "kustomization.yml" | "Kustomization" => Some(FileKind::Kustomization),
            ".flux.yaml" => Some(FileKind::FluxYaml),
            "flux-patch.yaml" => Some(FileKind::FluxPatch),
            _ if name.ends_with(".yaml") || name.ends_with(".yml") => Some(FileKind::Yaml),
            _ if name.ends_with(".json") => Some(FileKind::Json),
            _ => None,
        }
    }
}

/// Whether a file can hold anything that [`super::scan`] reports, told by a byte search: most files of a repository
/// cannot, and are never parsed. A file that is a candidate may still hold nothing.
pub fn is_candidate(kind: FileKind, bytes: &[u8]) -> bool {
    // `image` covers markers, Flux's image group, workloads, kustomize's and most charts' images; the others are
    // chart values without that word (`repository: a/b:v1`), objects known by annotations, patches (JSON6902
    // ones have an `op`), what objects follow, sources, and charts that depend on others of the repository.
    const NEEDLES: [&str; 19] = [
        "image",
        "Image",
        "tag",
        "HelmRelease",
        "kustomize",
        "op:",
        "op :",
        "\"op\"",
        "'op'",
        "fluxcd.io/",
        "fluxcd.controlplane.io",
        "flux.weave.works/",
        "$patch",
        "file://",
        "argoproj",
        "newTag",
        "newName",
        "repository",
        CONFIG_MAP,
    ];
    static FINDERS: LazyLock<[memmem::Finder<'static>; NEEDLES.len()]> =
        LazyLock::new(|| NEEDLES.map(memmem::Finder::new));
    // Of large ones only those hold values for substitutions that write some on their keys' lines: dashboards and scripts
    // are not worth reading.
    const CONFIG_MAP_LIMIT: usize = 16 << 10;
    const CONFIG_MAP: &str = "ConfigMap";
    let small = bytes.len() <= CONFIG_MAP_LIMIT;
    let found = |(finder, needle): (&memmem::Finder<'_>, &str)| {
        finder.find(bytes).is_some() && (small || needle != CONFIG_MAP || has_values(bytes))
    };
    matches!(kind, FileKind::Kustomization | FileKind::FluxYaml | FileKind::FluxPatch)
        || (is_utf16(bytes) && memmem::find(bytes, b"i\0m\0a\0g\0e").is_some())
        || FINDERS.iter().zip(NEEDLES).any(found)
        || (kind == FileKind::Yaml && is_blank(bytes))
        || only_patch::may_hold_one(bytes)
}

/// Whether something below a line `data:` stands on the line of its key.
fn has_values(bytes: &[u8]) -> bool {
    // The indent of `data:`, and that of what is below it.
    let mut data: Option<(usize, Option<usize>)> = None;
    for line in bytes.split(|byte| *byte == b'\n') {
        let text = line.trim_ascii();
        if matches!(text, [] | [b'#', ..]) {
            continue;
        }
        let indent = line.iter().take_while(|byte| **byte == b' ').count();
        data = match data {
            Some((own, below)) if indent > own => {
                let below = below.unwrap_or(indent);
                let value = memmem::find(text, b": ").and_then(|at| text.get(at + 2..)).map(<[u8]>::trim_ascii_start);
                if indent == below && value.is_some_and(|value| !matches!(value, [] | [b'|' | b'>' | b'#', ..])) {
                    return true;
                }
                Some((own, Some(below)))
            }
            _ => (text == b"data:" || text.starts_with(b"data: #")).then_some((indent, None)),
        };
    }
    false
}

/// Whether a file holds no document yet: a patch file that is to be filled may begin so.
fn is_blank(bytes: &[u8]) -> bool {
    /// In bytes: what a person writes at a file's head.
    const LIMIT: usize = 4 << 10;
    let blank = |line: &[u8]| matches!(line.trim_ascii(), [] | [b'#', ..] | b"---");
    bytes.len() <= LIMIT && bytes.split(|byte| *byte == b'\n').all(blank)
}

/// Whether the file begins as UTF-16 does, with or without a byte order mark: nothing in it is read, which has to be said.
fn is_utf16(bytes: &[u8]) -> bool {
    matches!(bytes, [0xff, 0xfe, ..] | [0xfe, 0xff, ..] | [0, _, ..] | [_, 0, ..])
}

#[cfg(test)]
mod tests {
    use super::{
        super::{Annotation, Document, Scan, scan},
        *,
    };
    use crate::engine::testing::at_least;
    use proptest::prelude::*;
    use regex::{Captures, Regex};

    #[test]
    fn kinds() {
        let cases = [
            ("a.yaml", Some(FileKind::Yaml)),
            ("a/b.c/d.yml", Some(FileKind::Yaml)),
            ("a/b.json", Some(FileKind::Json)),
            ("a/.flux.yaml", Some(FileKind::FluxYaml)),
            ("a/my.flux.yaml", Some(FileKind::Yaml)),
            ("a/flux-patch.yaml", Some(FileKind::FluxPatch)),
            ("a/my-flux-patch.yaml", Some(FileKind::Yaml)),
            ("a/kustomization.yaml", Some(FileKind::Kustomization)),
            ("kustomization.yml", Some(FileKind::Kustomization)),
            ("a/Kustomization", Some(FileKind::Kustomization)),
            ("a/kustomization", None),
            ("a/my-kustomization.yaml", Some(FileKind::Yaml)),
            ("a/kustomization.json", Some(FileKind::Json)),
            ("a.YAML", None),
            ("a.yaml.gotmpl", None),
            ("kustomization.yaml/README.md", None),
            ("Dockerfile", None),
            ("", None),
        ];
        for (path, expected) in cases {
            assert_eq!(FileKind::of(path), expected, "{path}");
        }
    }

    #[test]
    fn utf_16() {
        let wide = |text: &str, mark: bool, big: bool| -> Vec<u8> {
            let units = mark.then_some(0xfeff).into_iter().chain(text.encode_utf16());
            units.flat_map(|unit| if big { unit.to_be_bytes() } else { unit.to_le_bytes() }).collect()
        };
        for (mark, big) in [(true, true), (true, false), (false, true), (false, false)] {
            assert!(is_candidate(FileKind::Yaml, &wide("image: a:v1 # {\"$imagepolicy\": \"a:b\"}", mark, big)));
            assert!(!is_candidate(FileKind::Yaml, &wide("kind: Namespace", mark, big)));
        }
    }

    #[test]
    fn candidates() {
        let cases = [
            (FileKind::Yaml, "x: v1 # {\"$imagepolicy\": \"a:b\"}", true),
            (FileKind::Yaml, "apiVersion: image.toolkit.fluxcd.io/v1", true),
            (FileKind::Yaml, "images:\n- newTag: x", true),
            (FileKind::Yaml, "repository: a\ntag: b", true),
            (FileKind::Yaml, "app:\n  repository: 'a/b:v1'\n", true),
            (FileKind::Yaml, "- {op: add, path: /x/newName, value: a}", true),
            (FileKind::Json, "{\"sidecarImage\": \"a:b\"}", true),
            (FileKind::Yaml, "kind: HelmRelease", true),
            (FileKind::Yaml, "apiVersion: kustomize.toolkit.fluxcd.io/v1", true),
            (FileKind::Kustomization, "resources: [a.yaml]", true),
            (FileKind::Yaml, "- op: replace\n  path: /spec/update/path\n  value: ./a", true),
            (FileKind::Yaml, "kind: ConfigMap\ndata: {zone: dev}", true),
            (FileKind::Yaml, "kind: GitRepository\napiVersion: source.toolkit.fluxcd.io/v1", true),
            (FileKind::Yaml, "kind: Deployment\nmetadata: {annotations: {fluxcd.io/locked: 'true'}}", true),
            (FileKind::Yaml, "kind: Deployment\n$patch: delete", true),
            (FileKind::Yaml, "kind: Namespace\nmetadata:\n  name: a\n", false),
            (FileKind::FluxPatch, "kind: Namespace\nmetadata:\n  name: a\n", true),
            (FileKind::Yaml, "", true),
            (FileKind::Yaml, "# filled by a robot\n---\n", true),
            (FileKind::Yaml, "# none\na: b\n", false),
            (FileKind::Json, "", false),
        ];
        for (kind, text, expected) in cases {
            assert_eq!(is_candidate(kind, text.as_bytes()), expected, "{text}");
        }
    }

    #[test]
    fn large_config_maps() {
        let text = "    x: y\n".repeat(4 << 10);
        let script = |data: &str| format!("kind: ConfigMap\nmetadata: {{name: a}}\n{data}");
        #[rustfmt::skip]
        let cases = [
            (script(&format!("data:\n  a.json: |\n{text}")), false),
            (script(&format!("data:\n  a.json: |\n{text}  b.sh: >-\n{text}---\nkind: Namespace\na: b\n")), false),
            (script(&format!("data: # all\n\n  # zone\n  zone: dev\n  a.json: |\n{text}")), true),
            (script(&format!("data:\n  a.json: |\n{text}  zone: \"dev\"\n")), true),
            (format!("kind: List\nitems:\n- kind: ConfigMap\n  data:\n    a.json: |\n  {text}\n    zone: dev\n"), true),
            (format!("kind: Secret\ndata:\n  zone: dev\nx: |\n{text}"), false),
        ];
        for (text, expected) in cases {
            assert_eq!(is_candidate(FileKind::Yaml, text.as_bytes()), expected, "{}", &text[..80]);
        }
    }

    /// Documents of all that the engine knows, with a line for each thing that it reads.
    const DOCUMENTS: [&str; 16] = [
        "apiVersion: apps/v1\nkind: Deployment\nmetadata:\n  name: a\n  annotations:\n    fluxcd.io/automated: 'true'\nspec:\n  template:\n    spec:\n      containers:\n      - name: c\n        image: a/b:1\n",
        "kind: CronJob\nmetadata: {name: a, annotations: {flux.weave.works/ignore: x}}\nspec:\n  jobTemplate:\n    spec:\n      template:\n        spec:\n          initContainers:\n          - image: a/b:1\n            name: c\n",
        "kind: HelmRelease\nspec:\n  chart:\n    git: x\n    path: charts/a\n  values:\n    repository: a/b:1\n    x:\n      tag: 'b'\n",
        "kind: FluxHelmRelease\nmetadata: {name: a}\nspec:\n  values:\n    image: a/b\n    tag: '1'\n",
        "apiVersion: image.toolkit.fluxcd.io/v1\nkind: ImagePolicy\nmetadata: {name: a}\nspec:\n  policy: {semver: {range: x}}\n",
        "apiVersion: kustomize.toolkit.fluxcd.io/v1\nkind: Kustomization\nmetadata: {name: a}\nspec:\n  path: ./a\n",
        "apiVersion: fluxcd.controlplane.io/v1\nkind: FluxInstance\nmetadata: {name: a}\nspec: {sync: {path: a}}\n",
        "apiVersion: source.toolkit.fluxcd.io/v1\nkind: GitRepository\nmetadata: {name: a}\nspec: {url: x}\n",
        "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: a}\ndata:\n  range: 1.x\n  app: a/b:1 # {\"$imagepolicy\": \"a:b\"}\n",
        "- op: replace\n  path: /spec/x\n  value: a\n- path: /spec/y\n  op: remove\n",
        "- {path: /spec/x, op: add, value: a}\n",
        "apiVersion: argoproj.io/v1alpha1\nkind: Application\nspec:\n  source: {path: charts/a, helm: {valueFiles: [x]}}\n",
        "apiVersion: source.toolkit.fluxcd.io/v1\nkind: HelmChart\nspec:\n  chart: ./a\n  sourceRef: {kind: GitRepository}\n",
        "apiVersion: v2\ndependencies:\n- name: a\n  repository: file://../b\n",
        "kind: Namespace\nmetadata: {name: a}\n$patch: delete\n",
        "apiVersion: v1\nkind: NotImportant\nmetadata:\n  name: a\nspec: {suspend: true}\n",
    ];

    /// What of a scan would be missed by who has not read the file.
    fn held(scan: &Scan) -> Vec<String> {
        let prefixes = ["fluxcd.io/", "flux.weave.works/", "filter.fluxcd.io/"];
        let known = |annotation: &Annotation| prefixes.iter().any(|prefix| annotation.key.starts_with(prefix));
        let of = |document: &Document| {
            let holds = [
                ("content", document.content.is_some()),
                ("patch", document.patch.is_some()),
                ("kustomization", document.kustomization.is_some()),
                ("generator", document.generator.is_some()),
                ("directives", document.has_directives),
                ("annotations", document.annotations.iter().any(known)),
                ("containers", !document.containers.is_empty()),
                ("brings", !document.brings.is_empty()),
            ];
            holds.into_iter().filter(|(_, holds)| *holds).map(|(what, _)| what.to_owned()).collect::<Vec<_>>()
        };
        let lines = scan.lines.iter().map(|line| line.value.to_string());
        // That a file is no YAML matters where something was to be read.
        let findings = scan
            .findings
            .iter()
            .map(|finding| finding.code.clone())
            .filter(|code| code != "unparsed-file" && code != "yaml-invalid");
        scan.documents.iter().flat_map(of).chain(lines).chain(findings).collect()
    }

    proptest! {
        #![proptest_config(at_least(3000))]

        /// What the byte search passes over holds nothing: whatever lines documents lack, and however keys are spelled.
        #[test]
        fn what_is_no_candidate_holds_nothing(
            drawn in prop::collection::vec((prop::sample::select(&DOCUMENTS[..]), any::<u32>(), any::<u32>()), 1..3),
            quote in prop::sample::select(&["", "", "\"", "'"]),
            colon in prop::sample::select(&[": ", ": ", " : "]),
            comma in prop::sample::select(&[", ", ","]),
            marked in any::<bool>(),
        ) {
            let key = Regex::new(r"(?m)(^ *(?:- )?|[{ ])([a-zA-Z$.]+): ").unwrap();
            let mut text = if marked { "\u{feff}".to_owned() } else { String::new() };
            for (document, lacks, otherwise) in drawn {
                let kept = document.lines().enumerate().filter(|(at, _)| lacks >> at & 1 == 0);
                for (at, line) in kept {
                    let spelled = key.replace_all(line, |found: &Captures<'_>| format!("{}{quote}{}{quote}{colon}", &found[1], &found[2]));
                    let spelled = if otherwise >> at & 1 == 0 { line.to_owned() } else { spelled.replace(", ", comma) };
                    text += &format!("{spelled}\n");
                }
                text += "---\n";
            }
            for kind in [FileKind::Yaml, FileKind::Json] {
                if !is_candidate(kind, text.as_bytes()) {
                    prop_assert_eq!(held(&scan(kind, text.as_bytes())), [""; 0], "{}", text);
                }
            }
        }
    }
}
