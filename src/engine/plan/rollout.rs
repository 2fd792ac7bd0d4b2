//! Rollouts: which version a component ran in an environment, from when to when. Builds come faster than anything can
//! be watched, so gates look at rollouts and not at heads. When one was entered and left stands in the branch's
//! first-parent history; how it fared stands in the memory.

use super::{component_of, promotion::image_of};
use crate::engine::{
    image::Reference,
    manifest::{ImageLine, Part, Scan},
    memory::{Memory, Verdict},
};
use jiff::Timestamp;
use std::collections::BTreeMap;

/// What ran at one commit of an environment's branch: versions by component.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Observation {
    pub commit: String,
    /// When it was committed.
    pub at: Timestamp,
    pub versions: BTreeMap<String, String>,
}

/// One version of one component, for as long as the branch named it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rollout {
    pub component: String,
    pub version: String,
    /// The commit that brought it.
    pub commit: String,
    pub entered: Timestamp,
    /// `None` while it stands there.
    pub left: Option<Timestamp>,
    pub first_healthy: Option<Timestamp>,
    /// That it fared badly, oldest first.
    pub verdicts: Vec<Verdict>,
}

/// The rollouts of an environment, in the order in which they were entered. `observations` are the first-parent commits
/// that changed something there, oldest first.
pub fn rollouts(environment: &str, observations: &[Observation], memory: &Memory) -> Vec<Rollout> {
    let mut all: Vec<Rollout> = Vec::new();
    let mut running: BTreeMap<&str, usize> = BTreeMap::new();
    for observation in observations {
        let gone = |component: &str| !observation.versions.contains_key(component);
        let left: Vec<&str> = running.keys().copied().filter(|component| gone(component)).collect();
        for component in left {
            if let Some(rollout) = running.remove(component).and_then(|index| all.get_mut(index)) {
                rollout.left = Some(observation.at);
            }
        }
        for (component, version) in &observation.versions {
            let before = running.get(component.as_str()).and_then(|index| all.get_mut(*index));
            match before {
                Some(rollout) if rollout.version == *version => continue,
                Some(rollout) => rollout.left = Some(observation.at),
                None => {}
            }
            let health = memory.health_of(environment, component, version);
            running.insert(component, all.len());
            all.push(Rollout {
                component: component.clone(),
                version: version.clone(),
                commit: observation.commit.clone(),
                entered: observation.at,
                left: None,
                first_healthy: health.and_then(|health| health.first_healthy),
                verdicts: health.map(|health| health.bad.clone()).unwrap_or_default(),
            });
        }
    }
    all
}

/// The version of every component that these files name, by what they hold. Several lines that differ are all named:
/// with their image's name, where a component runs several images.
pub fn versions<'a>(files: impl IntoIterator<Item = (&'a str, &'a Scan)>) -> BTreeMap<String, String> {
    let mut found: BTreeMap<String, Vec<(String, String)>> = BTreeMap::new();
    for (file, scan) in files {
        for line in &scan.lines {
            let Some(version) = version_of(line) else { continue };
            let image = image_of(line).map(|image| image.path().rsplit('/').next().unwrap_or_default().to_owned());
            let runs = (image.unwrap_or_default(), version);
            let known = found.entry(component_of(&scan.line_id(file, line), line)).or_default();
            if !known.contains(&runs) {
                known.push(runs);
            }
        }
    }
    let name = |runs: Vec<(String, String)>| {
        let several = runs.iter().any(|(image, _)| *image != runs[0].0);
        let each = runs.iter().map(|(image, version)| match several {
            true => format!("{image} {version}"),
            false => version.clone(),
        });
        each.collect::<Vec<_>>().join(", ")
    };
    found.into_iter().map(|(component, runs)| (component, name(runs))).collect()
}

/// The tag that a line says, or its digest where it has no tag.
fn version_of(line: &ImageLine) -> Option<String> {
    match line.part {
        Part::Tag => Some(line.value.to_string()).filter(|tag| !tag.is_empty()),
        Part::Reference => {
            let reference = Reference::parse(&line.value).ok()?;
            reference.tag.or(reference.digest)
        }
        Part::Name | Part::Digest => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::manifest::{FileKind, scan};

    fn at(minute: i64) -> Timestamp {
        Timestamp::from_second(1_750_000_000 + minute * 60).unwrap()
    }

    fn observation(minute: i64, versions: &[(&str, &str)]) -> Observation {
        let versions = versions.iter().map(|(c, v)| ((*c).to_owned(), (*v).to_owned())).collect();
        Observation { commit: format!("c{minute}"), at: at(minute), versions }
    }

    #[test]
    fn a_rollout_lasts_from_the_commit_that_brings_it_to_the_one_that_replaces_it() {
        let mut memory = Memory::new();
        memory.saw_health("prod", "app", "1.1", true, at(12), "");
        memory.saw_health("prod", "app", "1.1", true, at(15), "");
        memory.saw_health("prod", "app", "1.1", false, at(18), "crash loop");
        memory.saw_health("staging", "app", "1.2", true, at(25), "");
        let found = rollouts(
            "prod",
            &[
                observation(0, &[("app", "1.0"), ("db", "9")]),
                observation(10, &[("app", "1.1"), ("db", "9")]),
                observation(20, &[("app", "1.2")]),
                observation(30, &[("app", "1.0")]),
            ],
            &memory,
        );
        let rows: Vec<String> = found
            .iter()
            .map(|r| {
                let minute = |t: Timestamp| (t.as_second() - at(0).as_second()) / 60;
                let verdicts: Vec<&str> = r.verdicts.iter().map(|v| v.why.as_str()).collect();
                let (left, healthy) = (r.left.map(minute), r.first_healthy.map(minute));
                format!("{} {} {} {:?} {:?} {:?}", r.component, r.version, minute(r.entered), left, healthy, verdicts)
            })
            .collect();
        assert_eq!(
            rows,
            [
                "app 1.0 0 Some(10) None []",
                "db 9 0 Some(20) None []",
                "app 1.1 10 Some(20) Some(12) [\"crash loop\"]",
                "app 1.2 20 Some(30) None []",
                // Back again: a rollout of its own.
                "app 1.0 30 None None []",
            ]
        );
    }

    #[test]
    fn what_a_component_runs() {
        let deployment = |name: &str, images: &[&str]| {
            let containers: String = images.iter().map(|image| format!("        - image: {image}\n")).collect();
            let head = "apiVersion: apps/v1\nkind: Deployment\nmetadata: {name: ";
            format!("{head}{name}}}\nspec:\n  template:\n    spec:\n      containers:\n{containers}")
        };
        for (images, expected) in [
            (&["example.com/app:1.0.0"][..], Some("1.0.0")),
            (&["example.com/app:1.0.0", "example.com/app:1.1.0"], Some("1.0.0, 1.1.0")),
            (&["example.com/app:1.0.0", "example.com/app:1.0.0"], Some("1.0.0")),
            (&["example.com/app:1.0.0", "example.com/team/proxy:2"], Some("app 1.0.0, proxy 2")),
            (&["example.com/app"], None),
            (&[], None),
        ] {
            let scan = scan(FileKind::Yaml, deployment("web", images).as_bytes());
            let found = versions([("web.yaml", &scan)]);
            assert_eq!(found.get("web").map(String::as_str), expected, "{images:?}");
        }
    }
}
