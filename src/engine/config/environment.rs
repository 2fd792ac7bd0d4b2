//! `environments`: where an environment's manifests are, how they are written, and what protects them.

use super::{
    decode::{Decoder, words},
    name,
    not_yet::Effect,
    path::PathPattern,
    tree::{Key, Node, quoted},
    window,
};
use crate::engine::{
    command::{Permission, VERBS},
    config::nearest::nearest,
    event::RepoName,
    manifest::Position,
};
use std::{fmt, time::Duration};

words! {
    /// How a new image gets into an environment.
    pub enum UpdateMode {
        /// A commit where the branch takes one, else a pull request.
        Auto = "auto",
        Commit = "commit",
        PullRequest = "pull-request",
        /// Someone else updates; butler only reads.
        External = "external",
        /// Nothing but promotions changes the environment.
        None = "none",
    }
}

words! {
    /// Where an environment's health is told.
    pub enum HealthSource {
        Agent = "agent",
        Status = "status",
        Deployment = "deployment",
    }
}

words! {
    /// How many of an environment's clusters must be healthy.
    pub enum ClusterRule {
        All = "all",
        Any = "any",
    }
}

words! {
    /// Who may not approve.
    pub enum NotApprover {
        Requester = "requester",
        SourceAuthors = "source-authors",
    }
}

/// A stage that manifests are written for: a branch and paths of a repository.
#[derive(Clone, Debug, PartialEq)]
pub struct Environment {
    pub name: String,
    /// Of the name in the file.
    pub position: Position,
    /// Another repository than that of butler.yaml.
    pub repository: Option<RepoName>,
    /// Another branch than the repository's default branch; without `refs/heads/`.
    pub branch: Option<String>,
    /// Never empty.
    pub paths: Vec<PathPattern>,
    /// Globs of the clusters that apply it.
    pub clusters: Vec<String>,
    pub update: UpdateMode,
    pub protect: Protect,
    pub health: Option<Health>,
}

impl Environment {
    /// Whether a file of its repository and branch belongs to it: `/`-separated, relative to the repository's root.
    pub fn contains(&self, file: &str) -> bool {
        self.paths.iter().any(|path| path.contains(file))
    }

    /// Where a file stands below the environment's path: what it has in common with its like in other environments.
    pub fn relative(&self, file: &str) -> Option<String> {
        self.paths.iter().find_map(|path| path.relative(file))
    }

    /// The environment that is everything.
    pub(super) fn whole_repository() -> Environment {
        Environment {
            name: String::new(),
            position: Position { line: 1, column: 1 },
            repository: None,
            branch: None,
            paths: vec![PathPattern::root()],
            clusters: Vec::new(),
            update: UpdateMode::Auto,
            protect: Protect::default(),
            health: None,
        }
    }
}

/// What must hold before anything is written to an environment, whichever way it comes.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Protect {
    pub approvals: Option<Approvals>,
    pub windows: Option<Windows>,
    /// Who may give which command, by the verb, instead of [`VERBS`]' own permission: one of those listed suffices.
    pub commands: Vec<(String, Vec<Who>)>,
}

#[derive(Clone, Debug, PartialEq)]
pub struct Approvals {
    pub team: Option<String>,
    pub count: u32,
    pub not: Vec<NotApprover>,
}

/// When an environment may be written to: in an allowed window (if there are any) and in none that is denied.
#[derive(Clone, Debug, PartialEq)]
pub struct Windows {
    /// IANA name.
    pub timezone: Option<String>,
    pub allow: Vec<String>,
    pub deny: Vec<String>,
}

#[derive(Clone, Debug, PartialEq)]
pub struct Health {
    pub from: HealthSource,
    /// Globs of status contexts.
    pub context: Vec<String>,
    pub clusters: ClusterRule,
    /// A cluster not heard of for so long is gone, not unhealthy.
    pub stale_after: Option<Duration>,
}

/// Who may do something.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Who {
    /// Whoever has at least this permission on the repository.
    Permission(Permission),
    Team {
        org: String,
        team: String,
    },
}

impl Who {
    /// The permission that suffices; none where a team is asked for.
    pub fn permission(&self) -> Option<Permission> {
        match self {
            Who::Permission(permission) => Some(*permission),
            Who::Team { .. } => None,
        }
    }
}

impl fmt::Display for Who {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Who::Permission(permission) => permission.fmt(f),
            Who::Team { org, team } => write!(f, "@{org}/{team}"),
        }
    }
}

const KEYS: [&str; 7] = ["repository", "branch", "path", "clusters", "update", "protect", "health"];

/// Reads one environment, the defaults already merged into it. The name's rules are checked by the caller.
pub(super) fn environment(d: &mut Decoder, key: &Key, node: &Node) -> Option<Environment> {
    let fields = d.fields(node, &KEYS)?;
    fields.not_yet(d, "clusters", Effect::Ignored);
    fields.not_yet(d, "health", Effect::Ignored);
    Some(Environment {
        name: key.name.clone(),
        position: key.position,
        repository: fields.read(d, "repository", repository),
        branch: fields.read(d, "branch", branch),
        paths: match fields.get("path") {
            Some(_) => {
                let paths = |d: &mut Decoder, node| d.one_or_more(node, |d, node| path(d, node, &key.name));
                fields.read(d, "path", paths).unwrap_or_default()
            }
            None => vec![PathPattern::root()],
        },
        clusters: fields.read(d, "clusters", |d, node| d.one_or_more(node, Decoder::text)).unwrap_or_default(),
        update: fields.read(d, "update", Decoder::word).unwrap_or(UpdateMode::Auto),
        protect: fields.read(d, "protect", |d, node| protect(d, node, Some(&key.name))).unwrap_or_default(),
        health: fields.read(d, "health", health),
    })
}

