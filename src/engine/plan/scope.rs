//! The environments of a butler.yaml, as far as planning needs them: the server and the command line see the same.

use super::Skip;
use crate::engine::{
    config::{Config, Environment, UpdateMode},
    dialect::Bindings,
};
use std::collections::BTreeSet;

/// The code of what [`not_updated`] gives: of an environment, and of no line.
pub const NOT_UPDATED: &str = "environment-not-updated";

/// One environment, as far as planning needs it.
#[derive(Clone, Copy)]
pub struct Scope<'a> {
    pub name: &'a str,
    pub contains: &'a dyn Fn(&str) -> bool,
    /// It follows policies without a person's word: a line that it shares with another such environment is one edit
    /// for both.
    pub automatic: bool,
}

/// The environments of the repository that butler.yaml stands in, for [`Scope`]s to borrow from.
pub struct Scopes<'c>(Vec<Owned<'c>>);

struct Owned<'c> {
    environment: &'c Environment,
    contains: Box<dyn Fn(&str) -> bool + 'c>,
    automatic: bool,
}

/// Whether butler updates an environment of the repository that butler.yaml stands in.
pub fn is_updated(environment: &Environment) -> bool {
    environment.repository.is_none() && !matches!(environment.update, UpdateMode::None | UpdateMode::External)
}

/// The environments whose lines follow policies and that butler does not update by them: each once, at its place in
/// butler.yaml, however many lines it has.
pub fn not_updated(config: &Config, bindings: &Bindings) -> Vec<Skip> {
    let updated = |file: &str| config.environments.iter().any(|other| is_updated(other) && other.contains(file));
    let skip = |environment: &Environment| {
        let is_its = |file: &str| environment.contains(file) && !updated(file);
        let followed: BTreeSet<_> =
            bindings.lines.iter().filter(|line| is_its(&line.file)).map(|line| (&line.file, line.line)).collect();
        let lines = match followed.len() {
            0 => return None,
            1 => "1 line there follows a policy".to_owned(),
            several => format!("{several} lines there follow a policy"),
        };
        let name = &environment.name;
        let reason = match environment.update {
            UpdateMode::None if config.promotions.iter().any(|promotion| promotion.to.contains(name)) => {
                format!("no policy updates the environment {name:?} (`update: none`), only promotions do: {lines}")
            }
            UpdateMode::None => {
                format!(
                    "no policy updates the environment {name:?} (`update: none`) and no promotion leads there: {lines}"
                )
            }
            UpdateMode::External => {
                format!("somebody else updates the environment {name:?} (`update: external`): {lines}")
            }
            UpdateMode::Auto | UpdateMode::Commit | UpdateMode::PullRequest => return None,
        };
        let position = environment.position;
        Some(Skip { file: config.file.clone(), position, code: NOT_UPDATED.into(), reason, policy: None })
    };
    let here = config.environments.iter().filter(|environment| environment.repository.is_none());
    here.filter_map(skip).collect()
}

impl<'c> Scopes<'c> {
    /// All environments but those of other repositories.
    pub fn of(config: &'c Config) -> Self {
        let here = config.environments.iter().filter(|environment| environment.repository.is_none());
        let owned = |environment: &'c Environment| Owned {
            environment,
            contains: Box::new(|file: &str| environment.contains(file)),
            automatic: matches!(environment.update, UpdateMode::Auto | UpdateMode::Commit)
                && config.blocks_environment(&environment.name).is_none(),
        };
        Scopes(here.map(owned).collect())
    }

    /// The environment of this name.
    pub fn get(&self, name: &str) -> Option<Scope<'_>> {
        self.0.iter().find(|owned| owned.environment.name == name).map(Owned::scope)
    }

    /// The other environments that `on_branch` says to be on the same branch.
    pub fn others(&self, name: &str, on_branch: impl Fn(&Environment) -> bool) -> Vec<Scope<'_>> {
        let others = self.0.iter().filter(|owned| owned.environment.name != name && on_branch(owned.environment));
        others.map(Owned::scope).collect()
    }
}

impl Owned<'_> {
    fn scope(&self) -> Scope<'_> {
        Scope { name: &self.environment.name, contains: &*self.contains, automatic: self.automatic }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::config::parse;

    #[test]
    fn environments_and_their_neighbours() {
        let text = "version: 1\nenvironments:\n  dev: {path: dev}\n  prod: {path: prod, update: pull-request}\n  \
                    live: {path: live, branch: live}\n  far: {path: far, repository: a/b}\n  read: {path: read, \
                    update: external}\n";
        let config = parse("butler.yaml", text).unwrap();
        let scopes = Scopes::of(&config);
        let names = |scopes: Vec<Scope<'_>>| {
            scopes.iter().map(|scope| format!("{} {}", scope.name, scope.automatic)).collect::<Vec<_>>()
        };
        assert_eq!(names(scopes.others("dev", |other| other.branch.is_none())), ["prod false", "read false"]);
        assert_eq!(names(scopes.others("live", |other| other.branch.as_deref() == Some("live"))), [""; 0]);
        assert!(scopes.get("far").is_none() && scopes.get("dev").is_some_and(|dev| dev.automatic));
        assert!(scopes.get("dev").is_some_and(|dev| (dev.contains)("dev/a") && !(dev.contains)("prod/a")));
        let updated: Vec<&str> =
            config.environments.iter().filter(|e| is_updated(e)).map(|e| e.name.as_str()).collect();
        assert_eq!(updated, ["dev", "prod", "live"]);
    }
}
