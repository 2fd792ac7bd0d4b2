//! Reviews of a pull request.

use super::{Forge, call::Call, error::ForgeError, pulls::User};
use crate::engine::event::RepoName;
use jiff::Timestamp;
use serde::Deserialize;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ReviewState {
    Approved,
    ChangesRequested,
    Commented,
    /// Was an approval or a request for changes, and counts no more.
    Dismissed,
}

/// One review. A person's last one that is not a comment counts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Review {
    pub id: u64,
    pub author: String,
    pub state: ReviewState,
    /// The head that was reviewed; empty where it is gone.
    pub commit: String,
    pub submitted_at: Timestamp,
}

/// Each person's last review that is not a mere comment.
pub fn last_words(reviews: &[Review]) -> impl Iterator<Item = &Review> {
    let mut last = std::collections::BTreeMap::new();
    for review in reviews.iter().filter(|review| review.state != ReviewState::Commented) {
        last.insert(review.author.as_str(), review);
    }
    last.into_values()
}

impl Forge {
    /// The reviews that were submitted, oldest first.
    pub async fn reviews(&self, repo: &RepoName, number: u64) -> Result<Vec<Review>, ForgeError> {
        #[derive(Deserialize)]
        struct Answer {
            id: u64,
            user: Option<User>,
            state: String,
            commit_id: Option<String>,
            submitted_at: Option<Timestamp>,
        }
        let call = Call::look(repo, "/repos/{owner}/{repo}/pulls/{pull_number}/reviews").value(number);
        let found = self.client().pages(call, |page: Vec<Answer>| page).await?;
        let review = |answer: Answer| {
            let state = match answer.state.to_ascii_uppercase().as_str() {
                "APPROVED" => ReviewState::Approved,
                "CHANGES_REQUESTED" => ReviewState::ChangesRequested,
                "COMMENTED" => ReviewState::Commented,
                "DISMISSED" => ReviewState::Dismissed,
                // PENDING: not submitted.
                _ => return None,
            };
            Some(Review {
                id: answer.id,
                author: answer.user.map(|user| user.login).unwrap_or_default(),
                state,
                commit: answer.commit_id.unwrap_or_default(),
                submitted_at: answer.submitted_at?,
            })
        };
        Ok(found.into_iter().filter_map(review).collect())
    }
}
