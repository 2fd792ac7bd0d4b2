//! The map of the house. Lower floors never import upper ones:
//!
//! - [`engine`]: pure; what to update, to which tag, and how the bytes change. No I/O, no clock, no runtime.
//! - [`adapters`]: each outside system (GitHub, registries, git, the database) behind one module; its types stop there.
//! - [`server`]: settings, intake of webhooks, the worker that reconciles config repositories.
//! - [`sandbox`]: an in-process GitHub and registry, to try butler with and to test against.
//! - [`cli`]: one file a subcommand.

pub mod engine;

#[cfg(feature = "git")]
pub mod adapters;
#[cfg(feature = "server")]
pub mod cli;
#[cfg(feature = "sandbox")]
pub mod sandbox;
#[cfg(feature = "server")]
pub mod server;
