//! `.flux.yaml`: which files its generators render, and the patch file that updates go to. No command is ever run.

use super::build::{Builder, Built};
use crate::engine::{
    dialect::{
        Bindings, Problem,
        kustomize::{Inclusions, folder, is_below, join},
    },
    plan::Snapshot,
};
use std::collections::{BTreeSet, HashMap};

/// One `.flux.yaml`.
pub(super) struct Scope {
    pub file: String,
    folder: String,
    /// `None`: updates are made by a command.
    pub patch: Option<String>,
    /// Why the patch file cannot be written.
    pub obstacle: Option<String>,
    /// The folders that are given to `kustomize build`; none: every manifest of the folder counts.
    roots: BTreeSet<String>,
}

impl Scope {
    /// Whether it says which folders are built.
    pub fn builds(&self) -> bool {
        !self.roots.is_empty()
    }
}

pub(super) struct Scopes {
    scopes: Vec<Scope>,
}

impl Scopes {
    pub fn of(snapshot: &Snapshot, included: &Inclusions<'_>, bindings: &mut Bindings) -> Self {
        let mut scopes = Vec::new();
        for (file, scan) in included.outline.generators.iter().filter_map(|file| snapshot.scans.get_key_value(file)) {
            for document in &scan.documents {
                let Some(generator) = &document.generator else { continue };
                bindings.generated = true;
                let folder = folder(file);
                if generator.patch_file.is_none() {
                    bindings.problems.push(Problem {
                        code: "flux-yaml-command",
                        file: file.to_string(),
                        position: document.position,
                        message: "updates go through a command, which butler never runs: nothing below is updated; \
                                  write patchUpdated with a patchFile"
                            .to_owned(),
                    });
                }
                // Where it leads out of the repository there is no path to call it by.
                let path = generator.patch_file.as_deref().map(|patch| join(folder, patch).ok_or(patch));
                let obstacle = path.as_ref().and_then(|path| match path {
                    Ok(path) => snapshot.obstacle(path),
                    Err(_) => Some("it leads out of the repository".to_owned()),
                });
                if let (Some(why), Some(patch)) = (&obstacle, &generator.patch_file) {
                    bindings.problems.push(Problem {
                        code: "patch-file-invalid",
                        file: file.to_string(),
                        position: document.position,
                        message: format!(
                            "{patch}: {why}: nothing is written there; name a file below the folder of .flux.yaml"
                        ),
                    });
                }
                let roots = generator.commands.iter().filter_map(|command| built_folder(command));
                scopes.push(Scope {
                    file: file.to_string(),
                    folder: folder.to_owned(),
                    patch: path.map(|path| path.unwrap_or_else(str::to_owned)),
                    obstacle,
                    roots: roots.filter_map(|root| join(folder, root)).collect(),
                });
            }
        }
        Scopes { scopes }
    }

    pub fn is_empty(&self) -> bool {
        self.scopes.is_empty()
    }

    pub fn is_patch(&self, file: &str) -> bool {
        self.scopes.iter().any(|scope| scope.patch.as_deref() == Some(file))
    }

    /// How an object reaches the cluster: a base may be built by several `.flux.yaml`s; of those that do not say what
    /// they build, the nearest above counts. Where there is one above, only what is built is applied.
    pub fn over<'a>(&self, base: &Built<'a>, builds: &Builds<'a>) -> Reach<'_, 'a> {
        let mut over = Vec::new();
        for at in builds.by_file.get(base.file).into_iter().flatten() {
            let built = builds.of_scope.get(*at).map(Vec::as_slice).unwrap_or_default();
            let same = built.iter().filter(|built| (built.file, built.number) == (base.file, base.number));
            over.extend(same.filter_map(|built| Some((self.scopes.get(*at)?, built.clone()))));
        }
        let (building, other): (Vec<&Scope>, Vec<&Scope>) =
            self.scopes.iter().partition(|scope| !scope.roots.is_empty());
        let above = |scope: &&Scope| is_below(base.file, &scope.folder);
        let nearest = other.into_iter().filter(above).max_by_key(|scope| scope.folder.len());
        over.extend(nearest.map(|scope| (scope, base.clone())));
        match building.into_iter().find(above) {
            _ if !over.is_empty() => Reach::Rendered(over),
            Some(scope) => Reach::LeftOut(scope),
            None => Reach::Direct,
        }
    }

    /// What the folders hold that are given to `kustomize build`.
    pub fn build<'a>(&self, snapshot: &'a Snapshot, kustomizations: &'a Inclusions<'a>) -> Builds<'a> {
        let mut builder = Builder::new(snapshot, kustomizations);
        let mut builds = Builds { of_scope: Vec::new(), by_file: HashMap::new() };
        for (at, scope) in self.scopes.iter().enumerate() {
            let built: Vec<Built<'a>> = scope.roots.iter().flat_map(|root| builder.folder(root).to_vec()).collect();
            for built in &built {
                let scopes = builds.by_file.entry(built.file).or_default();
                if scopes.last() != Some(&at) {
                    scopes.push(at);
                }
            }
            builds.of_scope.push(built);
        }
        builds
    }
}

/// What the scopes build.
pub(super) struct Builds<'a> {
    of_scope: Vec<Vec<Built<'a>>>,
    /// By file: the scopes that build objects of it.
    by_file: HashMap<&'a str, Vec<usize>>,
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

/// The folder of `kustomize build FOLDER`, relative to the `.flux.yaml`'s.
fn built_folder(command: &str) -> Option<&str> {
    let command = command.split(['|', '>', ';', '&']).next().unwrap_or_default();
    let mut words = command.split_whitespace().skip_while(|word| !word.ends_with("kustomize"));
    words.next()?;
    let named: Vec<&str> = words
        .filter(|word| *word != "build" && !word.starts_with('-'))
        .map(|word| word.trim_matches(['"', '\'']))
        .collect();
    // Options have values too: what looks like a path is the folder.
    let path = named.iter().find(|word| word.starts_with('.') || word.contains('/'));
    Some(path.or(named.first()).copied().unwrap_or("."))
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
        ];
        for (command, expected) in cases {
            assert_eq!(built_folder(command), expected, "{command}");
        }
    }
}
