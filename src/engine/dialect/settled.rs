//! Lines that were seen to hold what their policy wants: until one of the two changes, they are not looked at again.

use super::Binding;
use crate::engine::manifest::Scan;
use std::{
    mem,
    sync::{Arc, Mutex, PoisonError},
};

/// By index of the binding. A memory of bindings, which stay the same over most pushes; it only ever saves time.
#[derive(Debug, Default)]
pub(crate) struct Settled(Mutex<Vec<Option<SettledLine>>>);

/// Both are held, so that nothing else can have their addresses.
#[derive(Debug)]
pub(crate) struct SettledLine {
    scan: Arc<Scan>,
    choice: Arc<str>,
}

impl SettledLine {
    /// `choice`: the reason of the choice that stands on the line, as the memo of choices has it.
    pub fn new(scan: &Arc<Scan>, choice: &Arc<str>) -> Self {
        SettledLine { scan: scan.clone(), choice: choice.clone() }
    }

    pub fn is_of(&self, scan: &Arc<Scan>, choice: &Arc<str>) -> bool {
        Arc::ptr_eq(&self.scan, scan) && Arc::ptr_eq(&self.choice, choice)
    }
}

impl Settled {
    /// What is known of `count` bindings, for one plan: another that is made meanwhile looks at all lines.
    pub(crate) fn take(&self, count: usize) -> Vec<Option<SettledLine>> {
        let mut lines = mem::take(&mut *self.0.lock().unwrap_or_else(PoisonError::into_inner));
        lines.resize_with(count, || None);
        lines
    }

    /// What is known of the lines `before`, for those that are there `now`; both in order.
    pub(crate) fn carried(&self, before: &[Binding], now: &[Binding]) -> Self {
        let known = self.take(before.len());
        let mut known = before.iter().zip(known).peekable();
        let same = |a: &Binding, b: &Binding| a.line == b.line && a.file == b.file;
        let carried = now.iter().map(|binding| {
            while known.next_if(|(other, _)| !same(other, binding) && other.is_before(binding)).is_some() {}
            known.next_if(|(other, _)| same(other, binding))?.1
        });
        Settled(Mutex::new(carried.collect()))
    }

    pub(crate) fn put_back(&self, lines: Vec<Option<SettledLine>>) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = lines;
    }
}
