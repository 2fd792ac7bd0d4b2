//! Flux's post-build substitution: `${name}` in whatever a Kustomization renders.
//! <https://fluxcd.io/flux/components/kustomize/kustomizations/#post-build-variable-substitution>

use crate::engine::manifest::{Data, Position, PostBuild, Value};
use std::collections::BTreeMap;

/// How deep defaults may nest: `${a:-${b:-${c}}}`.
const DEFAULT_DEPTH: usize = 16;

/// The expressions that stay, and whether their value is there: then it is the function that butler does not have.
pub(super) type Unresolved = BTreeMap<String, bool>;

/// What `${…}` stands for in one Kustomization.
pub(super) struct Variables {
    values: BTreeMap<String, String>,
    /// Some values come from where the repository does not tell: what is missing here may be set there.
    partly_unknown: bool,
}

/// How large a text may become, in bytes; one that would be larger stays, as nothing that people write is.
const TEXT_MAX: usize = 1 << 20;

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

    /// Replaces what is known; what is not goes to `unresolved`, and those `${…}` stay.
    pub(super) fn apply(&self, data: &mut Data, unresolved: &mut Unresolved) {
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

    fn text(&self, text: &str, unresolved: &mut Unresolved) -> String {
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
                Some(value) if out.len() + value.len() <= TEXT_MAX => out.push_str(&value),
                _ => {
                    out.extend(["${", expression, "}"]);
                    unresolved.insert(expression.to_owned(), self.is_given(expression));
                }
            }
            rest = behind;
        }
        out.push_str(rest);
        out
    }

    /// Whether the value is there that an expression is about.
    fn is_given(&self, expression: &str) -> bool {
        let expression = expression.strip_prefix('#').unwrap_or(expression);
        // Of a default that is what butler does not have, the name in it counts.
        let expression = expression.rsplit_once("${").map_or(expression, |(_, inner)| inner);
        let end = expression.find(|c: char| c != '_' && !c.is_ascii_alphanumeric()).unwrap_or(expression.len());
        self.values.contains_key(&expression[..end])
    }

    /// The names alone in a text that nothing gives a value: `${name}` becomes nothing.
    pub(super) fn emptied<'t>(&self, text: &'t str) -> Vec<&'t str> {
        let mut found = Vec::new();
        let (mut rest, mut unclosed) = (text, 0);
        while let Some((_, after)) = rest.split_once('$').filter(|_| unclosed <= UNCLOSED) {
            rest = after.strip_prefix('$').unwrap_or(after);
            let expression = after.strip_prefix('{').and_then(enclosed);
            let Some((name, behind)) = expression else {
                unclosed += usize::from(after.starts_with('{'));
                continue;
            };
            if is_name(name) && !self.partly_unknown && !self.values.contains_key(name) {
                found.push(name);
            }
            rest = behind;
        }
        found
    }

    /// `name`, a default (`name:-default`, `name:=default`, `name-default`, `name=default`), or what [`function`] makes
    /// of it; `None` where the value cannot be told.
    fn expression(&self, expression: &str, depth: usize) -> Option<String> {
        if let Some(name) = expression.strip_prefix('#').filter(|name| is_name(name)) {
            // Bytes, as Go counts.
            return self.value(name).map(|value| value.len().to_string());
        }
        let end = expression.find(|c: char| c != '_' && !c.is_ascii_alphanumeric()).unwrap_or(expression.len());
        let (name, operator) = expression.split_at(end);
        if name.is_empty() || name.starts_with(|c: char| c.is_ascii_digit()) {
            return None;
        }
        let value = self.value(name)?;
        if let Some(default) = [":-", ":=", "-", "="].iter().find_map(|prefix| operator.strip_prefix(prefix)) {
            return if value.is_empty() {
                self.default(default, depth.checked_sub(1)?)
            } else {
                Some(value.to_owned())
            };
        }
        function(value, operator)
    }

    /// What a name stands for: nothing where it is not given.
    fn value(&self, name: &str) -> Option<&str> {
        let value = self.values.get(name).map(String::as_str);
        value.or_else(|| (!self.partly_unknown).then_some(""))
    }

    /// A default, which may have expressions of its own.
    fn default(&self, text: &str, depth: usize) -> Option<String> {
        let mut out = String::new();
        let mut rest = text;
        while let Some((before, after)) = rest.split_once("${") {
            let (expression, behind) = enclosed(after)?;
            out.push_str(before);
            out.push_str(&self.expression(expression, depth)?);
            if out.len() > TEXT_MAX {
                return None;
            }
            rest = behind;
        }
        Some(out + rest)
    }
}

