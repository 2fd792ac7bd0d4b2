//! Go's `print`, `println` and `printf`.

use super::{
    OUTPUT_LIMIT,
    value::{Value, float},
};

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
        out.push_str(&value.shown());
    }
    out
}

pub(super) fn println(values: &[Value]) -> String {
    format!("{}\n", values.iter().map(Value::shown).collect::<Vec<_>>().join(" "))
}

/// The verbs `%v %s %q %d %x %X %o %b %c %t %f %F %e %E %%`, with flags, a width and a precision. Those that nobody needs in a
/// message are an error: it falls back to another one, instead of saying something else than Go's.
pub(super) fn printf(values: &[Value]) -> Result<String, String> {
    let Some((Value::String(format), mut rest)) = values.split_first() else {
        return Err("expected a format, a string".into());
    };
    let mut out = String::new();
    let mut text: &str = format;
    while let Some((before, behind)) = text.split_once('%') {
        out.push_str(before);
        let (mut verb, behind) = Verb::read(behind)?;
        text = behind;
        match verb.letter {
            None => out.push_str("%!(NOVERB)"),
            Some('%') => out.push('%'),
            Some(letter) => match rest.split_first() {
                None => out.push_str(&format!("%!{letter}(MISSING)")),
                Some((value, others)) => {
                    rest = others;
                    // What is padded on its right is padded with spaces.
                    verb.zero &= !verb.minus;
                    out.push_str(&verb.convert(letter, value)?);
                }
            },
        }
        if out.len() > OUTPUT_LIMIT {
            return Err(format!("the text is longer than {OUTPUT_LIMIT} bytes"));
        }
    }
    out.push_str(text);
    if !rest.is_empty() {
        let extra: Vec<_> = rest.iter().map(typed).collect();
        out.push_str(&format!("%!(EXTRA {})", extra.join(", ")));
    }
    Ok(out)
}

/// A verb with its flags.
#[derive(Clone, Default)]
struct Verb {
    minus: bool,
    plus: bool,
    sharp: bool,
    space: bool,
    zero: bool,
    width: usize,
    precision: Option<usize>,
    /// `None` at the end of the format.
    letter: Option<char>,
}

impl Verb {
    /// Reads what follows a `%`, and returns the rest.
    fn read(text: &str) -> Result<(Verb, &str), String> {
        let mut verb = Verb::default();
        let flags = text.find(|c| !matches!(c, '-' | '+' | '#' | ' ' | '0')).unwrap_or(text.len());
        for flag in text[..flags].chars() {
            match flag {
                '-' => verb.minus = true,
                '+' => verb.plus = true,
                '#' => verb.sharp = true,
                ' ' => verb.space = true,
                _ => verb.zero = true,
            }
        }
        let number = |text: &str| {
            let end = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
            (text[..end].parse::<usize>().unwrap_or(if end == 0 { 0 } else { WIDTH_LIMIT }).min(WIDTH_LIMIT), end)
        };
        let mut rest = &text[flags..];
        let (width, end) = number(rest);
        (verb.width, rest) = (width, &rest[end..]);
        if let Some(behind) = rest.strip_prefix('.') {
            let (precision, end) = number(behind);
            (verb.precision, rest) = (Some(precision), &behind[end..]);
        }
        if rest.starts_with(['[', '*']) {
            return Err(format!("`%{}…` is not supported here", &text[..text.len() - rest.len() + 1]));
        }
        let mut letters = rest.chars();
        verb.letter = letters.next();
        Ok((verb, letters.as_str()))
    }

