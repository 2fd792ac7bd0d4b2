//! What this GitHub knows: people, the App, installations, repositories and what is in them. Commits and refs are not here but
//! in real bare repositories on disk.

use super::{auth::Grant, git::Bare, merge::Method, webhooks::Hooks};
use crate::engine::event::RepoName;
use jiff::{SignedDuration, Timestamp};
use serde_json::Value;
use std::{
    collections::{BTreeMap, BTreeSet},
    path::PathBuf,
    sync::Arc,
};

/// A person's role in a repository, from the least to the most
/// (<https://docs.github.com/en/organizations/managing-user-access-to-your-organizations-repositories/managing-repository-roles/repository-roles-for-an-organization>).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Role {
    Read,
    Triage,
    Write,
    Maintain,
    Admin,
}

impl Role {
    /// GitHub's name of the role, `role_name` in its answers.
    pub fn name(self) -> &'static str {
        match self {
            Role::Read => "read",
            Role::Triage => "triage",
            Role::Write => "write",
            Role::Maintain => "maintain",
            Role::Admin => "admin",
        }
    }

    /// The older `permission`, into which triage and maintain are folded.
    pub fn permission(self) -> &'static str {
        match self {
            Role::Read | Role::Triage => "read",
            Role::Write | Role::Maintain => "write",
            Role::Admin => "admin",
        }
    }
}

/// What an installation may do with one kind of thing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Access {
    Read,
    Write,
}

impl Access {
    pub fn name(self) -> &'static str {
        match self {
            Access::Read => "read",
            Access::Write => "write",
        }
    }

    pub fn parse(text: &str) -> Option<Self> {
        match text {
            "read" => Some(Access::Read),
            "write" | "admin" => Some(Access::Write),
            _ => None,
        }
    }
}

/// Permissions by GitHub's names: `contents`, `pull_requests`, `checks`.
pub type Permissions = BTreeMap<String, Access>;

/// What kind of account a login is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    User,
    Organization,
    Bot,
}

impl Kind {
    pub fn name(self) -> &'static str {
        match self {
            Kind::User => "User",
            Kind::Organization => "Organization",
            Kind::Bot => "Bot",
        }
    }
}

#[derive(Clone, Debug)]
pub struct Account {
    pub id: u64,
    pub login: String,
    pub kind: Kind,
    pub created_at: Timestamp,
}

/// The App under test.
#[derive(Clone, Debug)]
pub struct App {
    pub id: u64,
    pub slug: String,
    pub name: String,
    pub owner: String,
    pub permissions: Permissions,
    pub events: BTreeSet<String>,
    /// PKCS #1 (`RSAPublicKey`), to verify the App's tokens: any of them will do.
    pub public_keys: Vec<Vec<u8>>,
    pub created_at: Timestamp,
}

impl App {
    /// The login that the App acts under.
    pub fn login(&self) -> String {
        format!("{}[bot]", self.slug)
    }
}

#[derive(Clone, Debug)]
pub struct Installation {
    pub id: u64,
    pub account: String,
    pub repositories: BTreeSet<RepoName>,
    pub permissions: Permissions,
    pub created_at: Timestamp,
    pub suspended_at: Option<Timestamp>,
}

/// A branch's protection: the parts that decide whether butler may push or merge.
#[derive(Clone, Debug, Default)]
pub struct Protection {
    /// Approving reviews that a pull request needs; also makes direct pushes impossible. `None`: no pull request is needed.
    pub required_reviews: Option<u32>,
    /// Names of check runs or contexts of commit statuses that must be green on the head.
    pub required_checks: Vec<String>,
    /// The head must contain the base's tip.
    pub strict: bool,
    /// Only these logins may push (an App as `slug[bot]`). `None`: everyone with write access.
    pub pushers: Option<BTreeSet<String>>,
    /// These logins may push past the required pull request.
    pub bypass: BTreeSet<String>,
    /// Administrators are held to it as well.
    pub enforce_admins: bool,
    /// Shown as a ruleset at `/rules/branches` and not as classic protection.
    pub as_ruleset: bool,
}

