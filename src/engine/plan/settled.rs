//! Lines that were seen to hold what their policy wants: until one of the two changes, they are not looked at again.

use crate::engine::manifest::Scan;
use std::{
    mem,
    sync::{Arc, Mutex, PoisonError},
};

/// By index of the binding. A memory of bindings, which stay the same over most pushes; it only ever saves time.
#[derive(Debug, Default)]
pub(crate) struct Settled(Mutex<Vec<Option<Line>>>);

/// Both are held, so that nothing else can have their addresses.
#[derive(Debug)]
pub(super) struct Line {
    scan: Arc<Scan>,
    choice: Arc<str>,
}

impl Line {
    /// `choice`: the reason of the choice that stands on the line, as the memo of choices has it.
    pub fn new(scan: &Arc<Scan>, choice: &Arc<str>) -> Self {
        Line { scan: scan.clone(), choice: choice.clone() }
    }

    pub fn is_of(&self, scan: &Arc<Scan>, choice: &Arc<str>) -> bool {
        Arc::ptr_eq(&self.scan, scan) && Arc::ptr_eq(&self.choice, choice)
    }
}

impl Settled {
    /// What is known of `count` bindings, for one plan: another that is made meanwhile looks at all lines.
    pub(super) fn take(&self, count: usize) -> Vec<Option<Line>> {
        let mut lines = mem::take(&mut *self.0.lock().unwrap_or_else(PoisonError::into_inner));
        lines.resize_with(count, || None);
        lines
    }

    pub(super) fn put_back(&self, lines: Vec<Option<Line>>) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = lines;
    }
}
