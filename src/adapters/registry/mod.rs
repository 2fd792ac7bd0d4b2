//! Registries that speak the OCI distribution protocol
//! (<https://github.com/opencontainers/distribution-spec/blob/main/spec.md>): which tags there are, what they name,
//! and when that was built. Only ever reads.

mod address;
mod auth;
mod error;
mod link;
mod manifest;
mod transport;

pub use address::Reach;
pub use error::RegistryError;

use crate::engine::image::{Repository, Tag, is_tag};
use address::{Addresses, Endpoint, authority};
use auth::{Auth, Scope};
use error::excerpt;
use jiff::Timestamp;
use manifest::Manifest;
use reqwest::{
    StatusCode,
    header::{HeaderName, LINK},
};
use secrecy::SecretString;
use serde::Deserialize;
use std::{
    collections::{BTreeSet, HashSet},
    sync::Arc,
};
use transport::{Answer, Call, Transport};
use url::Url;

/// The most tags of one repository that are read; more is an error, never a cut list.
pub const MOST_TAGS: usize = 200_000;
/// The most pages: enough for [`MOST_TAGS`] at a registry that gives fifty a page, however many were asked for.
const MOST_PAGES: usize = MOST_TAGS / 50;
/// A page that holds [`MOST_TAGS`] of the greatest length, from a registry that knows no pages, in bytes.
const PAGE_LIMIT: usize = 32 << 20;
/// The specification has registries take manifests of up to 4 MiB.
const MANIFEST_LIMIT: usize = 4 << 20;
const CONFIG_LIMIT: usize = 8 << 20;
/// An index may name an index; nobody nests deeper.
const DEEPEST_INDEX: usize = 3;
const CONTENT_DIGEST: HeaderName = HeaderName::from_static("docker-content-digest");

/// What the settings say about one registry. A host that is named here may have a private address.
#[derive(Clone, Debug)]
pub struct Credentials {
    /// As image references spell it: `docker.io`, `registry.example.com:5000`.
    pub host: String,
    /// Whether it is asked over plain HTTP.
    pub insecure: bool,
    /// Empty for a registry that is asked without credentials.
    pub username: String,
    pub password: SecretString,
}

impl Credentials {
    /// A registry that is asked over HTTPS and without credentials.
    pub fn anonymous(host: impl Into<String>) -> Self {
        Credentials { host: host.into(), insecure: false, username: String::new(), password: SecretString::default() }
    }

    /// The same, over plain HTTP.
    pub fn over_http(self) -> Self {
        Credentials { insecure: true, ..self }
    }

    /// The same, with a user's name and password (or access token).
    pub fn with_login(self, username: impl Into<String>, password: impl Into<SecretString>) -> Self {
        Credentials { username: username.into(), password: password.into(), ..self }
    }
}

/// A client for every registry. Cheap to clone; clones share connections and tokens.
#[derive(Clone)]
pub struct Registry {
    shared: Arc<Shared>,
}

struct Shared {
    transport: Transport,
    auth: Auth,
}

/// One repository at its registry.
struct Place<'a> {
    repository: &'a Repository,
    endpoint: Endpoint,
}

impl Registry {
    /// A client that knows these registries, and besides them those that `reach` allows.
    pub fn new(credentials: Vec<Credentials>, reach: Reach) -> Result<Self, RegistryError> {
        let transport = Transport::new(Addresses::new(&credentials, reach))?;
        Ok(Registry { shared: Arc::new(Shared { transport, auth: Auth::new(credentials) }) })
    }

    /// A client without credentials, for public registries.
    pub fn anonymous() -> Result<Self, RegistryError> {
        Self::new(Vec::new(), Reach::Public)
    }

