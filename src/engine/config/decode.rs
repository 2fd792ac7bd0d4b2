//! From the tree to typed values, strictly: every fault is kept with its place, and reading goes on.

use super::{
    nearest::nearest,
    not_yet::{ConfigWarning, Effect},
    tree::{Key, Node, Plain, Value, plain, quoted},
};
use crate::engine::manifest::Position;
use std::time::Duration;

/// An enumeration whose values are words of butler.yaml.
pub(crate) trait Words: Copy + Sized + 'static {
    const WORDS: &'static [(&'static str, Self)];
}

/// Declares an enumeration together with the words that stand for its values.
macro_rules! words {
    ($(#[$meta:meta])* pub enum $name:ident { $($(#[$doc:meta])* $variant:ident = $word:literal,)+ }) => {
        $(#[$meta])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum $name { $($(#[$doc])* $variant,)+ }

        impl $name {
            /// The word that stands for it in butler.yaml.
            pub fn word(self) -> &'static str {
                match self { $($name::$variant => $word,)+ }
            }
        }

        impl std::fmt::Display for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str(self.word())
            }
        }

        impl $crate::engine::config::decode::Words for $name {
            const WORDS: &'static [(&'static str, Self)] = &[$(($word, $name::$variant),)+];
        }
    };
}
pub(crate) use words;

/// Collects what is wrong (and what is not yet done) while values are read.
#[derive(Default)]
pub(crate) struct Decoder {
    faults: Vec<(Position, String, String)>,
    warnings: Vec<ConfigWarning>,
    /// Where the reader stands: `environments`, `dev`, `update`.
    path: Vec<String>,
    /// Values are read that something else will be laid over: a key that is missing may come yet.
    partial: bool,
    /// What docs/configuration.md is held against.
    #[cfg(test)]
    pub known: Known,
}

/// What a file's reading showed to be known, at the places that it went through.
#[cfg(test)]
#[derive(Default)]
pub(crate) struct Known {
    /// Places of keys: `environments.dev.update`.
    pub keys: Vec<String>,
    pub required: Vec<String>,
    /// By place, what was expected there: `true or false`.
    pub values: Vec<(String, String)>,
}

/// A mapping whose keys are all known.
#[derive(Clone, Copy)]
pub(crate) struct Fields<'n> {
    pub position: Position,
    entries: &'n [(Key, Node)],
}

