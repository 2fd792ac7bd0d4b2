//! `.flux.yaml`: which files its generators render, and the patch file that updates go to. No command is ever run.

use super::{
    build::Built,
    builder::{Builder, BuiltFolder},
};
use crate::engine::{
    dialect::{
        Bindings, Problem,
        kustomize::{self, Inclusions, folder, is_below, join},
    },
    manifest::{Document, Generator, Updates},
    snapshot::Snapshot,
};
use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::sync::Arc;

/// One `.flux.yaml`, in one folder that its commands run in.
pub(super) struct Scope {
    pub file: String,
    folder: String,
    /// The patch file that updates go to, or the code and the reason why they go nowhere.
    pub patch: Result<String, (&'static str, String)>,
    /// What is to be told of the `.flux.yaml` once it stands in the way of an automated object.
    pub problem: Option<Problem>,
    /// The folders that are given to `kustomize build`; none: every manifest of the folder counts.
    roots: BTreeSet<String>,
}

impl Scope {
    /// Whether it says which folders are built.
    pub fn builds(&self) -> bool {
        !self.roots.is_empty()
    }

    /// The file that updates go to.
    pub fn patch_file(&self) -> Option<&str> {
        self.patch.as_deref().ok()
    }
}

/// All of a snapshot.
#[derive(Default)]
pub(super) struct Scopes {
    scopes: Vec<Scope>,
    /// Folders below which files count as they stand (`scanForFiles`).
    plain: Vec<String>,
}

impl Scopes {
    pub fn of(snapshot: &Snapshot, included: &Inclusions<'_>, bindings: &mut Bindings) -> Self {
        let generators = included.outline.generators.keys();
        let files: Vec<(&Arc<str>, &Document, &Generator)> = generators
            .filter_map(|file| snapshot.scans.get_key_value(file))
            .flat_map(|(file, scan)| scan.documents.iter().map(move |document| (file, document)))
            .filter_map(|(file, document)| Some((file, document, document.generator.as_deref()?)))
            .collect();
        bindings.generated |= !files.is_empty();
        let mut scopes = Scopes::default();
        for (file, document, generator) in &files {
            let folder = folder(file);
            if generator.updates == Updates::InPlace {
                scopes.plain.push(folder.to_owned());
                continue;
            }
            let roots: Vec<String> = generator.commands.iter().filter_map(|command| built_folder(command)).collect();
            let nearer = |path: &str| {
                let folders = files.iter().map(|(file, ..)| kustomize::folder(file));
                folders.filter(|other| other.len() > folder.len()).any(|other| is_below(path, other))
            };
            for target in targets(folder, &roots, included, nearer) {
                let patch = patch(file, target, &generator.updates, snapshot);
                let told = match &generator.updates {
                    Updates::Command => Some((
                        "flux-yaml-command",
                        "updates go through a command, which butler never runs: nothing below is updated; write \
                         patchUpdated with a patchFile"
                            .to_owned(),
                    )),
                    Updates::Invalid(why) => Some(("flux-yaml-invalid", format!("{why}: nothing below is updated"))),
                    Updates::PatchFile(_) | Updates::InPlace => None,
                };
                if let (Err((code, why)), None) = (&patch, &told) {
                    let message =
                        format!("{why}: nothing is written there; name a file below the folder of .flux.yaml");
                    bindings.problems.push(problem(code, file, document, message));
                }
                scopes.scopes.push(Scope {
                    file: file.to_string(),
                    folder: folder.to_owned(),
                    patch,
                    problem: told.map(|(code, message)| problem(code, file, document, message)),
                    roots: roots.iter().filter_map(|root| join(target, root)).collect(),
                });
            }
        }
        scopes
    }

    pub fn is_empty(&self) -> bool {
        self.scopes.is_empty()
    }

    /// The files that updates go to.
    pub fn patches(&self) -> impl Iterator<Item = &str> {
        self.scopes.iter().filter_map(Scope::patch_file)
    }

