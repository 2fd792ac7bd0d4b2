//! Debian's docker-registry as a child process: the real thing, with its own notifications.

use super::data::skipped;
use serde_json::json;
use std::{
    io::{BufRead, BufReader},
    path::PathBuf,
    process::{Child, Command, Stdio},
    sync::mpsc,
    time::Duration,
};
use tempfile::TempDir;

/// Generous: a loaded machine starts it in a second.
const START_TIMEOUT: Duration = Duration::from_secs(60);

/// A registry on a spare port of 127.0.0.1 with a store of its own. It is killed when this is dropped.
pub struct DockerRegistry {
    child: Child,
    host: String,
    _root: TempDir,
}

impl DockerRegistry {
    /// Starts `docker-registry` (from `PATH`, or `BUTLER_DOCKER_REGISTRY`), which then notifies `notify_url` with the
    /// token as `Authorization: Bearer …`. Says why, and gives `None`, where there is no such program.
    pub fn start(notify_url: Option<String>, token: &str) -> Option<Self> {
        let Some(program) = program() else {
            skipped(
                "no docker-registry on PATH; `apt-get install docker-registry`, or name the program with BUTLER_DOCKER_REGISTRY",
            );
            return None;
        };
        let root = tempfile::tempdir().unwrap();
        let endpoints: Vec<_> = notify_url
            .map(|url| {
                json!({
                    "name": "butler", "url": url, "headers": {"Authorization": [format!("Bearer {token}")]},
                    "timeout": "5s", "threshold": 5, "backoff": "100ms",
                })
            })
            .into_iter()
            .collect();
        // JSON is YAML too.
        let config = json!({
            "version": 0.1,
            "log": {"level": "info", "accesslog": {"disabled": true}},
            "storage": {"filesystem": {"rootdirectory": root.path().join("data")}, "delete": {"enabled": true}},
            "http": {"addr": "127.0.0.1:0", "secret": "only for this test"},
            "notifications": {"endpoints": endpoints},
        });
        let config_file = root.path().join("config.yml");
        std::fs::write(&config_file, config.to_string()).unwrap();
        let mut child = Command::new(&program)
            .arg("serve")
            .arg(&config_file)
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap_or_else(|e| panic!("{} does not start: {e}", program.display()));
        let log = BufReader::new(child.stderr.take().unwrap());
        // From here on it is killed whatever happens.
        let mut registry = DockerRegistry { child, host: String::new(), _root: root };

        let (port, listening) = mpsc::channel();
        std::thread::spawn(move || {
            // Read to the end, so that the registry never waits for somebody to read its log.
            for line in log.lines().map_while(Result::ok) {
                if let Some((_, after)) = line.split_once("listening on 127.0.0.1:") {
                    let _ = port.send(after.chars().take_while(char::is_ascii_digit).collect::<String>());
                }
            }
        });
        let port = listening.recv_timeout(START_TIMEOUT).expect("docker-registry says where it listens");
        registry.host = format!("127.0.0.1:{port}");
        Some(registry)
    }

    /// As image references spell it.
    pub fn host(&self) -> &str {
        &self.host
    }

    pub fn url(&self) -> String {
        format!("http://{}", self.host)
    }
}

impl Drop for DockerRegistry {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn program() -> Option<PathBuf> {
    if let Some(named) = std::env::var_os("BUTLER_DOCKER_REGISTRY") {
        return Some(named.into());
    }
    let path = std::env::var_os("PATH")?;
    std::env::split_paths(&path).map(|folder| folder.join("docker-registry")).find(|program| program.is_file())
}
