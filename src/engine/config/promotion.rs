//! `promotions`: which environment's versions go where, and how.

use super::{
    Located,
    decode::{Decoder, words},
    not_yet::Effect,
    settings::located,
    tree::{Node, Value, quoted},
};
use crate::engine::manifest::Position;
use std::time::Duration;

words! {
    /// What a promotion carries over.
    pub enum Mode {
        /// Image references, tags, digests and chart versions of corresponding lines.
        Versions = "versions",
        /// Files and fields, three-way.
        Copy = "copy",
        /// The source branch.
        Merge = "merge",
    }
}

words! {
    /// How a promotion is written.
    pub enum Write {
        PullRequest = "pull-request",
        Commit = "commit",
    }
}

words! {
    /// When a promotion is opened.
    pub enum Open {
        /// As soon as its gates are green.
        WhenReady = "when-ready",
        /// When a person asks for it.
        Command = "command",
        /// As soon as there is a difference.
        AtOnce = "at-once",
    }
}

words! {
    /// Who merges butler's pull request.
    pub enum Merge {
        /// A person, on GitHub or by `/merge`.
        Manual = "manual",
        /// butler, when everything required is there.
        Auto = "auto",
        /// GitHub's merge queue.
        Queue = "queue",
    }
}

words! {
    /// What one pull request holds.
    pub enum Per {
        Environment = "environment",
        Component = "component",
    }
}

words! {
    /// Whether a newer plan goes into an open pull request.
    pub enum Refresh {
        UntilReview = "until-review",
        Always = "always",
        Never = "never",
    }
}

words! {
    /// What must be true of the image that a substituted reference names.
    pub enum Require {
        Exists = "exists",
        SameDigest = "same-digest",
    }
}

/// Edges from each source environment to each target.
#[derive(Clone, Debug, PartialEq)]
pub struct Promotion {
    pub name: String,
    /// Of the name in the file.
    pub position: Position,
    /// Environments' names; never empty.
    pub from: Vec<String>,
    pub to: Vec<String>,
    pub mode: Mode,
    pub write: Write,
    pub open: Open,
    pub gates: Gates,
    pub substitute: Option<Substitute>,
    pub map: Vec<FieldMap>,
    pub keep: Vec<Keep>,
    pub pull_request: PullRequest,
}

/// What must be true of a rollout in the source before it is promoted.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Gates {
    pub healthy: bool,
    pub soak: Option<Duration>,
    /// Globs of check and status contexts.
    pub checks: Vec<String>,
}

/// How references change on the way: other registries, other tags.
#[derive(Clone, Debug, PartialEq)]
pub struct Substitute {
    pub registry: Vec<(String, String)>,
    /// Flux v1 tag filters: the source's and the target's.
    pub filter: Vec<(String, String)>,
    pub tag: SubstituteTag,
    pub require: Option<Require>,
    /// Components that are left as they are.
    pub except: Vec<String>,
}

#[derive(Clone, Debug, PartialEq)]
pub enum SubstituteTag {
    /// The same tag.
    Carry,
    /// The newest tag in the target's registry under the target's filter.
    Resolve,
    /// The tag rewritten: a regular expression and what to put for it.
    Rewrite { rewrite: String, to: String },
}

/// A field whose values differ by rule between source and target.
#[derive(Clone, Debug, PartialEq)]
pub struct FieldMap {
    pub field: String,
    pub values: Vec<(String, String)>,
}

/// What a promotion never changes.
#[derive(Clone, Debug, PartialEq)]
pub enum Keep {
    File { glob: String },
    Field { kind: Option<String>, name: Option<String>, path: Option<String> },
}

/// How butler's pull requests look, and who handles them.
#[derive(Clone, Debug, PartialEq)]
pub struct PullRequest {
    pub teams: Vec<String>,
    pub users: Vec<String>,
    /// Logins, or `source-authors`.
    pub assignees: Vec<String>,
    pub labels: Vec<String>,
    pub merge: Merge,
    pub per: Per,
    pub refresh: Refresh,
    pub draft: bool,
}

