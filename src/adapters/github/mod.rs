//! GitHub, in the words of this domain: find a pull request, say something, merge, ask for a role.
//!
//! [`Forge`] is the whole of it; no type of octocrab's and no JSON leaves this module. Verbs that write are safe to
//! repeat: they look first, and where an answer was lost they look again, so that pull requests and merges happen once and
//! comments and check runs converge to one.

mod auth;
mod call;
mod checks;
mod client;
mod comments;
mod error;
mod identity;
mod merging;
mod pulls;
mod repositories;
mod retry;
mod reviews;

pub use auth::{AppKey, AppKeyError};
pub use checks::{Annotation, AnnotationLevel, Check, CheckRun, CheckState, CommitChecks, Conclusion};
pub use comments::{Found, Reaction};
pub use error::{Fixer, ForgeError};
pub use identity::{AppIdentity, Installation};
pub use merging::{MergeMethod, MergeOutcome};
pub use pulls::{Change, Ensured, Pull, PullLookup, PullSpec, PullState};
pub use repositories::{BranchRules, RepositoryInfo};
pub use retry::Patience;
pub use reviews::{Review, ReviewState, last_words};

use crate::engine::event::RepoName;
use jiff::Timestamp;
use secrecy::SecretString;
use std::sync::Arc;
use url::Url;

/// What time it is. Passed in, so that tests are exact.
pub type Clock = Arc<dyn Fn() -> Timestamp + Send + Sync>;

/// The longest body of a pull request or a comment that GitHub takes, in characters.
pub const LONGEST_BODY: usize = 65_536;

/// How to reach GitHub, and as whom.
#[derive(Clone)]
pub struct ForgeSettings {
    pub app_id: u64,
    pub key: AppKey,
    /// `https://api.github.com`, or `https://HOST/api/v3` of a GitHub Enterprise Server.
    pub api_url: Url,
    pub clock: Clock,
    pub patience: Patience,
}

/// GitHub as the App sees it. Cheap to clone; all clones share tokens and caches.
#[derive(Clone)]
pub struct Forge {
    inner: Arc<Inner>,
}

struct Inner {
    client: client::Client,
    identity: tokio::sync::OnceCell<AppIdentity>,
}

impl Forge {
    /// Nothing is asked of GitHub yet. To be called inside a Tokio runtime, where it also has to be used.
    pub fn new(settings: ForgeSettings) -> Result<Forge, ForgeError> {
        let jwt = auth::AppJwt::new(settings.app_id, settings.key);
        let client = client::Client::new(settings.api_url, jwt, settings.clock, settings.patience)?;
        Ok(Forge { inner: Arc::new(Inner { client, identity: tokio::sync::OnceCell::new() }) })
    }

    /// A token that may fetch from and push to this one repository, for at least five more minutes: the password of user
    /// `x-access-token` over HTTPS.
    pub async fn git_token(&self, repo: &RepoName) -> Result<SecretString, ForgeError> {
        self.client().repository_token(repo, auth::Grant::Push).await
    }

    fn client(&self) -> &client::Client {
        &self.inner.client
    }
}
