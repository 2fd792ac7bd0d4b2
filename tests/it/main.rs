//! The integration tests: one binary, so that it links once.

mod forge;
mod git_http;
mod support;
