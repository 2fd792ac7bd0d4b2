//! Answers to a plan's questions, from registries. Shared by the worker and `butler plan`.

use crate::{
    adapters::registry::{Registry, RegistryError},
    engine::{
        image::{Repository, Tag},
        plan::{Fact, Facts, Need},
    },
};
use futures::{StreamExt, stream};
use jiff::{SignedDuration, Timestamp};
use std::{collections::BTreeSet, sync::Arc};

/// Registry calls under way at once.
const CONCURRENCY: usize = 8;

/// Asks registries what the needs name, in parallel, and adds the answers. A failure is an answer too.
pub async fn ask_registries(registry: &Registry, needs: &BTreeSet<Need>, facts: &mut Facts, now: Timestamp) {
    // Owned by the futures: borrowing from `needs` across them is more than the compiler can prove `Send`.
    let questions: Vec<Need> = needs.iter().cloned().collect();
    let answers: Vec<Answer> = stream::iter(questions)
        .map(|need| ask(registry.clone(), need, now))
        .buffer_unordered(CONCURRENCY)
        .collect()
        .await;
    for answer in answers {
        match answer {
            Answer::Tags(repository, fact) => {
                facts.tags.insert(repository, fact);
            }
            Answer::Digest(key, fact) => {
                facts.digests.insert(key, fact);
            }
            Answer::NotForRegistries => {}
        }
    }
}

enum Answer {
    Tags(Repository, Fact<Arc<Vec<Tag>>>),
    Digest((Repository, String), Fact<Option<String>>),
    NotForRegistries,
}

async fn ask(registry: Registry, need: Need, now: Timestamp) -> Answer {
    match need {
        Need::Tags(repository) => {
            let answer = fact(registry.tags(&repository).await.map(Arc::new), now);
            Answer::Tags(repository, answer)
        }
        Need::Digest { repository, tag } => {
            let answer = fact(registry.resolve(&repository, &tag).await, now);
            Answer::Digest((repository, tag), answer)
        }
        Need::OwnWrites { .. } => Answer::NotForRegistries,
    }
}

fn fact<T>(answer: Result<T, RegistryError>, now: Timestamp) -> Fact<T> {
    match answer {
        Ok(value) => Fact::Known { value, as_of: now },
        Err(error) => Fact::Unavailable {
            retry_at: error
                .retry_after()
                .and_then(|after| SignedDuration::try_from(after).ok())
                .and_then(|after| now.checked_add(after).ok()),
            why: error.to_string(),
        },
    }
}
