//! The one way to GitHub's REST API: octocrab carries the request; who asks, what an answer means and whether it is sent
//! again is decided here.
//!
//! octocrab itself runs without credentials and without its retries. It does follow redirects, dropping the credential
//! where they lead to another host.

use super::{
    Clock,
    auth::{AppJwt, Grant, Token, TokenKey, Tokens},
    call::{As, Call, next_link, same_host},
    error::{Fixer, ForgeError, complaint, excerpt},
    retry::{Outcome, Patience, Repeat, Verdict, judge},
};
use crate::engine::event::RepoName;
use axum::{
    body::{Body, Bytes, to_bytes},
    http::{HeaderMap, HeaderName, HeaderValue, Method, Request, StatusCode, header},
};
use jiff::{SignedDuration, Timestamp};
use octocrab::{OctoBody, Octocrab};
use secrecy::{ExposeSecret, SecretString};
use serde::{Deserialize, de::DeserializeOwned};
use std::{
    collections::{BTreeMap, HashMap},
    error::Error as _,
    io,
    sync::{Mutex, PoisonError},
    time::{Duration, Instant},
};
use tracing::Instrument;
use url::Url;

/// GitHub's answers stay far below; a body that goes on is a broken proxy.
const LARGEST_ANSWER: usize = 32 << 20;
/// A list that is longer is not read to its end.
const MOST_PAGES: usize = 100;
pub(super) const PER_PAGE: &str = "100";
/// How long after a failure that passes by itself the caller comes again.
const SHORTLY: SignedDuration = SignedDuration::from_secs(10);
/// The REST API's version: <https://docs.github.com/en/rest/about-the-rest-api/api-versions>.
const API_VERSION: (HeaderName, HeaderValue) =
    (HeaderName::from_static("x-github-api-version"), HeaderValue::from_static("2022-11-28"));

pub(super) struct Client {
    crab: Octocrab,
    base: Url,
    pub(super) clock: Clock,
    patience: Patience,
    jwt: AppJwt,
    tokens: Tokens,
    installations: Mutex<HashMap<RepoName, u64>>,
}

/// A whole answer with a good status.
pub(super) struct Answer {
    call: String,
    repeat: Repeat,
    url: Url,
    headers: HeaderMap,
    body: Bytes,
}

impl Answer {
    /// The body, read as `T`. A write that succeeded with an unreadable body is as good as an answer that was lost.
    pub(super) fn json<T: DeserializeOwned>(&self) -> Result<T, ForgeError> {
        serde_json::from_slice(&self.body).map_err(|error| {
            let why = format!("the answer cannot be read: {}", excerpt(&error.to_string()));
            match self.repeat {
                Repeat::Safe => ForgeError::Bug { call: self.call.clone(), why },
                Repeat::Never => ForgeError::Unknown { call: self.call.clone(), why },
            }
        })
    }
}

/// What one try brought.
enum Tried {
    Answered { status: StatusCode, headers: HeaderMap, body: Bytes },
    Unreached(String),
    Lost(String),
}

impl Client {
    /// Spawns octocrab's worker: to be called inside a Tokio runtime.
    pub(super) fn new(base: Url, jwt: AppJwt, clock: Clock, patience: Patience) -> Result<Self, ForgeError> {
        let refused = |why: String| ForgeError::Refused { call: "setting up".into(), fixer: Fixer::Operator, why };
        if !matches!(base.scheme(), "http" | "https") || base.host_str().is_none() || base.query().is_some() {
            return Err(refused("expected GitHub's API address as https://HOST or https://HOST/api/v3".into()));
        }
        let crab = Octocrab::builder()
            .base_uri(base.as_str())
            .map(|builder| builder.set_connect_timeout(Some(patience.timeout.min(Duration::from_secs(10)))))
            .and_then(|builder| builder.build())
            .map_err(|error| refused(format!("the HTTP client cannot be made: {}", excerpt(&error.to_string()))))?;
        let (tokens, installations) = (Tokens::default(), Mutex::default());
        Ok(Client { crab, base, clock, patience, jwt, tokens, installations })
    }

    pub(super) fn now(&self) -> Timestamp {
        (self.clock)()
    }

    /// "Come again shortly", for a verb that looked and found nothing done.
    pub(super) fn shortly(&self, call: &str, why: &str) -> ForgeError {
        ForgeError::RetryLater { call: call.to_owned(), at: self.now() + SHORTLY, why: why.to_owned() }
    }

