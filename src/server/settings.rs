//! The server's settings: a YAML file and `BUTLER_*` variables, of which the variables win. Strict: an unknown key or a
//! wrong value is a fault with its place, and all faults are told at once. Relative paths start at the working directory.
//!
//! ```yaml
//! listen: 127.0.0.1:8080            # BUTLER_LISTEN
//! data-dir: /var/lib/butler         # BUTLER_DATA_DIR (butler-data)
//! database: /var/lib/butler/x.db    # BUTLER_DATABASE (butler.db in data-dir)
//! github:
//!   app-id: 123456                  # BUTLER_GITHUB_APP_ID
//!   private-key-file: app.pem       # or private-key; BUTLER_GITHUB_PRIVATE_KEY[_FILE]
//!   previous-private-keys: [old.pem] # files; BUTLER_GITHUB_PREVIOUS_PRIVATE_KEYS, separated by commas
//!   webhook-secrets-file: secrets   # one a line, or webhook-secrets, a list; BUTLER_GITHUB_WEBHOOK_SECRETS[_FILE]
//!   api-url: https://api.github.com # BUTLER_GITHUB_API_URL
//!   git-url: https://github.com     # BUTLER_GITHUB_GIT_URL
//! registries:                       # how registries are asked
//!   - {host: registry.example.com, username: butler, password-file: registry-password}
//! registry-senders:                 # who may post to /webhooks/registry/<name>
//!   main: {type: distribution, host: registry.example.com, token-file: token} # BUTLER_REGISTRY_SENDERS_MAIN_TOKEN[_FILE]
//! worker:
//!   count: 4                        # BUTLER_WORKER_COUNT
//!   sweep: 5m                       # BUTLER_WORKER_SWEEP
//!   lease: 1m                       # BUTLER_WORKER_LEASE
//!   grace: 25s                      # BUTLER_WORKER_GRACE
//!   quiet: 2s                       # BUTLER_WORKER_QUIET
//!   at-most: 30s                    # BUTLER_WORKER_AT_MOST
//! log:
//!   format: text                    # or json; BUTLER_LOG_FORMAT
//!   level: info                     # BUTLER_LOG_LEVEL
//! ```

mod environment;
mod secret;
#[cfg(test)]
mod tests;

use crate::{
    adapters::store::Debounce,
    engine::{
        config::{
            decode::{Decoder, Fields, words},
            tree::{self, Node, Value, quoted},
        },
        image::Repository,
        manifest::Position,
    },
};
use secrecy::SecretString;
use std::{
    collections::BTreeMap,
    fmt,
    net::SocketAddr,
    path::{Path, PathBuf},
    time::Duration,
};

/// What the server is told. Secrets show as `[REDACTED]` in its debug form.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Where HTTP is served.
    pub listen: SocketAddr,
    /// Mirrors, and the database unless it is named.
    pub data_dir: PathBuf,
    /// For [`crate::adapters::store::Store::open`].
    pub database: String,
    pub github: GithubSettings,
    pub registries: Vec<RegistrySettings>,
    /// By the name in the address.
    pub registry_senders: BTreeMap<String, RegistrySender>,
    pub worker: WorkerSettings,
    pub log: LogSettings,
}

/// The App, and where its GitHub is.
#[derive(Clone, Debug)]
pub struct GithubSettings {
    pub app_id: u64,
    /// PEM.
    pub private_key: SecretString,
    /// PEM; what they sealed is still believed.
    pub previous_private_keys: Vec<SecretString>,
    /// At least one; any of them signs.
    pub webhook_secrets: Vec<SecretString>,
    /// Without a slash at its end.
    pub api_url: String,
    /// What `/owner/name.git` is appended to; without a slash at its end.
    pub git_url: String,
}

/// How a registry is asked.
#[derive(Clone, Debug)]
pub struct RegistrySettings {
    /// As image references name it.
    pub host: String,
    /// Over plain HTTP.
    pub insecure: bool,
    pub credentials: Option<(String, SecretString)>,
}

/// A registry that tells of pushes.
#[derive(Clone, Debug)]
pub struct RegistrySender {
    pub kind: SenderKind,
    /// The images' host, as image references name it. What the payload calls itself is not believed: it may be an
    /// address inside the cluster, or anybody's.
    pub host: String,
    /// `Authorization` carries it, after `Bearer ` or alone.
    pub token: SecretString,
}

