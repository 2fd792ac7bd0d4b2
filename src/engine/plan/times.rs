//! The times of images: asked for only where a policy orders by them, and only of the tags that it may choose.

use super::{
    Fact, Facts, Need,
    history::{Stays, because},
};
use crate::engine::{
    image::{Repository, Tag},
    policy::TagPolicy,
};

/// The tags with the times of those that the policy may choose, and of the one that stands there now.
pub(super) fn with_times(
    facts: &Facts,
    repository: &Repository,
    policy: &TagPolicy,
    tags: &[Tag],
    current: Option<&str>,
) -> Result<Vec<Tag>, Stays> {
    let known = facts.times.get(repository);
    let mut timed = tags.to_vec();
    let mut missing = Vec::new();
    for tag in &mut timed {
        let is_current = current == Some(tag.name.as_str());
        if tag.pushed_at.is_some() || tag.created_at.is_some() || !(is_current || policy.allows(&tag.name)) {
            continue;
        }
        match known.and_then(|known| known.get(&tag.name)).map(Fact::told) {
            None => missing.push(tag.name.clone()),
            Some(Ok(time)) => tag.created_at = *time,
            // A guess could choose an older image.
            Some(Err((code, why))) => return because(code, why),
        }
    }
    match missing.is_empty() {
        true => Ok(timed),
        false => Err(Stays::Needs(Need::Times { repository: repository.clone(), tags: missing })),
    }
}
