//! The functions of Sprig that messages use: <https://masterminds.github.io/sprig/>. Where Sprig panics or wants a value
//! of another type, these take what they can.

use super::{
    OUTPUT_LIMIT, format,
    functions::{Called, index},
    value::{Value, integer},
};
use std::collections::BTreeMap;

/// More than a commit has changes; what costs its square stays cheap.
const LIST_LIMIT: usize = 1000;

/// In alphabetical order.
const NAMES: [&str; 76] = [
    "abbrev",
    "add",
    "add1",
    "all",
    "any",
    "append",
    "atoi",
    "base",
    "biggest",
    "cat",
    "clean",
    "coalesce",
    "compact",
    "concat",
    "contains",
    "default",
    "dict",
    "dir",
    "div",
    "empty",
    "ext",
    "first",
    "get",
    "has",
    "hasKey",
    "hasPrefix",
    "hasSuffix",
    "indent",
    "initial",
    "int",
    "int64",
    "isAbs",
    "join",
    "keys",
    "last",
    "list",
    "lower",
    "max",
    "min",
    "mod",
    "mul",
    "nindent",
    "nospace",
    "plural",
    "prepend",
    "push",
    "quote",
    "repeat",
    "replace",
    "rest",
    "reverse",
    "sortAlpha",
    "split",
    "splitList",
    "splitn",
    "squote",
    "sub",
    "substr",
    "ternary",
    "title",
    "toString",
    "toStrings",
    "trim",
    "trimAll",
    "trimPrefix",
    "trimSuffix",
    "trimall",
    "trunc",
    "tuple",
    "uniq",
    "until",
    "untilStep",
    "untitle",
    "upper",
    "values",
    "without",
];

pub(super) fn exists(name: &str) -> bool {
    NAMES.contains(&name)
}

pub(super) fn call(name: &str, arguments: &[Value]) -> Called {
    let arguments = Arguments(arguments);
    for family in [text, path, list, map, number, choice] {
        if let Some(value) = family(name, &arguments)? {
            return Ok(value);
        }
    }
    Err(format!("it can't be called with {} argument(s)", arguments.0.len()))
}

/// `None` where the function is of another family.
type Found = Result<Option<Value>, String>;

struct Arguments<'a>(&'a [Value]);

impl<'a> Arguments<'a> {
    fn value(&self, at: usize) -> Result<&'a Value, String> {
        self.0.get(at).ok_or_else(|| format!("expected {} arguments, found {}", at + 1, self.0.len()))
    }

    /// A string, or how a value prints; nothing for what a map has not.
    fn text(&self, at: usize) -> Result<String, String> {
        match self.value(at)? {
            Value::Nil => Ok(String::new()),
            value => Ok(value.text()),
        }
    }

    /// As Sprig casts what it is given: 0 for what is no number.
    fn int(&self, at: usize) -> Result<i64, String> {
        Ok(match self.value(at)? {
            Value::Int(number) => *number,
            Value::Float(number) => *number as i64,
            Value::Bool(value) => i64::from(*value),
            Value::String(text) => integer(text).unwrap_or(0),
            _ => 0,
        })
    }

    fn list(&self, at: usize) -> Result<&'a [Value], String> {
        match self.value(at)? {
            Value::List(items) => Ok(items),
            other => Err(format!("expected a list, found {}", other.kind())),
        }
    }

    /// The items of a list as text, without those that are nil; a single value is a list of itself.
    fn texts(&self, at: usize) -> Result<Vec<String>, String> {
        let value = self.value(at)?;
        let items = if let Value::List(items) = value { items.as_slice() } else { std::slice::from_ref(value) };
        Ok(present(items).map(Value::text).collect())
    }
}

fn present(values: &[Value]) -> impl Iterator<Item = &Value> {
    values.iter().filter(|value| **value != Value::Nil)
}

fn string(text: impl AsRef<str>) -> Found {
    Ok(Some(Value::string(text)))
}

