use super::*;
use crate::engine::{
    config::Config,
    dialect::bind,
    manifest::{FileKind, scan},
    snapshot::{Entry, EntryKind, Snapshot},
};
use proptest::prelude::*;
use std::{collections::BTreeSet, fs, path::Path, sync::Arc};

fn codes(kind: FileKind, text: &str) -> BTreeSet<String> {
    let mut snapshot = Snapshot::default();
    snapshot.entries.insert("a.yaml".into(), Entry { blob: "".into(), kind: EntryKind::File });
    snapshot.scans.insert("a.yaml".into(), Arc::new(scan(kind, text.as_bytes())));
    let config = Config::whole_repository();
    findings(&snapshot, &bind(&snapshot, &config), &config).into_iter().map(|finding| finding.code).collect()
}

#[test]
fn the_table_is_sorted_and_each_code_is_there_once() {
    assert!(LINTS.windows(2).all(|pair| pair[0].code < pair[1].code));
    for lint in LINTS {
        assert_eq!(Lint::of(lint.code), Some(lint));
        assert!(lint.code.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-'), "{}", lint.code);
        assert!(!lint.summary.ends_with('.') && lint.summary.len() < 80, "{}", lint.code);
    }
    assert_eq!(Lint::of("no-such-code"), None);
}

/// Every code has a page, every page a code; what a page shows as an example is found in it, and mended where it says so.
#[test]
fn pages_are_complete() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut pages: BTreeSet<String> = fs::read_dir(root.join("docs/lint"))
        .unwrap()
        .map(|page| page.unwrap().file_name().into_string().unwrap())
        .collect();
    let list = fs::read_to_string(root.join("docs/lint.md")).unwrap();
    let mut shown = 0;
    for lint in LINTS {
        let text =
            fs::read_to_string(root.join(lint.page())).unwrap_or_else(|error| panic!("{}: {error}", lint.page()));
        assert!(pages.remove(&format!("{}.md", lint.code)));
        let severity = serde_json::to_value(lint.severity).unwrap();
        let mended = if lint.fixable { "`butler lint --fix` mends" } else { "Not mended by `--fix`" };
        let row = format!(
            "| [{0}](lint/{0}.md) | {1} | {2} | {3} |\n",
            lint.code,
            severity.as_str().unwrap(),
            if lint.fixable { "yes" } else { "" },
            lint.summary
        );
        assert!(list.contains(&row), "docs/lint.md: expected {row}");
        let summary: String = lint.summary.chars().skip(1).collect();
        for part in [
            &format!("# {}\n\n", lint.code),
            &summary,
            &format!("Severity: {}.", severity.as_str().unwrap()),
            mended,
            "## What it means\n\n",
            "## What to do\n\n",
        ] {
            assert!(text.contains(part), "{}: expected {part:?}", lint.page());
        }
        if let Some((_, example)) = text.split_once("```yaml\n") {
            let example = example.split("```").next().unwrap();
            let found = codes(FileKind::Yaml, example);
            assert!(found.contains(lint.code), "{}: its example gives {found:?}", lint.page());
            let left = codes(FileKind::Yaml, &fixed(example));
            assert_eq!(
                left.contains(lint.code),
                !lint.fixable,
                "{}: --fix leaves {left:?} in its example",
                lint.page()
            );
            shown += 1;
        } else {
            assert!(!lint.fixable, "{}: expected an example that --fix mends", lint.page());
        }
    }
    assert!(pages.is_empty(), "pages of no code: {pages:?}");
    assert!(shown > 15, "{shown} examples");
}

