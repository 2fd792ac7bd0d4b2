//! One repository, measured.

use crate::{
    Failure,
    generate::{self, File, Shape},
    limit,
};
use butler::{
    adapters::git::{BranchState, Mirror, Reader, Work},
    engine::{
        config::{Config, Downgrade},
        dialect::PolicyState,
        memory::Memory,
        plan::{Fact, Facts, Planned, Scope, UpdateInputs, UpdatePlan, update},
    },
};
use git2::Oid;
use jiff::Timestamp;
use std::{
    collections::HashSet,
    fmt, fs,
    path::{Path, PathBuf},
    process::Command,
    sync::{Arc, LazyLock},
    time::{Duration, Instant},
};

/// A generated repository on disk.
pub struct Mirrored {
    shape: Shape,
    pub files: Vec<File>,
    head: Oid,
    dir: PathBuf,
    /// Removed with it.
    _folder: tempfile::TempDir,
}

impl Mirrored {
    pub fn new(shape: Shape) -> Result<Self, Failure> {
        let folder = tempfile::tempdir()?;
        let dir = folder.path().join("mirror.git");
        let files = shape.generate();
        let head = generate::write(&dir, &files)?;
        Ok(Mirrored { shape, files, head, dir, _folder: folder })
    }

    fn open(&self) -> Result<Mirror, Failure> {
        open(&self.dir)
    }

    /// Reads and plans with nothing known.
    fn cold(&self, facts: &Facts) -> Result<(Duration, (Work, UpdatePlan)), Failure> {
        let (reader, mirror) = (Reader::default(), self.open()?);
        let (time, _state, plan) = read_and_plan(&reader, &mirror, self.head, facts)?;
        Ok((time, (reader.work(), plan)))
    }
}

fn open(dir: &Path) -> Result<Mirror, Failure> {
    let token = Arc::new(|| Err("nothing is fetched".into()));
    Ok(Mirror::open_or_create(dir, "https://example.com/a/b.git", token)?)
}

/// What holds without a butler.yaml.
fn config() -> &'static Arc<Config> {
    static CONFIG: LazyLock<Arc<Config>> = LazyLock::new(|| Arc::new(Config::whole_repository()));
    &CONFIG
}

/// Everything that a plan asks: the tags of each image.
fn facts(state: &BranchState) -> Facts {
    let mut facts = Facts::default();
    for policy in &state.bindings.policies {
        if let (PolicyState::Usable { repository, .. }, Some((_, number))) =
            (&policy.state, policy.key.name.split_once('-'))
        {
            let tags = generate::tags(number.parse().unwrap_or(0), generate::TAGS);
            let fact = Fact::Known { value: Arc::new(tags), as_of: Timestamp::UNIX_EPOCH };
            facts.tags.insert(repository.clone(), fact);
        }
    }
    facts
}

fn plan(state: &BranchState, facts: &Facts) -> Result<UpdatePlan, Failure> {
    let planned = update(&UpdateInputs {
        environment: Scope { name: "all", contains: &|_| true, automatic: true },
        others: &[],
        branch: "main",
        snapshot: &state.snapshot,
        bindings: &state.bindings,
        memory: &Memory::new(),
        facts,
        now: Timestamp::UNIX_EPOCH,
        downgrade: Downgrade::PullRequest,
        edit_unparsed: true,
        take_over: false,
        with_history: false,
    });
    match planned {
        Planned::Ready(plan) => Ok(plan),
        Planned::Needs(needs) => Err(format!("{} questions are open", needs.len()).into()),
    }
}

/// Reads a commit with what `reader` knows, and plans.
fn read_and_plan(
    reader: &Reader,
    mirror: &Mirror,
    commit: Oid,
    facts: &Facts,
) -> Result<(Duration, Arc<BranchState>, UpdatePlan), Failure> {
    let commit = commit.to_string();
    let start = Instant::now();
    let state = reader.branch(mirror, "main", &commit, config())?;
    let plan = plan(&state, facts)?;
    Ok((start.elapsed(), state, plan))
}

/// A push of one file.
#[derive(Clone, Copy)]
pub enum Push {
    /// One with a marker changes.
    Marked,
    /// One is added.
    New,
    /// One that defines a policy changes.
    Policy,
}

