//! Slash-commands: what a person says to butler in a comment or review.
//!
//! ```text
//! comment   = *( line )                    ; as GitHub shows it: no quotes, code, HTML, link texts
//! line      = command / anything else
//! command   = "/butler" [ SP verb *( SP word ) ]
//!           / "/" verb *( SP word )        ; only where bare commands count
//! promote   = "promote" *component [ "to" env [ version ] ]
//!           / "promote" *component [ version ]
//! hold      = "hold" [ what ] [ "until" when ] [ reason ]
//! resume    = "resume" [ what ]
//! what      = "all" / component / env / component env / env component
//! merge     = "merge"
//! status    = "status"
//! help      = "help"                       ; so is "/butler" alone
//! ```
//!
//! A command stands at the beginning of a line (white space before it is fine) and ends with the line; its verb may be
//! in any case. The grammar cannot tell a component from a version, an environment or the first word of a reason: that
//! takes the config, so words stay words here; [`resolve_hold`] sorts those of `hold` and `resume`. Without a `what`
//! they mean the promotion or update on whose pull request they are said, and everything where that is none.
//!
//! Whether the author may give a command is not decided here: see [`VerbInfo::permission`].

mod hold;
mod markdown;
mod verbs;

pub use hold::{Held, near, resolve_hold, until};
pub use verbs::{Permission, VERBS, VerbInfo};

use crate::engine::config::nearest;

/// How many commands a comment may hold.
pub const MOST_COMMANDS: usize = 20;

/// How long a command may be, in bytes.
const LONGEST_LINE: usize = 1_000;

/// How long a comment may be, in bytes: GitHub's 65,536 characters at four bytes each.
const LONGEST_COMMENT: usize = 4 * 65_536;

/// Where a comment stands, as far as it decides what counts as a command.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Scope {
    /// Whether `/<verb>` counts: on butler's own pull requests, or where `commands.bare` is `everywhere`.
    pub bare: bool,
}

/// One line that is addressed to butler.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Parsed {
    Command(Command),
    /// `/butler` with a verb that there is not, or, where bare commands count, a slip of one.
    Unknown {
        line: String,
        verb: String,
        nearest: Option<&'static str>,
    },
    /// A known verb that cannot be carried out as it was said.
    Invalid {
        line: String,
        verb: &'static str,
        why: String,
        usage: &'static str,
    },
}

impl Parsed {
    /// The line as it stands in the comment, without white space at its ends.
    pub fn line(&self) -> &str {
        match self {
            Parsed::Command(Command { line, .. }) | Parsed::Unknown { line, .. } | Parsed::Invalid { line, .. } => line,
        }
    }
}

/// A command that was understood.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Command {
    /// The line as it stands in the comment, without white space at its ends.
    pub line: String,
    pub verb: Verb,
}

/// A command of this version, with its arguments.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verb {
    /// Without `to`, a version at the end is still among the components.
    Promote {
        components: Vec<String>,
        to: Option<String>,
        version: Option<String>,
    },
    Merge,
    /// `words` are those before `until`, or all; `reason` is what follows `until <when>`. See [`resolve_hold`] and
    /// [`until`].
    Hold {
        words: Vec<String>,
        until: Option<String>,
        reason: Option<String>,
    },
    /// See [`resolve_hold`].
    Resume {
        words: Vec<String>,
    },
    Status,
    Help,
}

impl Verb {
    /// The verb's entry in [`VERBS`] is found by this name.
    pub fn name(&self) -> &'static str {
        match self {
            Verb::Promote { .. } => "promote",
            Verb::Merge => "merge",
            Verb::Hold { .. } => "hold",
            Verb::Resume { .. } => "resume",
            Verb::Status => "status",
            Verb::Help => "help",
        }
    }
}

/// Finds the commands of a comment, in order. Never fails: what is not addressed to butler is passed over.
pub fn parse(text: &str, scope: Scope) -> Vec<Parsed> {
    if text.len() > LONGEST_COMMENT {
        return Vec::new();
    }
    let mut found = Vec::new();
    for line in markdown::spoken(text) {
        let Some(parsed) = command(line, scope) else { continue };
        if found.len() == MOST_COMMANDS {
            let verb = match &parsed {
                Parsed::Command(command) => command.verb.name(),
                Parsed::Invalid { verb, .. } => verb,
                Parsed::Unknown { .. } => "help",
            };
            let why =
                format!("a comment holds at most {MOST_COMMANDS} commands; this one and all after it are left out");
            found.push(Parsed::Invalid { line: line.to_owned(), verb, why, usage: usage(verb) });
            break;
        }
        found.push(parsed);
    }
    found
}

