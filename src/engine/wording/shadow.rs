//! The check run `butler/shadow`: what Flux wrote, beside what butler would have written.

use super::{
    code,
    findings::{CheckText, listed},
    time,
};
use crate::engine::plan::{Change, Shadowed, Stands};

/// How many lines of a kind are listed.
const LISTED: usize = 50;

/// What became of the lines that Flux writes.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Agreement {
    /// How many hold what butler would have written.
    pub agree: usize,
    pub others: Vec<Watched>,
    /// How many butler has no value for, to compare with.
    pub uncompared: usize,
}

/// A line that does not hold what butler would have written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Watched {
    pub environment: String,
    /// What butler would write.
    pub change: Change,
    /// Who writes it.
    pub by: String,
    pub stands: Stands,
}

impl Agreement {
    /// Nothing is written by Flux.
    pub fn is_empty(&self) -> bool {
        self.agree + self.uncompared == 0 && self.others.is_empty()
    }

    /// Whether something is there that butler would not have written.
    pub fn differs(&self) -> bool {
        self.others.iter().any(Watched::differs)
    }
}

impl Watched {
    /// The line of a change that somebody else is to make.
    pub fn of(environment: &str, change: &Change) -> Option<Watched> {
        let Shadowed { by, stands } = change.shadowed.clone()?;
        Some(Watched { environment: environment.to_owned(), change: change.clone(), by, stands })
    }

    fn differs(&self) -> bool {
        matches!(self.stands, Stands::Differs(_))
    }

    fn in_words(&self) -> String {
        let Watched { environment, change, by, stands } = self;
        let place = format!("{}:{}", change.line.file, change.position);
        let policy = change.policy.as_ref().map(|policy| format!(" ({})", code(policy))).unwrap_or_default();
        let (old, new) = (code(&change.old), code(&change.new));
        let stands = match stands {
            Stands::Waits { since } => {
                let since = since.map(|since| format!(", since {}", time(since))).unwrap_or_default();
                format!("{old} → {new}{since}")
            }
            Stands::Differs(why) => format!("{old} stands there, butler would have written {new}: {}", code(why)),
        };
        format!("- {} in {}{policy}, {}: {stands}\n", code(&place), code(environment), code(by))
    }
}

/// The check run's words; where Flux writes nothing, that it does not any more.
pub fn agreement(agreement: &Agreement) -> CheckText {
    let Agreement { agree, others, uncompared } = agreement;
    if agreement.is_empty() {
        return CheckText {
            title: "Flux writes no line here".into(),
            summary: "No automation of Flux's is active here any more: butler writes.\n".into(),
        };
    }
    let (differ, wait): (Vec<&Watched>, Vec<&Watched>) = others.iter().partition(|line| line.differs());
    let compared = agree + others.len();
    let verb = |n: usize, verb: &str| format!("{n} {verb}{}", if n == 1 { "s" } else { "" });
    let title = format!(
        "Flux writes {compared} line{}: {}, {}, {}",
        if compared == 1 { "" } else { "s" },
        verb(*agree, "agree"),
        verb(wait.len(), "wait"),
        verb(differ.len(), "differ"),
    );
    let mut summary =
        "Flux is the writer of these lines: an ImageUpdateAutomation that is not suspended covers them, or \
                       Flux v1 still commits releases to this branch. butler plans what it would write, and compares.\n"
            .to_owned();
    for (what, lines) in [
        ("Somebody put something there that butler would not have", differ),
        ("Flux has not written yet what butler would write", wait),
    ] {
        if lines.is_empty() {
            continue;
        }
        summary.push_str(&format!("\n{what}:\n\n"));
        summary.push_str(&listed(lines.iter().map(|line| line.in_words()), LISTED));
    }
    if *uncompared > 0 {
        summary.push_str(&format!(
            "\nNot compared: {uncompared} more, which butler would leave alone; `butler plan` says why.\n"
        ));
    }
    summary.push_str(
        "\nTo let butler write, suspend the automation or stop Flux v1, or say `dialects: {flux: {take-over: true}}` in butler.yaml.\n",
    );
    CheckText { title, summary }
}
