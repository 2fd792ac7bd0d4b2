//! What several test areas share.

pub mod api;
pub mod git_http;
pub mod openapi;
pub mod person;