fn usage(verb: &str) -> &'static str {
    VerbInfo::of(verb).map_or("help", |verb| verb.usage)
}

/// Reads one line that begins with a slash; `None` where it is not for butler.
fn command(line: &str, scope: Scope) -> Option<Parsed> {
    let mut words = line.split_whitespace();
    let first = words.next()?.strip_prefix('/')?;
    let addressed = first.eq_ignore_ascii_case("butler");
    let verb = if addressed { words.next().unwrap_or("help") } else { first }.to_ascii_lowercase();
    if !addressed && !scope.bare {
        return None;
    }
    let line = line.to_owned();
    let Some(info) = VerbInfo::of(&verb) else {
        let nearest = match verb.as_str() {
            // What another bot calls it.
            "unhold" => Some("resume"),
            _ if addressed => nearest(&verb, VERBS.iter().map(|verb| verb.name)),
            _ => slip(&verb),
        };
        // Bare words that are not near one of ours are somebody else's commands.
        return (addressed || nearest.is_some()).then(|| Parsed::Unknown {
            nearest,
            verb: verb.chars().take(100).collect(),
            line,
        });
    };
    let read = if line.len() > LONGEST_LINE {
        Err(format!("expected at most {LONGEST_LINE} bytes, found {}", line.len()))
    } else {
        arguments(info, &words.collect::<Vec<_>>())
    };
    Some(match read {
        Ok(verb) => Parsed::Command(Command { line, verb }),
        Err(why) => Parsed::Invalid { line, verb: info.name, why, usage: info.usage },
    })
}

/// The command that a bare word was meant to be. Other bots listen there too: so it must begin with the same letter, or
/// with a neighbour swapped (`/tsatus`), and short words (`/ping`, `/test`) count for what they are.
fn slip(verb: &str) -> Option<&'static str> {
    let near = nearest(verb, verbs::available())?;
    let (first, second) = (near.chars().next(), near.chars().nth(1));
    let begins = verb.chars().next();
    let swapped = begins == second && verb.chars().nth(1) == first;
    (verb.chars().count() >= 4 && (begins == first || swapped)).then_some(near)
}

fn arguments(info: &VerbInfo, words: &[&str]) -> Result<Verb, String> {
    let owned = |words: &[&str]| words.iter().map(|word| (*word).to_owned()).collect::<Vec<_>>();
    let alone = |verb: Verb| match words {
        [] => Ok(verb),
        words => Err(format!("expected nothing after {}, found {:?}", info.name, words.join(" "))),
    };
    match info.name {
        "promote" => promote(words),
        "merge" => alone(Verb::Merge),
        "status" => alone(Verb::Status),
        "help" => alone(Verb::Help),
        "hold" => hold::hold(words),
        "resume" if words.len() > 2 => Err(format!("expected a component and an environment at most, found {words:?}")),
        "resume" => Ok(Verb::Resume { words: owned(words) }),
        _ => {
            let available = verbs::available().collect::<Vec<_>>().join(", ");
            Err(format!("{} is not available in this version; available: {available}", info.name))
        }
    }
}

fn promote(words: &[&str]) -> Result<Verb, String> {
    let owned = |words: &[&str]| words.iter().map(|word| (*word).to_owned()).collect();
    let Some(at) = words.iter().position(|word| word.eq_ignore_ascii_case("to")) else {
        return Ok(Verb::Promote { components: owned(words), to: None, version: None });
    };
    let (components, after) = (owned(&words[..at]), &words[at + 1..]);
    match after {
        [] => Err("expected an environment after \"to\", found nothing".into()),
        [to] => Ok(Verb::Promote { components, to: Some((*to).to_owned()), version: None }),
        [to, version] => {
            Ok(Verb::Promote { components, to: Some((*to).to_owned()), version: Some((*version).to_owned()) })
        }
        [_, rest @ ..] => Err(format!("expected one version after the environment, found {:?}", rest.join(" "))),
    }
}

#[cfg(test)]
mod tests;
