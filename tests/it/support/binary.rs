//! The `butler` binary as a process, as a person or a script runs it, in a folder made for the purpose.

use serde_json::Value;
use std::{
    fs,
    io::Write,
    path::{Path, PathBuf},
    process::{Command, Stdio},
};
use tempfile::TempDir;

/// What a run of the binary left.
pub struct Ran {
    pub code: i32,
    pub out: String,
    pub err: String,
}

impl Ran {
    /// Its output as JSON, of a run that ended with this code.
    pub fn json(&self, code: i32) -> Value {
        assert_eq!(self.code, code, "{}{}", self.out, self.err);
        serde_json::from_str(&self.out).unwrap_or_else(|error| panic!("{error}: {}", self.out))
    }

    /// Its output as text, of a run that ended with 0.
    pub fn text(&self) -> &str {
        assert_eq!(self.code, 0, "{}{}", self.out, self.err);
        &self.out
    }
}

/// Runs `butler` in a folder, its output in pipes.
pub fn butler(folder: &Path, arguments: &[&str]) -> Ran {
    butler_reading(folder, arguments, "")
}

/// The same, with something on its standard input.
pub fn butler_reading(folder: &Path, arguments: &[&str], input: &str) -> Ran {
    run(Command::new(env!("CARGO_BIN_EXE_butler")).env_remove("COLUMNS"), folder, arguments, input)
}

fn run(command: &mut Command, folder: &Path, arguments: &[&str], input: &str) -> Ran {
    let mut child = command
        .args(arguments)
        .current_dir(folder)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    // Who does not read it may have gone already.
    let _ = child.stdin.take().unwrap().write_all(input.as_bytes());
    let output = child.wait_with_output().unwrap();
    Ran {
        code: output.status.code().unwrap_or(-1),
        out: String::from_utf8(output.stdout).unwrap(),
        err: String::from_utf8(output.stderr).unwrap(),
    }
}

/// A folder of files that goes when the test ends.
pub struct Folder(TempDir);

impl Folder {
    pub fn with(files: &[(&str, &str)]) -> Self {
        let folder = Folder(tempfile::tempdir().unwrap());
        for (name, text) in files {
            folder.put(name, text.as_bytes());
        }
        folder
    }

    pub fn path(&self) -> &Path {
        self.0.path()
    }

    pub fn put(&self, name: &str, bytes: &[u8]) {
        let path = self.file(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, bytes).unwrap();
    }

    pub fn bytes(&self, name: &str) -> Vec<u8> {
        fs::read(self.file(name)).unwrap()
    }

    pub fn text(&self, name: &str) -> String {
        String::from_utf8(self.bytes(name)).unwrap()
    }

    pub fn run(&self, arguments: &[&str]) -> Ran {
        butler(self.path(), arguments)
    }

    /// The same, as on a terminal of 80 columns.
    pub fn run_narrow(&self, arguments: &[&str]) -> Ran {
        run(Command::new(env!("CARGO_BIN_EXE_butler")).env("COLUMNS", "80"), self.path(), arguments, "")
    }

    fn file(&self, name: &str) -> PathBuf {
        self.path().join(name)
    }
}
