//! `--tags FILE` and `--tag IMAGE:TAG`: tags given by hand instead of asked of registries.

use super::Failure;
use crate::engine::{
    config::nearest,
    image::{Reference, Repository, Tag},
};
use anyhow::Context;
use std::{collections::BTreeMap, io::Read};

/// Tags by image. What is given is an image's whole list.
pub type GivenTags = BTreeMap<Repository, Vec<Tag>>;

#[derive(clap::Args)]
pub struct TagsArgs {
    /// A JSON file of tags by image: {"IMAGE": [{"tag": "…", "digest": "…", "pushed_at": "…", "created_at": "…"}]}; `-`
    /// is standard input
    #[arg(long, value_name = "FILE")]
    tags: Option<String>,
    /// A tag of an image; may be given several times. What is given is all there is: no registry is asked
    #[arg(long, value_name = "IMAGE:TAG[@DIGEST]")]
    tag: Vec<String>,
}

/// Why a file of JSON cannot be used: its place once, what was expected, and what serde_json says. That tells the place
/// again, at its end and in words of its own, and column 0 for the first byte.
pub fn misread(file: &str, expected: &str, error: &serde_json::Error) -> String {
    let message = error.to_string();
    let why = message.rsplit_once(" at line ").map_or(message.as_str(), |(why, _)| why);
    format!("{file}:{}:{}: expected {expected}: {}", error.line().max(1), error.column().max(1), in_words(why))
}

/// What serde_json says, in words that need no knowledge of serde: what a key is called, what was expected there and
/// what was found.
fn in_words(why: &str) -> String {
    if let Some(ends) = why.strip_prefix("EOF while parsing ") {
        return format!("the text ends within {}", kind(ends));
    }
    if let Some(key) = why.strip_prefix("missing field ") {
        return format!("the key {} is missing", key.replace('`', "\""));
    }
    if let Some((key, known)) = why.strip_prefix("unknown field ").and_then(|rest| rest.split_once(", expected ")) {
        let (key, known) = (key.trim_matches('`'), known.trim_start_matches("one of "));
        let known: Vec<&str> = known.split(", ").map(|word| word.trim_matches('`')).collect();
        return match nearest(key, known.iter().copied()) {
            Some(near) => format!("unknown key {key:?}; did you mean {near:?}?"),
            None => format!("unknown key {key:?}; known here: {}", known.join(", ")),
        };
    }
    let found = |prefix| why.strip_prefix(prefix).and_then(|rest: &str| rest.rsplit_once(", expected "));
    if let Some((found, expected)) = found("invalid type: ").or_else(|| found("invalid value: ")) {
        return format!("expected {} there, found {}", kind(expected), kind(found));
    }
    match why {
        "expected value" | "expected ident" => "found something that is no JSON".to_owned(),
        "trailing characters" => "found more behind the end".to_owned(),
        other => other.replace('`', "\"").replace("duplicate field", "the key is there twice:"),
    }
}

/// Serde's word for a value, in JSON's.
fn kind(what: &str) -> String {
    for (word, shown) in
        [("a sequence", "a list"), ("sequence", "a list"), ("a map", "an object"), ("map", "an object")]
    {
        if what == word {
            return shown.to_owned();
        }
    }
    for (word, shown) in
        [("integer", "the number "), ("floating point", "the number "), ("boolean", ""), ("string", "")]
    {
        if let Some(value) = what.strip_prefix(word).and_then(|rest| rest.strip_prefix(' ')) {
            return format!("{shown}{}", value.replace('`', ""));
        }
    }
    what.to_owned()
}

/// The bytes of a file, or of standard input for `-`, and what to call it.
pub fn read(file: &str) -> anyhow::Result<(&str, Vec<u8>)> {
    if file == "-" {
        let mut bytes = Vec::new();
        std::io::stdin().read_to_end(&mut bytes).context("cannot read tags from standard input")?;
        return Ok(("<stdin>", bytes));
    }
    let bytes = std::fs::read(file).with_context(|| format!("cannot read {file}"))?;
    Ok((file, bytes))
}

