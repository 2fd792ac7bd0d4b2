//! What the dialects make of files: planned, and written.

mod annotations;
mod flux_v1;
mod flux_v2;
mod native;

use super::{Bindings, bind};
use crate::engine::{
    config::{self, Config, Downgrade},
    image::{Repository, Tag},
    manifest::{FileKind, is_candidate, scan},
    memory::Memory,
    plan::{
        AssignRules, Assigned, Assignment, Change, Fact, Facts, Need, Planned, Scope, UpdateInputs, UpdatePlan, assign,
        rewritten, update,
    },
    snapshot::{Entry, EntryKind, Snapshot},
};
use jiff::Timestamp;
use std::{collections::BTreeMap, sync::Arc};

/// A repository's files, and what its registries would answer.
#[derive(Clone, Default)]
struct Repo {
    files: BTreeMap<String, String>,
    config: Option<Config>,
    tags: BTreeMap<Repository, Vec<Tag>>,
    /// Times that have to be asked for, by tag.
    times: BTreeMap<String, Timestamp>,
}

struct Outcome {
    plan: UpdatePlan,
    /// Every file afterwards.
    files: BTreeMap<String, String>,
    /// Tags whose time was asked for.
    asked: Vec<String>,
}

fn repo(files: &[(&str, &str)]) -> Repo {
    let files = files.iter().map(|(path, text)| ((*path).to_owned(), (*text).to_owned())).collect();
    Repo { files, ..Repo::default() }
}

/// The hour of a day, to tell images' ages apart.
fn hour(hour: i8) -> Timestamp {
    format!("2024-01-01T{hour:02}:00:00Z").parse().unwrap()
}

impl Repo {
    fn config(mut self, text: &str) -> Self {
        self.config = Some(config::parse("butler.yaml", text).unwrap());
        self
    }

    /// Tags, with the hour of their push where the registry tells it with them: `a@3`.
    fn tags(mut self, image: &str, tags: &str) -> Self {
        let tag = |text: &str| match text.split_once('@') {
            Some((name, at)) => Tag { pushed_at: Some(hour(at.parse().unwrap())), ..Tag::named(name) },
            None => Tag::named(text),
        };
        self.tags.insert(Repository::parse(image).unwrap(), tags.split_whitespace().map(tag).collect());
        self
    }

    /// Times of creation that only a question tells: `a@3`.
    fn times(mut self, times: &str) -> Self {
        let time = |text: &str| text.split_once('@').map(|(name, at)| (name.to_owned(), hour(at.parse().unwrap())));
        self.times = times.split_whitespace().filter_map(time).collect();
        self
    }

    fn settings(&self) -> Config {
        self.config.clone().unwrap_or_else(Config::whole_repository)
    }

    fn snapshot(&self) -> Snapshot {
        let mut snapshot = Snapshot::default();
        for (path, text) in &self.files {
            let entry = Entry { blob: format!("{path} {}", text.len()).into(), kind: EntryKind::File };
            snapshot.entries.insert(path.as_str().into(), entry);
            if let Some(kind) = FileKind::of(path).filter(|kind| is_candidate(*kind, text.as_bytes())) {
                snapshot.scans.insert(path.as_str().into(), Arc::new(scan(kind, text.as_bytes())));
            }
        }
        snapshot
    }

    fn bindings(&self) -> Bindings {
        bind(&self.snapshot(), &self.settings())
    }

    /// Codes and messages of what is wrong with the files.
    fn problems(&self) -> Vec<String> {
        let problem = |problem: &super::Problem| {
            format!("{}:{} {} {}", problem.file, problem.position, problem.code, problem.message)
        };
        self.bindings().problems.iter().map(problem).collect()
    }

    fn plan(&self) -> Outcome {
        self.plan_for("")
    }

    fn plan_for(&self, environment: &str) -> Outcome {
        let (snapshot, config) = (self.snapshot(), self.settings());
        let bindings = bind(&snapshot, &config);
        let here = config.environment(environment).or(config.environments.first()).unwrap();
        let contains = |file: &str| here.contains(file);
        let (mut facts, mut asked) = (Facts::default(), Vec::new());
        let now = hour(23);
        let plan = loop {
            let planned = update(&UpdateInputs {
                environment: Scope { name: &here.name, contains: &contains, automatic: true },
                others: &[],
                branch: "main",
                snapshot: &snapshot,
                bindings: &bindings,
                memory: &Memory::new(),
                facts: &facts,
                now,
                downgrade: Downgrade::PullRequest,
                edit_unparsed: true,
                take_over: false,
                with_history: false,
            });
            let needs = match planned {
                Planned::Ready(plan) => break plan,
                Planned::Needs(needs) => needs,
            };
            for need in needs {
                match need {
                    Need::Tags(repository) => {
                        let tags = self.tags.get(&repository).cloned().unwrap_or_default();
                        facts.tags.insert(repository, Fact::Known { value: Arc::new(tags), as_of: now });
                    }
                    Need::Times { repository, tags } => {
                        let known = facts.times.entry(repository).or_default();
                        for tag in &tags {
                            let fact = Fact::Known { value: self.times.get(tag).copied(), as_of: now };
                            assert!(known.insert(tag.clone(), fact).is_none(), "{tag} was asked for twice");
                        }
                        asked.extend(tags);
                    }
                    Need::Digest { repository, tag } => {
                        let value = Some(format!("sha256:{}", "0".repeat(64)));
                        facts.digests.insert((repository, tag), Fact::Known { value, as_of: now });
                    }
                    Need::OwnWrites { .. } | Need::FluxV1 { .. } => unreachable!("planned without a history"),
                }
            }
        };
        // A plan on its own output has nothing to do.
        let files = self.written(&plan.changes);
        Outcome { plan, files, asked }
    }

    /// What `butler set` makes of it: the files that are other than before, and the codes of what stays.
    fn set(&self, assignments: &[Assignment]) -> (BTreeMap<String, String>, Vec<String>) {
        let rules = AssignRules { edit_unparsed: true, force: false };
        let Assigned { changes, skipped, .. } = assign(&self.snapshot(), assignments, rules);
        let mut files = self.written(&changes);
        files.retain(|file, text| self.files.get(file) != Some(text));
        (files, skipped.iter().map(|skip| skip.code.to_string()).collect())
    }

    /// Every file after some changes.
    fn written(&self, changes: &[Change]) -> BTreeMap<String, String> {
        let written = rewritten(changes, |file, _| {
            Ok::<_, crate::engine::manifest::EditError>(self.files[file].clone().into_bytes())
        });
        let mut files = self.files.clone();
        files.extend(written.unwrap().into_iter().map(|(file, bytes)| (file, String::from_utf8(bytes).unwrap())));
        files
    }
}

impl Outcome {
    /// `code: reason` of each line that stays.
    fn skipped(&self) -> Vec<String> {
        self.plan.skipped.iter().map(|skip| format!("{}: {}", skip.code, skip.reason)).collect()
    }

    fn codes(&self) -> Vec<&str> {
        self.plan.skipped.iter().map(|skip| skip.code.as_ref()).collect()
    }

    /// New values, in the order of their lines.
    fn values(&self) -> Vec<&str> {
        self.plan.changes.iter().map(|change| change.new.as_str()).collect()
    }
}
