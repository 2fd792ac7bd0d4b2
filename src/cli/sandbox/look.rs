//! The second terminal's views: a pull request, and how things stand.

use crate::cli::output::say;
use crate::{
    cli::output::{BOLD, DIM},
    sandbox::{
        visitor::{VisitError, Visitor},
        walk::visible,
    },
};

/// Prints a pull request: title, body, comments, checks.
pub async fn pull(visitor: &Visitor, number: u64) -> Result<(), VisitError> {
    let pull = visitor.pull(number).await?;
    say!("{BOLD}#{number} {}{BOLD:#}", pull.title);
    say!("{DIM}{}: {} -> {}{DIM:#}", pull.standing(), pull.head.branch, pull.base.branch);
    say!("{DIM}{}{DIM:#}", pull.html_url);
    say!("\n{}", visible(pull.body.as_deref().unwrap_or_default()));
    for comment in visitor.comments(number).await? {
        say!("\n{BOLD}{}{BOLD:#}", comment.user.login);
        for line in visible(&comment.body).lines() {
            say!("  {line}");
        }
    }
    let checks = visitor.checks(&pull.head.sha).await?;
    if !checks.is_empty() {
        say!("\n{BOLD}checks{BOLD:#}");
    }
    for check in checks {
        let conclusion = check.conclusion.unwrap_or(check.status);
        let title = check.output.title.unwrap_or_default();
        say!("  {:<20}{conclusion}  {DIM}{title}{DIM:#}", check.name);
    }
    Ok(())
}

/// Prints what each stage runs, and every pull request.
pub async fn status(visitor: &mut Visitor) -> Result<(), VisitError> {
    for stage in &visitor.look_again().await?.stages {
        let tag = stage.tag.as_deref().unwrap_or("nothing yet");
        let commit = stage.commit.as_deref().and_then(|commit| commit.get(..7)).unwrap_or_default();
        say!("{BOLD}{:<14}{BOLD:#}{tag:<14}{DIM}{commit}{DIM:#}", stage.name);
        if let Some(trouble) = &stage.trouble {
            say!("  not synced: {trouble}");
        }
    }
    say!();
    let pulls = visitor.pulls().await?;
    if pulls.is_empty() {
        say!("no pull requests yet");
    }
    for pull in pulls {
        say!("#{:<4}{:<9}{}", pull.number, pull.standing(), pull.title);
    }
    Ok(())
}
