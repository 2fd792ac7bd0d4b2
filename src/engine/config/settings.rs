//! The keys beside `environments` and `promotions`.

use super::{
    Located,
    decode::{Decoder, Words, words},
    environment::{Protect, UpdateMode, Who, protect, whose},
    not_yet::Effect,
    promotion::{Merge, PullRequest, pull_request},
    tree::{Node, Plain, Value, plain, quoted},
};
use crate::engine::{
    image::Repository,
    policy::{Direction, Order, TagPolicy},
};
use std::{sync::Arc, time::Duration};

words! {
    /// What goes into one commit or pull request.
    pub enum Group {
        Environment = "environment",
        Component = "component",
        Image = "image",
    }
}

words! {
    /// What happens when a policy's choice is older than what runs.
    pub enum Downgrade {
        PullRequest = "pull-request",
        Allow = "allow",
        Deny = "deny",
    }
}

words! {
    /// How commits are signed.
    pub enum Sign {
        /// By GitHub, in the App's name.
        Github = "github",
        Ssh = "ssh",
        None = "none",
    }
}

words! {
    /// What happens with images of ECR accounts that are not listed.
    pub enum OtherAccounts {
        Deny = "deny",
        Warn = "warn",
        Allow = "allow",
    }
}

words! {
    /// What happens with markers in files that are no YAML.
    pub enum UnparsedFiles {
        Edit = "edit",
        Skip = "skip",
    }
}

words! {
    /// Where commands without `/butler` count.
    pub enum Bare {
        /// On pull requests that butler opened.
        Own = "own",
        Everywhere = "everywhere",
    }
}

words! {
    pub enum Together {
        /// All images of the component move to one tag, or none does.
        SameTag = "same-tag",
    }
}

/// What moves as one.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Component {
    pub images: Vec<String>,
    pub objects: Vec<String>,
    pub paths: Vec<String>,
    pub label: Option<String>,
    pub together: Option<Together>,
}

/// A policy for every line of an image, without markers.
#[derive(Clone, Debug, PartialEq)]
pub struct ImagePolicy {
    /// As written.
    pub image: Located<String>,
    pub repository: Repository,
    /// Environments' names; empty for all.
    pub environments: Vec<Located<String>>,
    pub tags: Arc<TagPolicy>,
}

#[derive(Clone, Debug, PartialEq)]
pub struct Updates {
    pub group: Group,
    /// How long nothing new must have been heard before butler acts.
    pub quiet: Duration,
    /// How long it waits for that at most.
    pub at_most: Duration,
    pub downgrade: Downgrade,
    pub pull_request: PullRequest,
}

impl Default for Updates {
    fn default() -> Self {
        Updates {
            group: Group::Environment,
            quiet: Duration::from_secs(10),
            at_most: Duration::from_secs(120),
            downgrade: Downgrade::PullRequest,
            pull_request: PullRequest::default(),
        }
    }
}

#[derive(Clone, Debug, Default, PartialEq)]
pub struct Commits {
    /// Templates.
    pub subject: Option<String>,
    pub body: Option<String>,
    pub author: Option<Author>,
    /// `None`: whatever suits the rest.
    pub sign: Option<Sign>,
    pub skip_ci: bool,
}

/// Whose name a commit carries.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Author {
    pub name: String,
    pub email: String,
}

/// A registry that butler may ask beyond those that the server allows.
#[derive(Clone, Debug, PartialEq)]
pub enum Registry {
    /// `host` or `host:port`.
    Host(String),
    Ecr(Ecr),
}

#[derive(Clone, Debug, PartialEq)]
pub struct Ecr {
    pub region: Option<String>,
    /// Names and the accounts' twelve digits.
    pub accounts: Vec<(String, String)>,
    pub others: OtherAccounts,
    /// ARN of a role to assume.
    pub role: Option<String>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Commands {
    /// Where commands without `/butler` count.
    pub bare: Bare,
}

impl Default for Commands {
    fn default() -> Self {
        Commands { bare: Bare::Own }
    }
}

#[derive(Clone, Debug, PartialEq)]
pub struct Dialects {
    pub annotations_prefix: Option<String>,
    pub flux: FluxDialect,
    pub unparsed_files: UnparsedFiles,
}

impl Default for Dialects {
    fn default() -> Self {
        let flux = FluxDialect::default();
        Dialects { annotations_prefix: None, flux, unparsed_files: UnparsedFiles::Edit }
    }
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct FluxDialect {
    /// butler writes the lines that Flux's own automation writes, in its place.
    pub take_over: bool,
}

/// What a fleet repository says about its tenants.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Tenants {
    /// Globs of `owner/name`.
    pub repositories: Vec<String>,
    pub limits: Limits,
    pub onboarding: Option<Onboarding>,
}

/// What a tenant's own file may only tighten; by environment's name.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Limits {
    pub update: Vec<(String, UpdateMode)>,
    pub merge: Option<Merge>,
    pub protect: Vec<(String, Protect)>,
}

