//! What changes a line where no policy does: the promotions that lead to its environment, and what stands at their
//! sources.

use super::{OutcomeResult, Place, Snapshot, promotion::Source, scope::is_updated};
use crate::engine::{
    config::{Config, Edge, UpdateMode},
    manifest::{ImageLine, Scan},
};
use serde::Serialize;
use std::collections::HashMap;

/// What a promotion's source has for a line.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(tag = "source", rename_all = "kebab-case")]
pub enum Held {
    Line {
        file: String,
        position: Place,
        value: String,
    },
    /// No line there corresponds.
    Nothing,
    /// It is in another repository, or on another branch: not read.
    Elsewhere {
        place: String,
    },
}

/// The lines of the environments that promotions start from, by environment: put together once for all that is explained.
#[derive(Default)]
pub(super) struct Sources<'a>(HashMap<&'a str, Source<'a>>);

impl<'a> Sources<'a> {
    /// By environment, what becomes of a line that no policy updates. An environment that is updated counts only where
    /// `unfollowed`: the line follows no policy, so promotions have it there too.
    pub fn promoted(
        &mut self,
        (config, snapshot): (&'a Config, &'a Snapshot),
        (file, scan, line): (&str, &Scan, &ImageLine),
        unfollowed: bool,
    ) -> Vec<(String, OutcomeResult)> {
        let here = config.environments.iter().filter(|environment| environment.repository.is_none());
        let mut found = Vec::new();
        for to in here.filter(|to| to.contains(file) && (unfollowed || !is_updated(to))) {
            let edges: Vec<_> = config.edges().into_iter().filter(|edge| edge.to.name == to.name).collect();
            if edges.is_empty() && !is_updated(to) {
                let external = to.update == UpdateMode::External;
                found.push((to.name.clone(), OutcomeResult::Left { external }));
            }
            for edge in edges {
                let result = OutcomeResult::Promoted {
                    promotion: edge.promotion.name.clone(),
                    from: edge.from.name.clone(),
                    holds: self.held(snapshot, edge, (file, scan, line)),
                    stands_still: config.blocks_promotion(&edge.promotion.name).map(ToString::to_string),
                };
                found.push((to.name.clone(), result));
            }
        }
        found
    }

    fn held(
        &mut self,
        snapshot: &'a Snapshot,
        Edge { from, to, .. }: Edge<'a>,
        (file, scan, line): (&str, &Scan, &ImageLine),
    ) -> Held {
        if let Some(repository) = &from.repository {
            return Held::Elsewhere { place: format!("the repository {repository}") };
        }
        if from.branch != to.branch {
            let place = from.branch.as_ref().map(|branch| format!("the branch {branch}"));
            return Held::Elsewhere { place: place.unwrap_or_else(|| "the default branch".to_owned()) };
        }
        let read = || Source::of(snapshot, &|file| from.relative(file));
        let source = self.0.entry(&from.name).or_insert_with(read);
        match to.relative(file).and_then(|relative| source.corresponding(&relative, scan, line)) {
            Some((file, line)) => {
                Held::Line { file: file.to_owned(), position: line.position.into(), value: line.value.to_string() }
            }
            None => Held::Nothing,
        }
    }
}
