//! `butler annotate`: write Flux v1's policies into an object's annotations, as `fluxctl policy` did.

use super::{
    Failure,
    output::{self, PlanFormat, Shown},
    set::object_id,
    worktree::Worktree,
};
use crate::engine::{
    dialect::{PolicyChange, with_policies},
    plan::annotatable,
};
use std::{collections::BTreeMap, path::PathBuf, process::ExitCode};

#[derive(clap::Args)]
#[command(group = clap::ArgGroup::new("what").required(true).multiple(true))]
pub struct AnnotateArgs {
    /// The folder or file with the object
    #[arg(value_name = "PATH", default_value = ".")]
    path: PathBuf,
    /// The object, with the namespace that it lands in
    #[arg(long, value_name = "NS:KIND/NAME")]
    object: String,
    /// A policy and its value: automated, ignore, locked, locked_msg, locked_user, tag.CONTAINER, or tag_all for each
    /// container; may be given several times
    #[arg(long, value_name = "POLICY=VALUE", group = "what")]
    set: Vec<String>,
    /// A policy to take away; may be given several times
    #[arg(long, value_name = "POLICY", group = "what")]
    remove: Vec<String>,
    /// Change the file; without it, only show what would change
    #[arg(long)]
    write: bool,
}

/// Changes the annotations, or shows how, as a diff.
pub fn run(args: &AnnotateArgs) -> Result<ExitCode, Failure> {
    let object = object_id(&args.object).map_err(|why| Failure::Usage(format!("--object: {why}")))?;
    let set = args.set.iter().map(|text| match text.split_once('=') {
        Some((name, value)) => Ok((name.to_owned(), Some(value.to_owned()))),
        None => Err(Failure::Usage(format!("--set {text:?}: expected a value behind `=`, found no `=`"))),
    });
    let remove = args.remove.iter().map(|name| Ok((name.clone(), None)));
    let changes = remove.chain(set).collect::<Result<Vec<PolicyChange>, Failure>>()?;
    let tree = Worktree::read(&args.path)?;
    let (file, document) = annotatable(&tree.snapshot, &object).map_err(Failure::Usage)?;
    let before = tree.bytes(file)?;
    let text = std::str::from_utf8(&before).map_err(|error| Failure::Other(error.into()))?;
    let after = with_policies(text, document, &changes).map_err(|error| Failure::Usage(format!("{file}: {error}")))?;
    let mut files = BTreeMap::new();
    if after != text {
        files.insert(file.to_owned(), (before.clone(), after.into_bytes()));
    }
    if args.write {
        tree.write(&files)?;
    }
    output::plan(PlanFormat::Diff, &Shown::default(), &files);
    if files.is_empty() {
        anstream::eprintln!("{}", output::note("the object has these annotations already"));
    }
    Ok(ExitCode::SUCCESS)
}