    /// All tags of a repository, without doubles, in descending byte order: what registries give is in no order that
    /// could be relied on. Names that are no tags by the specification's grammar are left out.
    #[tracing::instrument(skip_all, fields(%repository))]
    pub async fn tags(&self, repository: &Repository) -> Result<Vec<Tag>, RegistryError> {
        #[derive(Deserialize)]
        struct Page {
            // Registries in Go say `null` for an empty list.
            tags: Option<Vec<String>>,
        }

        let what = format!("tags of {repository}");
        let place = self.place(repository, &what)?;
        let mut url = place.url("tags/list", &what)?;
        url.set_query(Some("n=1000"));
        let (mut names, mut seen) = (BTreeSet::new(), HashSet::new());
        while seen.len() < MOST_PAGES {
            if !seen.insert(url.clone()) {
                return Err(RegistryError::protocol(&what, "each page once", "Link headers in a circle"));
            }
            let call = Call::get(url, "application/json", PAGE_LIMIT, &what);
            let answer = found(self.ask(&place, call).await?, &what)?;
            let page: Page = serde_json::from_slice(&answer.body)
                .map_err(|e| RegistryError::protocol(&what, "JSON with a list of tags", excerpt(&e.to_string())))?;
            names.extend(page.tags.unwrap_or_default().into_iter().filter(|name| is_tag(name)));
            if names.len() > MOST_TAGS {
                return Err(too_many(&what, format!("more than {MOST_TAGS} tags")));
            }
            let links = answer.headers.get_all(LINK).iter().filter_map(|h| h.to_str().ok());
            match link::next_page(&answer.url, links).map_err(|why| {
                RegistryError::protocol(&what, format!("a Link to the next page at {}", authority(&answer.url)), why)
            })? {
                Some(next) => url = next,
                None => return Ok(names.into_iter().rev().map(Tag::named).collect()),
            }
        }
        Err(too_many(&what, format!("more than {MOST_PAGES} pages")))
    }

    /// The digest that a tag names now (`sha256:…`, of an index where it is one); `None` where there is no such tag.
    #[tracing::instrument(skip_all, fields(%repository, tag))]
    pub async fn resolve(&self, repository: &Repository, tag: &str) -> Result<Option<String>, RegistryError> {
        if !is_tag(tag) {
            return Ok(None);
        }
        let what = format!("{repository}:{tag}");
        let place = self.place(repository, &what)?;
        let url = place.url(&format!("manifests/{tag}"), &what)?;
        let head = self.ask(&place, Call::head(url.clone(), manifest::ACCEPT, &what)).await?;
        let digest = head.headers.get(CONTENT_DIGEST).and_then(|h| h.to_str().ok()).filter(|d| manifest::is_sha256(d));
        match (head.status, digest) {
            (StatusCode::NOT_FOUND, _) => return Ok(None),
            (StatusCode::OK, Some(digest)) => return Ok(Some(digest.into())),
            // The header is optional, and some registries know no HEAD: the digest is that of the bytes.
            (StatusCode::OK | StatusCode::METHOD_NOT_ALLOWED, _) => {}
            _ => return found(head, &what).map(|_| None),
        }
        let answer = self.ask(&place, Call::get(url, manifest::ACCEPT, MANIFEST_LIMIT, &what)).await?;
        match answer.status {
            StatusCode::NOT_FOUND => Ok(None),
            _ => found(answer, &what).map(|answer| Some(manifest::digest_of(&answer.body))),
        }
    }

    /// When the image with this digest was created, as its config tells; of an index, the image for linux/amd64, else
    /// the first. `None` where it has no time, or one that stands for none (a reproducible build's epoch).
    #[tracing::instrument(skip_all, fields(%repository, digest))]
    pub async fn created(&self, repository: &Repository, digest: &str) -> Result<Option<Timestamp>, RegistryError> {
        let what = format!("{repository}@{}", excerpt(digest));
        let place = self.place(repository, &what)?;
        let mut digest = digest.to_owned();
        for _ in 0..DEEPEST_INDEX {
            let bytes = self.content(&place, "manifests", &digest, manifest::ACCEPT, MANIFEST_LIMIT, &what).await?;
            let manifest = Manifest::parse(&bytes)
                .map_err(|why| RegistryError::protocol(&what, "an image's or an index's manifest", excerpt(&why)))?;
            match manifest {
                Manifest::Index { chosen: Some(chosen) } => digest = chosen,
                Manifest::Index { chosen: None } => return Ok(None),
                Manifest::Image { config, annotated } => {
                    let what = format!("config of {what}");
                    let config = self.content(&place, "blobs", &config, "*/*", CONFIG_LIMIT, &what).await?;
                    return Ok(manifest::created(&config).or(annotated));
                }
            }
        }
        Err(RegistryError::protocol(&what, format!("at most {DEEPEST_INDEX} indexes in each other"), "more"))
    }

