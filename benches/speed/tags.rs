//! Choosing one of 100,000 tags.

use crate::generate;
use butler::engine::{
    image::Tag,
    policy::{Direction, Order, PolicyError, TagPolicy},
};
use serde_json::json;
use std::time::{Duration, Instant};

pub const COUNT: usize = 100_000;

/// A policy, and the tags that it chooses from.
pub struct Choice {
    pub name: &'static str,
    pub policy: TagPolicy,
    /// The same in ImagePolicy's words.
    pub spec: serde_json::Value,
    pub tags: Vec<Tag>,
}

pub fn choices() -> Result<[Choice; 2], PolicyError> {
    let (range, pattern, extract) = (">=1.0.0", "^main-[a-f0-9]+-(?P<ts>[0-9]+)$", "$ts");
    let versions = Order::Semver { range: range.into(), three_part: true };
    let numbers = Order::Numerical(Direction::Ascending);
    Ok([
        Choice {
            name: "semver",
            policy: TagPolicy::new(versions, None, None)?,
            spec: json!({ "policy": { "semver": { "range": range } } }),
            tags: generate::tags(0, COUNT),
        },
        Choice {
            name: "regex + numerical",
            policy: TagPolicy::new(numbers, Some((pattern, extract)), None)?,
            spec: json!({
                "policy": { "numerical": { "order": "asc" } },
                "filterTags": { "pattern": pattern, "extract": extract },
            }),
            tags: generate::tags(1, COUNT),
        },
    ])
}

pub fn print() -> Result<(), PolicyError> {
    println!("| choosing from {COUNT} tags | time | chosen |\n|---|--:|---|");
    for choice in choices()? {
        let (time, chosen) = choice.time();
        println!("| {} | {:.2} ms | {chosen} |", choice.name, time.as_secs_f64() * 1e3);
    }
    Ok(())
}

impl Choice {
    /// The shortest of several runs, and the tag.
    pub fn time(&self) -> (Duration, &str) {
        let mut best = Duration::MAX;
        let mut chosen = None;
        for _ in 0..20 {
            let start = Instant::now();
            chosen = self.policy.select(&self.tags).selected;
            best = best.min(start.elapsed());
        }
        (best, chosen.map_or("none", |tag| tag.name.as_str()))
    }
}
