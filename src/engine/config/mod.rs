//! butler.yaml: its types, and how it is read.
//!
//! Strict: an unknown key, a wrong type or a name that nobody declared is a [`ConfigError`] with its place, and all of
//! them are found in one go. Keys whose behaviour this version does not have are read and checked too;
//! [`Config::not_yet`] lists them, and says what stands still because of them.
//!
//! ```
//! let text = "version: 1\nenviroments: {}\n";
//! let errors = butler::engine::config::parse("butler.yaml", text).unwrap_err();
//! assert_eq!(errors[0].to_string(), "butler.yaml:1:1: the key \"environments\" is missing");
//! assert_eq!(errors[1].to_string(), "butler.yaml:2:1: unknown key \"enviroments\"; did you mean \"environments\"?");
//! ```

mod check;
pub(crate) mod decode;
mod environment;
mod nearest;
mod not_yet;
mod path;
mod promotion;
mod settings;
#[cfg(test)]
mod tests;
pub(crate) mod tree;
mod window;

pub use environment::{
    Approvals, ClusterRule, Environment, Health, HealthSource, NotApprover, Protect, UpdateMode, Who, Windows,
};
pub use not_yet::{ConfigWarning, Effect};
pub use path::PathPattern;
pub use promotion::{
    FieldMap, Gates, Keep, Merge, Mode, Open, Per, Promotion, PullRequest, Refresh, Require, Substitute, SubstituteTag,
    Write,
};
pub use settings::{
    Author, Bare, Commands, Commits, Component, Dialects, Downgrade, Ecr, FluxDialect, Group, ImagePolicy, Limits,
    Onboarding, OtherAccounts, Registry, Sign, Tenants, Together, UnparsedFiles, Updates,
};

pub(crate) use decode::duration;
pub(crate) use nearest::{is_near, nearest};

use crate::engine::{event::RepoName, manifest::Position};
use decode::{Decoder, Fields};
use promotion::Ends;
use tree::{Node, Plain, Value, plain};

const FILES: [&str; 2] = [".github/butler.yaml", "butler.yaml"];

/// Names that are close to those, and are not read.
const MISNAMED: [(&str, &str); 2] = [(".github/butler.yml", ".github/butler.yaml"), ("butler.yml", "butler.yaml")];

/// The largest file that is read, in bytes.
pub const LARGEST_FILE: usize = 1024 * 1024;

/// Something in butler.yaml that somebody must put right.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{file}:{position}: {message}")]
pub struct ConfigError {
    pub file: String,
    pub position: Position,
    pub message: String,
}

/// A value and where it stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Located<T> {
    pub value: T,
    pub position: Position,
}

/// A butler.yaml without faults, the defaults merged in.
#[derive(Clone, Debug, PartialEq)]
pub struct Config {
    /// Its path, which findings about what it defines name; empty where there is none.
    pub file: String,
    /// In the file's order; never empty.
    pub environments: Vec<Environment>,
    /// In the file's order. Without cycles.
    pub promotions: Vec<Promotion>,
    pub components: Vec<(String, Component)>,
    pub images: Vec<ImagePolicy>,
    pub updates: Updates,
    /// What no promotion changes.
    pub keep: Vec<Keep>,
    pub commits: Commits,
    /// Config repositories whose promotions may write here.
    pub accepts: Vec<RepoName>,
    pub registries: Vec<Registry>,
    pub dialects: Dialects,
    /// Whether GitHub Deployments are made.
    pub deployments: bool,
    pub commands: Commands,
    pub tenants: Option<Tenants>,
    not_yet: Vec<ConfigWarning>,
}

/// One source and one target of a promotion.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Edge<'c> {
    pub promotion: &'c Promotion,
    pub from: &'c Environment,
    pub to: &'c Environment,
}

