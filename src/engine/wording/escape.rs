//! Outside text, made harmless for GitHub's Markdown.

/// A code span that shows `text` as it is, on one line. Nothing in it mentions, links or ends the span; a `|` would end
/// a table's cell.
pub fn code(text: &str) -> String {
    let text: String = text.chars().map(|c| if c.is_control() { ' ' } else { c }).collect();
    let text = text.replace('|', "\\|");
    let fence = "`".repeat(longest_run(&text, '`') + 1);
    let pad = if text.starts_with('`') || text.ends_with('`') || text.trim().is_empty() { " " } else { "" };
    format!("{fence}{pad}{text}{pad}{fence}")
}

/// A fenced block that no line of `text` can end.
pub fn fenced(language: &str, text: &str) -> String {
    let fence = "`".repeat(longest_run(text, '`').max(2) + 1);
    let newline = if text.ends_with('\n') { "" } else { "\n" };
    format!("{fence}{language}\n{text}{newline}{fence}\n")
}

/// Running text: every character that Markdown, GitHub's mentions and its references give a meaning is defused.
pub fn plain(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '\\' | '`' | '*' | '_' | '{' | '}' | '[' | ']' | '(' | ')' | '+' | '-' | '!' | '|' | '~' => {
                out.push('\\');
                out.push(c);
            }
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '&' => out.push_str("&amp;"),
            // A zero-width joiner behind them: GitHub looks for a name or a number right after.
            '@' => out.push_str("@\u{200d}"),
            '#' => out.push_str("#\u{200d}"),
            ':' => out.push_str(":\u{200d}"),
            c if c.is_control() => out.push(' '),
            c => out.push(c),
        }
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
    use pulldown_cmark::{Event, Parser, Tag};

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
