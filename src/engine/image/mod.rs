//! Image references, as the distribution project's grammar has them: `[host[:port]/]path[:tag][@digest]`.

mod ecr;
mod grammar;
mod reference;
mod tag;

pub use ecr::{ecr_host, ecr_region};
pub use grammar::{is_digest, is_tag};
pub use reference::{Reference, ReferenceError, Repository};
pub use tag::Tag;
