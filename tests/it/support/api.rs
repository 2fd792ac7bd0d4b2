//! A plain REST client, and a receiver of webhooks.

use axum::{Router, body::Bytes, http::HeaderMap};
use butler::sandbox::github::{Github, Webhook, signature};
use jsonwebtoken::{Algorithm, EncodingKey, Header};
use serde_json::{Value, json};
use std::sync::{Arc, Mutex};

/// Somebody with a token.
pub struct Api {
    client: reqwest::Client,
    base: String,
    token: String,
}

/// An answer: status, headers, and the body (null where there is none).
#[derive(Debug)]
pub struct Answer {
    pub status: u16,
    pub headers: HeaderMap,
    pub body: Value,
}

impl Answer {
    /// GitHub's `message`, or that of its first error.
    pub fn message(&self) -> &str {
        let detail = self.body.pointer("/errors/0/message").and_then(Value::as_str);
        detail.or_else(|| self.body["message"].as_str()).unwrap_or_default()
    }
}

impl Api {
    pub fn new(github: &Github, token: &str) -> Self {
        let client = reqwest::Client::builder().no_proxy().build().unwrap();
        Api { client, base: github.url().to_owned(), token: token.to_owned() }
    }

    /// The App itself.
    pub fn app(github: &Github) -> Self {
        let now = github.now().as_second();
        let claims = json!({"iss": github.app_id().to_string(), "iat": now - 60, "exp": now + 540});
        let key = EncodingKey::from_rsa_pem(github.private_key().as_bytes()).unwrap();
        Api::new(github, &jsonwebtoken::encode(&Header::new(Algorithm::RS256), &claims, &key).unwrap())
    }

    /// The App's installation that covers a repository, with everything it may do.
    pub async fn installation(github: &Github, repo: &str) -> Self {
        Api::new(github, &Api::mint(github, repo, json!({})).await)
    }

    /// An installation token, narrowed as the body says.
    pub async fn mint(github: &Github, repo: &str, narrowed: Value) -> String {
        let app = Api::app(github);
        let found = app.get(&format!("/repos/{repo}/installation")).await;
        let id = found.body["id"].as_u64().unwrap();
        let minted = app.post(&format!("/app/installations/{id}/access_tokens"), narrowed).await;
        assert_eq!(minted.status, 201, "{}", minted.body);
        minted.body["token"].as_str().unwrap().to_owned()
    }

    pub async fn try_send(&self, method: &str, path: &str, body: Value) -> Result<Answer, reqwest::Error> {
        let method = method.parse::<reqwest::Method>().unwrap();
        let mut request = self.client.request(method, format!("{}{path}", self.base)).bearer_auth(&self.token);
        if !body.is_null() {
            request = request.json(&body);
        }
        let response = request.send().await?;
        let (status, headers) = (response.status().as_u16(), response.headers().clone());
        let body = serde_json::from_str(&response.text().await?).unwrap_or_default();
        Ok(Answer { status, headers, body })
    }

    pub async fn send(&self, method: &str, path: &str, body: Value) -> Answer {
        self.try_send(method, path, body).await.unwrap()
    }

    pub async fn get(&self, path: &str) -> Answer {
        self.send("GET", path, Value::Null).await
    }

    pub async fn post(&self, path: &str, body: Value) -> Answer {
        self.send("POST", path, body).await
    }

    pub async fn patch(&self, path: &str, body: Value) -> Answer {
        self.send("PATCH", path, body).await
    }

    pub async fn put(&self, path: &str, body: Value) -> Answer {
        self.send("PUT", path, body).await
    }

    pub async fn delete(&self, path: &str) -> Answer {
        self.send("DELETE", path, Value::Null).await
    }
}

/// What a webhook received: event with action, GUID, payload.
#[derive(Clone, Debug)]
pub struct Received {
    pub event: String,
    pub guid: String,
    pub payload: Value,
}

/// Takes deliveries; those without a right signature panic.
#[derive(Clone, Default)]
pub struct Receiver(Arc<Mutex<Vec<Received>>>);

impl Receiver {
    const SECRET: &str = "the webhook's secret";

    /// Listens, and becomes the App's webhook.
    pub async fn of(github: &Github) -> Self {
        let receiver = Receiver::default();
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}/webhooks/github", listener.local_addr().unwrap());
        let taken = receiver.clone();
        let take = move |headers: HeaderMap, body: Bytes| {
            let taken = taken.clone();
            async move {
                let header = |name: &str| headers[name].to_str().unwrap().to_owned();
                assert_eq!(header("x-hub-signature-256"), signature(Receiver::SECRET, &body));
                assert!(header("user-agent").starts_with("GitHub-Hookshot/"));
                let payload: Value = serde_json::from_slice(&body).unwrap();
                let action = payload["action"].as_str().map(|action| format!(".{action}")).unwrap_or_default();
                let event = format!("{}{action}", header("x-github-event"));
                taken.0.lock().unwrap().push(Received { event, guid: header("x-github-delivery"), payload });
                axum::http::StatusCode::ACCEPTED
            }
        };
        tokio::spawn(async move { axum::serve(listener, Router::new().fallback(take)).await });
        github.set_webhook(Some(Webhook { url, secret: Receiver::SECRET.into() }));
        receiver
    }

    /// What came since the last look, once every delivery was answered.
    pub async fn take(&self, github: &Github) -> Vec<Received> {
        github.idle().await;
        std::mem::take(&mut *self.0.lock().unwrap())
    }

    /// The names of the events that came since the last look.
    pub async fn events(&self, github: &Github) -> Vec<String> {
        self.take(github).await.into_iter().map(|received| received.event).collect()
    }
}
