//! docs/configuration.md says of each key what the code says: none is missing, none is made up.

use super::super::{Decoder, Effect, parse, read};
use regex::Regex;
use std::{collections::BTreeMap, fs, path::Path, sync::LazyLock};

/// `environments.dev.path[1]` -> `environments.NAME.path[]`
fn place(of: &str) -> String {
    static NAMED: LazyLock<Regex> =
        LazyLock::new(|| Regex::new(r"^(environments|components|tenants\.limits\.protect)\.[^.\[]+").unwrap());
    static INDEX: LazyLock<Regex> = LazyLock::new(|| Regex::new(r"\[\d+\]").unwrap());
    INDEX.replace_all(&NAMED.replace(of, "$1.NAME"), "[]").into_owned()
}

/// A row of the page's tables.
#[derive(Debug)]
struct Row {
    key: String,
    meaning: String,
    value: String,
    default: String,
    example: String,
}

fn page() -> String {
    fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/configuration.md")).unwrap()
}

fn rows(page: &str) -> Vec<Row> {
    let cells =
        |line: &str| -> Vec<String> { line.trim_matches('|').split('|').map(|cell| cell.trim().to_owned()).collect() };
    page.lines()
        .filter(|line| line.starts_with("| `"))
        .map(|line| match <[String; 5]>::try_from(cells(line)) {
            Ok([key, meaning, value, default, example]) => {
                Row { key: key.trim_matches('`').to_owned(), meaning, value, default, example }
            }
            Err(cells) => panic!("expected five cells, found {}: {line}", cells.len()),
        })
        .collect()
}

/// What is between the first pair of backticks.
fn quoted(cell: &str) -> Option<&str> {
    cell.split('`').nth(1)
}

/// What other keys have to stand beside one, in a mapping at a place.
fn beside(place: &str, key: &str) -> &'static str {
    match (place, key) {
        ("", "version") => {
            "environments: {development: {path: deploy/development}, production: {path: deploy/production}}, "
        }
        ("", "environments") => "version: 1, ",
        ("", _) => {
            "version: 1, environments: {development: {path: deploy/development}, production: {path: deploy/production}}, "
        }
        ("environments", _) => "production: {path: deploy/production, branch: live}, ",
        ("environments.NAME", "path") | ("images[].policy", "semver" | "numerical" | "alphabetical" | "newest") => "",
        ("environments.NAME", _) => "path: deploy/development, ",
        ("environments.NAME.health", "context" | "clusters" | "stale-after") => "from: status, ",
        ("images[]", "image") => "policy: {semver: 1.x}, ",
        ("images[]", "policy") => "image: ghcr.io/acme/app, ",
        ("images[]", _) => "image: ghcr.io/acme/app, policy: {semver: 1.x}, ",
        ("images[].policy", "extract") => "semver: 1.x, filter: '^v(.*)$', ",
        ("images[].policy", _) => "semver: 1.x, ",
        ("promotions[]", "name") => "from: development, to: production, ",
        ("promotions[]", "from") => "name: up, to: production, ",
        ("promotions[]", "to") => "name: up, from: development, ",
        ("promotions[]", _) => "name: up, from: development, to: production, ",
        ("promotions[].map[]", "field") => "values: {master: release}, ",
        ("promotions[].map[]", "values") => "field: spec.chart.ref, ",
        ("promotions[].substitute.tag", "rewrite") => "to: release-, ",
        ("promotions[].substitute.tag", "to") => "rewrite: ^master-, ",
        ("registries[]", "region" | "accounts" | "others" | "role") => "provider: aws, ",
        _ => "",
    }
}

/// A butler.yaml with a value at a place; `None`: with all that stands beside it.
fn file(key: &str, value: Option<&str>) -> String {
    let mut steps: Vec<(String, String)> = Vec::new();
    let mut above = String::new();
    for step in key.replace("[]", ".[]").split('.') {
        steps.push((above.clone(), step.to_owned()));
        above = match step {
            "[]" => format!("{above}[]"),
            _ if above.is_empty() => step.to_owned(),
            _ => format!("{above}.{step}"),
        };
    }
    let last = steps.len() - 1;
    let mut text = String::new();
    for (n, (above, step)) in steps.iter().enumerate().rev() {
        let named = if step == "NAME" { "development" } else { step };
        text = match (step.as_str(), value) {
            ("[]", _) => format!("[{text}]"),
            (_, None) if n == last => format!("{{{}}}", beside(above, step)),
            (_, Some(value)) if n == last => format!("{{{}{named}: {value}}}", beside(above, step)),
            _ => format!("{{{}{named}: {text}}}", beside(above, step)),
        };
    }
    text
}

/// What a file says, whatever place it says it at.
fn said(text: &str) -> String {
    let config = parse("butler.yaml", text).unwrap_or_else(|errors| panic!("{errors:#?}\n{text}"));
    let position = Regex::new(r"Position \{[^}]*\}").unwrap();
    let said = format!("{:?}", super::super::Config { not_yet: Vec::new(), ..config });
    position.replace_all(&said, "").into_owned()
}

