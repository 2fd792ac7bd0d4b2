//! Comments as people write them, and what butler hears.

use super::*;
use jiff::Timestamp;

const BARE: Scope = Scope { bare: true };
const ADDRESSED: Scope = Scope { bare: false };

/// What was heard, in short: `promote[web]>prod@1.2`, `?plam(plan)`, `!pin`.
fn heard(text: &str, scope: Scope) -> String {
    let short = |parsed: &Parsed| match parsed {
        Parsed::Command(Command { verb, .. }) => match verb {
            Verb::Promote { components, to, version } => format!(
                "promote[{}]{}{}",
                components.join(" "),
                to.as_ref().map(|to| format!(">{to}")).unwrap_or_default(),
                version.as_ref().map(|version| format!("@{version}")).unwrap_or_default()
            ),
            Verb::Hold { words, until, reason } => format!(
                "hold[{}]{}{}",
                words.join(" "),
                until.as_ref().map(|until| format!(" until {until}")).unwrap_or_default(),
                reason.as_ref().map(|reason| format!(" for {reason:?}")).unwrap_or_default()
            ),
            Verb::Resume { words } => format!("resume[{}]", words.join(" ")),
            verb => verb.name().to_owned(),
        },
        Parsed::Unknown { verb, nearest, .. } => format!("?{verb}({})", nearest.unwrap_or_default()),
        Parsed::Invalid { verb, .. } => format!("!{verb}"),
    };
    parse(text, scope).iter().map(short).collect::<Vec<_>>().join(", ")
}

#[test]
fn arguments_of_each_command() {
    for (line, expected) in [
        ("/butler promote", "promote[]"),
        ("/butler promote web api", "promote[web api]"),
        ("/butler promote web 1.2.3", "promote[web 1.2.3]"),
        ("/butler promote to prod", "promote[]>prod"),
        ("/butler promote web to prod 1.2.3", "promote[web]>prod@1.2.3"),
        ("/butler promote web TO prod", "promote[web]>prod"),
        ("/butler promote web to", "!promote"),
        ("/butler promote web to prod 1 2", "!promote"),
        ("/butler merge", "merge"),
        ("/butler merge now", "!merge"),
        ("/butler hold", "hold[]"),
        ("/butler hold web prod", "hold[web prod]"),
        ("/butler hold web prod until 2h the database is full", "hold[web prod] until 2h for \"the database is full\""),
        ("/butler hold until 2026-12-24", "hold[] until 2026-12-24"),
        ("/butler hold web prod wait until it works", "hold[web prod wait until it works]"),
        ("/butler hold web until", "!hold"),
        ("/butler resume", "resume[]"),
        ("/butler resume web prod", "resume[web prod]"),
        ("/butler resume web prod now", "!resume"),
        ("/butler status", "status"),
        ("/butler help", "help"),
        ("/butler", "help"),
        ("/BUTLER Promote Web", "promote[Web]"),
        ("/butler\u{a0}status", "status"),
        ("/butler rollback web prod", "!rollback"),
        ("/butler promot", "?promot(promote)"),
        ("/butler frobnicate", "?frobnicate()"),
        ("/butlers status", ""),
        ("/butler/status", ""),
        ("butler status", ""),
        ("please /butler status", ""),
        ("//butler status", ""),
        ("/ butler status", ""),
        ("@butler status", ""),
    ] {
        assert_eq!(heard(line, ADDRESSED), expected, "{line}");
    }
}

#[test]
fn bare_words_count_only_where_they_may() {
    for (line, bare, addressed) in [
        ("/promote web to prod", "promote[web]>prod", ""),
        ("/Merge", "merge", ""),
        ("/lgtm", "", ""),
        ("/promotes", "?promotes(promote)", ""),
        ("/mrege", "?mrege(merge)", ""),
        ("/merg now", "?merg(merge)", ""),
        ("/emrge", "?emrge(merge)", ""),
        ("/resum", "?resum(resume)", ""),
        ("/unhold", "?unhold(resume)", ""),
        // Other bots' words, near as some are.
        ("/retest", "", ""),
        ("/rerun", "", ""),
        ("/reset", "", ""),
        ("/ok-to-test", "", ""),
        ("/close", "", ""),
        ("/cc @ann", "", ""),
        ("/assign", "", ""),
        ("/ping", "", ""),
        ("/bold", "", ""),
        ("/review", "", ""),
        ("/remove-lgtm", "", ""),
        ("/status.", "?status.(status)", ""),
        ("/etc/hosts", "", ""),
        ("/approve", "!approve", ""),
        ("/butler merge", "merge", "merge"),
        ("/", "", ""),
    ] {
        assert_eq!(heard(line, BARE), bare, "{line}");
        assert_eq!(heard(line, ADDRESSED), addressed, "{line}");
    }
}

