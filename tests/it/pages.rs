//! What a browser gets of the sandbox's GitHub: everything that somebody wrote is there, and none of it acts.

use butler::sandbox::github::{Github, Options, Role};

const REPO: &str = "acme/config";
/// In every place that somebody can write in; never in a page.
const ATTACK: &str = "<script>alert(1)</script>";

async fn get(github: &Github, path: &str) -> (u16, String, String) {
    let client = reqwest::Client::builder().no_proxy().build().unwrap();
    let answer = client.get(format!("{}{path}", github.url())).send().await.unwrap();
    let policy = answer.headers().get("content-security-policy").map(|value| value.to_str().unwrap().to_owned());
    (answer.status().as_u16(), policy.unwrap_or_default(), answer.text().await.unwrap())
}

/// A pull request with [`ATTACK`] in every text of it; its number.
async fn attacked() -> (Github, u64) {
    let github = Github::start(Options::default()).await.unwrap();
    github.create_repository(REPO, &[("app.yaml", "image: app:1.0.0\n")]).unwrap();
    github.set_role(REPO, "alice", Some(Role::Maintain)).unwrap();
    let alice = github.person("alice");
    let file = format!("image: {ATTACK}\n");
    let name = "<script>.yaml";
    let files = [("app.yaml", Some(file.as_str())), (name, Some("a: 1\n"))];
    alice.pushes(REPO, "next", &format!("Update {ATTACK}"), &files).unwrap();
    let number = alice.opens(REPO, "next", "main", &format!("Title {ATTACK}")).unwrap();
    alice.comments(REPO, number, &format!("Comment {ATTACK}")).unwrap();
    (github, number)
}

#[tokio::test]
async fn a_pull_request_is_shown_and_nothing_in_it_acts() {
    let (github, number) = attacked().await;
    let path = format!("/{REPO}/pull/{number}");
    let (status, policy, page) = get(&github, &path).await;
    assert_eq!(status, 200);
    assert!(policy.starts_with("default-src 'none'; style-src 'sha256-") && !policy.contains("unsafe"), "{policy}");
    let shown = "&lt;script&gt;alert(1)&lt;/script&gt;";
    for text in [
        format!("<h1>Title {shown}"),
        format!("Comment {shown}"),
        "&lt;script&gt;.yaml</b>".to_owned(),
        format!("<span class=\"add\">+image: {shown}</span>"),
        "<span class=\"del\">-image: app:1.0.0</span>".to_owned(),
        "<span class=\"state open\">open</span>".to_owned(),
        "<code>next</code> into <code>main</code>".to_owned(),
    ] {
        assert!(page.contains(&text), "{text}: {page}");
    }
    let commit = github.branch(REPO, "next").unwrap();
    for path in [&path, &format!("/{REPO}"), &format!("/{REPO}/commit/{commit}"), &format!("/{REPO}/pull/%3Cscript%3E")]
    {
        let (_, policy, page) = get(&github, path).await;
        assert!(!page.contains("<script") && page.contains("&lt;script&gt;"), "{path}: {page}");
        assert!(!policy.is_empty(), "{path}");
    }
    // Merged, it still shows what it changed.
    github.person("alice").merges(REPO, number).unwrap();
    let (_, _, page) = get(&github, &path).await;
    for text in ["<span class=\"state merged\">merged</span>", "-image: app:1.0.0", "Merged by alice as"] {
        assert!(page.contains(text), "{text}: {page}");
    }
}

#[tokio::test]
async fn a_repository_lists_its_pull_requests_and_branches() {
    let (github, number) = attacked().await;
    let (status, _, page) = get(&github, &format!("/{REPO}")).await;
    assert_eq!(status, 200);
    let pull = format!("href=\"{}/{REPO}/pull/{number}\"", github.url());
    let tip = format!("href=\"{}/{REPO}/commit/{}\"", github.url(), github.branch(REPO, "main").unwrap());
    for text in [pull.as_str(), tip.as_str(), "<td>next</td>"] {
        assert!(page.contains(text), "{text}: {page}");
    }
}

/// (path, the status of a page, or `None` where the API answers)
#[tokio::test]
async fn what_is_not_there_and_what_is_the_apis() {
    let (github, number) = attacked().await;
    for (path, page) in [
        (format!("/{REPO}/pull/{number}"), Some(200)),
        (format!("/{REPO}/pull/99"), Some(404)),
        (format!("/{REPO}/pull/x"), Some(404)),
        (format!("/{REPO}/commit/0123456"), Some(404)),
        (format!("/{REPO}/commit/main"), Some(404)),
        ("/acme/other".to_owned(), None),
        (format!("/{REPO}/issues/{number}"), None),
        (format!("/repos/{REPO}/pulls/{number}"), None),
        ("/users/alice".to_owned(), None),
    ] {
        let (status, policy, text) = get(&github, &path).await;
        assert_eq!(text.starts_with("<!doctype html>").then_some(status), page, "{path}: {text}");
        assert_eq!(policy.is_empty(), page.is_none(), "{path}");
    }
}
