//! What several test areas share.

<<<<<<< HEAD
pub mod docker_registry;
pub mod ear;
=======
pub mod api;
>>>>>>> emulator
pub mod git_http;
pub mod openapi;
pub mod person;
