//! A reference to an image, and the repository that it points into.

use super::grammar::{cut, is_digest, is_host, is_path_component, is_tag};
use serde::{Deserialize, Serialize};
use std::fmt;

/// The longest path of a repository, in bytes.
const PATH_MAX: usize = 255;
/// The registry that a name without a host means.
const DOCKER_HUB: &str = "docker.io";

/// An image repository in its normalised form: `docker.io/library/nginx` for `nginx`. Compared by that form only; the
/// host is folded to lower case, `index.docker.io` is `docker.io`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Repository {
    host: String,
    path: String,
}

/// An image reference, with the spelling that its author used.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reference {
    /// The name as written, without tag and digest: `nginx`.
    pub name: String,
    pub repository: Repository,
    pub tag: Option<String>,
    /// `sha256:…`
    pub digest: Option<String>,
}

/// Why a text is no image reference. Someone must fix the text.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{text:?} is not an image reference: {why}")]
pub struct ReferenceError {
    pub text: String,
    pub why: String,
}

impl Repository {
    /// Reads a repository: a reference without tag and digest, in any spelling.
    ///
    /// # Errors
    /// Where the text is no reference, or has a tag or a digest (as Flux's ImageRepository refuses them).
    pub fn parse(text: &str) -> Result<Self, ReferenceError> {
        let reference = Reference::parse(text)?;
        match &text[reference.name.len()..] {
            "" => Ok(reference.repository),
            extra => Err(refuse(text, format!("expected a repository without tag and digest; remove `{extra}`"))),
        }
    }

    /// `docker.io`, `localhost:5000`
    pub fn host(&self) -> &str {
        &self.host
    }

    /// `library/nginx`
    pub fn path(&self) -> &str {
        &self.path
    }
}

impl Reference {
    /// Reads a reference as the distribution project's `ParseNormalizedNamed` does: the first component is a host only
    /// where it has a `.` or a `:`, is `localhost`, or has upper-case letters; anything else is on Docker Hub.
    ///
    /// # Errors
    /// With what stands where, and what is allowed there.
    pub fn parse(text: &str) -> Result<Self, ReferenceError> {
        let error = |why: String| refuse(text, why);
        if text.is_empty() {
            return Err(error("it is empty; expected [host[:port]/]path[:tag][@digest]".into()));
        }
        if text.len() == 64 && text.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f')) {
            return Err(error("64 hexadecimal digits are an image's id, not a name".into()));
        }
        let (rest, digest) = match cut(text, b'@') {
            Some((_, digest)) if !is_digest(digest) => {
                return Err(error(format!(
                    "{digest:?} is not a digest; expected sha256: and 64 lower-case hex digits"
                )));
            }
            Some((rest, digest)) => (rest, Some(digest.to_owned())),
            None => (text, None),
        };
        // A colon after the last slash begins a tag; one before it is a port.
        let last = rest.bytes().rposition(|b| b == b'/').map_or(0, |slash| slash + 1);
        let (name, tag) = match rest.bytes().skip(last).position(|b| b == b':') {
            Some(colon) => (&rest[..last + colon], Some(&rest[last + colon + 1..])),
            None => (rest, None),
        };
        if let Some(tag) = tag
            && !is_tag(tag)
        {
            return Err(error(format!(
                "{tag:?} is not a tag; expected 1 to 128 letters, digits, `_`, `.` or `-`, the first neither `.` nor `-`"
            )));
        }
        let repository = normalise(name).map_err(error)?;
        Ok(Reference { name: name.to_owned(), repository, tag: tag.map(str::to_owned), digest })
    }

    /// The reference with another tag (and digest, where one is given), its name spelled as the author did.
    pub fn with_tag(&self, tag: &str, digest: Option<&str>) -> String {
        match digest {
            Some(digest) => format!("{}:{tag}@{digest}", self.name),
            None => format!("{}:{tag}", self.name),
        }
    }
}

