//! One request in the making: a route's template with its values, who asks, and whether it may be repeated.

use super::{auth::Grant, error::ForgeError, retry::Repeat};
use crate::engine::event::RepoName;
use axum::http::{HeaderMap, Method, header::LINK};
use serde::Serialize;
use std::fmt;
use url::Url;

/// In whose name a request is made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum As {
    /// The App itself, by its JWT.
    App,
    /// The installation that has this repository, with a token for this repository only.
    Repository(RepoName, Grant),
    /// An installation, with a token for all of its repositories.
    Installation(u64, Grant),
    /// Without a credential.
    Nobody,
}

/// A request. Its path is a template as in GitHub's reference, so that logs and errors name the route and not its values.
#[derive(Clone)]
pub(super) struct Call {
    pub(super) method: Method,
    pub(super) template: &'static str,
    values: Vec<String>,
    query: Vec<(&'static str, String)>,
    pub(super) body: Option<Result<Vec<u8>, String>>,
    pub(super) repeat: Repeat,
    pub(super) caller: As,
}

impl Call {
    fn new(method: Method, template: &'static str, caller: As) -> Self {
        let repeat = if method == Method::GET { Repeat::Safe } else { Repeat::Never };
        let values = match &caller {
            As::Repository(repo, _) => vec![repo.owner().to_owned(), repo.name().to_owned()],
            _ => Vec::new(),
        };
        Call { method, template, values, query: Vec::new(), body: None, repeat, caller }
    }

    pub(super) fn of_app(method: Method, template: &'static str) -> Self {
        Call::new(method, template, As::App)
    }

    pub(super) fn of(method: Method, template: &'static str, caller: As) -> Self {
        Call::new(method, template, caller)
    }

    /// A read of a repository: `template` begins with `/repos/{owner}/{repo}`.
    pub(super) fn look(repo: &RepoName, template: &'static str) -> Self {
        Call::new(Method::GET, template, As::Repository(repo.clone(), Grant::Look))
    }

    /// A write to a repository.
    pub(super) fn write(method: Method, repo: &RepoName, template: &'static str, grant: Grant) -> Self {
        Call::new(method, template, As::Repository(repo.clone(), grant))
    }

    /// The value of the next placeholder.
    pub(super) fn value(mut self, value: impl fmt::Display) -> Self {
        self.values.push(value.to_string());
        self
    }

    pub(super) fn query(mut self, name: &'static str, value: impl Into<String>) -> Self {
        self.query.push((name, value.into()));
        self
    }

    pub(super) fn body(mut self, body: &impl Serialize) -> Self {
        self.body = Some(serde_json::to_vec(body).map_err(|error| error.to_string()));
        self
    }

    /// GitHub documents that this write has the same effect twice.
    pub(super) fn repeatable(mut self) -> Self {
        self.repeat = Repeat::Safe;
        self
    }

    /// The address under `base` (the API's, with its path if it has one).
    pub(super) fn url(&self, base: &Url) -> Result<Url, ForgeError> {
        let bug = |why: String| ForgeError::Bug { call: self.to_string(), why };
        let mut url = base.clone();
        let mut values = self.values.iter();
        {
            let mut segments = url.path_segments_mut().map_err(|()| bug("the API's address has no path".into()))?;
            segments.pop_if_empty();
            for segment in self.template.split('/').skip(1) {
                if !segment.starts_with('{') {
                    segments.push(segment);
                    continue;
                }
                match values.next() {
                    // `push` leaves out dot segments, which would make this another route.
                    Some(value) if !matches!(value.as_str(), "" | "." | "..") => segments.push(value),
                    value => return Err(bug(format!("{segment} cannot be {value:?}"))),
                };
            }
        }
        if values.next().is_some() {
            return Err(bug("more values than placeholders".into()));
        }
        if !self.query.is_empty() {
            url.query_pairs_mut().extend_pairs(&self.query);
        }
        Ok(url)
    }
}

/// The method, the route and the repository; no values that a person wrote.
impl fmt::Display for Call {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.method, self.template)?;
        match &self.caller {
            As::Repository(repo, _) => write!(f, " of {repo}"),
            As::Installation(id, _) => write!(f, " of installation {id}"),
            As::App | As::Nobody => Ok(()),
        }
    }
}