/// What kind of repository it is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Nature {
    #[default]
    Usual,
    Archived,
    Fork,
    Template,
}

#[derive(Debug)]
pub struct Repo {
    pub id: u64,
    pub name: RepoName,
    pub private: bool,
    /// An archived repository takes no writes; a fork and a template are only told as such.
    pub nature: Nature,
    pub default_branch: String,
    pub git: Bare,
    pub roles: BTreeMap<String, Role>,
    pub protections: BTreeMap<String, Protection>,
    pub issues: BTreeMap<u64, Issue>,
    pub comments: BTreeMap<u64, Comment>,
    pub checks: BTreeMap<u64, CheckRun>,
    pub statuses: Vec<Status>,
    pub labels: BTreeMap<String, u64>,
    pub delete_branch_on_merge: bool,
    /// How pull requests may be merged.
    pub merge_methods: BTreeSet<Method>,
    pub created_at: Timestamp,
    pub pushed_at: Timestamp,
    /// The refs as of the last look, so that a push is told by comparing.
    pub known_refs: BTreeMap<String, String>,
}

impl Repo {
    /// Pull requests with their issue, oldest first.
    pub fn pulls(&self) -> impl Iterator<Item = (&Issue, &Pull)> {
        self.issues.values().filter_map(|issue| Some((issue, issue.pull.as_ref()?)))
    }
}

/// An issue; a pull request is an issue with more to it, and shares its numbers.
#[derive(Clone, Debug)]
pub struct Issue {
    pub id: u64,
    pub number: u64,
    pub title: String,
    pub body: Option<String>,
    pub author: String,
    pub open: bool,
    pub labels: BTreeSet<String>,
    pub created_at: Timestamp,
    pub updated_at: Timestamp,
    pub closed_at: Option<Timestamp>,
    pub closed_by: Option<String>,
    pub pull: Option<Pull>,
}

#[derive(Clone, Debug)]
pub struct Pull {
    pub id: u64,
    pub head_ref: String,
    /// The head as of the last push to it; stays when the branch is gone.
    pub head_sha: String,
    pub base_ref: String,
    pub base_sha: String,
    pub draft: bool,
    pub merged: Option<Merged>,
    pub reviews: Vec<Review>,
    pub requested_reviewers: BTreeSet<String>,
    /// So many looks at `mergeable` are answered with null, as while GitHub still computes it.
    pub mergeable_unknown: u32,
}

#[derive(Clone, Debug)]
pub struct Merged {
    pub at: Timestamp,
    pub by: String,
    pub sha: String,
}

/// A review's verdict, in the words of GitHub's answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    Approved,
    ChangesRequested,
    Commented,
    Dismissed,
}

impl Verdict {
    pub fn name(self) -> &'static str {
        match self {
            Verdict::Approved => "APPROVED",
            Verdict::ChangesRequested => "CHANGES_REQUESTED",
            Verdict::Commented => "COMMENTED",
            Verdict::Dismissed => "DISMISSED",
        }
    }
}

#[derive(Clone, Debug)]
pub struct Review {
    pub id: u64,
    pub author: String,
    pub verdict: Verdict,
    pub body: String,
    pub commit: String,
    pub submitted_at: Timestamp,
}

#[derive(Clone, Debug)]
pub struct Comment {
    pub id: u64,
    pub number: u64,
    pub author: String,
    pub body: String,
    pub created_at: Timestamp,
    pub updated_at: Timestamp,
    pub reactions: Vec<Reaction>,
}

#[derive(Clone, Debug)]
pub struct Reaction {
    pub id: u64,
    pub author: String,
    pub content: String,
    pub created_at: Timestamp,
}