#[test]
fn only_what_a_person_says_counts() {
    for (text, expected) in [
        ("Looks good!\n\n/promote web\n", "promote[web]"),
        ("Looks good!\n/promote web\nThanks.", "promote[web]"),
        ("/promote web\r\n/hold api\r\nthanks\r\n", "promote[web], hold[api]"),
        ("/hold web\n/promote api\n/merge", "hold[web], promote[api], merge"),
        ("  /promote web  ", "promote[web]"),
        ("**Ship it**\n/promote *web*", "promote[*web*]"),
        ("/promote web\n--\nAnn\n", "promote[web]"),
        ("- done\n- [ ] open\n\n/promote web", "promote[web]"),
        ("- done\n/promote web", "promote[web]"),
        ("1. first\n\n   /promote web", "promote[web]"),
        ("<details>\n\n/promote web\n\n</details>", "promote[web]"),
        // Quotes, and what Markdown still counts to them.
        ("> /promote web", ""),
        ("> they said\n/promote web", ""),
        ("> they said\n\n/promote web", "promote[web]"),
        ("> [!NOTE]\n> /promote web", ""),
        // Code.
        ("```\n/promote web\n```", ""),
        ("~~~sh\n/promote web\n~~~\n/hold web", "hold[web]"),
        ("```\n/promote web", ""),
        ("    /promote web", ""),
        ("\t/promote web", ""),
        ("`/promote web`", ""),
        ("see `a\n/promote web\nb` there", ""),
        // HTML.
        ("<!-- /promote web -->", ""),
        ("<!--\n/promote web\n-->\n/hold web", "hold[web]"),
        ("text <!--\n/promote web\n-->", ""),
        ("<div>\n/promote web\n</div>", ""),
        ("<pre>\n\n/promote web\n\n</pre>", ""),
        // Not at the beginning of a line, escaped, struck out, or part of something else.
        ("- /promote web", ""),
        ("# /promote web", ""),
        ("\\/promote web", ""),
        ("~~no\n/promote web\nno~~", ""),
        ("[a\n/promote web\nb](https://example.org)", ""),
        ("![a\n/promote web\nb](https://example.org)", ""),
        ("[a]:\n/promote\n", ""),
        ("a | b\n--|--\n/promote web | x\n", ""),
        ("", ""),
        ("\n\n\n", ""),
    ] {
        assert_eq!(heard(text, BARE), expected, "{text:?}");
    }
}

#[test]
fn a_comment_holds_so_many_commands() {
    let text = "/status\n".repeat(MOST_COMMANDS + 5);
    let found = parse(&text, BARE);
    assert_eq!(found.len(), MOST_COMMANDS + 1);
    let Some(Parsed::Invalid { verb: "status", why, .. }) = found.last() else { panic!("{:?}", found.last()) };
    assert_eq!(why, "a comment holds at most 20 commands; this one and all after it are left out");
    assert_eq!(heard(&format!("/promote {}", "x".repeat(1_000)), BARE), "!promote");
    assert_eq!(heard(&"/status\n".repeat(40_000), BARE), "");
}

