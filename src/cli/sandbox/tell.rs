//! What the sandbox says while it walks: a time, what happened, and details below it, within 80 columns.

use super::people;
use crate::cli::output::say;
use crate::{
    cli::output::{BOLD, DIM},
    sandbox::{Folder, Sandbox, figures::Figures, news::News, sample, walk::Step},
};
use std::time::Duration;

const WIDTH: usize = 80;
/// Where text begins, behind the times.
const INDENT: usize = 11;

/// What runs, and where.
pub fn started(sandbox: &Sandbox, folder: &Folder, took: Duration, verbose: bool) {
    let parts = &sandbox.parts;
    let mut rows = vec![
        ("GitHub", parts.github.url().to_owned()),
        ("registry", parts.registry.url()),
        ("butler", parts.server_url.clone()),
        ("folder", folder.path().display().to_string()),
    ];
    if !verbose {
        rows.push(("log", folder.log().display().to_string()));
    }
    if folder.is_temporary() {
        rows.push(("", "(the folder goes in the end; --dir DIR keeps one)".to_owned()));
    }
    let details = rows.into_iter().map(|(name, value)| format!("{name:<9}{value}")).collect();
    step(&Step { what: "started the sandbox".into(), took, details });
}

/// One step of the walk.
pub fn step(step: &Step) {
    say!("{DIM}{:>8}{DIM:#}   {BOLD}{}{BOLD:#}", time(step.took), step.what);
    for detail in &step.details {
        for line in wrap(detail, WIDTH - INDENT) {
            say!("{:INDENT$}{line}", "");
        }
    }
}

/// What butler did, and what came of it.
pub fn news(news: &[News]) {
    if news.is_empty() {
        say!("butler had nothing to do");
    }
    for News { what, details } in news {
        say!("{BOLD}{what}{BOLD:#}");
        for line in details.iter().flat_map(|detail| wrap(detail, WIDTH - 2)) {
            say!("  {line}");
        }
    }
}

/// What was measured.
pub fn figures(figures: &Figures, total: Duration) {
    let Figures { event_to_commit, debounce, bare_push, .. } = *figures;
    let own = event_to_commit.saturating_sub(debounce);
    let memory = figures.resident_kib.map_or_else(
        || "unknown on this system".to_owned(),
        |kib| format!("{:.0} MiB, the sandbox's GitHub and registry included", kib as f64 / 1024.0),
    );
    let rows = [
        ("event -> commit pushed", format!("{} and {} of debounce", time(own).trim(), time(debounce).trim())),
        (
            "bare git push of it",
            format!("{}: butler takes {:.1} times as long", time(bare_push).trim(), figures.ratio()),
        ),
        ("resident memory", memory),
        ("the whole walk", time(total).trim().to_owned()),
    ];
    say!();
    for (name, value) in rows {
        say!("  {name:<24}{value}");
    }
}

/// How to play.
pub fn guide(sandbox: &Sandbox) {
    let parts = &sandbox.parts;
    let clone = parts.url_for("ann", sample::REPOSITORY);
    // What the first command below leads to.
    let next = parts.github.pulls(sample::REPOSITORY).last().map_or(1, |pull| pull.number + 1);
    let page = format!("{}/{}", parts.github.url(), sample::REPOSITORY);
    say!(
        "
The sandbox stays open. In a second terminal:

  butler sandbox push app:1.2.4 --wait   push an image, and see what butler does
  butler sandbox status                  what each stage runs, and pull requests
  butler sandbox show {next:<19}read the pull request of that image
  butler sandbox comment {next} /merge        say something on it; --as dan
  git clone {clone}

In a browser: {page}
The people: {}.
Where several run, this one is visited with --at {}

{BOLD}Press Ctrl-C to stop.{BOLD:#}",
        people(),
        sandbox.card_url(),
    );
}

/// `0.32 s`
fn time(time: Duration) -> String {
    format!("{:.2} s", time.as_secs_f64())
}

/// Breaks a text at spaces; a word that is longer than a line stands alone.
fn wrap(text: &str, width: usize) -> Vec<String> {
    let mut lines = Vec::new();
    for line in text.lines() {
        let mut current = String::new();
        let mut used = 0;
        for word in line.split_inclusive(' ') {
            let length = word.trim_end().chars().count();
            if used > 0 && used + length > width {
                lines.push(std::mem::take(&mut current).trim_end().to_owned());
                current.push_str("  ");
                used = 2;
            }
            current.push_str(word);
            used += word.chars().count();
        }
        lines.push(current.trim_end().to_owned());
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::wrap;

    #[test]
    fn text_is_wrapped_at_spaces() {
        let cases: [(&str, &[&str]); 5] = [
            ("", &[]),
            ("short", &["short"]),
            ("one two three", &["one two", "  three"]),
            ("a verylongword b", &["a", "  verylongword", "  b"]),
            ("name     value", &["name", "  value"]),
        ];
        for (text, lines) in cases {
            assert_eq!(wrap(text, 9), lines, "{text:?}");
        }
    }
}
