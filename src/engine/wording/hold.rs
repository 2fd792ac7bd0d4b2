//! The answer to `/hold`.

use crate::engine::{
    escape::code,
    memory::{Hold, Way, circumstances, scope_in_words},
};

/// The answer to `/hold`. `here`: it was said on the pull request that it is about.
pub(super) fn held(hold: &Hold, here: bool) -> String {
    let stops = match (&hold.scope.way, hold.scope.environment.is_some()) {
        (Some(Way::Promotion { .. }), _) => {
            "This pull request is neither refreshed nor merged by butler; other promotions and updates go on."
        }
        (Some(Way::Update), _) => {
            "butler updates nothing there, and does not merge this pull request; promotions go on."
        }
        (None, true) => "butler updates and promotes nothing there.",
        (None, false) if hold.scope.component.is_some() => "butler neither updates nor promotes it.",
        (None, false) => "butler updates and promotes nothing in this repository.",
    };
    let words = hold.scope.words();
    let ends = match here {
        true => format!("{} here ends that; {} holds everything.", code("/resume"), code("/hold all")),
        false => format!("{} ends that.", code(&format!("/butler resume {words}"))),
    };
    format!("Held: {}, {}. {stops} {ends}\n", scope_in_words(&hold.scope), circumstances(hold))
}
