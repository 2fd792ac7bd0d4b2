//! What several test areas share.

pub mod git_http;
pub mod person;
