//! The product: references, policies, manifests, plans. Pure: everything comes in as an argument (bytes, facts, the
//! time) and everything goes out as a value.

pub mod command;
pub mod config;
pub mod dialect;
pub mod event;
pub mod image;
pub mod lint;
pub mod mac;
pub mod manifest;
pub mod memory;
pub mod plan;
pub mod policy;
pub mod template;
pub mod wording;

#[cfg(test)]
mod testing;
