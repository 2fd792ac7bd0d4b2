//! The choice of one tag from a list.

use super::{
    CompiledOrder, Direction, Selection, TagPolicy,
    filter::{Filter, Locations},
    newest,
    number::Number,
    reason,
};
use crate::engine::image::Tag;
use std::{borrow::Cow, cmp::Ordering};

/// A tag that passed exclusions and filter, and the part of it that is compared.
pub(super) type Candidate<'a> = (&'a Tag, Cow<'a, str>);

/// What became of a list of tags.
pub(super) struct Tally<'a> {
    pub considered: usize,
    pub excluded: usize,
    pub candidates: Vec<Candidate<'a>>,
    pub matched: usize,
    /// Candidates that are no number, or have no time.
    pub left_out: Vec<&'a str>,
}

impl<'a> Tally<'a> {
    fn new(considered: usize) -> Self {
        let candidates = Vec::with_capacity(considered);
        Tally { considered, excluded: 0, candidates, matched: 0, left_out: Vec::new() }
    }
}

/// How many tags are filtered before they are ranked: what has been read is still at hand then, which of 100,000 it
/// would not be.
const ROUND: usize = 256;

/// The candidates of some tags behind those that were ranked before.
struct Round<'t, 'a> {
    candidates: &'t [Candidate<'a>],
    /// How many of them were ranked before, and which of those is the best.
    ranked: usize,
    best: Option<usize>,
    filtered: bool,
}

/// What became of a round: the best so far, how many have a rank at all, and those that have none.
struct Ranked<'a> {
    best: Option<usize>,
    matched: usize,
    left_out: Vec<&'a str>,
}

/// Which of two equal candidates is taken.
#[derive(Clone, Copy)]
enum Tie {
    First,
    Last,
}

impl<'t, 'a> Round<'t, 'a> {
    fn rank<K: Ord>(self, direction: Direction, tie: Tie, rank: impl Fn(&'t str) -> Option<K>) -> Ranked<'a> {
        let later = match tie {
            Tie::First => Ordering::Less,
            Tie::Last => Ordering::Greater,
        };
        let mut ranked = Ranked { best: self.best, matched: 0, left_out: Vec::new() };
        let mut best = self.best.and_then(|at| {
            let (tag, key) = self.candidates.get(at)?;
            Some((rank(key)?, key, *tag))
        });
        for (at, (tag, key)) in self.candidates.iter().enumerate().skip(self.ranked) {
            let Some(rank) = rank(key) else {
                ranked.left_out.push(&tag.name);
                continue;
            };
            ranked.matched += 1;
            let better = best.as_ref().is_none_or(|(best_rank, best_key, best_tag)| {
                let by_key = || match tie {
                    Tie::First => best_key.cmp(&key),
                    Tie::Last => key.cmp(best_key),
                };
                let order = direction.apply(rank.cmp(best_rank));
                let order = match self.filtered {
                    false => order.then(later),
                    true => order.then_with(by_key).then_with(|| best_tag.name.cmp(&tag.name)),
                };
                order.is_gt()
            });
            if better {
                best = Some((rank, key, tag));
                ranked.best = Some(at);
            }
        }
        ranked
    }
}

impl TagPolicy {
    /// Chooses one of `tags`; ties go by the order given (readers sort byte-descending first): of equal versions the
    /// first, of equal numbers the last. Where a filter stands between, keys are taken in the order of their bytes, and
    /// of several tags with one key the smallest is kept.
    pub fn select<'a>(&self, tags: &'a [Tag]) -> Selection<'a> {
        self.select_beside(tags, None)
    }

    /// As [`Self::select`]; `current` is the tag in use, whose shape decides between tags of one time.
    pub fn select_beside<'a>(&self, tags: &'a [Tag], current: Option<&str>) -> Selection<'a> {
        let (tally, selected) = match &self.order {
            CompiledOrder::Semver { .. } => {
                let version = |round: Round<'_, 'a>| {
                    round.rank(Direction::Ascending, Tie::First, |key| self.version_in_range(key))
                };
                let (mut tally, best) = self.best(tags, version);
                // Versions out of range are no finding.
                tally.left_out.clear();
                (tally, best)
            }
            CompiledOrder::Numerical(direction) => {
                self.best(tags, |round| round.rank(*direction, Tie::Last, Number::parse))
            }
            CompiledOrder::Alphabetical(direction) => self.best(tags, |round| round.rank(*direction, Tie::Last, Some)),
            CompiledOrder::Newest => by_time(self.candidates(tags), current),
            CompiledOrder::Flux1(pattern) => {
                let mut tally = self.candidates(tags);
                let taken = tally.candidates.iter().map(|(tag, _)| *tag).filter(|tag| pattern.takes(&tag.name));
                let (matched, best) = (taken.clone().count(), taken.max_by(|a, b| pattern.compare(a, b)));
                tally.matched = matched;
                (tally, best)
            }
        };
        let reason = match selected {
            Some(tag) => reason::chosen(self, tag, &tally),
            None => reason::none(self, tags, &tally),
        };
        Selection { selected, considered: tally.considered, matched: tally.matched, reason }
    }

    pub(super) fn candidates<'a>(&self, tags: &'a [Tag]) -> Tally<'a> {
        let mut tally = Tally::new(tags.len());
        self.admit(tags, &mut self.filter.as_ref().map(Filter::locations), &mut tally);
        tally
    }

    fn best<'a>(&self, tags: &'a [Tag], rank: impl Fn(Round<'_, 'a>) -> Ranked<'a>) -> (Tally<'a>, Option<&'a Tag>) {
        let mut tally = Tally::new(tags.len());
        let mut locations = self.filter.as_ref().map(Filter::locations);
        let mut best = None;
        for tags in tags.chunks(ROUND) {
            let ranked = tally.candidates.len();
            self.admit(tags, &mut locations, &mut tally);
            let round = Round { candidates: &tally.candidates, ranked, best, filtered: self.filter.is_some() };
            let ranked = rank(round);
            best = ranked.best;
            tally.matched += ranked.matched;
            tally.left_out.extend(ranked.left_out);
        }
        let best = best.and_then(|at| tally.candidates.get(at)).map(|(tag, _)| *tag);
        (tally, best)
    }

    /// Adds what passes exclusions and filter. `locations`: the filter's, where there is one.
    fn admit<'a>(&self, tags: &'a [Tag], locations: &mut Option<Locations>, tally: &mut Tally<'a>) {
        for tag in tags {
            if self.exclusions.exclude(&tag.name) {
                tally.excluded += 1;
                continue;
            }
            let key = match (&self.filter, &mut *locations) {
                (Some(filter), Some(locations)) => filter.key(&tag.name, locations),
                _ => Some(Cow::Borrowed(tag.name.as_str())),
            };
            tally.candidates.extend(key.map(|key| (tag, key)));
        }
    }
}

fn by_time<'a>(mut tally: Tally<'a>, current: Option<&str>) -> (Tally<'a>, Option<&'a Tag>) {
    let (timed, timeless): (Vec<_>, Vec<_>) =
        tally.candidates.iter().map(|(tag, _)| *tag).partition(|tag| newest::time(tag).is_some());
    let best = timed.iter().copied().max_by(|a, b| {
        newest::time(a).cmp(&newest::time(b)).then_with(|| newest::break_tie(&a.name, &b.name, current))
    });
    tally.matched = timed.len();
    tally.left_out = timeless.into_iter().map(|tag| tag.name.as_str()).collect();
    (tally, best)
}
