//! `butler policy`: try a tag policy on a list of tags, or on those of an image.

use super::output;
use crate::engine::{
    image::{Reference, Repository, Tag},
    policy::{Direction, Order, PolicyError, Selection, TagPolicy},
};
use anstyle::{AnsiColor, Style};
use clap::{Args, ValueEnum};
use serde::{
    Deserialize, Deserializer,
    de::{MapAccess, Visitor, value::MapAccessDeserializer},
};
use std::{fmt, io::Write, process::ExitCode};

const SELECTED: Style = AnsiColor::Green.on_default().bold();
const NOTHING: Style = AnsiColor::Yellow.on_default();
const ERROR: Style = AnsiColor::Red.on_default().bold();
/// What a list of tags looks like.
const EXPECTED: &str = r#"a list of tags, ["1.2.3", …], or of objects, [{"tag": "1.2.3"}, …]"#;
/// A policy or an input that cannot be.
const USAGE: u8 = 2;
/// An input that cannot be read.
const FAILURE: u8 = 3;

/// Try a tag policy: which tag would it choose, and why
///
/// Exit code 1 where it would choose none.
#[derive(Args, Debug)]
#[command(override_usage = "butler policy [OPTIONS] --image <IMAGE>|--tags <FILE>
    --semver <RANGE>|--numerical <asc|desc>|--alphabetical <asc|desc>|--newest|
    --flux1 <PATTERN>")]
#[command(group = clap::ArgGroup::new("order").required(true))]
#[command(group = clap::ArgGroup::new("source").required(true))]
pub struct PolicyArgs {
    /// The highest version in RANGE: `1.x`, `~1.2`, `>=1.0.0 <2.0.0`, `1.27.x-0`
    #[arg(long, value_name = "RANGE", group = "order", allow_hyphen_values = true)]
    semver: Option<String>,
    /// By number: `asc` takes the highest, `desc` the lowest
    #[arg(long, value_name = "asc|desc", group = "order")]
    numerical: Option<String>,
    /// By bytes: `asc` takes the last, `desc` the first
    #[arg(long, value_name = "asc|desc", group = "order")]
    alphabetical: Option<String>,
    /// By the time at which the image was pushed, or else created
    #[arg(long, group = "order")]
    newest: bool,
    /// By a tag pattern of Flux v1: `glob:dev-*`, `semver:~1.2`, `regexp:^v`
    #[arg(long, value_name = "PATTERN", group = "order", allow_hyphen_values = true)]
    flux1: Option<String>,
    /// Only tags that match this regular expression (Go's syntax, unanchored)
    #[arg(long, value_name = "REGEX", allow_hyphen_values = true)]
    filter: Option<String>,
    /// What of the match is compared: `$1`, `$name`, `${y}${m}`; the whole tag where this is left out
    #[arg(long, value_name = "EXPR", requires = "filter", allow_hyphen_values = true)]
    extract: Option<String>,
    /// Never these tags; given at all, it replaces the default `^.*\.sig$`
    #[arg(long, value_name = "REGEX", allow_hyphen_values = true)]
    exclude: Vec<String>,
    /// Ask this image's registry for its tags: over HTTPS, on localhost over plain HTTP as docker does
    #[arg(long, value_name = "IMAGE", group = "source")]
    image: Option<String>,
    /// A JSON list of tags, or of objects with `tag`, `digest`, `pushed_at`, `created_at`; `-` is standard input
    #[arg(long, value_name = "FILE", group = "source")]
    tags: Option<String>,
    /// How to print
    #[arg(short, long, value_enum, default_value_t)]
    output: Output,
}

#[derive(Clone, Copy, Debug, Default, ValueEnum)]
enum Output {
    #[default]
    Text,
    Json,
}

/// Tries the policy. 0 where a tag is chosen, 1 where none is; 2 for a policy or a list that cannot be; 3 where the input cannot
/// be read or the registry does not answer.
pub fn run(
    args: PolicyArgs,
    fetch_tags: impl FnOnce(&Repository) -> anyhow::Result<Vec<Tag>>,
) -> anyhow::Result<ExitCode> {
    let policy = match args.policy() {
        Ok(policy) => policy,
        Err(error) => return complain(USAGE, &explain(&error, args.output)),
    };
    let (tags, current) = match args.read_tags(fetch_tags) {
        Ok(read) => read,
        Err(Unreadable::Malformed(why)) => return complain(USAGE, &why),
        Err(Unreadable::Failed(error)) => return complain(FAILURE, &format!("{error:#}")),
    };
    let selection = policy.select_beside(&tags, current.as_deref());
    print(&selection, args.output)?;
    Ok(ExitCode::from(u8::from(selection.selected.is_none())))
}

enum Unreadable {
    Malformed(String),
    Failed(anyhow::Error),
}

