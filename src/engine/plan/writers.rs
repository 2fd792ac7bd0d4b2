//! Who writes a line: butler by an automation's rules, or somebody else in its place.

use super::{
    UpdateInputs,
    history::{Stays, because},
};
use crate::engine::dialect::{Automation, Binding};
use std::{cell::RefCell, sync::Arc};

/// What is known of writers in one plan.
pub(super) struct Writers<'a> {
    inputs: &'a UpdateInputs<'a>,
    /// Flux v1, where it still writes.
    pub flux_v1: Option<String>,
    /// What was told of the automations that were asked for last: most lines are written by the same.
    last: RefCell<Option<Told>>,
}

/// Of some automations that write, whichever the file.
struct Told {
    following: Arc<[usize]>,
    automation: Option<usize>,
}

impl<'a> Writers<'a> {
    pub fn new(inputs: &'a UpdateInputs<'a>, flux_v1: Option<String>) -> Self {
        Writers { inputs, flux_v1, last: RefCell::default() }
    }

    /// The Flux automation whose rules the line is written by; a skip where the branch has automations and all of them
    /// leave the line out. One that is active goes first: it writes.
    pub fn automation(&self, binding: &Binding) -> Result<Option<usize>, Stays> {
        let Some(following) = &binding.automations else { return Ok(None) };
        if let Some(told) = self.last.borrow().as_ref().filter(|told| Arc::ptr_eq(&told.following, following)) {
            return Ok(told.automation);
        }
        let inputs = self.inputs;
        let all = &inputs.bindings.automations;
        let of_branch = |automation: &Automation| automation.is_of_branch(inputs.branch);
        let here = || all.iter().filter(|automation| of_branch(automation));
        let of_line = || following.iter().copied().filter(|number| all.get(*number).is_some_and(of_branch));
        let active = of_line().find(|number| all.get(*number).is_some_and(|automation| !automation.suspended));
        let automation = active.or_else(|| of_line().next());
        if automation.is_some() || here().next().is_none() {
            *self.last.borrow_mut() = Some(Told { following: following.clone(), automation });
            return Ok(automation);
        }
        if let Some(why) = inputs.bindings.outside_update_paths(inputs.branch, &binding.file) {
            return because("outside-update-path", why);
        }
        let unselected = inputs.bindings.unselected(inputs.branch, &binding.file, binding.key(), following);
        because("not-selected", unselected.unwrap_or_default())
    }

    /// Who writes a line in butler's place, where butler was not told to take over: an automation of Flux that is not
    /// suspended, or Flux v1.
    pub fn other(&self, binding: &Binding) -> Option<[&str; 2]> {
        match &binding.automations {
            Some(_) if !self.inputs.take_over => {
                let by = self.inputs.bindings.automations.get(self.automation(binding).ok()??)?;
                (!by.suspended).then_some(["Flux: ", &by.object])
            }
            None if binding.policy.as_ref().is_ok_and(|policy| policy.is_flux_v1()) => {
                self.flux_v1.as_deref().map(|by| ["", by])
            }
            _ => None,
        }
    }
}