fn items(items: Vec<Value>) -> Found {
    Ok(Some(Value::list(items)))
}

fn truth(value: bool) -> Found {
    Ok(Some(Value::Bool(value)))
}

fn int(number: i64) -> Found {
    Ok(Some(Value::Int(number)))
}

fn short(length: usize) -> Result<(), String> {
    match length > OUTPUT_LIMIT {
        true => Err(format!("the text is longer than {OUTPUT_LIMIT} bytes")),
        false => Ok(()),
    }
}

fn text(name: &str, arguments: &Arguments<'_>) -> Found {
    let text = |at| arguments.text(at);
    match name {
        "upper" => string(text(0)?.chars().map(|c| single(c, c.to_uppercase())).collect::<String>()),
        "lower" => string(text(0)?.chars().map(|c| single(c, c.to_lowercase())).collect::<String>()),
        "title" => string(title(&text(0)?)),
        "untitle" => string(untitle(&text(0)?)),
        "trim" => string(text(0)?.trim()),
        "trimAll" | "trimall" => {
            let cut: Vec<char> = text(0)?.chars().collect();
            string(text(1)?.trim_matches(cut.as_slice()))
        }
        "trimPrefix" => {
            let (prefix, text) = (text(0)?, text(1)?);
            string(text.strip_prefix(prefix.as_str()).unwrap_or(&text))
        }
        "trimSuffix" => {
            let (suffix, text) = (text(0)?, text(1)?);
            string(text.strip_suffix(suffix.as_str()).unwrap_or(&text))
        }
        "nospace" => string(text(0)?.split_whitespace().collect::<String>()),
        "trunc" => {
            let (count, text) = (arguments.int(0)?, text(1)?);
            let bytes = usize::try_from(count.unsigned_abs()).unwrap_or(usize::MAX);
            match count >= 0 {
                true => string(&text[..text.floor_char_boundary(bytes)]),
                false if bytes < text.len() => string(&text[text.ceil_char_boundary(text.len() - bytes)..]),
                false => string(text),
            }
        }
        "abbrev" => {
            let (width, text) = (arguments.int(0)?, text(1)?);
            match usize::try_from(width).ok().filter(|width| *width >= 4 && *width < text.len()) {
                Some(width) => string(format!("{}...", &text[..text.floor_char_boundary(width - 3)])),
                None => string(text),
            }
        }
        "substr" => {
            let text = text(2)?;
            // A start before the text means its beginning, an end before or behind it means its end.
            let bound = |at| Ok::<_, String>(usize::try_from(arguments.int(at)?).ok());
            let start = text.floor_char_boundary(bound(0)?.unwrap_or(0));
            let end = text.floor_char_boundary(bound(1)?.unwrap_or(usize::MAX));
            string(text.get(start..end).unwrap_or_default())
        }
        "replace" => {
            let (old, new, text) = (text(0)?, text(1)?, text(2)?);
            short(text.matches(old.as_str()).count().saturating_mul(new.len()))?;
            string(text.replace(old.as_str(), &new))
        }
        "repeat" => {
            let (count, text) = (usize::try_from(arguments.int(0)?).unwrap_or(0), text(1)?);
            short(count.saturating_mul(text.len()))?;
            string(text.repeat(count))
        }
        "plural" => string(text(if arguments.int(2)? == 1 { 0 } else { 1 })?),
        "contains" => truth(text(1)?.contains(&text(0)?)),
        "hasPrefix" => truth(text(1)?.starts_with(&text(0)?)),
        "hasSuffix" => truth(text(1)?.ends_with(&text(0)?)),
        "quote" => string(present(arguments.0).map(|value| format::quote(&value.text())).collect::<Vec<_>>().join(" ")),
        "squote" => {
            string(present(arguments.0).map(|value| format!("'{}'", value.text())).collect::<Vec<_>>().join(" "))
        }
        "cat" => string(present(arguments.0).map(Value::text).collect::<Vec<_>>().join(" ")),
        "toString" => string(arguments.value(0)?.shown()),
        "indent" | "nindent" => {
            let (count, text) = (usize::try_from(arguments.int(0)?).unwrap_or(0), text(1)?);
            short((text.matches('\n').count() + 1).saturating_mul(count))?;
            let pad = " ".repeat(count);
            let indented = format!("{pad}{}", text.replace('\n', &format!("\n{pad}")));
            string(if name == "nindent" { format!("\n{indented}") } else { indented })
        }
        "join" => string(arguments.texts(1)?.join(&text(0)?)),
        "splitList" => items(split(&text(1)?, &text(0)?, usize::MAX).map(Value::string).collect()),
        "split" | "splitn" => {
            let (last, count) = match name {
                "split" => (1, usize::MAX),
                _ => (2, usize::try_from(arguments.int(1)?).unwrap_or(usize::MAX)),
            };
            let parts = (0..).zip(split(&text(last)?, &text(0)?, count).map(Value::string).collect::<Vec<_>>());
            // In the order in which Go ranges over the keys, `_10` before `_2`.
            let parts: BTreeMap<String, Value> = parts.map(|(at, part): (usize, _)| (format!("_{at}"), part)).collect();
            Ok(Some(Value::map(parts.into_iter().map(|(key, part)| (Value::string(key), part)).collect())))
        }
        _ => Ok(None),
    }
}

