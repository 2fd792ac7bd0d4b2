//! Lines that somebody else writes: what stands there now, beside what butler would have put there. Nothing is
//! remembered: the plan itself says at every look what is wanted now, and what stands there tells the rest.

use super::{
    Fact, Need, UpdateInputs,
    wanted::{current_tag, tag_of},
};
use crate::engine::{
    image::{Reference, Repository, Tag},
    manifest::{ImageLine, Part},
    policy::TagPolicy,
    wording::time,
};
use jiff::{SignedDuration, Timestamp};
use std::cmp::Ordering;

/// How long after its last release Flux v1 is still the writer of what its annotations automate.
const FLUX_V1_WRITES: SignedDuration = SignedDuration::from_hours(14 * 24);

/// Flux v1, where it released something on this branch lately and butler was not told to take over. Nothing in the
/// repository says that it is gone: only that it has stopped committing does.
pub(super) fn flux_v1(inputs: &UpdateInputs<'_>) -> Result<Option<String>, Need> {
    let bindings = inputs.bindings;
    if inputs.take_over || !inputs.with_history || !bindings.policies.iter().any(|policy| policy.is_flux_v1()) {
        return Ok(None);
    }
    match inputs.facts.flux_v1.get(inputs.branch) {
        None => Err(Need::FluxV1 { branch: inputs.branch.to_owned() }),
        Some(Fact::Known { value: Some(last), .. }) if inputs.now.duration_since(last.at) < FLUX_V1_WRITES => {
            let id = last.commit.get(..7).unwrap_or(&last.commit);
            Ok(Some(format!("Flux v1: released {id} at {}", time(last.at))))
        }
        Some(Fact::Known { .. } | Fact::Unavailable { .. } | Fact::NotGiven { .. }) => Ok(None),
    }
}

/// What is to be known of a change whose line somebody else writes. A line without a change agrees.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Shadowed {
    /// Who writes it: `Flux: ImageUpdateAutomation/ns/name`.
    pub by: String,
    pub stands: Stands,
}

/// What stands on a line that does not hold what butler would have put there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Stands {
    /// Something older that the policy allows as well: its writer has not come to it yet.
    Waits {
        /// When the wanted image was pushed, where the registry tells it.
        since: Option<Timestamp>,
    },
    /// Something that the policy would not have been followed to; a sentence says why.
    Differs(String),
}

impl Shadowed {
    /// Why the line does not hold what butler would ever have left there; `None` where it is only behind.
    pub fn differs(&self) -> Option<&str> {
        match &self.stands {
            Stands::Waits { .. } => None,
            Stands::Differs(why) => Some(why),
        }
    }
}

/// What a policy chose, beside which a line is looked at.
#[derive(Clone, Copy)]
pub(super) struct Choice<'a> {
    pub policy: &'a TagPolicy,
    pub repository: &'a Repository,
    pub tag: &'a Tag,
    /// Lower than what stands there, by the policy's own order.
    pub lower: bool,
}

