//! Flux's own packages over the same input (the programs of `benches/peer`), beside butler.

use crate::{
    Failure,
    generate::{self, Shape},
    measure::{self, Mirrored, shortest},
    tags,
};
use serde_json::{Value, json};
use std::{
    collections::HashSet,
    fs,
    io::Write,
    path::Path,
    process::{Command, Stdio},
    time::Duration,
};

/// How often Flux updates a repository, each time as a process of its own and over a fresh checkout.
const RUNS: usize = 5;

/// Runs the programs in `programs`, and prints how much longer they take than butler, and how much more memory.
pub fn print(programs: &Path, shapes: impl Iterator<Item = Shape>) -> Result<(), Failure> {
    println!(
        "| files | marked | changed | Flux | butler | ratio | Flux's peak | butler's peak | ratio |\n\
         |--:|--:|--:|--:|--:|--:|--:|--:|--:|"
    );
    for shape in shapes {
        repository(&programs.join("updater"), shape)?;
    }
    println!("\n| choosing from {} tags | Flux | butler | ratio | chosen |\n|---|--:|--:|--:|---|", tags::COUNT);
    for choice in tags::choices()? {
        let names: Vec<&str> = choice.tags.iter().map(|tag| tag.name.as_str()).collect();
        let input = json!({ "spec": choice.spec, "tags": names });
        let output = run(&mut Command::new(programs.join("policy")), &input)?;
        let [theirs, flux] = fields(&output)?;
        let flux = milliseconds(flux)?;
        let (butler, chosen) = choice.time();
        if chosen != theirs {
            return Err(format!("{}: butler chose {chosen}, Flux {theirs}", choice.name).into());
        }
        println!("| {} | {} | {chosen} |", choice.name, beside(flux, butler));
    }
    Ok(())
}

/// Has Flux's updater set every marked value in a checkout.
fn repository(updater: &Path, shape: Shape) -> Result<(), Failure> {
    let mirrored = Mirrored::new(shape)?;
    let policy = |n| {
        json!({
            "metadata": { "namespace": "flux-system", "name": format!("app-{n:05}") },
            "status": { "latestRef": { "name": generate::image(n), "tag": generate::newest(n) } },
        })
    };
    let policies = (0..shape.policies()).map(policy).collect();
    let (flux, (changed, flux_peak)) = shortest(RUNS, || {
        let checkout = tempfile::tempdir()?;
        for file in &mirrored.files {
            let path = checkout.path().join(&file.path);
            fs::create_dir_all(path.parent().unwrap_or(checkout.path()))?;
            fs::write(path, &file.text)?;
        }
        let output = run(Command::new(updater).arg(checkout.path()), &policies)?;
        let [changed, time, peak] = fields(&output)?;
        Ok((milliseconds(time)?, (changed.parse::<usize>()?, peak.parse::<u64>().ok())))
    })?;
    let (butler, plan, butler_peak) = measure::cold(&mirrored)?;
    let ours = plan.changes.iter().map(|change| &change.line.file).collect::<HashSet<_>>().len();
    if ours != changed {
        return Err(format!("{} files: butler changes {ours}, Flux {changed}", shape.files).into());
    }
    let peaks = match (flux_peak, butler_peak) {
        (Some(flux), Some(butler)) => {
            let mib = |kib: u64| kib as f64 / 1024.0;
            format!("{:.1} MiB | {:.1} MiB | {:.1}", mib(flux), mib(butler), mib(flux) / mib(butler))
        }
        _ => "- | - | -".to_owned(),
    };
    println!("| {} | {}/10 | {changed} | {} | {peaks} |", shape.files, shape.marked, beside(flux, butler));
    Ok(())
}

/// What a program prints that reads `input`.
fn run(program: &mut Command, input: &Value) -> Result<String, Failure> {
    let mut child = program.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn()?;
    // Dropped, and so closed, before the output is read.
    child.stdin.take().ok_or("no standard input")?.write_all(input.to_string().as_bytes())?;
    let output = child.wait_with_output()?;
    if !output.status.success() {
        return Err(format!("{:?}: {}", program.get_program(), output.status).into());
    }
    Ok(String::from_utf8(output.stdout)?)
}

fn fields<const N: usize>(line: &str) -> Result<[&str; N], Failure> {
    let fields: Vec<&str> = line.split_whitespace().collect();
    <[&str; N]>::try_from(fields).map_err(|found| format!("expected {N} fields, found {found:?}").into())
}

fn milliseconds(text: &str) -> Result<Duration, Failure> {
    Ok(Duration::try_from_secs_f64(text.parse::<f64>()? / 1e3)?)
}

/// Two times, and how often the second is in the first.
fn beside(flux: Duration, butler: Duration) -> String {
    let (flux, butler) = (flux.as_secs_f64() * 1e3, butler.as_secs_f64() * 1e3);
    format!("{flux:.1} ms | {butler:.1} ms | {:.1}", flux / butler)
}
