//! Markdown as a page shows it. Everything in it is outside text: it is escaped, whatever it is. Of raw HTML, only what
//! folds a diff away is let through; comments (butler's hidden markers) are left out, as a browser would.

use pulldown_cmark::{CodeBlockKind, Event, Options, Parser, Tag, TagEnd};
use std::fmt;

/// Raw HTML that is let through, to the letter: without attributes it can do nothing but fold.
const FOLDS: [&str; 4] = ["<details>", "</details>", "<summary>", "</summary>"];

/// Text that is safe between tags and in a quoted attribute.
pub struct Escaped<'a>(pub &'a str);

impl fmt::Display for Escaped<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut rest = self.0;
        while let Some(at) = rest.find(['&', '<', '>', '"', '\'']) {
            let (before, from) = rest.split_at(at);
            f.write_str(before)?;
            f.write_str(match from.as_bytes().first() {
                Some(b'&') => "&amp;",
                Some(b'<') => "&lt;",
                Some(b'>') => "&gt;",
                Some(b'"') => "&quot;",
                _ => "&#39;",
            })?;
            rest = from.get(1..).unwrap_or_default();
        }
        f.write_str(rest)
    }
}

fn escaped(text: &str) -> String {
    Escaped(text).to_string()
}

/// Markdown as HTML.
pub fn html(markdown: &str) -> String {
    let mut page = Page::default();
    for event in Parser::new_ext(markdown, Options::ENABLE_TABLES | Options::ENABLE_STRIKETHROUGH) {
        page.event(event);
    }
    page.out
}

/// A diff with its lines coloured.
pub fn diff(patch: &str) -> String {
    let line = |line: &str| {
        let kind = match line.as_bytes().first() {
            Some(b'+') => "add",
            Some(b'-') => "del",
            Some(b'@') => "at",
            _ => return escaped(line),
        };
        format!("<span class=\"{kind}\">{}</span>", Escaped(line))
    };
    format!("<pre>{}</pre>\n", patch.lines().map(line).collect::<Vec<_>>().join("\n"))
}

#[derive(Default)]
struct Page {
    out: String,
    in_head: bool,
    /// For each open link, whether it is one.
    links: Vec<bool>,
    /// The text of the code block that is open, and whether it is a diff.
    code: Option<(String, bool)>,
    /// The lines of the HTML block that is open.
    raw: Option<String>,
}

impl Page {
    fn event(&mut self, event: Event<'_>) {
        match event {
            Event::Start(tag) => self.open(tag),
            Event::End(tag) => self.close(tag),
            Event::Text(text) => match &mut self.code {
                Some((code, _)) => code.push_str(&text),
                None => self.out.push_str(&escaped(&text)),
            },
            Event::Code(text) => self.out.push_str(&format!("<code>{}</code>", Escaped(&text))),
            Event::Html(text) => match &mut self.raw {
                Some(raw) => raw.push_str(&text),
                None => self.out.push_str(&raw_html(&text)),
            },
            Event::InlineHtml(text) => self.out.push_str(&raw_html(&text)),
            Event::SoftBreak => self.out.push('\n'),
            Event::HardBreak => self.out.push_str("<br>\n"),
            Event::Rule => self.out.push_str("<hr>\n"),
            Event::FootnoteReference(text) | Event::InlineMath(text) | Event::DisplayMath(text) => {
                self.out.push_str(&escaped(&text));
            }
            Event::TaskListMarker(done) => self.out.push_str(if done { "[x] " } else { "[ ] " }),
        }
    }

    fn open(&mut self, tag: Tag<'_>) {
        let text = match tag {
            Tag::Paragraph => "<p>".to_owned(),
            // Below the page's own headings.
            Tag::Heading { .. } => "<h3>".to_owned(),
            Tag::BlockQuote(_) => "<blockquote>".to_owned(),
            Tag::CodeBlock(kind) => {
                let diff = matches!(kind, CodeBlockKind::Fenced(language) if &*language == "diff");
                self.code = Some((String::new(), diff));
                return;
            }
            Tag::HtmlBlock => {
                self.raw = Some(String::new());
                return;
            }
            Tag::List(None) => "<ul>\n".to_owned(),
            Tag::List(Some(_)) => "<ol>\n".to_owned(),
            Tag::Item => "<li>".to_owned(),
            Tag::Table(_) => "<table>\n".to_owned(),
            Tag::TableHead => {
                self.in_head = true;
                "<tr>".to_owned()
            }
            Tag::TableRow => "<tr>".to_owned(),
            Tag::TableCell => format!("<{}>", self.cell()),
            Tag::Emphasis => "<em>".to_owned(),
            Tag::Strong => "<strong>".to_owned(),
            Tag::Strikethrough => "<del>".to_owned(),
            Tag::Link { dest_url, .. } => {
                let safe = ["https://", "http://", "/", "#"].iter().any(|begin| dest_url.starts_with(begin));
                self.links.push(safe);
                if !safe {
                    return;
                }
                format!("<a rel=\"noreferrer\" href=\"{}\">", Escaped(&dest_url))
            }
            // Of an image, its text alone: nothing is loaded.
            _ => return,
        };
        self.out.push_str(&text);
    }