/// What Flux's functions make of a value (`github.com/fluxcd/pkg/envsubst`), where that is plain; `None` for patterns, for
/// what that library refuses, and where it reads on in its own way.
fn function(value: &str, operator: &str) -> Option<String> {
    match operator {
        "" => return Some(value.to_owned()),
        "^^" => return Some(value.to_uppercase()),
        ",," => return Some(value.to_lowercase()),
        "^" => return first(value, char::to_ascii_uppercase),
        "," => return first(value, char::to_ascii_lowercase),
        _ => {}
    }
    if operator.contains(['\\', '$', '{', '}']) {
        return None;
    }
    if let Some(range) = operator.strip_prefix(':') {
        return part(value, range);
    }
    if let Some(replaced) = operator.strip_prefix('/') {
        let (place, replaced) = match replaced.chars().next()? {
            place @ ('/' | '#' | '%') => (place, &replaced[1..]),
            _ => ('1', replaced),
        };
        let (old, new) = replaced.split_once('/').filter(|(old, _)| !old.is_empty())?;
        return Some(match place {
            '/' if value.matches(old).count().saturating_mul(new.len()) > TEXT_MAX => return None,
            '/' => value.replace(old, new),
            '#' => value.strip_prefix(old).map_or_else(|| value.to_owned(), |rest| format!("{new}{rest}")),
            '%' => value.strip_suffix(old).map_or_else(|| value.to_owned(), |rest| format!("{rest}{new}")),
            _ => value.replacen(old, new, 1),
        });
    }
    let plain = |text: &&str| !text.is_empty() && !text.contains(['*', '?', '[', '#', '%']);
    if let Some(cut) = operator.strip_prefix("##").or_else(|| operator.strip_prefix('#')).filter(plain) {
        return Some(value.strip_prefix(cut).unwrap_or(value).to_owned());
    }
    let cut = operator.strip_prefix("%%").or_else(|| operator.strip_prefix('%')).filter(plain)?;
    Some(value.strip_suffix(cut).unwrap_or(value).to_owned())
}

/// With another first letter, where that is one of ASCII.
fn first(value: &str, change: impl Fn(&char) -> char) -> Option<String> {
    let mut characters = value.chars();
    let letter = characters.next();
    letter.is_none_or(|c| c.is_ascii()).then(|| letter.iter().map(change).chain(characters).collect())
}

/// `0:2`, `3`: from a byte on, so many of them.
fn part(value: &str, range: &str) -> Option<String> {
    let number = |text: &str| text.parse::<usize>().ok().filter(|_| text.bytes().all(|b| b.is_ascii_digit()));
    let (from, length) = match range.split_once(':') {
        Some((from, length)) => (number(from)?, number(length)?),
        None => (number(range)?, value.len()),
    };
    let from = from.min(value.len());
    value.get(from..from.saturating_add(length).min(value.len())).map(str::to_owned)
}