#[test]
fn a_refusal_says_what_is_possible() {
    let told = |line: &str| match parse(line, ADDRESSED).remove(0) {
        Parsed::Invalid { why, usage, .. } => format!("{why} | {usage}"),
        parsed => format!("{parsed:?}"),
    };
    insta::assert_snapshot!(told("/butler pin web prod 1"), @"pin is not available in this version; available: promote, merge, hold, resume, status, help | pin <component> <env> <tag>");
    insta::assert_snapshot!(told("/butler merge please"), @r#"expected nothing after merge, found "please" | merge"#);
    insta::assert_snapshot!(told("/butler promote to prod 1 2"), @r#"expected one version after the environment, found "1 2" | promote [component…] [to <env>] [version]"#);
}

#[test]
fn words_of_a_hold_are_found_in_the_config() {
    let (environments, components) = (["dev", "prod", "shared"], ["web", "api", "shared"]);
    for (words, expected) in [
        ("", "- - []"),
        ("web", "web - []"),
        ("prod", "- prod []"),
        ("web prod", "web prod []"),
        ("prod web", "web prod []"),
        ("web prod the disk is full", "web prod [the disk is full]"),
        ("the disk is full", "- - [the disk is full]"),
        ("web web", "web - [web]"),
        ("shared", "- shared []"),
        ("shared prod", "shared prod []"),
        ("shared shared", "shared shared []"),
        ("web dev prod", "web dev [prod]"),
        ("prdo", "not prdo"),
        ("web prdo", "not prdo"),
        ("pro", "not pro"),
        ("pr", "not pr"),
        ("pr of friday is bad", "- - [pr of friday is bad]"),
        ("Pro is full", "not Pro"),
        ("web pro", "not pro"),
        ("web full", "web - [full]"),
        ("full", "not full"),
        ("web prod prdo", "web prod [prdo]"),
        ("all", "all - []"),
        ("ALL until it works", "all - [until it works]"),
        ("web all", "web - [all]"),
    ] {
        let words: Vec<String> = words.split_whitespace().map(ToOwned::to_owned).collect();
        let told = match resolve_hold(&words, &environments, &components) {
            Ok(held) => format!(
                "{} {} [{}]",
                held.component.as_deref().unwrap_or(if held.all { "all" } else { "-" }),
                held.environment.as_deref().unwrap_or("-"),
                held.rest.join(" ")
            ),
            Err(word) => format!("not {word}"),
        };
        assert_eq!(told, expected, "{words:?}");
    }
}

#[test]
fn when_a_hold_ends() {
    let now: Timestamp = "2026-11-21T12:00:00Z".parse().unwrap();
    for (when, expected) in [
        ("2h", "2026-11-21T14:00:00Z"),
        ("1d12h", "2026-11-23T00:00:00Z"),
        ("2026-12-24", "2026-12-24T00:00:00Z"),
        ("2026-12-24T18:00Z", "2026-12-24T18:00:00Z"),
        ("2026-12-24T18:00+01:00", "2026-12-24T17:00:00Z"),
        ("0s", "2026-11-21T12:00:00Z is not ahead: it is 2026-11-21T12:00:00Z"),
        ("2026-11-21", "2026-11-21T00:00:00Z is not ahead: it is 2026-11-21T12:00:00Z"),
        (
            "2026-12-24T18:00",
            "expected a duration (2h, 3d), a date (2026-12-24) or a time (2026-12-24T18:00Z), found \"2026-12-24T18:00\"",
        ),
        ("friday", "expected a duration (2h, 3d), a date (2026-12-24) or a time (2026-12-24T18:00Z), found \"friday\""),
    ] {
        let told = until(when, now).map_or_else(|why| why, |end| end.to_string());
        assert_eq!(told, expected, "{when}");
    }
}

/// What Markdown and the grammar react to.
const PIECES: [&str; 28] = [
    "/butler ",
    "/promote ",
    "/hold ",
    "until ",
    "to ",
    "web ",
    "x",
    "ü",
    "\u{a0}",
    "> ",
    "- ",
    "1. ",
    "# ",
    "```",
    "~~~",
    "`",
    "<!--",
    "-->",
    "<div>",
    "[",
    "](",
    ")",
    "|",
    "~~",
    "*",
    "\r\n",
    "\n",
    "    ",
];

proptest::proptest! {
    /// Markdown's pieces and slashes in any order: never a panic, and never a line that the author did not write.
    #[test]
    fn every_line_is_the_authors(
        pieces in proptest::collection::vec(proptest::sample::select(&PIECES[..]), 0..40),
        bare: bool,
    ) {
        let text = pieces.concat();
        let found = parse(&text, Scope { bare });
        proptest::prop_assert!(found.len() <= MOST_COMMANDS + 1);
        let mut lines = text.split('\n').map(str::trim);
        for parsed in &found {
            // In order, too: the search goes on behind the line before.
            proptest::prop_assert!(lines.any(|line| line == parsed.line()), "{parsed:?} in {text:?}");
        }
    }

    #[test]
    fn any_text_is_answered(text in "\\PC{0,200}", bare: bool) {
        for parsed in parse(&text, Scope { bare }) {
            proptest::prop_assert_eq!(parsed.line(), text.trim());
        }
    }
}
