//! What bounds any reader from below: git handing out the same blobs, and one search over their bytes.

use memchr::memmem;
use std::{
    io::Write,
    path::Path,
    process::{Command, Stdio},
    sync::Arc,
    time::{Duration, Instant},
};

/// `git cat-file --batch` over these blobs, named on its standard input; `None` without git.
pub fn cat_file(dir: &Path, ids: &[Arc<str>]) -> Option<Duration> {
    let start = Instant::now();
    let mut git = Command::new("git")
        .arg("--git-dir")
        .arg(dir)
        .args(["cat-file", "--batch"])
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .spawn()
        .ok()?;
    git.stdin.take()?.write_all((ids.join("\n") + "\n").as_bytes()).ok()?;
    git.wait().ok()?.success().then(|| start.elapsed())
}

/// One pass for the marker over all bytes, in memory already.
pub fn search(texts: &[Vec<u8>]) -> Duration {
    let finder = memmem::Finder::new("$imagepolicy");
    let start = Instant::now();
    let found = texts.iter().filter(|text| finder.find(text).is_some()).count();
    std::hint::black_box(found);
    start.elapsed()
}
