//! The predefined functions of Go's templates, and those of Sprig that messages use.
//! <https://pkg.go.dev/text/template#hdr-Functions>, <https://masterminds.github.io/sprig/>

use super::{OUTPUT_LIMIT, format, value::Value};
use std::cmp::Ordering;

/// More than a commit has changes; what costs its square stays cheap.
const LIST_LIMIT: usize = 1000;

type Called = Result<Value, String>;

/// In alphabetical order.
const NAMES: [&str; 62] = [
    "add",
    "and",
    "append",
    "base",
    "cat",
    "coalesce",
    "contains",
    "default",
    "dict",
    "dir",
    "empty",
    "eq",
    "first",
    "ge",
    "get",
    "gt",
    "has",
    "hasKey",
    "hasPrefix",
    "hasSuffix",
    "html",
    "indent",
    "index",
    "initial",
    "int",
    "join",
    "keys",
    "last",
    "le",
    "len",
    "list",
    "lower",
    "lt",
    "ne",
    "nindent",
    "nospace",
    "not",
    "or",
    "print",
    "printf",
    "println",
    "quote",
    "replace",
    "rest",
    "slice",
    "sortAlpha",
    "splitList",
    "squote",
    "sub",
    "substr",
    "ternary",
    "title",
    "toString",
    "trim",
    "trimAll",
    "trimPrefix",
    "trimSuffix",
    "trunc",
    "uniq",
    "upper",
    "urlquery",
    "values",
];

pub(super) fn exists(name: &str) -> bool {
    NAMES.binary_search(&name).is_ok()
}

pub(super) fn call(name: &str, arguments: &[Value]) -> Called {
    let long = |value: &Value| if let Value::String(text) = value { text.len() } else { 0 };
    if arguments.iter().map(long).sum::<usize>() > OUTPUT_LIMIT {
        return Err(format!("its arguments are longer than {OUTPUT_LIMIT} bytes"));
    }
    match (name, arguments) {
        ("not", [value]) => Ok(Value::Bool(!value.is_true())),
        ("eq", [first, others @ ..]) if !others.is_empty() => {
            // Go compares with each before it gives up.
            let equal: Result<Vec<bool>, String> = others.iter().map(|other| equal(first, other)).collect();
            Ok(Value::Bool(equal?.contains(&true)))
        }
        ("ne", [a, b]) => Ok(Value::Bool(!equal(a, b)?)),
        ("lt", [a, b]) => Ok(Value::Bool(order(a, b)?.is_lt())),
        ("le", [a, b]) => Ok(Value::Bool(order(a, b)?.is_le())),
        ("gt", [a, b]) => Ok(Value::Bool(order(a, b)?.is_gt())),
        ("ge", [a, b]) => Ok(Value::Bool(order(a, b)?.is_ge())),
        ("len", [value]) => Ok(Value::Int(length(value)?)),
        ("index", [value, keys @ ..]) => keys.iter().try_fold(value.clone(), |value, key| index(&value, key)),
        ("slice", [value, bounds @ ..]) => slice(value, bounds),
        ("print", values) => Ok(Value::string(format::print(values))),
        ("println", values) => Ok(Value::string(format::println(values))),
        ("printf", values) => Ok(Value::string(format::printf(values)?)),
        ("html", values) => Ok(Value::string(
            format::print(values)
                .replace('&', "&amp;")
                .replace('<', "&lt;")
                .replace('>', "&gt;")
                .replace('"', "&#34;")
                .replace('\'', "&#39;"),
        )),
        ("urlquery", values) => Ok(Value::string(urlquery(&format::print(values)))),
        _ => sprig(name, arguments),
    }
}