#[derive(Clone, Debug, Default, PartialEq)]
pub struct Onboarding {
    pub request: Vec<Who>,
    pub approve: Vec<Who>,
    pub template: Option<String>,
    pub path: Option<String>,
}

pub(super) fn located(d: &mut Decoder, node: &Node) -> Option<Located<String>> {
    Some(Located { value: d.text(node)?, position: node.position })
}

pub(super) fn component(d: &mut Decoder, node: &Node) -> Option<Component> {
    let fields = d.fields(node, &["images", "objects", "paths", "label", "together"])?;
    let mut texts = |key| fields.read(d, key, |d, node| d.one_or_more(node, Decoder::text)).unwrap_or_default();
    Some(Component {
        images: texts("images"),
        objects: texts("objects"),
        paths: texts("paths"),
        label: fields.read(d, "label", Decoder::text),
        together: fields.read(d, "together", Decoder::word),
    })
}

pub(super) fn image_policy(d: &mut Decoder, node: &Node) -> Option<ImagePolicy> {
    let fields = d.fields(node, &["image", "environments", "policy"])?;
    let image = fields.require(d, "image", |d, node| {
        let image = located(d, node)?;
        let repository = Repository::parse(&image.value).map_err(|error| d.fault(node.position, error.to_string()));
        Some((image, repository.ok()?))
    });
    let tags = fields.require(d, "policy", tag_policy);
    let environments = fields.read(d, "environments", |d, node| d.one_or_more(node, located)).unwrap_or_default();
    let (image, repository) = image?;
    Some(ImagePolicy { image, repository, environments, tags: Arc::new(tags?) })
}

fn tag_policy(d: &mut Decoder, node: &Node) -> Option<TagPolicy> {
    const ORDERS: [&str; 4] = ["semver", "numerical", "alphabetical", "newest"];
    let fields = d.fields(node, &["semver", "numerical", "alphabetical", "newest", "filter", "extract", "exclude"])?;
    let given: Vec<&str> = ORDERS.into_iter().filter(|order| fields.get(order).is_some()).collect();
    let order = match given.as_slice() {
        ["semver"] => fields.read(d, "semver", |d, node| {
            let order = Order::Semver { range: d.text(node)?, three_part: true };
            compiles(d, node, (order.clone(), None, None)).then_some(order)
        }),
        ["numerical"] => fields.read(d, "numerical", Decoder::word).map(Order::Numerical),
        ["alphabetical"] => fields.read(d, "alphabetical", Decoder::word).map(Order::Alphabetical),
        ["newest"] => fields.read(d, "newest", |d, node| {
            let newest = d.boolean(node)?;
            if !newest {
                d.fault(node.position, "expected true, found false; leave the key out and give another order");
            }
            newest.then_some(Order::Newest)
        }),
        given => {
            let found = if given.is_empty() { "none".to_owned() } else { given.join(", ") };
            d.fault(node.position, format!("expected one of {}, found {found}", ORDERS.join(", ")));
            None
        }
    };
    // Each expression by itself, so that each fault is told where it stands.
    let filter = fields.read(d, "filter", |d, node| {
        let filter = d.text(node)?;
        compiles(d, node, (Order::Newest, Some((&filter, "")), None)).then_some(filter)
    });
    let extract = fields.read(d, "extract", located);
    if let (None, Some(extract)) = (fields.get("filter"), &extract) {
        d.fault(extract.position, "extract: expected a filter beside it, whose groups it names");
    }
    let exclude = |d: &mut Decoder, node: &Node| {
        let pattern = d.text(node)?;
        compiles(d, node, (Order::Newest, None, Some(vec![pattern.clone()]))).then_some(pattern)
    };
    let exclude = fields.read(d, "exclude", |d, node| d.one_or_more(node, exclude)).unwrap_or_default();
    let extract = extract.as_ref().map_or("", |extract| &extract.value);
    let policy =
        TagPolicy::new(order?, filter.as_ref().map(|filter| (filter.as_str(), extract)), Some(exclude)).ok()?;
    if let (Some(extract), [unknown, ..]) = (fields.get("extract"), policy.unknown_groups().as_slice()) {
        d.fault(
            extract.position,
            format!("extract: expected groups of the filter, found ${unknown}, which is none; write ${{…}} where text follows"),
        );
    }
    Some(policy.without_attached())
}

