//! `butler plan`: what would change in a checkout, and why.

use super::{
    Failure,
    output::{self, PlanFormat, Shown},
    registries::{self, connect},
    tags::{GivenTags, TagsArgs},
    worktree::Worktree,
};
use crate::{
    engine::{
        config::{self, Config, Environment},
        dialect::{Bindings, bind},
        image::Repository,
        memory::Memory,
        plan::{Change, Fact, Facts, Need, Planned, Scopes, UpdateInputs, UpdatePlan, is_updated, not_updated, update},
    },
    server::facts::ask_registries,
};
use jiff::Timestamp;
use std::{
    collections::{BTreeSet, HashSet},
    path::PathBuf,
    process::ExitCode,
    sync::Arc,
};

/// More rounds of questions than this are a bug in the planner.
const ROUNDS: usize = 8;

#[derive(clap::Args)]
#[command(after_help = format!("{}\n\n{}", output::NAMES, registries::ASKED))]
pub struct PlanArgs {
    /// The folder or file to look at
    #[arg(value_name = "PATH", default_value = ".")]
    path: PathBuf,
    #[command(flatten)]
    tags: TagsArgs,
    /// Change the files; without it, only show what would change. Lines that Flux still writes, and downgrades, are
    /// only shown either way
    #[arg(long)]
    write: bool,
    /// How to print it
    #[arg(short, long, value_enum, default_value_t)]
    output: PlanFormat,
}

pub fn run(args: PlanArgs) -> Result<ExitCode, Failure> {
    let given = args.tags.given()?;
    let tree = Worktree::read(&args.path)?;
    let config = read_config(&tree)?;
    let bindings = bind(&tree.snapshot, &config);
    let (mut plan, facts) = plan_all(&tree, &config, &bindings, given.as_ref())?;
    plan.skipped.extend(not_updated(&config, &bindings));
    let ours: Vec<Change> = plan.changes.iter().filter(|change| output::is_written(change)).cloned().collect();
    let files = tree.rewrite(&ours)?;
    if args.write {
        tree.write(&files)?;
    }
    let prefix = tree.prefix();
    let UpdatePlan { changes, skipped, agree, .. } = &plan;
    let shown = Shown { changes, skipped, agree: *agree, written: args.write, prefix: &prefix, ..Shown::default() };
    output::plan(args.output, &shown, &files);
    note_unread_config(&tree);
    note_nothing_followed(&tree, &bindings);
    // Elsewhere may stand who else writes a line, or renders it.
    output::note_partial(&tree, !ours.is_empty(), plan.skipped.iter().map(|skip| skip.reason.as_str()));
    if given.is_none()
        && let Some(warning) = unanswered(&facts)
    {
        anstream::eprintln!("{}", output::warning(&warning));
    }
    Ok(ExitCode::SUCCESS)
}

/// What could not be asked: the images whose tags or digests their registries did not tell.
fn unanswered(facts: &Facts) -> Option<String> {
    let tags = facts.tags.iter().map(|(image, fact)| (image, matches!(fact, Fact::Known { .. })));
    let digests = facts.digests.iter().map(|((image, _), fact)| (image, matches!(fact, Fact::Known { .. })));
    let (told, away): (Vec<_>, Vec<_>) = tags.chain(digests).partition(|(_, told)| *told);
    if away.is_empty() {
        return None;
    }
    let images: BTreeSet<String> = away.iter().map(|(image, _)| image.to_string()).collect();
    let images = images.into_iter().collect::<Vec<_>>().join(", ");
    Some(match told.is_empty() {
        true => format!("no registry answered, so nothing is known of {images}; give their tags with --tag or --tags"),
        false => format!("not every registry answered: nothing is known of {images}; the rest is planned"),
    })
}

/// The checkout's butler.yaml; without one, the whole folder is one environment.
pub fn read_config(tree: &Worktree) -> Result<Config, Failure> {
    let located = config::locate(|file| tree.snapshot.entries.contains_key(file));
    let file = match located {
        Ok(Some(file)) => file,
        Ok(None) => return Ok(Config::whole_repository()),
        Err(error) => return Err(Failure::Usage(format!("{}{error}", tree.prefix()))),
    };
    let bytes = tree.bytes(file)?;
    let shown = format!("{}{file}", tree.prefix());
    let text = String::from_utf8(bytes).map_err(|_| Failure::Usage(format!("{shown}: expected UTF-8 text")))?;
    config::parse(&shown, &text).map_err(|errors| {
        let errors: Vec<String> = errors.iter().map(ToString::to_string).collect();
        Failure::Usage(errors.join("\n"))
    })
}

/// Says on stderr what was probably meant as the butler.yaml and is not read, which a plan without it would hide.
pub fn note_unread_config(tree: &Worktree) {
    for file in config::misnamed(|file| tree.snapshot.entries.contains_key(file)) {
        anstream::eprintln!("{}", output::warning(&format!("{}{file}", tree.prefix())));
    }
    if let Some(above) = tree.config_above() {
        anstream::eprintln!("{}", output::warning(&above));
    }
}

/// Says on stderr that there is nothing for butler to do here, which an empty result alone could hide.
pub fn note_nothing_followed(tree: &Worktree, bindings: &Bindings) {
    let is_followed = !bindings.lines.is_empty() || !bindings.additions.is_empty();
    if !is_followed && matches!(config::locate(|file| tree.snapshot.entries.contains_key(file)), Ok(None)) {
        anstream::eprintln!("{}", output::note("no butler.yaml here, and no line follows a policy"));
    }
}

