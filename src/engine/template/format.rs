//! Go's `print`, `println` and `printf`.

use super::value::Value;

/// The widest padding that is made.
const WIDTH_LIMIT: usize = 200;

/// Spaces only between operands of which neither is a string.
pub(super) fn print(values: &[Value]) -> String {
    let mut out = String::new();
    for (at, value) in values.iter().enumerate() {
        let between = at > 0 && !matches!(value, Value::String(_)) && !matches!(values[at - 1], Value::String(_));
        if between {
            out.push(' ');
        }
        out.push_str(&shown(value));
    }
    out
}

pub(super) fn println(values: &[Value]) -> String {
    format!("{}\n", values.iter().map(shown).collect::<Vec<_>>().join(" "))
}

/// `<nil>` inside of fmt, `<no value>` in a template.
fn shown(value: &Value) -> String {
    match value {
        Value::Nil => "<nil>".into(),
        value => value.text(),
    }
}

/// Verbs `%v %s %d %q %t %f %x %%`, with flags `-`, `+`, `0`, a width and a precision.
pub(super) fn printf(values: &[Value]) -> Result<String, String> {
    let Some((Value::String(format), mut rest)) = values.split_first() else {
        return Err("expected a format, a string".into());
    };
    let mut out = String::new();
    let mut characters = format.chars().peekable();
    while let Some(c) = characters.next() {
        if c != '%' {
            out.push(c);
            continue;
        }
        let (mut left, mut zero) = (false, false);
        while let Some(flag) = characters.next_if(|c| matches!(c, '-' | '0' | '+' | '#' | ' ')) {
            left |= flag == '-';
            zero |= flag == '0';
        }
        let mut number = || -> Option<usize> {
            let mut digits = String::new();
            while let Some(digit) = characters.next_if(char::is_ascii_digit) {
                digits.push(digit);
            }
            digits.parse().ok()
        };
        let width = number().unwrap_or(0).min(WIDTH_LIMIT);
        let precision = match characters.next_if_eq(&'.') {
            Some(_) => {
                let mut digits = String::new();
                while let Some(digit) = characters.next_if(char::is_ascii_digit) {
                    digits.push(digit);
                }
                Some(digits.parse().unwrap_or(0).min(WIDTH_LIMIT))
            }
            None => None,
        };
        let Some(verb) = characters.next() else {
            out.push_str("%!(NOVERB)");
            break;
        };
        if verb == '%' {
            out.push('%');
            continue;
        }
        let Some((value, others)) = rest.split_first() else {
            out.push_str(&format!("%!{verb}(MISSING)"));
            continue;
        };
        rest = others;
        let text = convert(verb, value, precision);
        let missing = width.saturating_sub(text.chars().count());
        match (left, zero && matches!(value, Value::Int(_) | Value::Float(_))) {
            (true, _) => out.extend([text, " ".repeat(missing)]),
            (false, true) => out.extend(["0".repeat(missing), text]),
            (false, false) => out.extend([" ".repeat(missing), text]),
        }
    }
    if !rest.is_empty() {
        let extra: Vec<_> = rest.iter().map(|value| format!("{}={}", type_name(value), shown(value))).collect();
        out.push_str(&format!("%!(EXTRA {})", extra.join(", ")));
    }
    Ok(out)
}

fn convert(verb: char, value: &Value, precision: Option<usize>) -> String {
    match (verb, value) {
        ('v', value) => shown(value),
        ('s', Value::Int(_) | Value::Float(_) | Value::Bool(_) | Value::Nil) => bad(verb, value),
        ('s', value) => {
            let text = value.text();
            precision.map_or(text.clone(), |precision| text.chars().take(precision).collect())
        }
        ('q', Value::String(_) | Value::Object(_)) => quote(&value.text()),
        ('d', Value::Int(number)) => number.to_string(),
        ('x', Value::Int(number)) => format!("{number:x}"),
        ('x', Value::String(text)) => hex::encode(text.as_bytes()),
        ('t', Value::Bool(value)) => value.to_string(),
        ('f', Value::Float(number)) => format!("{number:.*}", precision.unwrap_or(6)),
        _ => bad(verb, value),
    }
}

fn bad(verb: char, value: &Value) -> String {
    format!("%!{verb}({}={})", type_name(value), shown(value))
}

/// Go's name of a type.
fn type_name(value: &Value) -> &'static str {
    match value {
        Value::Nil => "<nil>",
        Value::Bool(_) => "bool",
        Value::Int(_) => "int",
        Value::Float(_) => "float64",
        Value::String(_) => "string",
        Value::List(_) => "[]interface {}",
        Value::Map(_) => "map[string]interface {}",
        Value::Object(object) => object.name,
    }
}

/// A Go string literal.
pub(super) fn quote(text: &str) -> String {
    let mut out = String::from('"');
    for c in text.chars() {
        match c {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            '\t' => out.push_str("\\t"),
            '\r' => out.push_str("\\r"),
            c => out.push(c),
        }
    }
    out.push('"');
    out
}
