//! Characters, escapes and classes of Go's syntax.

use super::PatternError;
use std::fmt::Write;

/// What an escape stands for, and the offset after it.
pub(super) enum Escaped {
    Char(char, usize),
    /// A class, in the `regex` crate's syntax.
    Set(String, usize),
}

/// Writes a character so that it means itself, inside a class and outside.
pub(super) fn push_literal(out: &mut String, c: char) {
    if c.is_ascii_alphanumeric() || !c.is_ascii() {
        out.push(c);
    } else {
        let _ = write!(out, "\\x{:02X}", u32::from(c));
    }
}

/// Reads the escape whose backslash stands at `at`.
pub(super) fn escape(source: &str, at: usize) -> Result<Escaped, PatternError> {
    let rest = &source[at + 1..];
    let invalid = |length: usize| {
        let length = length.min(rest.len());
        let shown: String = rest[..length].chars().take(12).collect();
        Err(PatternError { at, why: format!("`\\{shown}` is not an escape that RE2 knows") })
    };
    let Some(c) = rest.chars().next() else {
        return Err(PatternError { at, why: "a backslash at the end; write `\\\\` for the character".into() });
    };
    let end = at + 1 + c.len_utf8();
    let set = |text: &str| Ok(Escaped::Set(text.to_owned(), end));
    match c {
        'd' => set("[0-9]"),
        'D' => set("[^0-9]"),
        's' => set(r"[\t\n\x0C\r ]"),
        'S' => set(r"[^\t\n\x0C\r ]"),
        'w' => set("[0-9A-Za-z_]"),
        'W' => set("[^0-9A-Za-z_]"),
        'p' | 'P' => unicode(source, at),
        'a' => Ok(Escaped::Char('\x07', end)),
        'f' => Ok(Escaped::Char('\x0c', end)),
        'n' => Ok(Escaped::Char('\n', end)),
        'r' => Ok(Escaped::Char('\r', end)),
        't' => Ok(Escaped::Char('\t', end)),
        'v' => Ok(Escaped::Char('\x0b', end)),
        '0'..='7' => {
            let digits = rest.bytes().take(3).take_while(|b| matches!(b, b'0'..=b'7')).count();
            if c != '0' && digits == 1 {
                return Err(PatternError { at, why: format!("`\\{c}`: RE2 has no back-references") });
            }
            let value = u32::from_str_radix(&rest[..digits], 8).ok().and_then(char::from_u32);
            value.map_or_else(|| invalid(digits), |c| Ok(Escaped::Char(c, at + 1 + digits)))
        }
        'x' => {
            let (digits, length) = match rest[1..].strip_prefix('{').map(|r| r.split_once('}')) {
                Some(Some((digits, _))) => (digits, digits.len() + 3),
                Some(None) => return invalid(2),
                None => match rest.get(1..3) {
                    Some(digits) => (digits, 3),
                    None => return invalid(1),
                },
            };
            let hex = !digits.is_empty() && digits.bytes().all(|b| b.is_ascii_hexdigit());
            let significant = digits.trim_start_matches('0');
            let value = match (hex, significant) {
                (true, "") => Some('\0'),
                (true, digits) => u32::from_str_radix(digits, 16).ok().and_then(char::from_u32),
                (false, _) => None,
            };
            value.map_or_else(|| invalid(length), |c| Ok(Escaped::Char(c, at + 1 + length)))
        }
        c if c.is_ascii() && !c.is_ascii_alphanumeric() => Ok(Escaped::Char(c, end)),
        c => invalid(c.len_utf8()),
    }
}

