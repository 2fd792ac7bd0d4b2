//! Reading registries: our client against our own registry, with what goes wrong, and against Debian's.

use crate::support::{docker_registry::DockerRegistry, ear::Ear};
use axum::{
    Router,
    body::Body,
    extract::Request,
    http::{Response, StatusCode, header},
};
use butler::{
    adapters::registry::{Credentials, Reach, Registry, RegistryError},
    engine::image::Repository,
    sandbox::registry::{Notify, Options, RegistryServer, push_image},
};
use jiff::Timestamp;
use serde_json::{Value, json};
use std::{
    collections::BTreeSet,
    sync::{Arc, Mutex},
    time::Duration,
};

const PASSWORD: &str = "correct-horse";

fn at(text: &str) -> Timestamp {
    text.parse().unwrap()
}

fn repository(host: &str) -> Repository {
    Repository::parse(&format!("{host}/team/app")).unwrap()
}

/// A client that may ask this host over HTTP.
fn client(host: &str) -> Registry {
    Registry::new(vec![Credentials::anonymous(host).over_http()], Reach::Public).unwrap()
}

fn client_with(host: &str, user: &str, password: &str) -> Registry {
    Registry::new(vec![Credentials::anonymous(host).over_http().with_login(user, password)], Reach::Public).unwrap()
}

async fn registry(options: Options) -> RegistryServer {
    RegistryServer::start(options).await.unwrap()
}

/// A registry that answers whatever a test wants; gives its host and what it was asked.
async fn odd_registry(answer: impl Fn(&Request) -> Response<Body> + Clone + Send + Sync + 'static) -> (String, Asked) {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let host = listener.local_addr().unwrap().to_string();
    let asked = Asked::default();
    let seen = asked.clone();
    let router = Router::new().fallback(move |request: Request| async move {
        let authorized = request.headers().contains_key(header::AUTHORIZATION);
        seen.0.lock().unwrap().push((request.uri().path().to_owned(), authorized));
        answer(&request)
    });
    tokio::spawn(async move { axum::serve(listener, router).await });
    (host, asked)
}

/// Paths, and whether credentials came with them.
#[derive(Clone, Default)]
struct Asked(Arc<Mutex<Vec<(String, bool)>>>);

impl Asked {
    fn take(&self) -> Vec<(String, bool)> {
        std::mem::take(&mut self.0.lock().unwrap())
    }
}

fn ok(body: impl Into<Body>) -> Response<Body> {
    Response::new(body.into())
}

fn answer_with(status: StatusCode, headers: &[(header::HeaderName, &str)]) -> Response<Body> {
    let builder = headers.iter().fold(Response::builder().status(status), |b, (name, value)| b.header(name, *value));
    builder.body(Body::empty()).unwrap()
}

fn tag_page(link: &str) -> Response<Body> {
    Response::builder().header(header::LINK, link).body(json!({"tags": ["a"]}).to_string().into()).unwrap()
}

fn digest_of(bytes: &[u8]) -> String {
    use sha2::Digest;
    format!("sha256:{}", hex::encode(sha2::Sha256::digest(bytes)))
}

#[tokio::test]
async fn all_tags_are_read_page_by_page() {
    for (page, requests) in [(None, 3), (Some(100), 25), (Some(1250), 3)] {
        let server = registry(Options { page, ..Options::default() }).await;
        for number in 0..2500 {
            server.push_image("team/app", &format!("v{number}"), at("2026-11-20T10:00:00Z"), &[]);
        }
        let tags = client(server.host()).tags(&repository(server.host())).await.unwrap();
        let names: Vec<&str> = tags.iter().map(|tag| tag.name.as_str()).collect();
        assert_eq!(names.len(), 2500);
        assert_eq!(names[..3], ["v999", "v998", "v997"], "descending by bytes");
        assert!(names.is_sorted_by(|a, b| a > b), "sorted, and each once");
        assert_eq!(server.requests(), requests, "pages of {page:?}");
    }
}