impl Push {
    const ALL: [Push; 3] = [Push::Marked, Push::New, Push::Policy];

    fn named(name: &str) -> Option<Self> {
        Some(match name {
            "push" => Push::Marked,
            "new" => Push::New,
            "policy" => Push::Policy,
            _ => return None,
        })
    }

    /// What the `n`th push writes.
    fn file(self, files: &[File], n: usize) -> Result<File, Failure> {
        let taken = |file: &&File| match self {
            Push::Marked => file.path.starts_with("apps/") && file.text.contains("$image"),
            Push::New => file.path.ends_with("/deployment.yaml"),
            Push::Policy => file.path.starts_with("policies/group-0000/app-"),
        };
        let like = files.iter().filter(taken).cycle().nth(n * 37).ok_or("no such file")?;
        let path = match self {
            Push::New => like.path.replace("/deployment.yaml", &format!("/new-{n}.yaml")),
            Push::Marked | Push::Policy => like.path.clone(),
        };
        Ok(File { path, text: format!("# push {n}\n{}", like.text) })
    }
}

/// The table's row.
pub struct Measured {
    shape: Shape,
    lines: usize,
    planned: (usize, usize),
    cat_file: Option<Duration>,
    search: Duration,
    cold: Duration,
    cold_work: Work,
    /// As [`Push::ALL`].
    pushes: [(Duration, Work); 3],
    peak_kib: Option<u64>,
}

/// The shortest of several runs: what the machine's other work adds is not ours.
pub fn shortest<T>(
    runs: usize,
    mut run: impl FnMut() -> Result<(Duration, T), Failure>,
) -> Result<(Duration, T), Failure> {
    let mut best = run()?;
    for _ in 1..runs {
        let next = run()?;
        if next.0 < best.0 {
            best = next;
        }
    }
    Ok(best)
}

impl Measured {
    pub const HEAD: &str = "| files | marked | lines | followed / to change | `cat-file` | memmem | cold | ÷ limit | read, parsed | push of a file | % of cold | read, parsed | of a new one | % of cold | of a policy | % of cold | peak memory |\n\
         |--:|--:|--:|--:|--:|--:|--:|--:|--:|--:|--:|--:|--:|--:|--:|--:|--:|";

    pub fn of(mirrored: &Mirrored) -> Result<Self, Failure> {
        let runs = match mirrored.shape.files {
            ..=2_000 => 200,
            2_001..=20_000 => 40,
            _ => 5,
        };
        // The first reading only tells which tags will be asked for.
        let (reader, mirror) = (Reader::default(), mirrored.open()?);
        let state = reader.branch(&mirror, "main", &mirrored.head.to_string(), config())?;
        let facts = facts(&state);
        // A blob once, however many files have it: nobody needs to read it twice.
        let mut seen = HashSet::new();
        let blobs = state.snapshot.entries.values().map(|entry| entry.blob.clone());
        let ids: Vec<Arc<str>> = blobs.filter(|blob| seen.insert(blob.clone())).collect();

        let texts: Vec<Vec<u8>> = mirrored.files.iter().map(|file| file.text.clone().into_bytes()).collect();
        let (search, ()) = shortest(runs, || Ok((limit::search(&texts), ())))?;

        // In turn with what it is compared to: a machine that is slower for a while is so for both.
        let mut limits = Vec::new();
        let (cold, (cold_work, plan)) = shortest(runs, || {
            limits.extend(limit::cat_file(&mirrored.dir, &ids));
            mirrored.cold(&facts)
        })?;
        let cat_file = limits.into_iter().min();

        let (mut head, mut n) = (mirrored.head, 0);
        let mut after = |push: Push| -> Result<(Duration, Work), Failure> {
            n += 1;
            let file = push.file(&mirrored.files, n)?;
            head = generate::push(&mirrored.dir, head, &file.path, &file.text)?;
            let before = reader.work();
            let (time, ..) = read_and_plan(&reader, &mirror, head, &facts)?;
            let after = reader.work();
            Ok((time, Work { read: after.read - before.read, parsed: after.parsed - before.parsed }))
        };
        let mut pushes = [(Duration::ZERO, Work::default()); 3];
        for (push, measured) in Push::ALL.into_iter().zip(&mut pushes) {
            // Files that come stay: many would make it another repository.
            let runs = if matches!(push, Push::New) { runs.min(50) } else { runs };
            *measured = shortest(runs, || after(push))?;
        }

        Ok(Measured {
            shape: mirrored.shape,
            lines: mirrored.files.iter().map(|file| file.text.lines().count()).sum(),
            planned: (plan.changes.len() + plan.current, plan.changes.len()),
            cat_file,
            search,
            cold,
            cold_work,
            pushes,
            peak_kib: peak_of_another(&mirrored.dir)?,
        })
    }
}

