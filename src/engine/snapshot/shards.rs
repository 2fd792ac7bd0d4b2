//! A map by name that shares what it has in common with the map that it was cloned from: in no order, and so quicker to
//! look up than [`super::Files`].

use hashbrown::{HashTable, hash_table::Entry};
use std::{
    hash::{BuildHasher, RandomState},
    sync::Arc,
};

/// A write copies one of so many.
const SHARDS: usize = 256;

type Shard<V> = HashTable<Named<V>>;

/// A name is hashed once: for its shard, for its place there, and when the shard grows.
#[derive(Clone, Debug)]
struct Named<V> {
    hash: u64,
    name: Box<str>,
    value: V,
}

impl<V> Named<V> {
    fn is(&self, hash: u64, name: &str) -> bool {
        self.hash == hash && *self.name == *name
    }
}

/// Values by name. A clone shares all of them.
#[derive(Clone, Debug)]
pub(crate) struct Shards<V> {
    hasher: RandomState,
    shards: Vec<Arc<Shard<V>>>,
}

impl<V> Default for Shards<V> {
    fn default() -> Self {
        let empty = Arc::new(Shard::new());
        Shards { hasher: RandomState::new(), shards: vec![empty; SHARDS] }
    }
}

impl<V> Shards<V> {
    pub fn get(&self, name: &str) -> Option<&V> {
        let hash = self.hasher.hash_one(name);
        let found = self.shards.get(shard_of(hash))?.find(hash, |named| named.is(hash, name));
        found.map(|named| &named.value)
    }

    /// The names and their values, in no order.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &V)> {
        self.shards.iter().flat_map(|shard| shard.iter()).map(|named| (&*named.name, &named.value))
    }
}

/// The low bits of a hash tell the place within a shard, and the highest the tag there.
fn shard_of(hash: u64) -> usize {
    (hash >> 32) as usize % SHARDS
}

impl<V: Clone> Shards<V> {
    pub fn insert(&mut self, name: impl AsRef<str> + Into<Box<str>>, value: V) -> Option<V> {
        match self.entry(name.as_ref())? {
            (_, Entry::Occupied(mut known)) => Some(std::mem::replace(&mut known.get_mut().value, value)),
            (hash, Entry::Vacant(free)) => {
                free.insert(Named { hash, name: name.into(), value });
                None
            }
        }
    }

    pub fn remove(&mut self, name: &str) -> Option<V> {
        let hash = self.hasher.hash_one(name);
        let shard = self.shards.get_mut(shard_of(hash))?;
        shard.find(hash, |named| named.is(hash, name))?;
        let known = Arc::make_mut(shard).find_entry(hash, |named| named.is(hash, name)).ok()?;
        Some(known.remove().0.value)
    }

    /// Changes a name's value, which is made where there is none; then drops it where `keep` says so.
    pub fn change(
        &mut self,
        name: impl AsRef<str> + Into<Box<str>>,
        change: impl FnOnce(&mut V),
        keep: impl FnOnce(&V) -> bool,
    ) where
        V: Default,
    {
        match self.entry(name.as_ref()) {
            Some((_, Entry::Occupied(mut known))) => {
                change(&mut known.get_mut().value);
                if !keep(&known.get().value) {
                    known.remove();
                }
            }
            Some((hash, Entry::Vacant(free))) => {
                let mut value = V::default();
                change(&mut value);
                if keep(&value) {
                    free.insert(Named { hash, name: name.into(), value });
                }
            }
            None => {}
        }
    }

    /// A name's hash, and its place in a shard that is now this map's own.
    fn entry(&mut self, name: &str) -> Option<(u64, Entry<'_, Named<V>>)> {
        let hash = self.hasher.hash_one(name);
        let shard = Arc::make_mut(self.shards.get_mut(shard_of(hash))?);
        Some((hash, shard.entry(hash, |named| named.is(hash, name), |named| named.hash)))
    }
}

impl<V: PartialEq> PartialEq for Shards<V> {
    fn eq(&self, other: &Self) -> bool {
        self.iter().count() == other.iter().count() && self.iter().all(|(name, value)| other.get(name) == Some(value))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::HashMap;

    proptest! {
        /// Whatever is done to both, it holds what a `HashMap` holds, and clones made before do not change.
        #[test]
        fn holds_what_a_map_holds(writes in proptest::collection::vec((0u16..400, 0u8..3, any::<u8>()), 0..600)) {
            let mut shards: Shards<Vec<u8>> = Shards::default();
            let mut map: HashMap<String, Vec<u8>> = HashMap::new();
            let mut earlier = Vec::new();
            for (name, what, value) in writes {
                let name = name.to_string();
                match what {
                    0 => prop_assert_eq!(shards.insert(&*name, vec![value]), map.insert(name, vec![value])),
                    1 => prop_assert_eq!(shards.remove(&name), map.remove(&name)),
                    _ => {
                        shards.change(&*name, |values| values.push(value), |values| values.len() < 3);
                        let values = map.entry(name.clone()).or_default();
                        values.push(value);
                        if values.len() >= 3 {
                            map.remove(&name);
                        }
                    }
                }
                earlier.push((shards.clone(), map.clone()));
                earlier.truncate(10);
            }
            earlier.push((shards, map));
            for (shards, map) in &earlier {
                let found: HashMap<String, Vec<u8>> = shards.iter().map(|(name, value)| (name.to_owned(), value.clone())).collect();
                prop_assert_eq!(&found, map);
                prop_assert!((0..400).all(|n| shards.get(&n.to_string()) == map.get(&n.to_string())));
                prop_assert!(shards == shards && (map.is_empty() || *shards != Shards::default()));
            }
        }
    }

    #[test]
    fn a_write_copies_one_shard() {
        let mut shards: Shards<u32> = Shards::default();
        for n in 0..10_000 {
            shards.insert(n.to_string(), n);
        }
        assert!((0..10_000).all(|n| shards.get(&n.to_string()) == Some(&n)), "found after all growth");
        let mut after = shards.clone();
        after.insert("5000", 0);
        let copied = shards.shards.iter().zip(&after.shards).filter(|(a, b)| !Arc::ptr_eq(a, b)).count();
        assert_eq!((copied, shards.shards.len()), (1, SHARDS));
    }
}