fn is_name(text: &str) -> bool {
    !text.is_empty()
        && !text.starts_with(|c: char| c.is_ascii_digit())
        && text.chars().all(|c| c == '_' || c.is_ascii_alphanumeric())
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
            ("${missing:0:2}${missing/a/b}", "", "${missing:0:2}${missing/a/b}", "missing/a/bmissing:0:2"),
            ("${a:-d}${a=d}", "InlineInline", "InlineInline", ""),
            ("${a^^}${a,,}", "INLINEinline", "INLINEinline", ""),
            ("$${a} $a ${", "${a} $a ${", "${a} $a ${", ""),
            ("$$a $$${a} $$$${a} $", "$a $Inline $${a} $", "$a $Inline $${a} $", ""),
            ("${a/[x]*$/y}", "${a/[x]*$/y}", "${a/[x]*$/y}", "a/[x]*$/y"),
            ("é${a}ü", "éInlineü", "éInlineü", ""),
        ];
        for (text, expected, expected_partly, left) in cases {
            let mut unresolved = Unresolved::new();
            assert_eq!(known.text(text, &mut unresolved), expected, "{text}");
            let mut unresolved = Unresolved::new();
            assert_eq!(partly.text(text, &mut unresolved), expected_partly, "{text}");
            assert_eq!(partial.text(text, &mut unresolved), expected_partly, "{text}");
            assert_eq!(unresolved.into_keys().collect::<String>(), left, "{text}");
        }
    }

    #[test]
    fn what_grows_without_end_stays() {
        let long = "x".repeat(2_000);
        let values = BTreeMap::from([("a".to_owned(), long.clone())]);
        let variables = Variables { values, partly_unknown: false };
        #[rustfmt::skip]
        let cases = [
            ("${a}".repeat(10), 20_000, 0),
            ("${a}".repeat(2_000), TEXT_MAX / 2_000 * 2_000, 1),
            (format!("${{a//x/{long}}}"), 2_000 + "${a//x/}".len(), 1),
            (format!("${{missing:={}}}", "${a}".repeat(2_000)), 8_000 + "${missing:=}".len(), 1),
        ];
        for (text, length, left) in cases {
            let mut unresolved = Unresolved::new();
            let found = variables.text(&text, &mut unresolved);
            let stays = found.matches("${a}").count() * "${a}".len();
            let expected = if text.starts_with("${a}") { length + stays } else { length };
            assert_eq!((found.len(), unresolved.len()), (expected, left), "{}", &text[..12]);
        }
        assert_eq!(variables.emptied(&"${".repeat(50_000)), [""; 0]);
    }

    #[test]
    fn names_without_a_value() {
        let values = [("a".to_owned(), "x".to_owned())];
        let variables = |partly_unknown| Variables { values: BTreeMap::from(values.clone()), partly_unknown };
        for (text, expected) in
            [("${ts}", "ts"), ("${a}-${ts}.${n}", "ts n"), ("$ts $1 $${ts} ${a} ${ts:=1} ${ts", ""), ("$$${ts}", "ts")]
        {
            assert_eq!(variables(false).emptied(text).join(" "), expected, "{text}");
            assert_eq!(variables(true).emptied(text), [""; 0], "{text}");
        }
    }

    /// The answers of `github.com/fluxcd/pkg/envsubst` v1.8.0; `-` is what it refuses, or what is left to it.
    #[test]
    fn functions() {
        let values = [("org", "acme-prod-prod"), ("e", ""), ("u", "éa")];
        let values = values.map(|(name, value)| (name.into(), value.into())).into();
        let variables = Variables { values, partly_unknown: false };
        #[rustfmt::skip]
        let cases = [
            ("org:0:2", "ac"), ("org:1", "cme-prod-prod"), ("org:2:3", "me-"), ("org:0:99", "acme-prod-prod"), ("org:99", ""),
            ("org:01:2", "cm"), ("missing:0:2", ""), ("org: 2", "-"), ("org:x", "-"), ("org:0:", "-"), ("org:", "-"), ("u:1", "-"),
            ("org:0:2:3", "-"), ("org:2/3", "-"), ("org:+d", "-"), ("org:?d", "-"),
            ("org/prod/x", "acme-x-prod"), ("org//prod/x", "acme-x-x"), ("org/prod/", "acme--prod"), ("org//-/", "acmeprodprod"),
            ("org/a/b/c", "b/ccme-prod-prod"), ("org/#acme/x", "x-prod-prod"), ("org/%prod/x", "acme-prod-x"), ("e/a/b", ""),
            ("org/*/x", "acme-prod-prod"), ("org/prod", "-"), ("org//prod", "-"), ("org/", "-"), ("org///x", "-"), ("org/a\\/c/x", "-"),
            ("org#acme", "-prod-prod"), ("org##acme", "-prod-prod"), ("org%-prod", "acme-prod"), ("org%%-prod", "acme-prod"),
            ("org%xx", "acme-prod-prod"), ("org#*-", "-"), ("org#", "-"), ("org%", "-"), ("org%-*", "-"), ("org%d", "acme-prod-pro"),
            ("#org", "14"), ("#u", "3"), ("#missing", "0"), ("#", "-"), ("#1", "-"),
            ("org^", "Acme-prod-prod"), ("org,", "acme-prod-prod"), ("e^", ""), ("u^", "-"), ("org^x", "-"), ("org^^x", "-"),
        ];
        for (expression, expected) in cases {
            let found = variables.expression(expression, DEFAULT_DEPTH);
            assert_eq!(found.as_deref().unwrap_or("-"), expected, "{expression}");
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
            variables.apply(&mut data, &mut Unresolved::new());
            assert_eq!(data.value, expected, "{text}");
        }
    }

    #[test]
    fn nesting_ends() {
        let variables = Variables { values: BTreeMap::new(), partly_unknown: false };
        let deep = |n: usize| format!("{}x{}", "${a:-".repeat(n), "}".repeat(n));
        for (depth, expected) in [(1, "x".to_owned()), (16, "x".to_owned()), (17, deep(17)), (100_000, deep(100_000))] {
            assert!(variables.text(&deep(depth), &mut Unresolved::new()) == expected, "{depth}");
        }
    }
}