impl PolicyArgs {
    fn policy(&self) -> Result<TagPolicy, PolicyError> {
        let order = if let Some(range) = &self.semver {
            Order::Semver { range: range.clone(), three_part: true }
        } else if let Some(direction) = &self.numerical {
            Order::Numerical(direction.parse::<Direction>()?)
        } else if let Some(direction) = &self.alphabetical {
            Order::Alphabetical(direction.parse::<Direction>()?)
        } else if let Some(pattern) = &self.flux1 {
            Order::Flux1(pattern.clone())
        } else {
            Order::Newest
        };
        let filter = self.filter.as_deref().map(|pattern| (pattern, self.extract.as_deref().unwrap_or_default()));
        TagPolicy::new(order, filter, Some(self.exclude.clone()))
    }

    /// The tags, and the one in use where the image was given with it.
    fn read_tags(
        &self,
        fetch_tags: impl FnOnce(&Repository) -> anyhow::Result<Vec<Tag>>,
    ) -> Result<(Vec<Tag>, Option<String>), Unreadable> {
        if let Some(image) = &self.image {
            let reference = Reference::parse(image).map_err(|e| Unreadable::Malformed(e.to_string()))?;
            let mut tags = fetch_tags(&reference.repository).map_err(Unreadable::Failed)?;
            // The order in which every reader hands tags to a policy.
            tags.sort_unstable_by(|a, b| b.name.cmp(&a.name));
            return Ok((tags, reference.tag));
        }
        let file = self.tags.as_deref().unwrap_or("-");
        let (name, bytes) = super::tags::read(file).map_err(Unreadable::Failed)?;
        let tags: Vec<Listed> = serde_json::from_slice(&bytes)
            .map_err(|error| Unreadable::Malformed(super::tags::misread(name, EXPECTED, &error)))?;
        Ok((tags.into_iter().map(|listed| listed.0).collect(), None))
    }
}

/// A tag in a list: its name, or an object.
struct Listed(Tag);

impl<'de> Deserialize<'de> for Listed {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Either;
        impl<'de> Visitor<'de> for Either {
            type Value = Listed;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a tag, or an object with `tag`, `digest`, `pushed_at`, `created_at`")
            }
            fn visit_str<E>(self, name: &str) -> Result<Listed, E> {
                Ok(Listed(Tag::named(name)))
            }
            fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Listed, A::Error> {
                Tag::deserialize(MapAccessDeserializer::new(map)).map(Listed)
            }
        }
        deserializer.deserialize_any(Either)
    }
}

/// What is wrong with a policy; as text, with a caret under the place.
fn explain(error: &PolicyError, output: Output) -> String {
    let (Some(at), Output::Text) = (error.at, output) else { return error.to_string() };
    // On one line, and as wide as it looks: the caret counts characters.
    let shown = |text: &str| text.replace(['\n', '\r', '\t'], " ");
    let before = shown(error.text.get(..at).unwrap_or(&error.text));
    format!(
        "{}: {} (at byte {at})\n  {}\n  {}^",
        error.part,
        error.why,
        shown(&error.text),
        " ".repeat(before.chars().count())
    )
}

fn complain(code: u8, message: &str) -> anyhow::Result<ExitCode> {
    writeln!(anstream::stderr(), "{ERROR}error:{ERROR:#} {message}")?;
    Ok(ExitCode::from(code))
}

fn print(selection: &Selection<'_>, output: Output) -> anyhow::Result<()> {
    let mut out = anstream::stdout();
    let selected = selection.selected.map(|tag| tag.name.as_str());
    match output {
        Output::Json => {
            let json = serde_json::json!({
                "selected": selected,
                "considered": selection.considered,
                "matched": selection.matched,
                "reason": selection.reason,
            });
            writeln!(out, "{json}")?;
        }
        Output::Text => {
            match selected {
                Some(tag) => writeln!(out, "{SELECTED}{tag}{SELECTED:#}")?,
                None => {
                    writeln!(
                        anstream::stderr(),
                        "{NOTHING}no tag{NOTHING:#}\n  {}",
                        output::wrapped(&selection.reason, *output::STDERR, 2, 2)
                    )?;
                    return Ok(());
                }
            }
            writeln!(out, "  {}", output::wrapped(&selection.reason, *output::STDOUT, 2, 2))?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_caret_stands_under_the_place() {
        let error = |text: &str, at| PolicyError { part: "filter pattern", text: text.into(), why: "oops".into(), at };
        #[rustfmt::skip]
        let cases = [
            (error("ab(c", Some(2)), Output::Text, "filter pattern: oops (at byte 2)\n  ab(c\n    ^"),
            (error("é(c", Some(2)), Output::Text, "filter pattern: oops (at byte 2)\n  é(c\n   ^"),
            (error("a", Some(1)), Output::Text, "filter pattern: oops (at byte 1)\n  a\n   ^"),
            (error("a\n(", Some(2)), Output::Text, "filter pattern: oops (at byte 2)\n  a (\n    ^"),
            (error("ab(c", Some(2)), Output::Json, "filter pattern \"ab(c\": oops (at byte 2)"),
            (error("ab", None), Output::Text, "filter pattern \"ab\": oops"),
        ];
        for (error, output, expected) in cases {
            assert_eq!(explain(&error, output), expected);
        }
    }
}