fn refuse(text: &str, why: String) -> ReferenceError {
    ReferenceError { text: text.chars().take(500).collect(), why }
}

fn normalise(name: &str) -> Result<Repository, String> {
    let (host, path) = match cut(name, b'/') {
        Some((first, path)) if is_named_as_host(first) || has_upper(first) => (first, path),
        _ => (DOCKER_HUB, name),
    };
    if !is_host(host) {
        return Err(format!("{host:?} is not a host; expected a name or an address, with an optional port"));
    }
    if has_upper(path) {
        return Err(format!("the path {path:?} has upper-case letters; repositories are lower case"));
    }
    if let Some(component) = path.as_bytes().split(|b| *b == b'/').find(|c| !is_path_component(c)) {
        return Err(format!(
            "{:?} in the path is not allowed; expected lower-case letters and digits, joined by `.`, `_`, `__` or `-`",
            String::from_utf8_lossy(component)
        ));
    }
    let mut host = host.to_owned();
    // Of others only their upper-case letters tell that they are hosts at all.
    if is_named_as_host(&host) || host.eq_ignore_ascii_case("localhost") {
        host.make_ascii_lowercase();
    }
    if host == "index.docker.io" {
        DOCKER_HUB.clone_into(&mut host);
    }
    let path = if host == DOCKER_HUB && !path.contains('/') { format!("library/{path}") } else { path.to_owned() };
    if path.len() > PATH_MAX {
        return Err(format!("the path has {} bytes; at most {PATH_MAX} are allowed", path.len()));
    }
    Ok(Repository { host, path })
}

fn is_named_as_host(component: &str) -> bool {
    component == "localhost" || component.bytes().any(|b| matches!(b, b'.' | b':'))
}

fn has_upper(text: &str) -> bool {
    text.bytes().any(|b| b.is_ascii_uppercase())
}

impl fmt::Display for Repository {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.host, self.path)
    }
}

/// As written: the normalised form is [`Reference::repository`].
impl fmt::Display for Reference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.name)?;
        if let Some(tag) = &self.tag {
            write!(f, ":{tag}")?;
        }
        if let Some(digest) = &self.digest {
            write!(f, "@{digest}")?;
        }
        Ok(())
    }
}

impl TryFrom<String> for Repository {
    type Error = ReferenceError;
    fn try_from(text: String) -> Result<Self, Self::Error> {
        Repository::parse(&text)
    }
}

