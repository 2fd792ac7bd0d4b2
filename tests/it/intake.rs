//! The intake over a real socket, with a real database behind it: what is refused, what is recorded, what it causes.

use axum::http::{HeaderValue, StatusCode, header};
use butler::{
    adapters::store::{Debounce, Pending, Store},
    engine::{event::Event, image::Repository},
    server::{
        http,
        intake::{IntakeState, Room, github, router},
        settings::{RegistrySender, SenderKind},
    },
};
use jiff::Timestamp;
use reqwest::RequestBuilder;
use secrecy::SecretString;
use serde_json::{Value, json};
use std::{collections::BTreeSet, net::SocketAddr, sync::Arc, time::Duration};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    sync::watch,
    time::timeout,
};

const NOW: i64 = 1_800_000_000;
/// Longer than anything here takes that works.
const PATIENCE: Duration = Duration::from_secs(8);
/// Where megabytes are hashed by an unoptimised build on a busy machine.
const LONG_PATIENCE: Duration = Duration::from_secs(60);
const ROUTES: [&str; 2] = ["/webhooks/github", "/webhooks/registry/main"];

/// A server on a port of its own.
struct Intake {
    store: Store,
    address: SocketAddr,
    _stop: watch::Sender<bool>,
    _folder: tempfile::TempDir,
}

impl Intake {
    async fn start() -> Self {
        Self::start_with(http::Limits::default()).await
    }

    async fn start_with(limits: http::Limits) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::open(folder.path().join("butler.db").to_str().unwrap()).await.unwrap();
        let sender = RegistrySender {
            kind: SenderKind::Distribution,
            host: "registry.example.com".into(),
            token: "registry token".into(),
        };
        let state = IntakeState {
            store: store.clone(),
            github: github::Sender { secrets: vec!["first".into(), "second".into()], app_id: 1 },
            registries: Arc::new([("main".to_owned(), sender)].into()),
            debounce: Debounce { quiet: Duration::from_secs(2), at_most: Duration::from_secs(30) },
            clock: Arc::new(|| Timestamp::from_second(NOW).unwrap()),
            room: Room::default(),
        };
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let (stop, stopping) = watch::channel(false);
        tokio::spawn(http::serve(listener, router(state), limits, stopping));
        Intake { store, address, _stop: stop, _folder: folder }
    }

    fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }

    /// A delivery as GitHub sends it, signed with this secret.
    fn github(&self, secret: &str, id: &str, kind: &str, body: impl Into<Vec<u8>>) -> RequestBuilder {
        let body = body.into();
        reqwest::Client::new()
            .post(self.url("/webhooks/github"))
            .header("content-type", "application/json")
            .header("x-github-delivery", id)
            .header("x-github-event", kind)
            .header("x-hub-signature-256", github::sign(&SecretString::from(secret), &body))
            .body(body)
    }

    fn registry(&self, authorization: &str, body: impl Into<String>) -> RequestBuilder {
        reqwest::Client::new()
            .post(self.url("/webhooks/registry/main"))
            .header("content-type", "application/vnd.docker.distribution.events.v2+json")
            .header("authorization", authorization)
            .body(body.into())
    }

    /// A connection on which this was sent.
    async fn connect(&self, sent: &str) -> TcpStream {
        let mut stream = TcpStream::connect(self.address).await.unwrap();
        stream.write_all(sent.as_bytes()).await.unwrap();
        stream
    }

    async fn recorded(&self) -> Vec<Event> {
        self.store.deliveries(100).await.unwrap().into_iter().map(|d| d.event).collect()
    }

    async fn pending(&self) -> Pending {
        self.store.pending(Timestamp::from_second(NOW).unwrap()).await.unwrap()
    }
}

