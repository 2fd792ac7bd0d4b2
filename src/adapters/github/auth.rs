//! How the App proves who it is: a short-lived JWT for itself, and installation tokens minted down to one repository and
//! the permissions at hand. <https://docs.github.com/en/apps/creating-github-apps/authenticating-with-a-github-app>
//!
//! octocrab's own tokens are not used: ten first calls at once mint ten of them, and their permissions can't be narrowed.

use super::error::ForgeError;
use jiff::{SignedDuration, Timestamp};
use jsonwebtoken::{Algorithm, EncodingKey, Header};
use secrecy::SecretString;
use serde::{Deserialize, Serialize};
use std::{
    collections::HashMap,
    fmt,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
};

/// GitHub refuses a JWT that was issued in its future; clocks differ.
const JWT_BACKDATED: SignedDuration = SignedDuration::from_secs(60);
/// GitHub's limit is ten minutes from its own clock.
const JWT_LIFETIME: SignedDuration = SignedDuration::from_mins(9);
const JWT_RENEWED_BEFORE: SignedDuration = SignedDuration::from_mins(1);
const TOKEN_RENEWED_BEFORE: SignedDuration = SignedDuration::from_mins(5);
/// Beyond this many, tokens that have ended are dropped from the cache.
const TOKENS_KEPT: usize = 1_000;

/// The App's private key, as GitHub gives it out (PEM, RSA).
#[derive(Clone)]
pub struct AppKey(EncodingKey);

/// Why a text is not an App's private key. The text itself is never shown.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "the App's private key cannot be read: expected a PEM file with an RSA private key, \
     as the App's page gives it out under \"Generate a private key\""
)]
pub struct AppKeyError;

impl AppKey {
    /// Reads a PEM text: `BEGIN RSA PRIVATE KEY` (GitHub's own) or `BEGIN PRIVATE KEY`.
    pub fn from_pem(pem: &[u8]) -> Result<AppKey, AppKeyError> {
        EncodingKey::from_rsa_pem(pem).map(AppKey).map_err(|_| AppKeyError)
    }

    /// The key itself (PKCS #1 in DER), which is the same however its file writes it. As secret as the file.
    pub fn der(&self) -> &[u8] {
        self.0.inner()
    }
}

impl fmt::Debug for AppKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("AppKey(…)")
    }
}

#[derive(Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Claims {
    /// Seconds since 1970.
    iat: i64,
    exp: i64,
    iss: String,
}

fn claims(app_id: u64, now: Timestamp) -> Claims {
    Claims { iat: (now - JWT_BACKDATED).as_second(), exp: (now + JWT_LIFETIME).as_second(), iss: app_id.to_string() }
}

/// The App's JWT, signed anew a minute before it ends.
pub(super) struct AppJwt {
    app_id: u64,
    key: AppKey,
    current: Mutex<Option<(String, Timestamp)>>,
}

impl AppJwt {
    pub(super) fn new(app_id: u64, key: AppKey) -> Self {
        AppJwt { app_id, key, current: Mutex::new(None) }
    }

    pub(super) fn get(&self, now: Timestamp) -> Result<SecretString, ForgeError> {
        let mut current = self.current.lock().unwrap_or_else(PoisonError::into_inner);
        // A clock that was set back makes a JWT from the future, too.
        let fresh = |ends: Timestamp| now < ends - JWT_RENEWED_BEFORE && ends - JWT_LIFETIME <= now;
        if let Some((jwt, _)) = current.as_ref().filter(|(_, ends)| fresh(*ends)) {
            return Ok(jwt.clone().into());
        }
        let jwt =
            jsonwebtoken::encode(&Header::new(Algorithm::RS256), &claims(self.app_id, now), &self.key.0).map_err(
                |error| ForgeError::Bug { call: "signing the App's JWT".into(), why: format!("cannot sign: {error}") },
            )?;
        *current = Some((jwt.clone(), now + JWT_LIFETIME));
        Ok(jwt.into())
    }

    pub(super) fn forget(&self) {
        *self.current.lock().unwrap_or_else(PoisonError::into_inner) = None;
    }
}

/// What a token is for. It is minted with these permissions and no others.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Grant {
    /// Reading the repository, its pull requests, comments, checks and rules.
    Look,
    /// Knowing that a repository or a user exists.
    List,
    /// Pull requests, comments, labels, reactions.
    Talk,
    /// Asking a team for a review: the one case that needs the organisation's members.
    AskTeam,
    /// Check runs.
    Check,
    /// Merging a pull request.
    Merge,
    /// Pushing with git.
    Push,
}

