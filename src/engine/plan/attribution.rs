//! Which environments render a line: through kustomizations and their bases, Flux Kustomizations, charts.

use super::{Change, PromotionInputs, Scope, UpdateInputs};
use crate::engine::{
    config::Write,
    dialect::{Bindings, Policy},
    memory::Way,
};
use std::sync::Arc;

const ADVICE: &str = "give each environment a value of its own, in a patch";

/// The names of all environments that render the line, where there are more than the updated one; empty where there are
/// not. `follows`: the environments for which the policy holds. A line has one value, so all of them must be content with the new one: they are updated without a person's word,
/// follow the same policy, and nothing holds them.
///
/// # Errors
/// A sentence that says which environment stands against it, and what to do.
pub(super) fn shared(
    inputs: &UpdateInputs<'_>,
    planned: &Change,
    policy: &Arc<Policy>,
    follows: &dyn Fn(&str) -> bool,
) -> Result<Vec<String>, String> {
    let others = rendering(inputs.others, inputs.bindings, &planned.line.file);
    if others.is_empty() {
        return Ok(Vec::new());
    }
    let by_hand: Vec<&str> =
        others.iter().filter(|other| !other.automatic || !follows(other.name)).map(|other| other.name).collect();
    if !by_hand.is_empty() {
        return Err(format!("{} this file too, and not by itself; {ADVICE}, or update both by hand", render(&by_hand)));
    }
    let names: Vec<&str> = others.iter().map(|other| other.name).collect();
    if let Some(other) = inputs.bindings.disagreement(policy, &planned.line.file) {
        return Err(format!(
            "{} this file too, and the policy {} differs between the clusters (see {}); {ADVICE}",
            render(&names),
            policy.key,
            other.file
        ));
    }
    if let Some((other, hold)) = others.iter().find_map(|other| {
        Some((other, inputs.memory.hold_on(other.name, &planned.component, &Way::Update, inputs.now)?))
    }) {
        return Err(format!("{} this file too: {}", render(&[other.name]), hold.sentence()));
    }
    Ok(std::iter::once(inputs.environment.name).chain(names).map(String::from).collect())
}

/// The names of all environments that render a line that is promoted, where there are more than the target; empty where
/// there are not. A pull request shows people that it changes all of them; a commit shows nobody. What is held in one of
/// them is not changed by way of another.
///
/// # Errors
/// A sentence that says which environment stands against it, and what to do.
pub(super) fn promoted(inputs: &PromotionInputs<'_>, planned: &Change, way: &Way) -> Result<Vec<String>, String> {
    let others = rendering(inputs.others, inputs.bindings, &planned.line.file);
    if others.is_empty() {
        return Ok(Vec::new());
    }
    let names: Vec<&str> = others.iter().map(|other| other.name).collect();
    if inputs.write == Write::Commit {
        return Err(format!(
            "{} this file too; {ADVICE}, or promote by pull request (write: pull-request)",
            render(&names)
        ));
    }
    if let Some((other, hold)) = others
        .iter()
        .find_map(|other| Some((other, inputs.memory.hold_on(other.name, &planned.component, way, inputs.now)?)))
    {
        return Err(format!("{} this file too: {}", render(&[other.name]), hold.sentence()));
    }
    Ok(std::iter::once(inputs.to.environment).chain(names).map(String::from).collect())
}

/// Which of these environments render the file.
fn rendering<'a>(others: &'a [Scope<'a>], bindings: &Bindings, file: &str) -> Vec<&'a Scope<'a>> {
    if others.is_empty() {
        return Vec::new();
    }
    let renderers = bindings.renderers(file);
    others.iter().filter(|scope| renderers.iter().any(|file| (scope.contains)(file))).collect()
}

fn render(names: &[&str]) -> String {
    match names {
        [one] => format!("environment {one} renders"),
        several => format!("environments {} render", several.join(", ")),
    }
}
