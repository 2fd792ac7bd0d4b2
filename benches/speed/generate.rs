//! Config repositories of any size, the same at every run: real bare git repositories with one pack.
//!
//! They look like what Flux's own documentation recommends: an app has a base, and an overlay for each of two
//! environments, together ten files of seven lines, or nine where each is marked (`files_of`). A group is a hundred apps; a
//! Flux Kustomization in each cluster's folder applies a group's overlays, through a kustomization for every second group,
//! and with substituted variables for every third. ImageRepositories and ImagePolicies, a file for each image, stand in a
//! folder of their own whose kustomizations give them their namespace; an ImageUpdateAutomation follows them. One file of
//! ten (an app's kustomization in the first environment) carries a marker, or each file of an app does. To twenty marked
//! files there is a policy; half of the policies are semver, half numerical with a filter.

use butler::engine::image::Tag;
use git2::{Oid, Repository, Signature, Time};
use std::{fmt::Write, path::Path};

/// What a repository is like.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Shape {
    /// YAML files, all of them.
    pub files: usize,
    /// How many of an app's ten files carry a marker: one, or all.
    pub marked: usize,
}

/// Apps, or policies, in a folder.
const GROUP: usize = 100;
/// Where apps run.
const ENVIRONMENTS: [&str; 2] = ["dev", "prod"];
/// Marked files to a policy.
const MARKED_PER_POLICY: usize = 20;
/// Tags of each image.
pub const TAGS: usize = 100;
/// The seed of everything that is drawn.
const SEED: u64 = 0x6275_746c_6572;

/// SplitMix64: Steele, Lea, Flood, "Fast splittable pseudorandom number generators", 2014.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    fn below(&mut self, limit: usize) -> usize {
        (self.next() % limit as u64) as usize
    }
}

/// A file of a generated repository.
pub struct File {
    pub path: String,
    pub text: String,
}

impl Shape {
    pub fn policies(self) -> usize {
        (self.files * self.marked / 10 / MARKED_PER_POLICY).max(2)
    }

    /// Every file, in path order.
    pub fn generate(self) -> Vec<File> {
        let mut random = Random(SEED);
        let policies = self.policies();
        let mut files = policy_files(policies);
        let mut groups = 0;
        while files.len() < self.files {
            files.extend(cluster_files(groups));
            for n in groups * GROUP..(groups + 1) * GROUP {
                if files.len() < self.files {
                    files.extend(files_of(&App { n, all: self.marked == 10 }, policies, &mut random));
                }
            }
            groups += 1;
        }
        // What is left of the last app is no matter.
        files.truncate(self.files);
        files.sort_by(|a, b| a.path.cmp(&b.path));
        files
    }
}

/// Whether a policy's tags are numbers behind a hash; else they are versions.
fn is_numerical(policy: usize) -> bool {
    policy % 2 == 1
}

pub fn image(policy: usize) -> String {
    format!("registry.example.com/team-{}/app-{policy:05}", policy % 7)
}

/// The tag of an image's build; `0` is the oldest. Files hold the newest but, for one policy in ten, the one before it.
fn tag(policy: usize, build: usize) -> String {
    match is_numerical(policy) {
        true => {
            format!("main-{:07x}-{}", (policy * 7919 + build * 104_729) & 0x0fff_ffff, 1_700_000_000 + build * 1200)
        }
        false => format!("{}.{}.{}", 1 + build / 60, build / 10 % 6, build % 10),
    }
}

/// The tag that a policy chooses.
pub fn newest(policy: usize) -> String {
    tag(policy, TAGS - 1)
}

/// All tags of an image, sorted as readers do: byte-descending.
pub fn tags(policy: usize, count: usize) -> Vec<Tag> {
    let mut tags: Vec<Tag> = (0..count).map(|build| Tag::named(tag(policy, build))).collect();
    tags.sort_by(|a, b| b.name.cmp(&a.name));
    tags
}

fn file(path: impl Into<String>, text: impl Into<String>) -> File {
    File { path: path.into(), text: text.into() }
}

