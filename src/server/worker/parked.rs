//! A job that was given up: people who wait for an answer are told.

use super::{Effect, WorkError, Worker, commands::reply_key};
use crate::{
    adapters::store::{JobKey, StoreError},
    engine::{
        command::{Parsed, Scope, parse},
        event::{Comment, RepoName},
        wording,
    },
};
use sha2::{Digest, Sha256};

/// The store's scope of what was said where.
const SAID: &str = "said";

impl Worker {
    /// Answers the commands that wait in a repository whose job was given up, where nothing answered them. They stay in the
    /// inbox: what has the job tried again has the replies mended.
    pub(super) async fn tell_who_waits(&self, repo: &RepoName, why: &str) -> Result<(), StoreError> {
        let key = JobKey::Repository(repo.clone());
        // What was asked for meanwhile has it tried again at once.
        if !self.store.parked().await?.iter().any(|parked| parked.key == key) {
            return Ok(());
        }
        for comment in self.store.inbox(repo).await? {
            let key = reply_key(comment.id);
            let told = async {
                let answered = self.store.fact::<String>(SAID, &place(repo, comment.number, &key)).await?.is_some();
                if !answered && self.asks_something(repo, &comment).await? {
                    self.say(repo, comment.number, &key, wording::given_up(why)).await?;
                }
                Ok::<_, WorkError>(())
            };
            // Where GitHub does not answer either, nobody can be told.
            if let Err(error) = told.await {
                tracing::warn!(%error, comment = comment.id, "nobody is told that the job was given up");
            }
        }
        Ok(())
    }

    /// Whether a comment holds a command, as far as that can be told without the repository: a bare one counts on butler's
    /// own pull requests.
    async fn asks_something(&self, repo: &RepoName, comment: &Comment) -> Result<bool, WorkError> {
        if comment.author_is_bot {
            return Ok(false);
        }
        if !parse(&comment.body, Scope { bare: false }).is_empty() {
            return Ok(true);
        }
        let bare = parse(&comment.body, Scope { bare: true });
        if !comment.on_pull || !bare.iter().any(|parsed| matches!(parsed, Parsed::Command(_))) {
            return Ok(false);
        }
        let pull = self.forge.pull(repo, comment.number).await?;
        Ok(pull.author == self.identity().await?.bot_login)
    }

    /// Says something, unless the same was said there before: looking at the comments costs GitHub a call.
    pub(super) async fn say(&self, repo: &RepoName, number: u64, key: &str, body: String) -> Result<(), WorkError> {
        let now = self.clock.now();
        let place = place(repo, number, key);
        let fingerprint = hex::encode(Sha256::digest(body.as_bytes()));
        let said: Option<(String, _)> = self.store.fact(SAID, &place).await?;
        if said.is_none_or(|(said, _)| said != fingerprint) {
            self.store.enqueue(&[Effect::Say { number, key: key.to_owned(), body }.job(repo)?], now).await?;
            self.store.put_fact(SAID, &place, &fingerprint, now).await?;
        }
        Ok(())
    }
}

/// Where something is said, for the store.
fn place(repo: &RepoName, number: u64, key: &str) -> String {
    format!("{repo}#{number} {key}")
}
