//! Who is asking, and what they may do: the App by its signed token, an installation by a token of an hour, people by theirs.

use super::{
    rest::{Call, Reply},
    state::{Access, Permissions, Repo, Role, State},
};
use crate::engine::event::RepoName;
use aws_lc_rs::{
    encoding::{AsDer, Pkcs8V1Der},
    rsa::{KeyPair, KeySize},
    signature::KeyPair as _,
};
use axum::http::{HeaderMap, header};
use base64::{Engine as _, engine::general_purpose::STANDARD};
use jiff::{SignedDuration, Timestamp};
use jsonwebtoken::{Algorithm, DecodingKey, Validation};
use std::{collections::BTreeSet, sync::OnceLock};

/// What an installation token is good for.
#[derive(Clone, Debug)]
pub struct Grant {
    pub installation: u64,
    pub permissions: Permissions,
    /// `None`: every repository of the installation.
    pub repositories: Option<BTreeSet<RepoName>>,
    pub expires_at: Timestamp,
}

/// Who is asking.
#[derive(Clone, Debug)]
pub enum Caller {
    Anonymous,
    /// The App itself, by its JSON web token.
    App,
    /// An installation of the App.
    Installation(Grant),
    Person(String),
}

/// What an endpoint asks for.
#[derive(Clone, Copy, Debug)]
pub struct Need {
    /// Permissions of an App; one of them is enough.
    pub any_of: &'static [&'static str],
    pub access: Access,
    /// The least role of a person.
    pub role: Role,
}

impl Need {
    pub const fn read(any_of: &'static [&'static str]) -> Self {
        Need { any_of, access: Access::Read, role: Role::Read }
    }
    pub const fn write(any_of: &'static [&'static str], role: Role) -> Self {
        Need { any_of, access: Access::Write, role }
    }
}

/// A key pair for Apps.
#[derive(Debug)]
pub struct AppKey {
    /// PKCS #8 in PEM, as GitHub's download is to be used.
    pub private_pem: String,
    /// PKCS #1 in DER.
    pub public_der: Vec<u8>,
}

impl AppKey {
    /// A new one; `None` where the machine has no randomness for it. It takes a while.
    pub fn make() -> Option<AppKey> {
        let pair = KeyPair::generate(KeySize::Rsa2048).ok()?;
        let private: Pkcs8V1Der<'_> = pair.as_der().ok()?;
        let text = STANDARD.encode(private.as_ref());
        let lines: Vec<&str> = text.as_bytes().chunks(64).filter_map(|line| std::str::from_utf8(line).ok()).collect();
        let private_pem = format!("-----BEGIN PRIVATE KEY-----\n{}\n-----END PRIVATE KEY-----\n", lines.join("\n"));
        Some(AppKey { private_pem, public_der: pair.public_key().as_ref().to_vec() })
    }
}

/// What is said where there is no new key.
pub const NO_KEY: &str = "the App's key pair could not be made";

/// The key pair of this process's Apps, made once.
pub fn app_key() -> Result<&'static AppKey, &'static str> {
    static KEY: OnceLock<Option<AppKey>> = OnceLock::new();
    KEY.get_or_init(AppKey::make).as_ref().ok_or(NO_KEY)
}

fn unauthorized(message: &str) -> Reply {
    Reply::error(401, message)
}

/// Who sends a request with these headers; 401 where they name nobody.
pub fn authenticate(state: &State, headers: &HeaderMap) -> Result<Caller, Reply> {
    let Some(value) = headers.get(header::AUTHORIZATION) else { return Ok(Caller::Anonymous) };
    let (scheme, credentials) = value.to_str().ok().and_then(|v| v.split_once(' ')).unwrap_or_default();
    let token = match scheme.to_ascii_lowercase().as_str() {
        "bearer" | "token" => credentials.to_owned(),
        "basic" => STANDARD
            .decode(credentials)
            .ok()
            .and_then(|bytes| String::from_utf8(bytes).ok())
            .and_then(|pair| Some(pair.split_once(':')?.1.to_owned()))
            .unwrap_or_default(),
        _ => return Err(unauthorized("Bad credentials")),
    };
    token_holder(state, &token)
}

/// Who a token belongs to.
pub fn token_holder(state: &State, token: &str) -> Result<Caller, Reply> {
    if let Some(grant) = state.grants.get(token) {
        let installation = state.installations.iter().find(|i| i.id == grant.installation);
        return match installation {
            Some(installation) if installation.suspended_at.is_some() => {
                Err(Reply::error(403, "This installation has been suspended"))
            }
            Some(_) if grant.expires_at > state.now() => Ok(Caller::Installation(grant.clone())),
            _ => Err(unauthorized("Bad credentials")),
        };
    }
    if let Some(login) = state.person_tokens.get(token) {
        return Ok(Caller::Person(login.clone()));
    }
    if token.bytes().filter(|byte| *byte == b'.').count() == 2 {
        app_token(state, token)
    } else {
        Err(unauthorized("Bad credentials"))
    }
}