    fn close(&mut self, tag: TagEnd) {
        let text = match tag {
            TagEnd::Paragraph => "</p>\n".to_owned(),
            TagEnd::Heading(_) => "</h3>\n".to_owned(),
            TagEnd::BlockQuote(_) => "</blockquote>\n".to_owned(),
            TagEnd::CodeBlock => match self.code.take() {
                Some((code, true)) => diff(&code),
                Some((code, false)) => format!("<pre>{}</pre>\n", Escaped(&code)),
                None => return,
            },
            TagEnd::HtmlBlock => raw_html(&self.raw.take().unwrap_or_default()),
            TagEnd::List(false) => "</ul>\n".to_owned(),
            TagEnd::List(true) => "</ol>\n".to_owned(),
            TagEnd::Item => "</li>\n".to_owned(),
            TagEnd::Table => "</table>\n".to_owned(),
            TagEnd::TableHead => {
                self.in_head = false;
                "</tr>\n".to_owned()
            }
            TagEnd::TableRow => "</tr>\n".to_owned(),
            TagEnd::TableCell => format!("</{}>", self.cell()),
            TagEnd::Emphasis => "</em>".to_owned(),
            TagEnd::Strong => "</strong>".to_owned(),
            TagEnd::Strikethrough => "</del>".to_owned(),
            TagEnd::Link if self.links.pop() == Some(true) => "</a>".to_owned(),
            _ => return,
        };
        self.out.push_str(&text);
    }

    fn cell(&self) -> &'static str {
        if self.in_head { "th" } else { "td" }
    }
}

/// Raw HTML: comments go, folds stay, everything else is shown as text.
fn raw_html(raw: &str) -> String {
    let (mut out, mut rest) = (String::new(), raw);
    while let Some(at) = rest.find('<') {
        let (before, from) = rest.split_at(at);
        out.push_str(&escaped(before));
        let length = if from.starts_with("<!--") {
            from.find("-->").map_or(from.len(), |end| end + "-->".len())
        } else if let Some(fold) = FOLDS.iter().find(|fold| from.starts_with(**fold)) {
            out.push_str(fold);
            fold.len()
        } else {
            out.push_str("&lt;");
            1
        };
        rest = from.get(length..).unwrap_or_default();
    }
    out + &escaped(rest)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn markdown_is_shown_and_nothing_in_it_acts() {
        #[rustfmt::skip]
        let cases = [
            ("a **b** `c<d`", "<p>a <strong>b</strong> <code>c&lt;d</code></p>\n"),
            ("| a | b |\n| - | - |\n| `1` | <b> |\n", "<table>\n<tr><th>a</th><th>b</th></tr>\n<tr><td><code>1</code></td><td>&lt;b&gt;</td></tr>\n</table>\n"),
            ("- a\n- b\n", "<ul>\n<li>a</li>\n<li>b</li>\n</ul>\n"),
            ("<script>alert(1)</script>", "&lt;script&gt;alert(1)&lt;/script&gt;"),
            ("x <img src=x onerror='alert(1)'> y", "<p>x &lt;img src=x onerror=&#39;alert(1)&#39;&gt; y</p>\n"),
            ("<details onclick=\"x\">\n", "&lt;details onclick=&quot;x&quot;&gt;\n"),
            ("<details><summary>Diff</summary>\n\n```diff\n-a\n+<b>\n```\n\n</details>\n", "<details><summary>Diff</summary>\n<pre><span class=\"del\">-a</span>\n<span class=\"add\">+&lt;b&gt;</span></pre>\n</details>\n"),
            ("<!-- butler:x\n<script> -->\n", "\n"),
            ("<!-- never closed <script>", ""),
            ("a <!-- b --> c", "<p>a  c</p>\n"),
            ("[a](javascript:alert(1))", "<p>a</p>\n"),
            ("[a](JavaScript:alert(1)) [b](data:text/html,x)", "<p>a b</p>\n"),
            ("[a](https://example.com/?\"x=<y>)", "<p><a rel=\"noreferrer\" href=\"https://example.com/?&quot;x=&lt;y&gt;\">a</a></p>\n"),
            ("![alt](https://example.com/x.png)", "<p>alt</p>\n"),
            ("```\n</pre><script>\n```\n", "<pre>&lt;/pre&gt;&lt;script&gt;\n</pre>\n"),
            ("a &lt;script&gt; b", "<p>a &lt;script&gt; b</p>\n"),
        ];
        for (markdown, expected) in cases {
            assert_eq!(html(markdown), expected, "{markdown}");
        }
    }
}