fn kustomization(resources: &[String]) -> String {
    let mut text = "apiVersion: kustomize.config.k8s.io/v1beta1\nkind: Kustomization\nresources:\n".to_owned();
    for resource in resources {
        let _ = writeln!(text, "- {resource}");
    }
    text
}

fn policy_files(policies: usize) -> Vec<File> {
    let mut files: Vec<File> = (0..policies).map(policy).collect();
    let groups: Vec<usize> = (0..policies.div_ceil(GROUP)).collect();
    for group in &groups {
        let of_group = group * GROUP..policies.min((group + 1) * GROUP);
        let names: Vec<String> = of_group.map(|n| format!("app-{n:05}.yaml")).collect();
        files.push(file(format!("policies/group-{group:04}/kustomization.yaml"), kustomization(&names)));
    }
    let names: Vec<String> = groups.iter().map(|group| format!("group-{group:04}")).collect();
    files.push(file("policies/kustomization.yaml", kustomization(&names) + "namespace: flux-system\n"));
    for environment in ENVIRONMENTS {
        let folder = format!("clusters/{environment}");
        files.push(file(
            format!("{folder}/flux-system/gotk-sync.yaml"),
            format!(
                "apiVersion: source.toolkit.fluxcd.io/v1\nkind: GitRepository\nmetadata: {{name: flux-system, namespace: \
                 flux-system}}\nspec: {{interval: 1m, url: 'ssh://git@example.com/a/b', ref: {{branch: main}}}}\n---\n{}",
                flux_kustomization("flux-system", &folder, "")
            ),
        ));
        files.push(file(format!("{folder}/flux-system/kustomization.yaml"), kustomization(&["gotk-sync.yaml".into()])));
    }
    files.push(file("clusters/dev/policies.yaml", flux_kustomization("policies", "policies", "")));
    files.push(file(
        "clusters/dev/automation.yaml",
        "apiVersion: image.toolkit.fluxcd.io/v1\nkind: ImageUpdateAutomation\nmetadata: {name: flux-system, namespace: \
         flux-system}\nspec:\n  interval: 5m\n  sourceRef: {kind: GitRepository, name: flux-system}\n  git: {checkout: \
         {ref: {branch: main}}, commit: {author: {email: a@example.com}}}\n  update: {path: ./apps, strategy: \
         Setters}\n",
    ));
    files
}

fn flux_kustomization(name: &str, path: &str, rest: &str) -> String {
    format!(
        "apiVersion: kustomize.toolkit.fluxcd.io/v1\nkind: Kustomization\nmetadata: {{name: {name}, namespace: \
         flux-system}}\nspec:\n  interval: 10m\n  path: ./{path}\n  prune: true\n  sourceRef: {{kind: GitRepository, \
         name: flux-system}}\n{rest}"
    )
}

/// What applies a group of apps in each cluster.
fn cluster_files(group: usize) -> Vec<File> {
    let mut files = Vec::new();
    for environment in ENVIRONMENTS {
        let path = format!("apps/{environment}/group-{group:04}");
        let substitute = match group % 3 {
            0 => format!("  postBuild: {{substitute: {{ZONE: {environment}}}}}\n"),
            _ => String::new(),
        };
        let name = format!("group-{group:04}");
        let text = flux_kustomization(&name, &path, &substitute);
        files.push(file(format!("clusters/{environment}/{name}.yaml"), text));
        if group.is_multiple_of(2) {
            let apps: Vec<String> = (group * GROUP..(group + 1) * GROUP).map(|n| format!("app-{n:06}")).collect();
            files.push(file(format!("{path}/kustomization.yaml"), kustomization(&apps)));
        }
    }
    files
}

