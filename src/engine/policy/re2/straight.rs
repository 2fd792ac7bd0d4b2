//! Patterns such as `^main-[a-f0-9]+-(?P<ts>[0-9]+)$`, which most policies have: what may come next tells at every byte
//! where in the pattern it belongs. Such a pattern is read in one go, groups included, several times as fast as by an
//! automaton that has to keep other ways open. What is none, and text that is not ASCII, is left to the `regex` crate.

use regex_syntax::hir::{Class, Hir, HirKind, Look};
use std::ops::Range;

/// A pattern that is anchored at its start, without alternatives, whose repetitions end where what follows begins.
#[derive(Clone, Debug)]
pub struct Straight {
    steps: Vec<Step>,
    /// Group 0, the whole match, among them.
    groups: usize,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Step {
    Text(Box<[u8]>),
    /// From `least` to `most` bytes of a set, as many as there are.
    Run {
        set: Ascii,
        least: usize,
        most: usize,
    },
    Open(usize),
    Close(usize),
    /// The text's end.
    End,
}

/// A set of ASCII characters: a look for each byte, where bits would have to be shifted.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Ascii(Box<[bool; 256]>);

impl Ascii {
    fn of(class: &Class) -> Self {
        let ranges: Vec<(u32, u32)> = match class {
            Class::Unicode(class) => class.iter().map(|range| (range.start().into(), range.end().into())).collect(),
            Class::Bytes(class) => class.iter().map(|range| (range.start().into(), range.end().into())).collect(),
        };
        Ascii::with(|byte| byte.is_ascii() && ranges.iter().any(|(start, end)| (*start..=*end).contains(&byte.into())))
    }

    fn with(is_member: impl Fn(u8) -> bool) -> Self {
        let mut set = Box::new([false; 256]);
        for (byte, has) in (0..=u8::MAX).zip(set.iter_mut()) {
            *has = is_member(byte);
        }
        Ascii(set)
    }

    fn has(&self, byte: u8) -> bool {
        self.0[usize::from(byte)]
    }

    fn meets(&self, other: &Self) -> bool {
        self.0.iter().zip(other.0.iter()).any(|(a, b)| *a && *b)
    }
}

/// Where the groups of a match begin and end.
pub type Places = [Range<usize>];

impl Straight {
    /// `None` for all other patterns.
    pub fn of(pattern: &Hir) -> Option<Self> {
        let mut straight = Straight { steps: Vec::new(), groups: 1 };
        let parts = match pattern.kind() {
            HirKind::Concat(parts) => parts.as_slice(),
            _ => return None,
        };
        let (start, rest) = parts.split_first()?;
        if *start.kind() != HirKind::Look(Look::Start) {
            return None;
        }
        rest.iter().try_for_each(|part| straight.add(part))?;
        (0..straight.steps.len()).all(|at| straight.ends_in_time(at)).then_some(straight)
    }

    fn add(&mut self, part: &Hir) -> Option<()> {
        let step = match part.kind() {
            HirKind::Empty => return Some(()),
            HirKind::Literal(text) => Step::Text(text.0.clone()),
            HirKind::Class(class) => Step::Run { set: Ascii::of(class), least: 1, most: 1 },
            HirKind::Look(Look::End) => Step::End,
            HirKind::Repetition(repetition) if repetition.greedy => {
                let set = match repetition.sub.kind() {
                    HirKind::Class(class) => Ascii::of(class),
                    HirKind::Literal(text) => match *text.0 {
                        [byte] if byte.is_ascii() => Ascii::with(|other| other == byte),
                        _ => return None,
                    },
                    _ => return None,
                };
                let count = |count: u32| usize::try_from(count).unwrap_or(usize::MAX);
                Step::Run { set, least: count(repetition.min), most: repetition.max.map_or(usize::MAX, count) }
            }
            HirKind::Capture(capture) => {
                let group = usize::try_from(capture.index).ok()?;
                self.groups = self.groups.max(group + 1);
                self.steps.push(Step::Open(group));
                match capture.sub.kind() {
                    HirKind::Concat(parts) => parts.iter().try_for_each(|part| self.add(part))?,
                    _ => self.add(&capture.sub)?,
                }
                Step::Close(group)
            }
            HirKind::Concat(_) | HirKind::Alternation(_) | HirKind::Look(_) | HirKind::Repetition(_) => return None,
        };
        self.steps.push(step);
        Some(())
    }

