//! Bare repositories over smart HTTP: an axum service in front of git's own `git http-backend`.
//!
//! What travels is real git, so that clones, pushes, hooks and refusals are git's and not an imitation's. Around it are the
//! things GitHub adds: Basic authentication, a callback after a push (webhooks), and faults to order.
//!
//! `git http-backend` is a CGI program (RFC 3875); see `git help http-backend` for the environment it reads.

use axum::{
    Router,
    body::{Body, Bytes},
    extract::Request,
    http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
};
use base64::Engine as _;
use futures::{StreamExt, future::BoxFuture, stream};
use std::{
    collections::{BTreeMap, HashMap},
    io,
    path::{Path, PathBuf},
    process::Stdio,
    sync::{Arc, Mutex},
    time::Duration,
};
use tokio::{
    io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader},
    process::{ChildStdout, Command},
};

/// The two services of smart HTTP.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Service {
    /// Clone and fetch.
    UploadPack,
    /// Push.
    ReceivePack,
}

/// What a request asks for, told to the fault callback before anything is done.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RequestInfo {
    /// The repository's path below the root, without `.git`: `owner/name`.
    pub repo: String,
    pub service: Service,
    /// The refs are only listed (`GET info/refs`), which begins every fetch and push.
    pub advertise: bool,
}

/// What credentials are worth. A request without any comes with an empty user and password.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Auth {
    Allow,
    /// 401: no credentials, or wrong ones.
    Unauthenticated,
    /// 403: known, but may not do this. GitHub's answer to a push with a token that can only read.
    Forbidden,
    /// 404: GitHub's answer for a private repository that the token cannot see.
    NotFound,
}

/// A failure to order for one request.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Fault {
    #[default]
    None,
    /// Answer properly, this much later.
    Delay(Duration),
    /// Drop the connection without doing anything.
    Close,
    /// The repository is now called so: git is sent there (301), as GitHub does after a rename.
    Renamed(String),
    /// Answer with this status instead, and with `Retry-After` in seconds where one is given.
    Status { code: u16, retry_after: Option<u32> },
    /// Do everything, the push callback included, then drop the connection instead of answering.
    LoseResponse,
}

/// A ref that a push moved.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RefUpdate {
    /// The full name: `refs/heads/main`.
    pub name: String,
    /// The commit before; `None` where the ref was created.
    pub old: Option<String>,
    /// The commit after; `None` where the ref was deleted.
    pub new: Option<String>,
}

type Authorize = dyn Fn(&str, &str, &str, bool) -> Auth + Send + Sync;
type OnPush = dyn Fn(String, Vec<RefUpdate>) -> BoxFuture<'static, ()> + Send + Sync;
type Before = dyn Fn(&RequestInfo) -> Fault + Send + Sync;

/// Serves every bare repository `<root>/<owner>/<name>.git` at `/<owner>/<name>` and `/<owner>/<name>.git`.
#[derive(Clone)]
pub struct GitHttp {
    root: PathBuf,
    authorize: Arc<Authorize>,
    on_push: Arc<OnPush>,
    before: Arc<Before>,
    /// One push a repository at a time, so that comparing the refs before and after tells what that push did.
    pushes: Arc<Mutex<HashMap<String, Arc<tokio::sync::Mutex<()>>>>>,
}

impl GitHttp {
    /// Serves the repositories below `root` to everybody, until [`GitHttp::authorize`] says otherwise.
    pub fn new(root: impl Into<PathBuf>) -> Self {
        crate::adapters::git::init();
        GitHttp {
            root: root.into(),
            authorize: Arc::new(|_, _, _, _| Auth::Allow),
            on_push: Arc::new(|_, _| Box::pin(async {})),
            before: Arc::new(|_| Fault::None),
            pushes: Arc::default(),
        }
    }

    /// Asks `check(user, password, repo, write)` for every request.
    pub fn authorize(mut self, check: impl Fn(&str, &str, &str, bool) -> Auth + Send + Sync + 'static) -> Self {
        self.authorize = Arc::new(check);
        self
    }

