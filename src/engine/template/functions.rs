//! The predefined functions of Go's templates: <https://pkg.go.dev/text/template#hdr-Functions>. All others are Sprig's.

use super::{OUTPUT_LIMIT, format, sprig, value::Value};
use std::cmp::Ordering;

pub(super) type Called = Result<Value, String>;

const NAMES: [&str; 17] = [
    "and", "eq", "ge", "gt", "html", "index", "le", "len", "lt", "ne", "not", "or", "print", "printf", "println",
    "slice", "urlquery",
];

pub(super) fn exists(name: &str) -> bool {
    NAMES.contains(&name) || sprig::exists(name)
}

pub(super) fn call(name: &str, arguments: &[Value]) -> Called {
    let long = |value: &Value| if let Value::String(text) = value { text.len() } else { 0 };
    if arguments.iter().map(long).sum::<usize>() > OUTPUT_LIMIT {
        return Err(format!("its arguments are longer than {OUTPUT_LIMIT} bytes"));
    }
    match (name, arguments) {
        ("not", [value]) => Ok(Value::Bool(!value.is_true())),
        ("eq", [first, others @ ..]) if !others.is_empty() => {
            for other in others {
                if equal(first, other)? {
                    return Ok(Value::Bool(true));
                }
            }
            Ok(Value::Bool(false))
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
        _ => sprig::call(name, arguments),
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

pub(super) fn index(value: &Value, key: &Value) -> Called {
    match (value, key) {
        (Value::Map(entries), key) => {
            // What a map of strings has not is an empty string.
            let strings = entries.iter().all(|(_, value)| matches!(value, Value::String(_)));
            let zero = if strings { Value::string("") } else { Value::Nil };
            Ok(entries.iter().find(|(known, _)| known == key).map_or(zero, |(_, value)| value.clone()))
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

fn urlquery(text: &str) -> String {
    let byte = |byte: u8| match byte {
        b' ' => "+".to_owned(),
        byte if byte.is_ascii_alphanumeric() || b"-_.~".contains(&byte) => char::from(byte).to_string(),
        byte => format!("%{byte:02X}"),
    };
    text.bytes().map(byte).collect()
}
