//! What runs where, since when and by what: read from the branches' own history.

use super::{WorkError, session::Session};
use crate::engine::{
    plan::rollouts,
    wording::{Running, Stage},
};

impl Session<'_> {
    /// What each environment of this repository runs, in the order of butler.yaml.
    pub async fn stages(&mut self) -> Result<Vec<Stage>, WorkError> {
        let config = self.config.clone();
        let mut stages = Vec::new();
        for environment in config.environments.iter().filter(|environment| environment.repository.is_none()) {
            let branch = self.branch_of(environment);
            let Some(state) = self.branch(&branch).await? else { continue };
            let (mirror, reader, scope) = (self.mirror.clone(), self.worker.reader.clone(), environment.clone());
            let past = Self::blocking(move || Ok(reader.past(&mirror, &state, |file| scope.contains(file))?)).await?;
            let current = rollouts(&environment.name, &past.observations, &self.memory);
            let current = current.into_iter().filter(|rollout| rollout.left.is_none());
            let running = current.map(|rollout| Running {
                older: past.beyond.as_ref() == Some(&rollout.commit),
                pull: past.pulls.get(&rollout.commit).copied().or_else(|| self.merged_as(&rollout.commit)),
                rollout,
            });
            stages.push(Stage { environment: environment.name.clone(), running: running.collect() });
        }
        Ok(stages)
    }

    /// The pull request that butler merged as this commit: a rebase leaves no word of it there.
    fn merged_as(&self, commit: &str) -> Option<u64> {
        let merged = self.memory.pulls.values().filter_map(|record| record.merged.as_ref());
        merged.filter(|merged| merged.commit == commit).map(|merged| merged.number).next()
    }
}
