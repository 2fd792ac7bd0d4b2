//! The integration tests: one binary, so that it links once.

mod emulator;
mod git;
mod git_http;
mod support;