fn policy(n: usize) -> File {
    let order = match is_numerical(n) {
        true => {
            "  filterTags:\n    pattern: '^main-[a-f0-9]+-(?P<ts>[0-9]+)$'\n    extract: '$ts'\n  policy:\n    numerical: {order: asc}\n"
        }
        false => "  policy:\n    semver: {range: '>=1.0.0'}\n",
    };
    let text = format!(
        "apiVersion: image.toolkit.fluxcd.io/v1\nkind: ImageRepository\nmetadata: {{name: app-{n:05}}}\nspec: {{image: \
         {}, interval: 5m}}\n---\napiVersion: image.toolkit.fluxcd.io/v1\nkind: ImagePolicy\nmetadata: {{name: \
         app-{n:05}}}\nspec:\n  imageRepositoryRef: {{name: app-{n:05}}}\n{order}",
        image(n)
    );
    file(format!("policies/group-{:04}/app-{n:05}.yaml", n / GROUP), text)
}

/// An app, and whether all of its files are marked.
struct App {
    n: usize,
    all: bool,
}

/// An app's ten files: five of its base, a chart's values, and two for each environment.
fn files_of(app: &App, policies: usize, random: &mut Random) -> [File; 10] {
    let &App { n, all } = app;
    let (name, group, team) = (format!("app-{n:06}"), n / GROUP, n % 7);
    let base = format!("apps/base/group-{group:04}/{name}");
    let [dev, prod] = ENVIRONMENTS.map(|environment| format!("apps/{environment}/group-{group:04}/{name}"));
    // An image, its tag and a marker: what a file needs.
    let mut drawn = |marked: bool| {
        let policy = random.below(policies);
        let marker = |part: &str| match marked {
            true => format!(" # {{\"$imagepolicy\": \"flux-system:app-{policy:05}{part}\"}}"),
            false => String::new(),
        };
        let tag = tag(policy, if policy.is_multiple_of(10) { TAGS - 2 } else { TAGS - 1 });
        (image(policy), tag, marker(":tag"), marker(""))
    };
    let mut workload = |kind: &str, suffix: &str, marked: bool| {
        let (image, tag, _, marker) = drawn(marked);
        format!(
            "apiVersion: apps/v1\nkind: {kind}\nmetadata: {{name: {name}{suffix}, namespace: team-{team}}}\nspec:\n  \
             template:\n    spec:\n      containers:\n      - name: app\n        image: {image}:{tag}{marker}\n"
        )
    };
    let deployment = workload("Deployment", "", all);
    let (service, settings, network) = match all {
        true => (
            workload("StatefulSet", "-db", true),
            workload("DaemonSet", "-log", true),
            workload("Deployment", "-web", true),
        ),
        false => (
            format!(
                "apiVersion: v1\nkind: Service\nmetadata: {{name: {name}, namespace: team-{team}}}\nspec:\n  ports: \
                 [{{port: 80, targetPort: 8080}}]\n"
            ),
            format!("apiVersion: v1\nkind: ConfigMap\nmetadata: {{name: {name}}}\ndata:\n  LOG_LEVEL: info\n"),
            format!(
                "apiVersion: networking.k8s.io/v1\nkind: NetworkPolicy\nmetadata: {{name: {name}}}\nspec:\n  podSelector: \
                 {{}}\n"
            ),
        ),
    };
    let patch = match all {
        true => workload("Deployment", "", true),
        false => format!(
            "apiVersion: apps/v1\nkind: Deployment\nmetadata: {{name: {name}}}\nspec:\n  replicas: {}\n",
            1 + n % 5
        ),
    };
    let mut images = |marked: bool| {
        let (image, tag, marker, _) = drawn(marked);
        format!("images:\n- name: {image}\n  newTag: {tag}{marker}\n")
    };
    let resources = ["deployment.yaml", "service.yaml", "settings.yaml", "network.yaml"].map(String::from);
    let own = kustomization(&resources) + &if all { images(true) } else { String::new() };
    let overlay = kustomization(&[format!("../../../base/group-{group:04}/{name}")]);
    let in_dev = format!("{overlay}patches:\n- path: patch.yaml\n{}", images(true));
    let in_prod =
        kustomization(&[format!("../../../base/group-{group:04}/{name}"), "release.yaml".into()]) + &images(all);
    let mut values = |indent: &str, marked: bool| {
        let (image, tag, marker, _) = drawn(marked);
        format!(
            "{indent}image:\n{indent}  repository: {image}\n{indent}  tag: {tag}{marker}\n{indent}replicas: {}\n",
            1 + n % 5
        )
    };
    let release = format!(
        "apiVersion: helm.toolkit.fluxcd.io/v2\nkind: HelmRelease\nmetadata: {{name: {name}}}\nspec:\n  chart: {{spec: \
         {{chart: app, sourceRef: {{kind: HelmRepository, name: charts}}}}}}\n  values:\n{}",
        values("    ", all)
    );
    [
        file(format!("{base}/kustomization.yaml"), own),
        file(format!("{base}/deployment.yaml"), deployment),
        file(format!("{base}/service.yaml"), service),
        file(format!("{base}/settings.yaml"), settings),
        file(format!("{base}/network.yaml"), network),
        file(format!("{base}/chart-values.yaml"), values("", all)),
        file(format!("{dev}/kustomization.yaml"), in_dev),
        file(format!("{dev}/patch.yaml"), patch),
        file(format!("{prod}/kustomization.yaml"), in_prod),
        file(format!("{prod}/release.yaml"), release),
    ]
}

