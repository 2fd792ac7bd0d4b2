//! Byte offsets as lines and columns.

use crate::engine::manifest::Position;

/// Where the lines of a text start.
#[derive(Clone, Debug)]
pub struct LineIndex {
    /// Offsets of the first byte of each line; the first is 0.
    starts: Vec<usize>,
}

impl LineIndex {
    /// Lines end at `\n`, so `\r\n` is one break too.
    pub fn new(bytes: &[u8]) -> Self {
        // Manifests have some 25 bytes to a line.
        let mut starts = Vec::with_capacity(bytes.len() / 16 + 2);
        starts.push(0);
        starts.extend(memchr::memchr_iter(b'\n', bytes).map(|at| at + 1));
        LineIndex { starts }
    }

    /// Lines and columns from 1, columns in bytes.
    pub fn position(&self, offset: usize) -> Position {
        let line = self.starts.partition_point(|&start| start <= offset);
        Position { line, column: offset - self.line_start(offset) + 1 }
    }

    /// Offset of the first byte of the line that `offset` is in.
    pub fn line_start(&self, offset: usize) -> usize {
        let line = self.starts.partition_point(|&start| start <= offset);
        // The first start is 0, so `line` is at least 1.
        self.starts[line.saturating_sub(1)]
    }

    /// Offset of the first byte of a line, counted from 1; `None` where there is no such line.
    pub fn start_of(&self, line: usize) -> Option<usize> {
        self.starts.get(line.checked_sub(1)?).copied()
    }
}
