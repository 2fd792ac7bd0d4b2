//! An in-process GitHub and registry, to try butler with and to test against.

pub mod git_http;
pub mod github;
pub mod registry;
pub mod sample;
