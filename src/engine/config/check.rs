//! What a key alone cannot tell: names that nobody declared, cycles, overlapping environments.

use super::{Config, Environment, decode::Decoder, name, nearest::nearest, promotion::Ends, tree::quoted};
use crate::engine::manifest::Position;
use std::collections::{HashMap, HashSet};

/// Words of the commands' grammar that a name would be mistaken for.
const RESERVED: [&str; 3] = ["all", "to", "until"];

const NAME: &str = "expected letters, digits, `-`, `_` and `.` (at most 63, a letter or digit at both ends)";

/// Names of an environment or promotion stand in refs, trailers and commands.
pub(super) fn named(d: &mut Decoder, position: Position, text: &str) {
    if !name(text) {
        d.fault(position, format!("{NAME}, found {}", quoted(text)));
    } else if RESERVED.contains(&text) {
        d.fault(position, format!("{text:?} is a word of the commands: choose another name"));
    }
}

/// How many paths, and how many edges, a file may have: each is compared with each.
const LARGEST: usize = 1_000;

/// Checks a file as a whole; `ends` are the promotions' environments, in the promotions' order.
pub(super) fn check(d: &mut Decoder, config: &Config, ends: &[Ends]) {
    duplicated_promotions(d, config);
    known_environments(d, config, ends);
    let paths: usize = config.environments.iter().map(|environment| environment.paths.len()).sum();
    let edges: usize = ends.iter().map(|ends| ends.from.len().saturating_mul(ends.to.len())).sum();
    for (count, what) in [(paths, "paths of environments"), (edges, "edges of promotions")] {
        if count > LARGEST {
            d.fault(Position { line: 1, column: 1 }, format!("expected at most {LARGEST} {what}, found {count}"));
            return;
        }
    }
    cycles(d, ends);
    overlaps(d, config);
}

fn duplicated_promotions(d: &mut Decoder, config: &Config) {
    let mut known = HashMap::new();
    for promotion in config.promotions.iter().filter(|promotion| !promotion.name.is_empty()) {
        if let Some(first) = known.insert(&promotion.name, promotion.position) {
            let message = format!("duplicate promotion {}; the first is at {first}", quoted(&promotion.name));
            d.fault(promotion.position, message);
        }
    }
}

fn known_environments(d: &mut Decoder, config: &Config, ends: &[Ends]) {
    let known: HashSet<&str> = config.environments.iter().map(|environment| environment.name.as_str()).collect();
    let mut check = |name: &str, position: Position| {
        if known.contains(name) {
            return;
        }
        let names = || config.environments.iter().map(|environment| environment.name.as_str());
        let hint = match nearest(name, names().take(200)) {
            Some(near) => format!("did you mean {near:?}?"),
            None => format!("known: {}", names().take(20).collect::<Vec<_>>().join(", ")),
        };
        d.fault(position, format!("unknown environment {}; {hint}", quoted(name)));
    };
    for ends in ends {
        for end in ends.from.iter().chain(&ends.to) {
            check(&end.value, end.position);
        }
    }
    for environment in config.images.iter().flat_map(|image| &image.environments) {
        check(&environment.value, environment.position);
    }
}

/// Promotions are a directed graph without cycles: what comes round would promote itself for ever.
fn cycles(d: &mut Decoder, ends: &[Ends]) {
    let mut edges: HashMap<&str, Vec<&str>> = HashMap::new();
    for ends in ends {
        for to in &ends.to {
            for from in &ends.from {
                if from.value == to.value {
                    let message = format!("the promotion goes from {} to itself", quoted(&to.value));
                    d.fault(to.position, message);
                } else if let Some(way) = way(&edges, &to.value, &from.value) {
                    // The edge that closes a cycle is left out, so that each cycle is told once.
                    d.fault(to.position, format!("promotions form a cycle: {} -> {}", from.value, way.join(" -> ")));
                } else {
                    edges.entry(&from.value).or_default().push(&to.value);
                }
            }
        }
    }
}

/// A way along the edges, both ends included.
fn way<'c>(edges: &HashMap<&'c str, Vec<&'c str>>, from: &'c str, to: &str) -> Option<Vec<&'c str>> {
    let mut before: HashMap<&str, &str> = HashMap::new();
    let mut open = vec![from];
    while let Some(at) = open.pop() {
        if at == to {
            let mut way = vec![at];
            while let Some(previous) = way.last().filter(|last| **last != from).and_then(|last| before.get(last)) {
                way.push(previous);
            }
            way.reverse();
            return Some(way);
        }
        for next in edges.get(at).into_iter().flatten() {
            if *next != from && !before.contains_key(next) {
                before.insert(next, at);
                open.push(next);
            }
        }
    }
    None
}

/// A file belongs to one environment of a branch. Branches are compared as they are written: which one is the default
/// branch, the file does not tell.
fn overlaps(d: &mut Decoder, config: &Config) {
    let mut by_branch: HashMap<_, Vec<&Environment>> = HashMap::new();
    for environment in &config.environments {
        let earlier = by_branch.entry((&environment.repository, &environment.branch)).or_default();
        for other in earlier.iter() {
            let both = environment.paths.iter().flat_map(|a| other.paths.iter().map(move |b| (a, b)));
            if let Some((a, b)) = both.into_iter().find(|(a, b)| a.overlaps(b)) {
                let message = format!(
                    "environment {}: its path {a} overlaps with {b} of {} (at {}) on the same branch",
                    quoted(&environment.name),
                    quoted(&other.name),
                    other.position,
                );
                d.fault(environment.position, message);
            }
        }
        earlier.push(environment);
    }
}