fn sprig(name: &str, arguments: &[Value]) -> Called {
    let string = |text: String| Ok(Value::string(text));
    let text = |at: usize| match arguments.get(at) {
        None => Err(format!("expected {} arguments, found {}", at + 1, arguments.len())),
        Some(Value::Nil) => Ok(String::new()),
        Some(value) => Ok(value.text()),
    };
    let int = |at: usize| match arguments.get(at) {
        Some(Value::Int(number)) => Ok(*number),
        Some(Value::String(text)) => Ok(text.parse().unwrap_or(0)),
        Some(other) => Err(format!("expected a number, found {}", other.kind())),
        None => Err(format!("expected {} arguments, found {}", at + 1, arguments.len())),
    };
    let list = |at: usize| match arguments.get(at) {
        Some(Value::List(items)) => Ok(items.clone()),
        Some(other) => Err(format!("expected a list, found {}", other.kind())),
        None => Err(format!("expected {} arguments, found {}", at + 1, arguments.len())),
    };
    let texts = || arguments.iter().map(Value::text);
    let ends = |text: &str, at: i64| usize::try_from(at).unwrap_or(0).min(text.chars().count());
    match name {
        "upper" => string(text(0)?.to_uppercase()),
        "lower" => string(text(0)?.to_lowercase()),
        "title" => string(title(&text(0)?)),
        "trim" => string(text(0)?.trim().into()),
        "trimAll" => {
            let cut: Vec<char> = text(0)?.chars().collect();
            string(text(1)?.trim_matches(cut.as_slice()).into())
        }
        "trimPrefix" => {
            let (prefix, text) = (text(0)?, text(1)?);
            string(text.strip_prefix(prefix.as_str()).unwrap_or(&text).into())
        }
        "trimSuffix" => {
            let (suffix, text) = (text(0)?, text(1)?);
            string(text.strip_suffix(suffix.as_str()).unwrap_or(&text).into())
        }
        "nospace" => string(text(0)?.split_whitespace().collect()),
        "trunc" => {
            let (count, text) = (int(0)?, text(1)?);
            let all = text.chars().count();
            match usize::try_from(count) {
                Ok(count) => string(text.chars().take(count).collect()),
                Err(_) => {
                    let kept = usize::try_from(count.unsigned_abs()).unwrap_or(usize::MAX);
                    string(text.chars().skip(all.saturating_sub(kept)).collect())
                }
            }
        }
        "substr" => {
            let text = text(2)?;
            let start = ends(&text, int(0)?);
            let end = if int(1)? < 0 { text.chars().count() } else { ends(&text, int(1)?) };
            string(text.chars().skip(start).take(end.saturating_sub(start)).collect())
        }
        "replace" => {
            let (old, new, text) = (text(0)?, text(1)?, text(2)?);
            let count = text.matches(old.as_str()).count();
            if count.saturating_mul(new.len()) > OUTPUT_LIMIT {
                return Err(format!("the text is longer than {OUTPUT_LIMIT} bytes"));
            }
            string(text.replace(old.as_str(), &new))
        }
        "contains" => Ok(Value::Bool(text(1)?.contains(&text(0)?))),
        "hasPrefix" => Ok(Value::Bool(text(1)?.starts_with(&text(0)?))),
        "hasSuffix" => Ok(Value::Bool(text(1)?.ends_with(&text(0)?))),
        "quote" => string(texts().map(|text| format::quote(&text)).collect::<Vec<_>>().join(" ")),
        "squote" => string(texts().map(|text| format!("'{text}'")).collect::<Vec<_>>().join(" ")),
        "cat" => string(texts().collect::<Vec<_>>().join(" ")),
        "toString" => string(text(0)?),
        "int" => Ok(Value::Int(int(0)?)),
        "indent" | "nindent" => {
            let (count, text) = (usize::try_from(int(0)?).unwrap_or(0).min(100), text(1)?);
            if text.matches('\n').count().saturating_mul(count) > OUTPUT_LIMIT {
                return Err(format!("the text is longer than {OUTPUT_LIMIT} bytes"));
            }
            let pad = " ".repeat(count);
            let indented = format!("{pad}{}", text.replace('\n', &format!("\n{pad}")));
            string(if name == "nindent" { format!("\n{indented}") } else { indented })
        }
        "join" => {
            let separator = text(0)?;
            string(list(1)?.iter().map(Value::text).collect::<Vec<_>>().join(&separator))
        }
        "splitList" => {
            let (separator, text) = (text(0)?, text(1)?);
            Ok(Value::list(text.split(separator.as_str()).map(Value::string).collect()))
        }
        "list" => flat(arguments).map(|items| Value::list(items.to_vec())),
        "append" => {
            let [_, item] = arguments else { return Err(format!("expected 2 arguments, found {}", arguments.len())) };
            let (items, item) = (list(0)?, flat(std::slice::from_ref(item))?);
            if items.len() >= LIST_LIMIT {
                return Err(format!("expected a list of less than {LIST_LIMIT} items, found {}", items.len()));
            }
            Ok(Value::list(items.iter().chain(item).cloned().collect()))
        }
        "first" => Ok(list(0)?.first().cloned().unwrap_or(Value::Nil)),
        "last" => Ok(list(0)?.last().cloned().unwrap_or(Value::Nil)),
        "rest" => Ok(Value::list(list(0)?.iter().skip(1).cloned().collect())),
        "initial" => {
            let items = list(0)?;
            Ok(Value::list(items.iter().take(items.len().saturating_sub(1)).cloned().collect()))
        }
        "uniq" => {
            let mut kept: Vec<Value> = Vec::new();
            for item in list(0)?.iter().take(LIST_LIMIT) {
                if !kept.contains(item) {
                    kept.push(item.clone());
                }
            }
            Ok(Value::list(kept))
        }
        "has" => Ok(Value::Bool(list(1)?.iter().any(|item| Some(item) == arguments.first()))),
        "sortAlpha" => {
            let mut items: Vec<String> = list(0)?.iter().map(Value::text).collect();
            items.sort();
            Ok(Value::list(items.iter().map(Value::string).collect()))
        }
        "keys" | "values" => match arguments {
            [Value::Map(entries)] => {
                let part = |(key, value): &(Value, Value)| if name == "keys" { key.clone() } else { value.clone() };
                Ok(Value::list(entries.iter().map(part).collect()))
            }
            _ => Err("expected a map".into()),
        },
        "get" => match arguments {
            [map @ Value::Map(_), key] => match index(map, key)? {
                Value::Nil => string(String::new()),
                value => Ok(value),
            },
            _ => Err("expected a map and a key".into()),
        },
        "hasKey" => match arguments {
            [Value::Map(entries), key] => Ok(Value::Bool(entries.iter().any(|(known, _)| known == key))),
            _ => Err("expected a map and a key".into()),
        },
        "dict" => {
            let mut entries: Vec<(Value, Value)> = flat(arguments)?
                .chunks(2)
                .map(|pair| (Value::string(pair[0].text()), pair.get(1).cloned().unwrap_or(Value::Nil)))
                .collect();
            entries.sort_by_key(|(key, _)| key.text());
            Ok(Value::Map(entries.into()))
        }
        "default" => match arguments {
            [default, value] if !value.is_true() => Ok(default.clone()),
            [_, value] => Ok(value.clone()),
            [default] => Ok(default.clone()),
            _ => Err("expected a default and a value".into()),
        },
        "coalesce" => Ok(arguments.iter().find(|value| value.is_true()).cloned().unwrap_or(Value::Nil)),
        "empty" => match arguments {
            [value] => Ok(Value::Bool(!value.is_true())),
            _ => Err("expected one value".into()),
        },
        "ternary" => match arguments {
            [yes, no, condition] => Ok(if condition.is_true() { yes.clone() } else { no.clone() }),
            _ => Err("expected two values and a condition".into()),
        },
        "add" => (0..arguments.len()).try_fold(0_i64, |sum, at| Ok(sum.wrapping_add(int(at)?))).map(Value::Int),
        "sub" => Ok(Value::Int(int(0)?.wrapping_sub(int(1)?))),
        "base" => string(text(0)?.trim_end_matches('/').rsplit('/').next().unwrap_or_default().into()),
        "dir" => {
            let text = text(0)?;
            string(text.rsplit_once('/').map_or(".", |(folder, _)| folder).into())
        }
        _ => Err(format!("it can't be called with {} argument(s)", arguments.len())),
    }
}

