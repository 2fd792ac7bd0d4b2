//! Regular expressions in Go's syntax (RE2 with Perl's extensions: <https://github.com/google/re2/wiki/Syntax>), turned
//! into the `regex` crate's. The two differ in small ways that would change what a pattern matches: `\d`, `\w`, `\s` and
//! `\b` are ASCII in Go, a class has no set operations (`[a&&b]`), `\<` is a literal, `\Q…\E` and octal escapes exist, a
//! brace that repeats nothing is a literal, and operators do not stack. So the pattern is read as Go reads it and
//! written anew, and what Go refuses is refused, with the byte where it stands.

mod class;
mod straight;

use std::fmt::Write;
pub use straight::{Places, Straight};

/// The longest pattern, in bytes, and the largest compiled program; real ones stay under 200 bytes.
const PATTERN_MAX: usize = 16 * 1024;
const PROGRAM_MAX: usize = 4 * 1024 * 1024;
/// Go's limit for a repetition, nested ones multiplied.
const REPEAT_MAX: u32 = 1000;

/// Why a text is no pattern, and where (byte offset from 0).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PatternError {
    pub at: usize,
    pub why: String,
}

/// A pattern that compiled. Unanchored, leftmost-first, as Go's.
#[derive(Clone, Debug)]
pub struct Pattern {
    pub regex: regex::Regex,
    /// The same, where it can be read in one go.
    pub straight: Option<Straight>,
    /// The name of each group, by number; group 0 is the whole match. Go lets several groups have one name.
    pub groups: Vec<Option<String>>,
    /// The text that every match begins with, as far as it is plain to see.
    pub prefix: String,
}

impl Pattern {
    /// Reads and compiles a pattern.
    ///
    /// # Errors
    /// With the byte at which it stops being one.
    pub fn compile(source: &str) -> Result<Self, PatternError> {
        if source.len() > PATTERN_MAX {
            return Err(PatternError { at: 0, why: format!("a pattern has at most {PATTERN_MAX} bytes") });
        }
        let translated = Translator::new(source).translate()?;
        let regex = regex::RegexBuilder::new(&translated.out).size_limit(PROGRAM_MAX).build();
        let regex = regex.map_err(|error| PatternError {
            at: 0,
            why: match error {
                regex::Error::CompiledTooBig(limit) => {
                    format!("the pattern compiles to more than {limit} bytes; use smaller repetitions or classes")
                }
                // What Go accepts and the crate does not: groups nested more than 250 deep.
                other => other.to_string().lines().last().unwrap_or_default().trim_start_matches("error: ").to_owned(),
            },
        })?;
        let straight = regex_syntax::parse(&translated.out).ok().and_then(|hir| Straight::of(&hir));
        Ok(Pattern { regex, straight, groups: translated.groups, prefix: translated.prefix })
    }
}

/// What an operator such as `*` would repeat.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Last {
    /// Nothing: the beginning of an alternative.
    Nothing,
    /// An atom; the number is the product of the repetitions within it.
    Atom(u32),
    /// A repetition: operators do not stack.
    Repeated(u32),
}

struct Group {
    at: usize,
    /// The largest product of repetitions in the enclosing group so far.
    weight: u32,
}

struct Translator<'a> {
    source: &'a str,
    at: usize,
    out: String,
    groups: Vec<Option<String>>,
    open: Vec<Group>,
    weight: u32,
    last: Last,
    prefix: String,
    /// Whether the prefix may still grow.
    prefixing: bool,
}

struct Translated {
    out: String,
    groups: Vec<Option<String>>,
    prefix: String,
}

impl<'a> Translator<'a> {
    fn new(source: &'a str) -> Self {
        Translator {
            source,
            at: 0,
            out: String::with_capacity(source.len() + 16),
            groups: vec![None],
            open: Vec::new(),
            weight: 1,
            last: Last::Nothing,
            prefix: String::new(),
            prefixing: true,
        }
    }