    pub(super) async fn json<T: DeserializeOwned>(&self, call: Call) -> Result<T, ForgeError> {
        self.send(call).await?.json()
    }

    /// All pages of a list. `P` is what a page is, `items` what is in it.
    pub(super) async fn pages<P, T>(&self, call: Call, items: fn(P) -> Vec<T>) -> Result<Vec<T>, ForgeError>
    where
        P: DeserializeOwned,
    {
        let call = call.query("per_page", PER_PAGE);
        let mut url = call.url(&self.base)?;
        let mut all = Vec::new();
        for _ in 0..MOST_PAGES {
            let answer = self.send_to(&call, url).await?;
            all.extend(items(answer.json()?));
            let Some(next) = next_link(&answer.headers) else { return Ok(all) };
            url = same_host(&self.base, &answer.url, next).map_err(|host| ForgeError::Refused {
                call: call.to_string(),
                fixer: Fixer::Operator,
                why: format!("the next page is on another host ({}), which gets no token", excerpt(&host)),
            })?;
        }
        Err(ForgeError::Refused {
            call: call.to_string(),
            fixer: Fixer::Administrator,
            why: format!("the list has more than {MOST_PAGES} pages of {PER_PAGE}"),
        })
    }

    pub(super) async fn send(&self, call: Call) -> Result<Answer, ForgeError> {
        let url = call.url(&self.base)?;
        self.send_to(&call, url).await
    }

    async fn send_to(&self, call: &Call, url: Url) -> Result<Answer, ForgeError> {
        let span = tracing::info_span!(
            "github",
            method = %call.method,
            route = call.template,
            caller = ?call.caller,
            status = tracing::field::Empty,
            tries = tracing::field::Empty,
            duration_ms = tracing::field::Empty,
        );
        let started = Instant::now();
        let answer = self.persist(call, url).instrument(span.clone()).await;
        span.record("duration_ms", started.elapsed().as_millis() as u64);
        span.in_scope(|| match &answer {
            Ok(_) => tracing::debug!("answered"),
            Err(error) => tracing::debug!(%error, "not done"),
        });
        answer
    }

    /// Tries, as often as the verdicts allow.
    async fn persist(&self, call: &Call, url: Url) -> Result<Answer, ForgeError> {
        let mut renewed = false;
        let mut tries = 0;
        loop {
            tries += 1;
            let credential = self.credential(&call.caller).await?;
            let tried = self.once(call, &url, credential.as_ref()).await;
            let outcome = match &tried {
                Tried::Answered { status, headers, body } => Outcome::Answered { status: *status, headers, body },
                Tried::Unreached(_) => Outcome::Unreached,
                Tried::Lost(_) => Outcome::Lost,
            };
            let verdict = judge(call.repeat, &outcome, self.now());
            tracing::Span::current().record("tries", tries);
            match verdict {
                Verdict::Again if tries < self.patience.tries => {
                    tokio::time::sleep(self.patience.wait(tries, rand::random())).await;
                }
                // A 401 is given before anything is done: safe to repeat, even for a write.
                Verdict::Expired if !renewed && call.caller != As::Nobody => {
                    renewed = true;
                    self.forget(&call.caller);
                }
                verdict => return self.conclude(call, url, tried, verdict),
            }
        }
    }

