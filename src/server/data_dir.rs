//! The data folder: one process at a time owns it, under a name that it keeps over restarts.
//!
//! The name is in the leases of jobs. A process that was killed left some behind; the next one to own the folder knows
//! that their holder is dead, because the operating system gave up the dead one's lock, and need not wait for them.

use crate::adapters::private;
use std::{
    fs::{File, TryLockError},
    io::{self, Read, Seek, Write},
    path::{Path, PathBuf},
};

/// The file that is locked, and that holds the name.
const FILE: &str = "owner";

/// Why a data folder cannot be used. Whoever runs butler has to act.
#[derive(Debug, thiserror::Error)]
pub enum DataDirError {
    #[error("{path} is used by another butler process; give each its own data-dir (they may share a database)")]
    Used { path: PathBuf },
    #[error("cannot use {path}: {source}")]
    Io { path: PathBuf, source: io::Error },
}

/// An open data folder.
pub struct DataDir {
    path: PathBuf,
    file: File,
}

impl DataDir {
    /// Opens the folder; it is made where it is missing.
    pub fn open(folder: &Path) -> Result<DataDir, DataDirError> {
        let path = folder.join(FILE);
        let open = || {
            private::create_dir_all(folder)?;
            private::options().read(true).truncate(false).open(&path)
        };
        let file = open().map_err(|source| DataDirError::Io { path: path.clone(), source })?;
        Ok(DataDir { path, file })
    }

    /// Makes it this process's own for as long as the value lives, or the process.
    ///
    /// # Errors
    /// [`DataDirError::Used`] where another process has it.
    pub fn claim(&self) -> Result<(), DataDirError> {
        match self.file.try_lock() {
            Ok(()) => Ok(()),
            Err(TryLockError::WouldBlock) => {
                Err(DataDirError::Used { path: self.path.parent().unwrap_or(&self.path).to_owned() })
            }
            Err(TryLockError::Error(source)) => Err(DataDirError::Io { path: self.path.clone(), source }),
        }
    }

    /// The name under which this folder's process holds leases; made up once.
    pub fn owner(&self) -> Result<String, DataDirError> {
        let read = || -> io::Result<String> {
            let mut file = &self.file;
            let mut known = String::new();
            file.rewind()?;
            file.read_to_string(&mut known)?;
            if !known.trim().is_empty() {
                return Ok(known.trim().to_owned());
            }
            let owner = uuid::Uuid::new_v4().to_string();
            file.write_all(owner.as_bytes())?;
            file.sync_all()?;
            Ok(owner)
        };
        read().map_err(|source| DataDirError::Io { path: self.path.clone(), source })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nobody_else_reads_it() {
        use std::{fs, os::unix::fs::PermissionsExt};

        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("data");
        let data = DataDir::open(&path).unwrap();
        data.owner().unwrap();
        let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
        assert_eq!((mode(&path), mode(&path.join(FILE))), (0o700, 0o600));
    }

    #[test]
    fn a_folder_is_one_owner_s_at_a_time_and_keeps_its_name() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("data");
        let first = DataDir::open(&path).unwrap();
        first.claim().unwrap();
        let name = first.owner().unwrap();
        let second = DataDir::open(&path).unwrap();
        let refused = second.claim().unwrap_err().to_string();
        assert!(refused.contains("used by another butler process"), "{refused}");
        drop(first);
        second.claim().unwrap();
        assert_eq!(second.owner().unwrap(), name);
    }
}
