//! What was worked out from equal inputs before. A push changes a file, but hardly ever a policy: its pattern is not
//! compiled again, and of the tags that it was asked about last it makes the same choice.

use super::{Order, PolicyError, TagPolicy};
use crate::engine::image::Tag;
use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError, Weak},
};

/// Policies and choices kept; beyond it, those of policies and tags that nobody holds any more are dropped.
const KEPT: usize = 20_000;

/// Answers by their questions. It only ever saves time: each is what [`TagPolicy::new`] and [`TagPolicy::select`] say.
#[derive(Debug, Default)]
pub struct Memo {
    policies: Mutex<HashMap<Definition, Arc<TagPolicy>>>,
    choices: Mutex<HashMap<(usize, usize), Remembered>>,
}

type Definition = (Order, Option<(String, String)>, Option<Vec<String>>);

/// Both ends are held weakly: while they are, no other policy or list can have their addresses.
#[derive(Debug)]
struct Remembered {
    policy: Weak<TagPolicy>,
    tags: Weak<Vec<Tag>>,
    choice: Choice,
}

/// What [`TagPolicy::select`] said.
#[derive(Clone, Debug)]
pub struct Choice {
    /// Index into the tags.
    pub selected: Option<usize>,
    pub reason: Arc<str>,
}

impl Memo {
    /// As [`TagPolicy::new`].
    pub fn policy(
        &self,
        order: Order,
        filter: Option<(&str, &str)>,
        exclude: Option<Vec<String>>,
    ) -> Result<Arc<TagPolicy>, PolicyError> {
        let owned = filter.map(|(pattern, extract)| (pattern.to_owned(), extract.to_owned()));
        let definition = (order, owned, exclude);
        if let Some(known) = lock(&self.policies).get(&definition) {
            return Ok(known.clone());
        }
        let policy = Arc::new(TagPolicy::new(definition.0.clone(), filter, definition.2.clone())?);
        let mut policies = lock(&self.policies);
        if policies.len() >= KEPT {
            policies.retain(|_, policy| Arc::strong_count(policy) > 1);
        }
        if policies.len() < KEPT {
            policies.insert(definition, policy.clone());
        }
        Ok(policy)
    }

    /// As [`TagPolicy::select`].
    pub fn select(&self, policy: &Arc<TagPolicy>, tags: &Arc<Vec<Tag>>) -> Choice {
        let key = (Arc::as_ptr(policy).addr(), Arc::as_ptr(tags).addr());
        if let Some(known) = lock(&self.choices).get(&key) {
            return known.choice.clone();
        }
        let selection = policy.select(tags);
        let selected = selection.selected.and_then(|chosen| tags.iter().position(|tag| std::ptr::eq(tag, chosen)));
        let choice = Choice { selected, reason: selection.reason.into() };
        let remembered =
            Remembered { policy: Arc::downgrade(policy), tags: Arc::downgrade(tags), choice: choice.clone() };
        let mut choices = lock(&self.choices);
        if choices.len() >= KEPT {
            choices.retain(|_, known| known.policy.strong_count() > 0 && known.tags.strong_count() > 0);
        }
        if choices.len() < KEPT {
            choices.insert(key, remembered);
        }
        choice
    }
}

fn lock<T>(shared: &Mutex<T>) -> MutexGuard<'_, T> {
    shared.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn order(range: &str) -> Order {
        Order::Semver { range: range.into(), three_part: true }
    }

    #[test]
    fn equal_definitions_are_one_policy() {
        let memo = Memo::default();
        let policy = |range, filter| memo.policy(order(range), filter, None).unwrap();
        let first = policy("1.x", None);
        assert!(Arc::ptr_eq(&first, &policy("1.x", None)));
        assert!(!Arc::ptr_eq(&first, &policy("2.x", None)));
        assert!(!Arc::ptr_eq(&first, &policy("1.x", Some(("^1", "")))));
        assert!(memo.policy(order("what"), None, None).is_err());
    }

    #[test]
    fn choices_go_by_the_list_that_was_asked() {
        let memo = Memo::default();
        let policy = memo.policy(order("1.x"), None, None).unwrap();
        let list = |names: &[&str]| Arc::new(names.iter().map(|name| Tag::named(*name)).collect::<Vec<_>>());
        // Lists come and go, also at one address.
        for (names, chosen) in
            [(["1.0.0", "1.2.0"], Some(1)), (["1.3.0", "1.2.0"], Some(0)), (["2.0.0", "3.0.0"], None)]
        {
            let tags = list(&names);
            assert_eq!(memo.select(&policy, &tags).selected, chosen);
            assert_eq!(memo.select(&policy, &tags).selected, chosen);
            assert_eq!(*memo.select(&policy, &tags).reason, *policy.select(&tags).reason);
        }
    }
}
