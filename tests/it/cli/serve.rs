//! `butler serve` and `butler config check`, as far as they get without GitHub.

use super::repository;

#[test]
fn without_settings_it_says_where_they_go() {
    let folder = repository();
    for arguments in [&["serve"][..], &["config", "check"], &["memory", "reset", "acme/config"]] {
        let ran = folder.run(arguments);
        assert_eq!((ran.code, ran.out.as_str()), (2, ""), "{}", ran.err);
        for name in ["--config FILE", "docs/install.md", "private-key-file", "webhook-secrets-file", "_KEY_FILE"] {
            assert!(ran.err.contains(name), "{arguments:?}, {name}: {}", ran.err);
        }
    }
}

#[test]
fn files_that_are_not_settings() {
    let folder = repository();
    folder.put("butler.yaml", b"version: 1\nenvironments:\n  prod: {path: apps}\n");
    folder.put("empty.yaml", b"");
    #[rustfmt::skip]
    let cases = [
        ("nowhere.yaml", "error: nowhere.yaml: cannot read the settings: No such file or directory (os error 2)\n"),
        ("butler.yaml", "error: butler.yaml:1:1: these are not the server's settings but a config repository's butler.yaml: `butler lint` checks that one; docs/install.md has the settings\n"),
    ];
    for (file, says) in cases {
        for command in [&["config", "check"][..], &["serve"]] {
            let ran = folder.run(&[command, &["--config", file]].concat());
            assert_eq!((ran.code, ran.err.as_str()), (2, says), "{file}");
        }
    }
    let ran = folder.run(&["config", "check", "--config", "empty.yaml"]);
    assert!(ran.err.contains("empty.yaml:1:1: github: \"app-id\" is missing"), "{}", ran.err);
    assert!(!ran.err.contains("--config FILE"), "it was given: {}", ran.err);
    // And what that one is checked by does check it.
    folder.put("butler.yaml", b"version: 1\nenvironments:\n  prod: {pathh: apps}\n");
    assert!(folder.run(&["lint"]).out.contains("butler.yaml:3:10 error config-invalid"));
}
