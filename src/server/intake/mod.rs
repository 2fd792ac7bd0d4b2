//! Webhooks: authenticate the raw body, turn it into one typed [`Event`], record it with the jobs it causes, answer 202.
//! Nothing else happens here; the worker finds out what to do. Every answer is JSON; a refusal is `{"error": "…"}`.
//!
//! One file a sender: [`github`], [`registry`].

pub mod github;
pub mod registry;

use crate::{
    adapters::store::{Debounce, JobKey, JobRequest, Store, StoreError},
    engine::event::{Event, RepoName},
    server::settings::{GithubSettings, RegistrySender, Settings},
};
use axum::{
    Json, Router,
    body::Bytes,
    extract::{DefaultBodyLimit, FromRequest, Request, State},
    http::{StatusCode, header},
    response::{IntoResponse, Response},
    routing::{get, post},
};
use jiff::Timestamp;
use serde_json::json;
use std::{collections::BTreeMap, sync::Arc, time::Duration};

/// GitHub's own limit on a payload: <https://docs.github.com/en/webhooks/webhook-events-and-payloads>
pub const BODY_LIMIT: usize = 25 * 1024 * 1024;

/// A sender that has not sent its body by then is cut off. GitHub itself gives up after ten seconds.
const BODY_TIMEOUT: Duration = Duration::from_secs(30);

/// An id or a kind longer than this is not a real one.
const NAME_LIMIT: usize = 200;

/// What the intake needs.
#[derive(Clone)]
pub struct IntakeState {
    pub store: Store,
    pub github: github::Sender,
    /// Registry senders by their name in the address.
    pub registries: Arc<BTreeMap<String, RegistrySender>>,
    pub debounce: Debounce,
    /// Tells the time.
    pub clock: Arc<dyn Fn() -> Timestamp + Send + Sync>,
}

impl IntakeState {
    pub fn new(store: Store, settings: &Settings, clock: Arc<dyn Fn() -> Timestamp + Send + Sync>) -> Self {
        let GithubSettings { app_id, webhook_secrets, .. } = &settings.github;
        IntakeState {
            store,
            github: github::Sender { secrets: webhook_secrets.clone(), app_id: *app_id },
            registries: Arc::new(settings.registry_senders.clone()),
            debounce: settings.worker.debounce,
            clock,
        }
    }
}

/// The addresses of the intake.
pub fn router(state: IntakeState) -> Router {
    Router::new()
        .route("/webhooks/github", post(github::receive))
        .route("/webhooks/registry/{name}", post(registry::receive))
        .route("/healthz", get(|| async { Json(json!({"status": "ok"})) }))
        .route("/readyz", get(ready))
        .layer(DefaultBodyLimit::max(BODY_LIMIT))
        .with_state(state)
}

async fn ready(State(state): State<IntakeState>) -> Result<Response, Refusal> {
    state.store.ping().await?;
    Ok(Json(json!({"status": "ready"})).into_response())
}

/// Why a request is not taken: a status and a sentence.
#[derive(Debug)]
struct Refusal {
    status: StatusCode,
    error: String,
}

impl Refusal {
    fn new(status: StatusCode, error: impl Into<String>) -> Self {
        Refusal { status, error: error.into() }
    }
}

impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        tracing::warn!(status = self.status.as_u16(), error = self.error, "a request was refused");
        (self.status, Json(json!({"error": self.error}))).into_response()
    }
}

impl From<StoreError> for Refusal {
    fn from(error: StoreError) -> Self {
        // What exactly is wrong with the database is for the log, not for the sender.
        tracing::error!(error = %error, "the store refused");
        Refusal::new(StatusCode::SERVICE_UNAVAILABLE, "the database is not available; send it again later")
    }
}

/// The raw body, of which nothing is believed yet.
async fn body(request: Request) -> Result<Bytes, Refusal> {
    let too_large = || {
        let limit = BODY_LIMIT / 1024 / 1024;
        Refusal::new(StatusCode::PAYLOAD_TOO_LARGE, format!("expected a body of at most {limit} MB"))
    };
    // A body that says that it is too large is not read at all.
    let length = request.headers().get(header::CONTENT_LENGTH).and_then(|l| l.to_str().ok()?.parse::<u64>().ok());
    if length.is_some_and(|length| length > BODY_LIMIT as u64) {
        return Err(too_large());
    }
    match tokio::time::timeout(BODY_TIMEOUT, Bytes::from_request(request, &())).await {
        Ok(Ok(body)) => Ok(body),
        Ok(Err(rejection)) if rejection.status() == StatusCode::PAYLOAD_TOO_LARGE => Err(too_large()),
        Ok(Err(rejection)) => Err(Refusal::new(rejection.status(), rejection.body_text())),
        Err(_) => Err(Refusal::new(
            StatusCode::REQUEST_TIMEOUT,
            format!("expected the whole body within {} s", BODY_TIMEOUT.as_secs()),
        )),
    }
}

impl IntakeState {
    /// Who has to look again because of an event. Images are looked up by their sender.
    async fn jobs(&self, event: &Event) -> Result<Vec<JobRequest>, StoreError> {
        match event {
            Event::Push { repo, .. }
            | Event::Pull { repo, .. }
            | Event::Review { repo, .. }
            | Event::Status { repo, .. } => self.stale(std::slice::from_ref(repo)).await,
            // Somebody waits for an answer.
            Event::Comment(comment) => Ok(vec![JobRequest::urgent(JobKey::Repository(comment.repo.clone()))]),
            Event::Installed { repos } => self.stale(repos).await,
            Event::Image { .. } | Event::Ignored { .. } => Ok(Vec::new()),
        }
    }

    /// Jobs that look at repositories again, gathered as each one's butler.yaml says.
    async fn stale(&self, repos: &[RepoName]) -> Result<Vec<JobRequest>, StoreError> {
        let mut jobs = Vec::with_capacity(repos.len());
        for repo in repos {
            let debounce = self.store.debounce(repo).await?.unwrap_or(self.debounce);
            jobs.push(JobRequest::new(JobKey::Repository(repo.clone()), debounce));
        }
        Ok(jobs)
    }
}