#[derive(Clone, Debug)]
pub struct CheckRun {
    pub id: u64,
    pub suite: u64,
    /// The slug of the App that made it.
    pub app: String,
    pub name: String,
    pub head_sha: String,
    pub external_id: String,
    pub details_url: Option<String>,
    pub status: String,
    pub conclusion: Option<String>,
    pub started_at: Timestamp,
    pub completed_at: Option<Timestamp>,
    pub title: Option<String>,
    pub summary: Option<String>,
    pub text: Option<String>,
    pub annotations: Vec<Value>,
}

#[derive(Clone, Debug)]
pub struct Status {
    pub id: u64,
    pub sha: String,
    pub state: String,
    pub context: String,
    pub description: Option<String>,
    pub target_url: Option<String>,
    pub creator: String,
    pub created_at: Timestamp,
}

/// Where the time comes from.
#[derive(Clone, Copy, Debug)]
pub enum Clock {
    /// The machine's time, moved by this much.
    System(SignedDuration),
    /// Stands still until it is moved.
    Fixed(Timestamp),
}

#[derive(Debug)]
pub struct State {
    /// The site's own address, without a slash at its end.
    pub base: String,
    /// Where the bare repositories are: `<root>/<owner>/<name>.git`.
    pub root: PathBuf,
    pub clock: Clock,
    pub app: App,
    pub accounts: BTreeMap<String, Account>,
    pub installations: Vec<Installation>,
    /// Installation tokens.
    pub grants: BTreeMap<String, Grant>,
    /// People's tokens, to their logins.
    pub person_tokens: BTreeMap<String, String>,
    pub token_lifetime: SignedDuration,
    pub repos: BTreeMap<RepoName, Repo>,
    pub hooks: Arc<Hooks>,
    pub rate_limited_until: Option<Timestamp>,
    pub next_id: u64,
}

impl State {
    pub fn now(&self) -> Timestamp {
        match self.clock {
            Clock::System(offset) => Timestamp::now().checked_add(offset).unwrap_or(Timestamp::MAX),
            Clock::Fixed(at) => at,
        }
    }

    /// Ids are unique over the whole site, and grow.
    pub fn id(&mut self) -> u64 {
        self.next_id += 1;
        self.next_id
    }

    /// The account of a login; logins are compared without regard to case.
    pub fn account(&self, login: &str) -> Option<&Account> {
        self.accounts.get(&login.to_ascii_lowercase())
    }

    /// Makes the account unless it is there.
    pub fn ensure_account(&mut self, login: &str, kind: Kind) {
        if self.account(login).is_none() {
            let (id, created_at) = (self.id(), self.now());
            let account = Account { id, login: login.to_owned(), kind, created_at };
            self.accounts.insert(login.to_ascii_lowercase(), account);
        }
    }

    /// The installation that covers a repository.
    pub fn installation_for(&self, repo: &RepoName) -> Option<&Installation> {
        self.installations.iter().find(|installation| installation.repositories.contains(repo))
    }

    /// A login's role in a repository. Everybody may read a public one; Apps have no role.
    pub fn role(&self, repo: &Repo, login: &str) -> Option<Role> {
        let given = repo.roles.get(&login.to_ascii_lowercase()).copied();
        let owner = login.eq_ignore_ascii_case(repo.name.owner()).then_some(Role::Admin);
        given.max(owner).or_else(|| (!repo.private && self.account(login).is_some()).then_some(Role::Read))
    }

    /// GitHub's relation of an author to a repository, `author_association`.
    pub fn association(&self, repo: &Repo, login: &str) -> &'static str {
        if login.eq_ignore_ascii_case(repo.name.owner()) {
            "OWNER"
        } else if repo.roles.contains_key(&login.to_ascii_lowercase()) {
            "COLLABORATOR"
        } else {
            "NONE"
        }
    }
}

/// Times as GitHub writes them: whole seconds, UTC.
pub fn time(at: Timestamp) -> String {
    at.strftime("%Y-%m-%dT%H:%M:%SZ").to_string()
}