impl fmt::Display for Measured {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let ms = |time: Duration| format!("{:.2} ms", time.as_secs_f64() * 1e3);
        let percent = |part: Duration| 100.0 * part.as_secs_f64() / self.cold.as_secs_f64();
        let unknown = || "-".to_owned();
        let [marked, new, policy] = self.pushes;
        let push = |(time, _)| format!("{} | {:.1} %", ms(time), percent(time));
        write!(
            f,
            "| {} | {}/10 | {} | {} / {} | {} | {} | {} | {} | {}, {} | {} | {}, {} | {} | {} | {} |",
            self.shape.files,
            self.shape.marked,
            self.lines,
            self.planned.0,
            self.planned.1,
            self.cat_file.map_or_else(unknown, ms),
            ms(self.search),
            ms(self.cold),
            self.cat_file.map_or_else(unknown, |limit| format!("{:.2}", self.cold.as_secs_f64() / limit.as_secs_f64())),
            self.cold_work.read,
            self.cold_work.parsed,
            push(marked),
            marked.1.read,
            marked.1.parsed,
            push(new),
            push(policy),
            self.peak_kib.map_or_else(unknown, |kib| format!("{:.1} MiB", kib as f64 / 1024.0)),
        )
    }
}

/// How long butler takes with nothing known, its plan, and the most memory of a process that reads and plans once.
pub fn cold(mirrored: &Mirrored) -> Result<(Duration, UpdatePlan, Option<u64>), Failure> {
    let state = Reader::default().branch(&mirrored.open()?, "main", &mirrored.head.to_string(), config())?;
    let facts = facts(&state);
    let (time, (_, plan)) = shortest(15, || mirrored.cold(&facts))?;
    Ok((time, plan, peak_of_another(&mirrored.dir)?))
}

/// Runs this program once more, to read and plan the repository in `dir` and to tell its memory.
fn peak_of_another(dir: &Path) -> Result<Option<u64>, Failure> {
    let output = Command::new(std::env::current_exe()?).arg("--peak").arg(dir).output()?;
    if !output.status.success() {
        return Err(String::from_utf8_lossy(&output.stderr).into_owned().into());
    }
    Ok(String::from_utf8_lossy(&output.stdout).trim().parse().ok())
}

/// Reads and plans, then prints the most memory that was resident, in KiB (Linux only).
pub fn peak_of_this(dir: &Path) -> Result<(), Failure> {
    let head = git2::Repository::open_bare(dir)?.refname_to_id("refs/heads/main")?;
    let (reader, mirror) = (Reader::default(), open(dir)?);
    let state = reader.branch(&mirror, "main", &head.to_string(), config())?;
    plan(&state, &facts(&state))?;
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    let peak = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    println!("{}", peak.map_or("-", |peak| peak.trim().trim_end_matches("kB").trim()));
    Ok(())
}

/// Repeats one thing for two seconds, for a profiler.
pub fn profile(shape: Shape, what: &str) -> Result<(), Failure> {
    let mirrored = Mirrored::new(shape)?;
    let (reader, mirror) = (Reader::default(), mirrored.open()?);
    let state = reader.branch(&mirror, "main", &mirrored.head.to_string(), config())?;
    let facts = facts(&state);
    let push = Push::named(what);
    let begun = Instant::now();
    let (mut head, mut times) = (mirrored.head, 0);
    while begun.elapsed() < Duration::from_secs(2) {
        times += 1;
        match push {
            None => drop(read_and_plan(&Reader::default(), &mirrored.open()?, head, &facts)?),
            Some(push) => {
                let file = push.file(&mirrored.files, times)?;
                head = generate::push(&mirrored.dir, head, &file.path, &file.text)?;
                read_and_plan(&reader, &mirror, head, &facts)?;
            }
        }
    }
    println!("{times} times");
    Ok(())
}
