//! Files of which some stand out: those are few, and are found without a look at all the others.

use super::{Files, files::Iter};
use std::{ops::Deref, sync::Arc};

/// What tells whether it stands out.
pub trait Notable {
    /// Told by the value alone.
    fn is_noted(&self) -> bool;
}

/// Values by path, as [`Files`], and which of them are [`Notable`].
#[derive(Clone, Debug)]
pub struct Noted<T> {
    all: Files<T>,
    noted: Files<()>,
}

impl<T> Default for Noted<T> {
    fn default() -> Self {
        Noted { all: Files::default(), noted: Files::default() }
    }
}

impl<T> Deref for Noted<T> {
    type Target = Files<T>;

    fn deref(&self) -> &Files<T> {
        &self.all
    }
}

impl<T> Noted<T> {
    /// Those that stand out, in the order of their paths.
    pub fn noted(&self) -> impl Iterator<Item = (&Arc<str>, &T)> {
        self.noted.keys().filter_map(|path| self.all.get_key_value(path))
    }
}

impl<T: Clone + Notable> Noted<T> {
    /// Sets a path's value and gives back the one that it had.
    pub fn insert(&mut self, path: Arc<str>, value: T) -> Option<T> {
        match value.is_noted() {
            true => self.noted.insert(path.clone(), ()),
            false => self.noted.remove(&path),
        };
        self.all.insert(path, value)
    }

    /// Takes a path out and gives back the value that it had.
    pub fn remove(&mut self, path: &str) -> Option<T> {
        self.noted.remove(path);
        self.all.remove(path)
    }
}

impl<T: Notable> FromIterator<(Arc<str>, T)> for Noted<T> {
    fn from_iter<I: IntoIterator<Item = (Arc<str>, T)>>(entries: I) -> Self {
        let all: Files<T> = entries.into_iter().collect();
        let noted = all.iter().filter(|(_, value)| value.is_noted()).map(|(path, _)| (path.clone(), ())).collect();
        Noted { all, noted }
    }
}

impl<'a, T> IntoIterator for &'a Noted<T> {
    type Item = (&'a Arc<str>, &'a T);
    type IntoIter = Iter<'a, T>;

    fn into_iter(self) -> Iter<'a, T> {
        self.all.iter()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    impl Notable for u8 {
        fn is_noted(&self) -> bool {
            *self > 1
        }
    }

    #[test]
    fn those_that_stand_out_are_known_whatever_is_written() {
        let shown = |files: &Noted<u8>| files.noted().map(|(path, value)| format!("{path}{value}")).collect::<String>();
        let mut files: Noted<u8> =
            [("a", 1), ("b", 2), ("c", 3)].map(|(path, value)| (path.into(), value)).into_iter().collect();
        assert_eq!(shown(&files), "b2c3");
        assert_eq!(files.insert("b".into(), 1), Some(2));
        assert_eq!(files.insert("a".into(), 4), Some(1));
        assert_eq!(files.insert("d".into(), 5), None);
        assert_eq!(files.insert("e".into(), 0), None);
        assert_eq!(shown(&files), "a4c3d5");
        assert_eq!((files.remove("c"), files.remove("x")), (Some(3), None));
        assert_eq!((shown(&files), files.len()), ("a4d5".to_owned(), 4));
    }
}
