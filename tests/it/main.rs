//! The integration tests: one binary, so that it links once.

mod cases;
mod corpora;
mod emulator;
mod forge;
mod commands;
mod config;
mod git;
mod git_http;
mod intake;
mod registry;
mod store;
mod support;
