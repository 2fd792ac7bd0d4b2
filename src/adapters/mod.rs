//! Each outside system behind one module; its types stop there.

pub mod git;
pub mod github;
pub mod registry;
pub mod store;
