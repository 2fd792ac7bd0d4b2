use super::*;
use secrecy::ExposeSecret;

const KEY: &str = "-----BEGIN RSA PRIVATE KEY-----\nMIIE\n-----END RSA PRIVATE KEY-----\n";

/// The shortest file that works, in which `KEY` stands for a private key.
const LEAST: &str = "github:\n  app-id: 42\n  private-key: KEY\n  webhook-secrets: [one]\n";

/// Loads a file of this text from a folder that also has `secret` (with `text`) and `secrets`, one a line.
fn load_with(text: &str, variables: &[(&str, &str)]) -> Result<Settings, String> {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("butler.yml");
    let at = |name: &str| folder.path().join(name).display().to_string();
    std::fs::write(at("secret"), "from a file\n").unwrap();
    std::fs::write(at("secrets"), "new one\n\nold one\n").unwrap();
    std::fs::write(at("key"), KEY).unwrap();
    std::fs::write(at("empty"), "\n").unwrap();
    let here = format!("{}/", folder.path().display());
    let text = text.replace("KEY", &format!("{KEY:?}")).replace("HERE/", &here);
    std::fs::write(&path, text).unwrap();
    let env = |name: &str| {
        let (_, value) = variables.iter().find(|(known, _)| *known == name)?;
        Some(value.replace("HERE/", &here))
    };
    Settings::load(Some(&path), &env).map_err(|error| error.to_string().replace(&here, ""))
}

fn faults(text: &str, variables: &[(&str, &str)]) -> String {
    load_with(text, variables).expect_err("there are faults")
}

fn shown(secrets: &[SecretString]) -> Vec<&str> {
    secrets.iter().map(ExposeSecret::expose_secret).collect()
}

#[test]
fn defaults() {
    let settings = load_with(LEAST, &[]).unwrap();
    assert_eq!(settings.listen.to_string(), "127.0.0.1:8080");
    assert_eq!(
        (settings.data_dir.to_str(), settings.database.as_str()),
        (Some("butler-data"), "butler-data/butler.db")
    );
    assert_eq!(settings.github.api_url, "https://api.github.com");
    assert_eq!(settings.github.git_url, "https://github.com");
    assert_eq!(settings.github.private_key.expose_secret(), KEY.trim_end());
    assert_eq!(settings.worker, default_worker());
    assert_eq!(settings.log, LogSettings { format: LogFormat::Text, level: LogLevel::Info });
    assert!(settings.registries.is_empty() && settings.registry_senders.is_empty());
}

#[test]
fn the_whole_vocabulary() {
    let text = "
listen: 0.0.0.0:80
data-dir: /var/lib/butler
database: sqlite:/srv/x.db
github:
  app-id: 42
  private-key-file: HERE/key
  previous-private-keys: [HERE/key, HERE/key]
  webhook-secrets-file: HERE/secrets
  api-url: https://github.example.com/api/v3/
  git-url: http://127.0.0.1:3000/
registries:
  - {host: registry.example.com, username: butler, password-file: HERE/secret}
  - {host: 'localhost:5000', insecure: true}
registry-senders:
  main: {type: distribution, host: registry.example.com, token: t0ken}
worker: {count: 8, sweep: 1h30m, lease: 30s, grace: 10s, quiet: 0s, at-most: 1m}
log: {format: json, level: debug}
";
    let settings = load_with(text, &[]).unwrap();
    assert_eq!(settings.listen.to_string(), "0.0.0.0:80");
    assert_eq!(settings.database, "sqlite:/srv/x.db");
    assert_eq!(settings.github.private_key.expose_secret(), KEY.trim_end());
    assert_eq!(shown(&settings.github.previous_private_keys), [KEY.trim_end(); 2]);
    assert_eq!(shown(&settings.github.webhook_secrets), ["new one", "old one"]);
    assert_eq!(settings.github.api_url, "https://github.example.com/api/v3");
    assert_eq!(settings.github.git_url, "http://127.0.0.1:3000");
    let (user, password) = settings.registries[0].credentials.as_ref().unwrap();
    assert_eq!((user.as_str(), password.expose_secret()), ("butler", "from a file"));
    assert!(settings.registries[1].insecure && settings.registries[1].credentials.is_none());
    assert_eq!(settings.registry_senders["main"].token.expose_secret(), "t0ken");
    assert_eq!(settings.worker.sweep, Duration::from_secs(5400));
    assert_eq!(settings.worker.grace, Duration::from_secs(10));
    assert_eq!((settings.log.format, settings.log.level), (LogFormat::Json, LogLevel::Debug));

    let debug = format!("{settings:?}");
    for secret in ["PRIVATE", "new one", "old one", "from a file", "t0ken"] {
        assert!(!debug.contains(secret), "{debug}");
    }
}

