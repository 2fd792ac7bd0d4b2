//! The HTTP side: reads a request, lets faults strike, performs it, keeps a record.

use super::{
    auth::{self, Caller},
    faults::{Fault, Faults, When},
    pages,
    rest::{self, Call, Reply},
    state::State,
    webhooks::Hooks,
};
use crate::{
    engine::event::RepoName,
    sandbox::git_http::{Auth, GitHttp},
};
use axum::{
    body::{Body, Bytes},
    extract::Request,
    http::{HeaderMap, HeaderValue, StatusCode, Uri, header},
    response::{IntoResponse, Response},
};
use base64::{Engine as _, engine::general_purpose::STANDARD};
use futures::stream;
use serde_json::Value;
use std::{
    collections::{BTreeMap, VecDeque},
    fmt, io,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
};

/// So many requests are remembered.
const LOG_LENGTH: usize = 10_000;
/// Larger bodies are refused; GitHub's own limits are smaller.
const BODY_LIMIT: usize = 25 << 20;

/// One request and how it was answered.
#[derive(Clone, Debug)]
pub struct Record {
    /// Counts from 1.
    pub number: u64,
    pub method: String,
    /// The path as sent, without the query.
    pub path: String,
    pub query: BTreeMap<String, String>,
    /// Who asked: `app`, `installation`, a login, `browser` for a page, or `anonymous`.
    pub caller: String,
    /// `None`: the connection was dropped without an answer.
    pub status: Option<u16>,
    /// Bodies are kept only where [`super::Options::record_bodies`] asks for it.
    pub request: Value,
    pub response: Value,
    /// A fault stood in for GitHub's own answer.
    pub faulty: bool,
}

/// What an observer is told.
#[derive(Clone, Debug)]
pub struct Seen {
    /// Counts from 1.
    pub number: u64,
    pub method: String,
    pub path: String,
    pub when: When,
}

type Observer = Arc<dyn Fn(&Seen) + Send + Sync>;

/// What the HTTP side and the handle share.
pub struct Shared {
    state: Mutex<State>,
    pub hooks: Arc<Hooks>,
    faults: Mutex<Faults>,
    log: Mutex<VecDeque<Record>>,
    observer: Mutex<Option<Observer>>,
    counter: AtomicU64,
    pub record_bodies: AtomicBool,
    git: GitHttp,
}

impl fmt::Debug for Shared {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Shared").finish_non_exhaustive()
    }
}

