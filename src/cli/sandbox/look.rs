//! The second terminal's views: a pull request, and how things stand.

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
    anstream::println!("{BOLD}#{number} {}{BOLD:#}", pull.title);
    anstream::println!("{DIM}{}: {} -> {}{DIM:#}", pull.standing(), pull.head.branch, pull.base.branch);
    anstream::println!("{DIM}{}{DIM:#}", pull.html_url);
    anstream::println!("\n{}", visible(pull.body.as_deref().unwrap_or_default()));
    for comment in visitor.comments(number).await? {
        anstream::println!("\n{BOLD}{}{BOLD:#}", comment.user.login);
        for line in visible(&comment.body).lines() {
            anstream::println!("  {line}");
        }
    }
    let checks = visitor.checks(&pull.head.sha).await?;
    if !checks.is_empty() {
        anstream::println!("\n{BOLD}checks{BOLD:#}");
    }
    for check in checks {
        let conclusion = check.conclusion.unwrap_or(check.status);
        let title = check.output.title.unwrap_or_default();
        anstream::println!("  {:<20}{conclusion}  {DIM}{title}{DIM:#}", check.name);
    }
    Ok(())
}

/// Prints what each stage runs, and every pull request.
pub async fn status(visitor: &mut Visitor) -> Result<(), VisitError> {
    for stage in &visitor.look_again().await?.stages {
        let tag = stage.tag.as_deref().unwrap_or("nothing yet");
        let commit = stage.commit.as_deref().and_then(|commit| commit.get(..7)).unwrap_or_default();
        anstream::println!("{BOLD}{:<14}{BOLD:#}{tag:<14}{DIM}{commit}{DIM:#}", stage.name);
        if let Some(trouble) = &stage.trouble {
            anstream::println!("  not synced: {trouble}");
        }
    }
    anstream::println!();
    let pulls = visitor.pulls().await?;
    if pulls.is_empty() {
        anstream::println!("no pull requests yet");
    }
    for pull in pulls {
        anstream::println!("#{:<4}{:<9}{}", pull.number, pull.standing(), pull.title);
    }
    Ok(())
}
