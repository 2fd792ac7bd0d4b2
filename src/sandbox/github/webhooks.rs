//! Deliveries to the App's webhook: signed as GitHub signs, one after the other, each kept with its answer.
//!
//! As at GitHub, a delivery that fails is not tried again until somebody asks for it, and a redelivery keeps the GUID
//! (<https://docs.github.com/en/webhooks/using-webhooks/handling-failed-webhook-deliveries>).

use crate::engine::mac::hmac_sha256;
use jiff::Timestamp;
use serde_json::Value;
use std::{
    sync::{Mutex, MutexGuard, PoisonError},
    time::Duration,
};
use tokio::sync::watch;

/// GitHub closes the connection after so long.
const TIMEOUT: Duration = Duration::from_secs(10);

/// Where deliveries go.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Webhook {
    pub url: String,
    pub secret: String,
}

/// One attempt to deliver an event.
#[derive(Clone, Debug)]
pub struct Delivery {
    /// Of this attempt.
    pub id: u64,
    /// Of the event: a redelivery keeps it.
    pub guid: String,
    pub event: String,
    pub action: Option<String>,
    pub payload: Value,
    pub redelivery: bool,
    pub delivered_at: Timestamp,
    /// How it went; `None` while it waits.
    pub outcome: Option<Outcome>,
}

/// How a delivery went.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// The receiver answered with this status.
    Answered(u16),
    /// No answer: refused, reset or too late.
    Failed(String),
    /// Lost on purpose: never sent, and nothing tells the receiver so.
    Lost,
}

impl Delivery {
    /// Whether the receiver took it.
    pub fn accepted(&self) -> bool {
        matches!(self.outcome, Some(Outcome::Answered(200..=299)))
    }
}

#[derive(Debug, Default)]
struct Queue {
    webhook: Option<Webhook>,
    log: Vec<Delivery>,
    /// Ids of deliveries that wait, in order.
    waiting: std::collections::VecDeque<u64>,
    in_flight: bool,
    held: bool,
    lose: u32,
    last_id: u64,
}

/// The deliveries of the App's webhook.
#[derive(Debug)]
pub struct Hooks {
    queue: Mutex<Queue>,
    /// Counts changes, so that waiting for one loses none.
    changed: watch::Sender<u64>,
}

impl Default for Hooks {
    fn default() -> Self {
        Hooks { queue: Mutex::default(), changed: watch::Sender::new(0) }
    }
}

