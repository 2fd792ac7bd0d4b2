//! What policies want: the choice of each, made once a plan, and the value that it puts on a line.

use super::{
    Fact, Facts, Need, UpdateInputs,
    history::{Stays, because},
    shadow::Choice,
    times::with_times,
    value::value_for,
};
use crate::engine::{
    dialect::{Addition, Bound, DigestReflection, Policy, PolicyState},
    image::{Reference, Repository, Tag},
    manifest::{ImageLine, Part, Scan},
    policy::TagPolicy,
};
use std::{
    cell::RefCell,
    cmp::Ordering,
    collections::{HashMap, VecDeque},
    hash::{BuildHasherDefault, Hasher},
    rc::Rc,
    sync::Arc,
};

/// What a policy wants on a line.
pub(super) struct Wanted {
    policy: Arc<TagPolicy>,
    pub chosen: Rc<Chosen>,
    pub value: String,
    pub step: Step,
}

/// Which way a change goes, by the policy's own order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Step {
    /// Or sideways, or from what the order does not compare.
    Up,
    Down,
    /// The order goes by time, and that of what stands there is not known.
    Unknown,
}

impl Step {
    fn of(chosen_beside_current: Option<Ordering>) -> Self {
        if chosen_beside_current == Some(Ordering::Less) { Step::Down } else { Step::Up }
    }
}

impl Wanted {
    pub fn choice(&self) -> Choice<'_> {
        let Wanted { policy, chosen, step, .. } = self;
        Choice { policy, repository: &chosen.image.repository, tag: &chosen.tag, lower: *step == Step::Down }
    }
}

/// The value that a policy wants; `None` where what stands there is to stay.
pub(super) fn wanted(
    choices: &Choices<'_>,
    policy: &Arc<Policy>,
    part: Part,
    line: &ImageLine,
) -> Result<Option<Wanted>, Stays> {
    let (repository, tags) = match &policy.state {
        PolicyState::Usable { repository, policy } => (repository, policy),
        PolicyState::Suspended(why) => return because("policy-suspended", why),
        PolicyState::Blocked { code, why } => return because(code, why),
        PolicyState::Invalid(why) => {
            return because("policy-invalid", format!("{}:{}: {why}", policy.file, policy.position));
        }
    };
    let alike = goes_by_value(policy, tags, line);
    if alike {
        let chosen = choices.of(policy, repository, tags)?;
        if let Some(becomes) = chosen.replacements.get(part, &line.value) {
            return Ok(becomes.map(|(value, step)| Wanted { policy: tags.clone(), chosen, value, step }));
        }
    }
    let Some(Selected { chosen, digest, step }) = select(choices, policy, repository, tags, line)? else {
        return Ok(None);
    };
    let value = match digest {
        None => value_for(line, part, &chosen.image),
        digest => value_for(line, part, &Reference { digest, ..chosen.image.clone() }),
    };
    let Some(value) = value else {
        return because("no-digest", format!("policy {} has no digest to write", policy.key));
    };
    let becomes = (value != line.value).then_some((value, step));
    if alike {
        chosen.replacements.put(part, &line.value, becomes.clone());
    }
    Ok(becomes.map(|(value, step)| Wanted { policy: tags.clone(), chosen, value, step }))
}

/// Whether what is put there depends on the policy's choice and the value alone: not so where there is no marker, or where
/// digests or times count.
fn goes_by_value(policy: &Policy, tags: &TagPolicy, line: &ImageLine) -> bool {
    line.marker.is_some() && policy.digest == DigestReflection::Never && !tags.by_time()
}

/// What a policy wants where it holds already.
pub(super) fn kept(choices: &Choices<'_>, added: &Addition) -> Result<Option<Wanted>, Stays> {
    let (policy, line) = (&added.policy, &added.field.patched);
    let PolicyState::Usable { repository, policy: tags } = &policy.state else { return Ok(None) };
    let selected = select(choices, policy, repository, tags, line)?;
    Ok(selected.map(|Selected { chosen, .. }| Wanted {
        policy: tags.clone(),
        chosen,
        value: line.value.to_string(),
        step: Step::Up,
    }))
}

/// What the lines of one plan share: a policy's choice is asked for once, when a line asks for it first.
pub(super) struct Choices<'a> {
    inputs: &'a UpdateInputs<'a>,
    made: RefCell<ByPolicy<Made>>,
    /// The reasons alone, that most lines are known again by: there are many lines, and they ask in any order. What a
    /// choice of no tag says is among them too, and known by no line.
    reasons: RefCell<ByPolicy<Option<Arc<str>>>>,
}

type ByPolicy<T> = HashMap<*const Policy, T, BuildHasherDefault<AddressHasher>>;

/// Nobody chooses addresses, so spreading them is enough: every line asks for one.
#[derive(Default)]
struct AddressHasher(u64);

