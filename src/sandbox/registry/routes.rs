//! The distribution protocol's requests and answers
//! (<https://github.com/opencontainers/distribution-spec/blob/main/spec.md>).

use super::{
    Seen, Shared,
    line::Peer,
    lock,
    notify::Told,
    store::{Manifest, Refusal},
};
use crate::engine::image::Repository;
use axum::{
    Router,
    body::{Body, to_bytes},
    extract::{ConnectInfo, Request, State},
    http::{
        HeaderMap, HeaderName, HeaderValue, Method, StatusCode,
        header::{
            AUTHORIZATION, CONTENT_LENGTH, CONTENT_TYPE, LINK, LOCATION, RANGE, RETRY_AFTER, USER_AGENT,
            WWW_AUTHENTICATE,
        },
    },
    response::{IntoResponse, Response},
};
use base64::{Engine, prelude::BASE64_STANDARD};
use serde_json::json;
use std::{
    collections::HashMap,
    sync::{Arc, atomic::Ordering},
};
use url::form_urlencoded;

const CONTENT_DIGEST: HeaderName = HeaderName::from_static("docker-content-digest");
const API_VERSION: HeaderName = HeaderName::from_static("docker-distribution-api-version");
const BLOB_TYPE: &str = "application/octet-stream";
const UPLOAD_UUID: HeaderName = HeaderName::from_static("docker-upload-uuid");
/// The largest body that is taken, in bytes.
const BODY_LIMIT: usize = 256 << 20;
const TOKEN_SECONDS: u64 = 300;

/// What a token opens.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Grant {
    /// Empty for a token that proves a login and no more.
    repository: String,
    push: bool,
}

pub(super) fn router(shared: Arc<Shared>) -> Router {
    // Repositories' names hold slashes, so that routes are told apart by their ends.
    Router::new().fallback(answer).with_state(shared)
}

/// What a path asks for.
enum Route<'a> {
    Base,
    Tags(&'a str),
    Manifest(&'a str, &'a str),
    BeginUpload(&'a str),
    Upload(&'a str, &'a str),
    Blob(&'a str, &'a str),
}

impl<'a> Route<'a> {
    fn parse(path: &'a str) -> Option<Self> {
        let rest = path.strip_prefix("/v2/")?;
        let route = if rest.is_empty() {
            Route::Base
        } else if let Some(name) = rest.strip_suffix("/tags/list") {
            Route::Tags(name)
        } else if let Some((name, reference)) = rest.rsplit_once("/manifests/") {
            Route::Manifest(name, reference)
        } else if let Some(name) = rest.strip_suffix("/blobs/uploads/").or(rest.strip_suffix("/blobs/uploads")) {
            Route::BeginUpload(name)
        } else if let Some((name, id)) = rest.rsplit_once("/blobs/uploads/") {
            Route::Upload(name, id)
        } else {
            let (name, digest) = rest.rsplit_once("/blobs/")?;
            Route::Blob(name, digest)
        };
        let valid = route.name().is_none_or(|name| Repository::parse(&format!("localhost/{name}")).is_ok());
        valid.then_some(route)
    }

    fn name(&self) -> Option<&'a str> {
        match *self {
            Route::Base => None,
            Route::Tags(name)
            | Route::Manifest(name, _)
            | Route::BeginUpload(name)
            | Route::Upload(name, _)
            | Route::Blob(name, _) => Some(name),
        }
    }
}

/// A request, taken apart.
struct Asked {
    method: Method,
    path: String,
    query: HashMap<String, String>,
    headers: HeaderMap,
    /// The client's address.
    from: String,
}

impl Asked {
    fn header(&self, name: impl axum::http::header::AsHeaderName) -> &str {
        self.headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default()
    }
}

