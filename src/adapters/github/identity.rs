//! Who butler is at GitHub, where it is installed, and what a person may do.

use super::{
    Forge,
    auth::Grant,
    call::{As, Call},
    error::{Fixer, ForgeError},
};
use crate::engine::{command::Permission, event::RepoName};
use axum::http::Method;
use serde::Deserialize;

/// The App and its bot user: the author of its commits, comments and pull requests.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AppIdentity {
    pub id: u64,
    pub slug: String,
    /// `slug[bot]`, as REST answers and webhooks show it.
    pub bot_login: String,
    /// The bot's user id, which makes `ID+slug[bot]@users.noreply.github.com` its commit address.
    pub bot_user_id: u64,
}

impl AppIdentity {
    /// The address that GitHub shows as the bot.
    pub fn commit_email(&self) -> String {
        format!("{}+{}@users.noreply.github.com", self.bot_user_id, self.bot_login)
    }
}

/// A user or organisation that has the App.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Installation {
    pub id: u64,
    pub account: String,
    pub suspended: bool,
}

#[derive(Deserialize)]
struct InstallationAnswer {
    id: u64,
    account: Option<Account>,
    suspended_at: Option<String>,
}

/// A user has a login, an enterprise only a slug.
#[derive(Deserialize)]
struct Account {
    login: Option<String>,
    slug: Option<String>,
}

impl Forge {
    /// The App's identity; asked once.
    pub async fn app(&self) -> Result<AppIdentity, ForgeError> {
        self.inner.identity.get_or_try_init(|| self.ask_identity()).await.cloned()
    }

    async fn ask_identity(&self) -> Result<AppIdentity, ForgeError> {
        #[derive(Deserialize)]
        struct App {
            id: u64,
            slug: String,
        }
        #[derive(Deserialize)]
        struct User {
            id: u64,
        }
        let app: App = self.client().json(Call::of_app(Method::GET, "/app")).await?;
        let bot_login = format!("{}[bot]", app.slug);
        // A JWT is not taken here. Without a credential GitHub allows sixty calls an hour and a closed GitHub Enterprise
        // Server none, so that comes last.
        let installed = self.installations().await?.into_iter().find(|installation| !installation.suspended);
        let caller = installed.map_or(As::Nobody, |installation| As::Installation(installation.id, Grant::List));
        let call = Call::of(Method::GET, "/users/{username}", caller).value(&bot_login);
        let user: User = self.client().json(call).await?;
        Ok(AppIdentity { id: app.id, slug: app.slug, bot_login, bot_user_id: user.id })
    }

    /// Everybody who has the App.
    pub async fn installations(&self) -> Result<Vec<Installation>, ForgeError> {
        let call = Call::of_app(Method::GET, "/app/installations");
        let found: Vec<InstallationAnswer> = self.client().pages(call, |page| page).await?;
        let installation = |answer: InstallationAnswer| Installation {
            id: answer.id,
            account: answer.account.and_then(|account| account.login.or(account.slug)).unwrap_or_default(),
            suspended: answer.suspended_at.is_some(),
        };
        Ok(found.into_iter().map(installation).collect())
    }

    /// The repositories that an installation gives the App.
    pub async fn repositories(&self, installation: u64) -> Result<Vec<RepoName>, ForgeError> {
        #[derive(Deserialize)]
        struct Page {
            repositories: Vec<Repository>,
        }
        #[derive(Deserialize)]
        struct Repository {
            full_name: RepoName,
        }
        let call = Call::of(Method::GET, "/installation/repositories", As::Installation(installation, Grant::List));
        let found = self.client().pages(call, |page: Page| page.repositories).await?;
        Ok(found.into_iter().map(|repository| repository.full_name).collect())
    }

    /// What a person may do in a repository; `None` where GitHub knows no such person or shows no role of theirs.
    pub async fn role(&self, repo: &RepoName, login: &str) -> Result<Option<Permission>, ForgeError> {
        #[derive(Deserialize)]
        struct Answer {
            permission: String,
            role_name: Option<String>,
        }
        let route = "/repos/{owner}/{repo}/collaborators/{username}/permission";
        let call = Call::of(Method::GET, route, As::Repository(repo.clone(), Grant::List)).value(login);
        let answer: Answer = match self.client().json(call).await {
            Err(ForgeError::NotFound { .. }) => return Ok(None),
            other => other?,
        };
        // A role that an organisation made itself counts as the base role that `permission` tells, which never is more.
        let named = answer.role_name.as_deref().and_then(Permission::from_role_name);
        Ok(named.or_else(|| Permission::from_role_name(&answer.permission)))
    }

    /// The login that comments, pull requests and check runs of butler's carry.
    pub(super) async fn own_login(&self) -> Result<String, ForgeError> {
        Ok(self.app().await?.bot_login)
    }

    pub(super) fn refused_by_repository(call: &str, why: String) -> ForgeError {
        ForgeError::Refused { call: call.to_owned(), fixer: Fixer::Administrator, why }
    }
}