    /// Awaits `tell(repo, updates)` after a push that moved at least one ref, before the pusher gets its answer.
    pub fn on_push<F>(mut self, tell: impl Fn(String, Vec<RefUpdate>) -> F + Send + Sync + 'static) -> Self
    where
        F: Future<Output = ()> + Send + 'static,
    {
        self.on_push = Arc::new(move |repo, updates| Box::pin(tell(repo, updates)));
        self
    }

    /// Asks `fault(request)` before every request is looked at. It runs on the async thread: keep it short.
    pub fn before(mut self, fault: impl Fn(&RequestInfo) -> Fault + Send + Sync + 'static) -> Self {
        self.before = Arc::new(fault);
        self
    }

    /// A router that answers git's requests and 404 to all others; use it as another router's fallback, or alone.
    pub fn router(self) -> Router {
        Router::new().fallback(move |request: Request| {
            let this = self.clone();
            async move { this.respond(request).await }
        })
    }

    /// Whether a path is one of git's, for routers that share the address with other things.
    pub fn is_git_path(path: &str) -> bool {
        parse_path(path).is_some()
    }

    /// Answers one request.
    pub async fn respond(&self, request: Request) -> Response {
        let Some((repo, tail)) = parse_path(request.uri().path()) else {
            return StatusCode::NOT_FOUND.into_response();
        };
        let (repo, advertise) = (repo.to_owned(), tail == "info/refs");
        let query = request.uri().query().unwrap_or_default().to_owned();
        let service = match (tail, query.contains("service=git-receive-pack")) {
            ("git-receive-pack", _) | ("info/refs", true) => Service::ReceivePack,
            _ => Service::UploadPack,
        };
        let info = RequestInfo { repo, service, advertise };

        let fault = (self.before)(&info);
        match &fault {
            Fault::Renamed(name) => {
                let query = request.uri().query().map(|query| format!("?{query}")).unwrap_or_default();
                let to = format!("/{name}.git/{tail}{query}");
                return (StatusCode::MOVED_PERMANENTLY, [(header::LOCATION, to)]).into_response();
            }
            Fault::Close => return hang_up(),
            Fault::Delay(time) => tokio::time::sleep(*time).await,
            Fault::Status { code, retry_after } => return refusal(*code, *retry_after),
            Fault::None | Fault::LoseResponse => {}
        }

        let (user, password) = basic(request.headers());
        match (self.authorize)(&user, &password, &info.repo, service == Service::ReceivePack) {
            Auth::Allow => {}
            Auth::Unauthenticated => {
                let challenge = [(header::WWW_AUTHENTICATE, "Basic realm=\"GitHub\"")];
                return (StatusCode::UNAUTHORIZED, challenge, "bad credentials\n").into_response();
            }
            Auth::Forbidden => return (StatusCode::FORBIDDEN, "write access not granted\n").into_response(),
            Auth::NotFound => return (StatusCode::NOT_FOUND, "repository not found\n").into_response(),
        }
        let folder = self.root.join(format!("{}.git", info.repo));
        if !folder.is_dir() {
            return (StatusCode::NOT_FOUND, "repository not found\n").into_response();
        }

        let answer = if service == Service::ReceivePack && !advertise {
            self.receive(&info.repo, &folder, tail, &user, request).await
        } else {
            self.run(&info.repo, tail, &query, &user, request).await
        };
        match answer {
            Ok(_) if fault == Fault::LoseResponse => hang_up(),
            Ok(response) => response,
            Err(error) => (StatusCode::INTERNAL_SERVER_ERROR, format!("git http-backend: {error}\n")).into_response(),
        }
    }

    /// A push: the whole answer is awaited, so that the refs are final when they are compared.
    async fn receive(
        &self,
        repo: &str,
        folder: &Path,
        tail: &str,
        user: &str,
        request: Request,
    ) -> io::Result<Response> {
        let lock = match self.pushes.lock() {
            Ok(mut locks) => locks.entry(repo.to_owned()).or_default().clone(),
            Err(_) => return Err(io::Error::other("another push panicked")),
        };
        let (response, updates) = {
            let _alone = lock.lock().await;
            let old = refs(folder).await?;
            let (parts, body) = self.run(repo, tail, "", user, request).await?.into_parts();
            let body = axum::body::to_bytes(body, usize::MAX).await.map_err(io::Error::other)?;
            (Response::from_parts(parts, Body::from(body)), compare(&old, &refs(folder).await?))
        };
        if !updates.is_empty() {
            (self.on_push)(repo.to_owned(), updates).await;
        }
        Ok(response)
    }

    /// The CGI program with the environment that it reads.
    fn command(&self, repo: &str, tail: &str, query: &str, user: &str, request: &Request) -> Command {
        let header = |name: HeaderName| request.headers().get(name).and_then(|v| v.to_str().ok()).unwrap_or_default();
        let mut command = Command::new("git");
        command
            .arg("http-backend")
            .env_clear()
            .envs(std::env::var_os("PATH").map(|path| ("PATH", path)))
            // The machine's own git configuration must not change what is served.
            .env("GIT_CONFIG_NOSYSTEM", "1")
            .env("GIT_CONFIG_GLOBAL", "/dev/null")
            .env("GIT_CONFIG_COUNT", "2")
            .env("GIT_CONFIG_KEY_0", "http.receivepack")
            .env("GIT_CONFIG_VALUE_0", "true")
            .env("GIT_CONFIG_KEY_1", "safe.directory")
            .env("GIT_CONFIG_VALUE_1", "*")
            .env("GIT_PROJECT_ROOT", &self.root)
            .env("GIT_HTTP_EXPORT_ALL", "1")
            .env("PATH_INFO", format!("/{repo}.git/{tail}"))
            .env("QUERY_STRING", query)
            .env("REQUEST_METHOD", request.method().as_str())
            .env("CONTENT_TYPE", header(header::CONTENT_TYPE))
            // It inflates gzip by itself.
            .env("HTTP_CONTENT_ENCODING", header(header::CONTENT_ENCODING))
            .env("GIT_PROTOCOL", header(HeaderName::from_static("git-protocol")))
            .env("REMOTE_USER", user)
            .env("REMOTE_ADDR", "127.0.0.1");
        // Left out for a chunked body, which is then read to its end.
        if let Some(length) = request.headers().get(header::CONTENT_LENGTH).and_then(|v| v.to_str().ok()) {
            command.env("CONTENT_LENGTH", length);
        }
        command
    }

    /// Runs the CGI program; both bodies are streamed.
    async fn run(&self, repo: &str, tail: &str, query: &str, user: &str, request: Request) -> io::Result<Response> {
        let mut command = self.command(repo, tail, query, user, &request);
        let mut child =
            command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null()).kill_on_drop(true).spawn()?;
        let (Some(mut stdin), Some(stdout)) = (child.stdin.take(), child.stdout.take()) else {
            return Err(io::Error::other("its pipes are missing"));
        };
        let mut body = request.into_body().into_data_stream();
        tokio::spawn(async move {
            let mut open = true;
            // Read on after git stopped listening: a client that is still sending would not see the answer.
            while let Some(Ok(chunk)) = body.next().await {
                open = open && stdin.write_all(&chunk).await.is_ok();
            }
        });
        let mut stdout = BufReader::new(stdout);
        let (status, headers) = cgi_head(&mut stdout).await?;
        let rest = stream::try_unfold((stdout, child), |(mut stdout, mut child)| async move {
            let mut chunk = vec![0; 32 * 1024];
            match stdout.read(&mut chunk).await? {
                0 => child.wait().await.map(|_| None),
                count => {
                    chunk.truncate(count);
                    Ok::<_, io::Error>(Some((Bytes::from(chunk), (stdout, child))))
                }
            }
        });
        Ok((status, headers, Body::from_stream(rest)).into_response())
    }
}