impl Default for PullRequest {
    fn default() -> Self {
        PullRequest {
            teams: Vec::new(),
            users: Vec::new(),
            assignees: Vec::new(),
            labels: Vec::new(),
            merge: Merge::Manual,
            per: Per::Environment,
            refresh: Refresh::UntilReview,
            draft: false,
        }
    }
}

const KEYS: [&str; 11] =
    ["name", "from", "to", "mode", "write", "open", "gates", "substitute", "map", "keep", "pull-request"];

/// Where a promotion's environments are named.
#[derive(Default)]
pub(super) struct Ends {
    pub from: Vec<Located<String>>,
    pub to: Vec<Located<String>>,
}

/// Reads one promotion, the defaults already merged into it.
pub(super) fn promotion(d: &mut Decoder, node: &Node) -> Option<(Promotion, Ends)> {
    let fields = d.fields(node, &KEYS)?;
    let name = fields.require(d, "name", Decoder::text);
    let mut ends = |key| fields.require(d, key, |d, node| d.one_or_more(node, located)).unwrap_or_default();
    let ends = Ends { from: ends("from"), to: ends("to") };
    let blocks = || Effect::BlocksPromotion(name.clone().unwrap_or_default());
    for key in ["substitute", "map", "keep"] {
        fields.not_yet(d, key, blocks());
    }
    let mode = fields.read(d, "mode", Decoder::word).unwrap_or(Mode::Versions);
    if mode != Mode::Versions {
        fields.not_yet(d, "mode", blocks());
    }
    let open = match mode {
        Mode::Versions => Open::WhenReady,
        Mode::Copy | Mode::Merge => Open::Command,
    };
    let promotion = Promotion {
        position: fields.get("name").map_or(fields.position, |node| node.position),
        name: name.clone().unwrap_or_default(),
        from: ends.from.iter().map(|end| end.value.clone()).collect(),
        to: ends.to.iter().map(|end| end.value.clone()).collect(),
        mode,
        write: fields.read(d, "write", Decoder::word).unwrap_or(Write::PullRequest),
        open: fields.read(d, "open", Decoder::word).unwrap_or(open),
        gates: fields.read(d, "gates", gates).unwrap_or_default(),
        substitute: fields.read(d, "substitute", substitute),
        map: fields.read(d, "map", |d, node| d.list(node, "a list of {field, values}", field_map)).unwrap_or_default(),
        keep: fields.read(d, "keep", keep).unwrap_or_default(),
        pull_request: fields.read(d, "pull-request", pull_request).unwrap_or_default(),
    };
    if promotion.gates != Gates::default() {
        fields.not_yet(d, "gates", blocks());
    }
    Some((promotion, ends))
}

fn gates(d: &mut Decoder, node: &Node) -> Option<Gates> {
    let fields = d.fields(node, &["healthy", "soak", "checks"])?;
    Some(Gates {
        healthy: fields.read(d, "healthy", Decoder::boolean).unwrap_or_default(),
        soak: fields.read(d, "soak", Decoder::duration).filter(|soak| !soak.is_zero()),
        checks: fields.read(d, "checks", |d, node| d.one_or_more(node, Decoder::text)).unwrap_or_default(),
    })
}

fn substitute(d: &mut Decoder, node: &Node) -> Option<Substitute> {
    let fields = d.fields(node, &["registry", "filter", "tag", "require", "except"])?;
    Some(Substitute {
        registry: fields.read(d, "registry", Decoder::pairs).unwrap_or_default(),
        filter: fields.read(d, "filter", Decoder::pairs).unwrap_or_default(),
        tag: fields.read(d, "tag", substitute_tag).unwrap_or(SubstituteTag::Carry),
        require: fields.read(d, "require", Decoder::word),
        except: fields.read(d, "except", |d, node| d.one_or_more(node, Decoder::text)).unwrap_or_default(),
    })
}

