//! butler's pull requests that butler.yaml has no place for any more: a promotion that was removed or renamed, an
//! environment that is not updated by butler now.

use super::{
    WorkError,
    promotions::{head_of, update_head},
    session::Session,
};
use crate::engine::{
    config::{UpdateMode, Write},
    wording,
};
use std::collections::BTreeSet;

impl Session<'_> {
    /// Closes them, with the reason, and deletes their heads. Nothing is declined by that: nobody judged the versions. One
    /// that a person committed to is left to people.
    pub async fn close_orphans(&mut self) -> Result<(), WorkError> {
        let config = self.config.clone();
        let edges = config.edges();
        let promotions = edges.iter().filter(|edge| edge.promotion.write == Write::PullRequest);
        let mut placed: BTreeSet<String> = promotions.map(|edge| head_of(&config, edge)).collect();
        let updated = |mode| !matches!(mode, UpdateMode::None | UpdateMode::External);
        let updates = config.environments.iter().filter(|environment| updated(environment.update));
        placed.extend(updates.map(|environment| update_head(&environment.name)));

        let orphans = self.memory.pulls.iter().filter(|(head, _)| !placed.contains(*head));
        for (head, record) in orphans.map(|(head, record)| (head.clone(), record.clone())).collect::<Vec<_>>() {
            match self.pulls.get(&head).cloned() {
                Some(pull) if self.is_ours(&record, &pull).await? => {
                    self.close(&head, &pull, &wording::no_longer_wanted(&head)).await?;
                }
                Some(pull) => self.say(pull.number, "orphan", wording::left_to_people(&head)).await?,
                None => self.delete_head(&head).await?,
            }
        }
        Ok(())
    }
}