/// One character for one, as Go maps cases: `ß` stays.
fn single(c: char, mut mapped: impl ExactSizeIterator<Item = char>) -> char {
    if mapped.len() == 1 { mapped.next().unwrap_or(c) } else { c }
}

/// Go's `strings.Title`: a letter behind anything but letters, digits and `_` begins a word.
fn title(text: &str) -> String {
    let mut before = ' ';
    let separates = |c: char| match c.is_ascii() {
        true => !c.is_ascii_alphanumeric() && c != '_',
        false => c.is_whitespace(),
    };
    let word = |c: char| if separates(std::mem::replace(&mut before, c)) { single(c, c.to_uppercase()) } else { c };
    text.chars().map(word).collect()
}

fn untitle(text: &str) -> String {
    let mut start = true;
    let word = |c: char| {
        let first = std::mem::replace(&mut start, c.is_whitespace());
        if first { single(c, c.to_lowercase()) } else { c }
    };
    text.chars().map(word).collect()
}

/// Go's `strings.SplitN`; nothing between the parts means each character.
fn split<'t>(text: &'t str, separator: &'t str, count: usize) -> Box<dyn Iterator<Item = &'t str> + 't> {
    match separator {
        _ if count == 0 => Box::new(std::iter::empty()),
        "" => {
            let whole = text.char_indices().nth(count - 1).map_or(text.len(), |(at, _)| at);
            let (each, rest) = text.split_at(whole);
            Box::new(each.split_inclusive(|_: char| true).chain((!rest.is_empty()).then_some(rest)))
        }
        separator => Box::new(text.splitn(count, separator)),
    }
}

/// Go's package `path`.
fn path(name: &str, arguments: &Arguments<'_>) -> Found {
    let text = || arguments.text(0);
    match name {
        "base" => {
            let text = text()?;
            match text.trim_end_matches('/') {
                "" => string(if text.is_empty() { "." } else { "/" }),
                path => string(path.rsplit('/').next().unwrap_or(path)),
            }
        }
        "dir" => {
            let text = text()?;
            string(clean(text.rfind('/').map_or("", |at| &text[..=at])))
        }
        "clean" => string(clean(&text()?)),
        "ext" => {
            let text = text()?;
            let file = text.rsplit('/').next().unwrap_or(&text);
            string(file.rfind('.').map_or("", |at| &file[at..]))
        }
        "isAbs" => truth(text()?.starts_with('/')),
        _ => Ok(None),
    }
}

