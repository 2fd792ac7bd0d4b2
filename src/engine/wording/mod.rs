//! Every sentence that people read on GitHub: commits, pull requests, replies, check runs. Outside text goes through
//! [`code`] and its like; nothing of it mentions, links or renders as HTML.

mod commit;
mod diff;
mod explain;
mod findings;
mod hold;
mod lines;
mod pull;
mod reply;
mod shadow;
mod status;

pub use commit::{UpdateCommit, promotion_commit, subject, update_commit, update_commits};
pub use diff::unified;
pub use explain::{Row, rows};
pub use findings::{
    CheckText, MemoryTrouble, config_invalid, config_valid, fingerprint, memory_mended, memory_refused,
};
pub use lines::{Finding, findings};
pub use pull::{
    PullText, edited, left_to_people, newer_plan, no_longer_wanted, nothing_left, promotion_pull, summary, update_pull,
};
pub use reply::{Merging, Situation, Standing, given_up, reply};
pub use shadow::{Agreement, Watched, agreement};
pub use status::{Board, Running, Stage, Stopped, pull_of};

pub use super::escape::{code, fenced, plain, time};

#[cfg(test)]
mod tests;
