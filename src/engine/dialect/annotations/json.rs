//! The JSON of `flux.v2.repos` and `flux.v2.policies`. People paste the documented examples, which are not valid: they
//! hold `"aws", optional` and `\d`. These two are read as meant; everything else has to be JSON.

use crate::engine::manifest::{Annotation, Position};
use serde::{Deserialize, Deserializer, de::DeserializeOwned};

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct Repo {
    pub name: String,
    pub image: String,
    /// Tags are ordered by the time of their push.
    #[serde(default, deserialize_with = "boolean")]
    pub inject_created_at: bool,
    #[serde(default)]
    #[expect(dead_code, reason = "accepted: who gives the credentials is the server's to know")]
    provider: Option<String>,
    #[serde(default)]
    pub policies: Vec<String>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct Policy {
    pub name: String,
    pub policy: Choice,
    pub filter_tags: Option<Filter>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Choice {
    pub semver: Option<Semver>,
    pub numerical: Option<Directed>,
    pub alphabetical: Option<Directed>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Semver {
    pub range: String,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Directed {
    pub order: Option<String>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Filter {
    pub pattern: String,
    pub extract: Option<String>,
}

/// `true` and `"true"`.
fn boolean<'de, D: Deserializer<'de>>(deserializer: D) -> Result<bool, D::Error> {
    #[derive(Deserialize)]
    #[serde(untagged)]
    enum Either {
        Boolean(bool),
        Text(String),
    }
    match Either::deserialize(deserializer)? {
        Either::Boolean(value) => Ok(value),
        Either::Text(text) if text == "true" => Ok(true),
        Either::Text(text) if text == "false" => Ok(false),
        Either::Text(text) => Err(serde::de::Error::custom(format!("expected true or \"true\", found {text:?}"))),
    }
}

/// Where the text stops being what it should be; line and column from 1, in the annotation's value as written.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct JsonError {
    pub line: usize,
    pub column: usize,
    pub why: String,
}

impl JsonError {
    /// The place in the manifest. The content of a block scalar stands there line by line; another value is one line.
    pub fn position_in(&self, annotation: &Annotation) -> Position {
        let Position { line, column } = annotation.position;
        if !annotation.value.contains('\n') {
            // Behind the opening quote.
            return Position { line, column: column + self.column };
        }
        Position { line: line + self.line - 1, column: column + self.column.saturating_sub(1) }
    }
}

/// Reads JSON with the two oddities of the documentation.
pub(super) fn read<T: DeserializeOwned>(text: &str) -> Result<T, JsonError> {
    let (repaired, added) = repair(text);
    serde_json::from_str(&repaired).map_err(|error| {
        let line = error.line().max(1);
        // What was put in does not count for people.
        let before = added.iter().filter(|(at, column)| *at == line && *column < error.column()).count();
        let message = error.to_string();
        let why = message.split(" at line ").next().unwrap_or(&message).to_owned();
        JsonError { line, column: error.column().saturating_sub(before).max(1), why }
    })
}

/// Doubles a backslash that begins no escape of JSON, and blanks out a bare `optional` behind a comma. Tells where a
/// byte was added (line and column in the result).
fn repair(text: &str) -> (String, Vec<(usize, usize)>) {
    const ESCAPES: &str = "\"\\/bfnrtu";
    let mut out = String::with_capacity(text.len() + 8);
    let mut added = Vec::new();
    let (mut line, mut line_start) = (1, 0);
    let mut in_string = false;
    let mut rest = text.chars();
    while let Some(c) = rest.next() {
        match c {
            '\\' if in_string => {
                let next = rest.clone().next();
                out.push('\\');
                match next {
                    Some(next) if ESCAPES.contains(next) => {
                        rest.next();
                        out.push(next);
                    }
                    _ => {
                        out.push('\\');
                        added.push((line, out.len() - line_start));
                    }
                }
            }
            '"' => {
                in_string = !in_string;
                out.push(c);
            }
            ',' if !in_string => {
                let after = rest.as_str();
                let word = after.trim_start();
                match word.strip_prefix("optional") {
                    Some(end) if end.trim_start_matches([' ', '\t']).starts_with(['\n', '\r', '}']) => {
                        // A comma in front of the end of the object would be one too many.
                        out.push(if end.trim_start().starts_with('}') { ' ' } else { ',' });
                        let blank = after.len() - end.len();
                        for c in after[..blank].chars() {
                            if c == '\n' {
                                line += 1;
                                line_start = out.len() + 1;
                            }
                            out.push(if c.is_whitespace() { c } else { ' ' });
                        }
                        rest = end.chars();
                    }
                    _ => out.push(c),
                }
            }
            '\n' => {
                out.push(c);
                line += 1;
                line_start = out.len();
            }
            _ => out.push(c),
        }
    }
    (out, added)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};

    #[test]
    fn the_documented_oddities() {
        #[rustfmt::skip]
        let cases = [
            (r#"{"a": "aws", optional
                 "b": 1}"#, json!({"a": "aws", "b": 1})),
            (r#"{"a": "aws", optional }"#, json!({"a": "aws"})),
            (r#"{"a": "x, optional
"}"#.trim_end_matches("\n\"}"), Value::Null),
            (r#"{"a": "^dev-(?P<t>\d+)$"}"#, json!({"a": r"^dev-(?P<t>\d+)$"})),
            (r#"{"a": "\\d\.\n\u0041\""}"#, json!({"a": "\\d\\.\nA\""})),
        ];
        for (text, expected) in cases {
            let read = read::<Value>(text).unwrap_or(Value::Null);
            assert_eq!(read, expected, "{text}");
        }
    }

    #[test]
    fn other_faults_say_where() {
        #[rustfmt::skip]
        let cases = [
            ("[\n  {\"a\": 1,}\n]", 2, 11, "trailing comma"),
            ("[\"\\d\\d\", x]", 1, 10, "expected value"),
            ("[\n", 2, 1, "EOF while parsing a list"),
            ("{\"a\": maybe}", 1, 7, "expected value"),
        ];
        for (text, line, column, why) in cases {
            let error = read::<Value>(text).unwrap_err();
            assert_eq!((error.line, error.column, error.why.as_str()), (line, column, why), "{text}");
        }
    }
}