/// The head of a request that only its body can show to be a fraud, but for the line about its length.
fn head(path: &str) -> String {
    let signature = "0".repeat(64);
    format!(
        "POST {path} HTTP/1.1\r\nhost: butler\r\nx-hub-signature-256: sha256={signature}\r\nx-github-event: push\r\n\
         x-github-delivery: d\r\nauthorization: Bearer registry token\r\n"
    )
}

/// What comes back first.
async fn heard(stream: &mut TcpStream) -> String {
    let mut answer = vec![0; 4096];
    let n = timeout(PATIENCE, stream.read(&mut answer)).await.expect("an answer").unwrap();
    String::from_utf8_lossy(&answer[..n]).into_owned()
}

async fn answer(request: RequestBuilder) -> (StatusCode, Value) {
    let response = request.send().await.unwrap();
    let status = response.status();
    (status, response.json().await.unwrap())
}

fn push() -> String {
    let (old, new) = ("a".repeat(40), "b".repeat(40));
    json!({"ref": "refs/heads/main", "before": old, "after": new, "repository": {"full_name": "acme/config"}})
        .to_string()
}

fn comment(body: &str) -> String {
    json!({
        "action": "created", "repository": {"full_name": "acme/config"}, "issue": {"number": 7, "pull_request": {}},
        "comment": {"id": 42, "user": {"login": "alice", "type": "User"}, "body": body, "created_at": "2026-11-02T03:04:05Z"},
    })
    .to_string()
}

fn pushed(id: &str, repository: &str, tag: &str) -> Value {
    json!({
        "id": id, "timestamp": "2026-11-02T03:04:05.678Z", "action": "push",
        "target": {
            "mediaType": "application/vnd.oci.image.manifest.v1+json", "size": 708, "digest": format!("sha256:{}", "c".repeat(64)),
            "length": 708, "repository": repository, "url": format!("http://10.0.0.7:5000/v2/{repository}/manifests/x"), "tag": tag,
        },
        // What the registry calls itself here is not believed.
        "request": {"id": "r", "addr": "10.0.0.9:4711", "host": "10.0.0.7:5000", "method": "PUT", "useragent": "docker/27"},
        "actor": {}, "source": {"addr": "registry:5000", "instanceID": "i"},
    })
}

#[tokio::test]
async fn what_is_not_authentic_is_refused_and_nothing_is_stored() {
    let t = Intake::start().await;
    let unsigned = reqwest::Client::new()
        .post(t.url("/webhooks/github"))
        .header("x-github-delivery", "d")
        .header("x-github-event", "push")
        .body(push());
    let tampered = t.github("first", "d", "push", push()).body(push().replace("acme", "evil"));
    let no_token = reqwest::Client::new().post(t.url("/webhooks/registry/main")).body("{\"events\": []}");
    for (request, status, says) in [
        (unsigned, 401, "expected the header X-Hub-Signature-256"),
        (t.github("wrong", "d", "push", push()), 401, "not the body's under any configured webhook secret"),
        (tampered, 401, "not the body's under any configured webhook secret"),
        (t.github("", "d", "push", push()), 401, "not the body's under any configured webhook secret"),
        // Not even told that it is no JSON.
        (t.github("wrong", "d", "push", "<html>"), 401, "not the body's under any configured webhook secret"),
        (no_token, 401, "expected the header Authorization with the sender's token"),
        (t.registry("Bearer wrong", "<html>"), 401, "expected the header Authorization with the sender's token"),
    ] {
        let (got, body) = answer(request).await;
        assert_eq!(got.as_u16(), status, "{body}");
        assert!(body["error"].as_str().unwrap().contains(says), "{body}");
    }
    assert_eq!((t.recorded().await, t.pending().await), (vec![], Pending::default()));
}

