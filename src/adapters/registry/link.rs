//! The `Link` header (RFC 8288), as far as the distribution specification uses it to page through tags.

use super::{address::authority, error::excerpt};
use url::Url;

/// The address of the next page; `Ok(None)` on the last one, the reason where the header cannot be followed.
///
/// Relative and absolute forms occur. An absolute one must name the host that answered: it would carry the
/// credentials elsewhere otherwise. Its scheme is not taken over, because a registry behind a proxy that ends TLS
/// says `http`.
pub(super) fn next_page(
    answered: &Url,
    headers: impl IntoIterator<Item = impl AsRef<str>>,
) -> Result<Option<Url>, String> {
    for header in headers {
        let Some(target) = next_target(header.as_ref()) else { continue };
        let url =
            answered.join(target).map_err(|e| format!("a Link to {:?}, which is no address: {e}", excerpt(target)))?;
        if authority(&url) != authority(answered) {
            return Err(format!("a Link to another host, {}", excerpt(&authority(&url))));
        }
        let mut next = answered.clone();
        next.set_path(url.path());
        next.set_query(url.query());
        return Ok(Some(next));
    }
    Ok(None)
}

/// The target of the first link whose relation is `next`. Commas and semicolons may stand inside `<…>`.
fn next_target(header: &str) -> Option<&str> {
    let mut rest = header;
    loop {
        let (_, after) = rest.split_once('<')?;
        let (target, after) = after.split_once('>')?;
        let parameters = after.split_once(",").map_or(after, |(before, _)| before);
        let is_next = parameters.split(';').any(|parameter| {
            parameter.split_once('=').is_some_and(|(key, value)| {
                key.trim().eq_ignore_ascii_case("rel")
                    && value.trim().trim_matches('"').split_whitespace().any(|rel| rel.eq_ignore_ascii_case("next"))
            })
        });
        if is_next {
            return Some(target);
        }
        rest = after;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn links() {
        let answered = Url::parse("https://r.example/v2/app/tags/list?n=2").unwrap();
        #[rustfmt::skip]
        let table: &[(&str, Result<Option<&str>, &str>)] = &[
            (r#"</v2/app/tags/list?last=b&n=2>; rel="next""#, Ok(Some("https://r.example/v2/app/tags/list?last=b&n=2"))),
            (r#"</v2/app/tags/list?last=b&n=2>; rel=next"#, Ok(Some("https://r.example/v2/app/tags/list?last=b&n=2"))),
            (r#"<https://r.example/v2/app/tags/list?last=b>;rel="next""#, Ok(Some("https://r.example/v2/app/tags/list?last=b"))),
            (r#"<http://r.example/v2/app/tags/list?last=b>; rel="next""#, Ok(Some("https://r.example/v2/app/tags/list?last=b"))),
            (r#"<?last=a,b;c>; title="x"; rel="next""#, Ok(Some("https://r.example/v2/app/tags/list?last=a,b;c"))),
            (r#"</first>; rel="first", </second>; rel="prev next""#, Ok(Some("https://r.example/second"))),
            (r#"</first>; rel="first""#, Ok(None)),
            ("", Ok(None)),
            ("<broken", Ok(None)),
            (r#"<https://evil.example/v2/>; rel="next""#, Err("a Link to another host, evil.example")),
            (r#"<//evil.example/v2/>; rel="next""#, Err("a Link to another host, evil.example")),
            (r#"<https://r.example:444/v2/>; rel="next""#, Err("a Link to another host, r.example:444")),
            (r#"<https://r.example@evil.example/>; rel="next""#, Err("a Link to another host, evil.example")),
        ];
        for (header, expected) in table {
            let found = next_page(&answered, [header]).map(|url| url.map(String::from));
            assert_eq!(found.as_ref().map(Option::as_deref).map_err(String::as_str), *expected, "{header}");
        }
    }
}
