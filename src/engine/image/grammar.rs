//! The words of the reference grammar: <https://pkg.go.dev/github.com/distribution/reference>, and for digests the
//! [OCI image specification](https://github.com/opencontainers/image-spec/blob/main/descriptor.md#digests).

/// The longest tag, in bytes.
const TAG_MAX: usize = 128;

/// Whether `text` can be a tag: `[A-Za-z0-9_][A-Za-z0-9_.-]{0,127}`.
pub fn is_tag(text: &str) -> bool {
    let word = |b: u8| b.is_ascii_alphanumeric() || b == b'_';
    text.len() <= TAG_MAX
        && text.bytes().next().is_some_and(word)
        && text.bytes().all(|b| word(b) || matches!(b, b'.' | b'-'))
}

/// Whether `text` is a digest: `algorithm:encoded`, with the exact length where the algorithm is a registered one.
pub fn is_digest(text: &str) -> bool {
    let Some((algorithm, encoded)) = text.split_once(':') else { return false };
    let hex = |length| encoded.len() == length && encoded.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'));
    match algorithm {
        "sha256" => hex(64),
        "sha384" => hex(96),
        "sha512" => hex(128),
        _ => {
            let part = |p: &str| !p.is_empty() && p.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit());
            algorithm.split(['+', '.', '_', '-']).all(part)
                && encoded.len() >= 32
                && encoded.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'=' | b'_' | b'-'))
        }
    }
}

/// Whether `text` is a host with an optional port: a name, an IPv4 address or `[IPv6]`.
pub(super) fn is_host(text: &str) -> bool {
    let (host, port) = match text.strip_prefix('[').and_then(|t| t.split_once(']')) {
        Some((v6, rest)) => {
            let address = !v6.is_empty() && v6.bytes().all(|b| b.is_ascii_hexdigit() || b == b':');
            return address && (rest.is_empty() || rest.strip_prefix(':').is_some_and(is_port));
        }
        None => match cut(text, b':') {
            Some((host, port)) => (host, Some(port)),
            None => (text, None),
        },
    };
    let label = |label: &[u8]| {
        !matches!(label, [] | [b'-', ..] | [.., b'-']) && label.iter().all(|b| b.is_ascii_alphanumeric() || *b == b'-')
    };
    host.as_bytes().split(|b| *b == b'.').all(label) && port.is_none_or(is_port)
}

fn is_port(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit())
}

/// Whether `text` is one component of a path: lower-case words joined by `.`, `_`, `__` or any number of `-`.
pub(super) fn is_path_component(text: &[u8]) -> bool {
    let word = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit();
    let (Some(first), Some(last)) = (text.first(), text.last()) else { return false };
    word(*first)
        && word(*last)
        && text
            .split(|b| word(*b))
            .all(|separator| matches!(separator, b"" | b"." | b"_" | b"__") || separator.iter().all(|b| *b == b'-'))
}

/// The texts before and behind the first of an ASCII character. In texts as short as references a plain look at each
/// byte is several times as fast as `str`'s searches.
pub(super) fn cut(text: &str, at: u8) -> Option<(&str, &str)> {
    let at = text.bytes().position(|b| b == at)?;
    Some((&text[..at], &text[at + 1..]))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words() {
        let component: fn(&str) -> bool = |text| is_path_component(text.as_bytes());
        let hex64 = "a".repeat(64);
        #[rustfmt::skip]
        let cases: &[(&str, fn(&str) -> bool, &str, bool)] = &[
            ("tag", is_tag, "1.2.3", true),
            ("tag", is_tag, "_x", true),
            ("tag", is_tag, "-x", false),
            ("tag", is_tag, "", false),
            ("tag", is_tag, "a b", false),
            ("tag", is_tag, &"a".repeat(128), true),
            ("tag", is_tag, &"a".repeat(129), false),
            ("digest", is_digest, &format!("sha256:{hex64}"), true),
            ("digest", is_digest, &format!("sha256:{}", "A".repeat(64)), false),
            ("digest", is_digest, &format!("sha256:{hex64}a"), false),
            ("digest", is_digest, &format!("sha384:{hex64}"), false),
            ("digest", is_digest, &format!("sha384:{hex64}{}", &hex64[..32]), true),
            ("digest", is_digest, &format!("sha512:{hex64}"), false),
            ("digest", is_digest, &format!("sha512:{hex64}{hex64}"), true),
            ("digest", is_digest, &format!("multihash+base58:{hex64}"), true),
            ("digest", is_digest, &format!("Blake:{hex64}"), false),
            ("digest", is_digest, &hex64, false),
            ("host", is_host, "example.com", true),
            ("host", is_host, "example.com:5000", true),
            ("host", is_host, "[::1]:5000", true),
            ("host", is_host, "[::1]", true),
            ("host", is_host, "[x]", false),
            ("host", is_host, "a..b", false),
            ("host", is_host, "-a.b", false),
            ("host", is_host, "a:", false),
            ("host", is_host, "a:b", false),
            ("component", component, "a", true),
            ("component", component, "a__b", true),
            ("component", component, "a---b", true),
            ("component", component, "a.b_c-d", true),
            ("component", component, "a___b", false),
            ("component", component, "a..b", false),
            ("component", component, "a._b", false),
            ("component", component, "-a", false),
            ("component", component, "a-", false),
            ("component", component, "A", false),
            ("component", component, "", false),
        ];
        for (what, rule, text, expected) in cases {
            assert_eq!(rule(text), *expected, "{what} {text:?}");
        }
    }
}