#[tokio::test]
async fn what_cannot_be_read_is_refused_and_nothing_is_stored() {
    let t = Intake::start().await;
    let signed = |body: &'static str| t.github("first", "d", "push", body);
    let form_type = HeaderValue::from_static("application/x-www-form-urlencoded");
    let form = signed("payload=%7B%7D").headers([(header::CONTENT_TYPE, form_type)].into_iter().collect());
    let bare = |name: &str| {
        let request = signed("{}").build().unwrap();
        let mut headers = request.headers().clone();
        headers.remove(name);
        reqwest::Client::new().post(t.url("/webhooks/github")).headers(headers).body("{}")
    };
    let elsewhere = reqwest::Client::new().post(t.url("/webhooks/registry/unheard-of")).body("{}");
    for (request, status, says) in [
        (signed("{\"ref\": "), 400, "expected the body to be JSON: EOF"),
        (form, 400, "set the webhook's content type to application/json"),
        (bare("x-github-delivery"), 400, "expected the header x-github-delivery"),
        (bare("x-github-event"), 400, "expected the header x-github-event"),
        (t.registry("Bearer registry token", "[]"), 400, "expected distribution's JSON"),
        (t.registry("Bearer registry token", "events"), 400, "expected distribution's JSON"),
        (elsewhere, 404, "has no such name"),
    ] {
        let (got, body) = answer(request).await;
        assert_eq!(got.as_u16(), status, "{body}");
        assert!(body["error"].as_str().unwrap().contains(says), "{body}");
    }
    assert_eq!((t.recorded().await, t.pending().await), (vec![], Pending::default()));
}

/// The limit holds before the body is there: told by its length, or counted while it comes.
#[tokio::test]
async fn a_body_above_the_limit_is_cut_off() {
    let t = Intake::start().await;
    for path in ROUTES {
        let head = head(path);
        let told = t.connect(&format!("{head}content-length: {}\r\n\r\n", 25 * 1024 * 1024 + 1)).await;
        let mut counted = t.connect(&format!("{head}transfer-encoding: chunked\r\n\r\n")).await;
        let mut chunk = b"100000\r\n".to_vec();
        chunk.resize(chunk.len() + 0x10_0000, b' ');
        chunk.extend_from_slice(b"\r\n");
        for _ in 0..25 {
            counted.write_all(&chunk).await.unwrap();
        }
        counted.write_all(b"1\r\n \r\n").await.unwrap();

        for mut stream in [told, counted] {
            let answer = heard(&mut stream).await;
            assert!(answer.starts_with("HTTP/1.1 413"), "{answer}");
            assert!(answer.contains("{\"error\":\"expected a body of at most 25 MB\"}"), "{answer}");
        }
    }
    assert_eq!(t.recorded().await, []);
}

/// Bodies are kept before anybody knows whose they are. Those that never end take no more than they may, and give it back.
#[tokio::test]
async fn bodies_of_strangers_take_a_limited_room() {
    let t = Intake::start().await;
    let head = format!("{}content-length: {}\r\n\r\n", head("/webhooks/github"), 25 * 1024 * 1024);
    let mut open = Vec::new();
    for _ in 0..2 {
        let mut stream = t.connect(&head).await;
        stream.write_all(&vec![b' '; 24 * 1024 * 1024]).await.unwrap();
        open.push(stream);
    }
    let third = || t.github("wrong", "d", "push", vec![b' '; 18 * 1024 * 1024]);
    let refused = async {
        loop {
            // Until all of the two has arrived, a third may fit.
            let response = third().send().await.unwrap();
            if response.status() == StatusCode::SERVICE_UNAVAILABLE {
                break response;
            }
        }
    };
    let refused = timeout(LONG_PATIENCE, refused).await.expect("24, 24 and 18 MB do not fit");
    assert_eq!(refused.headers()[header::RETRY_AFTER], "10");
    let why = "the bodies of other requests take all of 64 MB at the moment; send it again later";
    assert_eq!(refused.json::<Value>().await.unwrap(), json!({"error": why}));
    assert_eq!(answer(t.github("first", "d1", "push", push())).await.0, StatusCode::ACCEPTED, "a usual one fits");

    drop(open);
    let taken = async { while answer(third()).await.0 != StatusCode::UNAUTHORIZED {} };
    timeout(LONG_PATIENCE, taken).await.expect("the room is given back");
}