/// What stands on a line whose part the policy wants to be something else.
pub(super) fn stands(choice: &Choice<'_>, part: Part, line: &ImageLine) -> Stands {
    let Choice { policy, repository, tag, lower } = *choice;
    let image = line.image.as_deref().unwrap_or(&line.value);
    let running = matches!(part, Part::Reference | Part::Name).then(|| Reference::parse(image));
    let current = match (part, &running) {
        // What it is the digest of, where that is written beside it.
        (Part::Digest, _) => line.image.as_deref().and_then(tag_of),
        (Part::Reference, Some(Ok(running))) if line.part == part && *image == *line.value => running.tag.as_deref(),
        _ => current_tag(line),
    };
    // A field without a value has nothing yet.
    let current = current.filter(|tag| !tag.is_empty());
    let order = current.and_then(|current| policy.compare(&tag.name, current));
    // The line of a digest says nothing of that itself.
    let lower = lower || (part == Part::Digest && order == Some(Ordering::Less));
    match &running {
        Some(Ok(running)) if running.repository != *repository => {
            return Stands::Differs(format!("it runs another image, {}", running.repository));
        }
        Some(Err(error)) => return Stands::Differs(error.to_string()),
        _ => {}
    }
    match current {
        Some(current) if current == tag.name => {}
        Some(current) if !policy.allows(current) => {
            return Stands::Differs(format!("{current} is none that {} takes", policy.describe()));
        }
        Some(current) if lower => {
            let than = if policy.by_time() { "newer" } else { "higher" };
            return Stands::Differs(format!("{current} is {than} than {}", tag.name));
        }
        Some(current) if order == Some(Ordering::Equal) => {
            return Stands::Differs(format!("{current} ranks with {}, which is chosen of the two", tag.name));
        }
        _ => {}
    }
    Stands::Waits { since: tag.pushed_at }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::{
        manifest::{FileKind, scan},
        policy::{Direction, Order},
    };

    const WAITS: &str = "";

    /// The order, what stands there with the marker's suffix, the tag that is wanted, whether it is lower, and why it
    /// differs.
    #[test]
    fn what_stands_beside_what_is_wanted() {
        let semver = || Order::Semver { range: "1.x".into(), three_part: true };
        let build = || Order::Numerical(Direction::Ascending);
        let digest = format!("sha256:{}", "a".repeat(64));
        let beside = |tag: &str| format!("image:\n  repository: acme/app\n  tag: {tag}\n  digest: {digest}");
        #[rustfmt::skip]
        let cases = [
            (semver(), "image: acme/app:1.0.0", "", "1.2.0", false, WAITS),
            (semver(), "image: docker.io/acme/app:1.0.0", "", "1.2.0", false, WAITS),
            // Nothing stands there yet.
            (semver(), "image: acme/app", "", "1.2.0", false, WAITS),
            (semver(), "tag:", ":tag", "1.2.0", false, WAITS),
            (semver(), "tag: 1.0.0", ":tag", "1.2.0", false, WAITS),
            // The version is the same, the build behind it another.
            (semver(), &format!("image: acme/app:1.2.0@{digest}"), "", "1.2.0", false, WAITS),
            (semver(), &format!("digest: {digest}"), ":digest", "1.2.0", false, WAITS),
            // A digest is as its tag is, where the image has one.
            (semver(), &beside("1.0.0"), ":digest", "1.2.0", false, WAITS),
            (semver(), &beside("1.2.0"), ":digest", "1.2.0", false, WAITS),
            (semver(), &beside("1.3.0"), ":digest", "1.2.0", false, "1.3.0 is higher than 1.2.0"),
            (semver(), &beside("2.0.0"), ":digest", "1.2.0", false, "2.0.0 is none that semver 1.x takes"),
            (semver(), &beside("v1.2.0"), ":digest", "1.2.0", false, "v1.2.0 ranks with 1.2.0, which is chosen of the two"),
            (semver(), "image: acme/app:1.3.0", "", "1.2.0", true, "1.3.0 is higher than 1.2.0"),
            (semver(), "image: acme/app:2.0.0", "", "1.2.0", true, "2.0.0 is none that semver 1.x takes"),
            (semver(), "image: acme/app:0.9.0", "", "1.2.0", false, "0.9.0 is none that semver 1.x takes"),
            (semver(), "tag: latest", ":tag", "1.2.0", false, "latest is none that semver 1.x takes"),
            (semver(), "image: acme/app:v1.2.0", "", "1.2.0", false, "v1.2.0 ranks with 1.2.0, which is chosen of the two"),
            (semver(), "image: acme/other:1.0.0", "", "1.2.0", false, "it runs another image, docker.io/acme/other"),
            (semver(), "name: ghcr.io/acme/app", ":name", "1.2.0", false, "it runs another image, ghcr.io/acme/app"),
            (semver(), "image: //app:1.0.0", "", "1.2.0", false, "\"//app:1.0.0\" is not an image reference…"),
            (build(), "tag: 7", ":tag", "12", false, WAITS),
            (build(), "tag: main", ":tag", "12", false, "main is none that numerical asc takes"),
            // Its name does not tell a tag's age.
            (Order::Newest, "tag: old", ":tag", "new", false, WAITS),
            (Order::Newest, "tag: newer", ":tag", "new", true, "newer is newer than new"),
        ];
        let repository = Repository::parse("acme/app").unwrap();
        let since = "2026-03-01T12:00:00Z".parse().ok();
        for (order, field, suffix, tag, lower, expected) in cases {
            let policy = TagPolicy::new(order, None, None).unwrap();
            let tag = Tag { pushed_at: since, ..Tag::named(tag) };
            let text = format!("{field} # {{\"$imagepolicy\": \"ns:app{suffix}\"}}\n");
            let scan = scan(FileKind::Yaml, text.as_bytes());
            let marked = scan.lines.iter().find(|line| line.marker.is_some());
            let Some(line) = marked else { panic!("{text}: {:?}", scan.findings) };
            let choice = Choice { policy: &policy, repository: &repository, tag: &tag, lower };
            let found = stands(&choice, line.part, line);
            let why = Shadowed { by: String::new(), stands: found.clone() }.differs().unwrap_or(WAITS).to_owned();
            assert!(crate::engine::plan::tests::update::is_as(&why, expected), "{text}: {why}");
            assert_eq!(found == Stands::Waits { since }, expected == WAITS, "{text}");
        }
    }
}
