//! Git, through libgit2: a bare mirror of each config repository, read and written without a working tree.
//!
//! Everything here blocks: call it from `spawn_blocking`, never on an async thread.
//!
//! - [`Mirror`]: a bare repository whose refs are the remote's; [`Mirror::fetch`] brings it up to date.
//! - Reading: [`Mirror::tree_entries`], [`Mirror::read_blob`], [`Mirror::changed_paths`], [`Mirror::first_parent_history`],
//!   [`Mirror::is_plain_merge`].
//! - What the files of a commit mean: [`Reader`], which reads and parses only what it has not seen.
//! - Writing: [`Mirror::commit_edits`] makes objects, [`Mirror::push`] moves refs at the remote, each from an expected id.
//!
//! Commit, tree and blob ids are 40 hexadecimal digits in signatures; libgit2's types stop here.

mod commit;
mod error;
mod history;
mod merge;
mod mirror;
mod push;
mod reader;
mod snapshot;
mod transport;

pub use commit::{CommitMeta, FileChange};
pub use error::{GitError, Remedy};
pub use history::{CommitInfo, FileVersion, Identity};
pub use mirror::{Heads, Mirror};
pub use push::{PushOutcome, RefUpdate};
pub use reader::{BranchState, Past, Reader, Work};
pub use snapshot::{ChangedPath, Mode, TreeEntry};
pub use transport::{TokenError, TokenSource, init};