fn substitute_tag(d: &mut Decoder, node: &Node) -> Option<SubstituteTag> {
    match &node.value {
        Value::Map(_) => {
            let fields = d.fields(node, &["rewrite", "to"])?;
            let rewrite = fields.require(d, "rewrite", Decoder::text);
            let to = fields.require(d, "to", Decoder::text);
            Some(SubstituteTag::Rewrite { rewrite: rewrite?, to: to? })
        }
        Value::Plain(text) | Value::Text(text) if text == "carry" => Some(SubstituteTag::Carry),
        Value::Plain(text) | Value::Text(text) if text == "resolve" => Some(SubstituteTag::Resolve),
        _ => {
            let expected = "expected carry, resolve or a mapping {rewrite, to}";
            d.fault(node.position, format!("{expected}, found {}", node.describe()));
            None
        }
    }
}

fn field_map(d: &mut Decoder, node: &Node) -> Option<FieldMap> {
    let fields = d.fields(node, &["field", "values"])?;
    let field = fields.require(d, "field", Decoder::text);
    let values = fields.require(d, "values", Decoder::pairs);
    Some(FieldMap { field: field?, values: values? })
}

pub(super) fn keep(d: &mut Decoder, node: &Node) -> Option<Vec<Keep>> {
    d.list(node, "a list of {kind, name, path} or {file}", |d, node| {
        let fields = d.fields(node, &["kind", "name", "path", "file"])?;
        let mut text = |key| fields.read(d, key, Decoder::text);
        let (kind, name, path, file) = (text("kind"), text("name"), text("path"), text("file"));
        match file {
            Some(_) if kind.is_some() || name.is_some() || path.is_some() => {
                d.fault(node.position, "expected either file or kind, name and path, found both");
                None
            }
            Some(glob) => Some(Keep::File { glob }),
            None if kind.is_none() && name.is_none() && path.is_none() => {
                d.fault(node.position, "expected at least one of kind, name, path and file");
                None
            }
            None => Some(Keep::Field { kind, name, path }),
        }
    })
}

const PULL_REQUEST: [&str; 7] = ["reviewers", "assignees", "labels", "merge", "per", "refresh", "draft"];

pub(super) fn pull_request(d: &mut Decoder, node: &Node) -> Option<PullRequest> {
    let fields = d.fields(node, &PULL_REQUEST)?;
    for key in ["assignees", "per", "refresh"] {
        fields.not_yet(d, key, Effect::Ignored);
    }
    let default = PullRequest::default();
    let merge = fields.read(d, "merge", Decoder::word).unwrap_or(default.merge);
    if merge == Merge::Queue {
        fields.not_yet(d, "merge", Effect::Ignored);
    }
    let (teams, users) = fields
        .read(d, "reviewers", |d, node| {
            let fields = d.fields(node, &["teams", "users"])?;
            let mut names = |key| fields.read(d, key, Decoder::texts).unwrap_or_default();
            Some((names("teams"), names("users")))
        })
        .unwrap_or_default();
    Some(PullRequest {
        teams,
        users,
        assignees: fields.read(d, "assignees", Decoder::texts).unwrap_or_default(),
        labels: fields.read(d, "labels", labels).unwrap_or_default(),
        merge,
        per: fields.read(d, "per", Decoder::word).unwrap_or(default.per),
        refresh: fields.read(d, "refresh", Decoder::word).unwrap_or(default.refresh),
        draft: fields.read(d, "draft", Decoder::boolean).unwrap_or(default.draft),
    })
}

/// GitHub's labels hold 50 characters at most.
fn labels(d: &mut Decoder, node: &Node) -> Option<Vec<String>> {
    d.list(node, "a list of strings", |d, node| {
        let label = d.text(node)?;
        if label.chars().count() > 50 {
            d.fault(node.position, format!("expected a label of at most 50 characters, found {}", quoted(&label)));
            return None;
        }
        Some(label)
    })
}
