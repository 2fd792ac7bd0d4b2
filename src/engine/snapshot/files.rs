//! A map by path that shares what it has in common with the map that it was cloned from: a push changes one file of
//! thousands, and the snapshot after it costs what changed.

use std::{slice, sync::Arc};

/// Entries in a run when a map is made; a run that grows to twice as many is split.
const RUN: usize = 64;

/// Values by path, in the order of the paths' bytes. A clone shares all runs; a write copies one.
#[derive(Clone, Debug)]
pub struct Files<T> {
    /// None is empty; the paths of each come before those of the next.
    runs: Vec<Arc<Vec<(Arc<str>, T)>>>,
}

impl<T> Default for Files<T> {
    fn default() -> Self {
        Files { runs: Vec::new() }
    }
}

impl<T> Files<T> {
    /// A path's value.
    pub fn get(&self, path: &str) -> Option<&T> {
        self.get_key_value(path).map(|(_, value)| value)
    }

    /// The path as the map holds it, and its value.
    pub fn get_key_value(&self, path: &str) -> Option<(&Arc<str>, &T)> {
        let run = self.runs.get(self.run_of(path))?;
        let at = place(run, path).ok()?;
        let (path, value) = &run[at];
        Some((path, value))
    }

    /// Whether a path has a value.
    pub fn contains_key(&self, path: &str) -> bool {
        self.get(path).is_some()
    }

    /// How many paths there are; costs a look at each run.
    pub fn len(&self) -> usize {
        self.runs.iter().map(|run| run.len()).sum()
    }

    pub fn is_empty(&self) -> bool {
        self.runs.is_empty()
    }

    /// The entries in the order of their paths.
    pub fn iter(&self) -> Iter<'_, T> {
        Iter { runs: self.runs.iter(), run: [].iter() }
    }

    /// The entries from this path on, in order.
    pub fn range(&self, from: &str) -> Iter<'_, T> {
        let first = self.run_of(from);
        let mut runs = self.runs.get(first..).unwrap_or_default().iter();
        let run = runs.next().map_or(&[][..], |run| &run[place(run, from).unwrap_or_else(|at| at)..]);
        Iter { runs, run: run.iter() }
    }

    /// The paths, in order.
    pub fn keys(&self) -> impl Iterator<Item = &Arc<str>> {
        self.iter().map(|(path, _)| path)
    }

    /// The values, in the order of their paths.
    pub fn values(&self) -> impl Iterator<Item = &T> {
        self.iter().map(|(_, value)| value)
    }

    /// For paths that are asked for in their order.
    pub fn lookup(&self) -> Lookup<'_, T> {
        Lookup { files: self, run: 0, at: 0 }
    }

    /// The run that holds `path`, or would.
    fn run_of(&self, path: &str) -> usize {
        self.runs.partition_point(|run| run.first().is_some_and(|(first, _)| **first <= *path)).saturating_sub(1)
    }
}

impl<T: Clone> Files<T> {
    /// Sets a path's value and gives back the one that it had.
    pub fn insert(&mut self, path: Arc<str>, value: T) -> Option<T> {
        // What comes in order is put behind the others.
        if self.runs.last().and_then(|run| run.last()).is_none_or(|(last, _)| *last < path) {
            match self.runs.last_mut().filter(|run| run.len() < RUN) {
                Some(run) => Arc::make_mut(run).push((path, value)),
                None => self.runs.push(Arc::new(vec![(path, value)])),
            }
            return None;
        }
        let index = self.run_of(&path);
        let run = self.runs.get_mut(index)?;
        let run = Arc::make_mut(run);
        match place(run, &path) {
            Ok(at) => Some(std::mem::replace(&mut run[at].1, value)),
            Err(at) => {
                run.insert(at, (path, value));
                if run.len() >= 2 * RUN {
                    let rest = run.split_off(RUN);
                    self.runs.insert(index + 1, Arc::new(rest));
                }
                None
            }
        }
    }