    /// How an object reaches the cluster: a base may be built by several `.flux.yaml`s; of those that do not say what
    /// they build, the nearest above counts. Where there is one above, only what is built is applied.
    pub fn over<'a>(&self, base: &Built<'a>, builds: &Builds<'a>) -> Reach<'_, 'a> {
        let mut over: Vec<(&Scope, Built<'a>)> =
            builds.of(base).filter_map(|(at, built)| Some((self.scopes.get(at)?, built.clone()))).collect();
        let (building, other): (Vec<&Scope>, Vec<&Scope>) =
            self.scopes.iter().partition(|scope| !scope.roots.is_empty());
        let plain = self.plain.iter().filter(|folder| is_below(base.file, folder)).map(String::len).max();
        let above =
            |scope: &&Scope| is_below(base.file, &scope.folder) && plain.is_none_or(|plain| scope.folder.len() > plain);
        let nearest = other.into_iter().filter(above).max_by_key(|scope| scope.folder.len());
        over.extend(nearest.map(|scope| (scope, base.clone())));
        // What a build has not come to may be this object: it stays there, and says why.
        let built: HashSet<usize> = builds.of(base).map(|(at, _)| at).collect();
        for Unfinished { scopes, why, .. } in builds.unfinished.values().filter(|it| it.names.contains(base.file)) {
            for scope in scopes.iter().filter(|at| !built.contains(at)).filter_map(|at| self.scopes.get(*at)) {
                over.push((scope, base.clone().left_alone(why)));
            }
        }
        match building.into_iter().find(above) {
            _ if !over.is_empty() => Reach::Rendered(over),
            Some(scope) => Reach::LeftOut(scope),
            None => Reach::Direct,
        }
    }

    /// What the folders hold that are given to `kustomize build`.
    pub fn build<'a>(&self, snapshot: &'a Snapshot, kustomizations: &Inclusions<'a>) -> Builds<'a> {
        let mut builder = Builder::new(snapshot, kustomizations);
        let mut builds = Builds::default();
        for (scope, roots) in self.scopes.iter().map(|scope| &scope.roots).enumerate() {
            for root in roots {
                let folder = builder.folder(root);
                if let Some(why) = &folder.fault {
                    let unfinished = builds.unfinished.entry(root.clone()).or_insert_with(|| Unfinished {
                        scopes: Vec::new(),
                        why: why.clone(),
                        names: kustomizations.names_below(root),
                    });
                    unfinished.scopes.push(scope);
                }
                for (number, built) in folder.objects.iter().enumerate() {
                    let at = Occurrence { scope, folder: folder.clone(), number };
                    builds.by_document.entry((built.file, built.number)).or_default().push(at);
                }
            }
        }
        builds.patches = builder.patches;
        builds
    }
}

/// What the scopes build.
#[derive(Default)]
pub(super) struct Builds<'a> {
    /// By file and number of the document: where scopes build it.
    by_document: HashMap<(&'a str, usize), Vec<Occurrence<'a>>>,
    /// By folder: those of which not all is built.
    unfinished: BTreeMap<String, Unfinished>,
    /// The files of kustomizations' patches.
    pub patches: BTreeSet<String>,
}

impl<'a> Builds<'a> {
    /// What scopes build of an object.
    fn of(&self, base: &Built<'a>) -> impl Iterator<Item = (usize, &Built<'a>)> {
        let found = self.by_document.get(&(base.file, base.number)).into_iter().flatten();
        found.filter_map(|at| Some((at.scope, at.folder.objects.get(at.number)?)))
    }
}

/// An object among those that a scope builds. Scopes may build one folder: it is kept once.
struct Occurrence<'a> {
    scope: usize,
    folder: Arc<BuiltFolder<'a>>,
    number: usize,
}

/// What scopes build, where that is not all.
struct Unfinished {
    scopes: Vec<usize>,
    why: String,
    /// Files that it names.
    names: HashSet<String>,
}

