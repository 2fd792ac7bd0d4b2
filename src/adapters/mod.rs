//! Each outside system behind one module; its types stop there.

pub mod git;
#[cfg(feature = "server")]
pub mod github;
#[cfg(feature = "server")]
pub(crate) mod private;
#[cfg(feature = "server")]
pub mod registry;
#[cfg(feature = "server")]
pub mod store;
