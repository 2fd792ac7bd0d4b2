//! Requests with their limits: addresses that may be asked, time, size, redirects, repetition.

use super::{
    RegistryError,
    address::{Addresses, NotPublic, Resolver, authority},
    error::excerpt,
};
use reqwest::{
    Client, Method, StatusCode,
    header::{ACCEPT, AUTHORIZATION, HeaderMap, HeaderValue, LOCATION, RETRY_AFTER},
    redirect::Policy,
};
use serde::Deserialize;
use std::{error::Error, time::Duration};
use url::Url;

/// How often one request is tried: it only reads, so that repeating it is safe.
const ATTEMPTS: u32 = 3;
/// The wait before the second attempt; doubled for each one after it, less a random half of it.
const FIRST_WAIT: Duration = Duration::from_millis(250);
/// A registry that asks for more patience than this is left alone, and the caller told until when.
const LONGEST_WAIT: Duration = Duration::from_secs(5);
/// When to come back where the registry does not say.
const COME_BACK: Duration = Duration::from_secs(60);
const LATEST_COME_BACK: Duration = Duration::from_secs(3600);
const REDIRECTS: usize = 5;
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);
/// For one attempt, with its body.
const TIMEOUT: Duration = Duration::from_secs(60);
const PROXY_VARIABLES: [&str; 6] = ["HTTPS_PROXY", "https_proxy", "HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy"];

/// One request that reads something.
#[derive(Clone)]
pub(super) struct Call<'a> {
    pub method: Method,
    pub url: Url,
    pub accept: &'static str,
    pub authorization: Option<HeaderValue>,
    /// The longest body that is read, in bytes after decompression.
    pub limit: usize,
    /// What is asked, for messages: `tags of quay.io/app`.
    pub what: &'a str,
}

impl<'a> Call<'a> {
    pub fn get(url: Url, accept: &'static str, limit: usize, what: &'a str) -> Self {
        Call { method: Method::GET, url, accept, authorization: None, limit, what }
    }
    pub fn head(url: Url, accept: &'static str, what: &'a str) -> Self {
        Call { method: Method::HEAD, url, accept, authorization: None, limit: 0, what }
    }
    pub fn with(self, authorization: Option<HeaderValue>) -> Self {
        Call { authorization, ..self }
    }
}

/// What came back, after redirects.
pub(super) struct Answer {
    /// Who answered.
    pub url: Url,
    pub status: StatusCode,
    pub headers: HeaderMap,
    pub body: Vec<u8>,
}

impl Answer {
    /// The status and the specification's error code, for messages. Not the registry's own sentence: it could repeat
    /// what was sent to it.
    pub fn reason(&self) -> String {
        #[derive(Deserialize)]
        struct Errors {
            errors: Vec<Code>,
        }
        #[derive(Deserialize)]
        struct Code {
            code: String,
        }
        let code = serde_json::from_slice::<Errors>(&self.body)
            .ok()
            .and_then(|errors| errors.errors.into_iter().next())
            .map(|error| error.code)
            .filter(|code| code.len() <= 40 && code.bytes().all(|b| b.is_ascii_uppercase() || b == b'_'));
        match code {
            Some(code) => format!("HTTP {} {code}", self.status.as_u16()),
            None => format!("HTTP {}", self.status.as_u16()),
        }
    }
}

/// Sends requests to where they may go.
pub(super) struct Transport {
    client: Client,
    pub addresses: Addresses,
}

/// How one attempt ended badly.
enum Failure {
    /// Worth another attempt, after this time where the registry says so.
    Again {
        why: String,
        after: Option<Duration>,
    },
    Final(RegistryError),
}

impl Transport {
    pub fn new(addresses: Addresses) -> Result<Self, RegistryError> {
        // A proxy resolves names itself, so that the check of addresses is the proxy's to make then.
        let proxies = PROXY_VARIABLES.iter().filter_map(|name| std::env::var(name).ok());
        let client = Client::builder()
            .user_agent(concat!("butler/", env!("CARGO_PKG_VERSION")))
            .connect_timeout(CONNECT_TIMEOUT)
            .timeout(TIMEOUT)
            .redirect(Policy::none())
            .dns_resolver(Resolver::new(&addresses, proxies))
            .build()
            .map_err(|e| RegistryError::protocol("the HTTP client", "to be made", causes(&e)))?;
        Ok(Transport { client, addresses })
    }

    /// Sends a request, follows redirects and repeats what failed in passing. Every other status is an answer.
    pub async fn send(&self, call: &Call<'_>) -> Result<Answer, RegistryError> {
        let mut call = call.clone();
        let asked_configured = self.addresses.is_configured(&call.url);
        for _ in 0..=REDIRECTS {
            self.addresses.check(&call.url).map_err(|why| RegistryError::refused(call.what, why))?;
            let answer = self.patiently(&call).await?;
            let Some(target) = redirect(&answer, call.what)? else { return Ok(answer) };
            if target.origin() != call.url.origin() {
                call.authorization = None;
                // Another registry's answer is no reason to open a configured, possibly private, host.
                if self.addresses.is_configured(&target) && !asked_configured {
                    let why = format!("redirected from a public registry to {}", authority(&target));
                    return Err(RegistryError::refused(call.what, why));
                }
            }
            call.url = target;
        }
        Err(RegistryError::protocol(call.what, format!("at most {REDIRECTS} redirects"), "more"))
    }

