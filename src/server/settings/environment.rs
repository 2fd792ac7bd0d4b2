//! Variables laid over the file's tree, so that both are read by the same rules.

use super::START;
use crate::engine::{
    config::tree::{Key, Node, Value},
    manifest::Position,
};

/// How a variable's text is written in YAML.
#[derive(Clone, Copy)]
enum Kind {
    Text,
    Number,
    /// Separated by commas or line ends.
    List,
}

/// The variables that have a fixed name, and the keys that they stand for.
const VARIABLES: [(&str, &[&str], Kind); 19] = [
    ("BUTLER_LISTEN", &["listen"], Kind::Text),
    ("BUTLER_DATA_DIR", &["data-dir"], Kind::Text),
    ("BUTLER_DATABASE", &["database"], Kind::Text),
    ("BUTLER_GITHUB_APP_ID", &["github", "app-id"], Kind::Number),
    ("BUTLER_GITHUB_PRIVATE_KEY", &["github", "private-key"], Kind::Text),
    ("BUTLER_GITHUB_PRIVATE_KEY_FILE", &["github", "private-key-file"], Kind::Text),
    ("BUTLER_GITHUB_PREVIOUS_PRIVATE_KEYS", &["github", "previous-private-keys"], Kind::List),
    ("BUTLER_GITHUB_WEBHOOK_SECRETS", &["github", "webhook-secrets"], Kind::List),
    ("BUTLER_GITHUB_WEBHOOK_SECRETS_FILE", &["github", "webhook-secrets-file"], Kind::Text),
    ("BUTLER_GITHUB_API_URL", &["github", "api-url"], Kind::Text),
    ("BUTLER_GITHUB_GIT_URL", &["github", "git-url"], Kind::Text),
    ("BUTLER_WORKER_COUNT", &["worker", "count"], Kind::Number),
    ("BUTLER_WORKER_SWEEP", &["worker", "sweep"], Kind::Text),
    ("BUTLER_WORKER_LEASE", &["worker", "lease"], Kind::Text),
    ("BUTLER_WORKER_GRACE", &["worker", "grace"], Kind::Text),
    ("BUTLER_WORKER_QUIET", &["worker", "quiet"], Kind::Text),
    ("BUTLER_WORKER_AT_MOST", &["worker", "at-most"], Kind::Text),
    ("BUTLER_LOG_FORMAT", &["log", "format"], Kind::Text),
    ("BUTLER_LOG_LEVEL", &["log", "level"], Kind::Text),
];

/// The variables that were set. A position in one has line 0, which no file has; its column counts the variables.
#[derive(Default)]
pub(super) struct Variables(Vec<String>);

impl Variables {
    pub(super) fn name(&self, position: Position) -> Option<&str> {
        match position.line {
            0 => self.0.get(position.column).map(String::as_str),
            _ => None,
        }
    }
}

/// Puts the variables that are set into the tree, in place of what the file says.
pub(super) fn lay_over(root: &mut Node, env: &dyn Fn(&str) -> Option<String>) -> Variables {
    let mut variables: Vec<(String, Vec<String>, Kind)> = VARIABLES
        .iter()
        .map(|(name, path, kind)| (name.to_string(), path.iter().map(ToString::to_string).collect(), *kind))
        .collect();
    let senders = root.entries().and_then(|e| e.iter().find(|(key, _)| key.name == "registry-senders"));
    for (key, _) in senders.and_then(|(_, node)| node.entries()).unwrap_or_default() {
        let name = format!("BUTLER_REGISTRY_SENDERS_{}_TOKEN", key.name.to_ascii_uppercase().replace('-', "_"));
        let path = |leaf: &str| vec!["registry-senders".to_owned(), key.name.clone(), leaf.to_owned()];
        variables.push((format!("{name}_FILE"), path("token-file"), Kind::Text));
        variables.push((name, path("token"), Kind::Text));
    }
    let mut set = Variables::default();
    let mut laid: Vec<Vec<String>> = Vec::new();
    for (name, path, kind) in variables {
        let Some(text) = env(&name).filter(|text| !text.is_empty()) else { continue };
        let position = Position { line: 0, column: set.0.len() };
        set.0.push(name);
        let value = match kind {
            Kind::Text => Value::Text(text),
            Kind::Number => Value::Plain(text),
            Kind::List => {
                let items = text.split([',', '\n']).map(str::trim).filter(|item| !item.is_empty());
                Value::List(items.map(|item| Node { position, value: Value::Text(item.into()) }).collect())
            }
        };
        put(root, &path, Some(Node { position, value }), position);
        // It also stands for the other way to give the same secret, unless that is a variable too.
        if let Some(other) = other_way(&path).filter(|other| !laid.contains(other)) {
            put(root, &other, None, position);
        }
        laid.push(path);
    }
    set
}

/// `token` for `token-file`, and the other way round; none for what is no secret.
fn other_way(path: &[String]) -> Option<Vec<String>> {
    const SECRETS: [&str; 3] = ["private-key", "webhook-secrets", "token"];
    let (leaf, section) = path.split_last()?;
    let bare = leaf.strip_suffix("-file");
    let other = bare.map_or_else(|| format!("{leaf}-file"), str::to_owned);
    SECRETS.contains(&bare.unwrap_or(leaf)).then(|| section.iter().cloned().chain([other]).collect())
}

/// Sets or removes what stands at a path. Where the file has something else than a mapping on the way, it is left for
/// the reader to complain about.
fn put(node: &mut Node, path: &[String], value: Option<Node>, position: Position) {
    let Value::Map(entries) = &mut node.value else { return };
    let [name, rest @ ..] = path else { return };
    let index = entries.iter().position(|(key, _)| key.name == *name);
    if rest.is_empty() {
        if let Some(index) = index {
            entries.remove(index);
        }
        entries.extend(value.map(|value| (Key { name: name.clone(), position }, value)));
        return;
    }
    let index = match (index, &value) {
        (Some(index), _) => index,
        (None, None) => return,
        (None, Some(_)) => {
            let section = Node { position: START, value: Value::Map(Vec::new()) };
            entries.push((Key { name: name.clone(), position }, section));
            entries.len() - 1
        }
    };
    put(&mut entries[index].1, rest, value, position);
}