impl Config {
    /// What holds where there is no butler.yaml, for commands that only look: one environment, the whole repository.
    pub fn whole_repository() -> Config {
        Config {
            file: String::new(),
            environments: vec![Environment::whole_repository()],
            promotions: Vec::new(),
            components: Vec::new(),
            images: Vec::new(),
            updates: Updates::default(),
            keep: Vec::new(),
            commits: Commits::default(),
            accepts: Vec::new(),
            registries: Vec::new(),
            dialects: Dialects::default(),
            deployments: false,
            commands: Commands::default(),
            tenants: None,
            not_yet: Vec::new(),
        }
    }

    /// Why nothing that goes by this file may be written.
    pub fn blocks_everything(&self) -> Option<&ConfigWarning> {
        self.not_yet.iter().find(|warning| warning.effect == Effect::BlocksEverything)
    }

    /// Where butler.yaml may be, in a config repository's default branch. Both at once is an error: see [`locate`].
    pub fn files() -> [&'static str; 2] {
        FILES
    }

    /// Whether a file says how things are done, and not what runs: a butler.yaml, or what lies in `.github`, where it takes
    /// a permission of its own to push workflows. Images there are changed by their markers alone.
    pub fn is_beside_manifests(file: &str) -> bool {
        FILES.contains(&file) || file.starts_with(".github/")
    }

    /// The environment of that name.
    pub fn environment(&self, name: &str) -> Option<&Environment> {
        self.environments.iter().find(|environment| environment.name == name)
    }

    /// The promotion of that name.
    pub fn promotion(&self, name: &str) -> Option<&Promotion> {
        self.promotions.iter().find(|promotion| promotion.name == name)
    }

    /// Each promotion's sources with its targets, in the file's order.
    pub fn edges(&self) -> Vec<Edge<'_>> {
        let mut edges = Vec::new();
        for promotion in &self.promotions {
            for to in promotion.to.iter().filter_map(|to| self.environment(to)) {
                let sources = promotion.from.iter().filter_map(|from| self.environment(from));
                edges.extend(sources.map(|from| Edge { promotion, from, to }));
            }
        }
        edges
    }

    /// Keys that are set and that this version does not act upon, by place. Those that block must be heeded: see
    /// [`Config::blocks_promotion`] and [`Config::blocks_environment`].
    pub fn not_yet(&self) -> &[ConfigWarning] {
        &self.not_yet
    }

    /// Why a promotion must not run: a key of its own, or of the whole file, that this version does not act upon.
    pub fn blocks_promotion(&self, name: &str) -> Option<&ConfigWarning> {
        self.not_yet.iter().find(|warning| match &warning.effect {
            Effect::BlocksEverything => true,
            Effect::BlocksPromotion(blocked) => blocked == name,
            Effect::Ignored | Effect::BlocksEnvironment(_) => false,
        })
    }

    /// Why butler must neither commit to an environment nor merge into it.
    pub fn blocks_environment(&self, name: &str) -> Option<&ConfigWarning> {
        self.not_yet.iter().find(|warning| match &warning.effect {
            Effect::BlocksEverything => true,
            Effect::BlocksEnvironment(blocked) => blocked == name,
            Effect::Ignored | Effect::BlocksPromotion(_) => false,
        })
    }
}

/// Which of [`Config::files`] is there. `has` says whether the tree of the default branch holds a path.
pub fn locate(has: impl Fn(&str) -> bool) -> Result<Option<&'static str>, ConfigError> {
    match FILES.map(|file| has(file).then_some(file)) {
        [Some(first), Some(second)] => Err(ConfigError {
            file: first.into(),
            position: START,
            message: format!("there is a {second} too: keep one of the two"),
        }),
        [first, second] => Ok(first.or(second)),
    }
}

/// Files that somebody probably means as a butler.yaml and that are not read, each with what to do about it.
pub fn misnamed(has: impl Fn(&str) -> bool) -> Vec<ConfigError> {
    let found = MISNAMED.into_iter().filter(|(file, _)| has(file));
    found
        .map(|(file, meant)| ConfigError {
            file: file.into(),
            position: START,
            message: format!("this file is not read: expected the name {meant}; rename it, or remove it"),
        })
        .collect()
}