/// Splits `/owner/name.git/info/refs` into the repository and the service's path.
fn parse_path(path: &str) -> Option<(&str, &'static str)> {
    let path = path.strip_prefix('/')?;
    let (repo, tail) = ["info/refs", "git-upload-pack", "git-receive-pack"]
        .into_iter()
        .find_map(|tail| Some((path.strip_suffix(tail)?.strip_suffix('/')?, tail)))?;
    let repo = repo.strip_suffix(".git").unwrap_or(repo);
    let safe = |part: &str| !part.is_empty() && !part.starts_with('.') && !part.contains(['\\', '%', '\0']);
    repo.split('/').all(safe).then_some((repo, tail))
}

fn basic(headers: &HeaderMap) -> (String, String) {
    let decode = || {
        let value = headers.get(header::AUTHORIZATION)?.to_str().ok()?;
        let (scheme, rest) = value.split_once(' ')?;
        let text = base64::engine::general_purpose::STANDARD.decode(rest.trim()).ok()?;
        let text = String::from_utf8(text).ok()?;
        let (user, password) = text.split_once(':')?;
        scheme.eq_ignore_ascii_case("basic").then(|| (user.to_owned(), password.to_owned()))
    };
    decode().unwrap_or_default()
}

/// hyper writes nothing of an answer whose body fails at once; it closes the connection.
fn hang_up() -> Response {
    let cut = io::Error::new(io::ErrorKind::ConnectionReset, "the connection is dropped on purpose");
    Body::from_stream(stream::once(async { Err::<Bytes, _>(cut) })).into_response()
}

