//! What templates work with.

use std::rc::Rc;

/// A value of a template.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Value {
    /// A key that a map has not, and `nil`.
    Nil,
    Bool(bool),
    Int(i64),
    Float(f64),
    String(Rc<str>),
    List(Rc<Vec<Value>>),
    /// In the order in which Go ranges over maps: by key.
    Map(Rc<Vec<(Value, Value)>>),
    /// A struct: its fields and methods, and how it prints.
    Object(Rc<Object>),
}

#[derive(Debug, PartialEq)]
pub(super) struct Object {
    /// For messages: `Change`.
    pub name: &'static str,
    pub fields: Vec<(&'static str, Value)>,
    pub text: Text,
}

/// How a struct prints.
#[derive(Debug, PartialEq)]
pub(super) enum Text {
    /// As its `String` method says.
    Own(String),
    /// As Go prints structs: its fields, which are the first so many; what follows them are methods.
    Fields(usize),
}

impl Value {
    pub fn string(text: impl AsRef<str>) -> Value {
        Value::String(text.as_ref().into())
    }

    pub fn list(items: Vec<Value>) -> Value {
        Value::List(Rc::new(items))
    }

    pub fn map(entries: Vec<(Value, Value)>) -> Value {
        Value::Map(Rc::new(entries))
    }

    pub fn object(name: &'static str, text: Text, fields: Vec<(&'static str, Value)>) -> Value {
        Value::Object(Rc::new(Object { name, fields, text }))
    }

    /// Go's truth: the zero value of a type is false, and what is empty.
    pub fn is_true(&self) -> bool {
        match self {
            Value::Nil => false,
            Value::Bool(value) => *value,
            Value::Int(value) => *value != 0,
            Value::Float(value) => *value != 0.0,
            Value::String(text) => !text.is_empty(),
            Value::List(items) => !items.is_empty(),
            Value::Map(entries) => !entries.is_empty(),
            Value::Object(_) => true,
        }
    }

    /// For messages.
    pub fn kind(&self) -> &'static str {
        match self {
            Value::Nil => "nil",
            Value::Bool(_) => "a boolean",
            Value::Int(_) => "a number",
            Value::Float(_) => "a number with a fraction",
            Value::String(_) => "a string",
            Value::List(_) => "a list",
            Value::Map(_) => "a map",
            Value::Object(object) => object.name,
        }
    }

    /// As Go prints it with `%v`.
    pub fn text(&self) -> String {
        match self {
            Value::Nil => "<no value>".into(),
            Value::Bool(value) => value.to_string(),
            Value::Int(value) => value.to_string(),
            Value::Float(value) => float(*value),
            Value::String(text) => text.to_string(),
            Value::List(items) => format!("[{}]", items.iter().map(Value::shown).collect::<Vec<_>>().join(" ")),
            Value::Map(entries) => {
                let entries: Vec<_> =
                    entries.iter().map(|(key, value)| format!("{}:{}", key.shown(), value.shown())).collect();
                format!("map[{}]", entries.join(" "))
            }
            Value::Object(object) => match &object.text {
                Text::Own(text) => text.clone(),
                Text::Fields(count) => {
                    let fields: Vec<_> = object.fields[..*count].iter().map(|(_, value)| value.shown()).collect();
                    format!("{{{}}}", fields.join(" "))
                }
            },
        }
    }

    /// As Go's fmt prints it, inside of another value too: `<nil>` where a template has `<no value>`.
    pub fn shown(&self) -> String {
        match self {
            Value::Nil => "<nil>".into(),
            value => value.text(),
        }
    }
}

/// A number with a fraction as Go prints it with `%v`: the shortest text that reads back, with an exponent where that is
/// below -4 or above 5.
pub(super) fn float(number: f64) -> String {
    if !number.is_finite() {
        return if number.is_nan() {
            "NaN"
        } else if number > 0.0 {
            "+Inf"
        } else {
            "-Inf"
        }
        .into();
    }
    let scientific = format!("{number:e}");
    let (mantissa, exponent) = scientific.split_once('e').unwrap_or((&scientific, "0"));
    match exponent.parse::<i32>() {
        Ok(exponent) if !(-4..6).contains(&exponent) => {
            let sign = if exponent < 0 { '-' } else { '+' };
            format!("{mantissa}e{sign}{:02}", exponent.abs())
        }
        _ => number.to_string(),
    }
}

/// A whole number as Go's source spells it: `42`, `-0x2a`, `0b101`, `0o17`, `017`, `1_000`.
pub(super) fn integer(text: &str) -> Option<i64> {
    let (sign, digits) = match text.strip_prefix(['+', '-']) {
        Some(digits) => (&text[..1], digits),
        None => ("", text),
    };
    let lower = digits.to_ascii_lowercase();
    let (base, rest) = match lower.get(..2) {
        Some("0x") => (16, &lower[2..]),
        Some("0b") => (2, &lower[2..]),
        Some("0o") => (8, &lower[2..]),
        _ if lower.starts_with('0') && lower.len() > 1 => (8, &lower[1..]),
        _ => (10, lower.as_str()),
    };
    let between = |at: usize| rest[at + 1..].starts_with(|c: char| c.is_ascii_alphanumeric()) && (at > 0 || base != 10);
    if !rest.match_indices('_').all(|(at, _)| between(at)) || rest.starts_with(['+', '-']) {
        return None;
    }
    i64::from_str_radix(&format!("{sign}{}", rest.replace('_', "")), base).ok()
}