    fn convert(&self, letter: char, value: &Value) -> Result<String, String> {
        let unsupported = || Err(format!("`%{letter}` of {} is not supported here", value.kind()));
        match (letter, value) {
            ('T' | 'p' | 'w' | 'U' | 'g' | 'G' | 'O', _) => unsupported(),
            ('v', _) if self.sharp || self.plus && !matches!(value, Value::String(_) | Value::Bool(_) | Value::Nil) => {
                unsupported()
            }
            ('v', Value::Nil) => Ok(self.pad("<nil>")),
            (_, Value::List(items)) => {
                let items = items.iter().map(|item| self.convert(letter, item)).collect::<Result<Vec<_>, _>>()?;
                Ok(format!("[{}]", items.join(" ")))
            }
            (_, Value::Map(entries)) => {
                let entry = |(key, value): &(Value, Value)| {
                    Ok::<_, String>(format!("{}:{}", self.convert(letter, key)?, self.convert(letter, value)?))
                };
                Ok(format!("map[{}]", entries.iter().map(entry).collect::<Result<Vec<_>, _>>()?.join(" ")))
            }
            // Go applies the verb to each field of a struct.
            ('v' | 's', Value::Object(_)) if self.width == 0 && self.precision.is_none() => Ok(value.text()),
            (_, Value::Object(_)) => unsupported(),
            ('v' | 's', Value::String(text)) => Ok(self.pad(self.cut(text))),
            ('q', Value::String(text)) if !self.plus && !self.sharp => Ok(self.pad(&quote(self.cut(text)))),
            ('x' | 'X', Value::String(text)) if !self.sharp && !self.space => {
                let bytes = &text.as_bytes()[..self.precision.unwrap_or(usize::MAX).min(text.len())];
                let digits = hex::encode(bytes);
                Ok(self.pad(&if letter == 'X' { digits.to_uppercase() } else { digits }))
            }
            ('q' | 'x' | 'X', Value::String(_)) => unsupported(),
            ('v' | 't', Value::Bool(value)) => Ok(self.pad(&value.to_string())),
            ('v' | 'd', Value::Int(number)) => Ok(self.number(*number < 0, number.unsigned_abs().to_string())),
            ('x', Value::Int(number)) if !self.sharp => {
                Ok(self.number(*number < 0, format!("{:x}", number.unsigned_abs())))
            }
            ('X', Value::Int(number)) if !self.sharp => {
                Ok(self.number(*number < 0, format!("{:X}", number.unsigned_abs())))
            }
            ('o', Value::Int(number)) if !self.sharp => {
                Ok(self.number(*number < 0, format!("{:o}", number.unsigned_abs())))
            }
            ('b', Value::Int(number)) if !self.sharp => {
                Ok(self.number(*number < 0, format!("{:b}", number.unsigned_abs())))
            }
            ('c' | 'q' | 'x' | 'X' | 'o' | 'b', Value::Int(_)) => unsupported(),
            ('v', Value::Float(number)) if self.precision.is_none() => {
                Ok(self.sign(number.is_sign_negative(), &float(number.abs())))
            }
            ('f' | 'F', Value::Float(number)) if !self.sharp => {
                let digits = format!("{:.*}", self.precision.unwrap_or(6), number.abs());
                Ok(self.sign(number.is_sign_negative(), &digits))
            }
            ('v' | 'f' | 'F' | 'e' | 'E' | 'b' | 'x' | 'X', Value::Float(_)) => unsupported(),
            // What Go says of a verb that a type does not have; the flags apply to the value.
            (_, Value::Nil) => Ok(format!("%!{letter}(<nil>)")),
            (_, value) => Ok(format!("%!{letter}({}={})", type_name(value), self.convert('v', value)?)),
        }
    }

    fn cut<'t>(&self, text: &'t str) -> &'t str {
        let end = self.precision.and_then(|precision| text.char_indices().nth(precision));
        &text[..end.map_or(text.len(), |(at, _)| at)]
    }

    /// With at least as many digits as the precision says.
    fn number(&self, negative: bool, digits: String) -> String {
        let least = self.precision.unwrap_or(0);
        let digits = if self.precision == Some(0) && digits == "0" { String::new() } else { digits };
        Verb { zero: self.zero && self.precision.is_none(), ..self.clone() }
            .sign(negative, &format!("{}{digits}", "0".repeat(least.saturating_sub(digits.len()))))
    }

    fn sign(&self, negative: bool, digits: &str) -> String {
        let sign = match () {
            () if negative => "-",
            () if self.plus => "+",
            () if self.space => " ",
            () => "",
        };
        let zeros = if self.zero { self.width.saturating_sub(sign.len() + digits.len()) } else { 0 };
        self.pad(&format!("{sign}{}{digits}", "0".repeat(zeros)))
    }

    fn pad(&self, text: &str) -> String {
        let missing = self.width.saturating_sub(text.chars().count());
        match self.minus {
            true => format!("{text}{}", " ".repeat(missing)),
            false => format!("{}{text}", " ".repeat(missing)),
        }
    }
}

/// A value with its type.
fn typed(value: &Value) -> String {
    match value {
        Value::Nil => "<nil>".into(),
        value => format!("{}={}", type_name(value), value.shown()),
    }
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