impl From<Repository> for String {
    fn from(repository: Repository) -> String {
        repository.to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const DIGEST: &str = "sha256:aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa";

    #[test]
    fn names_are_normalised_and_their_spelling_is_kept() {
        #[rustfmt::skip]
        let cases = [
            // text, normalised, tag
            ("nginx", "docker.io/library/nginx", None),
            ("nginx:1.27", "docker.io/library/nginx", Some("1.27")),
            ("docker.io/nginx:1", "docker.io/library/nginx", Some("1")),
            ("docker.io/library/nginx", "docker.io/library/nginx", None),
            ("index.docker.io/library/nginx", "docker.io/library/nginx", None),
            ("INDEX.Docker.io/nginx", "docker.io/library/nginx", None),
            ("registry-1.docker.io/library/nginx", "registry-1.docker.io/library/nginx", None),
            ("cafe", "docker.io/library/cafe", None),
            ("team/app:v1", "docker.io/team/app", Some("v1")),
            ("localhost/app:v1", "localhost/app", Some("v1")),
            ("localhost:5000/app", "localhost:5000/app", None),
            ("host:5000/x", "host:5000/x", None),
            ("host:5000", "docker.io/library/host", Some("5000")),
            ("host:5000/x:y", "host:5000/x", Some("y")),
            ("GHCR.io/team/app", "ghcr.io/team/app", None),
            ("Team/app", "Team/app", None),
            ("LOCALHOST/app", "localhost/app", None),
            ("gcr.io/a/b/c/d:1", "gcr.io/a/b/c/d", Some("1")),
            ("reg.io/n:1", "reg.io/n", Some("1")),
            ("[::1]:5000/app", "[::1]:5000/app", None),
            ("127.0.0.1/x", "127.0.0.1/x", None),
            ("283234040926.dkr.ecr.us-east-2.amazonaws.com/lrl_falcon_bartender:qa-1",
             "283234040926.dkr.ecr.us-east-2.amazonaws.com/lrl_falcon_bartender", Some("qa-1")),
        ];
        for (text, normalised, tag) in cases {
            let reference = Reference::parse(text).unwrap();
            assert_eq!(reference.repository.to_string(), normalised, "{text}");
            assert_eq!(reference.tag.as_deref(), tag, "{text}");
            assert_eq!(reference.to_string(), text, "as written");
            let pinned = Reference::parse(&format!("{text}@{DIGEST}")).unwrap();
            assert_eq!(
                (pinned.name, pinned.tag.as_deref(), pinned.digest.as_deref()),
                (reference.name, tag, Some(DIGEST))
            );
        }
    }

    #[test]
    fn what_is_no_reference_says_why() {
        let long = "a".repeat(256);
        #[rustfmt::skip]
        let cases = [
            ("", "empty"),
            ("nginx:", "not a tag"),
            ("nginx:-x", "not a tag"),
            (&format!("nginx:{}", "a".repeat(129)), "not a tag"),
            ("nginx:a:b", "not a tag"),
            ("nginx@", "not a digest"),
            ("nginx@sha256:abc", "not a digest"),
            ("nginx:1@sha256:x@y", "not a digest"),
            ("App", "upper-case"),
            ("reg.io/App:1", "upper-case"),
            ("a//b", "\"\" in the path"),
            ("/a", "\"\" in the path"),
            ("reg.io/", "\"\" in the path"),
            ("https://reg.io/app", "not a host"),
            ("reg.io:port/app", "not a host"),
            ("-a.io/app", "not a host"),
            ("nginx 1", "\"nginx 1\" in the path"),
            (" nginx", "\" nginx\" in the path"),
            (&"a".repeat(64), "image's id"),
            (&format!("reg.io/{long}"), "at most 255"),
            ("ünï/app", "\"ünï\" in the path"),
        ];
        for (text, why) in cases {
            let error = Reference::parse(text).unwrap_err().to_string();
            assert!(error.contains(why), "{text:?}: {error}");
        }
    }

    #[test]
    fn a_repository_has_no_tag() {
        let nginx = Repository::parse("nginx").unwrap();
        assert_eq!((nginx.host(), nginx.path()), ("docker.io", "library/nginx"));
        assert_eq!(String::from(nginx.clone()), "docker.io/library/nginx");
        assert_eq!(Repository::try_from("docker.io/library/nginx".to_owned()), Ok(nginx));
        assert!(Repository::parse(&format!("reg.io/{}", "a".repeat(255))).is_ok());
        let error = Repository::parse("localhost:5000/foo:v1").unwrap_err().to_string();
        assert!(error.contains("remove `:v1`"), "{error}");
        assert!(Repository::parse(&format!("nginx@{DIGEST}")).is_err());
    }

    #[test]
    fn another_tag_keeps_the_spelling() {
        let reference = Reference::parse(&format!("docker.io/nginx:1@{DIGEST}")).unwrap();
        assert_eq!(reference.with_tag("2", None), "docker.io/nginx:2");
        assert_eq!(reference.with_tag("2", Some(DIGEST)), format!("docker.io/nginx:2@{DIGEST}"));
    }

    proptest! {
        #[test]
        fn parsing_never_panics_and_prints_what_it_read(text in "\\PC{0,40}|[a-zA-Z.:/@_-]{0,30}") {
            if let Ok(reference) = Reference::parse(&text) {
                prop_assert_eq!(reference.to_string(), text);
                let again = Repository::parse(&reference.repository.to_string()).unwrap();
                prop_assert_eq!(again, reference.repository);
            }
        }
    }
}