impl TagsArgs {
    /// The given tags; `None` where registries are to be asked.
    pub fn given(&self) -> Result<Option<GivenTags>, Failure> {
        if self.tags.is_none() && self.tag.is_empty() {
            return Ok(None);
        }
        let mut given = GivenTags::new();
        if let Some(file) = &self.tags {
            let (file, bytes) = read(file).map_err(|error| Failure::Usage(format!("{error:#}")))?;
            let listed: BTreeMap<String, Vec<Tag>> = serde_json::from_slice(&bytes)
                .map_err(|error| Failure::Usage(misread(file, r#"{"IMAGE": [{"tag": "1.2.3"}]}"#, &error)))?;
            for (image, tags) in listed {
                let repository =
                    Repository::parse(&image).map_err(|error| Failure::Usage(format!("{file}: {error}")))?;
                for tag in &tags {
                    check(tag).map_err(|why| Failure::Usage(format!("{file}: {image}: {why}")))?;
                }
                given.entry(repository).or_default().extend(tags);
            }
        }
        for text in &self.tag {
            let reference = Reference::parse(text).map_err(|error| Failure::Usage(error.to_string()))?;
            let Some(name) = reference.tag else {
                return Err(Failure::Usage(format!("expected IMAGE:TAG, found {text:?} without a tag")));
            };
            let tag = Tag { digest: reference.digest, ..Tag::named(name) };
            given.entry(reference.repository).or_default().push(tag);
        }
        for tags in given.values_mut() {
            // As a registry's list is read: byte-descending, each name once.
            tags.sort_by(|a, b| b.name.cmp(&a.name));
            tags.dedup_by(|a, b| a.name == b.name);
        }
        Ok(Some(given))
    }
}

/// Whether a tag is one that a registry could have: it is written into files.
fn check(tag: &Tag) -> Result<(), String> {
    let parts = std::iter::once([":", &tag.name]).chain(tag.digest.as_deref().map(|digest| ["@", digest]));
    for [mark, part] in parts {
        let reference = Reference::parse(&["image", mark, part].concat()).map_err(|error| error.to_string())?;
        let read = if mark == ":" { reference.tag } else { reference.digest };
        if read.as_deref() != Some(part) {
            return Err(format!("expected a tag or digest alone, found {part:?}"));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tags_are_checked() {
        let digest = format!("sha256:{}", "1".repeat(64));
        let tag = |name: &str, digest: Option<&str>| Tag { digest: digest.map(Into::into), ..Tag::named(name) };
        assert!(check(&tag("1.2.3", Some(&digest))).is_ok() && check(&tag("_a", None)).is_ok());
        for (name, digest) in [
            ("zz zz", None),
            ("zz\n", None),
            ("", None),
            ("-a", None),
            ("a@b", None),
            ("1", Some("sha256:11")),
            ("1", Some("")),
        ] {
            assert!(check(&tag(name, digest)).is_err(), "{name:?} {digest:?}");
        }
    }

    #[test]
    fn faults_are_told_without_serdes_words() {
        #[rustfmt::skip]
        let cases = [
            ("[]", "1:1: expected X: expected an object there, found a list"),
            ("{\"a\": {}}", "1:6: expected X: expected a list there, found an object"),
            ("{\"a\": [\n \"1.2.3\"]}", "2:8: expected X: expected an object such as {\"tag\": \"1.2.3\"} there, found \"1.2.3\""),
            ("{\"a\": [{\"tag\": 1}]}", "1:16: expected X: expected a string there, found the number 1"),
            ("{\"a\": [{\"tag\": true}]}", "1:19: expected X: expected a string there, found true"),
            ("{\"a\": [{\"tag\": null}]}", "1:19: expected X: expected a string there, found null"),
            ("{\"a\": [{\"tagg\": \"1\"}]}", "1:14: expected X: unknown key \"tagg\"; did you mean \"tag\"?"),
            ("{\"a\": [{\"size\": \"1\"}]}", "1:14: expected X: unknown key \"size\"; known here: tag, digest, pushed_at, created_at"),
            ("{\"a\": [{}]}", "1:9: expected X: the key \"tag\" is missing"),
            ("{\"a\": [", "1:7: expected X: the text ends within a list"),
            ("nothing", "1:2: expected X: found something that is no JSON"),
            ("{} {}", "1:4: expected X: found more behind the end"),
            ("{\"a\": [[1]]}", "1:9: expected X: expected a string there, found the number 1"),
        ];
        for (text, expected) in cases {
            let error = serde_json::from_str::<BTreeMap<String, Vec<Tag>>>(text).unwrap_err();
            assert_eq!(misread("F", "X", &error), format!("F:{expected}"), "{text}");
        }
    }
}
