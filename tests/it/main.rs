//! The integration tests: one binary, so that it links once.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test ends where it finds something else")]

mod cases;
mod cli;
mod commands;
mod config;
mod conversation;
mod corpora;
mod crash;
mod docs;
mod emulator;
mod flux_v1;
mod forge;
mod git;
mod git_http;
mod house;
mod intake;
mod marker_rewrite;
mod memory;
mod pages;
mod process;
mod races;
mod real;
mod registry;
mod replay;
mod sandbox;
mod store;
mod support;