    fn conclude(&self, call: &Call, url: Url, tried: Tried, verdict: Verdict) -> Result<Answer, ForgeError> {
        let (status, headers, body) = match tried {
            Tried::Answered { status, headers, body } => (status, headers, body),
            Tried::Unreached(why) => return Err(self.shortly(&call.to_string(), &format!("not reached: {why}"))),
            Tried::Lost(why) if call.repeat == Repeat::Safe => return Err(self.shortly(&call.to_string(), &why)),
            Tried::Lost(why) => return Err(ForgeError::Unknown { call: call.to_string(), why }),
        };
        let said = format!("{}: {}", status.as_u16(), complaint(&body));
        let call_name = call.to_string();
        let refused = |fixer, why| ForgeError::Refused { call: call.to_string(), fixer, why };
        Err(match verdict {
            Verdict::Done => {
                return Ok(Answer { call: call_name, repeat: call.repeat, url, headers, body });
            }
            Verdict::Again => self.shortly(&call_name, &said),
            Verdict::Unknown => ForgeError::Unknown { call: call_name, why: said },
            Verdict::Limited(at) => ForgeError::RetryLater { call: call_name, at, why: format!("rate limit, {said}") },
            Verdict::Expired if call.caller == As::App => refused(
                Fixer::Operator,
                format!("{said}; check the App's id, its private key and this machine's clock"),
            ),
            Verdict::Expired => refused(Fixer::Operator, said),
            Verdict::Forbidden => {
                let needs = headers.get("x-accepted-github-permissions").and_then(|v| v.to_str().ok());
                let needs = needs.map(|n| format!("; this needs {}", excerpt(n))).unwrap_or_default();
                refused(Fixer::Administrator, format!("{said}{needs}"))
            }
            Verdict::Moved => {
                refused(Fixer::Administrator, format!("{said}; the repository has another name now, use that one"))
            }
            Verdict::NotFound => ForgeError::NotFound { call: call_name },
            Verdict::Invalid => ForgeError::Invalid { call: call_name, message: complaint(&body) },
            Verdict::Bug => ForgeError::Bug { call: call_name, why: said },
        })
    }

    async fn once(&self, call: &Call, url: &Url, credential: Option<&SecretString>) -> Tried {
        let request = match request(call, url, credential) {
            Ok(request) => request,
            Err(why) => return Tried::Unreached(why),
        };
        let exchange = async {
            let answer = self.crab.send(request).await.map_err(|error| {
                let why = reason(&error);
                if never_connected(&error) { Tried::Unreached(why) } else { Tried::Lost(why) }
            })?;
            let (head, body) = answer.into_parts();
            match to_bytes(Body::new(body), LARGEST_ANSWER).await {
                Ok(body) => Ok(Tried::Answered { status: head.status, headers: head.headers, body }),
                Err(error) => Err(Tried::Lost(excerpt(&error.to_string()))),
            }
        };
        let tried = match tokio::time::timeout(self.patience.timeout, exchange).await {
            Ok(Ok(tried) | Err(tried)) => tried,
            Err(_) => Tried::Lost(format!("no answer within {} s", self.patience.timeout.as_secs_f32())),
        };
        if let Tried::Answered { status, .. } = &tried {
            tracing::Span::current().record("status", status.as_u16());
        }
        tried
    }

    async fn credential(&self, caller: &As) -> Result<Option<SecretString>, ForgeError> {
        match caller {
            As::Nobody => Ok(None),
            As::App => self.jwt.get(self.now()).map(Some),
            As::Installation(id, grant) => {
                let key = TokenKey { installation: *id, repository: None, grant: *grant };
                self.token(&key).await.map(Some)
            }
            As::Repository(repo, grant) => self.repository_token(repo, *grant).await.map(Some),
        }
    }

    /// A token for one repository with the permissions of `grant`.
    pub(super) async fn repository_token(&self, repo: &RepoName, grant: Grant) -> Result<SecretString, ForgeError> {
        let known = self.known_installation(repo);
        let key = |installation| TokenKey { installation, repository: Some(repo.name().to_owned()), grant };
        if let Some(installation) = known {
            match self.token(&key(installation)).await {
                // The App may have been taken off and put on again, which makes another installation.
                Err(error) if error.is_not_found() => self.forget_installation(repo),
                other => return other,
            }
        }
        let installation = self.installation_of(repo).await?;
        self.token(&key(installation)).await
    }

    fn known_installation(&self, repo: &RepoName) -> Option<u64> {
        self.installations.lock().unwrap_or_else(PoisonError::into_inner).get(repo).copied()
    }

    fn forget_installation(&self, repo: &RepoName) {
        self.installations.lock().unwrap_or_else(PoisonError::into_inner).remove(repo);
    }

    async fn installation_of(&self, repo: &RepoName) -> Result<u64, ForgeError> {
        #[derive(Deserialize)]
        struct Installation {
            id: u64,
        }
        let call = Call::of_app(Method::GET, "/repos/{owner}/{repo}/installation");
        let call = call.value(repo.owner()).value(repo.name());
        let id = Box::pin(self.json::<Installation>(call)).await?.id;
        self.installations.lock().unwrap_or_else(PoisonError::into_inner).insert(repo.clone(), id);
        Ok(id)
    }