fn refusal(code: u16, retry_after: Option<u32>) -> Response {
    let status = StatusCode::from_u16(code).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    let mut response = (status, "a fault to order\n").into_response();
    if let Some(seconds) = retry_after {
        response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from(seconds));
    }
    response
}

/// The CGI answer's head (RFC 3875, section 6): `Status:` gives the status, 200 without one.
async fn cgi_head(stdout: &mut BufReader<ChildStdout>) -> io::Result<(StatusCode, HeaderMap)> {
    let (mut status, mut headers) = (StatusCode::OK, HeaderMap::new());
    loop {
        let mut line = String::new();
        if stdout.read_line(&mut line).await? == 0 {
            return Err(io::Error::new(io::ErrorKind::UnexpectedEof, "it ended before its headers did"));
        }
        let line = line.trim_end();
        if line.is_empty() {
            return Ok((status, headers));
        }
        let Some((name, value)) = line.split_once(':') else { continue };
        let value = value.trim();
        if name.eq_ignore_ascii_case("status") {
            let code = value.split(' ').next().and_then(|code| code.parse().ok());
            status = code.unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        } else if let (Ok(name), Ok(value)) = (name.parse::<HeaderName>(), HeaderValue::from_str(value)) {
            headers.append(name, value);
        }
    }
}

/// Every ref with the object it points at.
async fn refs(folder: &Path) -> io::Result<BTreeMap<String, String>> {
    let folder = folder.to_owned();
    let read = move || -> Result<_, git2::Error> {
        let mut found = BTreeMap::new();
        for reference in git2::Repository::open_bare(folder)?.references()? {
            let reference = reference?;
            if let (Ok(name), Some(id)) = (reference.name(), reference.target()) {
                found.insert(name.to_owned(), id.to_string());
            }
        }
        Ok(found)
    };
    tokio::task::spawn_blocking(read).await.map_err(io::Error::other)?.map_err(io::Error::other)
}

fn compare(old: &BTreeMap<String, String>, new: &BTreeMap<String, String>) -> Vec<RefUpdate> {
    let names: std::collections::BTreeSet<_> = old.keys().chain(new.keys()).collect();
    let update = |name: &String| {
        let (old, new) = (old.get(name).cloned(), new.get(name).cloned());
        (old != new).then(|| RefUpdate { name: name.clone(), old, new })
    };
    names.into_iter().filter_map(update).collect()
}