    /// The bytes that have this digest: they are checked, wherever a redirect took them from.
    async fn content(
        &self,
        place: &Place<'_>,
        kind: &str,
        digest: &str,
        accept: &'static str,
        limit: usize,
        what: &str,
    ) -> Result<Vec<u8>, RegistryError> {
        if !manifest::is_sha256(digest) {
            return Err(RegistryError::protocol(what, "a digest as sha256:<64 hexadecimal digits>", excerpt(digest)));
        }
        let url = place.url(&format!("{kind}/{digest}"), what)?;
        let answer = found(self.ask(place, Call::get(url, accept, limit, what)).await?, what)?;
        let actual = manifest::digest_of(&answer.body);
        if actual == digest {
            Ok(answer.body)
        } else {
            Err(RegistryError::protocol(
                what,
                format!("bytes with digest {digest}"),
                format!("bytes with digest {actual}"),
            ))
        }
    }

    fn place<'a>(&self, repository: &'a Repository, what: &str) -> Result<Place<'a>, RegistryError> {
        let endpoint = self.shared.transport.addresses.endpoint(repository.host());
        Ok(Place { repository, endpoint: endpoint.map_err(|why| RegistryError::refused(what, why))? })
    }

    /// Sends a request with what is known to be granted, and answers one challenge.
    async fn ask(&self, place: &Place<'_>, call: Call<'_>) -> Result<Answer, RegistryError> {
        let Shared { transport, auth } = &*self.shared;
        let scope = Scope { endpoint: &place.endpoint, path: place.repository.path(), what: call.what };
        // A page may be at the host that a redirect led to, which gets nothing of ours.
        let at_home = call.url.origin() == place.endpoint.base.origin();
        let granted = auth.known(scope).filter(|_| at_home);
        let answer = transport.send(&call.clone().with(granted)).await?;
        if answer.status != StatusCode::UNAUTHORIZED || answer.url.origin() != place.endpoint.base.origin() {
            return Ok(answer);
        }
        auth.forget(scope);
        let granted = auth.answer(transport, scope, &answer).await?;
        let answer = transport.send(&call.with(Some(granted))).await?;
        if answer.status == StatusCode::UNAUTHORIZED {
            auth.forget(scope);
        }
        Ok(answer)
    }
}

impl Place<'_> {
    /// The address of something in the repository: `tags/list`.
    fn url(&self, rest: &str, what: &str) -> Result<Url, RegistryError> {
        let path = format!("/v2/{}/{rest}", self.repository.path());
        let mut url = self.endpoint.base.clone();
        url.set_path(&path);
        // The grammar of references leaves nothing to encode; what changes on the way is no repository's name.
        if url.path() == path {
            Ok(url)
        } else {
            Err(RegistryError::protocol(what, "a repository's name", excerpt(self.repository.path())))
        }
    }
}

/// An answer that says what was asked; any other status as the error that it means.
fn found(answer: Answer, what: &str) -> Result<Answer, RegistryError> {
    let host = authority(&answer.url);
    match answer.status {
        StatusCode::OK => Ok(answer),
        StatusCode::NOT_FOUND => Err(RegistryError::NotFound { what: what.into() }),
        StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN => {
            let why =
                format!("{host} answered {}; check the credentials for it and their right to pull", answer.reason());
            Err(RegistryError::refused(what, why))
        }
        _ => Err(RegistryError::protocol(what, "HTTP 200", answer.reason())),
    }
}

fn too_many(what: &str, found: String) -> RegistryError {
    RegistryError::TooLarge { what: what.into(), found, limit: format!("{MOST_TAGS} tags in {MOST_PAGES} pages") }
}
