//! Smart HTTP for libgit2 on reqwest, so that there is one TLS stack and so that a refusal is more than a text.
//!
//! libgit2 calls a transport on the thread that asked it to fetch or push. What that call needs (the token) and what it
//! learns (the typed error that libgit2 would flatten) travel in a thread-local around the call. A token can thus
//! only go to the address of the mirror that it was given for.

use super::error::GitError;
use git2::transport::{Service, SmartSubtransport, SmartSubtransportStream, Transport};
use reqwest::{
    Url,
    blocking::{Client, Response},
    header, redirect,
};
use secrecy::{ExposeSecret, SecretString};
use std::{
    cell::RefCell,
    io::{self, Read, Write},
    sync::{Arc, Mutex, Once, OnceLock, PoisonError},
    time::Duration,
};

/// Why there is no token.
pub type TokenError = Box<dyn std::error::Error + Send + Sync>;
/// Gives the token for one request, as GitHub's user `x-access-token`. Called for each request, so it should cache. An
/// empty token means no credentials.
pub type TokenSource = Arc<dyn Fn() -> Result<SecretString, TokenError> + Send + Sync>;

const USER: &str = "x-access-token";
/// GitHub serves addresses without `.git` only to user agents that begin with `git/`.
const AGENT: &str = concat!("git/2.0 (butler ", env!("CARGO_PKG_VERSION"), ")");
const CONNECT_TIMEOUT: Duration = Duration::from_secs(15);
/// How much of a refusal's text is kept.
const DETAIL_BYTES: u64 = 300;

/// What one call into libgit2 may use.
#[derive(Clone)]
pub(super) struct Access {
    /// Only requests to this address's origin carry the token.
    pub url: Url,
    pub token: TokenSource,
    /// For each answer to begin, and for each piece of it.
    pub timeout: Duration,
}

/// What a call into libgit2 learnt beyond its result.
#[derive(Default)]
pub(super) struct Learnt {
    /// The error behind libgit2's text.
    pub failure: Option<GitError>,
    /// The request that moves refs may have reached the server.
    pub sent: bool,
}

thread_local! {
    static SESSION: RefCell<Option<(Access, Learnt)>> = const { RefCell::new(None) };
}

/// Runs a call into libgit2 that may go over the network.
pub(super) fn with_access<T>(access: Access, call: impl FnOnce() -> T) -> (T, Learnt) {
    /// Takes the token away even where the call panics, so that no later call on this thread finds it.
    struct Clear;
    impl Drop for Clear {
        fn drop(&mut self) {
            SESSION.take();
        }
    }
    let clear = Clear;
    SESSION.set(Some((access, Learnt::default())));
    let result = call();
    let learnt = SESSION.take().map(|(_, learnt)| learnt).unwrap_or_default();
    drop(clear);
    (result, learnt)
}

fn learn(what: impl FnOnce(&mut Learnt)) {
    SESSION.with_borrow_mut(|session| {
        if let Some((_, learnt)) = session {
            what(learnt);
        }
    });
}

/// Keeps the typed error and gives libgit2 its text.
fn keep(error: GitError) -> io::Error {
    let text = error.to_string();
    learn(|learnt| learnt.failure = Some(error));
    io::Error::other(text)
}

/// About how many bytes of commits and small trees libgit2 keeps, of all mirrors together. It drops them in no order.
const CACHE_BYTES: isize = 1 << 20;