pub(super) fn repository(d: &mut Decoder, node: &Node) -> Option<RepoName> {
    let text = d.text(node)?;
    text.parse().map_err(|error: crate::engine::event::RepoNameError| d.fault(node.position, error.to_string())).ok()
}

/// Git's own rules for the name of a branch (`git check-ref-format`).
fn branch(d: &mut Decoder, node: &Node) -> Option<String> {
    let text = d.text(node)?;
    if let Some(short) = text.strip_prefix("refs/heads/") {
        d.fault(
            node.position,
            format!("expected a branch without refs/heads/, found {}; write {short}", quoted(&text)),
        );
        return None;
    }
    let valid = !text.contains([' ', '~', '^', ':', '?', '*', '[', '\\'])
        && !text.contains("..")
        && !text.contains("@{")
        && !text.starts_with('-')
        && !text.ends_with('.')
        && text != "@"
        && text.split('/').all(|part| !part.is_empty() && !part.starts_with('.') && !part.ends_with(".lock"));
    if !valid {
        d.fault(node.position, format!("expected the name of a branch, found {}", quoted(&text)));
    }
    valid.then_some(text)
}

fn path(d: &mut Decoder, node: &Node, environment: &str) -> Option<PathPattern> {
    let text = d.text(node)?;
    PathPattern::new(&text, environment).map_err(|why| d.fault(node.position, why)).ok()
}

/// Reads `protect`; what is not enforced yet blocks the environment (or, for `None`, only notes nothing).
pub(super) fn protect(d: &mut Decoder, node: &Node, environment: Option<&str>) -> Option<Protect> {
    let fields = d.fields(node, &["approvals", "windows", "commands"])?;
    if let Some(environment) = environment {
        fields.not_yet(d, "approvals", Effect::BlocksEnvironment(environment.to_owned()));
        fields.not_yet(d, "windows", Effect::BlocksEnvironment(environment.to_owned()));
    }
    Some(Protect {
        approvals: fields.read(d, "approvals", |d, node| {
            let fields = d.fields(node, &["team", "count", "not"])?;
            Some(Approvals {
                team: fields.read(d, "team", Decoder::text),
                count: fields.read(d, "count", Decoder::count).unwrap_or(1),
                not: fields.read(d, "not", |d, node| d.one_or_more(node, Decoder::word)).unwrap_or_default(),
            })
        }),
        windows: fields.read(d, "windows", |d, node| {
            let fields = d.fields(node, &["timezone", "allow", "deny"])?;
            let windows = |d: &mut Decoder, key| {
                fields.read(d, key, |d, node| d.one_or_more(node, one_window)).unwrap_or_default()
            };
            Some(Windows {
                timezone: fields.read(d, "timezone", timezone),
                allow: windows(d, "allow"),
                deny: windows(d, "deny"),
            })
        }),
        commands: fields
            .read(d, "commands", |d, node| {
                d.named(node, |d, key, node| {
                    let known = || VERBS.iter().map(|verb| verb.name);
                    if !known().any(|verb| verb == key.name) {
                        let hint = match nearest(&key.name, known()) {
                            Some(near) => format!("did you mean {near:?}?"),
                            None => format!("known: {}", known().collect::<Vec<_>>().join(", ")),
                        };
                        d.fault(key.position, format!("unknown command {}; {hint}", quoted(&key.name)));
                    }
                    whose(d, node)
                })
            })
            .unwrap_or_default(),
    })
}

fn one_window(d: &mut Decoder, node: &Node) -> Option<String> {
    let text = d.text(node)?;
    if let Some(why) = window::fault(&text) {
        d.fault(node.position, why);
    }
    Some(text)
}

fn timezone(d: &mut Decoder, node: &Node) -> Option<String> {
    let text = d.text(node)?;
    if !window::is_time_zone(&text) {
        let expected = "expected the IANA name of a time zone, such as Europe/Berlin";
        d.fault(node.position, format!("{expected}, found {}", quoted(&text)));
    }
    Some(text)
}

pub(super) fn whose(d: &mut Decoder, node: &Node) -> Option<Vec<Who>> {
    d.one_or_more(node, |d, node| {
        let text = d.text(node)?;
        let team = text.strip_prefix('@').and_then(|rest| rest.split_once('/'));
        if let Some((org, team)) = team.filter(|(org, team)| name(org) && name(team)) {
            return Some(Who::Team { org: org.to_owned(), team: team.to_owned() });
        }
        let permission = Permission::from_role_name(&text);
        if permission.is_none() {
            let expected = "expected read, triage, write, maintain, admin or @org/team";
            let hint =
                nearest(&text, Permission::ALL.map(Permission::word)).map(|near| format!("; did you mean {near:?}?"));
            d.fault(node.position, format!("{expected}, found {}{}", quoted(&text), hint.unwrap_or_default()));
        }
        permission.map(Who::Permission)
    })
}

fn health(d: &mut Decoder, node: &Node) -> Option<Health> {
    let fields = d.fields(node, &["from", "context", "clusters", "stale-after"])?;
    Some(Health {
        from: fields.require(d, "from", Decoder::word)?,
        context: fields.read(d, "context", |d, node| d.one_or_more(node, Decoder::text)).unwrap_or_default(),
        clusters: fields.read(d, "clusters", Decoder::word).unwrap_or(ClusterRule::All),
        stale_after: fields.read(d, "stale-after", Decoder::duration),
    })
}
