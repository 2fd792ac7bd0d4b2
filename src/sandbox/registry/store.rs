//! What the registry holds, in memory.

use super::image::digest_of;
use serde::Deserialize;
use std::{
    collections::{BTreeMap, HashMap},
    sync::Arc,
};

/// Everything that was pushed.
#[derive(Default)]
pub(super) struct Store {
    blobs: HashMap<String, Arc<[u8]>>,
    uploads: HashMap<String, Vec<u8>>,
    repositories: BTreeMap<String, Contents>,
}

#[derive(Default)]
struct Contents {
    manifests: HashMap<String, Manifest>,
    /// Tag -> digest.
    tags: BTreeMap<String, String>,
}

#[derive(Clone)]
pub(super) struct Manifest {
    pub media_type: String,
    pub bytes: Arc<[u8]>,
    pub digest: String,
}

/// Why something cannot be stored: the specification's error codes.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Refusal {
    ManifestInvalid,
    ManifestBlobUnknown(String),
    DigestInvalid,
    BlobUploadUnknown,
}

impl Store {
    pub fn blob(&self, digest: &str) -> Option<Arc<[u8]>> {
        self.blobs.get(digest).cloned()
    }

    pub fn put_blob(&mut self, digest: &str, bytes: Vec<u8>) -> Result<(), Refusal> {
        if digest_of(&bytes) != digest {
            return Err(Refusal::DigestInvalid);
        }
        self.blobs.insert(digest.into(), bytes.into());
        Ok(())
    }

    pub fn begin_upload(&mut self, id: String) {
        self.uploads.insert(id, Vec::new());
    }

    /// Adds to an upload; gives its length now.
    pub fn append(&mut self, id: &str, bytes: &[u8]) -> Result<usize, Refusal> {
        let upload = self.uploads.get_mut(id).ok_or(Refusal::BlobUploadUnknown)?;
        upload.extend_from_slice(bytes);
        Ok(upload.len())
    }

    /// Ends an upload, with its last bytes.
    pub fn finish_upload(&mut self, id: &str, digest: &str, bytes: &[u8]) -> Result<usize, Refusal> {
        let length = self.append(id, bytes)?;
        let upload = self.uploads.remove(id).ok_or(Refusal::BlobUploadUnknown)?;
        self.put_blob(digest, upload)?;
        Ok(length)
    }

    /// Stores a manifest under a tag or its digest, as soon as what it names is there.
    pub fn put_manifest(
        &mut self,
        repository: &str,
        reference: &str,
        media_type: &str,
        bytes: Vec<u8>,
    ) -> Result<Manifest, Refusal> {
        #[derive(Deserialize)]
        struct Document {
            config: Option<Named>,
            #[serde(default)]
            layers: Vec<Named>,
            #[serde(default)]
            manifests: Vec<Named>,
        }
        #[derive(Deserialize)]
        struct Named {
            digest: String,
        }
        let document: Document = serde_json::from_slice(&bytes).map_err(|_| Refusal::ManifestInvalid)?;
        let digest = digest_of(&bytes);
        let by_digest = reference.contains(':');
        if by_digest && reference != digest {
            return Err(Refusal::DigestInvalid);
        }
        let contents = self.repositories.entry(repository.into()).or_default();
        let blob = document.config.iter().chain(&document.layers).find(|n| !self.blobs.contains_key(&n.digest));
        let manifest = document.manifests.iter().find(|n| !contents.manifests.contains_key(&n.digest));
        if let Some(missing) = blob.or(manifest) {
            return Err(Refusal::ManifestBlobUnknown(missing.digest.clone()));
        }
        let manifest = Manifest { media_type: media_type.into(), bytes: bytes.into(), digest: digest.clone() };
        contents.manifests.insert(digest.clone(), manifest.clone());
        if !by_digest {
            contents.tags.insert(reference.into(), digest);
        }
        Ok(manifest)
    }

    /// By tag or by digest.
    pub fn manifest(&self, repository: &str, reference: &str) -> Option<Manifest> {
        let contents = self.repositories.get(repository)?;
        contents.manifests.get(contents.tags.get(reference).map_or(reference, String::as_str)).cloned()
    }

    pub fn remove_tag(&mut self, repository: &str, tag: &str) -> bool {
        self.repositories.get_mut(repository).is_some_and(|contents| contents.tags.remove(tag).is_some())
    }

    /// In byte order; `None` where there is no such repository.
    pub fn tags(&self, repository: &str) -> Option<impl Iterator<Item = &str>> {
        self.repositories.get(repository).map(|contents| contents.tags.keys().map(String::as_str))
    }
}