/// A test that panicked elsewhere must not hide its reason behind a poisoned lock.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Shared {
    pub fn new(state: State) -> Self {
        let (hooks, git) = (state.hooks.clone(), GitHttp::new(&state.root));
        Shared {
            state: Mutex::new(state),
            hooks,
            faults: Mutex::default(),
            log: Mutex::default(),
            observer: Mutex::default(),
            counter: AtomicU64::new(0),
            record_bodies: AtomicBool::new(false),
            git,
        }
    }

    pub fn state(&self) -> MutexGuard<'_, State> {
        lock(&self.state)
    }

    pub fn faults(&self) -> MutexGuard<'_, Faults> {
        lock(&self.faults)
    }

    pub fn log(&self) -> Vec<Record> {
        lock(&self.log).iter().cloned().collect()
    }

    pub fn clear_log(&self) {
        lock(&self.log).clear();
    }

    pub fn observe(&self, observer: Option<Observer>) {
        *lock(&self.observer) = observer;
    }

    fn tell(&self, number: u64, method: &str, path: &str, when: When) {
        let observer = lock(&self.observer).clone();
        if let Some(observer) = observer {
            observer(&Seen { number, method: method.to_owned(), path: path.to_owned(), when });
        }
    }

    /// Answers one request.
    pub async fn respond(self: Arc<Self>, request: Request) -> Response {
        let number = self.counter.fetch_add(1, Ordering::Relaxed) + 1;
        let (method, path) = (request.method().to_string(), request.uri().path().to_owned());
        let mut record = Record {
            number,
            query: query(request.uri()),
            method: method.clone(),
            path: path.clone(),
            caller: String::new(),
            status: None,
            request: Value::Null,
            response: Value::Null,
            faulty: false,
        };
        // First, so that the observer can still order a fault for this very request.
        self.tell(number, &method, &path, When::Before);
        let fault = self.faults().strike(&method, &path);
        let mut answered = true;
        let mut after = None;
        match fault {
            Some(Fault::Refuse(reply)) => {
                (record.status, record.faulty) = (Some(reply.status), true);
                self.remember(record);
                return write(reply);
            }
            Some(Fault::Drop) => {
                record.faulty = true;
                self.remember(record);
                return hang_up();
            }
            Some(Fault::Delay(time)) => tokio::time::sleep(time).await,
            Some(Fault::Call(When::Before, call)) => call(),
            Some(Fault::Call(When::After, call)) => after = Some(call),
            Some(Fault::LoseResponse) => answered = false,
            None => {}
        }
        let response = if GitHttp::is_git_path(&path) {
            self.git(request, &mut record).await
        } else if let Some(page) = self.page(&mut record).await {
            page
        } else {
            self.rest(request, &mut record).await
        };
        // The whole answer, so that "after" is after everything.
        let (parts, body) = response.into_parts();
        let body = axum::body::to_bytes(body, usize::MAX).await;
        if let Some(call) = after {
            call();
        }
        self.tell(number, &method, &path, When::After);
        if !answered {
            (record.status, record.faulty) = (None, true);
        }
        self.remember(record);
        match body {
            Ok(body) if answered => Response::from_parts(parts, Body::from(body)),
            _ => hang_up(),
        }
    }

    fn remember(&self, record: Record) {
        let mut log = lock(&self.log);
        if log.len() == LOG_LENGTH {
            log.pop_front();
        }
        log.push_back(record);
    }

    /// A page for a browser, which shows no token: everything is on this machine.
    async fn page(self: &Arc<Self>, record: &mut Record) -> Option<Response> {
        let path = segments(&record.path);
        if !pages::may_be(&record.method, &path) {
            return None;
        }
        let this = self.clone();
        let page = tokio::task::spawn_blocking(move || pages::find(&this.state(), &path)).await.ok()??;
        record.caller = "browser".into();
        record.status = Some(page.status().as_u16());
        Some(page)
    }

    async fn rest(self: &Arc<Self>, request: Request, record: &mut Record) -> Response {
        let (parts, body) = request.into_parts();
        let Ok(body) = axum::body::to_bytes(body, BODY_LIMIT).await else {
            return write(Reply::error(413, "Payload too large"));
        };
        let body = match body.is_empty() {
            true => Value::Null,
            false => match serde_json::from_slice(&body) {
                Ok(body) => body,
                Err(_) => return write(Reply::error(400, "Problems parsing JSON")),
            },
        };
        let known = parts.headers.get(header::IF_NONE_MATCH).and_then(|tag| tag.to_str().ok()).map(str::to_owned);
        let mut call = Call {
            caller: Caller::Anonymous,
            method: record.method.clone(),
            path: segments(&record.path),
            query: record.query.clone(),
            body,
            url: String::new(),
        };
        let (this, path) = (self.clone(), record.path.clone());
        let perform = move || {
            let mut state = this.state();
            call.url = format!("{}{path}", state.base);
            let reply = match auth::authenticate(&state, &parts.headers) {
                Ok(caller) => {
                    call.caller = caller;
                    rest::route(&mut state, &call).unwrap_or_else(|refused| refused)
                }
                Err(refused) => refused,
            };
            (call, reply)
        };
        let (call, reply) = match tokio::task::spawn_blocking(perform).await {
            Ok(done) => done,
            Err(error) => return write(Reply::error(500, &format!("the emulator failed: {error}"))),
        };
        record.caller = caller_name(&call.caller);
        if self.record_bodies.load(Ordering::Relaxed) {
            (record.request, record.response) = (call.body, reply.body.clone());
        }
        let reply = if call.method == "GET" { reply.revalidate(known.as_deref()) } else { reply };
        record.status = Some(reply.status);
        write(reply)
    }

    async fn git(self: &Arc<Self>, request: Request, record: &mut Record) -> Response {
        let path = segments(&record.path);
        let [owner, name, tail @ ..] = path.as_slice() else { return write(Reply::not_found()) };
        let Ok(repo) = format!("{owner}/{}", name.strip_suffix(".git").unwrap_or(name)).parse::<RepoName>() else {
            return write(Reply::not_found());
        };
        let pushes =
            tail == ["git-receive-pack"] || record.query.get("service").is_some_and(|s| s == "git-receive-pack");
        let (mut parts, body) = request.into_parts();

        let (this, name, headers) = (self.clone(), repo.clone(), parts.headers.clone());
        let admit = move || -> (Caller, Result<String, Reply>) {
            let state = this.state();
            let caller = match auth::authenticate(&state, &headers) {
                Ok(caller) => caller,
                Err(refused) => return (Caller::Anonymous, Err(refused)),
            };
            let login = state.git_access(&caller, &name, pushes).and_then(|login| {
                let repo = state.repos.get(&name).ok_or_else(Reply::not_found)?;
                state.close_refs(repo, &login).map_err(|error| Reply::error(500, &error.to_string()))?;
                Ok(login)
            });
            (caller, login)
        };
        let (caller, admitted) = match tokio::task::spawn_blocking(admit).await {
            Ok(done) => done,
            Err(error) => return write(Reply::error(500, &format!("the emulator failed: {error}"))),
        };
        record.caller = caller_name(&caller);
        let login = match admitted {
            Ok(login) => login,
            Err(reply) => {
                record.status = Some(reply.status);
                return refuse_git(&reply);
            }
        };
        // Under the name that the hook knows, and in the folder's spelling.
        let identity = format!("Basic {}", STANDARD.encode(format!("{login}:")));
        if let Ok(value) = HeaderValue::from_str(&identity) {
            parts.headers.insert(header::AUTHORIZATION, value);
        }
        let query = parts.uri.query().map(|query| format!("?{query}")).unwrap_or_default();
        if let Ok(uri) = format!("/{repo}.git/{}{query}", tail.join("/")).parse() {
            parts.uri = uri;
        }
        let this = self.clone();
        let moved = move |_, _| {
            let (this, repo, login) = (this.clone(), repo.clone(), login.clone());
            async move {
                // A failed join is a panic, and the pusher's answer does not depend on it.
                let _ = tokio::task::spawn_blocking(move || this.state().refs_moved(&repo, &login)).await;
            }
        };
        let git = self.git.clone().authorize(|_, _, _, _| Auth::Allow).on_push(moved);
        let response = git.respond(Request::from_parts(parts, body)).await;
        record.status = Some(response.status().as_u16());
        response
    }
}