/// Where the next page is (RFC 8288, `rel="next"`), as told.
pub(super) fn next_link(headers: &HeaderMap) -> Option<&str> {
    headers.get_all(LINK).iter().filter_map(|value| value.to_str().ok()).find_map(|value| {
        value.split(',').find_map(|link| {
            let (target, parameters) = link.trim().strip_prefix('<')?.split_once('>')?;
            let is_next =
                |p: &str| matches!(p.trim().split_once('='), Some(("rel", v)) if v.trim_matches('"') == "next");
            parameters.split(';').any(is_next).then_some(target)
        })
    })
}

/// The next page's address, where it is on the very host that the token is for; `Err` shows the host it is on instead.
pub(super) fn same_host(base: &Url, current: &Url, next: &str) -> Result<Url, String> {
    match current.join(next) {
        Ok(url) if url.origin() == base.origin() && url.username().is_empty() => Ok(url),
        Ok(url) => Err(url.host_str().unwrap_or("none").to_owned()),
        Err(_) => Err("none".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn routes_are_filled_and_escaped() {
        let repo: RepoName = "Acme/fleet".parse().unwrap();
        let branch = |name: &str| Call::look(&repo, "/repos/{owner}/{repo}/branches/{branch}").value(name);
        for (base, call, url) in [
            ("https://api.github.com", branch("main"), "https://api.github.com/repos/acme/fleet/branches/main"),
            ("https://ghe.test/api/v3/", branch("main"), "https://ghe.test/api/v3/repos/acme/fleet/branches/main"),
            ("http://127.0.0.1:1", branch("a/b%?#c"), "http://127.0.0.1:1/repos/acme/fleet/branches/a%2Fb%25%3F%23c"),
            (
                "http://h",
                Call::look(&repo, "/repos/{owner}/{repo}/pulls").query("head", "acme:x&y"),
                "http://h/repos/acme/fleet/pulls?head=acme%3Ax%26y",
            ),
            ("http://h", Call::of(Method::GET, "/users/{login}", As::Nobody).value("b[bot]"), "http://h/users/b[bot]"),
        ] {
            assert_eq!(call.url(&base.parse().unwrap()).unwrap().as_str(), url);
        }
        for value in ["..", ".", ""] {
            assert!(matches!(branch(value).url(&"http://h".parse().unwrap()), Err(ForgeError::Bug { .. })), "{value}");
        }
        assert_eq!(branch("secret").to_string(), "GET /repos/{owner}/{repo}/branches/{branch} of acme/fleet");
    }

    #[test]
    fn next_pages_are_followed_on_the_same_host_only() {
        let base: Url = "https://api.github.com".parse().unwrap();
        let current: Url = "https://api.github.com/repositories/1/pulls?page=1".parse().unwrap();
        for (link, followed) in [
            (r#"<https://api.github.com/a?page=2>; rel="next""#, Some(Ok("https://api.github.com/a?page=2"))),
            (
                r#"<https://api.github.com/a?page=9>; rel="last", <https://api.github.com/a?page=2>; rel="next""#,
                Some(Ok("https://api.github.com/a?page=2")),
            ),
            (r#"</a?page=2>; rel=next"#, Some(Ok("https://api.github.com/a?page=2"))),
            (r#"<https://api.github.com/a?page=1>; rel="prev""#, None),
            (r#"<https://evil.test/a?page=2>; rel="next""#, Some(Err("evil.test"))),
            (r#"<https://api.github.com:8443/a>; rel="next""#, Some(Err("api.github.com"))),
            (r#"<http://api.github.com/a>; rel="next""#, Some(Err("api.github.com"))),
            (r#"<https://user@api.github.com/a>; rel="next""#, Some(Err("api.github.com"))),
            ("nonsense", None),
            ("", None),
        ] {
            let headers: HeaderMap = [(LINK, link.parse().unwrap())].into_iter().collect();
            let next = next_link(&headers).map(|next| same_host(&base, &current, next).map(String::from));
            assert_eq!(next, followed.map(|f| f.map(str::to_owned).map_err(str::to_owned)), "{link}");
        }
    }
}