impl Grant {
    /// Names and levels as in <https://docs.github.com/en/rest/apps/apps#create-an-installation-access-token-for-an-app>.
    pub(super) fn permissions(self) -> &'static [(&'static str, &'static str)] {
        match self {
            Grant::Look => &[
                ("checks", "read"),
                ("contents", "read"),
                ("issues", "read"),
                ("metadata", "read"),
                ("pull_requests", "read"),
                ("statuses", "read"),
            ],
            Grant::List => &[("metadata", "read")],
            Grant::Talk => {
                &[("contents", "read"), ("issues", "write"), ("metadata", "read"), ("pull_requests", "write")]
            }
            Grant::AskTeam => &[("members", "read"), ("metadata", "read"), ("pull_requests", "write")],
            Grant::Check => &[("checks", "write"), ("metadata", "read")],
            Grant::Merge => &[("contents", "write"), ("metadata", "read"), ("pull_requests", "write")],
            Grant::Push => &[("contents", "write"), ("metadata", "read")],
        }
    }
}

/// What tells tokens apart. Without a repository, the token is for all of the installation.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct TokenKey {
    pub(super) installation: u64,
    pub(super) repository: Option<String>,
    pub(super) grant: Grant,
}

#[derive(Clone, Debug)]
pub(super) struct Token {
    pub(super) secret: SecretString,
    pub(super) expires: Timestamp,
}

#[derive(Default)]
struct Slot {
    /// How often this slot was filled or failed.
    rounds: AtomicU64,
    state: tokio::sync::Mutex<State>,
}

#[derive(Default)]
enum State {
    #[default]
    Empty,
    Filled(Token),
    Failed(ForgeError),
}

/// Installation tokens, each minted once however many ask at the same time, and renewed five minutes before it ends.
#[derive(Default)]
pub(super) struct Tokens {
    slots: Mutex<HashMap<TokenKey, Arc<Slot>>>,
}

impl Tokens {
    /// The token of `key`, minted by `mint` where there is none that lasts. Those who wait for another's minting share
    /// its failure, so that an outage is not asked about once for each of them.
    pub(super) async fn get<F>(&self, key: &TokenKey, now: Timestamp, mint: F) -> Result<SecretString, ForgeError>
    where
        F: Future<Output = Result<Token, ForgeError>>,
    {
        let slot = self.slot(key, now);
        let seen = slot.rounds.load(Ordering::Acquire);
        let mut state = slot.state.lock().await;
        match &*state {
            State::Filled(token) if lasts(token, now) => return Ok(token.secret.clone()),
            State::Failed(error) if slot.rounds.load(Ordering::Acquire) != seen => return Err(error.clone()),
            _ => {}
        }
        let minted = mint.await;
        let answer = minted.as_ref().map(|token| token.secret.clone()).map_err(Clone::clone);
        *state = minted.map_or_else(State::Failed, State::Filled);
        slot.rounds.fetch_add(1, Ordering::Release);
        answer
    }

    /// Drops a token that GitHub no longer takes. The slot goes as a whole: who holds it still gets an answer.
    pub(super) fn forget(&self, key: &TokenKey) {
        self.slots.lock().unwrap_or_else(PoisonError::into_inner).remove(key);
    }

    fn slot(&self, key: &TokenKey, now: Timestamp) -> Arc<Slot> {
        let mut slots = self.slots.lock().unwrap_or_else(PoisonError::into_inner);
        if slots.len() >= TOKENS_KEPT && !slots.contains_key(key) {
            slots.retain(|_, slot| match slot.state.try_lock() {
                Ok(state) => matches!(&*state, State::Filled(token) if lasts(token, now)),
                Err(_) => true,
            });
        }
        Arc::clone(slots.entry(key.clone()).or_default())
    }
}

fn lasts(token: &Token, now: Timestamp) -> bool {
    now < token.expires - TOKEN_RENEWED_BEFORE
}

