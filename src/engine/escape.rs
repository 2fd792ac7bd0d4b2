//! Outside text, made harmless for GitHub's Markdown.

use jiff::Timestamp;

/// A moment as people read it, to the minute: `2026-03-02 09:00 UTC`.
pub fn time(at: Timestamp) -> String {
    at.strftime("%Y-%m-%d %H:%M UTC").to_string()
}

/// A code span that shows `text` as it is, on one line. Nothing in it mentions, links or ends the span; a `|` would end
/// a table's cell.
pub fn code(text: &str) -> String {
    let text: String = text.chars().map(shown).collect();
    let text = text.replace('|', "\\|");
    let fence = "`".repeat(longest_run(&text, '`') + 1);
    let pad = if text.starts_with('`') || text.ends_with('`') || text.trim().is_empty() { " " } else { "" };
    format!("{fence}{pad}{text}{pad}{fence}")
}

/// A line's end would end the span or the row, and what turns the direction of writing would show another text.
fn shown(c: char) -> char {
    match c {
        '\u{61c}' | '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}' => '\u{fffd}',
        '\u{2028}' | '\u{2029}' => ' ',
        c if c.is_control() => ' ',
        c => c,
    }
}

/// A fenced block that no line of `text` can end.
pub fn fenced(language: &str, text: &str) -> String {
    let fence = "`".repeat(longest_run(text, '`').max(2) + 1);
    let newline = if text.ends_with('\n') { "" } else { "\n" };
    format!("{fence}{language}\n{text}{newline}{fence}\n")
}

/// What GitHub looks at text for after Markdown: mentions, references (`#1`, `GH-1`, `TICKET-1`), addresses, commits.
/// Nothing of it goes on behind this, which shows nothing.
pub(crate) const BREAK: char = '\u{200d}';

/// Running text: every character that Markdown, GitHub's mentions and its references give a meaning is defused.
pub fn plain(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    // How many letters of what may be a commit's id, or of `www`, stand right before.
    let (mut hex, mut www) = (0, 0);
    for c in text.chars().map(shown) {
        if c.is_ascii_hexdigit() && hex == 6 {
            // GitHub takes seven for a commit.
            out.push(BREAK);
            hex = 0;
        }
        hex = if c.is_ascii_hexdigit() { hex + 1 } else { 0 };
        match c {
            '.' if www >= 3 => out.extend([BREAK, '.']),
            '-' => out.extend(['\\', '-', BREAK]),
            '\\' | '`' | '*' | '_' | '{' | '}' | '[' | ']' | '(' | ')' | '+' | '!' | '|' | '~' => out.extend(['\\', c]),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '&' => out.push_str("&amp;"),
            '@' | '#' | ':' => out.extend([c, BREAK]),
            c => out.push(c),
        }
        www = if c.eq_ignore_ascii_case(&'w') { www + 1 } else { 0 };
    }
    out
}

fn longest_run(text: &str, wanted: char) -> usize {
    let (mut longest, mut run) = (0, 0);
    for c in text.chars() {
        run = if c == wanted { run + 1 } else { 0 };
        longest = longest.max(run);
    }
    longest
}

#[cfg(test)]
mod tests {
    use super::*;
    use pulldown_cmark::{Event, Options, Parser, Tag};
    use std::sync::LazyLock;

    /// What GitHub would make something of in running text, after Markdown.
    fn fires(shown: &str) -> bool {
        static PATTERN: LazyLock<regex::Regex> = LazyLock::new(|| {
            regex::Regex::new(r"(?i)@[a-z0-9]|#[0-9]|[a-z]-[0-9]|[a-z]://|www\.|[0-9a-f]{7}|mailto:[a-z0-9]|[\u202a-\u202e\u2066-\u2069]")
                .unwrap()
        });
        PATTERN.is_match(shown)
    }

    proptest::proptest! {
        /// Whatever stands in a tag, a name or a message: it is shown, and nobody is called and nothing linked.
        #[test]
        fn nothing_fires_from_outside_text(
            pieces in proptest::collection::vec(proptest::sample::select(&PIECES[..]), 0..30),
            around: bool,
        ) {
            let text = pieces.concat();
            for rendered in [plain(&text), code(&text)] {
                let rendered = if around { format!("- {rendered}: {rendered}.\n") } else { rendered };
                let mut running = String::new();
                for event in Parser::new_ext(&rendered, Options::ENABLE_GFM | Options::ENABLE_TABLES | Options::ENABLE_STRIKETHROUGH) {
                    match event {
                        Event::Text(shown) => running.push_str(&shown),
                        Event::SoftBreak => running.push(' '),
                        Event::Code(_) => running.push('\u{fffc}'),
                        Event::Start(Tag::Paragraph | Tag::List(_) | Tag::Item) | Event::End(_) => {}
                        event => proptest::prop_assert!(false, "{text:?} became {event:?} in {rendered:?}"),
                    }
                }
                proptest::prop_assert!(!fires(&running), "{text:?}: {running:?}");
            }
        }
    }

    const PIECES: [&str; 34] = [
        "@",
        "ann",
        "org/team",
        "#",
        "12",
        "GH-",
        "ABC-1",
        "http",
        "https://",
        "www.",
        "WwW.",
        "example.com",
        "mailto:",
        ":",
        "/",
        "deadbee",
        "f",
        "c0ffee1",
        "`",
        "``",
        "|",
        "*",
        "_",
        "~~",
        "<b>",
        "<!--",
        "-->",
        "[a](b)",
        "![",
        "&amp;",
        "\n",
        " ",
        "\u{202e}",
        "\\",
    ];

    const HOSTILE: &[&str] = &[
        "@org/team",
        "<img src=x onerror=alert(1)>",
        "[click](https://example.com)",
        "``` \n@someone",
        "`@someone`",
        "a|b",
        "#12 and GH-12",
        "https://example.com/x",
        "<!-- butler:reply:1 -->",
        "",
        "`",
    ];

    #[test]
    fn outside_text_renders_as_text_only() {
        for text in HOSTILE {
            for rendered in [code(text), plain(text)] {
                for event in Parser::new(&rendered) {
                    let harmless = matches!(
                        event,
                        Event::Text(_)
                            | Event::Code(_)
                            | Event::Start(Tag::Paragraph)
                            | Event::End(_)
                            | Event::SoftBreak
                    );
                    assert!(harmless, "{text:?} became {event:?}");
                }
            }
            let block = fenced("diff", text);
            let events: Vec<_> = Parser::new(&block).collect();
            assert!(matches!(events.first(), Some(Event::Start(Tag::CodeBlock(_)))), "{text:?}");
            assert!(
                events[1..].iter().all(|event| matches!(event, Event::Text(_) | Event::End(_))),
                "{text:?}: {events:?}"
            );
        }
    }
}
