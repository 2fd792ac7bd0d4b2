//! How a hold is told, wherever it is: by whom, since when, until when, and what ends it.

use super::{Hold, Reach, Way};
use crate::engine::escape::{code, plain, time};

/// What a hold or a `/resume` is about: `` `app` in `staging` ``, `everything`, `` the promotion from `a` to `b` ``.
pub fn scope_in_words(scope: &Reach) -> String {
    let Reach { component, environment, way } = scope;
    let component = component.as_ref().map(|name| code(name));
    let environment = environment.as_ref().map(|name| code(name));
    let place = environment.clone().unwrap_or_else(|| "every environment".into());
    let of = component.as_ref().map(|name| format!("{name} in ")).unwrap_or_default();
    match (way, component, environment) {
        (Some(Way::Promotion { from, .. }), ..) => format!("{of}the promotion from {} to {place}", code(from)),
        (Some(Way::Update), ..) => format!("{of}the updates of {place}"),
        (None, Some(component), Some(environment)) => format!("{component} in {environment}"),
        (None, Some(component), None) => format!("{component} in every environment"),
        (None, None, Some(environment)) => format!("everything in {environment}"),
        (None, None, None) => "everything".into(),
    }
}

/// A hold that stands: what, by whom, since when, and the word that ends it from anywhere.
pub fn hold_in_words(hold: &Hold) -> String {
    let resume = code(&format!("/butler resume {}", hold.scope.words()));
    let are = if hold.scope.way == Some(Way::Update) { "are" } else { "is" };
    format!("{} {are} held {}; {resume} ends that", scope_in_words(&hold.scope), circumstances(hold))
}

/// ``by `dan` since 2026-03-02 09:00 UTC, until 2026-03-02 11:00 UTC (waiting for QA)``.
pub fn circumstances(hold: &Hold) -> String {
    let until = hold.until.map(|until| format!(", until {}", time(until))).unwrap_or_default();
    let reason = if hold.reason.is_empty() { String::new() } else { format!(" ({})", plain(&hold.reason)) };
    format!("by {} since {}{until}{reason}", code(&hold.by), time(hold.at))
}
