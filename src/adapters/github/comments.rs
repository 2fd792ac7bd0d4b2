//! Comments that converge to one by a hidden marker, and reactions.
//!
//! GitHub has no key for a comment. So butler's carry one as their last line, are looked for before they are written, and
//! copies that a lost answer left behind are deleted.

use super::{
    Forge, LONGEST_BODY,
    auth::Grant,
    call::{As, Call},
    error::ForgeError,
    pulls::{User, same_text},
};
use crate::engine::event::{Comment, RepoName};
use axum::http::Method;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

const LIST: &str = "/repos/{owner}/{repo}/issues/{issue_number}/comments";
const ALL: &str = "/repos/{owner}/{repo}/issues/comments";
const ONE: &str = "/repos/{owner}/{repo}/issues/comments/{comment_id}";

/// How butler answers a command before it has words for it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Reaction {
    /// Seen.
    Eyes,
    /// Done.
    Rocket,
    /// Not understood, or not allowed.
    Confused,
}

impl Reaction {
    fn content(self) -> &'static str {
        match self {
            Reaction::Eyes => "eyes",
            Reaction::Rocket => "rocket",
            Reaction::Confused => "confused",
        }
    }
}

#[derive(Deserialize)]
struct CommentAnswer {
    id: u64,
    user: Option<CommentUser>,
    body: Option<String>,
    created_at: Timestamp,
    updated_at: Timestamp,
    #[serde(default)]
    html_url: String,
    #[serde(default)]
    issue_url: String,
}

/// A comment that was read, not told by an event.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Found {
    pub comment: Comment,
    /// It was changed since it was made: it may say now what it did not say then.
    pub edited: bool,
}

impl Found {
    /// Whether this is what [`Forge::say`] wrote for `key`, `own` being butler's login.
    pub fn answers(&self, own: &str, key: &str) -> bool {
        self.comment.author == own && carries(&self.comment.body, &marker(key))
    }
}

#[derive(Deserialize)]
struct CommentUser {
    login: String,
    #[serde(rename = "type", default)]
    kind: String,
}

#[derive(Serialize)]
struct Body<'a> {
    body: &'a str,
}

/// `None` where the key could end the marker early.
fn marked(key: &str, body: &str) -> Option<String> {
    let plain = |b: u8| b.is_ascii_alphanumeric() || b"-_.:/@#".contains(&b);
    let fits = !key.is_empty() && key.bytes().all(plain) && !key.contains("--") && !key.ends_with('-');
    fits.then(|| format!("{}\n\n{}", body.trim_end(), marker(key)))
}

fn marker(key: &str) -> String {
    format!("<!-- butler:{key} -->")
}

/// Whether a comment ends in this marker. Only the last line counts: what stands above may quote a person.
fn carries(body: &str, marker: &str) -> bool {
    body.trim_end().lines().next_back().is_some_and(|line| line.trim() == marker)
}

impl Forge {
    /// Makes the one comment with `key` on an issue or a pull request say `body`, and returns its id. Only comments of the
    /// App's are looked at; the oldest is kept, others with the same key are deleted.
    ///
    /// `key` is made of letters, digits and `-_.:/@#`, without `--`.
    pub async fn say(&self, repo: &RepoName, number: u64, key: &str, body: &str) -> Result<u64, ForgeError> {
        let create = Call::write(Method::POST, repo, LIST, Grant::Talk).value(number);
        let bug = |why: String| ForgeError::Bug { call: create.to_string(), why };
        let text = marked(key, body).ok_or_else(|| bug(format!("{key:?} cannot be a comment's key")))?;
        let length = text.chars().count();
        if length > LONGEST_BODY {
            return Err(bug(format!("the comment has {length} characters; GitHub takes {LONGEST_BODY}")));
        }
        if let Some(id) = self.settle(repo, number, key, &text).await? {
            return Ok(id);
        }
        match self.client().json::<CommentAnswer>(create.body(&Body { body: &text })).await {
            Ok(comment) => Ok(comment.id),
            Err(ForgeError::Unknown { call, why }) => match self.settle(repo, number, key, &text).await? {
                Some(id) => Ok(id),
                None => Err(self.client().shortly(&call, &why)),
            },
            Err(error) => Err(error),
        }
    }

    /// Makes what is there one comment with this text; `None` where nothing is there.
    async fn settle(&self, repo: &RepoName, number: u64, key: &str, text: &str) -> Result<Option<u64>, ForgeError> {
        let own = self.own_login().await?;
        let marker = marker(key);
        let mut found = self.list(repo, number).await?;
        found.retain(|comment| {
            let ours = comment.user.as_ref().is_some_and(|user| user.login == own);
            ours && comment.body.as_deref().is_some_and(|body| carries(body, &marker))
        });
        found.sort_by_key(|comment| comment.id);
        let mut found = found.into_iter();
        let Some(kept) = found.next() else { return Ok(None) };
        for copy in found {
            self.delete(Call::write(Method::DELETE, repo, ONE, Grant::Talk).value(copy.id)).await?;
        }
        if !same_text(kept.body.as_deref().unwrap_or_default(), text) {
            let call = Call::write(Method::PATCH, repo, ONE, Grant::Talk).value(kept.id).body(&Body { body: text });
            match self.client().send(call).await {
                // The next look tells whether it was done.
                Err(ForgeError::Unknown { call, why }) => return Err(self.client().shortly(&call, &why)),
                other => other.map(drop)?,
            }
        }
        Ok(Some(kept.id))
    }