/// What nests without end would overflow the stack when it is printed or dropped.
fn flat(items: &[Value]) -> Result<&[Value], String> {
    match items.iter().any(|item| matches!(item, Value::List(_) | Value::Map(_))) {
        true => Err("lists of lists are not supported here".into()),
        false => Ok(items),
    }
}

fn equal(a: &Value, b: &Value) -> Result<bool, String> {
    match (a, b) {
        (Value::Int(a), Value::Float(b)) | (Value::Float(b), Value::Int(a)) => Ok(*a as f64 == *b),
        (Value::List(_) | Value::Map(_), Value::List(_) | Value::Map(_)) => {
            Err("lists and maps can't be compared".into())
        }
        (Value::Nil, _) | (_, Value::Nil) => Ok(a == b),
        _ if std::mem::discriminant(a) == std::mem::discriminant(b) => Ok(a == b),
        _ => Err(format!("{} and {} can't be compared", a.kind(), b.kind())),
    }
}

fn order(a: &Value, b: &Value) -> Result<Ordering, String> {
    match (a, b) {
        (Value::Int(a), Value::Int(b)) => Ok(a.cmp(b)),
        (Value::String(a), Value::String(b)) => Ok(a.cmp(b)),
        (Value::Int(a), Value::Float(b)) => Ok((*a as f64).total_cmp(b)),
        (Value::Float(a), Value::Int(b)) => Ok(a.total_cmp(&(*b as f64))),
        (Value::Float(a), Value::Float(b)) => Ok(a.total_cmp(b)),
        _ => Err(format!("{} and {} have no order", a.kind(), b.kind())),
    }
}