    /// Takes a path out and gives back the value that it had.
    pub fn remove(&mut self, path: &str) -> Option<T> {
        let index = self.run_of(path);
        let run = self.runs.get_mut(index)?;
        let at = place(run, path).ok()?;
        let (_, value) = Arc::make_mut(run).remove(at);
        if run.is_empty() {
            self.runs.remove(index);
        }
        Some(value)
    }
}

/// Looks up paths, quickest where they come in their order: each is found from where the one before stood.
pub struct Lookup<'a, T> {
    files: &'a Files<T>,
    run: usize,
    at: usize,
}

impl<'a, T> Lookup<'a, T> {
    /// What the present run has from where the last path stood.
    fn ahead(&self) -> Option<&'a [(Arc<str>, T)]> {
        self.files.runs.get(self.run)?.get(self.at..)
    }

    /// Finds a path that is asked for as it is held, as it mostly is, without a look at its letters.
    fn held(&mut self, path: &str) -> Option<(&'a Arc<str>, &'a T)> {
        let ahead = self.ahead()?;
        let step = ahead.iter().position(|(known, _)| std::ptr::eq(&**known, path))?;
        self.at += step;
        ahead.get(step).map(|(path, value)| (path, value))
    }

    /// The path as the map holds it, and its value.
    pub fn get(&mut self, path: &str) -> Option<(&'a Arc<str>, &'a T)> {
        if let Some(found) = self.held(path) {
            return Some(found);
        }
        let runs = &self.files.runs;
        let behind = |run: &Arc<Vec<(Arc<str>, T)>>| run.last().is_none_or(|(last, _)| **last < *path);
        if runs.get(self.run).is_some_and(behind) {
            self.run += 1;
            if runs.get(self.run).is_some_and(behind) {
                self.run += runs[self.run..].partition_point(behind);
            }
            self.at = 0;
            if let Some(found) = self.held(path) {
                return Some(found);
            }
        }
        let Some(ahead) = self.ahead() else { return self.files.get_key_value(path) };
        match place(ahead, path) {
            Ok(found) => {
                self.at += found;
                ahead.get(found).map(|(path, value)| (path, value))
            }
            Err(_) => self.files.get_key_value(path),
        }
    }
}

fn place<T>(run: &[(Arc<str>, T)], path: &str) -> Result<usize, usize> {
    run.binary_search_by(|(known, _)| (**known).cmp(path))
}

/// The entries of [`Files`].
pub struct Iter<'a, T> {
    runs: slice::Iter<'a, Arc<Vec<(Arc<str>, T)>>>,
    run: slice::Iter<'a, (Arc<str>, T)>,
}

impl<'a, T> Iterator for Iter<'a, T> {
    type Item = (&'a Arc<str>, &'a T);

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            if let Some((path, value)) = self.run.next() {
                return Some((path, value));
            }
            self.run = self.runs.next()?.iter();
        }
    }
}

impl<'a, T> IntoIterator for &'a Files<T> {
    type Item = (&'a Arc<str>, &'a T);
    type IntoIter = Iter<'a, T>;

    fn into_iter(self) -> Iter<'a, T> {
        self.iter()
    }
}

impl<T: PartialEq> PartialEq for Files<T> {
    fn eq(&self, other: &Self) -> bool {
        self.iter().eq(other.iter())
    }
}

