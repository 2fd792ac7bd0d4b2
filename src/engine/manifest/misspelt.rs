//! Annotations under Flux v1's prefixes that neither Flux v1 nor butler reads: misspelt ones, mostly.
//! <https://fluxcd.io/legacy/flux/references/automated-image-update/>

use super::Annotation;
use crate::engine::config::nearest;

const PREFIXES: [&str; 2] = ["flux.weave.works/", "fluxcd.io/"];

/// What Flux v1 and its Helm operator read or write themselves, beside `tag.<container>`.
const KNOWN: [&str; 9] = [
    "automated",
    "ignore",
    "locked",
    "locked_msg",
    "locked_user",
    "tag_all",
    "antecedent",
    "sync-checksum",
    "sync-gc-mark",
];

const CONTAINER: &str = "tag.";

/// The annotations of an object that nothing reads, by their index, each with a sentence.
pub(super) fn unknown(annotations: &[Annotation]) -> Vec<(usize, String)> {
    let why = |annotation: &Annotation| {
        let (prefix, name) =
            PREFIXES.iter().find_map(|prefix| Some((*prefix, annotation.key.strip_prefix(prefix)?)))?;
        unknown_name(prefix, name)
    };
    annotations.iter().enumerate().filter_map(|(index, annotation)| Some((index, why(annotation)?))).collect()
}

fn unknown_name(prefix: &str, name: &str) -> Option<String> {
    let is_pattern = name.strip_prefix(CONTAINER).is_some_and(|container| !container.is_empty());
    if is_pattern || KNOWN.contains(&name) {
        return None;
    }
    let hint = match nearest(name, KNOWN) {
        Some(near) => format!("did you mean {prefix}{near}?"),
        // `tags.app`, `tag_app`
        None if name.starts_with("tag") => format!("did you mean {prefix}{CONTAINER}CONTAINER?"),
        None => {
            format!("known there: automated, ignore, locked, locked_msg, locked_user and {CONTAINER}CONTAINER")
        }
    };
    Some(format!("found {prefix}{name}, which neither Flux v1 nor butler reads; {hint}"))
}

#[cfg(test)]
mod tests {
    use super::super::{FileKind, scan};

    #[test]
    fn what_nothing_reads() {
        let said = |annotations: &str| -> Vec<String> {
            let text = format!(
                "kind: Deployment\nmetadata:\n  name: a\n  annotations: {{{annotations}}}\nspec: {{template: {{spec: \
                 {{containers: [{{name: app, image: a/b:1}}, {{name: side, image: a/c:1}}]}}}}}}\n"
            );
            let findings = scan(FileKind::Yaml, text.as_bytes()).findings;
            assert!(findings.iter().all(|finding| finding.code == "annotation-unknown"), "{findings:?}");
            findings.into_iter().map(|finding| format!("{} {}", finding.position, finding.message)).collect()
        };
        let unread = "which neither Flux v1 nor butler reads";
        let known = "known there: automated, ignore, locked, locked_msg, locked_user and tag.CONTAINER";
        #[rustfmt::skip]
        let cases = [
            ("fluxcd.io/automated: 'true', fluxcd.io/tag.app: 'glob:*', flux.weave.works/locked_msg: a", vec![]),
            ("flux.weave.works/antecedent: a, fluxcd.io/sync-checksum: a, fluxcd.io/ignore: sync_only", vec![]),
            ("fluxcd.io/automted: 'true'", vec![format!("4:17 found fluxcd.io/automted, {unread}; did you mean fluxcd.io/automated?")]),
            ("flux.weave.works/loked: 'true'", vec![format!("4:17 found flux.weave.works/loked, {unread}; did you mean flux.weave.works/locked?")]),
            ("fluxcd.io/tags.app: x", vec![format!("4:17 found fluxcd.io/tags.app, {unread}; did you mean fluxcd.io/tag.CONTAINER?")]),
            ("fluxcd.io/owner: ann", vec![format!("4:17 found fluxcd.io/owner, {unread}; {known}")]),
            // Which containers there are is told by what is built.
            ("fluxcd.io/tag.ap: x, fluxcd.io/tag.other: x", vec![]),
            // Other people's.
            ("reconcile.fluxcd.io/requestedAt: x, helm.fluxcd.io/automted: x, repository.fluxcd.io/ap: x", vec![]),
            ("kustomize.toolkit.fluxcd.io/prune: x, example.com/automted: x, fluxcd.io: x", vec![]),
        ];
        for (annotations, expected) in cases {
            assert_eq!(said(annotations), expected, "{annotations}");
        }
    }
}