impl<'n> Fields<'n> {
    pub fn get(&self, key: &str) -> Option<&'n Node> {
        self.entries.iter().find(|(known, _)| known.name == key).map(|(_, node)| node)
    }

    /// Reads the value of a key, where the key is given.
    pub fn read<T>(
        &self,
        d: &mut Decoder,
        key: &str,
        read: impl FnOnce(&mut Decoder, &'n Node) -> Option<T>,
    ) -> Option<T> {
        let node = self.get(key)?;
        d.within(key, |d| read(d, node))
    }

    /// As [`Fields::read`]; the missing key is a fault.
    pub fn require<T>(
        &self,
        d: &mut Decoder,
        key: &str,
        read: impl FnOnce(&mut Decoder, &'n Node) -> Option<T>,
    ) -> Option<T> {
        #[cfg(test)]
        if !d.partial {
            let place = d.within(key, |d| d.place());
            d.known.required.push(place);
        }
        if self.get(key).is_none() && !d.partial {
            d.fault(self.position, format!("the key {key:?} is missing"));
        }
        self.read(d, key, read)
    }

    /// Notes that a key is accepted and not yet acted upon.
    pub fn not_yet(&self, d: &mut Decoder, key: &str, effect: Effect) {
        if let Some((key, _)) = self.entries.iter().find(|(known, _)| known.name == key) {
            d.not_yet(key.position, &key.name, effect);
        }
    }
}

impl Decoder {
    pub fn fault(&mut self, position: Position, message: impl Into<String>) {
        let path = self.place();
        self.faults.push((position, path, message.into()));
    }

    /// `environments.dev.path[1]`
    fn place(&self) -> String {
        let mut place = String::new();
        for step in &self.path {
            if !place.is_empty() && !step.starts_with('[') {
                place.push('.');
            }
            place.push_str(step);
        }
        place
    }

    /// Reads values that something else will be laid over, for their faults alone.
    pub fn partially(&mut self, read: impl FnOnce(&mut Decoder)) {
        self.partial = true;
        read(self);
        self.partial = false;
    }

    pub fn not_yet(&mut self, position: Position, what: &str, effect: Effect) {
        if self.partial {
            return;
        }
        let key = self.within(what, |d| d.place());
        let warning = ConfigWarning { position, key, effect };
        // What stands under `defaults` or an anchor is read once for each place that it is used in.
        if !self.warnings.iter().any(|known| known.position == position && known.effect == warning.effect) {
            self.warnings.push(warning);
        }
    }

    pub fn within<T>(&mut self, step: impl Into<String>, read: impl FnOnce(&mut Decoder) -> T) -> T {
        self.path.push(step.into());
        let value = read(self);
        self.path.pop();
        value
    }

    /// Everything found, by place; a fault in a value that is used in several places is told once.
    pub fn finish(self) -> (Vec<(Position, String)>, Vec<ConfigWarning>) {
        let mut faults = self.faults;
        faults.sort_by_key(|(position, ..)| *position);
        let mut told: Vec<(Position, String, String)> = Vec::new();
        for fault in faults {
            let again = told.iter().rev().take_while(|known| known.0 == fault.0).any(|known| known.2 == fault.2);
            if !again {
                told.push(fault);
            }
        }
        let mut warnings = self.warnings;
        warnings.sort_by_key(|warning| warning.position);
        let faults = told.into_iter().map(|(position, path, message)| match path.as_str() {
            "" => (position, message),
            path => (position, format!("{path}: {message}")),
        });
        (faults.collect(), warnings)
    }

    /// Tells the tests of the documentation what a value has to be.
    fn expects(&mut self, what: &str) {
        #[cfg(test)]
        {
            let place = self.place();
            self.known.values.push((place, what.to_owned()));
        }
        #[cfg(not(test))]
        let _ = what;
    }

    fn expected(&mut self, what: &str, node: &Node) {
        let hint = match (&node.value, what) {
            (Value::Plain(text), "a string") if plain(text) != Plain::Nothing => "; put it in quotes",
            _ => "",
        };
        self.fault(node.position, format!("expected {what}, found {}{hint}", node.describe()));
    }

    /// A mapping with these keys and no others.
    pub fn fields<'n>(&mut self, node: &'n Node, known: &[&str]) -> Option<Fields<'n>> {
        #[cfg(test)]
        for key in known {
            let place = self.within(*key, |d| d.place());
            self.known.keys.push(place);
        }
        let entries = self.entries(node)?;
        for (key, _) in entries {
            if known.contains(&key.name.as_str()) {
                continue;
            }
            let message = match nearest(&key.name, known.iter().copied()) {
                Some(near) => format!("unknown key {}; did you mean {near:?}?", quoted(&key.name)),
                None => format!("unknown key {}; known here: {}", quoted(&key.name), known.join(", ")),
            };
            self.fault(key.position, message);
        }
        Some(Fields { position: node.position, entries })
    }

    /// A mapping whose keys are names.
    pub fn entries<'n>(&mut self, node: &'n Node) -> Option<&'n [(Key, Node)]> {
        let entries = node.entries();
        if entries.is_none() {
            self.expected("a mapping", node);
        }
        entries
    }

    /// A mapping from names to values, in the file's order.
    pub fn named<T>(
        &mut self,
        node: &Node,
        mut read: impl FnMut(&mut Decoder, &Key, &Node) -> Option<T>,
    ) -> Option<Vec<(String, T)>> {
        let mut values = Vec::new();
        for (key, value) in self.entries(node)? {
            if let Some(value) = self.within(&key.name, |d| read(d, key, value)) {
                values.push((key.name.clone(), value));
            }
        }
        Some(values)
    }

    /// A mapping from strings to strings.
    pub fn pairs(&mut self, node: &Node) -> Option<Vec<(String, String)>> {
        self.expects("a mapping of strings to strings");
        self.named(node, |d, _, value| d.text(value))
    }

    pub fn list<T>(
        &mut self,
        node: &Node,
        what: &str,
        read: impl FnMut(&mut Decoder, &Node) -> Option<T>,
    ) -> Option<Vec<T>> {
        match &node.value {
            Value::List(items) => Some(self.items(items, read)),
            _ => {
                self.expected(what, node);
                None
            }
        }
    }

    fn items<T>(&mut self, items: &[Node], mut read: impl FnMut(&mut Decoder, &Node) -> Option<T>) -> Vec<T> {
        items.iter().enumerate().filter_map(|(i, item)| self.within(format!("[{i}]"), |d| read(d, item))).collect()
    }

    pub fn texts(&mut self, node: &Node) -> Option<Vec<String>> {
        self.expects("a list of strings");
        self.list(node, "a list of strings", Decoder::text)
    }

    /// One string, or a list of at least one.
    pub fn one_or_more<T>(
        &mut self,
        node: &Node,
        mut read: impl FnMut(&mut Decoder, &Node) -> Option<T>,
    ) -> Option<Vec<T>> {
        self.expects("a string or a list of strings");
        match &node.value {
            Value::List(items) if items.is_empty() => {
                self.fault(node.position, "expected at least one, found an empty list");
                None
            }
            Value::List(items) => Some(self.items(items, read)),
            Value::Map(_) => {
                self.expected("a string or a list of strings", node);
                None
            }
            _ => read(self, node).map(|value| vec![value]),
        }
    }

    /// A string that is not empty and stands on one line.
    pub fn text(&mut self, node: &Node) -> Option<String> {
        let text = self.any_text(node)?;
        if text.is_empty() {
            self.fault(node.position, "expected a string that is not empty");
            return None;
        }
        if text.chars().any(char::is_control) {
            self.fault(node.position, format!("expected a string of one line, found {}", quoted(&text)));
            return None;
        }
        Some(text)
    }

    /// Any string: templates may have several lines.
    pub fn any_text(&mut self, node: &Node) -> Option<String> {
        self.expects("a string");
        match &node.value {
            Value::Text(text) => Some(text.clone()),
            Value::Plain(text) if plain(text) == Plain::Text => Some(text.clone()),
            _ => {
                self.expected("a string", node);
                None
            }
        }
    }

    pub fn boolean(&mut self, node: &Node) -> Option<bool> {
        self.expects("true or false");
        if let Value::Plain(text) = &node.value {
            if let Plain::Boolean(value) = plain(text) {
                return Some(value);
            }
            // YAML 1.1's words, which YAML 1.2 reads as strings.
            let meant = match text.to_ascii_lowercase().as_str() {
                "yes" | "on" | "y" => Some(true),
                "no" | "off" | "n" => Some(false),
                _ => None,
            };
            if let Some(meant) = meant {
                self.fault(node.position, format!("expected true or false, found {}; write {meant}", quoted(text)));
                return None;
            }
        }
        self.expected("true or false", node);
        None
    }

    /// A whole number from 1.
    pub fn count(&mut self, node: &Node) -> Option<u32> {
        self.expects("a whole number from 1");
        let count = match &node.value {
            Value::Plain(text) => text.parse().ok().filter(|count| *count >= 1),
            _ => None,
        };
        if count.is_none() {
            self.expected("a whole number from 1", node);
        }
        count
    }

    /// One of an enumeration's words.
    pub fn word<T: Words>(&mut self, node: &Node) -> Option<T> {
        let all = || T::WORDS.iter().map(|(word, _)| *word);
        self.expects(&one_of(all()));
        if let Value::Plain(text) | Value::Text(text) = &node.value {
            if let Some((_, value)) = T::WORDS.iter().find(|(word, _)| word == text) {
                return Some(*value);
            }
            let is_off = matches!(node.value, Value::Plain(_))
                && matches!(text.to_ascii_lowercase().as_str(), "off" | "false" | "no");
            let hint = match nearest(text, all()) {
                _ if is_off && all().any(|word| word == "none") => {
                    " (YAML reads off as false); the word for it is \"none\"".into()
                }
                Some(near) => format!("; did you mean {near:?}?"),
                None => String::new(),
            };
            self.fault(node.position, format!("expected {}, found {}{hint}", one_of(all()), node.describe()));
        } else {
            self.expected(&one_of(all()), node);
        }
        None
    }

    /// `10s`, `2m`, `1h30m`, `7d`: largest unit first, each at most once.
    pub fn duration(&mut self, node: &Node) -> Option<Duration> {
        self.expects("a duration");
        let duration = match &node.value {
            Value::Plain(text) | Value::Text(text) => duration(text),
            _ => None,
        };
        if duration.is_none() {
            self.expected("a duration such as 10s, 2m, 1h30m or 7d", node);
        }
        duration
    }
}