const EVERY_KEY: &str = include_str!("../testdata/every-key.yaml");

#[test]
fn every_key_is_documented_as_it_is_read() {
    let mut d = Decoder::default();
    let config = read(&mut d, "butler.yaml", EVERY_KEY);
    assert!(config.is_some());
    let (page, known) = (page(), std::mem::take(&mut d.known));
    let rows = rows(&page);
    let documented: BTreeMap<&str, &Row> = rows.iter().map(|row| (row.key.as_str(), row)).collect();
    assert_eq!(documented.len(), rows.len(), "a key has two rows");
    // What a row says to be as at another place is looked for there.
    let canonical = |key: &str| {
        let mut key = place(key);
        for row in &rows {
            let like = row.value.split("as `").nth(1).and_then(|rest| rest.split('`').next());
            let rest = key.strip_prefix(&row.key).filter(|rest| rest.starts_with(['.', '[']));
            if let (Some(like), Some(rest)) = (like, rest) {
                key = format!("{like}{}", rest.trim_start_matches(".NAME"));
            }
        }
        key
    };
    let mut keys: Vec<String> = known.keys.iter().map(|key| canonical(key)).collect();
    keys.sort_unstable();
    keys.dedup();
    let missing: Vec<&String> = keys.iter().filter(|key| !documented.contains_key(key.as_str())).collect();
    assert!(missing.is_empty(), "not in docs/configuration.md: {missing:#?}");
    let made_up: Vec<&&str> = documented.keys().filter(|key| !keys.iter().any(|known| known == **key)).collect();
    assert!(made_up.is_empty(), "keys that are not read: {made_up:#?}");
    // What is expected; of a list, what each of it has to be.
    let mut values: BTreeMap<String, &str> = BTreeMap::new();
    for (at, what) in &known.values {
        values.entry(place(at)).or_insert(what);
    }
    for row in &rows {
        let of = |key: &str| values.get(key).copied();
        let one = of(&format!("{}[]", row.key)).filter(|one| *one != "a string");
        let Some(expected) =
            one.map(|one| format!("{one}, or a list of them")).or_else(|| of(&row.key).map(str::to_owned))
        else {
            assert!(!row.value.is_empty(), "{row:?}");
            continue;
        };
        assert_eq!(row.value, expected, "{}", row.key);
    }
    let mut required: Vec<String> = known.required.iter().map(|key| canonical(key)).collect();
    required.sort_unstable();
    required.dedup();
    let mut said: Vec<&str> = rows.iter().filter(|row| row.default == "required").map(|row| row.key.as_str()).collect();
    said.sort_unstable();
    assert_eq!(said, required, "required");
}

/// What has no effect in this version is said to have none, and nothing else is.
#[test]
fn what_is_not_done_yet_is_marked() {
    let config = parse("butler.yaml", EVERY_KEY).unwrap();
    let page = page();
    let effect = |effect: &Effect| match effect {
        Effect::Ignored => "has no effect",
        Effect::BlocksPromotion(_) => "the promotion does not run",
        Effect::BlocksEnvironment(_) => "butler neither commits nor merges there",
        Effect::BlocksEverything => "butler writes nothing",
    };
    let not_yet: BTreeMap<String, &str> =
        config.not_yet().iter().map(|warning| (place(&warning.key), effect(&warning.effect))).collect();
    for row in rows(&page) {
        let marked = row.meaning.split_once("*Not yet:*").map(|(_, what)| what);
        assert_eq!(marked.is_some(), not_yet.contains_key(&row.key), "{row:?}");
        if let (Some(marked), Some(effect)) = (marked, not_yet.get(&row.key)) {
            assert!(marked.contains(effect), "expected {effect:?}: {row:?}");
        }
    }
}

#[test]
fn defaults_and_examples_are_true() {
    let page = page();
    let (mut defaults, mut examples) = (0, 0);
    for row in rows(&page) {
        if let Some(default) = quoted(&row.default) {
            assert_eq!(said(&file(&row.key, Some(default))), said(&file(&row.key, None)), "{}", row.key);
            defaults += 1;
        }
        let example = quoted(&row.example).unwrap_or_else(|| panic!("{}: expected an example", row.key));
        let _ = said(&file(&row.key, Some(example)));
        examples += 1;
    }
    assert!(defaults > 20 && examples > 90, "{defaults} {examples}");
    let blocks: Vec<&str> = page.split("```yaml\n").skip(1).filter_map(|block| block.split("```").next()).collect();
    assert!(blocks.len() > 1);
    for block in blocks {
        let config = parse("butler.yaml", block).unwrap_or_else(|errors| panic!("{errors:#?}\n{block}"));
        assert_eq!(config.not_yet(), [], "{block}");
    }
}