const START: Position = Position { line: 1, column: 1 };

const KEYS: [&str; 15] = [
    "version",
    "environments",
    "components",
    "images",
    "updates",
    "promotions",
    "keep",
    "commits",
    "accepts",
    "registries",
    "dialects",
    "deployments",
    "commands",
    "tenants",
    "defaults",
];

/// Reads a butler.yaml. `file` is its path, for the messages. Gives every fault that is there, by place.
pub fn parse(file: &str, text: &str) -> Result<Config, Vec<ConfigError>> {
    let mut d = Decoder::default();
    let config = read(&mut d, file, text);
    let (faults, not_yet) = d.finish();
    match config {
        Some(config) if faults.is_empty() => Ok(Config { not_yet, ..config }),
        _ => {
            let error = |(position, message)| ConfigError { file: file.to_owned(), position, message };
            Err(faults.into_iter().map(error).collect())
        }
    }
}

fn read(d: &mut Decoder, file: &str, text: &str) -> Option<Config> {
    if text.len() > LARGEST_FILE {
        d.fault(START, format!("expected at most {LARGEST_FILE} bytes, found {}", text.len()));
        return None;
    }
    let document = tree::read(text);
    let broken = document.root.is_none() && !document.faults.is_empty();
    for (position, message) in document.faults {
        d.fault(position, message);
    }
    let root = match document.root {
        _ if broken => return None,
        Some(root) if !matches!(&root.value, Value::Plain(text) if plain(text) == Plain::Nothing) => root,
        _ => {
            d.fault(START, "the file is empty; expected at least \"version: 1\" and \"environments\"");
            return None;
        }
    };
    // A file for another version is not measured by this one's keys.
    let entries = d.entries(&root)?;
    if let Some((_, version)) = entries.iter().find(|(key, _)| key.name == "version")
        && !matches!(&version.value, Value::Plain(text) if text == "1")
    {
        d.fault(version.position, format!("version: expected the number 1, found {}", version.describe()));
        return None;
    }
    let fields = d.fields(&root, &KEYS)?;
    fields.require(d, "version", |_, _| Some(()));
    let defaults = defaults(d, &fields);
    let environments = environments(d, &fields, defaults.environment);
    let promotions = fields.read(d, "promotions", |d, node| promotions(d, node, defaults.promotion));
    let (promotions, ends): (Vec<Promotion>, Vec<Ends>) = promotions.unwrap_or_default().into_iter().unzip();
    not_yet(d, &fields, &promotions);
    let config = Config {
        file: file.to_owned(),
        environments,
        promotions,
        components: fields
            .read(d, "components", |d, node| d.named(node, |d, _, node| settings::component(d, node)))
            .unwrap_or_default(),
        images: fields
            .read(d, "images", |d, node| d.list(node, "a list of {image, policy}", settings::image_policy))
            .unwrap_or_default(),
        updates: fields.read(d, "updates", settings::updates).unwrap_or_default(),
        keep: fields.read(d, "keep", promotion::keep).unwrap_or_default(),
        commits: fields.read(d, "commits", settings::commits).unwrap_or_default(),
        accepts: fields
            .read(d, "accepts", |d, node| d.list(node, "a list of owner/name", environment::repository))
            .unwrap_or_default(),
        registries: fields
            .read(d, "registries", |d, node| d.list(node, "a list of {host} or {provider: aws}", settings::registry))
            .unwrap_or_default(),
        dialects: fields.read(d, "dialects", settings::dialects).unwrap_or_default(),
        deployments: fields.read(d, "deployments", Decoder::boolean).unwrap_or_default(),
        commands: fields.read(d, "commands", settings::commands).unwrap_or_default(),
        tenants: fields.read(d, "tenants", settings::tenants),
        not_yet: Vec::new(),
    };
    check::check(d, &config, &ends);
    Some(config)
}