/// `a`, `a or b`, `a, b or c`
fn one_of<'w>(words: impl Iterator<Item = &'w str>) -> String {
    let words: Vec<&str> = words.collect();
    match words.as_slice() {
        [] => String::new(),
        [one] => (*one).to_owned(),
        [most @ .., last] => format!("{} or {last}", most.join(", ")),
    }
}

/// Reads a duration; `None` where the text is none, or lasts longer than a hundred years.
pub(crate) fn duration(text: &str) -> Option<Duration> {
    const UNITS: [(char, u64); 4] = [('d', 86_400), ('h', 3_600), ('m', 60), ('s', 1)];
    const LONGEST: u64 = 100 * 366 * 86_400;
    let mut rest = text;
    let mut units = UNITS.iter();
    let mut seconds = 0u64;
    while !rest.is_empty() {
        let end = rest.find(|c: char| !c.is_ascii_digit()).filter(|end| *end > 0)?;
        let number: u64 = rest[..end].parse().ok()?;
        let unit = rest[end..].chars().next()?;
        let (_, length) = units.find(|(known, _)| *known == unit)?;
        seconds = seconds.checked_add(number.checked_mul(*length)?)?;
        rest = &rest[end + 1..];
    }
    (!text.is_empty() && seconds <= LONGEST).then(|| Duration::from_secs(seconds))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations() {
        for (text, seconds) in [
            ("10s", Some(10)),
            ("2m", Some(120)),
            ("1h", Some(3_600)),
            ("1h30m", Some(5_400)),
            ("1d2h3m4s", Some(93_784)),
            ("0s", Some(0)),
            ("", None),
            ("10", None),
            ("h", None),
            ("-1h", None),
            ("1.5h", None),
            ("30m1h", None),
            ("1h1h", None),
            ("1 h", None),
            ("1h ", None),
            ("1ü", None),
            ("99999999999999999999s", None),
            ("9999999999999d", None),
        ] {
            assert_eq!(duration(text).map(|d| d.as_secs()), seconds, "{text:?}");
        }
    }
}