/// RS256, issued by the App's id, not in the future, at most ten minutes long
/// (<https://docs.github.com/en/apps/creating-github-apps/authenticating-with-a-github-app/generating-a-json-web-token-jwt-for-a-github-app>).
fn app_token(state: &State, token: &str) -> Result<Caller, Reply> {
    #[derive(serde::Deserialize)]
    struct Claims {
        iss: serde_json::Value,
        iat: i64,
        exp: i64,
    }
    let mut validation = Validation::new(Algorithm::RS256);
    // Times are compared below, with this site's clock.
    validation.validate_exp = false;
    validation.required_spec_claims.clear();
    let claims = state.app.public_keys.iter().find_map(|key| {
        let key = DecodingKey::from_rsa_der(key);
        jsonwebtoken::decode::<Claims>(token, &key, &validation).ok().map(|data| data.claims)
    });
    let Some(claims) = claims else {
        return Err(unauthorized("A JSON web token could not be decoded"));
    };
    let now = state.now().as_second();
    let issuer = claims.iss.as_u64().or_else(|| claims.iss.as_str()?.parse().ok());
    if issuer != Some(state.app.id) {
        Err(Reply::error(404, "Integration not found"))
    } else if claims.iat > now {
        Err(unauthorized(
            "'Issued at' claim ('iat') must be an Integer representing the time that the assertion was issued",
        ))
    } else if claims.exp <= now {
        Err(unauthorized(
            "'Expiration time' claim ('exp') must be a numeric value representing the future time at which the assertion expires",
        ))
    } else if claims.exp > now + 600 {
        Err(unauthorized("'Expiration time' claim ('exp') is too far in the future"))
    } else {
        Ok(Caller::App)
    }
}

impl State {
    /// The repository, if the caller may see it (404 otherwise, as GitHub does not tell that it exists) and may do this there.
    pub fn allowed(&self, call: &Call, name: &RepoName, need: Need) -> Result<&Repo, Reply> {
        let repo = self.repos.get(name).ok_or_else(Reply::not_found)?;
        self.may(&call.caller, repo, need)?;
        Ok(repo)
    }

    /// Whether a caller may do something in a repository.
    pub fn may(&self, caller: &Caller, repo: &Repo, need: Need) -> Result<(), Reply> {
        let public_read = !repo.private && need.access == Access::Read;
        match caller {
            Caller::Installation(grant) => {
                if !self.covers(grant, &repo.name) {
                    return match (repo.private, public_read) {
                        (true, _) => Err(Reply::not_found()),
                        (false, true) => Ok(()),
                        (false, false) => Err(Reply::not_accessible()),
                    };
                }
                let granted = |name: &&str| grant.permissions.get(*name).is_some_and(|access| *access >= need.access);
                // Every App may read metadata.
                let enough = need.any_of.iter().any(granted) || need.any_of.contains(&"metadata");
                if enough || public_read { Ok(()) } else { Err(Reply::not_accessible()) }
            }
            Caller::Person(login) => match self.role(repo, login) {
                None => Err(Reply::not_found()),
                Some(role) if role < need.role => {
                    Err(Reply::error(403, &format!("Must have {} rights to Repository.", need.role.name())))
                }
                Some(_) => Ok(()),
            },
            Caller::Anonymous | Caller::App if repo.private => Err(Reply::not_found()),
            Caller::Anonymous | Caller::App if public_read => Ok(()),
            Caller::Anonymous | Caller::App => Err(unauthorized("Requires authentication")),
        }
    }

    /// Whether a token reaches a repository.
    pub fn covers(&self, grant: &Grant, repo: &RepoName) -> bool {
        let installed = self.installation_for(repo).is_some_and(|installation| installation.id == grant.installation);
        installed && grant.repositories.as_ref().is_none_or(|only| only.contains(repo))
    }

    /// The login that a caller acts under; 401 for nobody.
    pub fn actor(&self, caller: &Caller) -> Result<String, Reply> {
        match caller {
            Caller::Person(login) => Ok(login.clone()),
            Caller::Installation(_) => Ok(self.app.login()),
            Caller::App | Caller::Anonymous => Err(unauthorized("Requires authentication")),
        }
    }

    /// Makes an installation token; its text and when it ends.
    pub fn mint(
        &mut self,
        installation: u64,
        permissions: Permissions,
        repositories: Option<BTreeSet<RepoName>>,
    ) -> (String, Timestamp) {
        let token = format!("ghs_{}", uuid::Uuid::new_v4().simple());
        let expires_at = self.now().checked_add(self.token_lifetime).unwrap_or(Timestamp::MAX);
        self.grants.insert(token.clone(), Grant { installation, permissions, repositories, expires_at });
        (token, expires_at)
    }
}

/// GitHub's: an hour.
pub const TOKEN_LIFETIME: SignedDuration = SignedDuration::from_hours(1);