words! {
    /// What a sender's notifications look like.
    pub enum SenderKind {
        /// CNCF distribution.
        Distribution = "distribution",
    }
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WorkerSettings {
    /// Jobs at the same time.
    pub count: u32,
    /// How often everything is compared with GitHub.
    pub sweep: Duration,
    /// How long a dead worker's job waits until another takes it over.
    pub lease: Duration,
    /// How long jobs at hand may take when the server is told to stop.
    pub grace: Duration,
    /// How events for one repository are gathered.
    pub debounce: Debounce,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LogSettings {
    pub format: LogFormat,
    pub level: LogLevel,
}

words! {
    pub enum LogFormat {
        Text = "text",
        Json = "json",
    }
}

words! {
    pub enum LogLevel {
        Error = "error",
        Warn = "warn",
        Info = "info",
        Debug = "debug",
        Trace = "trace",
    }
}

/// Everything that is wrong with the settings; somebody must fix it.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub struct SettingsError(pub Vec<SettingsFault>);

/// One fault: `butler.yml:3:5: github.app-id: expected …`, or `BUTLER_LISTEN: listen: expected …`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SettingsFault {
    /// The file with line and column, or the variable.
    pub place: String,
    pub message: String,
}

impl fmt::Display for SettingsError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let lines: Vec<_> = self.0.iter().map(ToString::to_string).collect();
        f.write_str(&lines.join("\n"))
    }
}

impl fmt::Display for SettingsFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.place, self.message)
    }
}

const START: Position = Position { line: 1, column: 1 };

impl Settings {
    /// Reads the file, if there is one, and the variables over it. `env` looks a variable up; an empty one counts as
    /// unset.
    pub fn load(path: Option<&Path>, env: &dyn Fn(&str) -> Option<String>) -> Result<Settings, SettingsError> {
        let file = path.map_or_else(|| "settings".to_owned(), |path| path.display().to_string());
        // Without a place in the file: it is not known that there is one.
        let unread = |error: std::io::Error| {
            SettingsError(vec![SettingsFault {
                place: file.clone(),
                message: format!("cannot read the settings: {error}"),
            }])
        };
        let text = path.map(std::fs::read_to_string).transpose().map_err(unread)?;
        let mut d = Decoder::default();
        let (settings, variables) = load(&mut d, text.as_deref(), env);
        let (faults, _) = d.finish();
        match settings {
            Some(settings) if faults.is_empty() => Ok(settings),
            _ => {
                let place = |position: Position| match variables.name(position) {
                    Some(variable) => variable.to_owned(),
                    None if path.is_none() => file.clone(),
                    None => format!("{file}:{}:{}", position.line, position.column),
                };
                let fault = |(position, message)| SettingsFault { place: place(position), message };
                Err(SettingsError(faults.into_iter().map(fault).collect()))
            }
        }
    }
}

fn load(
    d: &mut Decoder,
    text: Option<&str>,
    env: &dyn Fn(&str) -> Option<String>,
) -> (Option<Settings>, environment::Variables) {
    let mut root = None;
    if let Some(text) = text {
        let document = tree::read(text);
        let broken = document.root.is_none() && !document.faults.is_empty();
        for (position, message) in document.faults {
            d.fault(position, message);
        }
        if broken {
            return (None, environment::Variables::default());
        }
        root = document.root;
    }
    if let Some(position) = root.as_ref().and_then(of_a_repository) {
        d.fault(
            position,
            "these are not the server's settings but a config repository's butler.yaml: `butler lint` checks that one; \
             docs/install.md has the settings",
        );
        return (None, environment::Variables::default());
    }
    let mut root = match root {
        Some(root) if !matches!(&root.value, Value::Plain(text) if tree::plain(text) == tree::Plain::Nothing) => root,
        _ => Node { position: START, value: Value::Map(Vec::new()) },
    };
    let variables = environment::lay_over(&mut root, env);
    (settings(d, &root), variables)
}

/// Where a file says that it is a config repository's butler.yaml, which has the same name: it has environments, and
/// nothing that only settings have.
fn of_a_repository(root: &Node) -> Option<Position> {
    let entries = root.entries()?;
    let has = |name: &str| entries.iter().any(|(key, _)| key.name == name);
    let settings = KEYS.iter().any(|key| *key != "registries" && has(key));
    (!settings && has("environments")).then_some(root.position)
}

const KEYS: [&str; 8] = ["listen", "data-dir", "database", "github", "registries", "registry-senders", "worker", "log"];

