//! What README and docs show is what the program does: blocks marked `console tested` are run, and
//! docs/cli.md is every subcommand's `--help`. `BUTLER_UPDATE_DOCS=1 tests/run docs` writes both anew.

use std::{
    fmt::Write as _,
    fs,
    path::{Path, PathBuf},
    process::Command,
};

const FENCE: &str = "```console tested";

fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

/// README.md and what is in docs.
fn pages() -> Vec<PathBuf> {
    let docs = fs::read_dir(root().join("docs")).unwrap().map(|entry| entry.unwrap().path());
    let pages = docs.filter(|path| path.extension().is_some_and(|extension| extension == "md"));
    std::iter::once(root().join("README.md")).chain(pages).collect()
}

/// Compares, or writes where that is asked for.
fn check(path: &Path, now: &str, expected: &str) {
    if std::env::var_os("BUTLER_UPDATE_DOCS").is_some() {
        fs::write(path, expected).unwrap();
        return;
    }
    let differs = now.lines().zip(expected.lines()).find(|(now, expected)| now != expected);
    assert!(
        now == expected,
        "{} is not what the program says (first: {differs:?}); BUTLER_UPDATE_DOCS=1 tests/run docs writes it anew",
        path.display()
    );
}

/// What a command line prints, with the built `butler` first on PATH.
fn output(line: &str) -> String {
    let program = Path::new(env!("CARGO_BIN_EXE_butler")).parent().unwrap().to_owned();
    let others = std::env::var_os("PATH").unwrap_or_default();
    let path = std::env::join_paths(std::iter::once(program).chain(std::env::split_paths(&others))).unwrap();
    let script = format!("{{ {line}\n}} 2>&1");
    let mut shell = Command::new("sh");
    // As a person sees it.
    shell.args(["-c", &script]).current_dir(root()).env("PATH", path).env("COLUMNS", "80");
    let output = shell.output().unwrap();
    String::from_utf8(output.stdout).unwrap()
}

/// A page as it should be: each command of its tested blocks followed by what it prints.
fn with_outputs(page: &str, count: &mut usize) -> String {
    let (mut text, mut tested) = (String::new(), false);
    for line in page.lines() {
        match line.strip_prefix("$ ") {
            Some(command) if tested => {
                *count += 1;
                text.push_str(&format!("{line}\n{}", output(command)));
            }
            _ if tested && line != "```" => {}
            _ => text.push_str(&format!("{line}\n")),
        }
        tested = line.starts_with(FENCE) || (tested && line != "```");
    }
    text
}

#[test]
fn commands_in_the_docs_print_what_is_shown() {
    let mut count = 0;
    for path in pages() {
        let page = fs::read_to_string(&path).unwrap();
        check(&path, &page, &with_outputs(&page, &mut count));
    }
    assert!(count >= 4, "{count} commands were run");
}

#[test]
fn links_in_the_docs_lead_somewhere() {
    let link = regex::Regex::new(r"\]\(([^)#]+)(?:#[^)]*)?\)").unwrap();
    for path in pages() {
        let page = fs::read_to_string(&path).unwrap();
        for target in link.captures_iter(&page).map(|found| found[1].to_owned()) {
            let there = target.contains("://") || path.parent().unwrap().join(&target).exists();
            assert!(there, "{}: {target}", path.display());
        }
    }
}

#[test]
fn the_reference_of_the_command_line_is_current() {
    let mut text = "# The command line\n\n<!-- Written by BUTLER_UPDATE_DOCS=1 tests/run docs -->\n\n\
                    Exit codes: 0 fine, 1 findings (errors or warnings), 2 usage, 3 failure.\n"
        .to_owned();
    describe(&mut Vec::new(), &mut text);
    let path = root().join("docs/cli.md");
    check(&path, &fs::read_to_string(&path).unwrap_or_default(), &text);
}

/// A command's help, and that of the commands below it.
fn describe(command: &mut Vec<String>, text: &mut String) {
    let help = Command::new(env!("CARGO_BIN_EXE_butler")).args(&*command).arg("--help").output().unwrap();
    assert!(help.status.success(), "{command:?}");
    let help = String::from_utf8(help.stdout).unwrap();
    let name = ["butler".to_owned()].into_iter().chain(command.iter().cloned()).collect::<Vec<_>>().join(" ");
    // Lines that clap pads end in spaces.
    let lines = help.trim_end().lines().map(str::trim_end).collect::<Vec<_>>().join("\n");
    write!(text, "\n## {name}\n\n```text\n{lines}\n```\n").unwrap();
    let below = help.lines().skip_while(|line| *line != "Commands:").skip(1).take_while(|line| !line.is_empty());
    // A description that is wrapped goes on further to the right.
    let names = below.filter_map(|line| line.strip_prefix("  ").filter(|line| !line.starts_with(' ')));
    for name in names.filter_map(|line| line.split(' ').next()).filter(|name| *name != "help") {
        command.push(name.to_owned());
        describe(command, text);
        command.pop();
    }
}

/// The settings file of docs/install.md, with the files that it names, is one that the server takes.
#[test]
fn the_settings_in_the_docs_are_valid() {
    let page = fs::read_to_string(root().join("docs/install.md")).unwrap();
    let block = page.split("```yaml\n").find(|block| block.starts_with("listen:")).unwrap();
    let folder = tempfile::tempdir().unwrap();
    let here = folder.path().display().to_string();
    let text = block.split("```").next().unwrap().replace("/etc/butler", &here);
    for name in ["webhook-secrets", "registry-password", "registry-token"] {
        assert!(text.contains(&format!("{here}/{name}")), "{name}");
        fs::write(folder.path().join(name), "secret\n").unwrap();
    }
    let key = "-----BEGIN RSA PRIVATE KEY-----\nMIIE\n-----END RSA PRIVATE KEY-----\n";
    fs::write(folder.path().join("app.pem"), key).unwrap();
    let file = folder.path().join("settings.yaml");
    // What is commented out as an example must be known as well.
    fs::write(&file, text.replace("  # api-url", "  api-url").replace("  # git-url", "  git-url")).unwrap();
    let checked = Command::new(env!("CARGO_BIN_EXE_butler")).args(["config", "check", "--config"]).arg(&file).output();
    let checked = checked.unwrap();
    assert!(checked.status.success(), "{}", String::from_utf8_lossy(&checked.stderr));
    // Every variable that the page names is one that the settings read, and the other way round.
    let source = fs::read_to_string(root().join("src/server/settings/environment.rs")).unwrap();
    let name = regex::Regex::new(r#""(BUTLER_[A-Z_]+[A-Z])""#).unwrap();
    for variable in name.captures_iter(&source).map(|found| found[1].to_owned()) {
        let stem = variable.strip_suffix("_FILE").unwrap_or(&variable);
        let stem = stem.strip_prefix("BUTLER_WORKER").unwrap_or(stem);
        assert!(page.contains(stem), "{variable}");
    }
}