/// Sets libgit2 up for the process: this transport, and none of the machine's own git configuration. Idempotent; to be
/// called before anything else of libgit2.
pub fn init() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        for scheme in ["http", "https"] {
            // SAFETY: must not run beside the creation of a transport; only mirrors create any, after this `Once`.
            let registered = unsafe {
                git2::transport::register(scheme, |remote| {
                    Transport::smart(remote, true, Http { base: Mutex::new(None) })
                })
            };
            if let Err(error) = registered {
                tracing::error!(scheme, %error, "libgit2 does not take the HTTP transport");
            }
        }
        // As git: objects are checked when they are fetched, not again at each read.
        git2::opts::strict_hash_verification(false);
        // What a tree said is kept in a form of our own. But the next push is compared to the trees of this one, so some
        // may stay; see `Mirror::tree_entries`.
        // SAFETY: must not run beside other calls of libgit2; see this function's contract.
        if let Err(error) = unsafe { git2::opts::set_cache_max_size(CACHE_BYTES) } {
            tracing::warn!(%error, "libgit2 keeps more trees than it should");
        }
        for level in [git2::ConfigLevel::System, git2::ConfigLevel::Global, git2::ConfigLevel::XDG] {
            // The machine's configuration could rewrite addresses (`url.<base>.insteadOf`).
            // SAFETY: must not run beside a read of the configuration; see this function's contract.
            if let Err(error) = unsafe { git2::opts::set_search_path(level, "") } {
                tracing::warn!(?level, %error, "libgit2 still reads the machine's git configuration");
            }
        }
    });
}

fn client() -> Result<&'static Client, String> {
    static CLIENT: OnceLock<Result<Client, String>> = OnceLock::new();
    let build = || {
        let same_host = redirect::Policy::custom(|attempt| {
            let same = attempt.previous().first().is_some_and(|first| first.origin() == attempt.url().origin());
            match same && attempt.previous().len() < 5 {
                true => attempt.follow(),
                false => attempt.stop(),
            }
        });
        Client::builder().user_agent(AGENT).connect_timeout(CONNECT_TIMEOUT).redirect(same_host).build()
    };
    CLIENT.get_or_init(|| build().map_err(|error| words(&error))).as_ref().map_err(Clone::clone)
}

/// The whole chain of an error, without the address: that stands in front already.
fn words(error: &(dyn std::error::Error + 'static)) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        text = format!("{text}: {error}");
        cause = error.source();
    }
    // libgit2 takes errors as C strings.
    text.replace('\0', "")
}

struct Http {
    /// Where the listing of refs was redirected to: what follows goes there at once, since a redirected POST loses its body.
    base: Mutex<Option<Url>>,
}

impl SmartSubtransport for Http {
    fn action(&self, url: &str, service: Service) -> Result<Box<dyn SmartSubtransportStream>, git2::Error> {
        let base = self.base.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let base = base.map_or_else(|| url.to_owned(), String::from);
        let mut exchange = Exchange { base, service, body: Vec::new(), response: None };
        if matches!(service, Service::UploadPackLs | Service::ReceivePackLs) {
            let response = exchange.send().map_err(|error| git2::Error::from_str(&keep(error).to_string()))?;
            let mut base = response.url().clone();
            base.set_query(None);
            let path = base.path().strip_suffix("/info/refs").unwrap_or(base.path()).to_owned();
            base.set_path(&path);
            *self.base.lock().unwrap_or_else(PoisonError::into_inner) = Some(base);
            exchange.response = Some(response);
        }
        Ok(Box::new(exchange))
    }

    fn close(&self) -> Result<(), git2::Error> {
        *self.base.lock().unwrap_or_else(PoisonError::into_inner) = None;
        Ok(())
    }
}

/// One request and its answer. The body is small (what butler edits), so it is collected; the answer is streamed.
struct Exchange {
    base: String,
    service: Service,
    body: Vec<u8>,
    response: Option<Response>,
}

