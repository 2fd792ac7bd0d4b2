//! The product: references, policies, manifests, plans. Pure: everything comes in as an argument (bytes, facts, the
//! time) and everything goes out as a value.
//!
//! The way of an update, from bytes to a commit's words:
//!
//! | module | question |
//! |---|---|
//! | [`image`] | what does a reference name? |
//! | [`policy`] | which of these tags is the newest that is allowed, and why? |
//! | [`manifest`] | what does one file hold, to the byte? and the file after an edit |
//! | [`snapshot`] | what does a commit's tree hold, each file read by itself? |
//! | [`dialect`] | which line follows which policy, all files taken together? |
//! | [`plan`] | which values change, and why; why the others stay; what must be known first |
//! | [`lint`] | what keeps lines from being updated, and what of it can be mended |
//! | [`wording`] | what people read of it: commits, pull requests, replies, findings |
//!
//! Beside it: [`config`] reads butler.yaml, [`event`] says what happened outside, [`command`] what a person asks for,
//! [`memory`] what people decided (sealed by [`mac`]), `escape` makes outside text harmless, and [`template`] renders commit messages in Go's template language.

pub mod command;
pub mod config;
pub mod dialect;
pub(crate) mod escape;
pub mod event;
pub mod image;
pub mod lint;
pub mod mac;
pub mod manifest;
pub mod memory;
pub mod plan;
pub mod policy;
pub mod snapshot;
pub mod template;
pub mod wording;

#[cfg(test)]
mod testing;
