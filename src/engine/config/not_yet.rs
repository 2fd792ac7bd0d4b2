//! Keys that are read and checked, and that this version does not act upon.

use crate::engine::manifest::Position;
use std::fmt;

/// A key that has no effect in this version, and what follows from that.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConfigWarning {
    /// Of the key.
    pub position: Position,
    /// `environments.prod.protect.approvals`
    pub key: String,
    pub effect: Effect,
}

/// What follows from a key that is not yet acted upon. A key that protects something, or that changes what would be
/// written, must not be passed over: what needs it stands still.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Effect {
    /// butler works as if the key were absent.
    Ignored,
    /// butler does not run this promotion.
    BlocksPromotion(String),
    /// butler neither commits to this environment nor merges into it; a pull request for people to merge may be opened.
    BlocksEnvironment(String),
    /// butler writes nothing that goes by this file.
    BlocksEverything,
}

impl ConfigWarning {
    /// What is told beside the place.
    pub fn message(&self) -> String {
        format!("{} is not available in this version: {}", self.key, self.effect)
    }
}

impl fmt::Display for ConfigWarning {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.position, self.message())
    }
}

impl fmt::Display for Effect {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Effect::Ignored => f.write_str("it has no effect"),
            Effect::BlocksPromotion(name) => write!(f, "the promotion {name:?} does not run while it is set"),
            Effect::BlocksEnvironment(name) => {
                write!(f, "butler neither commits nor merges to {name:?} while it is set")
            }
            Effect::BlocksEverything => f.write_str("butler writes nothing while it is set"),
        }
    }
}
