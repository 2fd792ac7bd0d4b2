//! A second terminal: pushes images and comments to a sandbox that runs in another process, and looks at its pull
//! requests, over the same HTTP that clients of the real ones use.

use super::{
    card::{Card, PATIENCE, StateFile},
    registry::{PushError, push_image},
};
use jiff::Timestamp;
use reqwest::{Client, Method};
use serde::{Deserialize, de::DeserializeOwned};
use serde_json::{Value, json};
use std::{collections::BTreeMap, io, time::Duration};

/// Why a visit ended badly.
#[derive(Debug, thiserror::Error)]
pub enum VisitError {
    #[error("no sandbox runs: start one with `butler sandbox` in another terminal, or name its address with --at")]
    NoneRuns,
    #[error("no sandbox answers at {at} ({source}); start one with `butler sandbox` in another terminal")]
    Away { at: String, source: reqwest::Error },
    #[error("cannot read which sandbox runs: {0}")]
    StateFile(#[source] io::Error),
    #[error("expected one of the sandbox's people ({known}), found {login:?}")]
    Nobody { login: String, known: String },
    #[error("expected the number of a pull request, found {number}: {}", those(there))]
    NoPull {
        number: u64,
        /// Newest first.
        there: Vec<u64>,
    },
    #[error("expected the sandbox's address, such as http://127.0.0.1:4000, found {0:?}")]
    NoAddress(String),
    #[error(transparent)]
    Push(#[from] PushError),
    #[error("{what}: {source}")]
    Http { what: String, source: reqwest::Error },
    #[error("{what}: the sandbox answered {status}: {message}")]
    Refused { what: String, status: u16, message: String },
}

impl VisitError {
    /// Whether an argument is at fault, and not the sandbox.
    pub fn is_usage(&self) -> bool {
        matches!(self, VisitError::Nobody { .. } | VisitError::NoPull { .. } | VisitError::NoAddress(_))
    }
}

/// Which pull requests there are.
fn those(there: &[u64]) -> String {
    match there {
        [] => "there is no pull request yet; push an image first".to_owned(),
        [only] => format!("there is only #{only}"),
        several => {
            let numbers: Vec<_> = several.iter().rev().map(|number| format!("#{number}")).collect();
            format!("there are {}", numbers.join(", "))
        }
    }
}

/// A visit to one sandbox.
#[derive(Clone, Debug)]
pub struct Visitor {
    at: String,
    card: Card,
    client: Client,
}

/// A pull request, as far as it is shown.
#[derive(Clone, Debug, Deserialize)]
pub struct PullPage {
    pub number: u64,
    pub title: String,
    pub user: Account,
    pub body: Option<String>,
    pub state: String,
    pub merged_at: Option<Timestamp>,
    pub merge_commit_sha: Option<String>,
    pub html_url: String,
    pub head: Side,
    pub base: Side,
}

#[derive(Clone, Debug, Deserialize)]
pub struct Side {
    #[serde(rename = "ref")]
    pub branch: String,
    pub sha: String,
}

#[derive(Clone, Debug, Deserialize)]
pub struct CommentPage {
    pub id: u64,
    pub user: Account,
    pub body: String,
    /// Of the pull request: `…/pull/3#issuecomment-12`.
    pub html_url: String,
}

impl CommentPage {
    /// The pull request's number.
    pub fn number(&self) -> Option<u64> {
        self.html_url.split('#').next()?.rsplit('/').next()?.parse().ok()
    }
}

/// A commit, as far as it is shown.
#[derive(Clone, Debug, Deserialize)]
pub struct CommitPage {
    pub sha: String,
    pub commit: CommitText,
    pub parents: Vec<Parent>,
}

#[derive(Clone, Debug, Deserialize)]
pub struct CommitText {
    pub message: String,
    pub author: Author,
}

#[derive(Clone, Debug, Deserialize)]
pub struct Author {
    pub name: String,
}

#[derive(Clone, Debug, Deserialize)]
pub struct Parent {
    pub sha: String,
}

#[derive(Clone, Debug, Deserialize)]
pub struct Account {
    pub login: String,
}

#[derive(Clone, Debug, Deserialize)]
pub struct CheckPage {
    pub name: String,
    pub status: String,
    pub conclusion: Option<String>,
    pub output: CheckOutput,
}

#[derive(Clone, Debug, Deserialize)]
pub struct CheckOutput {
    pub title: Option<String>,
}

impl PullPage {
    /// `open`, `merged` or `closed`.
    pub fn standing(&self) -> &str {
        if self.merged_at.is_some() { "merged" } else { &self.state }
    }
}

impl Visitor {
    /// Visits the sandbox at this address (of its card), or the one that this user started last.
    pub async fn find(at: Option<&str>) -> Result<Visitor, VisitError> {
        let (at, named) = match at {
            Some(at) if url::Url::parse(at).is_ok_and(|url| url.scheme() == "http") => {
                (at.trim_end_matches('/').to_owned(), true)
            }
            Some(at) => return Err(VisitError::NoAddress(at.to_owned())),
            None => match StateFile::read().map_err(VisitError::StateFile)? {
                Some((at, _)) => (at, false),
                None => return Err(VisitError::NoneRuns),
            },
        };
        // Loopback only; a proxy of the environment must not come between.
        let client = Client::builder().no_proxy().timeout(PATIENCE + Duration::from_secs(10)).build();
        let failed = |source: reqwest::Error| match named || !source.is_connect() {
            true => VisitError::Away { at: at.clone(), source },
            // The file outlived a sandbox that was killed.
            false => VisitError::NoneRuns,
        };
        let client = client.map_err(failed)?;
        let answer = client.get(&at).send().await.and_then(reqwest::Response::error_for_status).map_err(failed)?;
        let card = answer.json().await.map_err(failed)?;
        Ok(Visitor { at, card, client })
    }

    /// The sandbox, as it was when the visit began.
    pub fn card(&self) -> &Card {
        &self.card
    }

    /// The sandbox as it is now.
    pub async fn look_again(&mut self) -> Result<&Card, VisitError> {
        *self = Visitor::find(Some(&self.at)).await?;
        Ok(&self.card)
    }

    /// Returns when butler is through with what happened so far.
    pub async fn settled(&self) -> Result<(), VisitError> {
        let what = || "waiting for butler".to_owned();
        let answer = self.client.get(format!("{}/settled", self.at)).send().await;
        let answer = answer.map_err(|source| VisitError::Http { what: what(), source })?;
        let status = answer.status();
        if status.is_success() {
            return Ok(());
        }
        let message = answer.text().await.unwrap_or_default();
        Err(VisitError::Refused { what: what(), status: status.as_u16(), message })
    }

    /// Pushes a small image to the registry, as a build does. Gives the manifest's digest.
    pub async fn push(&self, image: &str, tag: &str) -> Result<String, VisitError> {
        Ok(push_image(&self.card.registry, image, tag, Timestamp::now(), &[]).await?)
    }

    /// Says something on a pull request, as one of the sandbox's people; the comment's id.
    pub async fn comment(&self, login: &str, number: u64, text: &str) -> Result<u64, VisitError> {
        let body = json!({"body": text});
        let posted = self.call(Method::POST, &format!("issues/{number}/comments"), login, Some(body)).await;
        let comment: CommentPage = self.of_a_pull(number, posted).await?;
        Ok(comment.id)
    }

    /// Every comment of the repository, oldest first.
    pub async fn all_comments(&self) -> Result<Vec<CommentPage>, VisitError> {
        self.read_all("issues/comments").await
    }

    /// Every branch with its tip.
    pub async fn branches(&self) -> Result<BTreeMap<String, String>, VisitError> {
        #[derive(Deserialize)]
        struct Ref {
            #[serde(rename = "ref")]
            name: String,
            object: Parent,
        }
        let refs: Vec<Ref> = self.read("git/matching-refs/heads/").await?;
        let branch = |found: Ref| Some((found.name.strip_prefix("refs/heads/")?.to_owned(), found.object.sha));
        Ok(refs.into_iter().filter_map(branch).collect())
    }

    pub async fn commit(&self, sha: &str) -> Result<CommitPage, VisitError> {
        self.read(&format!("commits/{sha}")).await
    }

    /// Every pull request, newest first.
    pub async fn pulls(&self) -> Result<Vec<PullPage>, VisitError> {
        let mut pulls: Vec<PullPage> = self.read_all("pulls?state=all").await?;
        pulls.sort_by_key(|pull| std::cmp::Reverse(pull.number));
        Ok(pulls)
    }

    /// # Errors
    /// [`VisitError::NoPull`] where there is none of this number.
    pub async fn pull(&self, number: u64) -> Result<PullPage, VisitError> {
        let pull = self.read(&format!("pulls/{number}")).await;
        self.of_a_pull(number, pull).await
    }

    /// Says which pull requests there are where there was none of this number.
    async fn of_a_pull<T>(&self, number: u64, answer: Result<T, VisitError>) -> Result<T, VisitError> {
        match answer {
            Err(VisitError::Refused { status: 404, .. }) => {
                let there = self.pulls().await?.iter().map(|pull| pull.number).collect();
                Err(VisitError::NoPull { number, there })
            }
            answer => answer,
        }
    }

    /// Oldest first.
    pub async fn comments(&self, number: u64) -> Result<Vec<CommentPage>, VisitError> {
        self.read_all(&format!("issues/{number}/comments")).await
    }

    /// On a commit.
    pub async fn checks(&self, sha: &str) -> Result<Vec<CheckPage>, VisitError> {
        #[derive(Deserialize)]
        struct Page {
            check_runs: Vec<CheckPage>,
        }
        let page: Page = self.read(&format!("commits/{sha}/check-runs?per_page=100")).await?;
        Ok(page.check_runs)
    }

    /// All pages of a list.
    async fn read_all<T: DeserializeOwned>(&self, path: &str) -> Result<Vec<T>, VisitError> {
        const SIZE: usize = 100;
        let joint = if path.contains('?') { '&' } else { '?' };
        let mut all = Vec::new();
        for page in 1.. {
            let more: Vec<T> = self.read(&format!("{path}{joint}per_page={SIZE}&page={page}")).await?;
            let last = more.len() < SIZE;
            all.extend(more);
            if last {
                break;
            }
        }
        Ok(all)
    }

    async fn read<T: DeserializeOwned>(&self, path: &str) -> Result<T, VisitError> {
        let login = self.card.people.keys().next().cloned().unwrap_or_default();
        self.call(Method::GET, path, &login, None).await
    }

    /// One REST call below the config repository, with a person's token.
    async fn call<T: DeserializeOwned>(
        &self,
        method: Method,
        path: &str,
        login: &str,
        body: Option<Value>,
    ) -> Result<T, VisitError> {
        let Some(token) = self.card.people.get(login) else {
            let known = self.card.people.keys().cloned().collect::<Vec<_>>().join(", ");
            return Err(VisitError::Nobody { login: login.to_owned(), known });
        };
        let url = format!("{}/repos/{}/{path}", self.card.github, self.card.repository);
        let what = format!("{method} {path}");
        let mut request = self.client.request(method, url).bearer_auth(token);
        if let Some(body) = body {
            request = request.json(&body);
        }
        let failed = |source| VisitError::Http { what: what.clone(), source };
        let answer = request.send().await.map_err(failed)?;
        let status = answer.status();
        if !status.is_success() {
            let body: Value = answer.json().await.unwrap_or_default();
            let message = body["message"].as_str().unwrap_or_default().to_owned();
            return Err(VisitError::Refused { what, status: status.as_u16(), message });
        }
        answer.json().await.map_err(failed)
    }
}