#[tokio::test]
async fn tags_that_no_registry_may_give_are_left_out() {
    let (host, _) = odd_registry(|_| ok(r#"{"tags":["ok","../x","a b","x\n","ok",""]}"#)).await;
    let tags = client(&host).tags(&repository(&host)).await.unwrap();
    assert_eq!(tags.iter().map(|tag| tag.name.as_str()).collect::<Vec<_>>(), ["ok"]);
    let (host, _) = odd_registry(|_| ok(r#"{"tags":null}"#)).await;
    assert_eq!(client(&host).tags(&repository(&host)).await, Ok(vec![]));
}

#[tokio::test]
async fn a_tag_resolves_to_its_digest_and_time() {
    let server = registry(Options::default()).await;
    let pushed = server.push_image("team/app", "v1", at("2026-11-20T10:00:00.5Z"), &[("a", "b")]);
    let (client, repository) = (client(server.host()), repository(server.host()));
    assert_eq!(client.resolve(&repository, "v1").await, Ok(Some(pushed.clone())));
    assert_eq!(client.resolve(&repository, "v2").await, Ok(None));
    assert_eq!(client.resolve(&repository, "not/a tag").await, Ok(None));
    assert_eq!(client.created(&repository, &pushed).await, Ok(Some(at("2026-11-20T10:00:00.5Z"))));
    let gone = format!("sha256:{}", "0".repeat(64));
    assert!(matches!(client.created(&repository, &gone).await, Err(RegistryError::NotFound { .. })));
    let nowhere = Repository::parse(&format!("{}/nobody/here", server.host())).unwrap();
    assert!(matches!(client.tags(&nowhere).await, Err(RegistryError::NotFound { .. })));
    assert!(server.remove_tag("team/app", "v1"));
    assert_eq!(client.resolve(&repository, "v1").await, Ok(None));
}

#[tokio::test]
async fn the_time_of_an_index_is_that_of_its_linux_amd64_image() {
    let server = registry(Options::default()).await;
    let arm = server.push_image("team/app", "arm", at("2026-11-01T00:00:00Z"), &[]);
    let amd = server.push_image("team/app", "amd", at("2026-11-02T00:00:00Z"), &[]);
    let entry = |digest: &str, os: &str, architecture: &str| json!({"digest": digest, "platform": {"os": os, "architecture": architecture}});
    let push_index = async |tag: &str, entries: Vec<Value>| {
        let index = json!({"schemaVersion": 2, "manifests": entries}).to_string();
        let request = reqwest::Client::new().put(format!("{}/v2/team/app/manifests/{tag}", server.url()));
        let request = request.header("content-type", "application/vnd.oci.image.index.v1+json").body(index.clone());
        assert_eq!(request.send().await.unwrap().status(), 201);
        digest_of(index.as_bytes())
    };
    let (client, repository) = (client(server.host()), repository(server.host()));
    let both = push_index("both", vec![entry(&arm, "linux", "arm64"), entry(&amd, "linux", "amd64")]).await;
    assert_eq!(client.resolve(&repository, "both").await, Ok(Some(both.clone())));
    assert_eq!(client.created(&repository, &both).await, Ok(Some(at("2026-11-02T00:00:00Z"))));
    let attested = push_index("attested", vec![entry(&amd, "unknown", "unknown"), entry(&arm, "linux", "arm64")]).await;
    assert_eq!(client.created(&repository, &attested).await, Ok(Some(at("2026-11-01T00:00:00Z"))));
    let empty = push_index("empty", vec![]).await;
    assert_eq!(client.created(&repository, &empty).await, Ok(None));
}

#[tokio::test]
async fn a_registry_that_tells_no_digest_is_asked_for_the_bytes() {
    let (host, _) = odd_registry(|request| match request.method().as_str() {
        "HEAD" => answer_with(StatusCode::METHOD_NOT_ALLOWED, &[]),
        _ => ok("{}"),
    })
    .await;
    assert_eq!(client(&host).resolve(&repository(&host), "v1").await, Ok(Some(digest_of(b"{}"))));
}

#[tokio::test]
async fn bytes_that_are_not_what_their_digest_says_are_refused() {
    let (host, _) = odd_registry(|_| ok(r#"{"config":{"digest":"sha256:0"}}"#)).await;
    let error = client(&host).created(&repository(&host), &digest_of(b"something else")).await.unwrap_err();
    assert!(matches!(&error, RegistryError::Protocol { .. }), "{error}");
    let error = client(&host).created(&repository(&host), "sha256:short").await.unwrap_err();
    assert!(error.to_string().contains("expected a digest as sha256:<64 hexadecimal digits>"), "{error}");
}

#[tokio::test]
async fn a_token_is_got_once_and_used_again() {
    let server = registry(Options { login: Some(("robot".into(), PASSWORD.into())), ..Options::default() }).await;
    let digest = server.push_image("team/app", "v1", at("2026-11-20T10:00:00Z"), &[]);
    let (client, repository) = (client_with(server.host(), "robot", PASSWORD), repository(server.host()));
    assert_eq!(client.tags(&repository).await.unwrap().len(), 1);
    assert_eq!(server.requests(), 3, "refused, token, tags");
    assert_eq!(client.resolve(&repository, "v1").await, Ok(Some(digest)));
    assert_eq!(server.requests(), 4);
}

#[tokio::test]
async fn credentials_that_are_missing_or_wrong_are_told_apart_and_never_told() {
    let server = registry(Options { login: Some(("robot".into(), PASSWORD.into())), ..Options::default() }).await;
    let repository = repository(server.host());
    let error = client(server.host()).tags(&repository).await.unwrap_err();
    let host = server.host();
    assert_eq!(
        error.to_string(),
        format!(
            "tags of {repository}: token from {host}: refused: no access without credentials, and the settings have none for {host}"
        )
    );
    let error = client_with(host, "robot", "battery-staple").tags(&repository).await.unwrap_err();
    assert_eq!(
        error.to_string(),
        format!(
            "tags of {repository}: token from {host}: refused: the credentials in the settings for {host} were not accepted (HTTP 401 UNAUTHORIZED)"
        )
    );
    assert!(!format!("{error:?}").contains("staple"));
    let credentials = Credentials::anonymous(host).with_login("robot", PASSWORD);
    assert!(!format!("{credentials:?}").contains(PASSWORD));
}

#[tokio::test]
async fn basic_credentials_answer_a_basic_challenge() {
    let (host, asked) = odd_registry(|request| {
        let expected = "Basic cm9ib3Q6Y29ycmVjdC1ob3JzZQ==";
        match request.headers().get(header::AUTHORIZATION) {
            Some(found) if found == expected => ok(r#"{"tags":["v1"]}"#),
            _ => answer_with(StatusCode::UNAUTHORIZED, &[(header::WWW_AUTHENTICATE, "Basic realm=\"x\"")]),
        }
    })
    .await;
    let repository = repository(&host);
    let client_right = client_with(&host, "robot", PASSWORD);
    assert_eq!(client_right.tags(&repository).await.unwrap().len(), 1);
    assert_eq!(client_right.tags(&repository).await.unwrap().len(), 1);
    assert_eq!(asked.take().iter().map(|(_, with)| *with).collect::<Vec<_>>(), [false, true, true]);
    for (client, why) in [
        (client(&host), "asks for credentials and the settings have none for it"),
        (
            client_with(&host, "robot", "wrong"),
            "answered HTTP 401; check the credentials for it and their right to pull",
        ),
    ] {
        let error = client.tags(&repository).await.unwrap_err();
        assert!(matches!(&error, RegistryError::Refused { .. }) && error.to_string().ends_with(why), "{error}");
    }
}

#[tokio::test]
async fn credentials_go_to_no_other_domains_token_server() {
    let (thief, stolen) = odd_registry(|_| ok(r#"{"token":"x"}"#)).await;
    let thief = thief.replace("127.0.0.1", "localhost");
    let realm = format!("Bearer realm=\"http://{thief}/token\"");
    let (host, _) =
        odd_registry(move |_| answer_with(StatusCode::UNAUTHORIZED, &[(header::WWW_AUTHENTICATE, &realm)])).await;
    let configured = vec![
        Credentials::anonymous(&host).over_http().with_login("robot", PASSWORD),
        Credentials::anonymous(&thief).over_http(),
    ];
    let error = Registry::new(configured, Reach::Public).unwrap().tags(&repository(&host)).await.unwrap_err();
    assert!(
        error
            .to_string()
            .ends_with("its token server localhost belongs to another domain; no credentials are sent there"),
        "{error}"
    );
    assert_eq!(stolen.take(), []);
}

#[tokio::test]
async fn an_overloaded_registry_is_asked_again_within_reason() {
    let server = registry(Options::default()).await;
    server.push_image("team/app", "v1", at("2026-11-20T10:00:00Z"), &[]);
    let (client, repository) = (client(server.host()), repository(server.host()));
    for status in [429, 500, 502, 503] {
        server.fail_next_until(2, status, 0);
        assert_eq!(client.tags(&repository).await.unwrap().len(), 1, "after two times {status}");
    }
    let before = server.requests();
    server.fail_next(5, 503);
    let error = client.tags(&repository).await.unwrap_err();
    assert_eq!(server.requests() - before, 3, "three attempts, then the caller decides");
    assert_eq!(error.retry_after(), Some(Duration::from_secs(60)), "{error}");
}

#[tokio::test]
async fn a_long_retry_after_is_the_callers_to_wait() {
    let server = registry(Options::default()).await;
    server.push_image("team/app", "v1", at("2026-11-20T10:00:00Z"), &[]);
    server.fail_next_until(1, 429, 120);
    let error = client(server.host()).tags(&repository(server.host())).await.unwrap_err();
    let host = server.host();
    assert_eq!(error.to_string(), format!("tags of {host}/team/app: {host} answered HTTP 429; asked again in 120 s"));
    assert_eq!(server.requests(), 1);
}

#[tokio::test]
async fn a_registry_that_is_away_is_for_later() {
    let server = registry(Options::default()).await;
    server.push_image("team/app", "v1", at("2026-11-20T10:00:00Z"), &[]);
    let (client, repository) = (client(server.host()), repository(server.host()));
    client.tags(&repository).await.unwrap();
    server.away(true);
    for error in [client.tags(&repository).await.unwrap_err(), client.resolve(&repository, "v1").await.unwrap_err()] {
        assert!(error.retry_after().is_some() && error.to_string().contains("cannot be reached"), "{error}");
    }
    server.away(false);
    assert_eq!(client.tags(&repository).await.unwrap().len(), 1);
}

#[tokio::test]
async fn a_link_to_another_host_is_not_followed() {
    let (other, asked) = odd_registry(|_| ok(r#"{"tags":["b"]}"#)).await;
    let link = format!("<http://{other}/v2/team/app/tags/list>; rel=\"next\"");
    let (host, _) = odd_registry(move |_| tag_page(&link)).await;
    let configured = vec![Credentials::anonymous(&host).over_http(), Credentials::anonymous(&other).over_http()];
    let error = Registry::new(configured, Reach::Public).unwrap().tags(&repository(&host)).await.unwrap_err();
    assert_eq!(
        error.to_string(),
        format!(
            "tags of {host}/team/app: expected a Link to the next page at {host}, found a Link to another host, {other}"
        )
    );
    assert_eq!(asked.take(), []);
}

#[tokio::test]
async fn tag_lists_without_an_end_end() {
    let (host, asked) = odd_registry(|request| {
        let other = if request.uri().query() == Some("n=a") { "b" } else { "a" };
        tag_page(&format!("</v2/team/app/tags/list?n={other}>; rel=\"next\""))
    })
    .await;
    let error = client(&host).tags(&repository(&host)).await.unwrap_err();
    assert!(error.to_string().ends_with("expected each page once, found Link headers in a circle"), "{error}");
    assert_eq!(asked.take().len(), 3);

    let (host, _) =
        odd_registry(|_| ok(json!({"tags": (0..=200_000).map(|n| format!("v{n}")).collect::<Vec<_>>()}).to_string()))
            .await;
    let error = client(&host).tags(&repository(&host)).await.unwrap_err();
    assert!(matches!(&error, RegistryError::TooLarge { .. }), "{error}");
}

#[tokio::test]
async fn answers_beyond_their_limit_are_cut_off() {
    let (host, _) = odd_registry(|_| ok(vec![b' '; (4 << 20) + 1])).await;
    let error = client(&host).created(&repository(&host), &digest_of(b"")).await.unwrap_err();
    assert!(error.to_string().ends_with("a longer answer, expected at most 4194304 bytes"), "{error}");
}

#[tokio::test]
async fn a_redirect_to_another_host_takes_no_credentials_along() {
    let config = br#"{"created":"2026-11-20T10:00:00Z"}"#;
    let manifest = json!({"config": {"digest": digest_of(config)}}).to_string();
    let digest = digest_of(manifest.as_bytes());
    let (storage, asked) = odd_registry(|_| ok(config.as_slice())).await;
    let location = format!("http://{storage}/signed?secret=1");
    let (host, _) = odd_registry(move |request| {
        if !request.headers().contains_key(header::AUTHORIZATION) {
            answer_with(StatusCode::UNAUTHORIZED, &[(header::WWW_AUTHENTICATE, "Basic realm=\"x\"")])
        } else if request.uri().path().contains("/blobs/") {
            answer_with(StatusCode::TEMPORARY_REDIRECT, &[(header::LOCATION, &location)])
        } else {
            ok(manifest.clone())
        }
    })
    .await;
    let own = Credentials::anonymous(&host).over_http().with_login("robot", PASSWORD);
    let both = vec![own.clone(), Credentials::anonymous(&storage).over_http()];
    let client = Registry::new(both, Reach::Public).unwrap();
    assert_eq!(client.created(&repository(&host), &digest).await, Ok(Some(at("2026-11-20T10:00:00Z"))));
    assert_eq!(asked.take(), [("/signed".to_owned(), false)]);

    // Where the settings do not name the other host, neither plain HTTP nor its private address is allowed.
    let error =
        Registry::new(vec![own], Reach::Public).unwrap().created(&repository(&host), &digest).await.unwrap_err();
    assert!(matches!(&error, RegistryError::Refused { why, .. } if why.contains("expected https")), "{error}");
    assert!(!error.to_string().contains("secret"), "{error}");
    assert_eq!(asked.take(), []);
}

#[tokio::test]
async fn hosts_of_butlers_own_network_are_not_asked() {
    let server = registry(Options::default()).await;
    let port = server.host().rsplit(':').next().unwrap();
    let client = Registry::anonymous().unwrap();
    for host in [server.host().to_owned(), format!("localhost:{port}")] {
        let error = client.tags(&repository(&host)).await.unwrap_err();
        assert!(
            matches!(&error, RegistryError::Refused { why, .. } if why.contains("loopback, private or reserved")),
            "{error}"
        );
    }
    assert_eq!(server.requests(), 0);
}

#[tokio::test]
async fn notifications_are_repeated_until_they_are_taken() {
    let mut ear = Ear::open().await;
    ear.refuse_next(2);
    let notify = Some(Notify { url: ear.url.clone(), token: "t0ken".into() });
    let server = registry(Options { notify, ..Options::default() }).await;
    let first = server.push_image("team/app", "v1", at("2026-11-20T10:00:00Z"), &[]);
    let second = server.push_image("team/app", "v2", at("2026-11-20T11:00:00Z"), &[]);
    server.idle().await;
    let heard = ear.pending();
    assert!(heard.iter().all(|h| h.header("authorization") == "Bearer t0ken"));
    let targets: Vec<(&str, &str)> = heard
        .iter()
        .map(|h| &h.body["events"][0]["target"])
        .map(|t| (t["tag"].as_str().unwrap(), t["digest"].as_str().unwrap()))
        .collect();
    assert_eq!(targets, [("v1", first.as_str()), ("v2", second.as_str())]);
}

#[tokio::test]
async fn requests_can_be_watched() {
    let server = registry(Options::default()).await;
    server.push_image("team/app", "v1", at("2026-11-20T10:00:00Z"), &[]);
    let seen = Arc::new(Mutex::new(Vec::new()));
    let log = seen.clone();
    server.on_request(move |request| log.lock().unwrap().push(format!("{} {}", request.number, request.path)));
    client(server.host()).tags(&repository(server.host())).await.unwrap();
    assert_eq!(*seen.lock().unwrap(), ["1 /v2/team/app/tags/list?n=1000"]);
}

/// Every path of keys in a JSON value: `events[].target.tag`.
fn shape(value: &Value, path: &str, found: &mut BTreeSet<String>) {
    match value {
        Value::Object(fields) if !fields.is_empty() => {
            fields.iter().for_each(|(key, value)| shape(value, &format!("{path}.{key}"), found));
        }
        Value::Array(items) => items.iter().for_each(|item| shape(item, &format!("{path}[]"), found)),
        _ => drop(found.insert(path.to_owned())),
    }
}

/// What is heard of a push and of reading its manifest: (action, kind of object, shape), in the order of the events.
async fn hear_push(url: &str, host: &str, ear: &mut Ear) -> Vec<(String, String, BTreeSet<String>)> {
    let created = at("2026-11-20T10:00:00Z");
    let digest = push_image(url, "team/app", "v1", created, &[("a", "b")]).await.unwrap();
    let later = push_image(url, "team/app", "v2", at("2026-11-20T11:00:00Z"), &[]).await.unwrap();
    let (client, repository) = (client(host), repository(host));
    let names: Vec<String> = client.tags(&repository).await.unwrap().into_iter().map(|tag| tag.name).collect();
    assert_eq!(names, ["v2", "v1"]);
    assert_eq!(client.resolve(&repository, "v1").await, Ok(Some(digest.clone())));
    assert_eq!(client.resolve(&repository, "v2").await, Ok(Some(later)));
    assert_eq!(client.resolve(&repository, "v3").await, Ok(None));
    assert_eq!(client.created(&repository, &digest).await, Ok(Some(created)));
    let nowhere = Repository::parse(&format!("{host}/nobody/here")).unwrap();
    assert!(matches!(client.tags(&nowhere).await, Err(RegistryError::NotFound { .. })));

    let mut events = Vec::new();
    // The config is read last, and that is told as a blob's pull.
    while !events.last().is_some_and(|(action, kind, _)| action == "pull" && kind == "blobs") {
        let heard = ear.next().await;
        assert_eq!(heard.header("authorization"), "Bearer t0ken");
        assert_eq!(heard.header("content-type"), "application/vnd.docker.distribution.events.v1+json");
        for event in heard.body["events"].as_array().unwrap() {
            let kind = if event["target"]["url"].as_str().unwrap().contains("/blobs/") { "blobs" } else { "manifests" };
            let mut paths = BTreeSet::new();
            shape(event, "", &mut paths);
            events.push((event["action"].as_str().unwrap().to_owned(), kind.to_owned(), paths));
        }
    }
    events
}

#[tokio::test]
async fn the_real_registry_and_ours_are_read_alike_and_tell_alike() {
    let mut ear = Ear::open().await;
    let Some(real) = DockerRegistry::start(Some(ear.url.clone()), "t0ken") else { return };
    let real_events = hear_push(&real.url(), real.host(), &mut ear).await;

    let mut ear = Ear::open().await;
    let notify = Some(Notify { url: ear.url.clone(), token: "t0ken".into() });
    let ours = registry(Options { notify, ..Options::default() }).await;
    let our_events = hear_push(&ours.url(), ours.host(), &mut ear).await;
    assert_eq!(our_events, real_events);
}
