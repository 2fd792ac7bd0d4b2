//! Config repositories of any size, the same at every run: real bare git repositories with one pack.
//!
//! One file in ten (or each) carries a marker. A file has about five lines; the shapes are those that config repositories
//! have most: kustomize images, Helm values, patches of a Deployment, and files without images. A folder holds a hundred
//! files. To twenty marked files there is a policy, in a file with its ImageRepository; half of the policies are
//! semver, half numerical with a filter.

use butler::engine::image::Tag;
use git2::{Oid, Repository, Signature, Time};
use std::{fmt::Write, path::Path};

/// What a repository is like.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Shape {
    /// YAML files, those of policies included.
    pub files: usize,
    /// The share of other files that carry a marker, in a tenth.
    pub marked: usize,
}

/// Files in a folder.
const FOLDER: usize = 100;
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
        let mut files: Vec<File> = (0..policies).map(policy).collect();
        for n in policies..self.files {
            let marked = n % 10 < self.marked;
            let path = format!("apps/group-{:04}/{n:06}.yaml", n / FOLDER);
            files.push(File { path, text: manifest(n, marked, policies, &mut random) });
        }
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

fn policy(n: usize) -> File {
    let order = match is_numerical(n) {
        true => {
            "  filterTags:\n    pattern: '^main-[a-f0-9]+-(?P<ts>[0-9]+)$'\n    extract: '$ts'\n  policy:\n    numerical: {order: asc}\n"
        }
        false => "  policy:\n    semver: {range: '>=1.0.0'}\n",
    };
    let text = format!(
        "apiVersion: image.toolkit.fluxcd.io/v1\nkind: ImageRepository\nmetadata: {{name: app-{n:05}, namespace: \
         flux-system}}\nspec: {{image: {}, interval: 5m}}\n---\napiVersion: image.toolkit.fluxcd.io/v1\nkind: \
         ImagePolicy\nmetadata: {{name: app-{n:05}, namespace: flux-system}}\nspec:\n  imageRepositoryRef: {{name: \
         app-{n:05}}}\n{order}",
        image(n)
    );
    File { path: format!("clusters/main/policies-{:04}/app-{n:05}.yaml", n / FOLDER), text }
}

fn manifest(n: usize, marked: bool, policies: usize, random: &mut Random) -> String {
    let policy = random.below(policies);
    let image = image(policy);
    let tag = tag(policy, if policy % 10 == 0 { TAGS - 2 } else { TAGS - 1 });
    let marker = |part: &str| match marked {
        true => format!(" # {{\"$imagepolicy\": \"flux-system:app-{policy:05}{part}\"}}"),
        false => String::new(),
    };
    let mut text = String::new();
    // Without a marker, one file in three has an image all the same.
    let shape = if marked || random.below(3) == 0 { random.below(3) } else { 3 + random.below(3) };
    let _ = match shape {
        0 => write!(
            text,
            "apiVersion: kustomize.config.k8s.io/v1beta1\nkind: Kustomization\nimages:\n- name: {image}\n  newTag: \
             {tag}{}\n",
            marker(":tag")
        ),
        1 => write!(
            text,
            "image:\n  repository: {image}\n  tag: {tag}{}\nreplicas: {}\nport: 8080\n",
            marker(":tag"),
            1 + n % 5
        ),
        2 => write!(
            text,
            "apiVersion: apps/v1\nkind: Deployment\nmetadata: {{name: app-{n:06}, namespace: team-{}}}\nspec:\n  \
             template:\n    spec:\n      containers:\n      - name: app\n        image: {image}:{tag}{}\n",
            n % 7,
            marker("")
        ),
        3 => write!(
            text,
            "apiVersion: v1\nkind: ConfigMap\nmetadata: {{name: settings-{n:06}}}\ndata:\n  LOG_LEVEL: info\n"
        ),
        4 => write!(
            text,
            "apiVersion: v1\nkind: Service\nmetadata: {{name: app-{n:06}, namespace: team-{}}}\nspec:\n  ports: [{{port: \
             80, targetPort: 8080}}]\n",
            n % 7
        ),
        _ => write!(
            text,
            "apiVersion: networking.k8s.io/v1\nkind: NetworkPolicy\nmetadata: {{name: allow-{n:06}}}\nspec:\n  \
             podSelector: {{}}\n"
        ),
    };
    text
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