#[cfg(test)]
mod tests {
    use super::*;
    use secrecy::ExposeSecret;

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(second).unwrap()
    }

    fn key(grant: Grant) -> TokenKey {
        TokenKey { installation: 7, repository: Some("fleet".into()), grant }
    }

    #[test]
    fn claims_are_backdated_and_stay_under_ten_minutes() {
        assert_eq!(claims(42, at(10_000)), Claims { iat: 9_940, exp: 10_540, iss: "42".into() });
    }

    #[test]
    fn a_text_that_is_no_key_is_refused_without_being_shown() {
        for text in ["", "secret", "-----BEGIN PRIVATE KEY-----\nc2VjcmV0\n-----END PRIVATE KEY-----\n"] {
            let said = AppKey::from_pem(text.as_bytes()).unwrap_err().to_string();
            assert!(said.contains("RSA private key") && !said.contains("c2VjcmV0"), "{said}");
        }
    }

    #[test]
    fn every_grant_can_see_the_repository_and_only_its_own_writes() {
        for (grant, writes) in [
            (Grant::Look, vec![]),
            (Grant::List, vec![]),
            (Grant::Talk, vec!["issues", "pull_requests"]),
            (Grant::AskTeam, vec!["pull_requests"]),
            (Grant::Check, vec!["checks"]),
            (Grant::Merge, vec!["contents", "pull_requests"]),
            (Grant::Push, vec!["contents"]),
        ] {
            let granted = grant.permissions();
            let found: Vec<_> = granted.iter().filter(|(_, level)| *level == "write").map(|(name, _)| *name).collect();
            assert_eq!(found, writes, "{grant:?}");
            assert!(granted.contains(&("metadata", "read")), "{grant:?}");
        }
    }

    /// A grant beyond the manifest would be refused at the first call that needs it.
    #[test]
    fn the_manifest_and_the_manual_ask_for_what_is_used_and_no_more() {
        let manifest = include_str!("../../../app-manifest.yml");
        let manual = include_str!("../../../docs/install.md");
        let (_, section) = manifest.split_once("default_permissions:\n").unwrap();
        let asked: HashMap<_, _> = section
            .lines()
            .take_while(|line| line.starts_with(' '))
            .filter_map(|line| line.split('#').next()?.trim().split_once(": "))
            .collect();
        let mut used: HashMap<&str, &str> = HashMap::new();
        let all = [Grant::Look, Grant::List, Grant::Talk, Grant::AskTeam, Grant::Check, Grant::Merge, Grant::Push];
        for (name, level) in all.into_iter().flat_map(Grant::permissions) {
            let entry = used.entry(name).or_insert(level);
            *entry = if *level == "write" { level } else { entry };
        }
        assert_eq!(asked, used);
        for (name, level) in used {
            assert!(manual.contains(&format!("&{name}={level}")), "docs/install.md lacks {name}={level}");
        }
    }

    #[tokio::test]
    async fn a_token_is_minted_once_for_all_who_ask_at_the_same_time() {
        let (tokens, minted) = (Tokens::default(), AtomicU64::new(0));
        let key = key(Grant::Look);
        let ask = |now: i64| {
            let mint = async {
                tokio::task::yield_now().await;
                let n = minted.fetch_add(1, Ordering::Relaxed);
                Ok(Token { secret: format!("token-{n}").into(), expires: at(3_600) })
            };
            tokens.get(&key, at(now), mint)
        };
        for secret in futures::future::join_all((0..10).map(|_| ask(0))).await {
            assert_eq!(secret.unwrap().expose_secret(), "token-0");
        }
        // Five minutes before its end it is no longer given out.
        assert_eq!(ask(3_299).await.unwrap().expose_secret(), "token-0");
        assert_eq!(ask(3_300).await.unwrap().expose_secret(), "token-1");
        tokens.forget(&key);
        assert_eq!(ask(0).await.unwrap().expose_secret(), "token-2");
    }

    #[tokio::test]
    async fn those_who_wait_share_a_failure_and_the_next_one_asks_again() {
        let (tokens, asked) = (Tokens::default(), AtomicU64::new(0));
        let key = key(Grant::Push);
        let ask = || {
            tokens.get(&key, at(0), async {
                tokio::task::yield_now().await;
                asked.fetch_add(1, Ordering::Relaxed);
                Err(ForgeError::NotFound { call: "mint".into() })
            })
        };
        let answers = futures::future::join_all((0..10).map(|_| ask())).await;
        assert!(answers.iter().all(Result::is_err));
        assert_eq!(asked.load(Ordering::Relaxed), 1);
        assert!(ask().await.is_err());
        assert_eq!(asked.load(Ordering::Relaxed), 2);
    }
}
