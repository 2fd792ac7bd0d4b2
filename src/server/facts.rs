//! Answers to a plan's questions, from registries. Shared by the worker and `butler plan`.

use crate::{
    adapters::registry::Registry,
    engine::plan::{Fact, Facts, Need},
};
use futures::{StreamExt, stream};
use jiff::Timestamp;
use std::{collections::BTreeSet, sync::Arc};

/// Registry calls under way at once.
const CONCURRENCY: usize = 8;

/// Asks registries what the needs name, in parallel, and adds the answers. A failure is an answer too.
pub async fn ask_registries(registry: &Registry, needs: &BTreeSet<Need>, facts: &mut Facts, now: Timestamp) {
    let tags = needs.iter().filter_map(|need| match need {
        Need::Tags(repository) => Some(repository.clone()),
        _ => None,
    });
    let answers: Vec<_> = stream::iter(tags)
        .map(|repository| async move {
            let answer = registry.tags(&repository).await.map(Arc::new);
            (repository, answer)
        })
        .buffer_unordered(CONCURRENCY)
        .collect()
        .await;
    facts.tags.extend(answers.into_iter().map(|(repository, answer)| (repository, fact(answer, now))));

    let digests = needs.iter().filter_map(|need| match need {
        Need::Digest { repository, tag } => Some((repository.clone(), tag.clone())),
        _ => None,
    });
    let answers: Vec<_> = stream::iter(digests)
        .map(|(repository, tag)| async move {
            let answer = registry.resolve(&repository, &tag).await;
            ((repository, tag), answer)
        })
        .buffer_unordered(CONCURRENCY)
        .collect()
        .await;
    facts.digests.extend(answers.into_iter().map(|(key, answer)| (key, fact(answer, now))));
}

fn fact<T, E: std::fmt::Display>(answer: Result<T, E>, now: Timestamp) -> Fact<T> {
    match answer {
        Ok(value) => Fact::Known { value, as_of: now },
        Err(error) => Fact::Unavailable { why: error.to_string(), retry_at: None },
    }
}
