//! Flux's post-build substitution: `${name}` in whatever a Kustomization renders.
//! <https://fluxcd.io/flux/components/kustomize/kustomizations/#post-build-variable-substitution>

use crate::engine::manifest::{Data, Position, PostBuild, Value};
use std::collections::{BTreeMap, BTreeSet};

/// How deep defaults may nest: `${a:-${b:-${c}}}`.
const DEFAULT_DEPTH: usize = 16;

/// What `${…}` stands for in one Kustomization.
pub(super) struct Variables {
    values: BTreeMap<String, String>,
    /// Some values come from where the repository does not tell: what is missing here may be set there.
    partly_unknown: bool,
}

/// How many expressions of a text may lack their brace; what stands behind more of them is no text that people write.
const UNCLOSED: usize = 100;

impl Variables {
    /// `config_map`: the values of a ConfigMap of the repository, as this Kustomization's cluster has it, and whether it
    /// has more than those.
    pub(super) fn of(
        post_build: &PostBuild,
        config_map: impl Fn(&str) -> Option<(BTreeMap<String, String>, bool)>,
    ) -> Variables {
        let mut variables = Variables { values: BTreeMap::new(), partly_unknown: false };
        for (kind, name) in &post_build.substitute_from {
            match (kind.as_str(), config_map(name)) {
                ("ConfigMap", Some((values, partial))) => {
                    variables.values.extend(values);
                    variables.partly_unknown |= partial;
                }
                // An optional one may be in the cluster all the same; a Secret's values are never read.
                _ => variables.partly_unknown = true,
            }
        }
        variables.values.extend(post_build.substitute.clone());
        variables.values.values_mut().for_each(|value| value.retain(|c| c != '\n'));
        variables
    }

    /// Flux substitutes nothing where it has no variables.
    pub(super) fn are_there(&self) -> bool {
        self.partly_unknown || !self.values.is_empty()
    }

    /// Replaces what is known; the names of what is not go to `unresolved`, and their `${…}` stay.
    pub(super) fn apply(&self, data: &mut Data, unresolved: &mut BTreeSet<String>) {
        match &mut data.value {
            Value::String(text) if has_expressions(text) => {
                let replaced = self.text(text, unresolved);
                // Flux writes the object as YAML, quoting only where it must, and reads what comes of it.
                data.value = if is_written_plain(text) { read_anew(replaced) } else { Value::String(replaced) };
            }
            Value::Sequence(items) => items.iter_mut().for_each(|item| self.apply(item, unresolved)),
            Value::Mapping(entries) => entries.iter_mut().for_each(|(_, value)| self.apply(value, unresolved)),
            Value::String(_) | Value::Other(_) | Value::Null | Value::Alias => {}
        }
    }

    fn text(&self, text: &str, unresolved: &mut BTreeSet<String>) -> String {
        let mut out = String::with_capacity(text.len());
        let mut rest = text;
        let mut unclosed = 0;
        while let Some((before, after)) = rest.split_once('$') {
            out.push_str(before);
            rest = after;
            // `$$` is a dollar, so that `$${name}` is the text `${name}`.
            if let Some(after) = rest.strip_prefix('$') {
                out.push('$');
                rest = after;
                continue;
            }
            let Some((expression, behind)) = rest.strip_prefix('{').and_then(enclosed) else {
                out.push('$');
                // Each of them was looked for to the text's end.
                unclosed += usize::from(rest.starts_with('{'));
                if unclosed > UNCLOSED {
                    break;
                }
                continue;
            };
            match self.expression(expression, DEFAULT_DEPTH) {
                Some(value) => out.push_str(&value),
                None => {
                    out.extend(["${", expression, "}"]);
                    unresolved.insert(expression.to_owned());
                }
            }
            rest = behind;
        }
        out.push_str(rest);
        out
    }

    /// `name`, `name:-default`, `name:=default`, `name-default`, `name=default`, `name^^`, `name,,`; `None` where the
    /// value cannot be told.
    fn expression(&self, expression: &str, depth: usize) -> Option<String> {
        let end = expression.find(|c: char| c != '_' && !c.is_ascii_alphanumeric()).unwrap_or(expression.len());
        let (name, operator) = expression.split_at(end);
        if name.is_empty() || name.starts_with(|c: char| c.is_ascii_digit()) {
            return None;
        }
        let value = self.values.get(name);
        if value.is_none() && self.partly_unknown {
            return None;
        }
        let value = value.map(String::as_str).unwrap_or_default();
        if let Some(default) = [":-", ":=", "-", "="].iter().find_map(|prefix| operator.strip_prefix(prefix)) {
            return if value.is_empty() {
                self.default(default, depth.checked_sub(1)?)
            } else {
                Some(value.to_owned())
            };
        }
        match operator {
            "" => Some(value.to_owned()),
            "^^" => Some(value.to_uppercase()),
            ",," => Some(value.to_lowercase()),
            _ => None,
        }
    }

    /// A default, which may have expressions of its own.
    fn default(&self, text: &str, depth: usize) -> Option<String> {
        let mut out = String::new();
        let mut rest = text;
        while let Some((before, after)) = rest.split_once("${") {
            let (expression, behind) = enclosed(after)?;
            out.push_str(before);
            out.push_str(&self.expression(expression, depth)?);
            rest = behind;
        }
        Some(out + rest)
    }
}

/// Whether substitution may change this text.
pub(super) fn has_expressions(text: &str) -> bool {
    text.contains("${") || text.contains("$$")
}

