//! A job that was given up: people who wait for an answer are told.

use super::{Effect, WorkError, Worker, commands::reply_key, said};
use crate::{
    adapters::store::{JobKey, StoreError},
    engine::{
        command::{Parsed, Scope, parse},
        event::{Comment, RepoName},
        wording,
    },
};

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
                let answered = said::is_anything(&self.store, repo, comment.number, &key).await?;
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
        let (store, now) = (&self.store, self.clock.now());
        if !said::is_said(store, repo, number, key, &body).await? {
            // What stands there is not what is meant from now on, even if it is meant again before this was said.
            said::unsay(store, repo, number, key, now).await?;
            store.enqueue(&[Effect::Say { number, key: key.to_owned(), body }.job(repo)?], now).await?;
        }
        Ok(())
    }
}