fn settings(d: &mut Decoder, root: &Node) -> Option<Settings> {
    let fields = d.fields(root, &KEYS)?;
    let listen = fields.read(d, "listen", |d, node| {
        parsed(d, node, "an address and port such as 127.0.0.1:8080", |text| text.parse().ok())
    });
    let data_dir = fields.read(d, "data-dir", Decoder::text).map_or_else(|| "butler-data".into(), PathBuf::from);
    let database = fields.read(d, "database", database);
    let registries = fields.read(d, "registries", |d, node| d.list(node, "a list of {host}", registry));
    let registries = registries.unwrap_or_default();
    let senders = fields.read(d, "registry-senders", |d, node| {
        d.named(node, |d, key, node| {
            if !key.name.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-') {
                let name = quoted(&key.name);
                d.fault(
                    key.position,
                    format!("expected a name of a-z, 0-9 and -, found {name}: it stands in an address"),
                );
            }
            sender(d, node)
        })
    });
    let worker = fields.read(d, "worker", worker).unwrap_or_else(default_worker);
    let log = fields.read(d, "log", log).unwrap_or(LogSettings { format: LogFormat::Text, level: LogLevel::Info });
    let github = match fields.get("github") {
        Some(node) => d.within("github", |d| github(d, node))?,
        // Says what is missing, key by key.
        None => {
            d.within("github", |d| github(d, &Node { position: fields.position, value: Value::Map(Vec::new()) }))?
        }
    };
    Some(Settings {
        listen: listen.unwrap_or(SocketAddr::from(([127, 0, 0, 1], 8080))),
        database: database.unwrap_or_else(|| data_dir.join("butler.db").display().to_string()),
        data_dir,
        github,
        registries,
        registry_senders: senders.unwrap_or_default().into_iter().collect(),
        worker,
        log,
    })
}

/// A string that reads as something.
fn parsed<T>(d: &mut Decoder, node: &Node, what: &str, read: impl FnOnce(&str) -> Option<T>) -> Option<T> {
    let text = d.text(node)?;
    let value = read(&text);
    if value.is_none() {
        d.fault(node.position, format!("expected {what}, found {}", quoted(&text)));
    }
    value
}

fn database(d: &mut Decoder, node: &Node) -> Option<String> {
    let text = d.text(node)?;
    if text.starts_with("postgres://") || text.starts_with("postgresql://") {
        // Not quoted: it carries a password.
        d.fault(node.position, "PostgreSQL comes with a later version; expected the path of a SQLite file");
        return None;
    }
    if !text.starts_with("sqlite:") && text.contains("://") {
        d.fault(node.position, "expected the path of a SQLite file, found an address");
        return None;
    }
    Some(text)
}

fn github(d: &mut Decoder, node: &Node) -> Option<GithubSettings> {
    const KEYS: [&str; 8] = [
        "app-id",
        "private-key",
        "private-key-file",
        "previous-private-keys",
        "webhook-secrets",
        "webhook-secrets-file",
        "api-url",
        "git-url",
    ];
    let fields = d.fields(node, &KEYS)?;
    let app_id = fields.read(d, "app-id", |d, node| match &node.value {
        Value::Plain(text) if text.parse::<u64>().is_ok_and(|id| id > 0) => text.parse().ok(),
        _ => {
            d.fault(node.position, format!("expected the App's id, a number from 1, found {}", node.describe()));
            None
        }
    });
    if fields.get("app-id").is_none() {
        missing(d, &fields, "app-id", "BUTLER_GITHUB_APP_ID");
    }
    let private_key = secret::read(d, &fields, "private-key", Some("BUTLER_GITHUB_PRIVATE_KEY"), secret::private_key);
    let previous_private_keys = fields.read(d, "previous-private-keys", |d, node| {
        d.list(node, "a list of files", |d, node| secret::file(d, node, secret::private_key))
    });
    let webhook_secrets = secret::read_list(d, &fields, "webhook-secrets", "BUTLER_GITHUB_WEBHOOK_SECRETS");
    let url = |d: &mut Decoder, key, default: &str| match fields.get(key) {
        Some(node) => d.within(key, |d| base_url(d, node)),
        None => Some(default.to_owned()),
    };
    let (api_url, git_url) = (url(d, "api-url", "https://api.github.com"), url(d, "git-url", "https://github.com"));
    Some(GithubSettings {
        app_id: app_id?,
        private_key: private_key?,
        previous_private_keys: previous_private_keys.unwrap_or_default(),
        webhook_secrets: webhook_secrets?,
        api_url: api_url?,
        git_url: git_url?,
    })
}

fn missing(d: &mut Decoder, fields: &Fields<'_>, key: &str, variable: &str) {
    d.fault(fields.position, format!("{key:?} is missing: set it in the settings file or as {variable}"));
}