    fn rest(&self) -> &'a str {
        &self.source[self.at..]
    }

    fn error<T>(&self, at: usize, why: impl Into<String>) -> Result<T, PatternError> {
        Err(PatternError { at, why: why.into() })
    }

    fn translate(mut self) -> Result<Translated, PatternError> {
        while let Some(c) = self.rest().chars().next() {
            let start = self.at;
            match c {
                '(' => self.open_group()?,
                ')' => {
                    let Some(group) = self.open.pop() else {
                        return self.error(start, "`)` closes no group; write `\\)` for the character");
                    };
                    self.at += 1;
                    self.out.push(')');
                    self.last = Last::Atom(self.weight);
                    self.weight = self.weight.max(group.weight);
                }
                '|' => {
                    self.at += 1;
                    self.out.push('|');
                    self.last = Last::Nothing;
                    if self.open.is_empty() {
                        self.prefix.clear();
                    }
                    self.prefixing = false;
                }
                '^' | '$' | '.' => {
                    self.at += 1;
                    self.out.push(c);
                    self.last = Last::Atom(1);
                    self.prefixing &= c == '^' && start == 0;
                }
                '*' | '+' | '?' => {
                    self.at += 1;
                    self.repeat(start, 0, Some(c))?;
                }
                '{' => match self.counted()? {
                    Some(most) => self.repeat(start, most, None)?,
                    None => {
                        self.at += 1;
                        self.literal('{');
                    }
                },
                '[' => {
                    self.at = class::bracketed(self.source, self.at, &mut self.out)?;
                    self.last = Last::Atom(1);
                    self.prefixing = false;
                }
                '\\' => self.escape()?,
                c => {
                    self.at += c.len_utf8();
                    self.literal(c);
                }
            }
        }
        match self.open.pop() {
            Some(group) => self.error(group.at, "missing `)` for the group that opens here"),
            None => Ok(Translated { out: self.out, groups: self.groups, prefix: self.prefix }),
        }
    }

    fn literal(&mut self, c: char) {
        class::push_literal(&mut self.out, c);
        self.last = Last::Atom(1);
        if self.prefixing {
            self.prefix.push(c);
        }
    }

    /// A repetition was read, from `start` to here: writes it where Go allows it. `most` is the count of `{n,m}`.
    fn repeat(&mut self, start: usize, most: u32, op: Option<char>) -> Result<(), PatternError> {
        if self.rest().starts_with('?') {
            self.at += 1;
        }
        let text = &self.source[start..self.at];
        let inner = match self.last {
            Last::Atom(weight) => weight,
            Last::Nothing => return self.error(start, format!("`{text}` has nothing to repeat")),
            Last::Repeated(_) => {
                return self.error(start, format!("`{text}` repeats a repetition; put the first one in `(?:…)`"));
            }
        };
        let weight = inner.saturating_mul(most.max(1));
        if weight > REPEAT_MAX {
            return self.error(start, format!("`{text}` repeats more than {REPEAT_MAX} times"));
        }
        self.out.push_str(text);
        self.last = Last::Repeated(weight);
        self.weight = self.weight.max(weight);
        // Only `+` leaves at least one of what it follows.
        if self.prefixing && op != Some('+') {
            self.prefix.pop();
        }
        self.prefixing = false;
        Ok(())
    }

    /// Reads `{n}`, `{n,}` or `{n,m}`; `None` where the brace is a literal.
    fn counted(&mut self) -> Result<Option<u32>, PatternError> {
        let start = self.at;
        let number = |text: &str| -> Option<u64> {
            let plain = !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
            (plain && (text.len() == 1 || !text.starts_with('0'))).then(|| text.parse().unwrap_or(u64::MAX))
        };
        let Some((inner, _)) = self.rest()[1..].split_once('}') else { return Ok(None) };
        let (least, most) = match inner.split_once(',') {
            None => (number(inner), Some(number(inner))),
            Some((least, "")) => (number(least), None),
            Some((least, most)) => (number(least), Some(number(most))),
        };
        let (Some(least), most) = (least, most) else { return Ok(None) };
        let most = match most {
            Some(None) => return Ok(None),
            Some(Some(most)) => most.max(if most < least { u64::MAX } else { 0 }),
            None => least,
        };
        self.at += inner.len() + 2;
        match u32::try_from(most.max(least)) {
            Ok(most) if most <= REPEAT_MAX => Ok(Some(most)),
            _ => {
                let text = &self.source[start..self.at];
                self.error(start, format!("`{text}`: a count is at most {REPEAT_MAX}, the first not above the second"))
            }
        }
    }

    fn open_group(&mut self) -> Result<(), PatternError> {
        let start = self.at;
        let rest = self.rest();
        let named = rest.strip_prefix("(?P<").map(|r| (4, r)).or_else(|| rest.strip_prefix("(?<").map(|r| (3, r)));
        if let Some((skip, rest)) = named
            && !rest.starts_with(['=', '!'])
        {
            let name = rest.split_once('>').map(|(name, _)| name);
            let Some(name) =
                name.filter(|n| !n.is_empty() && n.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_'))
            else {
                return self.error(start, "expected a group name of letters, digits and `_`, as in `(?P<name>…)`");
            };
            self.groups.push(Some(name.to_owned()));
            self.at += skip + name.len() + 1;
            self.out.push('(');
        } else if rest.starts_with("(?") {
            if !self.flags()? {
                return Ok(());
            }
        } else {
            self.groups.push(None);
            self.at += 1;
            self.out.push('(');
        }
        self.open.push(Group { at: start, weight: self.weight });
        self.weight = 1;
        self.last = Last::Nothing;
        self.prefixing = false;
        Ok(())
    }

    /// `(?i)` or `(?i:`; true where a group opens.
    fn flags(&mut self) -> Result<bool, PatternError> {
        let start = self.at;
        let length = self.rest()[2..].find([')', ':']).unwrap_or(self.rest().len() - 2);
        let flags = &self.rest()[2..2 + length];
        let (on, off) = flags.split_once('-').unwrap_or((flags, "i"));
        let known = |set: &str| set.bytes().all(|b| matches!(b, b'i' | b'm' | b's' | b'U'));
        let Some(end) = self.rest()[2 + length..].chars().next().filter(|_| known(on) && known(off) && !off.is_empty())
        else {
            return self.error(
                start,
                "not a group that RE2 knows; expected `(?:`, `(?P<name>` or the flags i, m, s, U (there is no lookaround)",
            );
        };
        self.at += 3 + length;
        // Flags may be repeated in Go, and are not in Rust.
        let unique = |set: &str| ['i', 'm', 's', 'U'].into_iter().filter(|f| set.contains(*f)).collect::<String>();
        let minus = if flags.contains('-') { format!("-{}", unique(off)) } else { String::new() };
        // In Go, a flag that is set and cleared at once is cleared.
        let on: String = unique(on).chars().filter(|f| !minus.contains(*f)).collect();
        if end == ':' {
            let _ = write!(self.out, "(?{on}{minus}:");
            return Ok(true);
        }
        if !(on.is_empty() && minus.is_empty()) {
            let _ = write!(self.out, "(?{on}{minus})");
        }
        if self.rest().starts_with(['*', '+', '?']) || self.rest().starts_with('{') && self.counted()?.is_some() {
            return self.error(start, "a repetition after flags; put it before them");
        }
        self.prefixing &= self.prefix.is_empty() && !on.contains('i');
        Ok(false)
    }

    fn escape(&mut self) -> Result<(), PatternError> {
        let rest = &self.rest()[1..];
        let assertion = match rest.chars().next() {
            Some('A') => r"\A",
            Some('z') => r"\z",
            Some('b') => r"(?-u:\b)",
            Some('B') => r"(?-u:\B)",
            Some('Q') => {
                let (text, length) = match rest[1..].split_once(r"\E") {
                    Some((text, _)) => (text, text.len() + 2),
                    None => (&rest[1..], rest.len() - 1),
                };
                self.at += 2 + length;
                text.chars().for_each(|c| self.literal(c));
                return Ok(());
            }
            _ => {
                match class::escape(self.source, self.at)? {
                    class::Escaped::Char(c, end) => {
                        self.at = end;
                        self.literal(c);
                    }
                    class::Escaped::Set(set, end) => {
                        self.at = end;
                        self.out.push_str(&set);
                        self.last = Last::Atom(1);
                        self.prefixing = false;
                    }
                }
                return Ok(());
            }
        };
        self.at += 2;
        self.out.push_str(assertion);
        self.last = Last::Atom(1);
        self.prefixing = false;
        Ok(())
    }
}

#[cfg(test)]
mod tests;
