//! How a registry is told who asks: Basic, or a bearer token from the token server that its challenge names
//! (<https://distribution.github.io/distribution/spec/auth/token/>).

use super::{
    Credentials, RegistryError,
    address::{Endpoint, authority, reference_host},
    error::excerpt,
    transport::{Answer, Call, Transport},
};
use base64::{Engine, prelude::BASE64_STANDARD};
use reqwest::{
    StatusCode,
    header::{HeaderValue, WWW_AUTHENTICATE},
};
use secrecy::ExposeSecret;
use serde::Deserialize;
use std::{
    collections::HashMap,
    sync::{Mutex, PoisonError},
    time::{Duration, Instant},
};
use url::Url;

/// Token servers of another domain than their registry's: (registry, token server).
const TOKEN_SERVERS: [(&str, &str); 1] = [("lscr.io", "ghcr.io")];
/// What a token lives where its server does not say (the token specification).
const DEFAULT_LIFE: Duration = Duration::from_secs(60);
/// A token is renewed this long before its end, so that it does not end on the way.
const MARGIN: Duration = Duration::from_secs(10);
/// The longest that a token is trusted to live, whatever its server says.
const LONGEST_LIFE: Duration = Duration::from_secs(12 * 3600);
const TOKEN_LIMIT: usize = 1 << 20;

/// Credentials, and the tokens that were got with them.
pub(super) struct Auth {
    credentials: HashMap<String, Credentials>,
    /// (registry's host, scope) -> what to send.
    granted: Mutex<HashMap<(String, String), Grant>>,
}

#[derive(Clone)]
struct Grant {
    header: HeaderValue,
    /// `None` for Basic, which does not end.
    until: Option<Instant>,
}

/// Who asks for what.
#[derive(Clone, Copy)]
pub(super) struct Scope<'a> {
    pub endpoint: &'a Endpoint,
    /// `library/nginx`
    pub path: &'a str,
    /// For messages.
    pub what: &'a str,
}

impl Scope<'_> {
    fn text(&self) -> String {
        format!("repository:{}:pull", self.path)
    }
    fn key(&self) -> (String, String) {
        (self.endpoint.host.clone(), self.text())
    }
}

#[derive(Deserialize)]
struct TokenAnswer {
    token: Option<String>,
    access_token: Option<String>,
    expires_in: Option<u64>,
}

impl Auth {
    pub fn new(credentials: Vec<Credentials>) -> Self {
        let credentials = credentials.into_iter().map(|c| (reference_host(&c.host), c)).collect();
        Auth { credentials, granted: Mutex::default() }
    }

    /// What was granted for this scope and still holds.
    pub fn known(&self, scope: Scope<'_>) -> Option<HeaderValue> {
        let granted = self.granted.lock().unwrap_or_else(PoisonError::into_inner);
        let grant = granted.get(&scope.key())?;
        grant.until.is_none_or(|until| Instant::now() < until).then(|| grant.header.clone())
    }

    pub fn forget(&self, scope: Scope<'_>) {
        self.granted.lock().unwrap_or_else(PoisonError::into_inner).remove(&scope.key());
    }

    /// Answers the challenge of a 401: what to send with the next attempt. It is remembered for the scope.
    pub async fn answer(
        &self,
        transport: &Transport,
        scope: Scope<'_>,
        refused: &Answer,
    ) -> Result<HeaderValue, RegistryError> {
        let challenges: Vec<Challenge> = refused
            .headers
            .get_all(WWW_AUTHENTICATE)
            .iter()
            .filter_map(|h| h.to_str().ok())
            .flat_map(challenges)
            .collect();
        let grant = if let Some(bearer) = challenges.iter().find(|c| c.is("bearer")) {
            self.token(transport, scope, bearer).await?
        } else if challenges.iter().any(|c| c.is("basic")) {
            let header = self.basic(&scope.endpoint.host).ok_or_else(|| {
                let host = &scope.endpoint.host;
                RegistryError::refused(
                    scope.what,
                    format!("{host} asks for credentials and the settings have none for it"),
                )
            })?;
            Grant { header, until: None }
        } else {
            return Err(RegistryError::protocol(scope.what, "a Bearer or Basic challenge with the 401", "none"));
        };
        let header = grant.header.clone();
        let mut granted = self.granted.lock().unwrap_or_else(PoisonError::into_inner);
        granted.retain(|_, grant| grant.until.is_none_or(|until| Instant::now() < until));
        granted.insert(scope.key(), grant);
        Ok(header)
    }

    fn basic(&self, host: &str) -> Option<HeaderValue> {
        let credentials = self.credentials.get(host).filter(|c| !c.username.is_empty())?;
        let pair = format!("{}:{}", credentials.username, credentials.password.expose_secret());
        sensitive(&format!("Basic {}", BASE64_STANDARD.encode(pair)))
    }

