//! A listener that hears what a sender of webhooks really sends.

use axum::{
    Router,
    extract::{Request, State},
    http::{HeaderMap, StatusCode},
};
use serde_json::Value;
use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};
use tokio::sync::mpsc;

/// One webhook, as it came in.
pub struct Heard {
    pub headers: HeaderMap,
    pub body: Value,
}

impl Heard {
    pub fn header(&self, name: &str) -> &str {
        self.headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default()
    }
}

/// Listens on a spare port of 127.0.0.1.
pub struct Ear {
    pub url: String,
    heard: mpsc::UnboundedReceiver<Heard>,
    deaf: Arc<AtomicUsize>,
}

impl Ear {
    pub async fn open() -> Self {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}/hook", listener.local_addr().unwrap());
        let (sender, heard) = mpsc::unbounded_channel();
        let deaf = Arc::new(AtomicUsize::new(0));
        let router = Router::new().fallback(hear).with_state((sender, deaf.clone()));
        tokio::spawn(async move { axum::serve(listener, router).await });
        Ear { url, heard, deaf }
    }

    /// Answers the next `count` webhooks with 503.
    pub fn refuse_next(&self, count: usize) {
        self.deaf.store(count, Ordering::SeqCst);
    }

    /// The next webhook that was taken.
    pub async fn next(&mut self) -> Heard {
        let next = tokio::time::timeout(Duration::from_secs(60), self.heard.recv()).await;
        next.expect("a webhook within a minute").expect("the listener lives")
    }

    /// What was taken so far and not read.
    pub fn pending(&mut self) -> Vec<Heard> {
        std::iter::from_fn(|| self.heard.try_recv().ok()).collect()
    }
}

async fn hear(
    State((sender, deaf)): State<(mpsc::UnboundedSender<Heard>, Arc<AtomicUsize>)>,
    request: Request,
) -> StatusCode {
    if deaf.try_update(Ordering::SeqCst, Ordering::SeqCst, |left| left.checked_sub(1)).is_ok() {
        return StatusCode::SERVICE_UNAVAILABLE;
    }
    let headers = request.headers().clone();
    let body = axum::body::to_bytes(request.into_body(), 16 << 20).await.unwrap();
    sender.send(Heard { headers, body: serde_json::from_slice(&body).unwrap() }).unwrap();
    StatusCode::ACCEPTED
}
