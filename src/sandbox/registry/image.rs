//! The bytes of a small but proper OCI image: config, one empty layer, manifest.

use jiff::Timestamp;
use serde_json::json;
use sha2::{Digest, Sha256};
use std::collections::BTreeMap;

pub(super) const MANIFEST_TYPE: &str = "application/vnd.oci.image.manifest.v1+json";
const CONFIG_TYPE: &str = "application/vnd.oci.image.config.v1+json";
const LAYER_TYPE: &str = "application/vnd.oci.image.layer.v1.tar+gzip";

/// An empty tar archive, compressed: the layer that Docker itself writes for an instruction without files.
const EMPTY_LAYER: [u8; 32] = [
    31, 139, 8, 0, 0, 9, 110, 136, 0, 255, 98, 24, 5, 163, 96, 20, 140, 88, 0, 8, 0, 0, 255, 255, 46, 175, 181, 239, 0,
    4, 0, 0,
];
/// Of the archive before compression: 1,024 zeros.
const EMPTY_LAYER_DIFF: &str = "sha256:5f70bf18a086007016e948b04aed3b82103a36bea41755b6cddfaf10ace3c6ef";

/// An image, ready to be stored or sent.
pub(super) struct Image {
    /// Config and layer: (digest, bytes).
    pub blobs: Vec<(String, Vec<u8>)>,
    pub manifest: Vec<u8>,
    pub digest: String,
}

/// An image that was created at this time. Images differ where their time or labels do.
pub(super) fn build(created: Timestamp, labels: &[(&str, &str)]) -> Image {
    let labels: BTreeMap<_, _> = labels.iter().copied().collect();
    let config = json!({
        "created": created,
        "architecture": "amd64",
        "os": "linux",
        "config": {"Labels": labels},
        "rootfs": {"type": "layers", "diff_ids": [EMPTY_LAYER_DIFF]},
        "history": [{"created": created, "created_by": "butler sandbox"}],
    })
    .to_string()
    .into_bytes();
    let layer = EMPTY_LAYER.to_vec();
    let (config_digest, layer_digest) = (digest_of(&config), digest_of(&layer));
    let manifest = json!({
        "schemaVersion": 2,
        "mediaType": MANIFEST_TYPE,
        "config": {"mediaType": CONFIG_TYPE, "digest": config_digest, "size": config.len()},
        "layers": [{"mediaType": LAYER_TYPE, "digest": layer_digest, "size": layer.len()}],
    })
    .to_string()
    .into_bytes();
    let digest = digest_of(&manifest);
    Image { blobs: vec![(config_digest, config), (layer_digest, layer)], manifest, digest }
}

/// `sha256:…` of these bytes.
pub(super) fn digest_of(bytes: &[u8]) -> String {
    format!("sha256:{}", hex::encode(Sha256::digest(bytes)))
}