/// Whether a part of a policy can be; a fault where it cannot.
fn compiles(
    d: &mut Decoder,
    node: &Node,
    (order, filter, exclude): (Order, Option<(&str, &str)>, Option<Vec<String>>),
) -> bool {
    let compiled = TagPolicy::new(order, filter, exclude);
    compiled.map_err(|error| d.fault(node.position, error.to_string())).is_ok()
}

impl Words for Direction {
    const WORDS: &'static [(&'static str, Self)] = &[("asc", Direction::Ascending), ("desc", Direction::Descending)];
}

pub(super) fn updates(d: &mut Decoder, node: &Node) -> Option<Updates> {
    let fields = d.fields(node, &["group", "quiet", "at-most", "downgrade", "pull-request"])?;
    fields.not_yet(d, "group", Effect::Ignored);
    let default = Updates::default();
    let quiet = fields.read(d, "quiet", Decoder::duration);
    let at_most = fields.read(d, "at-most", Decoder::duration);
    let at_most = at_most.unwrap_or_else(|| default.at_most.max(quiet.unwrap_or_default()));
    let quiet = quiet.unwrap_or_else(|| default.quiet.min(at_most));
    if quiet > at_most {
        let message = format!("quiet ({quiet:?}) is longer than at-most ({at_most:?}): it would never end first");
        d.fault(node.position, message);
    }
    Some(Updates {
        group: fields.read(d, "group", Decoder::word).unwrap_or(default.group),
        quiet,
        at_most,
        downgrade: fields.read(d, "downgrade", Decoder::word).unwrap_or(default.downgrade),
        pull_request: fields.read(d, "pull-request", pull_request).unwrap_or_default(),
    })
}

pub(super) fn commits(d: &mut Decoder, node: &Node) -> Option<Commits> {
    let fields = d.fields(node, &["subject", "body", "author", "sign", "skip-ci"])?;
    for key in ["subject", "body", "sign", "skip-ci"] {
        fields.not_yet(d, key, Effect::Ignored);
    }
    let commits = Commits {
        subject: fields.read(d, "subject", Decoder::any_text),
        body: fields.read(d, "body", Decoder::any_text),
        author: fields.read(d, "author", author),
        sign: fields.read(d, "sign", Decoder::word),
        skip_ci: fields.read(d, "skip-ci", Decoder::boolean).unwrap_or_default(),
    };
    if let (Some(_), Some(Sign::Github), Some(node)) = (&commits.author, commits.sign, fields.get("sign")) {
        d.fault(node.position, "sign: github signs in the App's name only: leave out author, or write ssh or none");
    }
    Some(commits)
}

/// `Name <name@example.org>`, as git writes it.
fn author(d: &mut Decoder, node: &Node) -> Option<Author> {
    let text = d.text(node)?;
    let author = text.strip_suffix('>').and_then(|text| text.split_once('<')).and_then(|(name, email)| {
        let name = name.trim();
        let valid = !name.is_empty() && email.contains('@') && !email.contains(['<', '>', ' ']) && !name.contains('>');
        valid.then(|| Author { name: name.to_owned(), email: email.to_owned() })
    });
    if author.is_none() {
        d.fault(node.position, format!("expected an author as Name <name@example.org>, found {}", quoted(&text)));
    }
    author
}

pub(super) fn registry(d: &mut Decoder, node: &Node) -> Option<Registry> {
    let fields = d.fields(node, &["host", "provider", "region", "accounts", "others", "role"])?;
    if fields.get("provider").is_some() {
        for key in ["accounts", "others", "role"] {
            fields.not_yet(d, key, Effect::Ignored);
        }
        // Annotations that name an account alone go by the region: the entry has an effect then.
        if fields.get("region").is_none() {
            fields.not_yet(d, "provider", Effect::Ignored);
        }
        if let Some(host) = fields.get("host") {
            d.fault(host.position, "expected either host or provider, found both");
        }
        fields.read(d, "provider", |d, node| match &node.value {
            Value::Plain(text) | Value::Text(text) if text == "aws" => Some(()),
            _ => {
                d.fault(node.position, format!("expected aws, found {}", node.describe()));
                None
            }
        })?;
        return Some(Registry::Ecr(Ecr {
            region: fields.read(d, "region", Decoder::text),
            accounts: fields
                .read(d, "accounts", |d, node| d.named(node, |d, _, node| account(d, node)))
                .unwrap_or_default(),
            others: fields.read(d, "others", Decoder::word).unwrap_or(OtherAccounts::Warn),
            role: fields.read(d, "role", Decoder::text),
        }));
    }
    for key in ["region", "accounts", "others", "role"] {
        if let Some(node) = fields.get(key) {
            d.fault(node.position, format!("{key}: expected \"provider: aws\" beside it"));
        }
    }
    fields.require(d, "host", host).map(Registry::Host)
}

