//! How a person's command changes the memory. A command is decided once, in the state commit that records its comment's
//! id; on a lost race the decision is made again, on the memory that is there then.

use super::{Hold, Landed, Memory, MergeIntent, PullRecord, Requested};
use crate::engine::{command::Permission, wording::code};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;

/// A comment's commands, with all that is needed to decide them.
#[derive(Clone, Debug)]
pub struct Request<'a> {
    /// The comment's id: what the decision is remembered by.
    pub comment: u64,
    pub by: &'a str,
    /// `None`: no access at all.
    pub permission: Option<Permission>,
    /// The head branch of the pull request that it was said on, where that is butler's own.
    pub own_head: Option<&'a str>,
    pub now: Timestamp,
}

/// One command, its words already told apart with the help of butler.yaml.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Intent {
    /// Edges by their head branch.
    Promote {
        heads: Vec<String>,
        components: Vec<String>,
    },
    Merge,
    Hold {
        component: Option<String>,
        environment: Option<String>,
        until: Option<Timestamp>,
        reason: String,
    },
    Resume {
        component: Option<String>,
        environment: Option<String>,
        /// The lines that were named, by their names in the memory.
        lines: BTreeSet<String>,
    },
    Status,
    Help,
    /// The words make no sense here; the sentence says why, and what would. Markdown: people's words in it are escaped.
    Nonsense(String),
}

/// What came of one command. Kept in the memory, so that the reply can be written again.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", tag = "outcome")]
pub enum Outcome {
    Promoting {
        heads: Vec<String>,
    },
    Merging {
        head: String,
    },
    Held {
        sentence: String,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        until: Option<Timestamp>,
    },
    Resumed {
        sentence: String,
    },
    Status,
    Help {
        permission: Option<Permission>,
    },
    /// `why` is Markdown: people's words in it are escaped.
    Refused {
        why: String,
    },
}

impl Outcome {
    /// Whether a reply to it tells how the work went, not only what was decided.
    pub fn shows_work(&self) -> bool {
        match self {
            Outcome::Promoting { .. } | Outcome::Merging { .. } | Outcome::Status => true,
            Outcome::Held { .. } | Outcome::Resumed { .. } | Outcome::Help { .. } | Outcome::Refused { .. } => false,
        }
    }
}

/// A command as it was written, and what came of it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Decision {
    pub line: String,
    #[serde(flatten)]
    pub outcome: Outcome,
}

impl Memory {
    /// Decides one command and changes the memory accordingly. `needed` is the permission that the command calls for.
    pub fn decide(&mut self, request: &Request<'_>, intent: &Intent, needed: Permission) -> Outcome {
        if request.permission.is_none_or(|has| has < needed) {
            let has = request.permission.map_or("none".to_owned(), |has| format!("`{has}`"));
            let who = match needed {
                Permission::Admin => "its administrators have it",
                _ => "whoever has that role or a higher one may",
            };
            return Outcome::Refused {
                why: format!("this takes `{needed}` permission on the repository, and you have {has}; {who}"),
            };
        }
        match intent {
            Intent::Promote { heads, components } => self.promote(request, heads, components),
            Intent::Merge => self.merge(request),
            Intent::Hold { component, environment, until, reason } => {
                self.holds.retain(|hold| !(hold.component == *component && hold.environment == *environment));
                let hold = Hold {
                    component: component.clone(),
                    environment: environment.clone(),
                    until: *until,
                    reason: reason.clone(),
                    by: request.by.to_owned(),
                    at: request.now,
                };
                let sentence = scope(component.as_deref(), environment.as_deref());
                self.holds.push(hold);
                Outcome::Held { sentence, until: *until }
            }
            Intent::Resume { component, environment, lines } => {
                self.resume(request, component.as_deref(), environment.as_deref(), lines)
            }
            Intent::Status => Outcome::Status,
            Intent::Help => Outcome::Help { permission: request.permission },
            Intent::Nonsense(why) => Outcome::Refused { why: why.clone() },
        }
    }

    fn promote(&mut self, request: &Request<'_>, heads: &[String], components: &[String]) -> Outcome {
        for head in heads {
            let record = self.pulls.entry(head.clone()).or_default();
            record.requested = Some(Requested {
                by: request.by.to_owned(),
                comment: request.comment,
                at: request.now,
                components: components.to_vec(),
            });
            let edge = format!("promotion:{}:", record.edge);
            for decline in self.declines.iter_mut().filter(|decline| decline.what.starts_with(&edge)) {
                decline.ended = Some(request.now);
            }
        }
        Outcome::Promoting { heads: heads.to_vec() }
    }

    fn merge(&mut self, request: &Request<'_>) -> Outcome {
        let Some((head, record)) = request.own_head.and_then(|head| Some((head, self.pulls.get_mut(head)?))) else {
            return Outcome::Refused { why: "only butler's own pull requests can be merged this way".into() };
        };
        if record.number.is_some() && record.ended == record.number {
            return Outcome::Refused { why: "this pull request has ended".into() };
        }
        record.merge = Some(MergeIntent {
            by: request.by.to_owned(),
            comment: request.comment,
            plan: record.plan.clone(),
            head: record.head.clone(),
            at: request.now,
        });
        Outcome::Merging { head: head.to_owned() }
    }

    /// Ends the holds and declines that lie within what was named; nothing named is everything.
    fn resume(
        &mut self,
        request: &Request<'_>,
        component: Option<&str>,
        environment: Option<&str>,
        lines: &BTreeSet<String>,
    ) -> Outcome {
        let within = |hold: &Hold| {
            component.is_none_or(|named| hold.component.as_deref() == Some(named))
                && environment.is_none_or(|named| hold.environment.as_deref() == Some(named))
        };
        let before = self.holds.len();
        self.holds.retain(|hold| !within(hold));
        let mut ended = before - self.holds.len();
        let everything = component.is_none() && environment.is_none();
        for decline in self.declines.iter_mut().filter(|decline| decline.ended.is_none()) {
            if everything || lines.contains(&decline.what) {
                decline.ended = Some(request.now);
                ended += 1;
            }
        }
        match ended {
            0 => {
                let scope = code(&scope(component, environment));
                Outcome::Refused { why: format!("nothing is held or declined for {scope}") }
            }
            _ => Outcome::Resumed { sentence: scope(component, environment) },
        }
    }
}

/// `app in production`, `everything in production`, `app everywhere`, `everything`.
fn scope(component: Option<&str>, environment: Option<&str>) -> String {
    match (component, environment) {
        (Some(component), Some(environment)) => format!("{component} in {environment}"),
        (Some(component), None) => format!("{component} everywhere"),
        (None, Some(environment)) => format!("everything in {environment}"),
        (None, None) => "everything".into(),
    }
}

impl PullRecord {
    /// The record of a pull request that is not there yet.
    pub fn of(edge: &str) -> Self {
        PullRecord { edge: edge.to_owned(), ..PullRecord::default() }
    }

    /// The pull request was merged: what it proposed has landed.
    pub fn land(&mut self, number: u64, at: Timestamp) {
        for (what, value) in std::mem::take(&mut self.values) {
            self.landed.insert(what, Landed { value, number, at });
        }
    }

    /// Whether a head branch at this commit is where butler put it: the commit it meant to put there, or the one that
    /// stood there when it decided to.
    pub fn stands_at(&self, commit: &str) -> bool {
        self.head == commit || self.before.as_deref() == Some(commit)
    }
}