/// Notes the keys of the file itself that are not acted upon yet.
fn not_yet(d: &mut Decoder, fields: &Fields<'_>, promotions: &[Promotion]) {
    for key in ["components", "accepts"] {
        fields.not_yet(d, key, Effect::Ignored);
    }
    if fields.get("deployments").is_some_and(|node| matches!(&node.value, Value::Plain(text) if text == "true")) {
        fields.not_yet(d, "deployments", Effect::Ignored);
    }
    for promotion in promotions {
        fields.not_yet(d, "keep", Effect::BlocksPromotion(promotion.name.clone()));
    }
}

#[derive(Default)]
struct Defaults<'n> {
    environment: Option<&'n Node>,
    promotion: Option<&'n Node>,
}

/// `defaults`, checked by themselves first, so that a fault is told where it stands.
fn defaults<'n>(d: &mut Decoder, fields: &Fields<'n>) -> Defaults<'n> {
    let defaults = fields.read(d, "defaults", |d, node| {
        let fields = d.fields(node, &["environment", "promotion"])?;
        d.partially(|d| {
            fields.read(d, "environment", |d, node| {
                let key = tree::Key { name: "environment".into(), position: node.position };
                environment::environment(d, &key, node)
            });
            fields.read(d, "promotion", promotion::promotion);
        });
        let mapping = |key| fields.get(key).filter(|node| node.entries().is_some());
        Some(Defaults { environment: mapping("environment"), promotion: mapping("promotion") })
    });
    defaults.unwrap_or_default()
}

/// Whether defaults of this size may be laid under so many values.
fn affordable(d: &mut Decoder, defaults: &Node, times: usize) -> bool {
    let affordable = defaults.size().saturating_mul(times) <= tree::NODES;
    if !affordable {
        d.fault(defaults.position, format!("more than {} values, counting each use of the defaults", tree::NODES));
    }
    affordable
}

fn environments(d: &mut Decoder, fields: &Fields<'_>, defaults: Option<&Node>) -> Vec<Environment> {
    let read = |d: &mut Decoder, node: &Node| {
        let entries = d.entries(node)?;
        if entries.is_empty() {
            d.fault(node.position, "expected at least one environment, found none");
        }
        let defaults = defaults.filter(|defaults| affordable(d, defaults, entries.len()));
        d.named(node, |d, key, node| {
            check::named(d, key.position, &key.name);
            match defaults {
                Some(defaults) => environment::environment(d, key, &defaults.under(node)),
                None => environment::environment(d, key, node),
            }
        })
    };
    let named = fields.require(d, "environments", read).unwrap_or_default();
    named.into_iter().map(|(_, environment)| environment).collect()
}

fn promotions(d: &mut Decoder, node: &Node, defaults: Option<&Node>) -> Option<Vec<(Promotion, Ends)>> {
    let count = match &node.value {
        Value::List(items) => items.len(),
        _ => 0,
    };
    let defaults = defaults.filter(|defaults| affordable(d, defaults, count));
    d.list(node, "a list of {name, from, to}", |d, node| {
        let read = match defaults {
            Some(defaults) => promotion::promotion(d, &defaults.under(node)),
            None => promotion::promotion(d, node),
        };
        if let Some((promotion, _)) = read.as_ref().filter(|(promotion, _)| !promotion.name.is_empty()) {
            check::named(d, promotion.position, &promotion.name);
        }
        read
    })
}

/// Whether a text can name an environment, promotion, organisation or team: it stands in refs and commands as it is.
fn name(text: &str) -> bool {
    let ends = |c: Option<char>| c.is_some_and(|c| c.is_ascii_alphanumeric());
    text.len() <= 63
        && ends(text.chars().next())
        && ends(text.chars().next_back())
        && text.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.'))
        && !text.contains("..")
        && !text.ends_with(".lock")
}
