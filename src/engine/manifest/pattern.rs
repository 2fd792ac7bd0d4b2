//! The regular expressions of a patch's target.

use regex::{Regex, RegexBuilder};
use std::sync::OnceLock;

/// The largest compiled program, in bytes: the names that are meant are short.
const SIZE_MAX: usize = 64 << 10;

/// A field of a target: empty is any, else a regular expression for the whole text. One that is none matches nothing:
/// kustomize stops at it.
#[derive(Clone, Debug, Default)]
pub struct Pattern {
    text: String,
    /// Made when it is first needed, as most patterns are names; and once, as each object is compared with it.
    compiled: OnceLock<Option<Regex>>,
    /// Nothing is kept of it, for there are too many.
    passing: bool,
}

impl Pattern {
    pub fn of(text: &str) -> Self {
        Pattern { text: text.to_owned(), compiled: OnceLock::new(), passing: false }
    }

    /// The same, made again each time that it is needed.
    pub fn passing(self) -> Self {
        Pattern { passing: true, ..self }
    }

    /// Whether a text is meant.
    pub fn matches(&self, text: &str) -> bool {
        let plain = |c: char| c.is_ascii_alphanumeric() || "-_/".contains(c);
        if self.text.is_empty() || self.text == text {
            return true;
        }
        let is_match = |pattern: &Regex| pattern.is_match(text);
        !self.text.chars().all(plain)
            && match self.passing {
                true => self.compile().as_ref().is_some_and(is_match),
                false => self.compiled().is_some_and(is_match),
            }
    }

    fn compiled(&self) -> Option<&Regex> {
        self.compiled.get_or_init(|| self.compile()).as_ref()
    }

    fn compile(&self) -> Option<Regex> {
        RegexBuilder::new(&format!("^(?:{})$", self.text)).size_limit(SIZE_MAX).build().ok()
    }
}

/// By what is written.
impl PartialEq for Pattern {
    fn eq(&self, other: &Self) -> bool {
        self.text == other.text
    }
}

impl Eq for Pattern {}

#[cfg(test)]
mod tests {
    use super::*;

    /// As kustomize does (api v0.20.1).
    #[test]
    fn patterns_are_for_the_whole_text() {
        #[rustfmt::skip]
        let cases = [
            // pattern, text, whether it is meant, whether that takes an expression
            ("", "app", true, false), ("app", "app", true, false), ("app", "apps", false, false),
            ("ap", "app", false, false), ("image.toolkit.fluxcd.io", "image.toolkit.fluxcd.io", true, false),
            ("Image.*", "ImagePolicy", true, true), ("a.p", "app", true, true), ("x|app", "app", true, true),
            ("ap|x", "app", false, true), ("x|pp", "app", false, true), ("^app$", "app", true, true),
            ("^ap", "app", false, true), ("pp$", "app", false, true), ("(app", "app", false, true),
            ("*", "app", false, true), (".{1000}{1000}", "app", false, true),
        ];
        for (pattern, text, meant, takes_expression) in cases {
            let pattern = Pattern::of(pattern);
            assert_eq!(pattern.matches(text), meant, "{pattern:?} {text}");
            assert_eq!(pattern.compiled.get().is_some(), takes_expression, "{pattern:?} {text}");
            let passing = Pattern::of(&pattern.text).passing();
            assert_eq!((passing.matches(text), passing.compiled.get().is_some()), (meant, false), "{pattern:?} {text}");
        }
    }

    #[test]
    fn an_expression_is_compiled_once() {
        let pattern = Pattern::of("a.*");
        let compiled = || std::ptr::from_ref(pattern.compiled().unwrap());
        let first = compiled();
        assert!(["app", "b", "a"].iter().all(|text| pattern.matches(text) == text.starts_with('a')));
        assert_eq!(compiled(), first);
        // A copy has what was made.
        assert!(pattern.clone().compiled.get().is_some());
    }
}
