//! What an object brings into a cluster besides itself.

use super::yaml::Node;

/// Paths in the repository that an object brings along: a chart (HelmRelease of both Fluxes, HelmChart, Argo CD's
/// Application, `file://` dependencies of a chart) and its values files.
pub(super) fn brings(group: &str, kind: &str, root: &Node<'_>) -> Vec<String> {
    let mut found = Vec::new();
    let mut add = |folder: Option<&str>, path: Option<&str>| {
        let local = |path: &&str| !path.is_empty() && !path.contains("://");
        let path = path.filter(local);
        found.extend(path.map(|path| match folder {
            Some(folder) => format!("{folder}/{path}"),
            None => path.to_owned(),
        }));
    };
    let text = |node: &'_ Node<'_>, path: &[&str]| node.at(path).and_then(Node::as_str).map(String::from);
    let list = |node: &Node<'_>, path: &[&str]| -> Vec<String> {
        let items = node.at(path).map(Node::items).unwrap_or_default();
        items.iter().filter_map(Node::as_str).map(String::from).collect()
    };
    match (group, kind) {
        (_, "HelmRelease") | ("source.toolkit.fluxcd.io", "HelmChart") => {
            let chart: &[&str] = if kind == "HelmChart" { &["spec"] } else { &["spec", "chart", "spec"] };
            let kind = text(root, &[chart, &["sourceRef", "kind"]].concat());
            if matches!(kind.as_deref(), Some("GitRepository" | "Bucket")) {
                add(None, text(root, &[chart, &["chart"]].concat()).as_deref());
                add(None, text(root, &[chart, &["valuesFile"]].concat()).as_deref());
                for file in list(root, &[chart, &["valuesFiles"]].concat()) {
                    add(None, Some(&file));
                }
            }
            // Flux v1.
            if root.at(&["spec", "chart", "git"]).is_some() {
                add(None, text(root, &["spec", "chart", "path"]).as_deref());
            }
        }
        ("argoproj.io", "Application") => {
            let several = root.at(&["spec", "sources"]).map(Node::items).unwrap_or_default();
            for source in root.at(&["spec", "source"]).into_iter().chain(several) {
                let path = text(source, &["path"]);
                add(None, path.as_deref());
                for file in list(source, &["helm", "valueFiles"]) {
                    add(path.as_deref(), Some(&file));
                }
            }
        }
        (_, "") if root.get("apiVersion").is_some() && root.get("dependencies").is_some() => {
            for dependency in root.get("dependencies").map(Node::items).unwrap_or_default() {
                let repository = text(dependency, &["repository"]);
                add(Some("."), repository.as_deref().and_then(|text| text.strip_prefix("file://")));
            }
        }
        _ => {}
    }
    found
}