fn clean(path: &str) -> String {
    let root = if path.starts_with('/') { "/" } else { "" };
    let mut parts: Vec<&str> = Vec::new();
    for part in path.split('/') {
        match part {
            "" | "." => {}
            ".." if parts.last().is_some_and(|last| *last != "..") => {
                parts.pop();
            }
            ".." if !root.is_empty() => {}
            part => parts.push(part),
        }
    }
    match (root, parts.is_empty()) {
        ("", true) => ".".into(),
        _ => format!("{root}{}", parts.join("/")),
    }
}

fn list(name: &str, arguments: &Arguments<'_>) -> Found {
    let list = |at| arguments.list(at);
    match name {
        "list" | "tuple" => items(flat(arguments.0)?.to_vec()),
        "append" | "push" | "prepend" => {
            let [_, item] = arguments.0 else {
                return Err(format!("expected 2 arguments, found {}", arguments.0.len()));
            };
            let (known, item) = (limited(list(0)?)?, flat(std::slice::from_ref(item))?);
            items(if name == "prepend" { [item, known].concat() } else { [known, item].concat() })
        }
        "concat" => {
            let lists = (0..arguments.0.len()).map(list).collect::<Result<Vec<_>, _>>()?;
            limited(&lists.concat()).and_then(|all| items(all.to_vec()))
        }
        "first" => Ok(Some(list(0)?.first().cloned().unwrap_or(Value::Nil))),
        "last" => Ok(Some(list(0)?.last().cloned().unwrap_or(Value::Nil))),
        "rest" => items(list(0)?.iter().skip(1).cloned().collect()),
        "initial" => {
            let list = list(0)?;
            items(list[..list.len().saturating_sub(1)].to_vec())
        }
        "reverse" => items(list(0)?.iter().rev().cloned().collect()),
        "compact" => items(list(0)?.iter().filter(|item| item.is_true()).cloned().collect()),
        "uniq" => {
            let mut kept: Vec<Value> = Vec::new();
            for item in limited(list(0)?)? {
                if !kept.contains(item) {
                    kept.push(item.clone());
                }
            }
            items(kept)
        }
        "without" => {
            let left_out = limited(arguments.0.get(1..).unwrap_or_default())?;
            items(list(0)?.iter().filter(|item| !left_out.contains(item)).cloned().collect())
        }
        "has" => match arguments.value(1)? {
            Value::Nil => truth(false),
            _ => truth(list(1)?.contains(arguments.value(0)?)),
        },
        "sortAlpha" => {
            let mut texts = arguments.texts(0)?;
            texts.sort();
            items(texts.iter().map(Value::string).collect())
        }
        "toStrings" => items(arguments.texts(0)?.iter().map(Value::string).collect()),
        "until" => {
            let count = arguments.int(0)?;
            if count.unsigned_abs() > LIST_LIMIT as u64 {
                return Err(format!("expected a list of at most {LIST_LIMIT} items, found {count}"));
            }
            items((0..count.abs()).map(|number| Value::Int(number * count.signum())).collect())
        }
        "untilStep" => {
            let (start, stop, step) = (arguments.int(0)?, arguments.int(1)?, arguments.int(2)?);
            let next = |number: &i64| number.checked_add(step);
            let goes_on = |number: &i64| if step > 0 { *number < stop } else { step < 0 && *number > stop };
            let numbers: Vec<Value> = std::iter::successors(Some(start), next)
                .take_while(goes_on)
                .take(LIST_LIMIT + 1)
                .map(Value::Int)
                .collect();
            match numbers.len() > LIST_LIMIT {
                true => Err(format!("expected a list of at most {LIST_LIMIT} items, found more")),
                false => items(numbers),
            }
        }
        _ => Ok(None),
    }
}