impl Hasher for AddressHasher {
    fn write_usize(&mut self, address: usize) {
        // Its lowest bits are those of every other one; the factor is 2^64 divided by the golden ratio.
        self.0 = (address as u64 >> 4).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    }

    fn write(&mut self, bytes: &[u8]) {
        bytes.iter().for_each(|byte| self.0 = self.0.rotate_left(8) ^ u64::from(*byte));
    }

    fn finish(&self) -> u64 {
        // A table takes its places from the low bits, and multiplying mixes upwards.
        self.0.rotate_left(32)
    }
}

type Made = Result<Rc<Chosen>, Stays>;

/// What a policy chose.
pub(super) struct Chosen {
    /// The policy's name.
    pub key: String,
    /// The policy's image with the tag.
    pub image: Reference,
    tag: Tag,
    pub reason: Arc<str>,
    replacements: Replacements,
}

/// What the marked values that were met last are replaced by: the next line most often holds one of them.
#[derive(Default)]
struct Replacements(RefCell<VecDeque<(Part, String, Becomes)>>);

/// The new value, and which way it goes; `None` for a value that stays.
type Becomes = Option<(String, Step)>;

impl Replacements {
    /// More than a repository has spellings and versions of one image, as a rule.
    const KEPT: usize = 8;

    fn get(&self, part: Part, value: &str) -> Option<Becomes> {
        let known = self.0.borrow();
        known.iter().find(|known| known.0 == part && known.1 == value).map(|(_, _, becomes)| becomes.clone())
    }

    fn put(&self, part: Part, value: &str, becomes: Becomes) {
        let mut known = self.0.borrow_mut();
        known.truncate(Self::KEPT - 1);
        known.push_front((part, value.to_owned(), becomes));
    }
}

impl Chosen {
    fn new(policy: &Policy, tag: &Tag, reason: Arc<str>) -> Result<Rc<Self>, Stays> {
        let mut image = match Reference::parse(&policy.image) {
            Ok(image) => image,
            Err(error) => return because("policy-invalid", error.to_string()),
        };
        image.tag = Some(tag.name.clone());
        Ok(Rc::new(Chosen {
            key: policy.key.to_string(),
            image,
            tag: tag.clone(),
            reason,
            replacements: Replacements::default(),
        }))
    }
}

impl<'a> Choices<'a> {
    pub fn new(inputs: &'a UpdateInputs<'a>) -> Self {
        Choices { inputs, made: RefCell::default(), reasons: RefCell::default() }
    }

    /// The choice of a policy whose order does not look at what stands on a line.
    fn of(&self, policy: &Arc<Policy>, repository: &Repository, tags: &Arc<TagPolicy>) -> Made {
        let choose = || {
            let known = known_tags(self.inputs.facts, repository)?;
            let choice = self.inputs.snapshot.memo.select(tags, known);
            match choice.selected.and_then(|index| known.get(index)) {
                Some(tag) => Chosen::new(policy, tag, choice.reason),
                None => because("no-match", &*choice.reason),
            }
        };
        self.made.borrow_mut().entry(Arc::as_ptr(policy)).or_insert_with(choose).clone()
    }

    /// Whether the line is known to hold what its policy wants.
    pub fn is_settled(&self, Bound { binding, settled }: &Bound, scan: &Arc<Scan>) -> bool {
        let Ok(policy) = &binding.policy else { return false };
        let reason = || match &policy.state {
            PolicyState::Usable { repository, policy: tags } => {
                let known = known_tags(self.inputs.facts, repository).ok()?;
                Some(self.inputs.snapshot.memo.select(tags, known).reason)
            }
            _ => None,
        };
        settled.is_of(scan, |choice| {
            let mut reasons = self.reasons.borrow_mut();
            let reason = reasons.entry(Arc::as_ptr(policy)).or_insert_with(reason);
            reason.as_ref().is_some_and(|reason| Arc::ptr_eq(reason, choice))
        })
    }

    /// Remembers a line that holds what its policy wants.
    pub fn settle(&self, Bound { binding, settled }: &Bound, scan: &Arc<Scan>, line: &ImageLine) {
        let Ok(policy) = &binding.policy else { return };
        let PolicyState::Usable { repository, policy: tags } = &policy.state else { return };
        // Whether such a line is edited is a setting.
        if goes_by_value(policy, tags, line)
            && !line.unparsed
            && let Ok(chosen) = self.of(policy, repository, tags)
        {
            settled.set(scan, &chosen.reason);
        }
    }
}

fn known_tags<'f>(facts: &'f Facts, repository: &Repository) -> Result<&'f Arc<Vec<Tag>>, Stays> {
    match facts.tags.get(repository).map(Fact::told) {
        None => Err(Stays::Needs(Need::Tags(repository.clone()))),
        Some(Err((code, why))) => because(code, why),
        Some(Ok(tags)) => Ok(tags),
    }
}