async fn answer(State(shared): State<Arc<Shared>>, request: Request) -> Response {
    let seen = Seen {
        number: shared.requests.fetch_add(1, Ordering::SeqCst) + 1,
        method: request.method().to_string(),
        path: request.uri().path_and_query().map(ToString::to_string).unwrap_or_default(),
    };
    let observer = lock(&shared.observer).clone();
    if let Some(observer) = observer {
        observer(&seen);
    }
    let fault = lock(&shared.faults).pop_front();
    if let Some(fault) = fault {
        let status = StatusCode::from_u16(fault.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        let mut response = error(status, "UNKNOWN", "a fault that was asked for");
        if let Some(seconds) = fault.retry_after {
            response.headers_mut().insert(RETRY_AFTER, seconds.into());
        }
        return response;
    }
    let from = request.extensions().get::<ConnectInfo<Peer>>().map(|info| info.0.0.to_string()).unwrap_or_default();
    let (parts, body) = request.into_parts();
    let query = form_urlencoded::parse(parts.uri.query().unwrap_or_default().as_bytes()).into_owned().collect();
    let asked = Asked { method: parts.method, path: parts.uri.path().into(), query, headers: parts.headers, from };
    if asked.path == "/token" {
        return token(&shared, &asked);
    }
    let Some(route) = Route::parse(&asked.path) else {
        return error(StatusCode::NOT_FOUND, "NAME_INVALID", "no such address, or not a repository's name");
    };
    if let Err(challenge) = authorise(&shared, &asked, route.name()) {
        return *challenge;
    }
    let Ok(body) = to_bytes(body, BODY_LIMIT).await else {
        return error(StatusCode::PAYLOAD_TOO_LARGE, "SIZE_INVALID", "the body is too large or was cut off");
    };
    let mut response = dispatch(&shared, &asked, route, &body);
    response.headers_mut().insert(API_VERSION, HeaderValue::from_static("registry/2.0"));
    response
}

fn dispatch(shared: &Shared, asked: &Asked, route: Route<'_>, body: &[u8]) -> Response {
    let reads = matches!(asked.method, Method::GET | Method::HEAD);
    match (route, &asked.method) {
        (Route::Base, _) if reads => json_answer(&json!({})),
        (Route::Tags(name), _) if reads => tags(shared, asked, name),
        (Route::Manifest(name, reference), _) if reads => {
            let Some(manifest) = lock(&shared.store).manifest(name, reference) else {
                return error(StatusCode::NOT_FOUND, "MANIFEST_UNKNOWN", "manifest unknown");
            };
            tell_manifest(shared, asked, "pull", name, reference, &manifest);
            let headers = [(CONTENT_TYPE, manifest.media_type), (CONTENT_DIGEST, manifest.digest)];
            (headers, Body::from(manifest.bytes.to_vec())).into_response()
        }
        (Route::Manifest(name, reference), &Method::PUT) => {
            let stored = lock(&shared.store).put_manifest(name, reference, asked.header(CONTENT_TYPE), body.to_vec());
            match stored {
                Ok(manifest) => {
                    tell_manifest(shared, asked, "push", name, reference, &manifest);
                    created(&format!("/v2/{name}/manifests/{}", manifest.digest), &manifest.digest)
                }
                Err(refusal) => refuse(&refusal),
            }
        }
        (Route::Blob(name, digest), _) if reads => match lock(&shared.store).blob(digest) {
            Some(bytes) => {
                tell_blob(shared, asked, "pull", name, digest, bytes.len());
                let headers = [(CONTENT_TYPE, BLOB_TYPE), (CONTENT_DIGEST, digest)];
                (headers, Body::from(bytes.to_vec())).into_response()
            }
            None => error(StatusCode::NOT_FOUND, "BLOB_UNKNOWN", "blob unknown to registry"),
        },
        (Route::BeginUpload(name), &Method::POST) => begin_upload(shared, asked, name, body),
        (Route::Upload(name, id), &Method::PATCH) => match lock(&shared.store).append(id, body) {
            Ok(length) => accepted(name, id, length),
            Err(refusal) => refuse(&refusal),
        },
        (Route::Upload(name, id), &Method::PUT) => {
            let digest = asked.query.get("digest").map(String::as_str).unwrap_or_default();
            let stored = lock(&shared.store).finish_upload(id, digest, body);
            blob_stored(shared, asked, name, digest, stored)
        }
        _ => error(StatusCode::METHOD_NOT_ALLOWED, "UNSUPPORTED", "the operation is unsupported"),
    }
}

/// A page of tags: `n` of them after `last`, and a `Link` to the next page where there is one.
fn tags(shared: &Shared, asked: &Asked, name: &str) -> Response {
    let asked_for = match asked.query.get("n").map(|n| n.parse::<usize>()) {
        None => usize::MAX,
        Some(Ok(n)) => n,
        Some(Err(_)) => return error(StatusCode::BAD_REQUEST, "PAGINATION_NUMBER_INVALID", "n is no number"),
    };
    let page = asked_for.min(shared.options.page.unwrap_or(usize::MAX));
    let last = asked.query.get("last").map(String::as_str).unwrap_or_default();
    let store = lock(&shared.store);
    let Some(all) = store.tags(name) else {
        return error(StatusCode::NOT_FOUND, "NAME_UNKNOWN", "repository name not known to registry");
    };
    let mut rest = all.filter(|tag| *tag > last);
    let tags: Vec<&str> = rest.by_ref().take(page).collect();
    let mut response = json_answer(&json!({"name": name, "tags": tags}));
    if let (Some(last), true) = (tags.last(), rest.next().is_some()) {
        let query = form_urlencoded::Serializer::new(String::new())
            .append_pair("last", last)
            .append_pair("n", &page.to_string())
            .finish();
        response.headers_mut().extend(header(LINK, &format!("</v2/{name}/tags/list?{query}>; rel=\"next\"")));
    }
    response
}

/// Begins an upload; with a digest it is ended at once, with `mount` nothing needs to be sent.
fn begin_upload(shared: &Shared, asked: &Asked, name: &str, body: &[u8]) -> Response {
    let mut store = lock(&shared.store);
    if let Some(digest) = asked.query.get("mount").filter(|digest| store.blob(digest).is_some()) {
        return created(&format!("/v2/{name}/blobs/{digest}"), digest);
    }
    if let Some(digest) = asked.query.get("digest") {
        let stored = store.put_blob(digest, body.to_vec()).map(|()| body.len());
        drop(store);
        return blob_stored(shared, asked, name, digest, stored);
    }
    let id = uuid::Uuid::new_v4().to_string();
    store.begin_upload(id.clone());
    accepted(name, &id, 0)
}

fn blob_stored(shared: &Shared, asked: &Asked, name: &str, digest: &str, stored: Result<usize, Refusal>) -> Response {
    match stored {
        Ok(size) => {
            tell_blob(shared, asked, "push", name, digest, size);
            created(&format!("/v2/{name}/blobs/{digest}"), digest)
        }
        Err(refusal) => refuse(&refusal),
    }
}

fn tell_blob(shared: &Shared, asked: &Asked, action: &'static str, name: &str, digest: &str, size: usize) {
    shared.notifier.tell(Told {
        action,
        media_type: BLOB_TYPE,
        size,
        digest,
        repository: name,
        tag: None,
        kind: "blobs",
        method: asked.method.as_str(),
        agent: asked.header(USER_AGENT),
        from: &asked.from,
    });
}

fn tell_manifest(
    shared: &Shared,
    asked: &Asked,
    action: &'static str,
    name: &str,
    reference: &str,
    manifest: &Manifest,
) {
    shared.notifier.tell(Told {
        action,
        media_type: &manifest.media_type,
        size: manifest.bytes.len(),
        digest: &manifest.digest,
        repository: name,
        tag: (!reference.contains(':')).then_some(reference),
        kind: "manifests",
        method: asked.method.as_str(),
        agent: asked.header(USER_AGENT),
        from: &asked.from,
    });
}

/// Whether the request carries a token for what it asks; the challenge where it does not.
fn authorise(shared: &Shared, asked: &Asked, name: Option<&str>) -> Result<(), Box<Response>> {
    if shared.options.login.is_none() {
        return Ok(());
    }
    let push = !matches!(asked.method, Method::GET | Method::HEAD);
    let token = asked.header(AUTHORIZATION).strip_prefix("Bearer ").unwrap_or_default();
    let granted = lock(&shared.tokens).get(token).cloned();
    let opens = granted.is_some_and(|g| name.is_none_or(|name| g.repository == name && (g.push || !push)));
    if opens {
        return Ok(());
    }
    let actions = if push { "pull,push" } else { "pull" };
    let scope = name.map(|name| format!(",scope=\"repository:{name}:{actions}\"")).unwrap_or_default();
    let challenge = format!("Bearer realm=\"http://{}/token\",service=\"sandbox\"{scope}", shared.host);
    let mut response = error(StatusCode::UNAUTHORIZED, "UNAUTHORIZED", "authentication required");
    response.headers_mut().extend(header(WWW_AUTHENTICATE, &challenge));
    Err(Box::new(response))
}

/// The token server: Basic credentials against a token for one scope.
fn token(shared: &Shared, asked: &Asked) -> Response {
    let expected = shared
        .options
        .login
        .as_ref()
        .map(|(user, password)| format!("Basic {}", BASE64_STANDARD.encode(format!("{user}:{password}"))));
    if expected.is_some_and(|expected| asked.header(AUTHORIZATION) != expected) {
        return error(StatusCode::UNAUTHORIZED, "UNAUTHORIZED", "authentication required");
    }
    let scope = asked.query.get("scope").map(String::as_str).unwrap_or_default();
    let (repository, actions) = scope.strip_prefix("repository:").and_then(|s| s.rsplit_once(':')).unwrap_or_default();
    let grant = Grant { repository: repository.into(), push: actions.split(',').any(|action| action == "push") };
    let token = uuid::Uuid::new_v4().to_string();
    lock(&shared.tokens).insert(token.clone(), grant);
    json_answer(&json!({"token": token, "expires_in": TOKEN_SECONDS}))
}

fn header(name: HeaderName, value: &str) -> HeaderMap {
    HeaderValue::from_str(value).map(|value| (name, value)).into_iter().collect()
}

fn created(location: &str, digest: &str) -> Response {
    let mut response = StatusCode::CREATED.into_response();
    response.headers_mut().extend(header(LOCATION, location));
    response.headers_mut().extend(header(CONTENT_DIGEST, digest));
    response
}

fn accepted(name: &str, id: &str, length: usize) -> Response {
    let mut response = StatusCode::ACCEPTED.into_response();
    let headers = response.headers_mut();
    headers.extend(header(LOCATION, &format!("/v2/{name}/blobs/uploads/{id}")));
    headers.extend(header(RANGE, &format!("0-{}", length.saturating_sub(1))));
    headers.extend(header(UPLOAD_UUID, id));
    headers.insert(CONTENT_LENGTH, 0.into());
    response
}

fn json_answer(value: &serde_json::Value) -> Response {
    ([(CONTENT_TYPE, "application/json; charset=utf-8")], value.to_string()).into_response()
}

fn refuse(refusal: &Refusal) -> Response {
    match refusal {
        Refusal::ManifestInvalid => error(StatusCode::BAD_REQUEST, "MANIFEST_INVALID", "manifest invalid"),
        Refusal::ManifestBlobUnknown(digest) => {
            error(StatusCode::BAD_REQUEST, "MANIFEST_BLOB_UNKNOWN", &format!("{digest} is unknown to registry"))
        }
        Refusal::DigestInvalid => {
            error(StatusCode::BAD_REQUEST, "DIGEST_INVALID", "provided digest did not match uploaded content")
        }
        Refusal::BlobUploadUnknown => {
            error(StatusCode::NOT_FOUND, "BLOB_UPLOAD_UNKNOWN", "blob upload unknown to registry")
        }
    }
}

fn error(status: StatusCode, code: &str, message: &str) -> Response {
    let mut response = json_answer(&json!({"errors": [{"code": code, "message": message}]}));
    *response.status_mut() = status;
    response
}
