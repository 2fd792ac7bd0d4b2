//! What a browser shows of this GitHub: a repository, a pull request, a commit. To look at, not to act with; without
//! scripts, and everything that somebody wrote is escaped.

use super::{
    git::{FileChange, NO_COMMIT},
    markdown::{self, Escaped},
    state::{Comment, Issue, Pull, Repo, State, time},
};
use crate::engine::event::RepoName;
use axum::{
    http::{HeaderValue, StatusCode, header},
    response::{Html, IntoResponse, Response},
};
use base64::{Engine as _, engine::general_purpose::STANDARD};
use sha2::{Digest as _, Sha256};
use std::{fmt::Write as _, sync::LazyLock};

/// So many lines of a file's diff are shown.
const DIFF_LINES: usize = 2_000;

const STYLE: &str = "
body { font: 15px/1.5 system-ui, sans-serif; max-width: 60em; margin: 2em auto; padding: 0 1em; color: #1f2328; }
a { color: #0969da; text-decoration: none; } h1 { font-weight: 400; } h1 small, .dim { color: #59636e; }
h2 { font-size: 1.1em; margin: 2em 0 .5em; }
.state { border-radius: 1em; color: white; padding: .2em .8em; }
.open { background: #1a7f37; } .merged { background: #8250df; } .closed { background: #cf222e; }
article, pre { border: 1px solid #d1d9e0; border-radius: 6px; margin: 1em 0; }
article { padding: 0 1em; } article > header { color: #59636e; background: #f6f8fa; margin: 0 -1em; padding: .4em 1em; }
pre { padding: .6em 1em; overflow-x: auto; background: #f6f8fa; } code { background: #f0f2f4; padding: .1em .3em; }
pre, code { font: 13px/1.45 ui-monospace, monospace; } summary { cursor: pointer; }
table { border-collapse: collapse; margin: 1em 0; } td, th { border: 1px solid #d1d9e0; padding: .3em .8em; text-align: left; }
.add { background: #dafbe1; } .del { background: #ffebe9; } .at { color: #59636e; }
footer { color: #59636e; border-top: 1px solid #d1d9e0; margin-top: 3em; padding-top: 1em; }
";

/// Nothing is loaded, run, sent or framed; only the page's own style counts.
static POLICY: LazyLock<String> = LazyLock::new(|| {
    let style = STANDARD.encode(Sha256::digest(STYLE));
    format!(
        "default-src 'none'; style-src 'sha256-{style}'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    )
});

/// First segments of the API's paths: no account has these names.
const API: [&str; 6] = ["app", "installation", "orgs", "rate_limit", "repos", "users"];

/// Whether a request may be for a page, by its path alone.
pub fn may_be(method: &str, path: &[String]) -> bool {
    let path: Vec<&str> = path.iter().map(String::as_str).collect();
    let page = matches!(path.as_slice(), [_, _] | [_, _, "pull" | "commit", _]);
    page && matches!(method, "GET" | "HEAD") && !API.contains(&path.first().copied().unwrap_or_default())
}

/// The page at a path; `None` where no repository has it.
pub fn find(state: &State, path: &[String]) -> Option<Response> {
    let [owner, name, rest @ ..] = path else { return None };
    let repo = state.repos.get(&format!("{owner}/{name}").parse::<RepoName>().ok()?)?;
    let rest: Vec<&str> = rest.iter().map(String::as_str).collect();
    Some(match rest.as_slice() {
        [] => repository(state, repo),
        ["pull", number] => match number.parse::<u64>().ok().and_then(|number| repo.issues.get(&number)) {
            Some(issue @ Issue { pull: Some(pull), .. }) => pull_request(state, repo, issue, pull),
            _ => missing(state, repo, &format!("no pull request #{number}")),
        },
        ["commit", id] => match repo.git.resolve(id).filter(|full| full.starts_with(id)) {
            Some(full) => commit(state, repo, &full),
            None => missing(state, repo, &format!("no commit {id}")),
        },
        _ => return None,
    })
}

/// One page in its frame; `body` is HTML, `title` is not.
fn page(status: StatusCode, state: &State, repo: &Repo, title: &str, body: &str) -> Response {
    let html = format!(
        "<!doctype html>\n<html lang=\"en\"><head><meta charset=\"utf-8\"><title>{title} - {name}</title>\
         <style>{STYLE}</style></head><body>\n<p><a href=\"{home}\">{name}</a></p>\n{body}\
         <footer>The sandbox's GitHub, to look at. To say something: <code>butler sandbox comment NUMBER /merge</code>\
         </footer></body></html>\n",
        title = Escaped(title),
        name = Escaped(&repo.name.to_string()),
        home = Escaped(&state.html(repo)),
    );
    let mut response = (status, Html(html)).into_response();
    let headers = response.headers_mut();
    if let Ok(policy) = HeaderValue::from_str(&POLICY) {
        headers.insert(header::CONTENT_SECURITY_POLICY, policy);
    }
    headers.insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    headers.insert(header::REFERRER_POLICY, HeaderValue::from_static("no-referrer"));
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}

fn missing(state: &State, repo: &Repo, what: &str) -> Response {
    page(StatusCode::NOT_FOUND, state, repo, what, &format!("<h1>There is {}</h1>\n", Escaped(what)))
}

fn standing(issue: &Issue, pull: &Pull) -> &'static str {
    match (&pull.merged, issue.open) {
        (Some(_), _) => "merged",
        (None, true) => "open",
        (None, false) => "closed",
    }
}

fn badge(standing: &str) -> String {
    format!("<span class=\"state {standing}\">{standing}</span>")
}

/// A commit's short id, as a link to its page.
fn link(state: &State, repo: &Repo, id: &str) -> String {
    let short = id.get(..7).unwrap_or(id);
    format!("<a href=\"{}/commit/{}\"><code>{}</code></a>", Escaped(&state.html(repo)), Escaped(id), Escaped(short))
}

fn repository(state: &State, repo: &Repo) -> Response {
    let home = state.html(repo);
    let mut body = format!("<h1>{}</h1>\n<h2>Pull requests</h2>\n<table>\n", Escaped(&repo.name.to_string()));
    let mut pulls: Vec<_> = repo.pulls().collect();
    pulls.reverse();
    for (issue, pull) in &pulls {
        let _ = writeln!(
            body,
            "<tr><td>#{number}</td><td>{}</td><td><a href=\"{}/pull/{number}\">{}</a></td></tr>",
            badge(standing(issue, pull)),
            Escaped(&home),
            Escaped(&issue.title),
            number = issue.number,
        );
    }
    if pulls.is_empty() {
        body.push_str("<tr><td>none yet</td></tr>\n");
    }
    body.push_str("</table>\n<h2>Branches</h2>\n<table>\n");
    for (name, id) in repo.git.refs().unwrap_or_default() {
        let Some(branch) = name.strip_prefix("refs/heads/") else { continue };
        let message = repo.git.info(&id).map(|info| info.message).unwrap_or_default();
        let subject = message.lines().next().unwrap_or_default();
        let link = link(state, repo, &id);
        let _ = writeln!(body, "<tr><td>{}</td><td>{link}</td><td>{}</td></tr>", Escaped(branch), Escaped(subject));
    }
    body.push_str("</table>\n");
    page(StatusCode::OK, state, repo, &repo.name.to_string(), &body)
}

fn pull_request(state: &State, repo: &Repo, issue: &Issue, pull: &Pull) -> Response {
    let mut body = format!(
        "<h1>{} <small>#{}</small></h1>\n<p>{} <span class=\"dim\">by {}: <code>{}</code> into \
         <code>{}</code></span></p>\n",
        Escaped(&issue.title),
        issue.number,
        badge(standing(issue, pull)),
        Escaped(&issue.author),
        Escaped(&pull.head_ref),
        Escaped(&pull.base_ref),
    );
    if let Some(merged) = &pull.merged {
        let commit = link(state, repo, &merged.sha);
        let _ = writeln!(body, "<p>Merged by {} as {commit}</p>", Escaped(&merged.by));
    }
    body.push_str(&said(&issue.author, &time(issue.created_at), issue.body.as_deref().unwrap_or_default()));
    for comment in repo.comments.values().filter(|comment| comment.number == issue.number) {
        let Comment { author, created_at, body: text, .. } = comment;
        body.push_str(&said(author, &time(*created_at), text));
    }
    for review in &pull.reviews {
        let when = format!("{} {}", review.verdict.name(), time(review.submitted_at));
        body.push_str(&said(&review.author, &when, &review.body));
    }
    let mut checks = repo.checks.values().filter(|check| check.head_sha == pull.head_sha).peekable();
    if checks.peek().is_some() {
        body.push_str("<h2>Checks</h2>\n<table>\n");
        for check in checks {
            let _ = writeln!(
                body,
                "<tr><td>{}</td><td>{}</td><td>{}</td></tr>",
                Escaped(&check.name),
                Escaped(check.conclusion.as_deref().unwrap_or(&check.status)),
                Escaped(check.title.as_deref().unwrap_or_default()),
            );
        }
        body.push_str("</table>\n");
    }
    // After the merge the base holds the head: what it was merged into shows the difference.
    let merged_into = pull.merged.as_ref().and_then(|merged| parent(repo, &merged.sha));
    let base = merged_into.unwrap_or_else(|| pull.base_sha.clone());
    body.push_str("<h2>Files changed</h2>\n");
    body.push_str(&files(&repo.git.changes(&base, &pull.head_sha).unwrap_or_default()));
    let title = format!("{} #{}", issue.title, issue.number);
    page(StatusCode::OK, state, repo, &title, &body)
}

fn commit(state: &State, repo: &Repo, id: &str) -> Response {
    let Ok(info) = repo.git.info(id) else { return missing(state, repo, &format!("no commit {id}")) };
    let base = info.parents.first().map_or(NO_COMMIT, String::as_str);
    let changes = repo.git.changes(base, id).unwrap_or_default();
    let body = format!(
        "<h1>Commit <small>{}</small></h1>\n<p class=\"dim\">{}, {}</p>\n<pre>{}</pre>\n<h2>Files changed</h2>\n{}",
        Escaped(id),
        Escaped(&info.author.name),
        time(info.author.at),
        Escaped(info.message.trim_end()),
        files(&changes),
    );
    page(StatusCode::OK, state, repo, info.message.lines().next().unwrap_or_default(), &body)
}

fn parent(repo: &Repo, commit: &str) -> Option<String> {
    repo.git.info(commit).ok()?.parents.into_iter().next()
}

/// Something that somebody wrote.
fn said(author: &str, when: &str, text: &str) -> String {
    let html = markdown::html(text);
    let html = if html.trim().is_empty() { "<p class=\"dim\">no text</p>\n".to_owned() } else { html };
    format!("<article><header><b>{}</b> {}</header>\n{html}</article>\n", Escaped(author), Escaped(when))
}

fn files(changes: &[FileChange]) -> String {
    let mut out = String::new();
    for change in changes {
        let FileChange { path, status, additions, deletions, patch, .. } = change;
        let _ = writeln!(
            out,
            "<p><b>{}</b> <span class=\"dim\">{status}, +{additions} -{deletions}</span></p>",
            Escaped(path)
        );
        let lines: Vec<&str> = patch.lines().take(DIFF_LINES + 1).collect();
        let shown = lines.get(..DIFF_LINES).unwrap_or(&lines);
        out.push_str(&markdown::diff(&shown.join("\n")));
        if shown.len() < lines.len() {
            out.push_str("<p class=\"dim\">and more</p>\n");
        }
    }
    if changes.is_empty() {
        out.push_str("<p class=\"dim\">none</p>\n");
    }
    out
}
