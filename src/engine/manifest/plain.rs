//! When an unquoted scalar is a string.

/// Whether an unquoted scalar with this content is a string to every YAML reader.
///
/// Readers differ: kustomize and Helm read YAML 1.1 (`on` is true, `1:20` is 80), others YAML 1.2. What is a number,
/// boolean, null, date or merge key in *either* of them is no string here.
/// Sources: <https://yaml.org/type/>, YAML 1.2.2 section 10.3.2, go-yaml's resolver.
pub fn is_string(text: &str) -> bool {
    match text.as_bytes().first() {
        Some(b'0'..=b'9' | b'+' | b'-' | b'.' | b'_') => !is_number(text) && !is_date(text),
        Some(letter) if letter.is_ascii_alphabetic() => !is_word(text),
        _ => !matches!(text, "" | "~" | "=" | "<<"),
    }
}

/// Whether this text can be written without quotes, anywhere in a file, and stay the string that it spells. Stricter
/// than YAML: only the characters of references and their like.
pub fn is_plain_string(text: &str) -> bool {
    let safe = |b: u8| b.is_ascii_alphanumeric() || b"._/:@+-".contains(&b) || b >= 0x80;
    let starts = |b: u8| b.is_ascii_alphanumeric() || b"._/".contains(&b) || b >= 0x80;
    text.bytes().next().is_some_and(starts)
        && text.bytes().all(safe)
        && !text.ends_with(':')
        && text.chars().all(|c| c.is_ascii() || c.is_alphanumeric())
        // Booleans in YAML 1.1's text, though no reader that Kubernetes' tools use takes them for that.
        && !matches!(text, "y" | "Y" | "n" | "N")
        && is_string(text)
}

/// The boolean that an unquoted scalar is to readers of YAML 1.1, as Kubernetes' tools in Go are.
pub fn boolean(text: &str) -> Option<bool> {
    match text {
        "y" | "Y" | "yes" | "Yes" | "YES" | "true" | "True" | "TRUE" | "on" | "On" | "ON" => Some(true),
        "n" | "N" | "no" | "No" | "NO" | "false" | "False" | "FALSE" | "off" | "Off" | "OFF" => Some(false),
        _ => None,
    }
}

/// Words that mean a boolean or null, however they are capitalised.
fn is_word(text: &str) -> bool {
    const WORDS: [&str; 7] = ["null", "true", "false", "yes", "no", "on", "off"];
    text.len() <= 5 && WORDS.iter().any(|word| word.eq_ignore_ascii_case(text))
}

/// Integers and floats of YAML 1.1 and 1.2, and what lenient readers take for them (`1_000`, `08`).
fn is_number(text: &str) -> bool {
    let body = text.strip_prefix(['+', '-']).unwrap_or(text);
    if let Some(digits) = body.strip_prefix('0').and_then(|rest| rest.strip_prefix(['x', 'X', 'o', 'O', 'b', 'B'])) {
        return !digits.is_empty() && digits.bytes().all(|b| b.is_ascii_hexdigit() || b == b'_');
    }
    if body.eq_ignore_ascii_case(".inf") || body.eq_ignore_ascii_case(".nan") {
        return true;
    }
    if let Some((mantissa, exponent)) = body.split_once(['e', 'E']) {
        let exponent = exponent.strip_prefix(['+', '-']).unwrap_or(exponent);
        // go-yaml takes underscores out, wherever they stand.
        return is_decimal(mantissa)
            && exponent.bytes().any(|b| b.is_ascii_digit())
            && exponent.bytes().all(|b| b.is_ascii_digit() || b == b'_');
    }
    is_decimal(body) || is_sexagesimal(body)
}

/// `17`, `1.10`, `.5`, `1.`, `1_000`
fn is_decimal(text: &str) -> bool {
    text.bytes().all(|b| b.is_ascii_digit() || b == b'_' || b == b'.')
        && text.bytes().filter(|&b| b == b'.').count() <= 1
        && text.bytes().any(|b| b.is_ascii_digit())
        && !text.starts_with('_')
}

/// `1:20`, `190:20:30.15`: base 60 in YAML 1.1.
fn is_sexagesimal(text: &str) -> bool {
    let mut parts = text.split(':');
    let first = parts.next().unwrap_or_default();
    let mut rest = parts.peekable();
    rest.peek().is_some()
        && first.bytes().next().is_some_and(|b| b.is_ascii_digit())
        && first.bytes().all(|b| b.is_ascii_digit() || b == b'_')
        && rest.all(|part| {
            let whole = part.split('.').next().unwrap_or_default();
            (1..=2).contains(&whole.len()) && is_decimal(part)
        })
}