/// What is written in the sources as a code stands in the table. Words with a hyphen that are no codes are listed here.
#[test]
fn every_code_of_the_sources_is_in_the_table() {
    const OTHERS: [&str; 6] = ["chart-image", "if-not-present", "image", "registry", "sync-checksum", "sync-gc-mark"];
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let code = regex::Regex::new(
        r#"(?:code: |because\(|problem\(|push\(|finding\(|refuse\(|Some\(\(|skip\(|fault\()\s*"([a-z0-9-]+)"|"([a-z0-9]+(?:-[a-z0-9]+)+)""#,
    )
    .unwrap();
    let mut found = BTreeSet::new();
    let mut open: Vec<_> = [
        "engine/manifest",
        "engine/dialect",
        "engine/plan",
        "engine/template/mod.rs",
        "engine/lint/find.rs",
        "engine/wording/lines.rs",
        "cli/lint.rs",
        "cli/output.rs",
    ]
    .map(|part| source.join(part))
    .into();
    while let Some(path) = open.pop() {
        if path.is_dir() && ["tests", "planned", "explain"].iter().any(|name| path.ends_with(name)) {
            continue;
        }
        if path.is_dir() {
            open.extend(fs::read_dir(&path).unwrap().map(|entry| entry.unwrap().path()));
            continue;
        }
        let name = path.file_name().unwrap().to_str().unwrap();
        if ["tests.rs", "properties.rs", "plain.rs", "explain.rs", "promoted.rs"].contains(&name) {
            continue;
        }
        let text = fs::read_to_string(&path).unwrap();
        let text = text.split("#[cfg(test)]\nmod tests {").next().unwrap();
        for groups in code.captures_iter(text) {
            let word = groups.get(1).or(groups.get(2)).unwrap().as_str();
            if !OTHERS.contains(&word) {
                assert!(Lint::of(word).is_some(), "{}: {word:?} is not in the table", path.display());
                found.insert(word.to_owned());
            }
        }
    }
    // The other way round; one word that is no call's first argument is not seen above.
    let unseen = |code: &&str| !found.contains(*code) && *code != "locked";
    let unused: Vec<&str> = LINTS.iter().map(|lint| lint.code).filter(unseen).collect();
    assert_eq!(unused, [""; 0], "codes of the table that nothing gives");
}

/// An automation's selector, and what is said of it and of the line that it leaves out.
#[test]
fn what_no_selector_takes() {
    let page = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/lint/not-selected.md");
    let page = fs::read_to_string(page).unwrap();
    let example = page.split("```").nth(1).and_then(|example| example.strip_prefix("yaml\n")).unwrap();
    let selector = "{matchLabels: {team: a}}";
    #[rustfmt::skip]
    let cases: [(&str, &[&str]); 4] = [
        (selector, &["not-selected"]), ("{matchLabels: {team: b}}", &[]),
        ("{matchExpressions: [{key: team, operator: In, values: [b]}]}", &[]),
        ("{matchExpressions: [{key: team, operator: Foo}]}", &["flux-object-invalid", "not-selected"]),
    ];
    for (other, expected) in cases {
        let found = codes(FileKind::Yaml, &example.replace(selector, other));
        assert!(found.iter().eq(expected), "{other}: {found:?}");
    }
}

/// Files of a repository, butler.yaml's environments, and what is said of their paths.
#[test]
fn paths_of_environments_that_are_not_there() {
    let said = |files: &[&str], environments: &str| -> Vec<String> {
        let mut snapshot = Snapshot::default();
        for file in files {
            snapshot.entries.insert((*file).into(), Entry { blob: "".into(), kind: EntryKind::File });
        }
        let text = format!("version: 1\nenvironments:\n{environments}");
        let config = crate::engine::config::parse("butler.yaml", &text).unwrap();
        let found = findings(&snapshot, &bind(&snapshot, &config), &config);
        assert!(
            found.iter().all(|of| (of.code.as_str(), of.file.as_str()) == ("environment-path-missing", "butler.yaml"))
        );
        found.into_iter().map(|of| format!("{} {}", of.position, of.message)).collect()
    };
    let files = ["butler.yaml", "apps/dev/app.yaml", "apps/prod-eu/app.yaml", "charts/web/values.yaml", "one.yaml"];
    #[rustfmt::skip]
    let cases: &[(&str, &[&str])] = &[
        ("  dev: {path: apps/dev}\n  one: {path: one.yaml}\n  eu: {path: 'apps/*-eu'}\n", &[]),
        ("  whole: {path: .}\n", &[]), ("  whole: {}\n", &[]),
        ("  dev: {path: apps/dev}\n  qa:\n    path: apps/qa\n", &["4:3 environment \"qa\": nothing is at its path apps/qa"]),
        ("  dev: {path: apps/dve}\n", &["3:3 environment \"dev\": nothing is at its path apps/dve; did you mean apps/dev?"]),
        ("  dev: {path: app/dev}\n", &["3:3 environment \"dev\": nothing is at its path app/dev; did you mean apps/dev?"]),
        ("  dev: {path: app/live}\n", &["3:3 environment \"dev\": nothing is at its path app/live"]),
        // A part of a folder's name is none.
        ("  prod: {path: apps/prod}\n", &["3:3 environment \"prod\": nothing is at its path apps/prod"]),
        ("  web: {path: 'chart/*'}\n", &["3:3 environment \"web\": nothing is at its path chart/*; did you mean charts/*?"]),
        ("  web: {path: 'charts/*/live'}\n", &["3:3 environment \"web\": nothing is at its path charts/*/live"]),
        // One of several; whoever updates it.
        ("  dev: {path: [apps/dev, infra], update: none}\n", &["3:3 environment \"dev\": nothing is at its path infra"]),
        // What is elsewhere, or may be.
        ("  dev: {path: nowhere, repository: org/other}\n", &[]),
        ("  dev: {path: apps/dev}\n  live: {path: nowhere, branch: live}\n", &[]),
        ("  dev: {path: apps/dev, branch: main}\n  live: {path: nowhere, branch: main}\n",
            &["4:3 environment \"live\": nothing is at its path nowhere"]),
    ];
    for (environments, expected) in cases {
        assert_eq!(said(&files, environments), *expected, "{environments}");
    }
    assert_eq!(said(&["butler.yaml"], "  dev: {path: nowhere}\n"), [""; 0], "a file alone");
}

