//! Policies as annotations that are written: what `fluxctl policy` does.

use super::{ANNOTATION_PREFIXES, FILTER_PREFIX, PREFIXES};
use crate::engine::{
    manifest::{AnnotateError, Document, annotate},
    policy::{Order, TagPolicy},
};
use std::collections::BTreeMap;

/// A policy's name (`automated`, `tag.app`), and the value that it gets; none: it is taken away.
pub type PolicyChange = (String, Option<String>);

/// The prefix of policies where an object has none yet.
const PREFIX: &str = PREFIXES[1];

/// Why a policy cannot be given.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PolicyChangeError {
    #[error("{0}")]
    Invalid(String),
    #[error(transparent)]
    Annotate(#[from] AnnotateError),
}

/// The file's text after policies of one of its objects are set or taken away. A policy keeps the prefix that it has, a
/// new one takes that of the object's others; `tag_all` is each container's.
///
/// # Errors
/// [`PolicyChangeError`] where there is no such policy, its value is none, or the object is not written line by line.
pub fn with_policies(text: &str, document: &Document, changes: &[PolicyChange]) -> Result<String, PolicyChangeError> {
    let mut keys = BTreeMap::new();
    for (name, value) in changes {
        check(document, name, value.as_deref()).map_err(PolicyChangeError::Invalid)?;
        let names = match name.as_str() {
            "tag_all" => document.containers.iter().map(|container| format!("tag.{}", container.name)).collect(),
            _ => vec![name.clone()],
        };
        for name in names {
            keys.extend(keys_of(document, &name).into_iter().map(|key| (key, value.clone())));
        }
    }
    Ok(annotate(text, document.position, &keys)?)
}

/// The annotations of an object that hold a policy, or the one that would.
fn keys_of(document: &Document, name: &str) -> Vec<String> {
    let present = |key: &String| document.annotations.iter().any(|annotation| annotation.key == *key);
    let filter = name.strip_prefix("tag.").map(|container| format!("{FILTER_PREFIX}{container}"));
    let known: Vec<String> =
        PREFIXES.iter().map(|prefix| format!("{prefix}{name}")).chain(filter).filter(present).collect();
    if !known.is_empty() {
        return known;
    }
    let has = |prefix: &str| document.annotations.iter().any(|annotation| annotation.key.starts_with(prefix));
    let [older, others @ ..] = ANNOTATION_PREFIXES;
    let prefix = if has(older) && !others.into_iter().any(has) { older } else { PREFIX };
    vec![format!("{prefix}{name}")]
}

fn check(document: &Document, name: &str, value: Option<&str>) -> Result<(), String> {
    let container = name.strip_prefix("tag.").filter(|name| !name.is_empty());
    match (name, container) {
        ("automated" | "locked" | "ignore", _) => match value {
            None | Some("true" | "false") => Ok(()),
            Some("sync_only") if name == "ignore" => Ok(()),
            Some(value) => Err(format!("expected {name} to be true or false, found {value:?}")),
        },
        ("locked_msg" | "locked_user", _) => Ok(()),
        ("tag_all", _) | (_, Some(_)) => {
            let names: Vec<&str> = document.containers.iter().map(|container| container.name.as_str()).collect();
            // One that is gone may still have its annotation.
            if let (Some(container), Some(_)) = (container, value)
                && !names.contains(&container)
            {
                return Err(format!("expected {name} to be of a container, which are {}", names.join(", ")));
            }
            let pattern = value.map(|value| TagPolicy::new(Order::Flux1(value.to_owned()), None, None));
            let fault = match &pattern {
                Some(Ok(policy)) => policy.fault().map(ToString::to_string),
                Some(Err(error)) => Some(error.to_string()),
                None => None,
            };
            fault.map_or(Ok(()), |fault| Err(format!("expected {name} to be a pattern of tags: {fault}")))
        }
        _ => Err(format!(
            "expected one of automated, ignore, locked, locked_msg, locked_user, tag.CONTAINER and tag_all, found {name:?}"
        )),
    }
}
