//! `butler set`: put given images on the lines that follow a policy, run an image or stand in an object, whatever the registry says.

use super::{
    Failure,
    output::{self, Missed, PlanFormat, Shown},
    plan::{note_unread_config, read_config},
    worktree::Worktree,
};
use crate::engine::{
    config::UnparsedFiles,
    image::Reference,
    manifest::ObjectId,
    plan::{AssignRules, Assigned, Assignment, AssignmentTarget, assign, unmet},
};
use std::{path::PathBuf, process::ExitCode};

#[derive(clap::Args)]
#[command(after_help = output::NAMES)]
#[command(override_usage = "butler set [OPTIONS] [PATH] --policy <…>|--image <…>|--object <…>")]
#[command(group = clap::ArgGroup::new("what").required(true).multiple(true))]
pub struct SetArgs {
    /// The folder or file to change
    #[arg(value_name = "PATH", default_value = ".")]
    path: PathBuf,
    /// The image for all lines that carry a marker of this policy; may be given several times
    #[arg(long, value_name = "NS:NAME=IMAGE:TAG[@DIGEST]", group = "what")]
    policy: Vec<String>,
    /// The image for all lines that run it, in any version; may be given several times
    #[arg(long, value_name = "IMAGE:TAG[@DIGEST]", group = "what")]
    image: Vec<String>,
    /// The image for the lines of an object: of the container where one is named, else those that run the same image;
    /// where a `.flux.yaml` builds it, in its patch file; may be given several times
    #[arg(long, value_name = "NS:KIND/NAME[:CONTAINER]=IMAGE:TAG[@DIGEST]", group = "what")]
    object: Vec<String>,
    /// Change what Flux v1's `locked` annotation locks, too; without it, such objects are left alone by image and by
    /// object, as `fluxctl release` does
    #[arg(long)]
    force: bool,
    /// Change the files; without it, only show what would change
    #[arg(long)]
    write: bool,
    /// How to print it
    #[arg(short, long, value_enum, default_value_t)]
    output: PlanFormat,
}

/// Changes the lines, or shows how. An argument that no line answers to is told, and fails nothing: exit code 0.
pub fn run(args: &SetArgs) -> Result<ExitCode, Failure> {
    // Where several mean one line, the narrowest has it.
    let objects = args.object.iter().map(|text| ("--object", text, assignment("--object", text, object)));
    let policies = args.policy.iter().map(|text| ("--policy", text, assignment("--policy", text, policy)));
    let images = args.image.iter().map(|text| ("--image", text, image("--image", text, AssignmentTarget::Image, text)));
    let (mut assignments, mut arguments) = (Vec::new(), Vec::new());
    for (option, text, assignment) in objects.chain(policies).chain(images) {
        assignments.push(assignment?);
        arguments.push(format!("{option} {text}"));
    }
    // Which of two images a line should take cannot be told.
    for (index, assignment) in assignments.iter().enumerate() {
        let same = |other: &&Assignment| match (&other.on, &assignment.on) {
            (AssignmentTarget::Image, AssignmentTarget::Image)
            | (AssignmentTarget::Object { container: None, .. }, AssignmentTarget::Object { container: None, .. }) => {
                other.on == assignment.on && other.image.repository == assignment.image.repository
            }
            (other, on) => other == on,
        };
        let before = assignments.iter().take(index).zip(&arguments).find(|(other, _)| same(other));
        if let (Some((other, argument)), Some(again)) = (before, arguments.get(index))
            && other.image != assignment.image
        {
            return Err(Failure::Usage(format!("{argument} and {again} name two images for the same lines: give one")));
        }
    }
    let tree = Worktree::read(&args.path)?;
    note_unread_config(&tree);
    let edit_unparsed = read_config(&tree)?.dialects.unparsed_files == UnparsedFiles::Edit;
    let rules = AssignRules { edit_unparsed, force: args.force };
    let Assigned { changes, skipped, current } = assign(&tree.snapshot, &assignments, rules);
    let files = tree.rewrite(&changes)?;
    if args.write {
        tree.write(&files)?;
    }
    let missed: Vec<_> = unmet(&tree.snapshot, &assignments)
        .into_iter()
        .filter_map(|(index, reason)| Some(Missed { argument: arguments.get(index)?.clone(), reason }))
        .collect();
    output::plan(
        args.output,
        &Shown {
            changes: &changes,
            skipped: &skipped,
            missed: &missed,
            current: Some(current),
            written: args.write,
            prefix: &tree.prefix(),
            ..Shown::default()
        },
        &files,
    );
    Ok(ExitCode::SUCCESS)
}

/// Reads `TARGET=IMAGE`.
fn assignment(
    option: &str,
    text: &str,
    target: impl Fn(&str) -> Result<AssignmentTarget, String>,
) -> Result<Assignment, Failure> {
    let usage = |why: String| Failure::Usage(format!("{option} {text:?}: {why}"));
    let (on, name) = text.split_once('=').ok_or_else(|| usage("expected an image behind `=`, found no `=`".into()))?;
    image(option, text, target(on).map_err(usage)?, name)
}

fn image(option: &str, text: &str, on: AssignmentTarget, name: &str) -> Result<Assignment, Failure> {
    let usage = |why: String| Failure::Usage(format!("{option} {text:?}: {why}"));
    let image = Reference::parse(name).map_err(|error| usage(error.to_string()))?;
    if image.tag.is_none() && image.digest.is_none() {
        return Err(usage("expected a tag or a digest behind the image's name".into()));
    }
    Ok(Assignment { on, image })
}

fn policy(text: &str) -> Result<AssignmentTarget, String> {
    text.parse().map(AssignmentTarget::Policy)
}

/// `NS:KIND/NAME[:CONTAINER]`
fn object(text: &str) -> Result<AssignmentTarget, String> {
    let expected = || format!("expected an object as NAMESPACE:KIND/NAME[:CONTAINER], found {text:?}");
    let mut parts = text.splitn(3, ':');
    let (namespace, object) = (parts.next().unwrap_or_default(), parts.next().ok_or_else(expected)?);
    let container = parts.next().map(str::to_owned);
    let ObjectId { kind, namespace, name } = object_id(&format!("{namespace}:{object}")).map_err(|_| expected())?;
    if container.as_ref().is_some_and(|container| container.is_empty() || container.contains(':')) {
        return Err(expected());
    }
    let [namespace, kind, name] = [namespace, kind, name].map(String::from);
    Ok(AssignmentTarget::Object { namespace, kind, name, container })
}

/// `NS:KIND/NAME`
pub fn object_id(text: &str) -> Result<ObjectId, String> {
    let expected = || format!("expected an object as NAMESPACE:KIND/NAME, found {text:?}");
    let (namespace, object) = text.split_once(':').ok_or_else(expected)?;
    let (kind, name) = object.split_once('/').ok_or_else(expected)?;
    if [namespace, kind, name].contains(&"") || name.contains(['/', ':']) {
        return Err(expected());
    }
    Ok(ObjectId { kind: kind.into(), namespace: namespace.into(), name: name.into() })
}