fn length(value: &Value) -> Result<i64, String> {
    let length = match value {
        Value::String(text) => text.len(),
        Value::List(items) => items.len(),
        Value::Map(entries) => entries.len(),
        other => return Err(format!("{} has no length", other.kind())),
    };
    i64::try_from(length).map_err(|error| error.to_string())
}

fn index(value: &Value, key: &Value) -> Called {
    match (value, key) {
        (Value::Map(entries), key) => {
            Ok(entries.iter().find(|(known, _)| known == key).map_or(Value::Nil, |(_, value)| value.clone()))
        }
        (Value::List(items), Value::Int(at)) => usize::try_from(*at)
            .ok()
            .and_then(|at| items.get(at).cloned())
            .ok_or_else(|| format!("there is no item {at}: the list has {}", items.len())),
        (Value::String(text), Value::Int(at)) => usize::try_from(*at)
            .ok()
            .and_then(|at| text.as_bytes().get(at).copied())
            .map(|byte| Value::Int(byte.into()))
            .ok_or_else(|| format!("there is no byte {at}: the string has {}", text.len())),
        (value, key) => Err(format!("{} has no index of {}", value.kind(), key.kind())),
    }
}

fn slice(value: &Value, bounds: &[Value]) -> Called {
    let bound = |at: usize, default: usize| match bounds.get(at) {
        None => Ok(default),
        Some(Value::Int(bound)) => usize::try_from(*bound).map_err(|_| format!("{bound} is no bound")),
        Some(other) => Err(format!("{} is no bound", other.kind())),
    };
    match value {
        Value::String(text) => {
            let (start, end) = (bound(0, 0)?, bound(1, text.len())?);
            text.get(start..end).map(Value::string).ok_or_else(|| format!("there are no bytes {start} to {end}"))
        }
        Value::List(items) => {
            let (start, end) = (bound(0, 0)?, bound(1, items.len())?);
            let items = items.get(start..end).ok_or_else(|| format!("there are no items {start} to {end}"))?;
            Ok(Value::list(items.to_vec()))
        }
        other => Err(format!("{} can't be sliced", other.kind())),
    }
}

fn title(text: &str) -> String {
    let mut start = true;
    text.chars()
        .flat_map(|c| {
            let upper = start && c.is_alphabetic();
            start = c.is_whitespace();
            if upper { c.to_uppercase().collect::<Vec<_>>() } else { vec![c] }
        })
        .collect()
}

fn urlquery(text: &str) -> String {
    let byte = |byte: u8| match byte {
        b' ' => "+".to_owned(),
        byte if byte.is_ascii_alphanumeric() || b"-_.~".contains(&byte) => char::from(byte).to_string(),
        byte => format!("%{byte:02X}"),
    };
    text.bytes().map(byte).collect()
}
