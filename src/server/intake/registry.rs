//! Registries' notifications, as CNCF distribution (docker-registry, and Harbor or GitLab built on it) sends them:
//! <https://distribution.github.io/distribution/about/notifications/>. The registry's configuration gives the endpoint a
//! header with the sender's token:
//!
//! ```yaml
//! notifications:
//!   endpoints:
//!     - name: butler
//!       url: https://butler.example.com/webhooks/registry/main
//!       headers: {Authorization: ["Bearer …"]}
//! ```

use super::{IntakeState, NAME_LIMIT, Refusal, body};
use crate::{
    adapters::store::{Delivery, Recorded},
    engine::{event::Event, image::Repository},
};
use axum::{
    Json,
    extract::{Path, Request, State},
    http::{StatusCode, header},
    response::{IntoResponse, Response},
};
use secrecy::{ExposeSecret, SecretString};
use serde::Deserialize;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;

/// An envelope's events one by one, so that one that cannot be read does not hide the others.
#[derive(Deserialize)]
struct Envelope {
    events: Vec<Value>,
}

#[derive(Deserialize)]
struct Notification {
    id: String,
    action: String,
    target: Target,
}

#[derive(Deserialize)]
struct Target {
    repository: String,
    /// Absent where a manifest was pushed by its digest alone, and for blobs.
    tag: Option<String>,
}

pub(super) async fn receive(
    State(state): State<IntakeState>,
    Path(name): Path<String>,
    request: Request,
) -> Result<Response, Refusal> {
    let Some(sender) = state.registries.get(&name) else {
        let known: Vec<_> = state.registries.keys().map(String::as_str).collect();
        tracing::warn!(name, ?known, "a notification for a registry sender that the settings do not have");
        return Err(Refusal::new(StatusCode::NOT_FOUND, "registry-senders in butler's settings has no such name"));
    };
    let given = request.headers().get(header::AUTHORIZATION).map_or(&b""[..], |v| v.as_bytes());
    if !authentic(&sender.token, given) {
        let why = "expected the header Authorization with the sender's token: set it under notifications.endpoints.headers \
                   of the registry, as \"Bearer …\"";
        return Err(Refusal::new(StatusCode::UNAUTHORIZED, why));
    }
    let body = body::read(request, &state.room).await?;
    let envelope: Envelope = serde_json::from_slice(&body).map_err(|error| {
        Refusal::new(StatusCode::BAD_REQUEST, format!("expected distribution's JSON, {{\"events\": […]}}: {error}"))
    })?;

    let mut deliveries = Vec::new();
    for notification in &envelope.events {
        let Some((id, tag, path)) = pushed_tag(notification) else { continue };
        let (event, jobs) = match Repository::parse(&format!("{}/{path}", sender.host)) {
            Ok(repository) => {
                let jobs = state.stale(&state.store.repos_following(&repository).await?).await?;
                match jobs.is_empty() {
                    true => (Event::Ignored { why: format!("no config repository follows {repository}") }, jobs),
                    false => (Event::Image { repository, tag: Some(tag) }, jobs),
                }
            }
            Err(error) => (Event::Ignored { why: error.to_string() }, Vec::new()),
        };
        let delivery = Delivery {
            sender: format!("registry/{name}"),
            id,
            event_kind: "push".into(),
            event,
            received_at: (state.clock)(),
        };
        deliveries.push((delivery, jobs));
    }
    let skipped = envelope.events.len() - deliveries.len();
    let recorded = match deliveries.is_empty() {
        true => Vec::new(),
        false => state.store.record_all(&deliveries).await?,
    };
    let duplicates = recorded.iter().filter(|r| **r == Recorded::Duplicate).count();
    let new = recorded.len() - duplicates;
    tracing::info!(sender = %format!("registry/{name}"), new, duplicates, skipped, "notifications came in");
    Ok((StatusCode::ACCEPTED, Json(json!({"recorded": new, "duplicates": duplicates, "ignored": skipped})))
        .into_response())
}

/// Compares in constant time, and of any two lengths: the hashes are compared.
fn authentic(token: &SecretString, given: &[u8]) -> bool {
    let token = Sha256::digest(token.expose_secret().as_bytes());
    let bearer = given.get(..7).filter(|scheme| scheme.eq_ignore_ascii_case(b"bearer ")).map(|_| &given[7..]);
    let same = |given: &[u8]| bool::from(Sha256::digest(given).ct_eq(&token));
    same(given) | bearer.is_some_and(same)
}

/// The id, tag and repository of an event that says that a tag was pushed. All else is not even recorded: a registry
/// tells of every pull too, butler's own among them.
fn pushed_tag(notification: &Value) -> Option<(String, String, String)> {
    let n = Notification::deserialize(notification).ok()?;
    let tag = n.target.tag.filter(|tag| !tag.is_empty())?;
    (n.action == "push" && !n.id.is_empty() && n.id.len() <= NAME_LIMIT).then_some((n.id, tag, n.target.repository))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tokens() {
        let token = SecretString::from("s3cret");
        for (given, expected) in [
            ("Bearer s3cret", true),
            ("bearer s3cret", true),
            ("s3cret", true),
            ("Bearer s3cre", false),
            ("Bearer s3cret ", false),
            ("Bearer ", false),
            ("Basic s3cret", false),
            ("", false),
        ] {
            assert_eq!(authentic(&token, given.as_bytes()), expected, "{given:?}");
        }
        // A token may be what an administrator wrote as the whole header.
        assert!(authentic(&SecretString::from("Basic abc"), b"Basic abc"));
    }

    #[test]
    fn only_pushed_tags_count() {
        let event = |action: &str, target: Value| json!({"id": "e1", "action": action, "target": target});
        for (notification, expected) in [
            (event("push", json!({"repository": "app", "tag": "1.0", "digest": "sha256:…"})), true),
            (event("push", json!({"repository": "app", "digest": "sha256:…"})), false),
            (event("push", json!({"repository": "app", "tag": ""})), false),
            (event("pull", json!({"repository": "app", "tag": "1.0"})), false),
            (event("mount", json!({"repository": "app", "fromRepository": "base"})), false),
            (event("delete", json!({"repository": "app", "digest": "sha256:…"})), false),
            (json!({"action": "push", "target": {"repository": "app", "tag": "1.0"}}), false),
            (json!("nonsense"), false),
        ] {
            assert_eq!(pushed_tag(&notification).is_some(), expected, "{notification}");
        }
    }
}