/// Writes files as the one commit of a bare repository, whose one pack git itself would have made.
pub fn write(dir: &Path, files: &[File]) -> Result<Oid, git2::Error> {
    let repository = Repository::init_bare(dir)?;
    let odb = repository.odb()?;
    let memory = odb.add_new_mempack_backend(1000)?;
    let tree = tree(&repository, &files.iter().collect::<Vec<_>>(), "")?;
    let commit = commit(&repository, tree, &[], "generated")?;
    let mut pack = git2::Buf::new();
    memory.dump(&repository, &mut pack)?;
    let mut indexer = git2::Indexer::new(None, &dir.join("objects/pack"), 0o644, true)?;
    std::io::Write::write_all(&mut indexer, &pack).map_err(|error| git2::Error::from_str(&error.to_string()))?;
    indexer.commit()?;
    memory.reset()?;
    repository.reference("refs/heads/main", commit, true, "generated")?;
    Ok(commit)
}

fn tree(repository: &Repository, files: &[&File], folder: &str) -> Result<Oid, git2::Error> {
    let mut builder = repository.treebuilder(None)?;
    let mut rest = files;
    while let Some(file) = rest.first() {
        let below = &file.path[folder.len()..];
        match below.split_once('/') {
            None => {
                builder.insert(below, repository.blob(file.text.as_bytes())?, 0o100644)?;
                rest = &rest[1..];
            }
            Some((name, _)) => {
                let path = format!("{folder}{name}/");
                let end = rest.partition_point(|file| file.path.starts_with(&path) || file.path < path);
                builder.insert(name, tree(repository, &rest[..end], &path)?, 0o040000)?;
                rest = &rest[end..];
            }
        }
    }
    builder.write()
}

fn commit(
    repository: &Repository,
    tree: Oid,
    parents: &[&git2::Commit<'_>],
    message: &str,
) -> Result<Oid, git2::Error> {
    let who = Signature::new("Generator", "generator@example.com", &Time::new(1_700_000_000, 0))?;
    repository.commit(None, &who, &who, message, &repository.find_tree(tree)?, parents)
}

/// A push that changes one file: the commit on top of `head` in which `path` holds `text`.
pub fn push(dir: &Path, head: Oid, path: &str, text: &str) -> Result<Oid, git2::Error> {
    let repository = Repository::open_bare(dir)?;
    let parent = repository.find_commit(head)?;
    let blob = repository.blob(text.as_bytes())?;
    let mut update = git2::build::TreeUpdateBuilder::new();
    update.upsert(path, blob, git2::FileMode::Blob);
    let tree = update.create_updated(&repository, &parent.tree()?)?;
    commit(&repository, tree, &[&parent], "one file")
}