/// The body is announced and never sent: whoever waited for it would not answer.
#[tokio::test]
async fn what_the_head_shows_is_answered_without_the_body() {
    let t = Intake::start().await;
    let whole = head("/webhooks/github");
    let without =
        |name: &str| -> String { whole.split_inclusive("\r\n").filter(|line| !line.starts_with(name)).collect() };
    for (head, status, says) in [
        (without("x-hub-signature-256"), 401, "expected the header X-Hub-Signature-256"),
        (
            whole.replace("sha256=0", "sha1=0"),
            401,
            "expected X-Hub-Signature-256 to be sha256= and 64 hexadecimal digits",
        ),
        (whole.replace("sha256=00", "sha256="), 401, "expected X-Hub-Signature-256 to be sha256="),
        (whole.replace("sha256=00", "sha256=zz"), 401, "expected X-Hub-Signature-256 to be sha256="),
        (without("x-github-delivery"), 400, "expected the header x-github-delivery"),
        (without("x-github-event"), 400, "expected the header x-github-event"),
        (whole.replace("event: push", "event: star"), 202, "butler has no use for \\\"star\\\" events"),
    ] {
        let mut stream = t.connect(&format!("{head}content-length: 1000000\r\n\r\n")).await;
        let answer = heard(&mut stream).await;
        assert!(answer.starts_with(&format!("HTTP/1.1 {status}")) && answer.contains(says), "{head}: {answer}");
    }
    assert_eq!(t.recorded().await, []);
}

#[tokio::test]
async fn connections_are_limited_and_do_not_wait_for_ever() {
    let limits = http::Limits { head: Duration::from_millis(200), connections: 1, ..http::Limits::default() };
    let t = Intake::start_with(limits).await;
    for sent in ["", "POST /webhooks/github HTTP/1.1\r\nx-slow: "] {
        let mut slow = t.connect(sent).await;
        // It waits for the one before, and no longer than that one may take.
        assert_eq!(answer(t.github("first", "d1", "push", push())).await.0, StatusCode::ACCEPTED, "{sent:?}");
        let mut rest = Vec::new();
        timeout(PATIENCE, slow.read_to_end(&mut rest)).await.expect("it is closed").unwrap();
        assert_eq!(rest, b"");
    }
}

#[tokio::test]
async fn a_push_is_recorded_and_its_repository_is_stale() {
    let t = Intake::start().await;
    // Either secret signs, while one is replaced.
    for (secret, id) in [("first", "d1"), ("second", "d2")] {
        assert_eq!(
            answer(t.github(secret, id, "push", push())).await,
            (StatusCode::ACCEPTED, json!({"status": "recorded"}))
        );
    }
    assert!(matches!(t.recorded().await[..], [Event::Push { .. }, Event::Push { .. }]));
    assert_eq!(t.pending().await, Pending { later: 1, ..Pending::default() }, "one job, debounced");

    // Redelivered: it keeps its id, and changes nothing.
    assert_eq!(
        answer(t.github("first", "d1", "push", push())).await,
        (StatusCode::ACCEPTED, json!({"status": "duplicate"}))
    );
    assert_eq!(t.recorded().await.len(), 2);
}

#[tokio::test]
async fn a_command_is_in_the_inbox_and_due_at_once() {
    let t = Intake::start().await;
    assert_eq!(answer(t.github("first", "d1", "issue_comment", comment("/promote"))).await.0, StatusCode::ACCEPTED);
    assert_eq!(t.pending().await, Pending { ready: 1, inbox: 1, ..Pending::default() });
    let inbox = t.store.inbox(&"acme/config".parse().unwrap()).await.unwrap();
    assert_eq!((inbox[0].id, inbox[0].number, inbox[0].body.as_str()), (42, 7, "/promote"));
}