/// `\pN`, `\p{Greek}`, `\P{^Greek}`
fn unicode(source: &str, at: usize) -> Result<Escaped, PatternError> {
    let rest = &source[at + 2..];
    let (name, length) = match rest.strip_prefix('{').map(|r| r.split_once('}')) {
        Some(Some((name, _))) => (name, name.len() + 2),
        Some(None) => return Err(PatternError { at, why: "missing `}` for the class that begins here".into() }),
        None => {
            let length = rest.chars().next().map_or(0, char::len_utf8);
            (&rest[..length], length)
        }
    };
    let (name, inverted) = match name.strip_prefix('^') {
        Some(name) => (name, true),
        None => (name, false),
    };
    let negated = if source[at + 1..].starts_with('P') != inverted { 'P' } else { 'p' };
    // Go knows general categories, scripts and three more; the crate knows properties as well, and names with an `Is`.
    let plain: String =
        name.chars().filter(|c| !matches!(c, ' ' | '_' | '-')).map(|c| c.to_ascii_lowercase()).collect();
    let word = !plain.is_empty() && plain.bytes().all(|b| b.is_ascii_alphanumeric()) && !plain.starts_with("is");
    let kinds = if matches!(plain.as_str(), "any" | "ascii" | "assigned") { [""].as_slice() } else { &["gc=", "sc="] };
    let mut sets = kinds.iter().map(|kind| format!("\\{negated}{{{kind}{plain}}}"));
    let Some(set) = sets.find(|set| word && regex_syntax::parse(set).is_ok()) else {
        return Err(PatternError { at, why: format!("`{name}` is not a Unicode class") });
    };
    Ok(Escaped::Set(set, at + 2 + length))
}

/// Reads the class whose bracket stands at `at`, writes it, and returns the offset after it.
pub(super) fn bracketed(source: &str, at: usize, out: &mut String) -> Result<usize, PatternError> {
    let mut here = at + 1;
    out.push('[');
    if source[here..].starts_with('^') {
        here += 1;
        out.push('^');
    }
    let first = here;
    loop {
        let rest = &source[here..];
        if rest.starts_with(']') && here > first {
            out.push(']');
            return Ok(here + 1);
        }
        if let Some(name) = rest.strip_prefix("[:").and_then(|r| r.split_once(":]")).map(|(name, _)| name) {
            const POSIX: [&str; 14] = [
                "alnum", "alpha", "ascii", "blank", "cntrl", "digit", "graph", "lower", "print", "punct", "space",
                "upper", "word", "xdigit",
            ];
            if !POSIX.contains(&name.strip_prefix('^').unwrap_or(name)) {
                return Err(PatternError { at: here, why: format!("`[:{name}:]` is not a POSIX class") });
            }
            let _ = write!(out, "[:{name}:]");
            here += name.len() + 4;
            continue;
        }
        let start = here;
        let low = match member(source, here, at)? {
            Escaped::Set(set, end) => {
                out.push_str(&set);
                here = end;
                continue;
            }
            Escaped::Char(c, end) => {
                here = end;
                c
            }
        };
        let rest = &source[here..];
        let high = match rest.strip_prefix('-') {
            Some(next) if !next.is_empty() && !next.starts_with(']') => match member(source, here + 1, at)? {
                Escaped::Char(c, end) => {
                    here = end;
                    Some(c)
                }
                Escaped::Set(..) => {
                    return Err(PatternError {
                        at: start,
                        why: "a range ends in a class; write `\\-` for the hyphen".into(),
                    });
                }
            },
            _ => None,
        };
        push_literal(out, low);
        if let Some(high) = high {
            if high < low {
                let why = format!("the range `{}` runs backwards", &source[start..here]);
                return Err(PatternError { at: start, why });
            }
            out.push('-');
            push_literal(out, high);
        }
    }
}

/// One character or escape of the class that opened at `class`.
fn member(source: &str, at: usize, class: usize) -> Result<Escaped, PatternError> {
    match source[at..].chars().next() {
        None => Err(PatternError { at: class, why: "missing `]` for the class that opens here".into() }),
        Some('\\') => escape(source, at),
        Some(c) => Ok(Escaped::Char(c, at + c.len_utf8())),
    }
}