    async fn patiently(&self, call: &Call<'_>) -> Result<Answer, RegistryError> {
        let mut attempt = 1;
        loop {
            let (why, after) = match self.once(call).await {
                Ok(answer) => return Ok(answer),
                Err(Failure::Final(error)) => return Err(error),
                Err(Failure::Again { why, after }) => (why, after),
            };
            let wait = after.unwrap_or_else(|| backoff(attempt));
            if attempt == ATTEMPTS || wait > LONGEST_WAIT {
                let after = after.unwrap_or(COME_BACK).min(LATEST_COME_BACK);
                return Err(RegistryError::RetryLater { what: call.what.into(), why, after });
            }
            tracing::debug!(what = call.what, attempt, why, "registry asked again");
            tokio::time::sleep(wait).await;
            attempt += 1;
        }
    }

    async fn once(&self, call: &Call<'_>) -> Result<Answer, Failure> {
        let mut request = self.client.request(call.method.clone(), call.url.clone()).header(ACCEPT, call.accept);
        if let Some(authorization) = &call.authorization {
            request = request.header(AUTHORIZATION, authorization);
        }
        let mut response = request.send().await.map_err(|e| failure(e, call))?;
        let (status, headers) = (response.status(), response.headers().clone());
        if status.is_server_error() || matches!(status, StatusCode::TOO_MANY_REQUESTS | StatusCode::REQUEST_TIMEOUT) {
            let why = format!("{} answered HTTP {}", authority(&call.url), status.as_u16());
            return Err(Failure::Again { why, after: retry_after(&headers) });
        }
        let mut body = Vec::new();
        while let Some(chunk) = response.chunk().await.map_err(|e| failure(e, call))? {
            if body.len() + chunk.len() > call.limit {
                return Err(Failure::Final(RegistryError::TooLarge {
                    what: call.what.into(),
                    found: "a longer answer".into(),
                    limit: format!("{} bytes", call.limit),
                }));
            }
            body.extend_from_slice(&chunk);
        }
        Ok(Answer { url: call.url.clone(), status, headers, body })
    }
}

/// The target of a redirect.
fn redirect(answer: &Answer, what: &str) -> Result<Option<Url>, RegistryError> {
    if !matches!(answer.status.as_u16(), 301 | 302 | 303 | 307 | 308) {
        return Ok(None);
    }
    let location = answer.headers.get(LOCATION).and_then(|l| l.to_str().ok()).unwrap_or_default();
    // The address itself may hold a signature, and is not for messages.
    let target = answer.url.join(location).ok().filter(|_| !location.is_empty());
    match target {
        Some(target) => Ok(Some(target)),
        None => Err(RegistryError::protocol(what, "an address with the redirect", "none that can be read")),
    }
}

fn failure(error: reqwest::Error, call: &Call<'_>) -> Failure {
    // Addresses of redirects may hold signatures.
    let error = error.without_url();
    let mut source: Option<&(dyn Error + 'static)> = Some(&error);
    while let Some(cause) = source {
        if let Some(not_public) = cause.downcast_ref::<NotPublic>() {
            return Failure::Final(RegistryError::refused(call.what, not_public.to_string()));
        }
        source = cause.source();
    }
    Failure::Again { why: format!("{} cannot be reached: {}", authority(&call.url), causes(&error)), after: None }
}

/// An error with its causes, as one line.
fn causes(error: &dyn Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        text.push_str(": ");
        text.push_str(&cause.to_string());
        source = cause.source();
    }
    excerpt(&text)
}

/// Exponential, with jitter: between half of the wait and the whole.
fn backoff(attempt: u32) -> Duration {
    let whole = FIRST_WAIT * 2u32.saturating_pow(attempt - 1);
    whole.mul_f64(rand::random_range(0.5..=1.0)).min(LONGEST_WAIT)
}

/// RFC 9110, section 10.2.3: seconds or a date.
fn retry_after(headers: &HeaderMap) -> Option<Duration> {
    let text = headers.get(RETRY_AFTER)?.to_str().ok()?.trim();
    if let Ok(seconds) = text.parse() {
        return Some(Duration::from_secs(seconds));
    }
    let at = jiff::fmt::rfc2822::parse(text).ok()?.timestamp();
    Some(Duration::try_from(at.duration_since(jiff::Timestamp::now())).unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn retry_after_is_seconds_or_a_date() {
        let seconds = |text: &str| {
            let headers = HeaderMap::from_iter([(RETRY_AFTER, HeaderValue::from_str(text).unwrap())]);
            retry_after(&headers).map(|d| d.as_secs())
        };
        assert_eq!(seconds("120"), Some(120));
        assert_eq!(seconds("Wed, 21 Oct 2015 07:28:00 GMT"), Some(0));
        assert!(seconds("Fri, 31 Dec 2100 23:59:59 GMT").is_some_and(|s| s > 1_000_000));
        assert_eq!(seconds("soon"), None);
        assert_eq!(seconds("-1"), None);
    }

    #[test]
    fn reasons_hold_the_code_and_nothing_that_a_registry_repeats() {
        let reason = |body: &str| {
            let url = Url::parse("https://r.example/").unwrap();
            Answer { url, status: StatusCode::FORBIDDEN, headers: HeaderMap::new(), body: body.into() }.reason()
        };
        assert_eq!(reason(r#"{"errors":[{"code":"DENIED","message":"Basic c2VjcmV0"}]}"#), "HTTP 403 DENIED");
        assert_eq!(reason(r#"{"errors":[{"code":"Basic c2VjcmV0"}]}"#), "HTTP 403");
        assert_eq!(reason("<html>"), "HTTP 403");
    }
}
