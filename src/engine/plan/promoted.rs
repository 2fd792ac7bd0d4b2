//! What changes a line where no policy does: the promotions that lead to its environment, and what stands at their
//! sources.

use super::{
    OutcomeResult, Place, Snapshot,
    promotion::{Side, Source},
    scope::is_updated,
};
use crate::engine::{
    config::{Config, Environment, UpdateMode},
    manifest::{ImageLine, Scan},
};
use serde::Serialize;

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

/// By environment, what becomes of a line that no policy updates. An environment that is updated counts only where
/// `unfollowed`: the line follows no policy, so promotions have it there too.
pub(super) fn promoted(
    config: &Config,
    snapshot: &Snapshot,
    (file, scan, line): (&str, &Scan, &ImageLine),
    unfollowed: bool,
) -> Vec<(String, OutcomeResult)> {
    let here = config.environments.iter().filter(|environment| environment.repository.is_none());
    let mut found = Vec::new();
    for to in here.filter(|environment| environment.contains(file)) {
        if is_updated(to) && !unfollowed {
            continue;
        }
        let edges: Vec<_> = config.edges().into_iter().filter(|edge| edge.to.name == to.name).collect();
        if edges.is_empty() {
            let reads = to.update == UpdateMode::External;
            found.extend((!is_updated(to)).then(|| (to.name.clone(), OutcomeResult::Left { external: reads })));
        }
        found.extend(edges.into_iter().map(|edge| {
            let result = OutcomeResult::Promoted {
                promotion: edge.promotion.name.clone(),
                from: edge.from.name.clone(),
                holds: held(snapshot, edge.from, to, (file, scan, line)),
                stands_still: config.blocks_promotion(&edge.promotion.name).map(ToString::to_string),
            };
            (to.name.clone(), result)
        }));
    }
    found
}

fn held(
    snapshot: &Snapshot,
    from: &Environment,
    to: &Environment,
    (file, scan, line): (&str, &Scan, &ImageLine),
) -> Held {
    if let Some(repository) = &from.repository {
        return Held::Elsewhere { place: format!("the repository {repository}") };
    }
    if from.branch != to.branch {
        let place = from.branch.as_ref().map(|branch| format!("the branch {branch}"));
        return Held::Elsewhere { place: place.unwrap_or_else(|| "the default branch".to_owned()) };
    }
    let relative = |file: &str| from.relative(file);
    let branch = from.branch.as_deref().unwrap_or_default();
    let source = Source::of(&Side { environment: &from.name, branch, snapshot, relative: &relative });
    let corresponding = to.relative(file).and_then(|relative| source.corresponding(&relative, scan, line));
    match corresponding {
        Some((file, line)) => {
            Held::Line { file: file.to_owned(), position: line.position.into(), value: line.value.clone() }
        }
        None => Held::Nothing,
    }
}
