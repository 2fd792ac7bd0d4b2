//! Byte-exact edits. (skeleton: helper fills)

use super::LineId;
use std::ops::Range;

/// Replaces the bytes of one scalar's content.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Edit {
    pub line: LineId,
    /// Id of the blob that it was planned on.
    pub blob: String,
    pub span: Range<usize>,
    /// The raw bytes that must stand there.
    pub old: String,
    /// The raw bytes to put, with quotes where a plain value would stop being a string.
    pub new: String,
}

/// The bytes are not those that the edit was planned on.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum EditError {
    #[error("bytes {span:?} hold {found:?}, the edit was planned on {expected:?}: plan again")]
    Stale { span: Range<usize>, expected: String, found: String },
    #[error("two edits overlap at byte {at}")]
    Overlap { at: usize },
}

/// Applies edits to a file's bytes; every byte outside their spans stays.
pub fn apply(bytes: &[u8], edits: &[Edit]) -> Result<Vec<u8>, EditError> {
    let _ = edits;
    Ok(bytes.to_vec())
}
