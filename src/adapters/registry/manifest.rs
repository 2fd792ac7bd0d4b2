//! Manifests, as far as butler reads them
//! (<https://github.com/opencontainers/image-spec/blob/main/manifest.md>, `image-index.md`, `config.md`).

use crate::engine::image::is_digest;
use jiff::Timestamp;
use serde::Deserialize;
use sha2::{Digest, Sha256};
use std::collections::BTreeMap;

/// Every kind of manifest that is understood; a registry converts or refuses where a client names too few.
pub(super) const ACCEPT: &str = "application/vnd.oci.image.index.v1+json, \
    application/vnd.docker.distribution.manifest.list.v2+json, \
    application/vnd.oci.image.manifest.v1+json, \
    application/vnd.docker.distribution.manifest.v2+json";

/// What a manifest says about where its time is found.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Manifest {
    /// One image: its config's digest, and the time that its annotations tell.
    Image { config: String, annotated: Option<Timestamp> },
    /// Several: the manifest to look at; `None` where there is no image among them.
    Index { chosen: Option<String> },
}

#[derive(Deserialize)]
struct Document {
    config: Option<Descriptor>,
    manifests: Option<Vec<Descriptor>>,
    #[serde(default)]
    annotations: Option<BTreeMap<String, String>>,
}

#[derive(Deserialize)]
struct Descriptor {
    digest: String,
    platform: Option<Platform>,
    #[serde(default)]
    annotations: Option<BTreeMap<String, String>>,
}

#[derive(Deserialize)]
struct Platform {
    #[serde(default)]
    os: String,
    #[serde(default)]
    architecture: String,
}

impl Descriptor {
    /// BuildKit's attestations stand in an index beside the images they are about.
    fn is_attestation(&self) -> bool {
        let reference_type = self.annotations.as_ref().and_then(|a| a.get("vnd.docker.reference.type"));
        reference_type.is_some() || self.platform.as_ref().is_some_and(|p| p.os == "unknown")
    }
    fn is_linux_amd64(&self) -> bool {
        self.platform.as_ref().is_some_and(|p| p.os == "linux" && p.architecture == "amd64")
    }
}

impl Manifest {
    /// Reads a manifest; the reason where it is none.
    pub fn parse(bytes: &[u8]) -> Result<Self, String> {
        let document: Document = serde_json::from_slice(bytes).map_err(|e| e.to_string())?;
        match (document.manifests, document.config) {
            (Some(mut entries), _) => {
                entries.retain(|entry| !entry.is_attestation());
                let chosen = entries.iter().find(|e| e.is_linux_amd64()).or(entries.first());
                Ok(Manifest::Index { chosen: chosen.map(|e| e.digest.clone()) })
            }
            (None, Some(config)) => {
                let created = document.annotations.as_ref().and_then(|a| a.get("org.opencontainers.image.created"));
                Ok(Manifest::Image { config: config.digest, annotated: created.and_then(|text| real_time(text)) })
            }
            (None, None) => Err("neither config nor manifests".into()),
        }
    }
}

/// When an image was created, from its config. Configs of other artifacts (charts, signatures) have no time.
pub(super) fn created(config: &[u8]) -> Option<Timestamp> {
    #[derive(Deserialize)]
    struct Config {
        created: Option<String>,
    }
    let config: Config = serde_json::from_slice(config).ok()?;
    real_time(&config.created?)
}

/// A time that somebody meant: Go's zero time and the epoch stand for "none" (reproducible builds).
fn real_time(text: &str) -> Option<Timestamp> {
    text.parse().ok().filter(|time| *time > Timestamp::UNIX_EPOCH)
}

/// `sha256:…` of these bytes.
pub(super) fn digest_of(bytes: &[u8]) -> String {
    format!("sha256:{}", hex::encode(Sha256::digest(bytes)))
}

/// Whether a text is a digest whose bytes can be checked here: of sha256, the one that registries must support.
pub(super) fn is_sha256(text: &str) -> bool {
    text.starts_with("sha256:") && is_digest(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn manifests() {
        let image = |config: &str, annotated: Option<&str>| {
            Ok(Manifest::Image { config: config.into(), annotated: annotated.map(|t| t.parse().unwrap()) })
        };
        let index = |chosen: Option<&str>| Ok(Manifest::Index { chosen: chosen.map(Into::into) });
        #[rustfmt::skip]
        let table = [
            (r#"{"config":{"digest":"c"}}"#, image("c", None)),
            (r#"{"config":{"digest":"c"},"annotations":{"org.opencontainers.image.created":"2026-01-02T03:04:05Z"}}"#,
             image("c", Some("2026-01-02T03:04:05Z"))),
            (r#"{"config":{"digest":"c"},"annotations":null}"#, image("c", None)),
            (r#"{"manifests":[{"digest":"a","platform":{"os":"linux","architecture":"arm64"}},{"digest":"b","platform":{"os":"linux","architecture":"amd64"}}]}"#,
             index(Some("b"))),
            (r#"{"manifests":[{"digest":"a","platform":{"os":"unknown","architecture":"unknown"}},{"digest":"b","platform":{"os":"windows","architecture":"amd64"}}]}"#,
             index(Some("b"))),
            (r#"{"manifests":[{"digest":"a","annotations":{"vnd.docker.reference.type":"attestation-manifest"}},{"digest":"b"}]}"#,
             index(Some("b"))),
            (r#"{"manifests":[]}"#, index(None)),
            (r#"{}"#, Err("neither config nor manifests".into())),
        ];
        for (text, expected) in table {
            assert_eq!(Manifest::parse(text.as_bytes()), expected, "{text}");
        }
    }

    #[test]
    fn times() {
        let table = [
            (r#"{"created":"2026-11-20T21:46:51.123456789Z"}"#, Some("2026-11-20T21:46:51.123456789Z")),
            (r#"{"created":"2026-11-20T21:46:51+01:00"}"#, Some("2026-11-20T20:46:51Z")),
            (r#"{"created":"0001-01-01T00:00:00Z"}"#, None),
            (r#"{"created":"1970-01-01T00:00:00Z"}"#, None),
            (r#"{"created":"yesterday"}"#, None),
            (r#"{"created":null}"#, None),
            (r#"{}"#, None),
            ("not JSON", None),
        ];
        for (config, expected) in table {
            assert_eq!(created(config.as_bytes()), expected.map(|t| t.parse().unwrap()), "{config}");
        }
    }

    #[test]
    fn digests() {
        assert!(is_sha256(&digest_of(b"")));
        assert_eq!(digest_of(b""), "sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
        for text in ["sha256:abc", &format!("sha512:{}", "0".repeat(128)), "", "e3b0", &digest_of(b"").to_uppercase()] {
            assert!(!is_sha256(text), "{text:?}");
        }
    }
}
