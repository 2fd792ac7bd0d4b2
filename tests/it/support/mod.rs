//! What several test areas share.

pub mod api;
pub mod binary;
pub mod data;
pub mod docker_registry;
pub mod ear;
pub mod end;
pub mod git_http;
pub mod live;
pub mod openapi;
pub mod person;
pub mod world;