#[test]
fn variables_win_over_the_file() {
    let text = "listen: 0.0.0.0:80\ngithub:\n  app-id: 1\n  private-key-file: /nowhere\n  webhook-secrets: [file]\n\
                registry-senders:\n  team-a: {type: distribution, host: r.example.com, token-file: /nowhere}\n";
    let settings = load_with(
        text,
        &[
            ("BUTLER_LISTEN", "127.0.0.1:9000"),
            ("BUTLER_DATA_DIR", "12"),
            ("BUTLER_GITHUB_APP_ID", "42"),
            ("BUTLER_GITHUB_PRIVATE_KEY", KEY),
            ("BUTLER_GITHUB_PREVIOUS_PRIVATE_KEYS", "HERE/key"),
            ("BUTLER_GITHUB_WEBHOOK_SECRETS", "a, b"),
            ("BUTLER_REGISTRY_SENDERS_TEAM_A_TOKEN", "0123"),
            ("BUTLER_WORKER_COUNT", "2"),
            ("BUTLER_LOG_LEVEL", ""),
        ],
    )
    .unwrap();
    assert_eq!((settings.listen.port(), settings.github.app_id, settings.worker.count), (9000, 42, 2));
    assert_eq!(shown(&settings.github.previous_private_keys), [KEY.trim_end()]);
    assert_eq!(settings.database, "12/butler.db");
    assert_eq!(shown(&settings.github.webhook_secrets), ["a", "b"]);
    assert_eq!(settings.registry_senders["team-a"].token.expose_secret(), "0123");
    assert_eq!(settings.log.level, LogLevel::Info, "an empty variable counts as unset");

    // Nothing but variables.
    let env = |name: &str| match name {
        "BUTLER_GITHUB_APP_ID" => Some("7".to_owned()),
        "BUTLER_GITHUB_PRIVATE_KEY" => Some(KEY.to_owned()),
        "BUTLER_GITHUB_WEBHOOK_SECRETS" => Some("s".to_owned()),
        _ => None,
    };
    assert_eq!(Settings::load(None, &env).unwrap().github.app_id, 7);
}

