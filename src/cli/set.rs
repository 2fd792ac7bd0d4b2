//! `butler set`: put given images on the lines that follow a policy, whatever the registry says.

use super::{
    Failure,
    output::{self, PlanFormat},
    worktree::Worktree,
};
use crate::engine::{
    image::Reference,
    plan::{Assignment, AssignmentTarget, assign},
};
use std::{path::PathBuf, process::ExitCode};

#[derive(clap::Args)]
pub struct SetArgs {
    /// The folder or file to change
    #[arg(value_name = "PATH", default_value = ".")]
    path: PathBuf,
    /// The image for all lines that carry a marker of this policy; may be given several times
    #[arg(long, value_name = "NS:NAME=IMAGE:TAG[@DIGEST]", required = true)]
    policy: Vec<String>,
    /// Change the files; without it, only show what would change
    #[arg(long)]
    write: bool,
    /// How to print it
    #[arg(short, long, value_enum, default_value_t)]
    output: PlanFormat,
}

pub fn run(args: &SetArgs) -> Result<ExitCode, Failure> {
    let assignments = args.policy.iter().map(|text| assignment(text)).collect::<Result<Vec<_>, _>>()?;
    let tree = Worktree::read(&args.path)?;
    let (changes, skipped) = assign(&tree.snapshot, &assignments);
    let files = tree.rewrite(&changes)?;
    if args.write {
        tree.write(&files)?;
    }
    output::plan(args.output, &changes, &skipped, &files);
    Ok(ExitCode::SUCCESS)
}

fn assignment(text: &str) -> Result<Assignment, Failure> {
    let usage = |why: String| Failure::Usage(format!("--policy {text:?}: {why}"));
    let (policy, image) =
        text.split_once('=').ok_or_else(|| usage("expected NS:NAME=IMAGE:TAG[@DIGEST], found no `=`".into()))?;
    let on = AssignmentTarget::Policy(policy.parse().map_err(usage)?);
    let image = Reference::parse(image).map_err(|error| usage(error.to_string()))?;
    if image.tag.is_none() && image.digest.is_none() {
        return Err(usage("expected a tag or a digest behind the image's name".into()));
    }
    Ok(Assignment { on, image })
}