fn fixed(text: &str) -> String {
    let once = fix(FileKind::Yaml, text.as_bytes());
    let twice = fix(FileKind::Yaml, &once.bytes);
    assert_eq!(twice.bytes, once.bytes, "a second run changes nothing");
    assert!(twice.fixes.is_empty());
    assert_eq!(once.fixes.is_empty(), once.bytes == text.as_bytes());
    String::from_utf8(once.bytes).unwrap()
}

#[test]
fn what_is_safe_is_mended_and_nothing_else_changes() {
    const TAG: &str = r#"# {"$imagepolicy": "ns:a:tag"}"#;
    let t = |rest: &str| rest.replace("TAG", TAG);
    #[rustfmt::skip]
    let cases = [
        // Markers.
        (t("tag:  v1   # {'$imagepolicy': 'ns:a:tag'}  \r\n# é\r\n"), t("tag:  v1   TAG  \r\n# é\r\n")),
        (t("tag: v1 # {\"$imagepolicy\": \"ns/a:tag\"}"), t("tag: v1 TAG")),
        (t("- a: 1\n  tag: v1 TAG keep in step\n  b: 2\n"), t("- a: 1\n  # keep in step\n  tag: v1 TAG\n  b: 2\n")),
        (t("\u{feff}tag: v1 TAG why\r\nb: 2"), t("\u{feff}# why\r\ntag: v1 TAG\r\nb: 2")),
        (t("a:\n  tag: \"v1\"TAG\nb: {tag: 'v2'}TAG\n"), t("a:\n  tag: \"v1\" TAG\nb: {tag: 'v2'} TAG\n")),
        (t("image:\n  repository: r/a\n  tag: v1 # {\"$imagepolicy\": \"ns:a\"}\n"), t("image:\n  repository: r/a\n  tag: v1 TAG\n")),
        (t("image:\n  repository: r/a\n  tag: v1 # {'$imagepolicy': 'ns/a'}\n"), t("image:\n  repository: r/a\n  tag: v1 TAG\n")),
        (t("tag: v1 # {\"$imagePolicy\": \"ns:a:tag\"}\r\n"), t("tag: v1 TAG\r\n")),
        (t("tag: v1 # {\"imagepolicy\": \"ns:a\"}\n"), t("tag: v1 TAG\n")),
        (t("- tag: v1 # {\"$imagepolicy\": \"ns:a\"}\n"), t("- tag: v1 TAG\n")),
        (t("images:\n- name: r/a\n  newTag: v1 # {\"$imagepolicy\": \"ns:a\"}\n"), t("images:\n- name: r/a\n  newTag: v1 TAG\n")),
        (t("digest: sha256:0 # {\"$imagepolicy\": \"ns:a\"}\n"), t("digest: sha256:0 # {\"$imagepolicy\": \"ns:a:digest\"}\n")),
        // Values.
        ("image:\n  repository: r/a\n  tag: 1.10   # é\n".into(), "image:\n  repository: r/a\n  tag: \"1.10\"   # é\n".into()),
        (t("data:\n  tag: 1e3 TAG\n"), t("data:\n  tag: \"1e3\" TAG\n")),
    ];
    for (before, after) in cases {
        assert_eq!(fixed(&before), after, "{before:?}");
    }
    let kept = [
        t("tag: v1 # off: TAG"),
        t("tag: v1 # TAG"),
        t("tag: v1 # // {\"$imagepolicy\": \"ns:a:tag\"}"),
        t("tag: v1 # - {'$imagepolicy': 'ns:a:tag'}"),
        t("tag: v1 # {\"_$imagepolicy\": \"ns:a:tag\"}"),
        t("tag: v1 # {\"$imagepolicy\": \"ns/a:tag\", \"why\": 1}"),
        t("image: v1 TAG\n"),
        t("tag: v1 # {\"$imagepolicy\": \"ns:a\", \"why\": 1}\n"),
        t("{a: {tag: v1, repository: r/a}, b: {tag: v2, repository: r/b}} # {\"$imagepolicy\": \"ns:a\"}\n"),
        t("{{ if x }}\ntag: 1e3 TAG\n{{ end }}\n"),
        t("tag: v1 # {\"$imagePolicy\": \"ns:a:tag\", \"why\": 1}"),
        t("version: v1 TAG\nimage: a/b:v1 TAG\n"),
        t("# TAG\ntag: v1\n"),
        t("a: b\n  c TAG note\n"),
        t("{{ if x }}\ntag: \"v1\"TAG\n{{ end }}\n"),
        t("sops: {mac: x}\ntag: v1 # {'$imagepolicy': 'ns:a:tag'}\n"),
        t("replicas: 3\nversion: 1.10\n"),
        t("tag: !!str 1.10 TAG\n"),
        t("tag: v1 TAG\n"),
    ];
    for text in kept {
        assert_eq!(fixed(&text), text);
    }
}

