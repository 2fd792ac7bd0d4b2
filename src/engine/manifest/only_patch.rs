//! Objects that can only be patches. Where a patch has a target, kustomize goes by that and not by what the patch calls
//! itself, but wants it to have a kind and a name: people write `kind: NotImportant`.

use super::group_of;
use memchr::memmem;

/// The largest such object, in bytes.
pub(super) const SIZE_LIMIT: usize = 16 << 10;

/// How much of a value is looked at: kinds and groups are shorter.
const VALUE_LIMIT: usize = 256;

/// What is known in the groups without a domain, and what is often written without its group.
const KINDS: &[&str] = &[
    "Binding",
    "ComponentStatus",
    "ConfigMap",
    "ControllerRevision",
    "CronJob",
    "DaemonSet",
    "Deployment",
    "Endpoints",
    "Event",
    "Eviction",
    "FluxHelmRelease",
    "HelmRelease",
    "HorizontalPodAutoscaler",
    "Ingress",
    "Job",
    "LimitRange",
    "Namespace",
    "NetworkPolicy",
    "Node",
    "PersistentVolume",
    "PersistentVolumeClaim",
    "Pod",
    "PodDisruptionBudget",
    "PodSecurityPolicy",
    "PodTemplate",
    "ReplicaSet",
    "ReplicationController",
    "ResourceQuota",
    "Secret",
    "Service",
    "ServiceAccount",
    "StatefulSet",
];

/// Whether no cluster has objects of this kind: all kinds but Kubernetes' own are of a group with a domain.
pub(super) fn is_only_patch(api_version: &str, kind: &str) -> bool {
    !kind.is_empty() && !kind.ends_with("List") && !group_of(api_version).contains('.') && !KINDS.contains(&kind)
}

/// Whether a file may hold one, by a byte search for what its documents call themselves.
pub(super) fn may_hold_one(bytes: &[u8]) -> bool {
    let mut documents = Vec::new();
    let mut start = 0;
    for end in memmem::find_iter(bytes, b"\n---").chain([bytes.len()]) {
        documents.push(&bytes[start..end]);
        start = end;
    }
    documents.into_iter().filter(|document| document.len() <= SIZE_LIMIT).any(|document| {
        // Of references to other objects too.
        let has_domain = values(document, b"apiVersion").any(|value| value.contains(&b'.'));
        !has_domain
            // Go's templates are no objects.
            && memmem::find(document, b"{{").is_none()
            && values(document, b"kind").any(|kind| !KINDS.iter().any(|known| known.as_bytes() == kind))
    })
}

/// What stands behind a key, wherever that stands.
fn values<'b>(bytes: &'b [u8], key: &'static [u8]) -> impl Iterator<Item = &'b [u8]> {
    memmem::find_iter(bytes, key).filter_map(move |at| {
        let quotes = |byte: &u8| matches!(byte, b'"' | b'\'');
        let behind = &bytes[at + key.len()..];
        let behind = &behind[..behind.len().min(VALUE_LIMIT)];
        let behind = behind.strip_prefix(b"\"").or_else(|| behind.strip_prefix(b"'")).unwrap_or(behind);
        let value = behind.trim_ascii_start().strip_prefix(b":")?.trim_ascii_start();
        let value = if value.first().is_some_and(quotes) { &value[1..] } else { value };
        let ends = |byte: &u8| byte.is_ascii_whitespace() || quotes(byte) || matches!(byte, b',' | b'}');
        Some(&value[..value.iter().position(ends).unwrap_or(value.len())])
    })
}

#[cfg(test)]
mod tests {
    use super::{
        super::{FileKind, is_candidate, scan},
        *,
    };

    #[test]
    fn what_can_only_be_a_patch() {
        #[rustfmt::skip]
        let cases = [
            ("kind: NotImportant\nmetadata: {name: x}\n", true),
            ("apiVersion: v1\nkind: not-used\nmetadata: {name: x}\n", true),
            ("apiVersion: not/used\nkind: ImagePolicy\nmetadata: {name: x}\n", true),
            ("{\"kind\": \"X\", \"metadata\": {\"name\": \"x\"}}\n", true),
            ("'kind' : X\nmetadata: {name: x}\n---\napiVersion: v1\nkind: Service\n", true),
            ("apiVersion: v1\nkind: Service\n---\nkind: X\nmetadata: {name: x}\n", true),
            // kustomize wants it named.
            ("kind: X\n", false), ("metadata: {name: x}\nspec: {}\n", false),
            ("apiVersion: v1\nkind: Service\nmetadata: {name: x}\n", false),
            ("apiVersion: apps/v1\nkind: Deployment\nmetadata: {name: x}\n", false),
            ("apiVersion: example.org/v1\nkind: X\nmetadata: {name: x}\n", false),
            ("apiVersion: v1\nkind: List\nitems: []\nmetadata: {name: x}\n", false),
        ];
        for (text, expected) in cases {
            let read = scan(FileKind::Yaml, text.as_bytes());
            assert_eq!(read.documents.iter().any(|document| document.patch.is_some()), expected, "{text}");
            assert!(!expected || is_candidate(FileKind::Yaml, text.as_bytes()), "{text}");
        }
        let large = format!("kind: X\nmetadata: {{name: x}}\nspec: {}\n", "x".repeat(SIZE_LIMIT));
        assert!(!may_hold_one(large.as_bytes()) && scan(FileKind::Yaml, large.as_bytes()).documents[0].patch.is_none());
        // Most objects are passed over.
        for text in [
            "kind: Namespace\n",
            "apiVersion: example.org/v1\nkind: X\nspec: {ref: {kind: Y}}\n",
            "kind: {{ .x }}\n",
            "a: b\n",
        ] {
            assert!(!is_candidate(FileKind::Yaml, text.as_bytes()), "{text}");
        }
    }
}