/// An address that tokens are sent to. What was found is not quoted: it may carry a password.
fn base_url(d: &mut Decoder, node: &Node) -> Option<String> {
    let text = d.text(node)?;
    let url = url::Url::parse(&text).ok().filter(|url| matches!(url.scheme(), "https" | "http"));
    let Some((url, host)) = url.as_ref().and_then(|url| Some((url, url.host()?))) else {
        d.fault(node.position, "expected an address such as https://github.example.com");
        return None;
    };
    let local = match host {
        url::Host::Domain(name) => name == "localhost",
        url::Host::Ipv4(ip) => ip.is_loopback(),
        url::Host::Ipv6(ip) => ip.is_loopback(),
    };
    if url.scheme() == "http" && !local {
        d.fault(node.position, "expected https: tokens are sent there; plain http is for this machine alone");
        return None;
    }
    if !url.username().is_empty() || url.password().is_some() || url.query().is_some() || url.fragment().is_some() {
        d.fault(node.position, "expected an address without user, password, query and fragment");
        return None;
    }
    Some(url.as_str().trim_end_matches('/').to_owned())
}

/// A registry's host as the normalised form of an image reference has it.
fn host(d: &mut Decoder, node: &Node) -> Option<String> {
    parsed(
        d,
        node,
        "a registry's host as in image references, such as registry.example.com or localhost:5000",
        |text| {
            let named = Repository::parse(&format!("{text}/image/name")).ok()?;
            (named.host() == text).then(|| text.to_owned())
        },
    )
}

fn registry(d: &mut Decoder, node: &Node) -> Option<RegistrySettings> {
    let fields = d.fields(node, &["host", "insecure", "username", "password", "password-file"])?;
    let host = fields.require(d, "host", host);
    let insecure = fields.read(d, "insecure", Decoder::boolean).unwrap_or(false);
    let given = |key| fields.get(key).is_some();
    if given("username") != (given("password") || given("password-file")) {
        d.fault(fields.position, "expected username and password together, or neither");
    }
    let username = fields.read(d, "username", Decoder::text);
    let credentials = username.zip(secret::read(d, &fields, "password", None, secret::any));
    Some(RegistrySettings { host: host?, insecure, credentials })
}

fn sender(d: &mut Decoder, node: &Node) -> Option<RegistrySender> {
    let fields = d.fields(node, &["type", "host", "token", "token-file"])?;
    let kind = fields.require(d, "type", Decoder::word);
    let host = fields.require(d, "host", host);
    let token = secret::read(d, &fields, "token", Some("BUTLER_REGISTRY_SENDERS_<NAME>_TOKEN"), secret::any);
    Some(RegistrySender { kind: kind?, host: host?, token: token? })
}

fn default_worker() -> WorkerSettings {
    let seconds = Duration::from_secs;
    WorkerSettings {
        count: 4,
        sweep: seconds(300),
        lease: seconds(60),
        // Kubernetes kills after 30 s, unless it is told otherwise.
        grace: seconds(25),
        debounce: Debounce { quiet: seconds(2), at_most: seconds(30) },
    }
}

fn worker(d: &mut Decoder, node: &Node) -> Option<WorkerSettings> {
    let fields = d.fields(node, &["count", "sweep", "lease", "grace", "quiet", "at-most"])?;
    let default = default_worker();
    // Nothing waits for no time at all, except that events need not be gathered.
    let some_time = |d: &mut Decoder, node: &Node| {
        let duration = d.duration(node)?;
        if duration.is_zero() {
            d.fault(node.position, "expected more than 0s");
        }
        Some(duration)
    };
    let worker = WorkerSettings {
        count: fields.read(d, "count", Decoder::count).unwrap_or(default.count),
        sweep: fields.read(d, "sweep", some_time).unwrap_or(default.sweep),
        lease: fields.read(d, "lease", some_time).unwrap_or(default.lease),
        grace: fields.read(d, "grace", Decoder::duration).unwrap_or(default.grace),
        debounce: Debounce {
            quiet: fields.read(d, "quiet", Decoder::duration).unwrap_or(default.debounce.quiet),
            at_most: fields.read(d, "at-most", Decoder::duration).unwrap_or(default.debounce.at_most),
        },
    };
    if worker.debounce.quiet > worker.debounce.at_most {
        let Debounce { quiet, at_most } = worker.debounce;
        d.fault(fields.position, format!("expected quiet ({quiet:?}) to be no longer than at-most ({at_most:?})"));
    }
    Some(worker)
}

fn log(d: &mut Decoder, node: &Node) -> Option<LogSettings> {
    let fields = d.fields(node, &["format", "level"])?;
    Some(LogSettings {
        format: fields.read(d, "format", Decoder::word).unwrap_or(LogFormat::Text),
        level: fields.read(d, "level", Decoder::word).unwrap_or(LogLevel::Info),
    })
}