/// `2024-01-01`, also with a time behind it.
fn is_date(text: &str) -> bool {
    let mut parts = text.splitn(3, '-');
    let digits = |part: &str, lengths: std::ops::RangeInclusive<usize>| {
        lengths.contains(&part.len()) && part.bytes().all(|b| b.is_ascii_digit())
    };
    let (Some(year), Some(month), Some(rest)) = (parts.next(), parts.next(), parts.next()) else { return false };
    let day = rest.split(['T', 't', ' ']).next().unwrap_or_default();
    digits(year, 4..=4) && digits(month, 1..=2) && digits(day, 1..=2)
}

/// A text as YAML has it on one line: plain, or in double quotes.
pub(crate) fn scalar(text: &str) -> String {
    if is_plain_string(text) { text.to_owned() } else { quoted(text) }
}

/// In double quotes, whatever it is.
pub(super) fn quoted(text: &str) -> String {
    let mut out = String::from("\"");
    for character in text.chars() {
        match character {
            '"' | '\\' => out.extend(['\\', character]),
            '\n' => out.push_str("\\n"),
            '\t' => out.push_str("\\t"),
            control if control.is_control() => out.push_str(&format!("\\U{:08x}", u32::from(control))),
            other => out.push(other),
        }
    }
    out + "\""
}

#[cfg(test)]
mod tests {
    use super::{is_date, is_number, is_plain_string, is_string, is_word};
    use proptest::prelude::*;

    proptest! {
        /// The first byte leaves out no rule that could hold.
        #[test]
        fn a_string_is_what_no_rule_takes(text in "[-0-9a-fA-F+._:~=<xotrueTRUE]{0,6}|[a-zA-Z]{2,5}|\\PC{0,4}") {
            let special = matches!(&*text, "" | "~" | "=" | "<<");
            prop_assert_eq!(is_string(&text), !special && !is_word(&text) && !is_number(&text) && !is_date(&text));
        }
    }

    #[test]
    fn strings() {
        let strings = [
            "v1",
            "1.2.3",
            "1.27.x",
            "latest",
            "nginx:1.25",
            "reg.io:5000/a/b:v1",
            "a@sha256:00",
            "main-abc-123",
            "e10",
            "0xg",
            "1e",
            "e3",
            "1.2.3-rc.1",
            "2024-01-01-abc",
            "202a-01-01",
            "2024-0a-01",
            "20245-01-01",
            "2024-01-001",
            "20240101-abc",
            "1-2",
            "2024.01.01",
            "yesno",
            "NULLS",
            "0.1.0",
            "1.10.0",
            "sha-1e3",
            "1:a",
            "1a:20",
            "a:1",
            "./path",
            "1.2.3.4",
            "1+2",
            "ünïcode",
            "0x",
            "1:200",
        ];
        for text in strings {
            assert!(is_plain_string(text), "{text:?} is a string");
        }
    }

    #[test]
    fn strings_that_need_quotes_for_their_characters() {
        for text in ["a b", "^1.2", ">=1.0 <2", "${tag}", "a,b", "{a}"] {
            assert!(is_string(text) && !is_plain_string(text), "{text:?}");
        }
    }

    #[test]
    fn not_strings() {
        let others = [
            "",
            "1.10",
            "17",
            "1e3",
            "1e3_0",
            "1e_3",
            "1E3",
            "1e+10",
            "1234e56",
            "on",
            "On",
            "off",
            "yes",
            "NO",
            "y",
            "N",
            "true",
            "False",
            "0x1",
            "0xdeadbeef",
            "0o17",
            "017",
            "08",
            "0b11",
            "2024-01-01",
            "2024-1-1",
            "2024-01-01T10:00:00Z",
            "1:20",
            "190:20:30",
            "1_0:20",
            "190:20:30.15",
            "null",
            "~",
            "Null",
            ".inf",
            "-.inf",
            "+.INF",
            ".nan",
            "1_000",
            "1.",
            ".5",
            "+1",
            "-1",
            "1.5e-3",
            "=",
            "<<",
            "12345",
            "20240101",
            "a: b",
            "a #b",
            "a:",
            "- a",
            "{a}",
            "[a]",
            "*a",
            "&a",
            "!a",
            "|",
            ">",
            "@a",
            "`a",
            "%a",
            "\"a\"",
            "'a'",
            "a b",
            " a",
            "a ",
            "a\n",
            "\u{feff}a",
            "a,b",
            "${tag}",
            "-",
        ];
        for text in others {
            assert!(!is_plain_string(text), "{text:?} is no string");
        }
    }
}