#[tokio::test]
async fn what_is_of_no_consequence_is_recorded_as_ignored() {
    let t = Intake::start().await;
    let table = [
        ("ping", json!({"zen": "Keep it logically awesome."}).to_string(), "butler has no use for \"ping\" events"),
        ("issue_comment", comment("thank you"), "no line of the comment begins with a command"),
        ("push", "{}".into(), "a push event without what butler needs: missing field `repository`"),
    ];
    for (i, (kind, body, why)) in table.into_iter().enumerate() {
        let (status, body) = answer(t.github("first", &i.to_string(), kind, body)).await;
        assert_eq!((status, body["status"].as_str()), (StatusCode::ACCEPTED, Some("ignored")));
        assert!(body["why"].as_str().unwrap().starts_with(why), "{body}");
    }
    assert!(t.recorded().await.iter().all(|event| matches!(event, Event::Ignored { .. })));
    assert_eq!((t.recorded().await.len(), t.pending().await), (3, Pending::default()));
}

#[tokio::test]
async fn an_image_makes_those_stale_that_follow_it() {
    let t = Intake::start().await;
    let followed = BTreeSet::from([Repository::parse("registry.example.com/team/app").unwrap()]);
    for repo in ["acme/one", "acme/two"] {
        t.store.index_images(&repo.parse().unwrap(), &followed).await.unwrap();
    }
    let envelope = json!({"events": [
        pushed("e1", "team/app", "1.2.3"),
        pushed("e2", "team/unheard-of", "1.0.0"),
        pushed("e3", "Not/A Name", "1.0.0"),
        {"id": "e4", "action": "pull", "target": {"repository": "team/app", "tag": "1.2.3"}},
    ]});
    let send = async || answer(t.registry("Bearer registry token", envelope.to_string())).await;
    assert_eq!(send().await, (StatusCode::ACCEPTED, json!({"recorded": 3, "duplicates": 0, "ignored": 1})));
    let mut recorded = t.store.deliveries(10).await.unwrap();
    recorded.sort_by(|a, b| a.id.cmp(&b.id));
    assert_eq!(recorded[0].sender, "registry/main");
    let image = Repository::parse("registry.example.com/team/app").unwrap();
    assert_eq!(recorded[0].event, Event::Image { repository: image, tag: Some("1.2.3".into()) });
    let nobody = "no config repository follows registry.example.com/team/unheard-of";
    assert_eq!(recorded[1].event, Event::Ignored { why: nobody.into() });
    assert!(matches!(&recorded[2].event, Event::Ignored { why } if why.contains("Not/A Name")));
    assert_eq!(t.pending().await, Pending { later: 2, ..Pending::default() });

    // The registry sends an envelope again until it is taken.
    assert_eq!(send().await, (StatusCode::ACCEPTED, json!({"recorded": 0, "duplicates": 3, "ignored": 1})));
    assert_eq!(t.recorded().await.len(), 3);
}

#[tokio::test]
async fn health_and_readiness() {
    let t = Intake::start().await;
    let get = |path: &str| reqwest::Client::new().get(t.url(path));
    assert_eq!(answer(get("/healthz")).await.0, StatusCode::OK);
    assert_eq!(answer(get("/readyz")).await, (StatusCode::OK, json!({"status": "ready"})));
    t.store.close().await;
    assert_eq!(answer(get("/healthz")).await.0, StatusCode::OK);
    assert_eq!(answer(get("/readyz")).await.0, StatusCode::SERVICE_UNAVAILABLE);
    // No 202 for what could not be kept: the sender has to send it again.
    let (status, body) = answer(t.github("first", "d1", "push", push())).await;
    assert_eq!(status, StatusCode::SERVICE_UNAVAILABLE);
    assert_eq!(body, json!({"error": "the database is not available; send it again later"}));
}