#[test]
fn a_fix_tells_what_it_changed() {
    let fixed = fix(FileKind::Yaml, b"a: 1\ntag: v1 # {\"$imagepolicy\": \"ns:a:tag\"} why\n");
    let fix = &fixed.fixes[0];
    assert_eq!((fix.code.as_str(), fix.position), ("marker-trailing-text", Position { line: 2, column: 9 }));
    assert_eq!(fix.before, "tag: v1 # {\"$imagepolicy\": \"ns:a:tag\"} why");
    assert_eq!(fix.after, "# why\ntag: v1 # {\"$imagepolicy\": \"ns:a:tag\"}");
}

/// What of a document `--fix` must keep: its values, each as text.
fn values(text: &str) -> Vec<String> {
    let plain = |value: &str| value.trim_matches(['"', '\'']).to_owned();
    text.lines().filter_map(|line| Some(plain(line.split(" #").next()?.split_once(": ")?.1.trim()))).collect()
}

proptest! {
    /// Markers with every fault, beside each other: mended once, no value lost, nothing found that was not there.
    #[test]
    fn mending_is_safe_and_ends(
        rows in prop::collection::vec((0..7usize, 0..9usize, 0..10usize), 1..8),
        crlf: bool,
    ) {
        const KEYS: [&str; 7] = ["tag", "image", "newTag", "digest", "version", "- tag", "repository"];
        const VALUES: [&str; 9] =
            ["v1", "1.10", "\"v1\"", "'1.10'", "example.com/app:v1", "on", "&a v1", "!!str 1.10", "*a"];
        const COMMENTS: [&str; 10] = [
            "", r#" # {"$imagepolicy": "ns:a:tag"}"#, " # {'$imagepolicy': 'ns:a:tag'}", r#" # {"$imagepolicy": "ns/a"}"#,
            r#" # {"$imagepolicy": "ns:a"} why"#, r#" # see {"$imagepolicy": "ns:a:tag"}"#, r#" # {"$imagePolicy": "ns:a"}"#,
            " # é {", r#" # {"$imagepolicy": "ns:a:digest"}"#, r#" #{"$imagepolicy": "ns/a:tag" }  "#,
        ];
        let end = if crlf { "\r\n" } else { "\n" };
        let row = |(n, (key, value, comment)): (usize, &(usize, usize, usize))| {
            // Each in a mapping of its own, so that no key is there twice.
            format!("k{n}:{end}  {}: {}{}{end}", KEYS[*key], VALUES[*value], COMMENTS[*comment])
        };
        let before: String = rows.iter().enumerate().map(row).collect();
        let after = fixed(&before);
        prop_assert_eq!(values(&before), values(&after), "{}\n{}", before, after);
        let gained: Vec<String> = codes(FileKind::Yaml, &after).difference(&codes(FileKind::Yaml, &before)).cloned().collect();
        // A comment that is a marker now may stand where none counts.
        let allowed = ["marker-wrong-kind", "policy-unresolved", "value-not-a-string", "policy-conflict"];
        prop_assert!(gained.iter().all(|code| code.starts_with("marker-on-") || allowed.contains(&code.as_str())), "{:?}: {}\n{}", gained, before, after);
    }
}
