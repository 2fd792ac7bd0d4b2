//! Webhooks: authenticate the raw body, turn it into one typed [`Event`], record it with the jobs it causes, answer 202.
//! Nothing else happens here; the worker finds out what to do. Every answer is JSON; a refusal is `{"error": "…"}`.
//!
//! One file a sender: [`github`], [`registry`].

mod body;
pub mod github;
pub mod registry;

pub use body::{BODY_LIMIT, Room};

use crate::{
    adapters::store::{Debounce, JobKey, JobRequest, Store, StoreError},
    engine::event::{Event, RepoName},
    server::settings::{GithubSettings, RegistrySender, Settings},
};
use axum::{
    Json, Router,
    extract::{Request, State},
    http::{HeaderValue, StatusCode, header},
    middleware::{self, Next},
    response::{IntoResponse, Response},
    routing::{get, post},
};
use jiff::Timestamp;
use serde_json::json;
use std::{collections::BTreeMap, sync::Arc, time::Duration};

/// Whoever asked is not there any more by then, whatever the answer would be.
const TIMEOUT: Duration = Duration::from_secs(30);

/// For a refusal that is not the sender's fault; in seconds.
const RETRY_AFTER: HeaderValue = HeaderValue::from_static("10");

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
    /// What the bodies of all requests may take.
    pub room: Room,
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
            room: Room::default(),
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
        .layer(middleware::from_fn(in_time))
        .with_state(state)
}

async fn in_time(request: Request, next: Next) -> Response {
    tokio::time::timeout(TIMEOUT, next.run(request)).await.unwrap_or_else(|_| {
        let why = format!("no answer was found within {} s; send it again later", TIMEOUT.as_secs());
        Refusal::new(StatusCode::SERVICE_UNAVAILABLE, why).into_response()
    })
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
        let mut response = (self.status, Json(json!({"error": self.error}))).into_response();
        if self.status == StatusCode::SERVICE_UNAVAILABLE {
            response.headers_mut().insert(header::RETRY_AFTER, RETRY_AFTER);
        }
        response
    }
}

impl From<StoreError> for Refusal {
    fn from(error: StoreError) -> Self {
        // What exactly is wrong with the database is for the log, not for the sender.
        tracing::error!(error = %error, "the store refused");
        Refusal::new(StatusCode::SERVICE_UNAVAILABLE, "the database is not available; send it again later")
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
