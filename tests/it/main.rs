//! The integration tests: one binary, so that it links once.

mod cases;
mod cli;
mod commands;
mod config;
mod conversation;
mod corpora;
mod emulator;
mod forge;
mod git;
mod git_http;
mod intake;
mod marker_rewrite;
mod registry;
mod replay;
mod store;
mod support;
