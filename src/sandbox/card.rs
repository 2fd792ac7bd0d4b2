//! How a second terminal finds a sandbox that runs: a small server answers with a [`Card`], and a file in a place of the
//! user's own names that server's address.

use super::{Parts, sample};
use axum::{Json, Router, extract::State, http::StatusCode, routing::get};
use serde::{Deserialize, Serialize};
use std::{
    collections::BTreeMap,
    fs, io,
    os::unix::fs::MetadataExt as _,
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};
use tokio::task::AbortHandle;

/// How long a visitor may wait for butler to be through.
pub const PATIENCE: Duration = Duration::from_secs(60);

/// What a visitor needs to know.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Card {
    /// The emulator's address, REST and git: `http://127.0.0.1:4000`.
    pub github: String,
    /// The registry's address: `http://127.0.0.1:5000`.
    pub registry: String,
    /// Where butler takes webhooks.
    pub server: String,
    /// `owner/name` of the config repository.
    pub repository: String,
    /// The image's path in the registry.
    pub image: String,
    /// The sandbox's files.
    pub folder: PathBuf,
    /// Login to token.
    pub people: BTreeMap<String, String>,
    /// First to last.
    pub stages: Vec<StageCard>,
}

/// What a stage's folder shows now.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct StageCard {
    pub name: String,
    /// The tag of the sample's image in the synced files.
    pub tag: Option<String>,
    /// The commit that was synced.
    pub commit: Option<String>,
    /// Why the last revision was not written.
    pub trouble: Option<String>,
}

/// Answers with the card. It ends when it is dropped.
#[derive(Debug)]
pub struct CardServer {
    url: String,
    task: AbortHandle,
}

impl Drop for CardServer {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl CardServer {
    /// Listens on a spare port of 127.0.0.1.
    pub async fn start(parts: Arc<Parts>) -> io::Result<CardServer> {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await?;
        let url = format!("http://{}", listener.local_addr()?);
        let router = Router::new()
            .route("/", get(|State(parts): State<Arc<Parts>>| async move { Json(parts.card()) }))
            .route("/settled", get(settled))
            .with_state(parts);
        let task = tokio::spawn(async move {
            // `serve` ends only with its task.
            let _ = axum::serve(listener, router).await;
        });
        Ok(CardServer { url, task: task.abort_handle() })
    }

    pub fn url(&self) -> &str {
        &self.url
    }
}

/// Answers when butler is through with what happened so far.
async fn settled(State(parts): State<Arc<Parts>>) -> (StatusCode, String) {
    match tokio::time::timeout(PATIENCE, parts.settled()).await {
        Ok(Ok(())) => (StatusCode::NO_CONTENT, String::new()),
        Ok(Err(error)) => (StatusCode::INTERNAL_SERVER_ERROR, error.to_string()),
        Err(_) => {
            let text = format!(
                "butler still has something to do after {PATIENCE:?}; see the log in {}",
                parts.folder.display()
            );
            (StatusCode::GATEWAY_TIMEOUT, text)
        }
    }
}

impl Parts {
    /// The card, as of now.
    pub fn card(&self) -> Card {
        let reports = self.sync.reports();
        let stage = |(name, _): (&str, &str)| {
            let report = reports.get(name);
            StageCard {
                name: name.to_owned(),
                tag: self.tag(&self.sync.folder(name)),
                commit: report.and_then(|report| report.clone().ok()),
                trouble: report.and_then(|report| report.clone().err()),
            }
        };
        Card {
            github: self.github.url().to_owned(),
            registry: self.registry.url(),
            server: self.server_url.clone(),
            repository: sample::REPOSITORY.to_owned(),
            image: sample::IMAGE.to_owned(),
            folder: self.folder.clone(),
            people: self.tokens.clone(),
            stages: sample::STAGES.into_iter().map(stage).collect(),
        }
    }

    /// The tag of the sample's image in a stage's folder.
    fn tag(&self, folder: &Path) -> Option<String> {
        let text = fs::read_to_string(folder.join("app.yaml")).ok()?;
        let image = format!("{}/{}:", self.registry.host(), sample::IMAGE);
        let (_, after) = text.split_once(&image)?;
        after.split_whitespace().next().map(str::to_owned)
    }
}

/// The file that names the sandbox of this user that was started last.
#[derive(Debug)]
pub struct StateFile {
    path: PathBuf,
    url: String,
}

#[derive(Serialize, Deserialize)]
struct Contents {
    at: String,
    pid: u32,
}

impl StateFile {
    /// `$XDG_RUNTIME_DIR/butler-sandbox.json`, or, without it, one in the temporary folder with the user's id in its name.
    pub fn path() -> io::Result<PathBuf> {
        if let Some(folder) = std::env::var_os("XDG_RUNTIME_DIR").filter(|folder| !folder.is_empty()) {
            return Ok(Path::new(&folder).join("butler-sandbox.json"));
        }
        Ok(std::env::temp_dir().join(format!("butler-sandbox-{}.json", user()?)))
    }

    /// Names this sandbox, in place of one that was named before.
    pub fn write(url: &str) -> io::Result<StateFile> {
        let path = StateFile::path()?;
        // Beside it and then renamed: nobody reads half a file, and a link that lies there is replaced, not followed.
        let mut file = tempfile::NamedTempFile::new_in(path.parent().unwrap_or(Path::new(".")))?;
        serde_json::to_writer(&mut file, &Contents { at: url.to_owned(), pid: std::process::id() })?;
        file.persist(&path)?;
        Ok(StateFile { path, url: url.to_owned() })
    }

    /// The address that the file names, and the process that wrote it; `None` where there is no file of this user.
    pub fn read() -> io::Result<Option<(String, u32)>> {
        let path = StateFile::path()?;
        let text = match fs::read_to_string(&path) {
            Ok(text) => text,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(error),
        };
        if fs::metadata(&path)?.uid() != user()? {
            return Ok(None);
        }
        let contents: Contents = serde_json::from_str(&text)?;
        Ok(Some((contents.at, contents.pid)))
    }
}

impl Drop for StateFile {
    /// Takes the file away, unless a later sandbox has written its own.
    fn drop(&mut self) {
        if let Ok(Some((at, _))) = StateFile::read()
            && at == self.url
        {
            let _ = fs::remove_file(&self.path);
        }
    }
}

/// The user's id: whoever owns what this process makes.
fn user() -> io::Result<u32> {
    Ok(tempfile::tempfile()?.metadata()?.uid())
}