/// What nests without end would overflow the stack when it is printed or dropped.
fn flat(items: &[Value]) -> Result<&[Value], String> {
    match items.iter().any(|item| matches!(item, Value::List(_) | Value::Map(_))) {
        true => Err("lists of lists are not supported here".into()),
        false => Ok(items),
    }
}

fn limited(items: &[Value]) -> Result<&[Value], String> {
    match items.len() >= LIST_LIMIT {
        true => Err(format!("expected a list of less than {LIST_LIMIT} items, found {}", items.len())),
        false => Ok(items),
    }
}

fn map(name: &str, arguments: &Arguments<'_>) -> Found {
    match (name, arguments.0) {
        ("dict", pairs) => {
            let value = |pair: &[Value]| pair.get(1).cloned().unwrap_or_else(|| Value::string(""));
            let entries = flat(pairs)?.chunks(2).map(|pair| (pair[0].shown(), value(pair)));
            let entries: BTreeMap<String, Value> = entries.collect();
            Ok(Some(Value::map(entries.into_iter().map(|(key, value)| (Value::string(key), value)).collect())))
        }
        ("keys", [Value::Map(entries)]) => items(entries.iter().map(|(key, _)| key.clone()).collect()),
        ("values", [Value::Map(entries)]) => items(entries.iter().map(|(_, value)| value.clone()).collect()),
        ("get", [map @ Value::Map(_), key]) => match index(map, key)? {
            Value::Nil => string(""),
            value => Ok(Some(value)),
        },
        ("hasKey", [Value::Map(entries), key]) => truth(entries.iter().any(|(known, _)| known == key)),
        ("keys" | "values", _) => Err("expected a map".into()),
        ("get" | "hasKey", _) => Err("expected a map and a key".into()),
        _ => Ok(None),
    }
}

fn number(name: &str, arguments: &Arguments<'_>) -> Found {
    let number = |at| arguments.int(at);
    let all = || (0..arguments.0.len()).map(number).collect::<Result<Vec<_>, _>>();
    match name {
        "int" | "int64" | "atoi" => int(number(0)?),
        "add" => int(all()?.into_iter().fold(0, i64::wrapping_add)),
        "add1" => int(number(0)?.wrapping_add(1)),
        "sub" => int(number(0)?.wrapping_sub(number(1)?)),
        "mul" => int(all()?.into_iter().fold(1, i64::wrapping_mul)),
        "div" | "mod" => {
            let (a, b) = (number(0)?, number(1)?);
            let result = if name == "div" { a.checked_div(b) } else { a.checked_rem(b) };
            result.map_or_else(|| Err(format!("{a} can't be divided by {b}")), int)
        }
        "max" | "biggest" => int(all()?.into_iter().max().unwrap_or(0)),
        "min" => int(all()?.into_iter().min().unwrap_or(0)),
        _ => Ok(None),
    }
}

fn choice(name: &str, arguments: &Arguments<'_>) -> Found {
    match (name, arguments.0) {
        ("default", [default, rest @ ..]) => {
            Ok(Some(rest.first().filter(|value| value.is_true()).unwrap_or(default).clone()))
        }
        ("coalesce", values) => Ok(Some(values.iter().find(|value| value.is_true()).cloned().unwrap_or(Value::Nil))),
        ("empty", [value]) => truth(!value.is_true()),
        ("all", values) => truth(values.iter().all(Value::is_true)),
        ("any", values) => truth(values.iter().any(Value::is_true)),
        ("ternary", [yes, no, condition]) => Ok(Some(if condition.is_true() { yes.clone() } else { no.clone() })),
        _ => Ok(None),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_name_has_a_function() {
        let value = Value::Int(1);
        let found = |name: &str, count: usize| {
            let arguments = vec![value.clone(); count];
            !call(name, &arguments).is_err_and(|error| error.starts_with("it can't be called"))
        };
        for name in NAMES {
            assert!((1..4).any(|count| found(name, count)), "{name}");
        }
        assert!(NAMES.is_sorted());
    }
}
