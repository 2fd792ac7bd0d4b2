//! How a person's command changes the memory. A command is decided once, in the state commit that records its comment's
//! id; on a lost race the decision is made again, on the memory that is there then.

use super::{Hold, Landed, Memory, MergeIntent, PullRecord, Reach, Requested, hold_in_words, scope_in_words};
use crate::engine::command::Permission;
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
        /// Empty: all.
        components: Vec<String>,
        /// The lines of these edges and components, by their names in the memory: their declines end.
        lines: BTreeSet<String>,
    },
    Merge,
    /// `/merge` of a pull request that was merged before, by whom.
    MergeAgain {
        commit: String,
        by: Option<String>,
    },
    Hold {
        scope: Reach,
        until: Option<Timestamp>,
        reason: String,
    },
    Resume {
        scope: Reach,
        /// The lines that were named, by their names in the memory.
        lines: BTreeSet<String>,
        /// The head branches of what was named: where they stand then is said.
        heads: Vec<String>,
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
        /// The pull request that it was said on.
        #[serde(default)]
        number: u64,
    },
    AlreadyMerged {
        commit: String,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        by: Option<String>,
    },
    Holding {
        hold: Hold,
        /// Said where `/resume` alone ends it.
        #[serde(default)]
        here: bool,
    },
    GoingOn {
        scope: Reach,
        /// The holds that ended.
        holds: Vec<Hold>,
        /// The versions that were declined and are not any more.
        declined: Vec<String>,
        /// The head branches of what was set free.
        heads: Vec<String>,
    },
    Status,
    Help {
        permission: Option<Permission>,
    },
    /// `why` is Markdown: people's words in it are escaped.
    Refused {
        why: String,
    },
    /// Written by a version of butler that has other words for it.
    #[serde(other)]
    OfAnotherVersion,
}

impl Outcome {
    /// Whether a reply to it tells how the work went, not only what was decided.
    pub fn shows_work(&self) -> bool {
        match self {
            Outcome::Promoting { .. } | Outcome::Merging { .. } | Outcome::GoingOn { .. } | Outcome::Status => true,
            Outcome::AlreadyMerged { .. }
            | Outcome::Holding { .. }
            | Outcome::Help { .. }
            | Outcome::Refused { .. }
            | Outcome::OfAnotherVersion => false,
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
            Intent::Promote { heads, components, lines } => self.promote(request, heads, components, lines),
            Intent::Merge => self.merge(request),
            Intent::MergeAgain { commit, by } => Outcome::AlreadyMerged { commit: commit.clone(), by: by.clone() },
            Intent::Hold { scope, until, reason } => {
                self.holds.retain(|hold| hold.scope != *scope);
                let hold = Hold {
                    scope: scope.clone(),
                    until: *until,
                    reason: reason.clone(),
                    by: request.by.to_owned(),
                    at: request.now,
                };
                self.holds.push(hold.clone());
                Outcome::Holding { here: scope.way.is_some(), hold }
            }
            Intent::Resume { scope, lines, heads } => self.resume(request, scope, lines, heads),
            Intent::Status => Outcome::Status,
            Intent::Help => Outcome::Help { permission: request.permission },
            Intent::Nonsense(why) => Outcome::Refused { why: why.clone() },
        }
    }

    fn promote(
        &mut self,
        request: &Request<'_>,
        heads: &[String],
        components: &[String],
        lines: &BTreeSet<String>,
    ) -> Outcome {
        for head in heads {
            let record = self.pulls.entry(head.clone()).or_default();
            record.requested = Some(Requested {
                by: request.by.to_owned(),
                comment: request.comment,
                at: request.now,
                components: components.to_vec(),
            });
        }
        for decline in self.declines.iter_mut().filter(|decline| lines.contains(&decline.what)) {
            decline.ended = Some(request.now);
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
        let number = record.number.unwrap_or_default();
        record.merge = Some(MergeIntent {
            by: request.by.to_owned(),
            comment: request.comment,
            plan: record.plan.clone(),
            head: record.head.clone(),
            at: request.now,
        });
        Outcome::Merging { head: head.to_owned(), number }
    }

    /// Ends the holds and declines that lie within what was named; nothing named is everything.
    fn resume(&mut self, request: &Request<'_>, scope: &Reach, lines: &BTreeSet<String>, heads: &[String]) -> Outcome {
        let (ended, stay): (Vec<Hold>, Vec<Hold>) =
            std::mem::take(&mut self.holds).into_iter().partition(|hold| hold.scope.within(scope));
        self.holds = stay;
        let holds: Vec<Hold> = ended.into_iter().filter(|hold| hold.lasts(request.now)).collect();
        let everything = *scope == Reach::default();
        let mut declined = BTreeSet::new();
        for decline in self.declines.iter_mut().filter(|decline| decline.ended.is_none()) {
            if everything || lines.contains(&decline.what) {
                decline.ended = Some(request.now);
                declined.insert(decline.value.clone());
            }
        }
        if holds.is_empty() && declined.is_empty() {
            let wider: String =
                self.holds_at(request.now).filter(|hold| hold.scope.meets(scope)).take(1).map(hold_in_words).collect();
            let wider = if wider.is_empty() { wider } else { format!("; {wider}") };
            return Outcome::Refused {
                why: format!("nothing is held or declined for {}{wider}", scope_in_words(scope)),
            };
        }
        Outcome::GoingOn {
            scope: scope.clone(),
            holds,
            declined: declined.into_iter().collect(),
            heads: heads.to_vec(),
        }
    }
}

impl PullRecord {
    /// The record of a pull request that is not there yet.
    pub fn of(edge: &str) -> Self {
        PullRecord { edge: edge.to_owned(), ..PullRecord::default() }
    }

    /// The pull request is over. `head`: where its head branch stood then, if nobody but butler (and GitHub's "Update
    /// branch") had put anything there; it is butler's to delete.
    pub fn end(&mut self, number: u64, head: Option<&String>) {
        self.number = Some(number);
        self.ended = Some(number);
        if let Some(head) = head {
            self.head.clone_from(head);
        }
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