impl Hooks {
    fn lock(&self) -> MutexGuard<'_, Queue> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn change<T>(&self, change: impl FnOnce(&mut Queue) -> T) -> T {
        let result = change(&mut self.lock());
        self.changed.send_modify(|count| *count += 1);
        result
    }

    pub fn set(&self, webhook: Option<Webhook>) {
        self.change(|queue| queue.webhook = webhook);
    }

    /// Keeps deliveries back until they are released.
    pub fn hold(&self, held: bool) {
        self.change(|queue| queue.held = held);
    }

    /// Never sends the next `count` deliveries.
    pub fn lose(&self, count: u32) {
        self.change(|queue| queue.lose += count);
    }

    /// Every attempt so far, oldest first.
    pub fn log(&self) -> Vec<Delivery> {
        self.lock().log.clone()
    }

    /// Queues an event. Without a webhook there is nothing to deliver, and nothing is kept.
    pub fn emit(&self, event: &str, action: Option<&str>, payload: Value, now: Timestamp) {
        self.change(|queue| {
            if queue.webhook.is_none() {
                return;
            }
            let delivery = Delivery {
                id: 0,
                guid: uuid::Uuid::new_v4().to_string(),
                event: event.to_owned(),
                action: action.map(str::to_owned),
                payload,
                redelivery: false,
                delivered_at: now,
                outcome: None,
            };
            queue.push(delivery);
        });
    }

    /// Delivers an attempt's event again; `None` where there is no such attempt.
    pub fn redeliver(&self, id: u64, now: Timestamp) -> Option<u64> {
        self.change(|queue| {
            let old = queue.log.iter().find(|delivery| delivery.id == id)?;
            let again = Delivery { redelivery: true, delivered_at: now, outcome: None, ..old.clone() };
            Some(queue.push(again))
        })
    }

    /// Waits until every delivery was answered, failed or was lost. While deliveries are held this waits for their release.
    pub async fn idle(&self) {
        let mut changes = self.changed.subscribe();
        loop {
            changes.borrow_and_update();
            {
                let queue = self.lock();
                if queue.waiting.is_empty() && !queue.in_flight {
                    return;
                }
            }
            if changes.changed().await.is_err() {
                return;
            }
        }
    }

    /// The next delivery to send.
    fn take(&self) -> Option<(Webhook, Delivery)> {
        let mut queue = self.lock();
        if queue.held {
            return None;
        }
        let webhook = queue.webhook.clone()?;
        let id = queue.waiting.pop_front()?;
        let delivery = queue.log.iter().find(|delivery| delivery.id == id)?.clone();
        queue.in_flight = true;
        Some((webhook, delivery))
    }

    /// Delivers until the task is aborted.
    pub async fn run(&self) {
        // Loopback only; a proxy of the environment must not come between.
        let client = reqwest::Client::builder().no_proxy().timeout(TIMEOUT).build().unwrap_or_default();
        let mut changes = self.changed.subscribe();
        loop {
            changes.borrow_and_update();
            while let Some((webhook, delivery)) = self.take() {
                let outcome = send(&client, &webhook, &delivery).await;
                self.change(|queue| {
                    queue.in_flight = false;
                    if let Some(entry) = queue.log.iter_mut().find(|entry| entry.id == delivery.id) {
                        entry.outcome = Some(outcome);
                    }
                });
            }
            if changes.changed().await.is_err() {
                return;
            }
        }
    }
}

impl Queue {
    fn push(&mut self, mut delivery: Delivery) -> u64 {
        self.last_id += 1;
        delivery.id = self.last_id;
        if self.lose > 0 {
            self.lose -= 1;
            delivery.outcome = Some(Outcome::Lost);
        } else {
            self.waiting.push_back(delivery.id);
        }
        self.log.push(delivery);
        self.last_id
    }
}

/// `X-Hub-Signature-256` of a body
/// (<https://docs.github.com/en/webhooks/using-webhooks/validating-webhook-deliveries>).
pub fn signature(secret: &str, body: &[u8]) -> String {
    format!("sha256={}", hex::encode(hmac_sha256(secret.as_bytes(), &[body])))
}

async fn send(client: &reqwest::Client, webhook: &Webhook, delivery: &Delivery) -> Outcome {
    let body = delivery.payload.to_string();
    let request = client
        .post(&webhook.url)
        .header("Content-Type", "application/json")
        .header("User-Agent", "GitHub-Hookshot/0a1b2c3")
        .header("X-GitHub-Event", &delivery.event)
        .header("X-GitHub-Delivery", &delivery.guid)
        .header("X-GitHub-Hook-ID", "1")
        .header("X-GitHub-Hook-Installation-Target-Type", "integration")
        .header("X-Hub-Signature-256", signature(&webhook.secret, body.as_bytes()))
        .body(body);
    match request.send().await {
        Ok(response) => Outcome::Answered(response.status().as_u16()),
        Err(error) => Outcome::Failed(error.to_string()),
    }
}

#[cfg(test)]
mod tests {
    use super::signature;

    /// The example of GitHub's page on validating deliveries.
    #[test]
    fn signature_is_github_s() {
        assert_eq!(
            signature("It's a Secret to Everybody", b"Hello, World!"),
            "sha256=757107ea0eb2509fc211221cce984b8a37570b6d7586c22c46f4379c8b043e17"
        );
    }
}
