//! `butler memory reset`: a memory that is not believed, or gone for good, is begun anew by whoever runs butler.

use super::{WorkError, Worker, session::Session};
use crate::{
    adapters::git::{CommitMeta, Identity, PushOutcome, RefUpdate},
    engine::{
        event::RepoName,
        memory::{MEMORY_FILE, MEMORY_REF, Memory, seal},
    },
};
use std::collections::BTreeMap;

impl Worker {
    /// Puts an empty memory, sealed, on top of whatever stands at the ref, and forgets which tip was seen last. Returns
    /// its commit. All holds and declines are gone; what branches and pull requests say is not touched.
    pub async fn reset_memory(&self, repo: &RepoName) -> Result<String, WorkError> {
        let key = self.keys.first().ok_or_else(|| WorkError::Bug("no key to seal the memory with".into()))?.clone();
        let app = self.identity().await?;
        let bot = Identity { name: app.bot_login.clone(), email: app.commit_email() };
        let (mirror, name, time) = (self.mirror(repo)?, repo.to_string(), self.clock.now());
        let commit = Session::blocking(move || {
            let parent = mirror.fetch(&[MEMORY_REF])?.remove(MEMORY_REF);
            let bytes = Memory::new().encode();
            let trailer = seal(&key, &name, parent.as_deref(), &bytes);
            let meta = CommitMeta {
                author: bot.clone(),
                committer: bot,
                time,
                message: format!("reset: butler's memory begins anew\n\n{trailer}\n"),
                more_parents: Vec::new(),
            };
            let files = BTreeMap::from([(MEMORY_FILE.to_owned(), bytes)]);
            let commit = mirror.commit_files(parent.as_deref(), &files, &meta)?;
            let update = RefUpdate { name: MEMORY_REF.into(), expected: parent, new: Some(commit.clone()) };
            match mirror.push(&[update])? {
                PushOutcome::Pushed => Ok(commit),
                other => Err(WorkError::Retry { at: None, why: format!("{MEMORY_REF} was not written: {other:?}") }),
            }
        })
        .await?;
        self.store.forget_state(repo).await?;
        Ok(commit)
    }
}