/// How an object reaches the cluster.
pub(super) enum Reach<'s, 'a> {
    /// As it stands in the file.
    Direct,
    /// As each of these builds it.
    Rendered(Vec<(&'s Scope, Built<'a>)>),
    /// It does not: a `.flux.yaml` above builds something else.
    LeftOut(&'s Scope),
}

/// The folders that commands run in. Flux v1 runs them in its target path (`--git-path`), which may lie below the
/// `.flux.yaml`'s folder: where there is nothing to build in that one, each folder below counts that has a kustomization
/// which no other includes, and no `.flux.yaml` nearer to it.
fn targets<'a>(
    folder: &'a str,
    roots: &[String],
    included: &Inclusions<'a>,
    nearer: impl Fn(&str) -> bool,
) -> Vec<&'a str> {
    let builds = |target: &str| {
        let mut folders = roots.iter().filter_map(|root| join(target, root));
        folders.any(|folder| included.in_folder(&folder).is_some())
    };
    if roots.is_empty() || builds(folder) {
        return vec![folder];
    }
    let below = included.folders_from(folder);
    let top = below.filter(|below| is_below(below, folder) && !included.includes(below) && builds(below));
    let targets: Vec<&str> = top.filter(|target| !nearer(target)).collect();
    if targets.is_empty() { vec![folder] } else { targets }
}

fn problem(code: &'static str, file: &str, document: &Document, message: String) -> Problem {
    Problem { code, file: file.to_owned(), position: document.position, message }
}

/// The file that updates go to: `target` is the folder that it is named from.
fn patch(file: &str, target: &str, updates: &Updates, snapshot: &Snapshot) -> Result<String, (&'static str, String)> {
    let name = match updates {
        Updates::PatchFile(name) => name,
        Updates::Invalid(why) => return Err(("flux-yaml-invalid", format!("{file}: {why}"))),
        Updates::Command | Updates::InPlace => {
            let why = format!("{file} updates by a command, and butler runs none: use patchUpdated");
            return Err(("command-updated", why));
        }
    };
    // Where it leads out of the repository there is no path to call it by.
    let path = join(target, name);
    let obstacle = match &path {
        Some(path) => snapshot.obstacle(path),
        None => Some("it leads out of the repository".to_owned()),
    };
    match (path, obstacle) {
        (Some(path), None) => Ok(path),
        (_, why) => Err(("patch-file-invalid", format!("{name}: {}", why.unwrap_or_default()))),
    }
}

const QUOTES: [char; 2] = ['"', '\''];

/// The folder of `kustomize build FOLDER`, relative to the one that the command runs in.
fn built_folder(command: &str) -> Option<String> {
    let mut here = String::new();
    for command in command.split(['|', ';', '&', '\n']) {
        let mut words = command.split('>').next().unwrap_or_default().split_whitespace().peekable();
        if words.peek() == Some(&"cd") {
            here = format!("{here}{}/", words.nth(1).unwrap_or_default().trim_matches(QUOTES));
            continue;
        }
        let mut words = words.skip_while(|word| !word.ends_with("kustomize"));
        if words.next().is_none() {
            continue;
        }
        let named: Vec<&str> = words
            .filter(|word| *word != "build" && !word.starts_with('-'))
            .map(|word| word.trim_matches(QUOTES))
            .collect();
        // Options have values too: what looks like a path is the folder.
        let path = named.iter().find(|word| word.starts_with('.') || word.contains('/'));
        return Some(format!("{here}{}", path.or(named.first()).copied().unwrap_or(".")));
    }
    None
}

#[cfg(test)]
mod tests {
    use super::built_folder;

    #[test]
    fn folders_that_are_built() {
        #[rustfmt::skip]
        let cases = [
            ("kustomize build .", Some(".")),
            ("kustomize build . ", Some(".")),
            ("kustomize build overlays/dev", Some("overlays/dev")),
            ("kustomize build --load_restrictor none '../x'", Some("../x")),
            ("kustomize build . --load-restrictor none | tee out", Some(".")),
            ("kustomize build dev", Some("dev")),
            ("kubectl kustomize ./a", Some("./a")),
            ("kustomize build", Some(".")),
            ("../radixify.sh ./resource-1.yaml", None),
            ("cat a.yaml", None),
            ("set -e\nkustomize build a", Some("a")),
            ("sops -d a > b; kustomize build . > c", Some(".")),
            ("cd overlays/dev && kustomize build .", Some("overlays/dev/.")),
            ("cd overlays; cd 'dev'; kustomize build ../../base", Some("overlays/dev/../../base")),
            ("cd a", None),
        ];
        for (command, expected) in cases {
            assert_eq!(built_folder(command).as_deref(), expected, "{command}");
        }
    }
}