/// The environments of a checkout that butler would update. Which branch it is of is not known: every environment's
/// path counts.
pub fn updated(config: &Config) -> impl Iterator<Item = &Environment> {
    config.environments.iter().filter(|environment| is_updated(environment))
}

/// The branch that an environment's files are on, as far as butler.yaml tells: empty, which stands for any, where it
/// names none.
pub fn branch_of(environment: &Environment) -> &str {
    environment.branch.as_deref().unwrap_or_default()
}

fn plan_all(
    tree: &Worktree,
    config: &Config,
    bindings: &Bindings,
    given: Option<&GivenTags>,
) -> Result<(UpdatePlan, Facts), Failure> {
    settle(config, bindings, given, |facts, now| {
        let (plan, needs) = plan_once(tree, config, bindings, facts, now);
        if needs.is_empty() { Planned::Ready(plan) } else { Planned::Needs(needs) }
    })
}

/// Answers questions, from the given tags or from registries, until there is a plan; and what was answered.
pub fn settle<T>(
    config: &Config,
    bindings: &Bindings,
    given: Option<&GivenTags>,
    plan: impl Fn(&Facts, Timestamp) -> Planned<T>,
) -> Result<(T, Facts), Failure> {
    let now = Timestamp::now();
    let mut facts = Facts::default();
    let mut registries = None;
    for _ in 0..ROUNDS {
        let needs = match plan(&facts, now) {
            Planned::Ready(plan) => return Ok((plan, facts)),
            Planned::Needs(needs) => needs,
        };
        match given {
            Some(given) => answer(&needs, given, &mut facts, now),
            None => {
                let (runtime, registry) = match &registries {
                    Some(ready) => ready,
                    None => registries.insert(connect(bindings.images(), config)?),
                };
                runtime.block_on(ask_registries(registry, None, &needs, &mut facts, now));
            }
        }
    }
    Err(Failure::Other(anyhow::anyhow!("the plan still asks questions after {ROUNDS} rounds: this is a bug in butler")))
}

fn plan_once(
    tree: &Worktree,
    config: &Config,
    bindings: &Bindings,
    facts: &Facts,
    now: Timestamp,
) -> (UpdatePlan, BTreeSet<Need>) {
    let memory = Memory::new();
    let (mut all, mut needs) = (UpdatePlan::default(), BTreeSet::new());
    let (mut seen, mut told) = (HashSet::new(), HashSet::new());
    let scopes = Scopes::of(config);
    for environment in updated(config) {
        let branch = branch_of(environment);
        let Some(scope) = scopes.get(&environment.name) else { continue };
        let planned = update(&UpdateInputs {
            environment: scope,
            others: &scopes.others(&environment.name, |other| branch_of(other) == branch),
            branch,
            snapshot: &tree.snapshot,
            bindings,
            memory: &memory,
            facts,
            now,
            downgrade: config.updates.downgrade,
            edit_unparsed: config.dialects.unparsed_files == config::UnparsedFiles::Edit,
            take_over: config.dialects.flux.take_over,
            with_history: false,
        });
        match planned {
            Planned::Needs(more) => needs.extend(more),
            Planned::Ready(plan) => {
                // Environments on several branches may share a path: a line is shown once.
                all.changes.extend(plan.changes.into_iter().filter(|change| seen.insert(change.line.clone())));
                all.skipped.extend(plan.skipped.into_iter().filter(|skip| told.insert(skip.clone())));
                all.current += plan.current;
                all.agree += plan.agree;
            }
        }
    }
    (all, needs)
}

/// How many images a sentence names.
const NAMED: usize = 3;

/// What was given instead of an image's tags.
fn no_tags_of(repository: &Repository, given: &GivenTags) -> String {
    let images: Vec<String> = given.keys().take(NAMED).map(ToString::to_string).collect();
    let more = match given.len().saturating_sub(NAMED) {
        0 => String::new(),
        more => format!(" and {more} more"),
    };
    let images =
        if images.is_empty() { "of no image".to_owned() } else { format!("of {}{more} only", images.join(", ")) };
    format!(
        "no tags of {repository} were given: tags were given {images}, and no registry is asked then; add --tag \
         {repository}:TAG"
    )
}

/// Answers from the tags given by hand: they are everything that there is.
fn answer(needs: &BTreeSet<Need>, given: &GivenTags, facts: &mut Facts, now: Timestamp) {
    for need in needs {
        match need {
            Need::Tags(repository) => {
                let fact = match given.get(repository) {
                    Some(tags) => Fact::Known { value: Arc::new(tags.clone()), as_of: now },
                    None => Fact::NotGiven { why: no_tags_of(repository, given) },
                };
                facts.tags.insert(repository.clone(), fact);
            }
            Need::Digest { repository, tag } => {
                let why = format!(
                    "the digest of {repository}:{tag} was not given, and no registry is asked where tags are given: give \
                     it as --tag {repository}:{tag}@sha256:…"
                );
                facts.digests.insert((repository.clone(), tag.clone()), Fact::NotGiven { why });
            }
            Need::Times { repository, tags } => {
                // Times that are given stand with the tags: the others have none.
                let none = tags.iter().map(|tag| (tag.clone(), Fact::Known { value: None, as_of: now }));
                facts.times.entry(repository.clone()).or_default().extend(none);
            }
            Need::OwnWrites { branch, file } => {
                let why = "there is no history to read".to_owned();
                facts.own_writes.insert((branch.clone(), file.clone()), Fact::NotGiven { why });
            }
            Need::FluxV1 { branch } => {
                let why = "there is no history to read".to_owned();
                facts.flux_v1.insert(branch.clone(), Fact::NotGiven { why });
            }
        }
    }
}