    async fn token(
        &self,
        transport: &Transport,
        scope: Scope<'_>,
        challenge: &Challenge,
    ) -> Result<Grant, RegistryError> {
        let host = &scope.endpoint.host;
        let realm = challenge.parameter("realm").unwrap_or_default();
        let mut url = Url::parse(realm)
            .map_err(|_| RegistryError::protocol(scope.what, "a token server's address as realm", excerpt(realm)))?;
        check_realm(scope.endpoint, &url).map_err(|why| RegistryError::refused(scope.what, why))?;
        if let Some(service) = challenge.parameter("service") {
            url.query_pairs_mut().append_pair("service", service);
        }
        // Always the least that is needed, whatever the challenge asks for.
        url.query_pairs_mut().append_pair("scope", &scope.text());

        let what = format!("{}: token from {}", scope.what, authority(&url));
        let authorization = self.basic(host);
        let anonymous = authorization.is_none();
        let answer =
            transport.send(&Call::get(url, "application/json", TOKEN_LIMIT, &what).with(authorization)).await?;
        match answer.status {
            StatusCode::OK => {}
            StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN if anonymous => {
                let why = format!("no access without credentials, and the settings have none for {host}");
                return Err(RegistryError::refused(&what, why));
            }
            StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN => {
                let why = format!("the credentials in the settings for {host} were not accepted ({})", answer.reason());
                return Err(RegistryError::refused(&what, why));
            }
            _ => return Err(RegistryError::protocol(&what, "HTTP 200", answer.reason())),
        }
        // The parser's message would quote the answer, which holds the token.
        let malformed = || RegistryError::protocol(&what, "JSON with a token", "something else");
        let token: TokenAnswer = serde_json::from_slice(&answer.body).map_err(|_| malformed())?;
        let life = token.expires_in.map_or(DEFAULT_LIFE, Duration::from_secs).min(LONGEST_LIFE).saturating_sub(MARGIN);
        let text = token.token.or(token.access_token).filter(|t| !t.is_empty()).ok_or_else(malformed)?;
        let header = sensitive(&format!("Bearer {text}")).ok_or_else(malformed)?;
        Ok(Grant { header, until: Some(Instant::now() + life) })
    }
}

fn sensitive(text: &str) -> Option<HeaderValue> {
    let mut header = HeaderValue::from_str(text).ok()?;
    header.set_sensitive(true);
    Some(header)
}

/// Credentials go to the registry's own token server only: the same host, the same registrable domain
/// (`registry.gitlab.com` and `gitlab.com`), or a pair known to belong together; in the clear only where the settings
/// say so for the registry.
fn check_realm(endpoint: &Endpoint, realm: &Url) -> Result<(), String> {
    let (registry, server) = (endpoint.base.host_str().unwrap_or_default(), realm.host_str().unwrap_or_default());
    if realm.scheme() != "https" && !(endpoint.insecure && realm.scheme() == "http") {
        return Err(format!("expected a token server over https, found {}", excerpt(realm.scheme())));
    }
    let sibling = match (endpoint.base.domain(), realm.domain()) {
        (Some(registry), Some(server)) => registrable(registry) == registrable(server),
        _ => false,
    };
    if registry == server || sibling || TOKEN_SERVERS.contains(&(endpoint.host.as_str(), server)) {
        Ok(())
    } else {
        Err(format!("its token server {} belongs to another domain; no credentials are sent there", excerpt(server)))
    }
}

/// The part of a name that somebody registers, near enough: two labels, or three under `co.uk` and the like. What it
/// guards is small (a registry sees its own credentials anyway), so that it does not pay for the public suffix list.
fn registrable(host: &str) -> &str {
    const SECOND_LEVEL: [&str; 7] = ["ac", "co", "com", "edu", "gov", "net", "org"];
    let mut labels = host.rsplit('.');
    let (top, second) = (labels.next().unwrap_or_default(), labels.next().unwrap_or_default());
    let count = if top.len() == 2 && SECOND_LEVEL.contains(&second) { 3 } else { 2 };
    let length: usize = host.rsplit('.').take(count).map(|label| label.len() + 1).sum();
    &host[host.len().saturating_sub(length.saturating_sub(1))..]
}

/// One challenge of a `WWW-Authenticate` header (RFC 9110, section 11.6.1).
#[derive(Debug, PartialEq, Eq)]
struct Challenge {
    scheme: String,
    parameters: Vec<(String, String)>,
}

impl Challenge {
    fn is(&self, scheme: &str) -> bool {
        self.scheme.eq_ignore_ascii_case(scheme)
    }
    fn parameter(&self, name: &str) -> Option<&str> {
        self.parameters.iter().find(|(key, _)| key.eq_ignore_ascii_case(name)).map(|(_, value)| value.as_str())
    }
}

