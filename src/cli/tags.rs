//! `--tags FILE` and `--tag IMAGE:TAG`: tags given by hand instead of asked of registries.

use super::Failure;
use crate::engine::image::{Reference, Repository, Tag};
use std::{collections::BTreeMap, path::PathBuf};

/// Tags by image. What is given is an image's whole list.
pub type GivenTags = BTreeMap<Repository, Vec<Tag>>;

#[derive(clap::Args)]
pub struct TagsArgs {
    /// A JSON file of tags by image: {"IMAGE": [{"tag": "…", "digest": "…", "pushed_at": "…", "created_at": "…"}]}
    #[arg(long, value_name = "FILE")]
    tags: Option<PathBuf>,
    /// A tag of an image; may be given several times. What is given is all there is: no registry is asked
    #[arg(long, value_name = "IMAGE:TAG[@DIGEST]")]
    tag: Vec<String>,
}

/// Why a file of JSON cannot be used: its place once, what was expected, and what serde_json says. That tells the place
/// again, at its end and in words of its own, and column 0 for the first byte.
pub fn misread(file: &str, expected: &str, error: &serde_json::Error) -> String {
    let message = error.to_string();
    let why = message.rsplit_once(" at line ").map_or(message.as_str(), |(why, _)| why);
    format!("{file}:{}:{}: expected {expected}: {why}", error.line().max(1), error.column().max(1))
}

impl TagsArgs {
    /// The given tags; `None` where registries are to be asked.
    pub fn given(&self) -> Result<Option<GivenTags>, Failure> {
        if self.tags.is_none() && self.tag.is_empty() {
            return Ok(None);
        }
        let mut given = GivenTags::new();
        if let Some(file) = &self.tags {
            let text = std::fs::read_to_string(file)
                .map_err(|error| Failure::Usage(format!("cannot read {}: {error}", file.display())))?;
            let listed: BTreeMap<String, Vec<Tag>> = serde_json::from_str(&text).map_err(|error| {
                Failure::Usage(misread(&file.display().to_string(), r#"{"IMAGE": [{"tag": "1.2.3"}]}"#, &error))
            })?;
            for (image, tags) in listed {
                let repository = Repository::parse(&image)
                    .map_err(|error| Failure::Usage(format!("{}: {error}", file.display())))?;
                given.entry(repository).or_default().extend(tags);
            }
        }
        for text in &self.tag {
            let reference = Reference::parse(text).map_err(|error| Failure::Usage(error.to_string()))?;
            let Some(name) = reference.tag else {
                return Err(Failure::Usage(format!("expected IMAGE:TAG, found {text:?} without a tag")));
            };
            let tag = Tag { digest: reference.digest, ..Tag::named(name) };
            given.entry(reference.repository).or_default().push(tag);
        }
        for tags in given.values_mut() {
            // As a registry's list is read: byte-descending, each name once.
            tags.sort_by(|a, b| b.name.cmp(&a.name));
            tags.dedup_by(|a, b| a.name == b.name);
        }
        Ok(Some(given))
    }
}
