//! `butler policy`

use crate::support::binary::{Folder, butler_reading};
use serde_json::json;

fn tags() -> Folder {
    let tags = r#"["1.0.0", {"tag": "1.2.0", "created_at": "2026-01-01T00:00:00Z"}, "2.0.0", "main-7", "main-12"]"#;
    Folder::with(&[("tags.json", tags)])
}

#[test]
fn what_a_policy_selects() {
    let folder = tags();
    #[rustfmt::skip]
    let cases: &[(&[&str], Option<&str>, u64)] = &[
        // options, selected, matched
        (&["--semver", "1.x"], Some("1.2.0"), 2),
        (&["--semver", "9.x"], None, 0),
        (&["--numerical", "asc", "--filter", "^main-(?P<n>\\d+)$", "--extract", "$n"], Some("main-12"), 2),
        (&["--numerical", "desc", "--filter", "^main-(\\d+)$", "--extract", "$1"], Some("main-7"), 2),
        (&["--alphabetical", "asc", "--exclude", "^main"], Some("2.0.0"), 3),
    ];
    for (options, selected, matched) in cases {
        let ran = folder.run(&[&["policy", "--tags", "tags.json", "-o", "json"], *options].concat());
        let code = i32::from(selected.is_none());
        let document = ran.json(code);
        assert_eq!((&document["selected"], &document["matched"]), (&json!(selected), &json!(matched)), "{options:?}");
        assert_eq!(document["considered"], 5, "{options:?}");
        assert!(!document["reason"].as_str().unwrap().is_empty(), "{options:?}");
        assert_eq!(document.as_object().unwrap().len(), 4, "{document}");
        let text = folder.run(&[&["policy", "--tags", "tags.json"], *options].concat());
        let shown = if selected.is_some() { &text.out } else { &text.err };
        let expected = (code, Some(selected.unwrap_or("no tag")), selected.is_some());
        assert_eq!((text.code, shown.lines().next(), !text.out.is_empty()), expected, "{options:?}");
    }
}

#[test]
fn tags_from_standard_input() {
    let folder = tags();
    let arguments = ["policy", "--semver", "*", "--tags", "-", "-o", "json"];
    assert_eq!(butler_reading(folder.path(), &arguments, r#"["1.0.0"]"#).json(0)["selected"], "1.0.0");
    let expected = r#"expected a list of tags, ["1.2.3", …], or of objects, [{"tag": "1.2.3"}, …]"#;
    for (input, place) in [
        ("[1]", "1:2"),
        ("{}", "1:1"),
        ("{\"example.com/app\": [{\"tag\": \"1.0.0\"}]}", "1:1"),
        ("\"1.0.0\"", "1:7"),
        ("null", "1:4"),
        ("[\"1.0.0\",\n {\"name\": \"2.0.0\"}]", "2:8"),
        ("", "1:1"),
    ] {
        let ran = butler_reading(folder.path(), &arguments, input);
        assert_eq!(ran.code, 2, "{input}");
        assert!(ran.err.starts_with(&format!("error: <stdin>:{place}: {expected}: ")), "{input}: {}", ran.err);
        // The place stands there once.
        assert!(!ran.err.contains(" at line "), "{input}: {}", ran.err);
    }
}

#[test]
fn policies_that_cannot_be_say_where() {
    let folder = tags();
    #[rustfmt::skip]
    let cases: &[(&[&str], i32, &str)] = &[
        (&["--semver", "1.y"], 2, "error: semver range: "),
        (&["--semver", ">= 1.0, < nine"], 2, "^"),
        (&["--numerical", "up"], 2, "up"),
        (&["--alphabetical", "asc", "--filter", "a(b"], 2, "error: filter pattern: "),
        (&["--alphabetical", "asc", "--exclude", "a(b"], 2, "a(b"),
        (&["--alphabetical", "asc", "--extract", "$1"], 2, "--filter"),
        (&["--alphabetical", "asc", "--semver", "*"], 2, "cannot be used with"),
    ];
    for (options, code, says) in cases {
        let ran = folder.run(&[&["policy", "--tags", "tags.json"], *options].concat());
        assert_eq!((ran.code, ran.out.as_str()), (*code, ""), "{options:?}: {}", ran.err);
        assert!(ran.err.contains(says), "{options:?}: {}", ran.err);
    }
    let caret = folder.run(&["policy", "--tags", "tags.json", "--alphabetical", "asc", "--filter", "ab(c"]).err;
    let lines: Vec<&str> = caret.lines().collect();
    assert_eq!(lines[1..], ["  ab(c", "    ^"], "{caret}");
    let ran = folder.run(&["policy", "--semver", "*", "--tags", "nowhere.json"]);
    assert_eq!(ran.code, 3, "{}", ran.err);
}