/// What stands before the brace that closes an expression, and what behind it.
fn enclosed(text: &str) -> Option<(&str, &str)> {
    let mut open = 0_usize;
    for (at, _) in text.match_indices(['{', '}']) {
        match text.as_bytes().get(at) {
            Some(b'{') => open += usize::from(text[..at].ends_with('$')),
            _ if open == 0 => return Some((&text[..at], &text[at + 1..])),
            _ => open -= 1,
        }
    }
    None
}

/// What a text means as YAML; itself where that is no scalar.
fn read_anew(text: String) -> Value {
    match &Data::documents(&text, Position::default())[..] {
        [] => Value::Null,
        [Data { value: scalar @ (Value::String(_) | Value::Other(_)), .. }] => scalar.clone(),
        _ => Value::String(text),
    }
}

/// Whether YAML is written without quotes for this text.
fn is_written_plain(text: &str) -> bool {
    text.starts_with(|c: char| c.is_ascii_alphanumeric() || "$./".contains(c))
        && !text.ends_with([':', ' '])
        && ![": ", " #", "\n"].iter().any(|special| text.contains(special))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn expressions() {
        let post_build = |from: &[(&str, &str)]| PostBuild {
            substitute: BTreeMap::from([("a".into(), "Inline".into()), ("empty".into(), String::new())]),
            substitute_from: from.iter().map(|(kind, name)| ((*kind).into(), (*name).into())).collect(),
        };
        let maps = |name: &str| {
            let values = || BTreeMap::from([("a".into(), "map".into()), ("b".into(), "mapped\n".into())]);
            ["here", "partial"].contains(&name).then(|| (values(), name == "partial"))
        };
        let known = Variables::of(&post_build(&[("ConfigMap", "here")]), maps);
        let partly = Variables::of(&post_build(&[("ConfigMap", "here"), ("Secret", "here")]), maps);
        let partial = Variables::of(&post_build(&[("ConfigMap", "partial")]), maps);
        let cases = [
            ("${a}/x", "Inline/x", "Inline/x", ""),
            ("./${b}/${a}", "./mapped/Inline", "./mapped/Inline", ""),
            ("${missing}x", "x", "${missing}x", "missing"),
            ("${missing:=d}", "d", "${missing:=d}", "missing:=d"),
            ("${empty:-d}${empty=e}", "de", "de", ""),
            ("${empty:-${a}}x", "Inlinex", "Inlinex", ""),
            ("${empty:-x${empty:=${b}}}", "xmapped", "xmapped", ""),
            ("${empty:=${missing:-{d}}}", "{d}", "${empty:=${missing:-{d}}}", "empty:=${missing:-{d}"),
            ("${a:-${a/x/y}}", "Inline", "Inline", ""),
            ("${a:-d}${a=d}", "InlineInline", "InlineInline", ""),
            ("${a^^}${a,,}", "INLINEinline", "INLINEinline", ""),
            ("$${a} $a ${", "${a} $a ${", "${a} $a ${", ""),
            ("$$a $$${a} $$$${a} $", "$a $Inline $${a} $", "$a $Inline $${a} $", ""),
            ("${a/x/y}", "${a/x/y}", "${a/x/y}", "a/x/y"),
            ("é${a}ü", "éInlineü", "éInlineü", ""),
        ];
        for (text, expected, expected_partly, left) in cases {
            let mut unresolved = BTreeSet::new();
            assert_eq!(known.text(text, &mut unresolved), expected, "{text}");
            let mut unresolved = BTreeSet::new();
            assert_eq!(partly.text(text, &mut unresolved), expected_partly, "{text}");
            assert_eq!(partial.text(text, &mut unresolved), expected_partly, "{text}");
            assert_eq!(unresolved.into_iter().collect::<String>(), left, "{text}");
        }
    }

    #[test]
    fn types_are_read_anew() {
        let variables = Variables {
            values: [("t", "true"), ("n", "1.10"), ("e", ""), ("quote", "\"")]
                .map(|(name, value)| (name.into(), value.into()))
                .into(),
            partly_unknown: false,
        };
        let other = |text: &str| Value::Other(text.into());
        let string = |text: &str| Value::String(text.into());
        for (text, expected) in [
            ("${t}", other("true")),
            ("${n}", other("1.10")),
            ("${n}.x", string("1.10.x")),
            ("${quote}${n}${quote}", string("1.10")),
            ("${n}${quote}: x", string("1.10\": x")),
            ("${e}", Value::Null),
            ("${missing:=false}", other("false")),
            // Written in quotes, and so a string whatever comes of it.
            ("*${n}", string("*1.10")),
            ("${e}: ", string(": ")),
            ("1${e} ", string("1 ")),
        ] {
            let mut data = Data { position: Position::default(), value: string(text) };
            variables.apply(&mut data, &mut BTreeSet::new());
            assert_eq!(data.value, expected, "{text}");
        }
    }

    #[test]
    fn nesting_ends() {
        let variables = Variables { values: BTreeMap::new(), partly_unknown: false };
        let deep = |n: usize| format!("{}x{}", "${a:-".repeat(n), "}".repeat(n));
        for (depth, expected) in [(1, "x".to_owned()), (16, "x".to_owned()), (17, deep(17)), (100_000, deep(100_000))] {
            assert!(variables.text(&deep(depth), &mut BTreeSet::new()) == expected, "{depth}");
        }
    }
}