/// An AWS account's twelve digits. A number is refused: its leading zeros are lost to other readers of the file.
fn account(d: &mut Decoder, node: &Node) -> Option<String> {
    let text = match &node.value {
        Value::Text(text) => Some(text),
        _ => None,
    };
    let account = text.filter(|text| text.len() == 12 && text.bytes().all(|b| b.is_ascii_digit()));
    if account.is_none() {
        let hint = match &node.value {
            Value::Plain(text) if plain(text) == Plain::Number => "; put it in quotes",
            _ => "",
        };
        let message = format!("expected an account's twelve digits as a string, found {}{hint}", node.describe());
        d.fault(node.position, message);
    }
    account.cloned()
}

fn host(d: &mut Decoder, node: &Node) -> Option<String> {
    let text = d.text(node)?;
    let (host, port) = text.split_once(':').map_or((text.as_str(), None), |(host, port)| (host, Some(port)));
    let valid = host.split('.').all(|label| {
        !label.is_empty() && !label.starts_with('-') && label.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-')
    }) && port.is_none_or(|port| port.parse::<u16>().is_ok_and(|port| port > 0));
    if !valid {
        let message = format!("expected a registry as host or host:port, found {}", quoted(&text));
        d.fault(node.position, message);
        return None;
    }
    Some(text.to_ascii_lowercase())
}

pub(super) fn dialects(d: &mut Decoder, node: &Node) -> Option<Dialects> {
    let fields = d.fields(node, &["annotations", "flux", "unparsed-files"])?;
    Some(Dialects {
        annotations_prefix: fields.read(d, "annotations", |d, node| {
            let fields = d.fields(node, &["prefix"])?;
            fields.require(d, "prefix", Decoder::text)
        }),
        flux: fields
            .read(d, "flux", |d, node| {
                let fields = d.fields(node, &["take-over"])?;
                let take_over = fields.read(d, "take-over", Decoder::boolean).unwrap_or_default();
                Some(FluxDialect { take_over })
            })
            .unwrap_or_default(),
        unparsed_files: fields.read(d, "unparsed-files", Decoder::word).unwrap_or(UnparsedFiles::Edit),
    })
}

pub(super) fn commands(d: &mut Decoder, node: &Node) -> Option<Commands> {
    let fields = d.fields(node, &["bare"])?;
    Some(Commands { bare: fields.read(d, "bare", Decoder::word).unwrap_or(Bare::Own) })
}

pub(super) fn tenants(d: &mut Decoder, node: &Node) -> Option<Tenants> {
    let fields = d.fields(node, &["repositories", "limits", "onboarding"])?;
    fields.not_yet(d, "repositories", Effect::Ignored);
    fields.not_yet(d, "limits", Effect::BlocksEverything);
    fields.not_yet(d, "onboarding", Effect::Ignored);
    Some(Tenants {
        repositories: fields.read(d, "repositories", Decoder::texts).unwrap_or_default(),
        limits: fields
            .read(d, "limits", |d, node| {
                let fields = d.fields(node, &["update", "merge", "protect"])?;
                Some(Limits {
                    update: fields
                        .read(d, "update", |d, node| d.named(node, |d, _, node| d.word(node)))
                        .unwrap_or_default(),
                    merge: fields.read(d, "merge", Decoder::word),
                    protect: fields
                        .read(d, "protect", |d, node| d.named(node, |d, _, node| protect(d, node, None)))
                        .unwrap_or_default(),
                })
            })
            .unwrap_or_default(),
        onboarding: fields.read(d, "onboarding", |d, node| {
            let fields = d.fields(node, &["request", "approve", "template", "path"])?;
            Some(Onboarding {
                request: fields.read(d, "request", whose).unwrap_or_default(),
                approve: fields.read(d, "approve", whose).unwrap_or_default(),
                template: fields.read(d, "template", Decoder::text),
                path: fields.read(d, "path", Decoder::text),
            })
        }),
    })
}