/// In any order; of several values for a path the last one stays. Quick where they come in order.
impl<T> FromIterator<(Arc<str>, T)> for Files<T> {
    fn from_iter<I: IntoIterator<Item = (Arc<str>, T)>>(entries: I) -> Self {
        let mut entries: Vec<(Arc<str>, T)> = entries.into_iter().collect();
        // Stable, so that the last one of a path comes last; `dedup` keeps the first of what it is shown.
        if !entries.is_sorted_by(|(a, _), (b, _)| a < b) {
            entries.reverse();
            entries.sort_by(|(a, _), (b, _)| a.cmp(b));
            entries.dedup_by(|(a, _), (b, _)| a == b);
        }
        let mut runs = Vec::with_capacity(entries.len().div_ceil(RUN));
        let mut entries = entries.into_iter().peekable();
        while entries.peek().is_some() {
            runs.push(Arc::new(entries.by_ref().take(RUN).collect()));
        }
        Files { runs }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::BTreeMap;

    proptest! {
        /// Whatever is done to both, it holds what a `BTreeMap` holds, and clones made before do not change.
        #[test]
        fn holds_what_a_map_holds(
            start in proptest::collection::vec((0u16..600, any::<u8>()), 0..500),
            writes in proptest::collection::vec((0u16..600, proptest::option::of(any::<u8>())), 0..500),
            asked in proptest::collection::vec(0u16..600, 0..100),
        ) {
            let path = |n: u16| -> Arc<str> { format!("apps/{n}.yaml").into() };
            let mut files: Files<u8> = start.iter().map(|(n, value)| (path(*n), *value)).collect();
            let mut map: BTreeMap<Arc<str>, u8> = start.iter().map(|(n, value)| (path(*n), *value)).collect();
            let (before, map_before) = (files.clone(), map.clone());
            for (n, value) in writes {
                match value {
                    Some(value) => prop_assert_eq!(files.insert(path(n), value), map.insert(path(n), value)),
                    None => prop_assert_eq!(files.remove(&path(n)), map.remove(&path(n))),
                }
            }
            prop_assert!(files.iter().eq(map.iter()));
            prop_assert!(before.iter().eq(map_before.iter()));
            prop_assert_eq!((files.len(), files.is_empty()), (map.len(), map.is_empty()));
            prop_assert!(files.keys().eq(map.keys()) && files.values().eq(map.values()));
            for n in 0..600 {
                prop_assert_eq!(files.get_key_value(&path(n)), map.get_key_value(&path(n)));
                prop_assert_eq!(files.get(&path(n)), map.get(&path(n)));
                prop_assert_eq!(files.contains_key(&path(n)), map.contains_key(&path(n)));
                prop_assert!(files.range(&path(n)).eq(map.range(path(n)..)));
            }
            // In any order, and in theirs.
            let mut in_order: Vec<Arc<str>> = asked.iter().map(|n| path(*n)).collect();
            let mut lookup = files.lookup();
            for path in &in_order {
                prop_assert_eq!(lookup.get(path), map.get_key_value(path));
            }
            in_order.sort();
            let mut lookup = files.lookup();
            for path in &in_order {
                prop_assert_eq!(lookup.get(path), map.get_key_value(path));
            }
        }
    }

    #[test]
    fn is_made_of_entries_in_any_order() {
        let cases: [&[(&str, u8)]; 5] =
            [&[], &[("a", 1)], &[("a", 1), ("b", 2)], &[("b", 2), ("a", 1)], &[("a", 1), ("a", 2), ("b", 3)]];
        for entries in cases {
            let entries = || entries.iter().map(|(path, value)| (Arc::from(*path), *value));
            let (files, map): (Files<u8>, BTreeMap<Arc<str>, u8>) = (entries().collect(), entries().collect());
            assert!(files.iter().eq(map.iter()), "{map:?}");
            assert_eq!(files.is_empty(), map.is_empty());
        }
    }

    #[test]
    fn a_write_copies_one_run() {
        let files: Files<u32> = (0..10_000).map(|n| (format!("{n:05}").into(), n)).collect();
        let mut after = files.clone();
        after.insert("05000".into(), 0);
        let copied = files.runs.iter().zip(&after.runs).filter(|(a, b)| !Arc::ptr_eq(a, b)).count();
        assert_eq!((copied, files.runs.len()), (1, 157));
    }
}