    async fn token(&self, key: &TokenKey) -> Result<SecretString, ForgeError> {
        self.tokens.get(key, self.now(), Box::pin(self.mint(key))).await
    }

    /// <https://docs.github.com/en/rest/apps/apps#create-an-installation-access-token-for-an-app>. Minting twice does no
    /// harm, so a lost answer is asked for again.
    async fn mint(&self, key: &TokenKey) -> Result<Token, ForgeError> {
        #[derive(serde::Serialize)]
        struct Wanted<'a> {
            #[serde(skip_serializing_if = "Option::is_none")]
            repositories: Option<[&'a str; 1]>,
            permissions: BTreeMap<&'a str, &'a str>,
        }
        #[derive(Deserialize)]
        struct Minted {
            token: String,
            expires_at: Timestamp,
        }
        let wanted = Wanted {
            repositories: key.repository.as_deref().map(|name| [name]),
            permissions: key.grant.permissions().iter().copied().collect(),
        };
        let call = Call::of_app(Method::POST, "/app/installations/{installation_id}/access_tokens")
            .value(key.installation)
            .body(&wanted)
            .repeatable();
        let named = call.to_string();
        match self.json::<Minted>(call).await {
            Ok(minted) => Ok(Token { secret: minted.token.into(), expires: minted.expires_at }),
            Err(ForgeError::Invalid { message, .. }) if message.contains("repositor") => {
                tracing::debug!(message, "no token");
                Err(ForgeError::NotFound { call: named })
            }
            Err(ForgeError::Invalid { message, .. }) => {
                let list: Vec<_> = wanted.permissions.iter().map(|(name, level)| format!("{name}: {level}")).collect();
                Err(ForgeError::Refused {
                    call: named,
                    fixer: Fixer::Administrator,
                    why: format!(
                        "{}; the App needs {}: accept its permissions where it is installed",
                        message.trim_end_matches('.'),
                        list.join(", ")
                    ),
                })
            }
            Err(other) => Err(other),
        }
    }

    fn forget(&self, caller: &As) {
        match caller {
            As::App => self.jwt.forget(),
            As::Nobody => {}
            As::Installation(id, grant) => {
                self.tokens.forget(&TokenKey { installation: *id, repository: None, grant: *grant });
            }
            As::Repository(repo, grant) => {
                if let Some(installation) = self.known_installation(repo) {
                    let repository = Some(repo.name().to_owned());
                    self.tokens.forget(&TokenKey { installation, repository, grant: *grant });
                }
            }
        }
    }
}

fn request(call: &Call, url: &Url, credential: Option<&SecretString>) -> Result<Request<OctoBody>, String> {
    let mut request = Request::builder()
        .method(call.method.clone())
        .uri(url.as_str())
        .header(header::ACCEPT, "application/vnd.github+json")
        .header(header::USER_AGENT, concat!("butler/", env!("CARGO_PKG_VERSION")))
        .header(API_VERSION.0, API_VERSION.1);
    if let Some(credential) = credential {
        let mut value = HeaderValue::from_str(&format!("Bearer {}", credential.expose_secret()))
            .map_err(|_| "the token has characters that no header can carry".to_owned())?;
        value.set_sensitive(true);
        request = request.header(header::AUTHORIZATION, value);
    }
    let request = match &call.body {
        None => request.body(OctoBody::empty()),
        Some(Err(why)) => return Err(why.clone()),
        Some(Ok(body)) => {
            request.header(header::CONTENT_TYPE, "application/json").body(OctoBody::from(Bytes::copy_from_slice(body)))
        }
    };
    request.map_err(|error| error.to_string())
}

/// The innermost cause, which says what happened; the outer ones repeat addresses.
fn reason(error: &octocrab::Error) -> String {
    let mut cause: &dyn std::error::Error = error;
    while let Some(inner) = cause.source() {
        cause = inner;
    }
    excerpt(&cause.to_string())
}

/// Whether the connection was refused, so that the request cannot have been sent. Any doubt counts as sent.
fn never_connected(error: &octocrab::Error) -> bool {
    let mut cause = error.source();
    while let Some(inner) = cause {
        if let Some(io) = inner.downcast_ref::<io::Error>() {
            return io.kind() == io::ErrorKind::ConnectionRefused;
        }
        cause = inner.source();
    }
    false
}