impl Exchange {
    fn send(&mut self) -> Result<Response, GitError> {
        let shown = self.base.clone();
        let unreachable = |why: String| GitError::Unreachable { url: shown.clone(), why };
        let access = SESSION
            .with_borrow(|session| session.as_ref().map(|(access, _)| access.clone()))
            .ok_or_else(|| GitError::Invalid(format!("{shown}: used outside of a mirror's fetch or push")))?;
        let token = (access.token)().map_err(|source| GitError::Token { url: shown.clone(), source })?;

        let base = self.base.trim_end_matches('/');
        let (name, listing) = match self.service {
            Service::UploadPackLs => ("git-upload-pack", true),
            Service::UploadPack => ("git-upload-pack", false),
            Service::ReceivePackLs => ("git-receive-pack", true),
            Service::ReceivePack => ("git-receive-pack", false),
        };
        let client = client().map_err(unreachable)?;
        let (mut request, expected) = if listing {
            let request = client.get(format!("{base}/info/refs?service={name}"));
            (request, format!("application/x-{name}-advertisement"))
        } else {
            let request = client
                .post(format!("{base}/{name}"))
                .header(header::CONTENT_TYPE, format!("application/x-{name}-request"))
                .header(header::ACCEPT, format!("application/x-{name}-result"))
                .body(std::mem::take(&mut self.body));
            (request, format!("application/x-{name}-result"))
        };
        if Url::parse(base).is_ok_and(|url| url.origin() == access.url.origin()) && !token.expose_secret().is_empty() {
            request = request.basic_auth(USER, Some(token.expose_secret()));
        }
        let moves_refs = self.service == Service::ReceivePack;
        let response =
            request.header(header::CACHE_CONTROL, "no-cache").timeout(access.timeout).send().map_err(|error| {
                // Where no connection was made, nothing can have happened.
                if moves_refs && !error.is_connect() && !error.is_builder() {
                    learn(|learnt| learnt.sent = true);
                }
                unreachable(words(&error.without_url()))
            })?;
        let response = check(response, &self.base, &expected, moves_refs)?;
        Ok(response)
    }
}

/// Turns an answer that is not git's into an error.
fn check(response: Response, url: &str, expected: &str, moves_refs: bool) -> Result<Response, GitError> {
    let url = url.to_owned();
    let (status, headers) = (response.status(), response.headers());
    let text = |name| headers.get(name).and_then(|value: &header::HeaderValue| value.to_str().ok());
    // GitHub gives seconds; its other form, a date, means a wait as long as the caller's own.
    let retry_after = text(header::RETRY_AFTER).and_then(|value| value.trim().parse().ok()).map(Duration::from_secs);
    // A gateway may give up on a push that the server behind it finishes.
    if moves_refs && (status.is_success() || status.is_server_error()) {
        learn(|learnt| learnt.sent = true);
    }
    match status.as_u16() {
        200 => {
            let found = text(header::CONTENT_TYPE).unwrap_or_default().to_owned();
            if found != expected {
                let found = format!("{found:?}");
                return Err(GitError::Unexpected { url, expected: expected.to_owned(), found });
            }
            Ok(response)
        }
        401 => Err(GitError::Unauthorized { url }),
        // GitHub's secondary rate limits come as 403 with Retry-After.
        403 if retry_after.is_none() => Err(GitError::Forbidden { url, detail: detail(response) }),
        404 | 410 => Err(GitError::NotFound { url }),
        300..=399 => {
            let to = text(header::LOCATION).unwrap_or("nowhere").chars().take(200).collect();
            Err(GitError::Redirected { url, to })
        }
        403 | 408 | 429 | 500..=599 => {
            Err(GitError::Busy { url, status: status.as_u16(), detail: detail(response), retry_after })
        }
        other => {
            let found = format!("status {other}: {}", detail(response));
            Err(GitError::Unexpected { url, expected: "status 200".to_owned(), found })
        }
    }
}

/// The beginning of a refusal's text: GitHub says there what is wrong.
fn detail(response: Response) -> String {
    let mut bytes = Vec::new();
    let read = response.take(DETAIL_BYTES).read_to_end(&mut bytes);
    let text = String::from_utf8_lossy(&bytes).replace('\0', "");
    match read {
        Ok(_) if !text.trim().is_empty() => text.split_whitespace().collect::<Vec<_>>().join(" "),
        _ => "no text".to_owned(),
    }
}

impl Read for Exchange {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if self.response.is_none() {
            self.response = Some(self.send().map_err(keep)?);
        }
        let Some(response) = &mut self.response else { return Ok(0) };
        let read = response.read(buffer);
        read.map_err(|error| keep(GitError::Unreachable { url: self.base.clone(), why: words(&error) }))
    }
}

impl Write for Exchange {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.body.extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
