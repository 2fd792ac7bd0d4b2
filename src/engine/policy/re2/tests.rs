use super::*;
use proptest::prelude::*;

#[test]
fn matches_as_go_does() {
    #[rustfmt::skip]
    let cases = [
        // pattern, texts that match, texts that do not
        (r"prod-", "prod-1 nonprod-2", "dev"),
        (r"^main-[a-f0-9]+-(?P<ts>[0-9]+)", "main-abc-12", "main--12"),
        (r"(?i)^rc", "RC1 rc2", "xrc"),
        (r"^\d+$", "12", "١٢ 1a"),
        (r"^\w+$", "a_1", "é"),
        (r"\bdev\b", "x-dev-1", "devel"),
        (r"^a.b$", "axb", "ab"),
        (r"^\Qa.b*\E$", "a.b*", "axb"),
        (r"^\Qa.b", "a.bc", "axb"),
        (r"^\141\x62\x{63}\0*$", "abc", "ab"),
        (r"^a{,2}$", "a{,2}", "a aa"),
        (r"^{x}$", "{x}", "x"),
        (r"^a{2}$", "aa", "a a{2}"),
        (r"^[a&&b]+$", "a&b", "c"),
        (r"^[+--b]+$", "+ , - b", "a"),
        (r"^[[a]+$", "[a", "b"),
        (r"^[]a]+$", "]a", "b"),
        (r"^[^]a]+$", "b", "] a"),
        (r"^[a-]+$", "a-", "b"),
        (r"^[\d-z]+$", "1-z", "y"),
        (r"^[[:alpha:]_]+$", "a_B", "1"),
        (r"^[^\D]$", "1", "a"),
        (r"^\<x\>$", "<x>", "x"),
        (r"^\_\-\/$", "_-/", "x"),
        (r"^(?:a|b)+?$", "abba", "c"),
        (r"^(?P<2nd>a)(?<n>b)$", "ab", "a"),
        (r"^(?s-i:.)x#y&z~$", "ax#y&z~", "axx#y&z~"),
        (r"^\pL\p{Lu}\P{^Nd}$", "aB1", "ab1"),
        (r"^\p{Letter}\p{uppercase-letter}\p{greek}\P{Any}?$", "aBα", "abα aBb"),
        (r"(a){0}(b)?$", "a b", ""),
        (r"^a(?i)b|c$", "aB ac C", "Ax"),
        (r"(|a)+", "x", ""),
        (r"^\z|x$", "x", "y"),
    ];
    for (pattern, matching, other) in cases {
        let regex = Pattern::compile(pattern).unwrap_or_else(|e| panic!("{pattern}: {e:?}")).regex;
        for (texts, expected) in [(matching, true), (other, false)] {
            for text in texts.split_whitespace() {
                assert_eq!(regex.is_match(text), expected, "{pattern} on {text:?} ({})", regex.as_str());
            }
        }
    }
}

#[test]
fn what_go_refuses_is_refused_with_its_place() {
    #[rustfmt::skip]
    let cases = [
        ("^test-(.*", 6, "missing `)`"),
        ("a)", 1, "closes no group"),
        (r"(a)\1", 3, "back-references"),
        (r"a\", 1, "backslash at the end"),
        (r"\C", 0, "not an escape"),
        (r"\h", 0, "not an escape"),
        (r"\Z", 0, "not an escape"),
        (r"\xZZ", 0, "not an escape"),
        (r"\x{110000}", 0, "not an escape"),
        (r"\x4", 0, "not an escape"),
        ("a**", 2, "repeats a repetition"),
        ("a*??", 3, "repeats a repetition"),
        ("a{2}{3}", 4, "repeats a repetition"),
        ("*a", 0, "nothing to repeat"),
        ("a|+", 2, "nothing to repeat"),
        ("(?i)*", 0, "after flags"),
        ("a{1001}", 1, "at most 1000"),
        ("a{3,2}", 1, "at most 1000"),
        ("((a{100}){100}){100}", 9, "more than 1000 times"),
        ("(?=a)", 0, "no lookaround"),
        ("(?<=a)", 0, "no lookaround"),
        ("(?x)a", 0, "no lookaround"),
        ("(?i-)a", 0, "no lookaround"),
        ("(?P<a b>x)", 0, "group name"),
        ("ab[c", 2, "missing `]`"),
        ("[]", 0, "missing `]`"),
        ("[z-a]", 1, "backwards"),
        (r"[a-\d]", 1, "ends in a class"),
        ("[[:nope:]]", 1, "POSIX"),
        (r"[\b]", 1, "not an escape"),
        (r"\p{Nope}", 0, "Unicode"),
        (r"\p{Emoji}", 0, "Unicode"),
        (r"[\p{IsGreek}]", 1, "Unicode"),
        (r"\p{Greek", 0, "missing `}`"),
    ];
    for (pattern, at, why) in cases {
        let error = Pattern::compile(pattern).expect_err(pattern);
        assert!(error.at == at && error.why.contains(why), "{pattern}: {error:?}");
    }
    assert!(Pattern::compile(&"a".repeat(PATTERN_MAX + 1)).unwrap_err().why.contains("at most"));
    assert!(Pattern::compile(r"(\pL{1000}|\pN{1000}){1}").unwrap_err().why.contains("compiles to more"));
    assert!(Pattern::compile(&"(".repeat(16_000)).is_err());
}

#[test]
fn the_prefix_is_what_every_match_begins_with() {
    #[rustfmt::skip]
    let cases = [
        ("^release-", "release-"), ("release-.*", "release-"), ("^ab*", "a"), ("^ab+", "ab"), ("^(a)", ""),
        ("^a|b", ""), ("(?i)abc", ""), (r"^v\d", "v"), (r"^v\.1", "v.1"), ("a^b", "a"), ("^a{2}b", ""),
    ];
    for (pattern, prefix) in cases {
        assert_eq!(Pattern::compile(pattern).unwrap().prefix, prefix, "{pattern}");
    }
}

proptest! {
    #[test]
    fn compiling_never_panics(
        pattern in "\\PC{0,20}|[ab0-9(){}\\[\\]^$.*+?|\\\\,:<>P=imsUQExdwpLN&~-]{0,20}",
        text in "[ab0-9-]{0,8}",
    ) {
        match Pattern::compile(&pattern) {
            Ok(compiled) => {
                prop_assert_eq!(compiled.regex.captures_len(), compiled.groups.len());
                if let Some(found) = compiled.regex.find(&text) {
                    prop_assert!(found.as_str().starts_with(&compiled.prefix), "{} {:?}", pattern, text);
                }
            }
            Err(error) => prop_assert!(error.at <= pattern.len() && pattern.is_char_boundary(error.at)),
        }
    }
}