    async fn list(&self, repo: &RepoName, number: u64) -> Result<Vec<CommentAnswer>, ForgeError> {
        self.client().pages(Call::look(repo, LIST).value(number), |page: Vec<CommentAnswer>| page).await
    }

    /// Deleting what is gone is done; so it may be repeated.
    async fn delete(&self, call: Call) -> Result<(), ForgeError> {
        match self.client().send(call.repeatable()).await {
            Err(ForgeError::NotFound { .. }) => Ok(()),
            other => other.map(drop),
        }
    }

    /// Everybody's comments on all issues and pull requests of a repository that were made at `since` or later, oldest
    /// first: what lost deliveries told.
    /// <https://docs.github.com/en/rest/issues/comments#list-issue-comments-for-a-repository>
    pub async fn comments_since(&self, repo: &RepoName, since: Timestamp) -> Result<Vec<Found>, ForgeError> {
        // GitHub takes whole seconds here.
        let at = since.strftime("%Y-%m-%dT%H:%M:%SZ").to_string();
        // Of the same second, or changed later than that: told apart below.
        let call = Call::look(repo, ALL).query("since", at).query("sort", "created").query("direction", "asc");
        let found = self.client().pages(call, |page: Vec<CommentAnswer>| page).await?;
        let mut comments: Vec<_> = found
            .into_iter()
            .filter(|comment| comment.created_at.as_second() >= since.as_second())
            .filter_map(|comment| {
                let number = comment.issue_url.rsplit('/').next()?.parse().ok()?;
                let user = comment.user.unwrap_or(CommentUser { login: String::new(), kind: String::new() });
                let edited = comment.updated_at != comment.created_at;
                let comment = Comment {
                    repo: repo.clone(),
                    number,
                    on_pull: comment.html_url.contains("/pull/"),
                    id: comment.id,
                    author: user.login,
                    author_is_bot: user.kind == "Bot",
                    body: comment.body.unwrap_or_default(),
                    created_at: comment.created_at,
                };
                Some(Found { comment, edited })
            })
            .collect();
        comments.sort_by_key(|found| found.comment.id);
        Ok(comments)
    }

    /// Reacts to a comment. GitHub keeps one reaction of a kind per user, so this may be repeated.
    pub async fn react(&self, repo: &RepoName, comment_id: u64, reaction: Reaction) -> Result<(), ForgeError> {
        #[derive(Serialize)]
        struct Body {
            content: Reaction,
        }
        let route = "/repos/{owner}/{repo}/issues/comments/{comment_id}/reactions";
        let call = Call::write(Method::POST, repo, route, Grant::Talk).value(comment_id);
        self.client().send(call.body(&Body { content: reaction }).repeatable()).await.map(drop)
    }

    /// Takes butler's reaction off a comment, where there is one.
    pub async fn unreact(&self, repo: &RepoName, comment_id: u64, reaction: Reaction) -> Result<(), ForgeError> {
        #[derive(Deserialize)]
        struct Answer {
            id: u64,
            user: Option<User>,
        }
        let own = self.own_login().await?;
        let route = "/repos/{owner}/{repo}/issues/comments/{comment_id}/reactions";
        let caller = As::Repository(repo.clone(), Grant::Look);
        let call = Call::of(Method::GET, route, caller).value(comment_id).query("content", reaction.content());
        let found = self.client().pages(call, |page: Vec<Answer>| page).await?;
        let ours = |answer: &&Answer| answer.user.as_ref().is_some_and(|user| user.login == own);
        for reaction in found.iter().filter(ours) {
            let route = "/repos/{owner}/{repo}/issues/comments/{comment_id}/reactions/{reaction_id}";
            let call = Call::write(Method::DELETE, repo, route, Grant::Talk).value(comment_id).value(reaction.id);
            self.delete(call).await?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_that_could_end_the_marker_are_refused() {
        for (key, fits) in [
            ("status", true),
            ("reply:acme/fleet#12@3", true),
            ("", false),
            ("a--b", false),
            ("a-", false),
            ("a b", false),
            ("a>b", false),
            ("a\nb", false),
        ] {
            assert_eq!(marked(key, "text").is_some(), fits, "{key:?}");
        }
        assert_eq!(marked("k", "text\n\n").unwrap(), "text\n\n<!-- butler:k -->");
    }

    #[test]
    fn only_a_marker_on_the_last_line_counts() {
        for (body, found) in [
            ("text\n\n<!-- butler:k -->", true),
            ("text\r\n\r\n<!-- butler:k -->\r\n", true),
            ("<!-- butler:k -->", true),
            ("> <!-- butler:k -->\n\nquoted\n\n<!-- butler:other -->", false),
            ("<!-- butler:k -->\ntext", false),
            ("text <!-- butler:k -->", false),
            ("text\n\n<!-- butler:kk -->", false),
            ("", false),
        ] {
            assert_eq!(carries(body, &marker("k")), found, "{body:?}");
        }
    }
}
