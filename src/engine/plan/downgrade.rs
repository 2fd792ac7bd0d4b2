//! The downgrade guard over all parts of an image: where its tag would go down, its digest or its new name does not go
//! alone.

use super::{Skip, UpdatePlan};
use crate::engine::{
    dialect::PolicyKey,
    manifest::{FieldPath, LineId},
};
use std::collections::BTreeSet;

/// Images of which a part would go down: what their lines stand in, and the policy that they follow.
#[derive(Default)]
pub(super) struct Lower(BTreeSet<(LineId, String)>);

impl Lower {
    pub fn note(&mut self, line: LineId, policy: &PolicyKey) {
        self.0.insert((around(line), policy.to_string()));
    }

    /// Lets the other parts wait for a person's word too; `deny`: leaves them as they are.
    pub fn hold(&self, plan: &mut UpdatePlan, deny: bool) {
        if self.0.is_empty() {
            return;
        }
        let goes_along = |line: &LineId, policy: &Option<String>| {
            policy.as_ref().is_some_and(|policy| self.0.contains(&(around(line.clone()), policy.clone())))
        };
        for change in std::mem::take(&mut plan.changes) {
            let held = !change.downgrade && goes_along(&change.line, &change.policy);
            if held && deny {
                plan.skipped.push(Skip {
                    file: change.line.file,
                    position: change.position,
                    code: "downgrade".into(),
                    reason:
                        "another part of this image would be lower than what stands there; `updates.downgrade: deny`"
                            .into(),
                    policy: change.policy,
                });
            } else {
                plan.changes.push(super::Change { downgrade: change.downgrade || held, ..change });
            }
        }
    }
}

/// What a line stands in: the entry of `images`, the mapping of values.
pub(super) fn around(mut line: LineId) -> LineId {
    let steps = &line.path.0;
    let around = steps.split_last().map_or(&[][..], |(_, around)| around);
    line.path = FieldPath(around.into());
    line
}