/// What a policy wants on a line.
struct Selected {
    chosen: Rc<Chosen>,
    /// To be written with the tag.
    digest: Option<String>,
    step: Step,
}

/// The image that the policy wants on this line; `None` where the line's digest is to stay.
fn select(
    choices: &Choices<'_>,
    policy: &Arc<Policy>,
    repository: &Repository,
    tags: &Arc<TagPolicy>,
    line: &ImageLine,
) -> Result<Option<Selected>, Stays> {
    let facts = choices.inputs.facts;
    let current = current_tag(line);
    let (chosen, step) = match tags.by_time() {
        true => select_by_time(facts, policy, repository, tags, current)?,
        false => {
            let chosen = choices.of(policy, repository, tags)?;
            let other = current.filter(|current| *current != chosen.tag.name);
            let step = Step::of(other.and_then(|current| tags.compare(&chosen.tag.name, current)));
            (chosen, step)
        }
    };
    if policy.digest == DigestReflection::Never {
        return Ok(Some(Selected { chosen, digest: None, step }));
    }
    let tag = &chosen.tag;
    let running = line.image.as_deref().or(Some(&line.value)).and_then(|text| Reference::parse(text).ok());
    let pinned = running.filter(|running| running.tag.as_deref() == Some(&tag.name) && running.digest.is_some());
    if pinned.is_some() && policy.digest == DigestReflection::IfNotPresent {
        return Ok(None);
    }
    let digest = match &tag.digest {
        Some(digest) => Some(digest.clone()),
        None => match facts.digests.get(&(repository.clone(), tag.name.clone())).map(Fact::told) {
            None => return Err(Stays::Needs(Need::Digest { repository: repository.clone(), tag: tag.name.clone() })),
            Some(Err((code, why))) => return because(code, why),
            Some(Ok(None)) => {
                return because("no-digest", format!("{repository}:{} has no digest", tag.name));
            }
            Some(Ok(Some(digest))) => Some(digest.clone()),
        },
    };
    Ok(Some(Selected { chosen, digest, step }))
}

/// The choice of a policy by time: what stands on the line decides between tags of one time. What cannot be told to be
/// older than the choice (its tag is gone from the registry, or has no time) counts as newer: after a retention run or an
/// outage the newest tag that is left may be years old.
fn select_by_time(
    facts: &Facts,
    policy: &Policy,
    repository: &Repository,
    tags: &TagPolicy,
    current: Option<&str>,
) -> Result<(Rc<Chosen>, Step), Stays> {
    let known = known_tags(facts, repository)?;
    let known = with_times(facts, repository, tags, known, current)?;
    let selection = tags.select_beside(&known, current);
    let Some(tag) = selection.selected else { return because("no-match", selection.reason) };
    let running = current.and_then(|current| known.iter().find(|tag| tag.name == current));
    if tags.wants_every_time() && current != Some(&tag.name) {
        let timeless = |tag: &Tag| tag.pushed_at.is_none() && tag.created_at.is_none();
        match running {
            _ if timeless(tag) => {
                return because("no-time", format!("{repository}:{} tells no time of its creation", tag.name));
            }
            Some(running) if !timeless(running) => {}
            _ => {
                let current = current.unwrap_or("no tag");
                let why = format!(
                    "what stands there ({current}) has no time of creation in the registry, so {} cannot be told to be \
                     newer",
                    tag.name
                );
                return because("no-time", why);
            }
        }
    }
    let Some(current) = current.filter(|current| *current != tag.name) else {
        return Ok((Chosen::new(policy, tag, selection.reason.into())?, Step::Up));
    };
    let order = running.and_then(|running| tags.compare_tags(tag, running));
    let (step, reason) = match (order, running) {
        (Some(_), _) => (Step::of(order), selection.reason),
        (None, Some(_)) => (Step::Unknown, format!("{}; when {current} was built is not known", selection.reason)),
        (None, None) => (Step::Unknown, format!("{}; {current} is not in the registry", selection.reason)),
    };
    Ok((Chosen::new(policy, tag, reason.into())?, step))
}

/// The tag that stands on a line.
pub(super) fn current_tag(line: &ImageLine) -> Option<&str> {
    match line.part {
        // Nothing stands there yet.
        Part::Tag if line.is_null() || line.value.is_empty() => None,
        Part::Tag => Some(&line.value),
        Part::Reference => tag_of(&line.value),
        Part::Name | Part::Digest => None,
    }
}

/// The tag of a reference, without its digest.
pub(super) fn tag_of(text: &str) -> Option<&str> {
    let name = Reference::parse(text).ok()?.name;
    text.get(name.len()..)?.strip_prefix(':')?.split('@').next()
}
