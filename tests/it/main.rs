//! The integration tests: one binary, so that it links once.

mod cases;
mod commands;
mod config;
mod conversation;
mod corpora;
mod docs;
mod emulator;
mod forge;
mod git;
mod git_http;
mod intake;
mod registry;
mod sandbox;
mod store;
mod support;
