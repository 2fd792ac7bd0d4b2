//! A tag as a registry tells it.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

/// A tag of an image repository, with what is known about it. Only the name is always there.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, expecting = "an object such as {\"tag\": \"1.2.3\"}")]
pub struct Tag {
    #[serde(rename = "tag")]
    pub name: String,
    /// `sha256:…`
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub digest: Option<String>,
    /// When the image was pushed, where the registry tells it (ECR does).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pushed_at: Option<Timestamp>,
    /// When the image was created, from its config.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub created_at: Option<Timestamp>,
}

impl Tag {
    /// A tag of which nothing but the name is known.
    pub fn named(name: impl Into<String>) -> Self {
        Tag { name: name.into(), digest: None, pushed_at: None, created_at: None }
    }
}
