//! Secrets: given as they are, or as the path of a file. No message shows one, not even a wrong one.

use crate::engine::config::{
    decode::{Decoder, Fields},
    tree::{Node, Plain, Value, plain},
};
use secrecy::{ExposeSecret, SecretString};

/// Reads `key` or `key-file`, of which one must be there if a `variable` is named that could give it, and both must
/// never. `check` says what is wrong with the secret.
pub(super) fn read(
    d: &mut Decoder,
    fields: &Fields<'_>,
    key: &str,
    variable: Option<&str>,
    check: fn(&str) -> Option<&'static str>,
) -> Option<SecretString> {
    let (node, given) = either(d, fields, key, variable)?;
    let (text, name) = match given {
        Given::Here => (text(d, node, key)?, key.to_owned()),
        Given::File(name) => (d.within(&name, |d| content(d, node))?, name),
    };
    d.within(name, |d| checked(d, node, &text, check))
}

/// Reads a secret from the file that is named here.
pub(super) fn file(d: &mut Decoder, node: &Node, check: fn(&str) -> Option<&'static str>) -> Option<SecretString> {
    let text = content(d, node)?;
    checked(d, node, &text, check)
}

fn checked(d: &mut Decoder, node: &Node, text: &str, check: fn(&str) -> Option<&'static str>) -> Option<SecretString> {
    let text = text.trim_end_matches(['\r', '\n']);
    if let Some(wrong) = if text.is_empty() { Some("expected a secret, found nothing") } else { check(text) } {
        d.fault(node.position, wrong);
        return None;
    }
    Some(SecretString::from(text))
}

/// Reads a list of secrets, or a file that has one a line. At least one must be there.
pub(super) fn read_list(d: &mut Decoder, fields: &Fields<'_>, key: &str, variable: &str) -> Option<Vec<SecretString>> {
    let (node, given) = either(d, fields, key, Some(variable))?;
    let secrets: Vec<SecretString> = match (given, &node.value) {
        (Given::Here, Value::List(items)) => {
            items.iter().map(|item| text(d, item, key).map(SecretString::from)).collect::<Option<_>>()?
        }
        (Given::Here, _) => {
            d.within(key, |d| d.fault(node.position, "expected a list of secrets, found something else"));
            return None;
        }
        (Given::File(name), _) => {
            let content = d.within(name, |d| content(d, node))?;
            content.lines().map(str::trim).filter(|line| !line.is_empty()).map(SecretString::from).collect()
        }
    };
    if secrets.is_empty() || secrets.iter().any(|secret| secret.expose_secret().trim().is_empty()) {
        d.within(key, |d| d.fault(node.position, "expected at least one secret, and none that is empty"));
        return None;
    }
    Some(secrets)
}

/// Any text is a secret.
pub(super) fn any(_: &str) -> Option<&'static str> {
    None
}

/// A PEM file with a private key, as GitHub gives it for an App.
pub(super) fn private_key(text: &str) -> Option<&'static str> {
    let is_key = text.trim_start().starts_with("-----BEGIN") && text.contains("PRIVATE KEY-----");
    (!is_key).then_some("expected a private key in PEM, beginning with -----BEGIN RSA PRIVATE KEY-----")
}

enum Given {
    Here,
    /// Under this key.
    File(String),
}

fn either<'n>(d: &mut Decoder, fields: &Fields<'n>, key: &str, variable: Option<&str>) -> Option<(&'n Node, Given)> {
    let file = format!("{key}-file");
    match (fields.get(key), fields.get(&file)) {
        (Some(_), Some(node)) => {
            d.fault(node.position, format!("both {key} and {file} are given: keep one of the two"));
            None
        }
        (Some(node), None) => Some((node, Given::Here)),
        (None, Some(node)) => Some((node, Given::File(file))),
        (None, None) => {
            if let Some(variable) = variable {
                d.fault(
                    fields.position,
                    format!(
                        "{key:?} is missing: set it or {file} in the settings file, or {variable} or {variable}_FILE"
                    ),
                );
            }
            None
        }
    }
}

fn text(d: &mut Decoder, node: &Node, key: &str) -> Option<String> {
    match &node.value {
        Value::Text(text) => Some(text.clone()),
        Value::Plain(text) if plain(text) == Plain::Text => Some(text.clone()),
        // A number or boolean may not be what the author sees: 0123, 1e5, true.
        _ => {
            d.within(key, |d| d.fault(node.position, "expected a string, found something else; put it in quotes"));
            None
        }
    }
}

fn content(d: &mut Decoder, node: &Node) -> Option<String> {
    let path = d.text(node)?;
    match std::fs::read_to_string(&path) {
        Ok(text) => Some(text),
        Err(error) => {
            d.fault(node.position, format!("cannot read {path}: {error}"));
            None
        }
    }
}
