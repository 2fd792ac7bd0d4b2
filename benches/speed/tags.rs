//! Choosing one of 100,000 tags.

use crate::generate;
use butler::engine::{
    image::Tag,
    policy::{Direction, Order, TagPolicy},
};
use std::time::{Duration, Instant};

const COUNT: usize = 100_000;

/// A policy, and the tags that it chooses from.
pub struct Choice {
    pub name: &'static str,
    pub policy: TagPolicy,
    pub tags: Vec<Tag>,
}

pub fn choices() -> Vec<Choice> {
    let policy = |order, filter| TagPolicy::new(order, filter, None).ok();
    let range = Order::Semver { range: ">=1.0.0".into(), three_part: true };
    let versions = policy(range, None).map(|policy| Choice { name: "semver", policy, tags: generate::tags(0, COUNT) });
    let filter = ("^main-[a-f0-9]+-(?P<ts>[0-9]+)$", "$ts");
    let numbers = policy(Order::Numerical(Direction::Ascending), Some(filter));
    let numbers = numbers.map(|policy| Choice { name: "regex + numerical", policy, tags: generate::tags(1, COUNT) });
    versions.into_iter().chain(numbers).collect()
}

pub fn print() {
    println!("| choosing from {COUNT} tags | time | chosen |\n|---|--:|---|");
    for choice in choices() {
        let (time, chosen) = choice.time();
        println!("| {} | {:.2} ms | {chosen} |", choice.name, time.as_secs_f64() * 1e3);
    }
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
