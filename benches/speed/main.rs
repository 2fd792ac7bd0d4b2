//! How long butler takes to read and plan a config repository, beside what bounds it from below. Prints a table.
//!
//!     cargo bench                          # 1,000, 10,000 and 100,000 files
//!     cargo bench -- --files 10000         # one size
//!     cargo bench -- --peers DIR           # beside Flux's packages: the programs of benches/peer, built into DIR
//!
//! See docs/performance.md.

mod generate;
mod limit;
mod measure;
mod peer;
mod tags;

use generate::Shape;
use measure::{Measured, Mirrored};
use std::{path::PathBuf, process::ExitCode};

type Failure = Box<dyn std::error::Error>;

const SIZES: [usize; 3] = [1_000, 10_000, 100_000];
/// Tenths of the files that are marked.
const SHARES: [usize; 2] = [1, 10];

/// What the command line asks for.
#[derive(Default)]
struct Asked {
    files: Option<usize>,
    /// Tenths of the files that are marked, where one repository is profiled.
    marked: Option<usize>,
    peers: Option<PathBuf>,
    /// Only to be a process whose memory is measured: reads and plans the repository in this folder.
    peak: Option<PathBuf>,
    /// To be profiled: reads one repository again and again.
    profile: Option<String>,
}

fn main() -> Result<ExitCode, Failure> {
    let mut asked = Asked::default();
    let mut arguments = std::env::args().skip(1);
    while let Some(argument) = arguments.next() {
        let mut value = || arguments.next().ok_or(format!("{argument}: expected a value"));
        match argument.as_str() {
            // What cargo adds.
            "--bench" => {}
            "--files" => asked.files = Some(value()?.parse()?),
            "--marked" => asked.marked = Some(value()?.parse()?),
            "--peers" => asked.peers = Some(value()?.into()),
            "--peak" => asked.peak = Some(value()?.into()),
            "--profile" => asked.profile = Some(value()?),
            other => {
                eprintln!(
                    "expected --files N, --peers DIR or --profile cold|push|new|policy [--marked 1|10], found {other}"
                );
                return Ok(ExitCode::from(2));
            }
        }
    }
    if let Some(dir) = asked.peak {
        measure::peak_of_this(&dir)?;
        return Ok(ExitCode::SUCCESS);
    }
    let sizes = asked.files.map_or(SIZES.to_vec(), |files| vec![files]);
    let shapes = sizes.iter().flat_map(|files| SHARES.map(|marked| Shape { files: *files, marked }));
    if let Some(programs) = asked.peers {
        peer::print(&programs, shapes)?;
        return Ok(ExitCode::SUCCESS);
    }
    if let Some(what) = asked.profile {
        measure::profile(Shape { files: sizes[0], marked: asked.marked.unwrap_or(SHARES[0]) }, &what)?;
        return Ok(ExitCode::SUCCESS);
    }
    println!("{}", Measured::HEAD);
    for shape in shapes {
        let mirrored = Mirrored::new(shape)?;
        println!("{}", Measured::of(&mirrored)?);
    }
    println!();
    tags::print()?;
    Ok(ExitCode::SUCCESS)
}
