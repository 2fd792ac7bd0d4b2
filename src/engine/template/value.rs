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
    /// A struct: its fields, and how it prints.
    Object(Rc<Object>),
}

#[derive(Debug, PartialEq)]
pub(super) struct Object {
    /// For messages: `Change`.
    pub name: &'static str,
    pub fields: Vec<(&'static str, Value)>,
    pub text: String,
}

impl Value {
    pub fn string(text: impl AsRef<str>) -> Value {
        Value::String(text.as_ref().into())
    }

    pub fn list(items: Vec<Value>) -> Value {
        Value::List(Rc::new(items))
    }

    pub fn object(name: &'static str, text: String, fields: Vec<(&'static str, Value)>) -> Value {
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
            Value::Float(value) => value.to_string(),
            Value::String(text) => text.to_string(),
            Value::List(items) => format!("[{}]", items.iter().map(Value::text).collect::<Vec<_>>().join(" ")),
            Value::Map(entries) => {
                let entries: Vec<_> =
                    entries.iter().map(|(key, value)| format!("{}:{}", key.text(), value.text())).collect();
                format!("map[{}]", entries.join(" "))
            }
            Value::Object(object) => object.text.clone(),
        }
    }
}
