//! The choice of one tag from a list.

use super::{CompiledOrder, Direction, Selection, TagPolicy, newest, number::Number, reason};
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

/// Which of two equal candidates is taken.
#[derive(Clone, Copy)]
enum Tie {
    First,
    Last,
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
        let mut tally = self.candidates(tags);
        let (selected, matched, left_out) = match &self.order {
            CompiledOrder::Semver { .. } => {
                let (best, matched, _) =
                    self.best(&tally, Direction::Ascending, Tie::First, |key| self.version_in_range(key));
                // Versions out of range are no finding.
                (best, matched, Vec::new())
            }
            CompiledOrder::Numerical(direction) => self.best(&tally, *direction, Tie::Last, Number::parse),
            CompiledOrder::Alphabetical(direction) => self.best(&tally, *direction, Tie::Last, Some),
            CompiledOrder::Newest => by_time(&tally, current),
            CompiledOrder::Flux1(pattern) => {
                let taken = tally.candidates.iter().map(|(tag, _)| *tag).filter(|tag| pattern.takes(&tag.name));
                let matched = taken.clone().count();
                (taken.max_by(|a, b| pattern.compare(a, b)), matched, Vec::new())
            }
        };
        tally.matched = matched;
        tally.left_out = left_out;
        let reason = match selected {
            Some(tag) => reason::chosen(self, tag, &tally),
            None => reason::none(self, tags, &tally),
        };
        Selection { selected, considered: tally.considered, matched, reason }
    }

    pub(super) fn candidates<'a>(&self, tags: &'a [Tag]) -> Tally<'a> {
        let mut excluded = 0;
        let mut candidates = Vec::with_capacity(tags.len());
        let mut filter = self.filter.as_ref().map(|filter| (filter, filter.locations()));
        for tag in tags {
            if self.exclusions.exclude(&tag.name) {
                excluded += 1;
                continue;
            }
            let key = match &mut filter {
                Some((filter, locations)) => filter.key(&tag.name, locations),
                None => Some(Cow::Borrowed(tag.name.as_str())),
            };
            candidates.extend(key.map(|key| (tag, key)));
        }
        Tally { considered: tags.len(), excluded, candidates, matched: 0, left_out: Vec::new() }
    }

    /// The best candidate, how many have a rank at all, and those that have none.
    fn best<'a, 't, K: Ord>(
        &self,
        tally: &'t Tally<'a>,
        direction: Direction,
        tie: Tie,
        rank: impl Fn(&'t str) -> Option<K>,
    ) -> (Option<&'a Tag>, usize, Vec<&'a str>) {
        let filtered = self.filter.is_some();
        let (mut matched, mut left_out) = (0, Vec::new());
        let mut best: Option<(K, &'t str, &'a Tag)> = None;
        for (tag, key) in &tally.candidates {
            let Some(rank) = rank(key) else {
                left_out.push(tag.name.as_str());
                continue;
            };
            matched += 1;
            let better = best.as_ref().is_none_or(|(best_rank, best_key, best_tag)| {
                let later = match tie {
                    Tie::First => Ordering::Less,
                    Tie::Last => Ordering::Greater,
                };
                let by_key = || match tie {
                    Tie::First => (*best_key).cmp(key),
                    Tie::Last => (**key).cmp(best_key),
                };
                let order = direction.apply(rank.cmp(best_rank));
                let order = match filtered {
                    false => order.then(later),
                    true => order.then_with(by_key).then_with(|| best_tag.name.cmp(&tag.name)),
                };
                order.is_gt()
            });
            if better {
                best = Some((rank, key, tag));
            }
        }
        (best.map(|(_, _, tag)| tag), matched, left_out)
    }
}

fn by_time<'a>(tally: &Tally<'a>, current: Option<&str>) -> (Option<&'a Tag>, usize, Vec<&'a str>) {
    let (timed, timeless): (Vec<_>, Vec<_>) =
        tally.candidates.iter().map(|(tag, _)| *tag).partition(|tag| newest::time(tag).is_some());
    let best = timed.iter().copied().max_by(|a, b| {
        newest::time(a).cmp(&newest::time(b)).then_with(|| newest::break_tie(&a.name, &b.name, current))
    });
    (best, timed.len(), timeless.into_iter().map(|tag| tag.name.as_str()).collect())
}
