//! The integration tests: one binary, so that it links once.

mod git;
mod git_http;
mod support;