fn caller_name(caller: &Caller) -> String {
    match caller {
        Caller::Anonymous => "anonymous".into(),
        Caller::App => "app".into(),
        Caller::Installation(_) => "installation".into(),
        Caller::Person(login) => login.clone(),
    }
}

fn segments(path: &str) -> Vec<String> {
    let decode = |part: &str| {
        // `+` is a plus in a path; only the query's rules would make it a space.
        let text = part.replace('+', "%2B");
        url::form_urlencoded::parse(text.as_bytes()).next().map(|(key, _)| key.into_owned()).unwrap_or_default()
    };
    path.split('/').filter(|part| !part.is_empty()).map(decode).collect()
}

fn query(uri: &Uri) -> BTreeMap<String, String> {
    url::form_urlencoded::parse(uri.query().unwrap_or_default().as_bytes()).into_owned().collect()
}

fn write(reply: Reply) -> Response {
    let mut headers = HeaderMap::new();
    // GitHub counts them; here nobody runs out unless told to.
    for (name, value) in [("x-ratelimit-limit", "5000"), ("x-ratelimit-remaining", "4999"), ("x-ratelimit-used", "1")] {
        headers.insert(name, HeaderValue::from_static(value));
    }
    headers.insert("x-github-media-type", HeaderValue::from_static("github.v3; format=json"));
    for (name, value) in &reply.headers {
        if let Ok(value) = HeaderValue::from_str(value) {
            headers.insert(*name, value);
        }
    }
    if reply.body.is_null() {
        return (reply.status_code(), headers).into_response();
    }
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json; charset=utf-8"));
    (reply.status_code(), headers, reply.body.to_string()).into_response()
}

/// Git shows the text of a refusal to the person.
fn refuse_git(reply: &Reply) -> Response {
    let text = match reply.status {
        401 => "Invalid username or token. Password authentication is not supported for Git operations.\n",
        403 => "Write access to repository not granted.\n",
        _ => "Repository not found.\n",
    };
    let mut response = (reply.status_code(), text).into_response();
    if reply.status_code() == StatusCode::UNAUTHORIZED {
        response.headers_mut().insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Basic realm=\"GitHub\""));
    }
    response
}

/// hyper writes nothing of an answer whose body fails at once; it closes the connection.
fn hang_up() -> Response {
    let cut = io::Error::new(io::ErrorKind::ConnectionReset, "the connection is dropped on purpose");
    Body::from_stream(stream::once(async { Err::<Bytes, _>(cut) })).into_response()
}