/// Reads the challenges of one header; what follows a mistake is left out.
fn challenges(header: &str) -> Vec<Challenge> {
    let mut found: Vec<Challenge> = Vec::new();
    let mut rest = header.trim_start_matches([' ', ',', '\t']);
    while !rest.is_empty() {
        let end = rest.find([' ', '=', ',']).unwrap_or(rest.len());
        let (word, after) = rest.split_at(end);
        let value = after.trim_start().strip_prefix('=');
        match (value, found.last_mut()) {
            (Some(value), Some(challenge)) => {
                let Some((value, after)) = parameter_value(value.trim_start()) else { break };
                challenge.parameters.push((word.into(), value));
                rest = after;
            }
            (None, _) if !word.is_empty() => {
                found.push(Challenge { scheme: word.into(), parameters: Vec::new() });
                rest = after;
            }
            _ => break,
        }
        rest = rest.trim_start_matches([' ', ',', '\t']);
    }
    found
}

/// A token or a quoted string, and what follows.
fn parameter_value(text: &str) -> Option<(String, &str)> {
    let Some(quoted) = text.strip_prefix('"') else {
        let end = text.find([',', ' ']).unwrap_or(text.len());
        return Some((text[..end].into(), &text[end..]));
    };
    let mut value = String::new();
    let mut characters = quoted.char_indices();
    while let Some((at, character)) = characters.next() {
        match character {
            '"' => return Some((value, &quoted[at + 1..])),
            '\\' => value.push(characters.next()?.1),
            other => value.push(other),
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn challenges_are_read() {
        /// As `scheme key=<value> …; …`
        fn shown(header: &str) -> String {
            let one = |c: &Challenge| {
                let parameters = c.parameters.iter().map(|(key, value)| format!(" {key}=<{value}>"));
                format!("{}{}", c.scheme, parameters.collect::<String>())
            };
            challenges(header).iter().map(one).collect::<Vec<_>>().join("; ")
        }
        #[rustfmt::skip]
        let table = [
            (r#"Bearer realm="https://auth.docker.io/token",service="registry.docker.io",scope="repository:a/b:pull,push""#,
             "Bearer realm=<https://auth.docker.io/token> service=<registry.docker.io> scope=<repository:a/b:pull,push>"),
            (r#"Basic realm="Registry Realm""#, "Basic realm=<Registry Realm>"),
            ("bearer realm=https://r.example/token , service = x", "bearer realm=<https://r.example/token> service=<x>"),
            (r#"Basic realm="a \"b\"", Bearer realm="c""#, r#"Basic realm=<a "b">; Bearer realm=<c>"#),
            ("Negotiate", "Negotiate"),
            ("Negotiate, Basic realm=x", "Negotiate; Basic realm=<x>"),
            ("", ""),
            (r#"realm="no scheme""#, ""),
            (r#"Bearer realm="never closed"#, "Bearer"),
        ];
        for (header, expected) in table {
            assert_eq!(shown(header), expected, "{header}");
        }
    }

    #[test]
    fn token_servers_that_get_credentials() {
        #[rustfmt::skip]
        let table = [
            ("https://registry-1.docker.io/", "docker.io", false, "https://auth.docker.io/token", true),
            ("https://registry.gitlab.com/", "registry.gitlab.com", false, "https://gitlab.com/jwt/auth", true),
            ("https://docker.elastic.co/", "docker.elastic.co", false, "https://docker-auth.elastic.co/auth", true),
            ("https://ghcr.io/", "ghcr.io", false, "https://ghcr.io/token", true),
            ("https://lscr.io/", "lscr.io", false, "https://ghcr.io/token", true),
            ("https://ghcr.io/", "ghcr.io", false, "http://ghcr.io/token", false),
            ("https://ghcr.io/", "ghcr.io", false, "https://evil.example/token", false),
            ("https://ghcr.io/", "ghcr.io", false, "https://other.io/token", false),
            ("https://r.firm.co.uk/", "r.firm.co.uk", false, "https://other.co.uk/token", false),
            ("https://r.firm.co.uk/", "r.firm.co.uk", false, "https://auth.firm.co.uk/token", true),
            ("http://127.0.0.1:5000/", "127.0.0.1:5000", true, "http://127.0.0.1:5000/token", true),
            ("http://127.0.0.1:5000/", "127.0.0.1:5000", true, "http://10.0.0.1/token", false),
            ("https://10.0.0.1/", "10.0.0.1", false, "https://99.0.0.1/token", false),
            ("http://localhost:5000/", "localhost:5000", true, "ftp://localhost/token", false),
        ];
        for (base, host, insecure, realm, expected) in table {
            let endpoint = Endpoint { host: host.into(), base: Url::parse(base).unwrap(), insecure };
            assert_eq!(check_realm(&endpoint, &Url::parse(realm).unwrap()).is_ok(), expected, "{host} -> {realm}");
        }
    }
}
