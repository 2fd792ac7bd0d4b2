//! Which lines of a comment a person really says: not those that are quoted, code, HTML, or hidden in links.

use pulldown_cmark::{Event, Options, Parser, Tag};
use std::ops::Range;

/// The lines (trimmed) that begin with a slash as GitHub would show them: in text, outside of quotes, code and HTML.
pub(super) fn spoken(text: &str) -> Vec<&str> {
    let candidates: Vec<Range<usize>> = lines(text).filter(|line| text[line.clone()].starts_with('/')).collect();
    if candidates.is_empty() {
        return Vec::new();
    }
    let said = said(text);
    candidates
        .into_iter()
        .filter(|line| {
            // Ranges come in order and do not overlap: the last one that begins at or before the slash.
            let i = said.partition_point(|range| range.start <= line.start);
            i.checked_sub(1).is_some_and(|i| said[i].contains(&line.start))
        })
        .map(|line| &text[line])
        .collect()
}

/// The ranges of the lines, without white space at their ends.
fn lines(text: &str) -> impl Iterator<Item = Range<usize>> {
    let mut offset = 0;
    text.split('\n').map(move |line| {
        let start = offset + (line.len() - line.trim_start().len());
        offset += line.len() + 1;
        start..start + line.trim().len()
    })
}

/// The ranges of text that is neither quoted nor code, HTML, struck out, or part of a link, image or table.
fn said(text: &str) -> Vec<Range<usize>> {
    let options =
        Options::ENABLE_GFM | Options::ENABLE_TABLES | Options::ENABLE_STRIKETHROUGH | Options::ENABLE_FOOTNOTES;
    let unsaid = |tag: &Tag<'_>| {
        !matches!(tag, Tag::Paragraph | Tag::Heading { .. } | Tag::List(_) | Tag::Item | Tag::Emphasis | Tag::Strong)
    };
    let mut ranges: Vec<Range<usize>> = Vec::new();
    // The open elements, and how many of them are such that what is in them does not count.
    let (mut open, mut closed_off) = (Vec::new(), 0usize);
    for (event, range) in Parser::new_ext(text, options).into_offset_iter() {
        match event {
            Event::Start(tag) => {
                open.push(unsaid(&tag));
                closed_off += usize::from(unsaid(&tag));
            }
            Event::End(_) => closed_off -= usize::from(open.pop() == Some(true)),
            Event::Text(_) if closed_off == 0 => ranges.push(range),
            _ => {}
        }
    }
    ranges.sort_by_key(|range| range.start);
    ranges
}
