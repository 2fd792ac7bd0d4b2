//! Answers to a plan's questions, from registries. Shared by the worker and `butler plan`.
//!
//! An image's time never changes, so it is remembered by the image's digest: which image a tag names is asked anew.

use crate::{
    adapters::{
        registry::{Registry, RegistryError},
        store::Store,
    },
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

/// The scope of the images' times in the store's facts.
pub(crate) const CREATED: &str = "created";

/// Asks registries what the needs name, in parallel, and adds the answers. A failure is an answer too. `memory` is where
/// images' times are remembered; without one, as on the command line, nobody asks again, and no failure says so.
pub async fn ask_registries(
    registry: &Registry,
    memory: Option<&Store>,
    needs: &BTreeSet<Need>,
    facts: &mut Facts,
    now: Timestamp,
) {
    // Owned by the futures: borrowing from `needs` across them is more than the compiler can prove `Send`.
    let questions: Vec<Question> = needs.iter().flat_map(questions).collect();
    let answers: Vec<Answer> = stream::iter(questions)
        .map(|question| ask(registry.clone(), memory.cloned(), question, now))
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
            Answer::Time((repository, tag), fact) => {
                facts.times.entry(repository).or_default().insert(tag, fact);
            }
        }
    }
}

enum Question {
    Tags(Repository),
    Digest(Repository, String),
    Time(Repository, String),
}

/// A need as single questions; none for what registries do not know.
fn questions(need: &Need) -> Vec<Question> {
    match need {
        Need::Tags(repository) => vec![Question::Tags(repository.clone())],
        Need::Digest { repository, tag } => vec![Question::Digest(repository.clone(), tag.clone())],
        Need::Times { repository, tags } => {
            tags.iter().map(|tag| Question::Time(repository.clone(), tag.clone())).collect()
        }
        Need::OwnWrites { .. } | Need::FluxV1 { .. } => Vec::new(),
    }
}

enum Answer {
    Tags(Repository, Fact<Arc<Vec<Tag>>>),
    Digest((Repository, String), Fact<Option<String>>),
    Time((Repository, String), Fact<Option<Timestamp>>),
}

async fn ask(registry: Registry, memory: Option<Store>, question: Question, now: Timestamp) -> Answer {
    // Without a memory, this process ends with the answers.
    let again = memory.is_some();
    match question {
        Question::Tags(repository) => {
            let answer = fact(registry.tags(&repository).await.map(Arc::new), again, now);
            Answer::Tags(repository, answer)
        }
        Question::Digest(repository, tag) => {
            let answer = fact(registry.resolve(&repository, &tag).await, again, now);
            Answer::Digest((repository, tag), answer)
        }
        Question::Time(repository, tag) => {
            let answer = fact(created(&registry, memory.as_ref(), &repository, &tag, now).await, again, now);
            Answer::Time((repository, tag), answer)
        }
    }
}

/// When the image of a tag was created; `None` where it tells no time, or the tag is gone.
async fn created(
    registry: &Registry,
    memory: Option<&Store>,
    repository: &Repository,
    tag: &str,
    now: Timestamp,
) -> Result<Option<Timestamp>, RegistryError> {
    let Some(digest) = registry.resolve(repository, tag).await? else { return Ok(None) };
    if let Some(store) = memory {
        // What the store cannot tell is asked again.
        match store.fact::<Option<Timestamp>>(CREATED, &digest).await {
            Ok(Some((time, _))) => return Ok(time),
            Ok(None) => {}
            Err(error) => tracing::warn!(%error, %digest, "the image's time is asked for again"),
        }
    }
    let time = registry.created(repository, &digest).await?;
    if let Some(store) = memory
        && let Err(error) = store.put_fact(CREATED, &digest, &time, now).await
    {
        tracing::warn!(%error, %digest, "the image's time is not remembered");
    }
    Ok(time)
}

fn fact<T>(answer: Result<T, RegistryError>, again: bool, now: Timestamp) -> Fact<T> {
    match answer {
        Ok(value) => Fact::Known { value, as_of: now },
        Err(error) => Fact::Unavailable {
            retry_at: error
                .retry_after()
                .and_then(|after| SignedDuration::try_from(after).ok())
                .and_then(|after| now.checked_add(after).ok()),
            why: if again { error.to_string() } else { error.asked_once() },
        },
    }
}