#[test]
fn every_fault_is_told_with_its_place() {
    let text = "listem: x\nlisten: here\ngithub: {app-id: x, private-key: hunter2, webhook-secrets: [hunter2, '']}\n\
                log: {level: verbose}\nworker: {sweep: 5, quiet: 1m, lease: 0s}\n";
    let variables = [("BUTLER_WORKER_COUNT", "none"), ("BUTLER_GITHUB_API_URL", "http://github.example.com")];
    insta::assert_snapshot!(faults(text, &variables), @r#"
    BUTLER_GITHUB_API_URL: github.api-url: expected https: tokens are sent there; plain http is for this machine alone
    BUTLER_WORKER_COUNT: worker.count: expected a whole number from 1, found "none"
    butler.yml:1:1: unknown key "listem"; did you mean "listen"?
    butler.yml:2:9: listen: expected an address and port such as 127.0.0.1:8080, found "here"
    butler.yml:3:18: github.app-id: expected the App's id, a number from 1, found "x"
    butler.yml:3:34: github.private-key: expected a private key in PEM, beginning with -----BEGIN RSA PRIVATE KEY-----
    butler.yml:3:60: github.webhook-secrets: expected at least one secret, and none that is empty
    butler.yml:4:14: log.level: expected error, warn, info, debug or trace, found "verbose"
    butler.yml:5:9: worker: expected quiet (60s) to be no longer than at-most (30s)
    butler.yml:5:17: worker.sweep: expected a duration such as 10s, 2m, 1h30m or 7d, found the number 5
    butler.yml:5:38: worker.lease: expected more than 0s
    "#);
    insta::assert_snapshot!(Settings::load(None, &|_| None).unwrap_err(), @r#"
    settings: github: "app-id" is missing: set it in the settings file or as BUTLER_GITHUB_APP_ID
    settings: github: "private-key" is missing: set it or private-key-file in the settings file, or BUTLER_GITHUB_PRIVATE_KEY or BUTLER_GITHUB_PRIVATE_KEY_FILE
    settings: github: "webhook-secrets" is missing: set it or webhook-secrets-file in the settings file, or BUTLER_GITHUB_WEBHOOK_SECRETS or BUTLER_GITHUB_WEBHOOK_SECRETS_FILE
    "#);
}

/// (what is added to the least file, variables, what is said)
#[test]
fn faults_one_by_one() {
    type Variables<'a> = &'a [(&'a str, &'a str)];
    let table: &[(&str, Variables<'_>, &str)] = &[
        (
            "database: postgres://butler:hunter2@db/x",
            &[],
            "PostgreSQL comes with a later version; expected the path of a SQLite file",
        ),
        (
            "database: mysql://butler:hunter2@db/x",
            &[],
            "butler.yml:5:11: database: expected the path of a SQLite file, found an address",
        ),
        (
            "registries: [{host: 'https://r.example.com'}]",
            &[],
            "registries[0].host: expected a registry's host as in image references",
        ),
        (
            "registries: [{host: registry}]",
            &[],
            "registries[0].host: expected a registry's host as in image references",
        ),
        (
            "registries: [{host: r.example.com, username: x}]",
            &[],
            "expected username and password together, or neither",
        ),
        (
            "registries: [{host: r.example.com, password: hunter2}]",
            &[],
            "expected username and password together, or neither",
        ),
        (
            "registry-senders: {Main: {type: distribution, host: r.example.com, token: hunter2}}",
            &[],
            "expected a name of a-z, 0-9 and -, found \"Main\"",
        ),
        (
            "registry-senders: {main: {type: harbour, host: r.example.com, token: hunter2}}",
            &[],
            "expected distribution, found \"harbour\"",
        ),
        (
            "registry-senders: {main: {type: distribution, host: r.example.com}}",
            &[],
            "\"token\" is missing: set it or token-file in the settings file, or BUTLER_REGISTRY_SENDERS_<NAME>_TOKEN or",
        ),
        (
            "registry-senders: {main: {type: distribution, host: r.example.com, token: hunter2, token-file: x}}",
            &[],
            "both token and token-file are given: keep one of the two",
        ),
        (
            "registry-senders: {main: {type: distribution, host: r.example.com, token-file: HERE/nowhere}}",
            &[],
            "token-file: cannot read nowhere: No such file or directory",
        ),
        (
            "registry-senders: {main: {type: distribution, host: r.example.com, token-file: HERE/empty}}",
            &[],
            "token-file: expected a secret, found nothing",
        ),
        (
            "registry-senders: {main: {type: distribution, host: r.example.com, token: 0123456}}",
            &[],
            "token: expected a string, found something else; put it in quotes",
        ),
        (
            "",
            &[("BUTLER_LISTEN", "8080")],
            "BUTLER_LISTEN: listen: expected an address and port such as 127.0.0.1:8080, found \"8080\"",
        ),
        (
            "",
            &[("BUTLER_GITHUB_PRIVATE_KEY", "hunter2")],
            "BUTLER_GITHUB_PRIVATE_KEY: github.private-key: expected a private key in PEM",
        ),
        (
            "",
            &[("BUTLER_GITHUB_PRIVATE_KEY", "hunter2"), ("BUTLER_GITHUB_PRIVATE_KEY_FILE", "HERE/key")],
            "BUTLER_GITHUB_PRIVATE_KEY_FILE: github: both private-key and private-key-file are given",
        ),
        (
            "",
            &[("BUTLER_GITHUB_PREVIOUS_PRIVATE_KEYS", "HERE/nowhere")],
            "BUTLER_GITHUB_PREVIOUS_PRIVATE_KEYS: github.previous-private-keys[0]: cannot read nowhere: No such file",
        ),
        (
            "",
            &[("BUTLER_GITHUB_PREVIOUS_PRIVATE_KEYS", "HERE/key,HERE/secret")],
            "github.previous-private-keys[1]: expected a private key in PEM",
        ),
        (
            "",
            &[("BUTLER_GITHUB_WEBHOOK_SECRETS", ",")],
            "BUTLER_GITHUB_WEBHOOK_SECRETS: github.webhook-secrets: expected at least one secret",
        ),
        (
            "",
            &[("BUTLER_GITHUB_GIT_URL", "https://x:hunter2@github.com")],
            "BUTLER_GITHUB_GIT_URL: github.git-url: expected an address without user, password",
        ),
        (
            "",
            &[("BUTLER_GITHUB_GIT_URL", "github.com")],
            "BUTLER_GITHUB_GIT_URL: github.git-url: expected an address such as",
        ),
        ("", &[("BUTLER_GITHUB_GIT_URL", "http://10.0.0.1")], "BUTLER_GITHUB_GIT_URL: github.git-url: expected https"),
        ("log: [", &[], "no valid YAML"),
    ];
    for (text, variables, says) in table {
        let faults = faults(&format!("{LEAST}{text}\n"), variables);
        assert!(faults.contains(says), "{text} {variables:?}:\n{faults}");
        assert!(!faults.contains("hunter2"), "a secret is shown: {faults}");
        assert!(!faults.contains("123456"), "a secret is shown: {faults}");
        assert_eq!(faults.lines().count(), 1, "{faults}");
    }
}

#[test]
fn a_file_that_is_not_there_has_no_lines() {
    let error = Settings::load(Some(Path::new("nowhere/settings.yaml")), &|_| None).unwrap_err().to_string();
    assert_eq!(error, "nowhere/settings.yaml: cannot read the settings: No such file or directory (os error 2)");
}

#[test]
fn a_repositorys_file_is_told_from_settings() {
    for (text, other) in [
        ("version: 1\nenvironments: {dev: {path: dev}}\n", true),
        ("# first\nenvironments: {dev: {path: dev}}\nregistries: [registry.example.com]\n", true),
        ("environments: {}\nlisten: 127.0.0.1:8080\n", false),
        ("version: 1\n", false),
    ] {
        let said = faults(text, &[]);
        assert_eq!(said.contains("`butler lint`"), other, "{text}: {said}");
        // Nothing is said of its keys as well.
        assert_eq!(said.lines().count() == 1, other, "{text}: {said}");
    }
}
