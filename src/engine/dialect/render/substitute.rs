//! Flux's post-build substitution: `${name}` in whatever a Kustomization renders.
//! <https://fluxcd.io/flux/components/kustomize/kustomizations/#post-build-variable-substitution>

use crate::engine::manifest::{Data, PostBuild, Value};
use std::collections::{BTreeMap, BTreeSet};

/// What `${…}` stands for in one Kustomization.
pub(super) struct Variables {
    values: BTreeMap<String, String>,
    /// Some values come from where the repository does not tell: what is missing here may be set there.
    partly_unknown: bool,
}

impl Variables {
    /// `config_map`: the values of a ConfigMap of the repository, as this Kustomization's cluster has it.
    pub(super) fn of(
        post_build: &PostBuild,
        config_map: impl Fn(&str) -> Option<BTreeMap<String, String>>,
    ) -> Variables {
        let mut variables = Variables { values: BTreeMap::new(), partly_unknown: false };
        for (kind, name) in &post_build.substitute_from {
            match (kind.as_str(), config_map(name)) {
                ("ConfigMap", Some(values)) => variables.values.extend(values),
                // An optional one may be in the cluster all the same; a Secret's values are never read.
                _ => variables.partly_unknown = true,
            }
        }
        variables.values.extend(post_build.substitute.clone());
        variables
    }

    /// Replaces what is known; the names of what is not go to `unresolved`, and their `${…}` stay.
    pub(super) fn apply(&self, data: &mut Data, unresolved: &mut BTreeSet<String>) -> bool {
        match &mut data.value {
            Value::String(text) if text.contains("${") => {
                let replaced = self.text(text, unresolved);
                let changed = *text != replaced;
                *text = replaced;
                changed
            }
            Value::Sequence(items) => {
                items.iter_mut().fold(false, |changed, item| self.apply(item, unresolved) | changed)
            }
            Value::Mapping(entries) => {
                entries.iter_mut().fold(false, |changed, (_, value)| self.apply(value, unresolved) | changed)
            }
            Value::String(_) | Value::Other(_) | Value::Null | Value::Alias => false,
        }
    }

    fn text(&self, text: &str, unresolved: &mut BTreeSet<String>) -> String {
        let mut out = String::with_capacity(text.len());
        let mut rest = text;
        while let Some(at) = rest.find("${") {
            let (before, after) = (&rest[..at], &rest[at + 2..]);
            let Some(end) = after.find('}') else { break };
            // `$${name}` is the text `${name}`.
            if let Some(before) = before.strip_suffix('$') {
                out.push_str(before);
                out.push_str(&rest[at..at + 3 + end]);
            } else {
                out.push_str(before);
                match self.expression(&after[..end]) {
                    Some(value) => out.push_str(&value),
                    None => {
                        out.push_str(&rest[at..at + 3 + end]);
                        unresolved.insert(after[..end].to_owned());
                    }
                }
            }
            rest = &after[end + 1..];
        }
        out.push_str(rest);
        out
    }

    /// `name`, `name:-default`, `name:=default`, `name-default`, `name=default`, `name^^`, `name,,`; `None` where the
    /// value cannot be told.
    fn expression(&self, expression: &str) -> Option<String> {
        let end = expression.find(|c: char| c != '_' && !c.is_ascii_alphanumeric()).unwrap_or(expression.len());
        let (name, operator) = expression.split_at(end);
        if name.is_empty() || name.starts_with(|c: char| c.is_ascii_digit()) {
            return None;
        }
        let value = self.values.get(name);
        if value.is_none() && self.partly_unknown {
            return None;
        }
        let default = |operators: [&str; 2]| operators.iter().find_map(|prefix| operator.strip_prefix(prefix));
        if let Some(default) = default([":-", ":="]) {
            return Some(value.filter(|value| !value.is_empty()).map_or(default, String::as_str).to_owned());
        }
        if let Some(default) = default(["-", "="]) {
            return Some(value.map_or(default, String::as_str).to_owned());
        }
        let value = value.map(String::as_str).unwrap_or_default();
        match operator {
            "" => Some(value.to_owned()),
            "^^" => Some(value.to_uppercase()),
            ",," => Some(value.to_lowercase()),
            _ => None,
        }
    }
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
            (name == "here").then(|| BTreeMap::from([("a".into(), "map".into()), ("b".into(), "mapped".into())]))
        };
        let known = Variables::of(&post_build(&[("ConfigMap", "here")]), maps);
        let partly = Variables::of(&post_build(&[("ConfigMap", "here"), ("Secret", "here")]), maps);
        let cases = [
            ("${a}/x", "Inline/x", "Inline/x", ""),
            ("./${b}/${a}", "./mapped/Inline", "./mapped/Inline", ""),
            ("${missing}x", "x", "${missing}x", "missing"),
            ("${missing:=d}", "d", "${missing:=d}", "missing:=d"),
            ("${empty:-d}${empty-d}", "d", "d", ""),
            ("${a:-d}${a=d}", "InlineInline", "InlineInline", ""),
            ("${a^^}${a,,}", "INLINEinline", "INLINEinline", ""),
            ("$${a} $a ${", "${a} $a ${", "${a} $a ${", ""),
            ("${a/x/y}", "${a/x/y}", "${a/x/y}", "a/x/y"),
            ("é${a}ü", "éInlineü", "éInlineü", ""),
        ];
        for (text, expected, expected_partly, left) in cases {
            let mut unresolved = BTreeSet::new();
            assert_eq!(known.text(text, &mut unresolved), expected, "{text}");
            let mut unresolved = BTreeSet::new();
            assert_eq!(partly.text(text, &mut unresolved), expected_partly, "{text}");
            assert_eq!(unresolved.into_iter().collect::<String>(), left, "{text}");
        }
    }
}