    /// Whether what may follow a run of any length is none of its set: then the longest run is the only one.
    fn ends_in_time(&self, at: usize) -> bool {
        let Step::Run { set, least, most } = &self.steps[at] else { return true };
        if least == most {
            return true;
        }
        for step in &self.steps[at + 1..] {
            match step {
                Step::Text(text) => return text.first().is_some_and(|byte| !set.has(*byte)),
                Step::Run { set: next, .. } if set.meets(next) => return false,
                Step::Run { least: 0, .. } | Step::Open(_) | Step::Close(_) => {}
                Step::Run { .. } | Step::End => return true,
            }
        }
        true
    }

    /// Room for the places of groups, to use again from text to text.
    pub fn places(&self) -> Box<Places> {
        vec![0..0; self.groups].into()
    }

    /// Whether the pattern matches, and where its groups are; `None` where that is to be asked elsewhere.
    pub fn read(&self, text: &str, places: &mut Places) -> Option<bool> {
        if !text.is_ascii() {
            return None;
        }
        let text = text.as_bytes();
        let mut at = 0;
        for step in &self.steps {
            match step {
                Step::Text(expected) => {
                    if !text[at..].starts_with(expected) {
                        return Some(false);
                    }
                    at += expected.len();
                }
                Step::Run { set, least, most } => {
                    let rest = &text[at..];
                    let rest = rest.get(..*most).unwrap_or(rest);
                    let length = rest.iter().position(|byte| !set.has(*byte)).unwrap_or(rest.len());
                    if length < *least {
                        return Some(false);
                    }
                    at += length;
                }
                Step::Open(group) => places[*group].start = at,
                Step::Close(group) => places[*group].end = at,
                Step::End => {
                    if at < text.len() {
                        return Some(false);
                    }
                }
            }
        }
        places[0].end = at;
        Some(true)
    }
}

#[cfg(test)]
mod tests {
    use crate::engine::policy::re2::Pattern;
    use proptest::prelude::*;

    #[test]
    fn which_patterns_are_straight() {
        #[rustfmt::skip]
        let cases = [
            (r"^main-[a-f0-9]+-(?P<ts>[0-9]+)$", true), (r"^v(?P<v>\d+\.\d+)", true), (r"^(?P<ts>.*)", true),
            (r"^a{2,3}b?c*$", true), (r"^(a)(b(c))$", true), (r"^\d{8}-\d{6}", true), (r"^(?i)rc-(\d+)$", true),
            (r"^x*(y*)x$", false), (r"^(?P<y>\d{4})(?P<m>\d{2})$", true), (r"^a\z", true), (r"^\d{2,}-$", true),
            ("", false), ("a", false), (r"main-(\d+)", false), (r"^a|b", false), (r"^(aa|b)c", false), (r"^(a|b)c", true),
            (r"^.*-(\d+)$", false), (r"^\d+\d$", false), (r"^a*?b", false), (r"^(ab)+", false), (r"^(a)?b", false),
            (r"^x*(y*)z*$", true), (r"^\bx", false), (r"(?m)^a$", false), (r"^(?:a-)?\d+", false), (r"^\d{1,3}4", false),
        ];
        for (pattern, straight) in cases {
            assert_eq!(Pattern::compile(pattern).unwrap().straight.is_some(), straight, "{pattern}");
        }
    }

    proptest! {
        /// Whatever is straight matches as the `regex` crate does, with the same groups.
        #[test]
        fn reads_as_the_regex_crate_does(
            parts in proptest::collection::vec(
                "[ab.-]|\\[ab\\]|\\\\d|\\(\\?i\\)|\\(\\[ab\\]\\+\\)|[ab.][*+?]|\\\\d\\{1,2\\}|\\[\\^a\\]\\*|\\(a(b)?\\)|\\(-\\(\\\\d\\*\\)\\)",
                0..6,
            ),
            end in "\\$?",
            texts in proptest::collection::vec("[abAB1-]{0,8}|[ab1é\n-]{0,4}", 20),
        ) {
            let pattern = Pattern::compile(&format!("^{}{end}", parts.concat())).unwrap();
            let Some(straight) = &pattern.straight else { return Ok(()) };
            let mut places = straight.places();
            for text in &texts {
                let Some(found) = straight.read(text, &mut places) else {
                    prop_assert!(!text.is_ascii());
                    continue;
                };
                let expected = pattern.regex.captures(text);
                prop_assert_eq!(found, expected.is_some(), "{} on {:?}", pattern.regex, text);
                for (group, place) in expected.iter().flat_map(|found| found.iter()).zip(places.iter()) {
                    prop_assert_eq!(group.map(|group| group.range()), Some(place.clone()), "{} on {:?}", pattern.regex, text);
                }
            }
        }
    }
}
