//! Notifications, as the distribution registry sends them
//! (<https://distribution.github.io/distribution/about/notifications/>): queued, in order, repeated until taken.

use jiff::Timestamp;
use reqwest::{
    Client,
    header::{AUTHORIZATION, CONTENT_TYPE},
};
use serde_json::{Value, json};
use std::{
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};
use tokio::sync::{mpsc, watch};

const EVENTS_TYPE: &str = "application/vnd.docker.distribution.events.v1+json";
/// The wait before a notification that was not taken is sent again.
const AGAIN: Duration = Duration::from_millis(100);
const TIMEOUT: Duration = Duration::from_secs(10);

/// Where notifications go.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Notify {
    /// `http://127.0.0.1:8080/webhooks/registry/sandbox`
    pub url: String,
    /// Sent as `Authorization: Bearer <token>`.
    pub token: String,
}

/// What was done, to be told.
pub(super) struct Told<'a> {
    pub action: &'static str,
    pub media_type: &'a str,
    pub size: usize,
    pub digest: &'a str,
    pub repository: &'a str,
    /// Only with manifests that were named by one.
    pub tag: Option<&'a str>,
    /// `manifests` or `blobs`
    pub kind: &'static str,
    pub method: &'a str,
    pub agent: &'a str,
    /// The client's address.
    pub from: &'a str,
}

/// Sends notifications in the background; dropped with the registry.
pub(super) struct Notifier {
    queue: mpsc::UnboundedSender<String>,
    /// How many are not taken yet.
    waiting: watch::Sender<usize>,
    target: Arc<Mutex<Option<Notify>>>,
    /// `127.0.0.1:5000`
    host: String,
    instance: String,
}

impl Notifier {
    /// Must be called within a Tokio runtime.
    pub fn start(host: &str, target: Option<Notify>) -> Self {
        let (queue, events) = mpsc::unbounded_channel();
        let waiting = watch::Sender::new(0);
        let target = Arc::new(Mutex::new(target));
        tokio::spawn(deliver(events, waiting.clone(), target.clone()));
        Notifier { queue, waiting, target, host: host.into(), instance: uuid::Uuid::new_v4().to_string() }
    }

    pub fn set_target(&self, target: Option<Notify>) {
        *self.target.lock().unwrap_or_else(PoisonError::into_inner) = target;
    }

    /// Queues a notification, where there is somebody to tell.
    pub fn tell(&self, told: Told<'_>) {
        if self.target.lock().unwrap_or_else(PoisonError::into_inner).is_none() {
            return;
        }
        self.waiting.send_modify(|waiting| *waiting += 1);
        let envelope = json!({ "events": [self.event(told)] }).to_string();
        // The receiver lives as long as the queue, whose last sender this is.
        if self.queue.send(envelope).is_err() {
            self.waiting.send_modify(|waiting| *waiting -= 1);
        }
    }

    /// Returns when every notification was taken.
    pub async fn idle(&self) {
        // An error means that the sender is gone, and that is `self`.
        let _ = self.waiting.subscribe().wait_for(|waiting| *waiting == 0).await;
    }

    fn event(&self, told: Told<'_>) -> Value {
        let Told { repository, digest, kind, .. } = told;
        let mut target = json!({
            "mediaType": told.media_type,
            "size": told.size,
            "digest": digest,
            "length": told.size,
            "repository": repository,
            "url": format!("http://{}/v2/{repository}/{kind}/{digest}", self.host),
        });
        if let Some(tag) = told.tag {
            target["tag"] = tag.into();
        }
        json!({
            "id": uuid::Uuid::new_v4().to_string(),
            "timestamp": Timestamp::now(),
            "action": told.action,
            "target": target,
            "request": {
                "id": uuid::Uuid::new_v4().to_string(),
                "addr": told.from,
                "host": self.host,
                "method": told.method,
                "useragent": told.agent,
            },
            "actor": {},
            "source": {"addr": self.host, "instanceID": self.instance},
        })
    }
}

/// Ends when the queue's sender is dropped.
async fn deliver(
    mut events: mpsc::UnboundedReceiver<String>,
    waiting: watch::Sender<usize>,
    target: Arc<Mutex<Option<Notify>>>,
) {
    let client = Client::new();
    while let Some(envelope) = events.recv().await {
        loop {
            let target = target.lock().unwrap_or_else(PoisonError::into_inner).clone();
            // Nobody is to be told any more.
            let Some(target) = target else { break };
            let request = client.post(&target.url).timeout(TIMEOUT).header(CONTENT_TYPE, EVENTS_TYPE);
            let request = request.header(AUTHORIZATION, format!("Bearer {}", target.token)).body(envelope.clone());
            if request.send().await.is_ok_and(|answer| answer.status().is_success()) || events.is_closed() {
                break;
            }
            tokio::time::sleep(AGAIN).await;
        }
        waiting.send_modify(|waiting| *waiting -= 1);
    }
}
