//! Image references, as the distribution project's grammar has them: `[host[:port]/]path[:tag][@digest]`.

mod reference;
mod tag;

pub use reference::{Reference, ReferenceError, Repository};
pub use tag::Tag;
