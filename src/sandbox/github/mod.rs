//! A GitHub in this process, on loopback: the REST endpoints that butler uses, webhooks signed as GitHub signs them, and git
//! over smart HTTP. Commits and refs are real; everything else is in memory.
//!
//! - [`Github`] starts it, sets it up (repositories, protection, installations) and lets a test look inside.
//! - [`Person`] acts as people do: push, open, comment, review, merge, close.
//! - A browser sees repositories and pull requests at their addresses.
//! - [`Fault`] orders failures: answers that are lost, rate limits, a call before or after the nth request.
//!
//! What is left out, on purpose: forks, teams, merge queues, GraphQL.

mod apps;
mod auth;
mod checks;
mod comments;
mod faults;
mod git;
mod issues;
mod look;
mod markdown;
mod merge;
mod pages;
mod people;
mod pulls;
mod refs;
mod render;
mod repos;
mod rest;
mod reviews;
mod server;
mod setup;
mod state;
mod webhooks;

pub use faults::{Fault, FaultError, When};
pub use git::{CommitInfo, FileChange};
pub use merge::Method;
pub use people::{Person, Refused};
pub use server::{Record, Seen};
pub use setup::{Github, Options, SetupError};
pub use state::{
    Access, CheckRun, Comment, Issue, Merged, Nature, Permissions, Protection, Pull, Reaction, Review, Role, Status,
    Verdict,
};
pub use webhooks::{Delivery, Outcome, Webhook, signature};
