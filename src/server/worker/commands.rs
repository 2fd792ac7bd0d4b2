//! Slash-commands: comments that wait are decided, once, before anything else is done.

use super::{Effect, WorkError, session::Session};
use crate::{
    adapters::{github::Reaction, store::JobRequest},
    engine::{
        command::{self, Command, Parsed, Permission, Scope},
        config::{Bare, Config},
        event::Comment,
        memory::{Decision, Intent, Memory, Outcome, Request},
        plan::component_of,
        wording::{code, plain, reply},
    },
};
use jiff::Timestamp;
use std::collections::BTreeSet;

/// The key of the reply to a comment.
fn reply_key(comment: u64) -> String {
    format!("reply:{comment}")
}

impl Session<'_> {
    /// Decides every comment that waits. Returns those whose replies are due: decided now, or decided by an attempt
    /// that did not live to reply.
    pub async fn decide_commands(&mut self) -> Result<Vec<Comment>, WorkError> {
        let waiting = self.worker.store.inbox(self.repo).await?;
        let mut due = Vec::new();
        for comment in waiting {
            self.heard.insert(comment.id);
            if !self.memory.decided(comment.id) {
                self.decide_comment(&comment).await?;
            }
            due.push(comment);
        }
        Ok(due)
    }

    async fn decide_comment(&mut self, comment: &Comment) -> Result<(), WorkError> {
        if comment.author_is_bot {
            return Ok(());
        }
        let own_head = self.own_head(comment).await?;
        let bare = own_head.is_some() || self.config.commands.bare == Bare::Everywhere;
        let parsed = command::parse(&comment.body, Scope { bare });
        if parsed.is_empty() {
            return Ok(());
        }
        let eyes = Effect::React { comment: comment.id, reaction: Reaction::Eyes }.job(self.repo)?;
        self.worker.store.enqueue(&[eyes], self.worker.clock.now()).await?;
        let permission = self.worker.forge.role(self.repo, &comment.author).await?.permission();
        let components = self.components().await?;

        let mut memory = self.memory.clone();
        let now = self.worker.clock.now();
        let request =
            Request { comment: comment.id, by: &comment.author, permission, own_head: own_head.as_deref(), now };
        let mut decisions = Vec::new();
        for command in &parsed {
            let (intent, needed) = self.intent(command, own_head.as_deref(), &components, &mut memory, now);
            let outcome = memory.decide(&request, &intent, needed);
            decisions.push(Decision { line: command.line().to_owned(), outcome });
        }
        let summary = format!("command: {} by {}", parsed[0].line(), comment.author);
        memory.remember_command(comment.id, decisions);
        self.remember(memory, &summary).await
    }

    /// The head branch of the pull request that a comment stands on, where that is butler's own and open.
    async fn own_head(&mut self, comment: &Comment) -> Result<Option<String>, WorkError> {
        if !comment.on_pull {
            return Ok(None);
        }
        Ok(self.pulls.iter().find(|(_, pull)| pull.number == comment.number).map(|(head, _)| head.clone()))
    }

    /// The components of all environments: what commands may name.
    async fn components(&mut self) -> Result<BTreeSet<String>, WorkError> {
        let mut found = BTreeSet::new();
        let config = self.config.clone();
        for environment in &config.environments {
            let branch = self.branch_of(environment);
            let Some(state) = self.branch(&branch).await? else { continue };
            for (file, scan, line) in state.snapshot.lines() {
                if environment.contains(file) {
                    found.insert(component_of(&scan.line_id(file, line), line));
                }
            }
        }
        Ok(found)
    }

    /// What a command asks for, and the permission that it takes.
    fn intent(
        &self,
        parsed: &Parsed,
        own_head: Option<&str>,
        components: &BTreeSet<String>,
        memory: &mut Memory,
        now: Timestamp,
    ) -> (Intent, Permission) {
        let environments: BTreeSet<String> =
            self.config.environments.iter().map(|environment| environment.name.clone()).collect();
        match parsed {
            Parsed::Unknown { verb, nearest, .. } => {
                let hint = nearest.map(|nearest| format!("; did you mean {}?", code(nearest))).unwrap_or_default();
                (Intent::Nonsense(format!("there is no command {}{hint}", code(verb))), Permission::Read)
            }
            Parsed::Invalid { why, usage, .. } => {
                let usage = usage.map(|usage| format!("; {}", code(usage))).unwrap_or_default();
                (Intent::Nonsense(format!("{}{usage}", plain(why))), Permission::Read)
            }
            Parsed::Command { command, .. } => {
                let needed = command.verb().permission;
                let intent = match command {
                    Command::Promote { words, to, version } => {
                        promote(&self.config, words, to.as_deref(), version.as_deref(), own_head, components, memory)
                    }
                    Command::Merge => Intent::Merge,
                    Command::Hold { words, until } => {
                        let hold = command::resolve_hold(words, &environments, components);
                        match until_time(until.as_deref(), now) {
                            Ok(until) => Intent::Hold {
                                component: hold.component,
                                environment: hold.environment,
                                until,
                                reason: hold.reason,
                            },
                            Err(why) => Intent::Nonsense(why),
                        }
                    }
                    Command::Resume { words } => {
                        let named = command::resolve_hold(words, &environments, components);
                        match named.reason.is_empty() {
                            true => Intent::Resume { component: named.component, environment: named.environment },
                            false => Intent::Nonsense(unknown(&named.reason, &environments, components)),
                        }
                    }
                    Command::Status => Intent::Status,
                    Command::Help => Intent::Help,
                };
                (intent, self.needed(command, needed))
            }
        }
    }

    /// The permission that butler.yaml asks for, where it does: the strictest of all environments.
    fn needed(&self, command: &Command, usual: Permission) -> Permission {
        let verb = command.verb().name;
        self.config
            .environments
            .iter()
            .flat_map(|environment| &environment.protect.commands)
            .filter(|(named, _)| named == verb)
            .filter_map(|(_, who)| who.iter().filter_map(crate::engine::config::Who::permission).min())
            .max()
            .unwrap_or(usual)
    }

    /// The effects that answer these comments.
    pub fn replies(&self, comments: &[Comment]) -> Result<Vec<JobRequest>, WorkError> {
        let mut jobs = Vec::new();
        for comment in comments {
            let Some(decisions) = self.memory.commands.get(&comment.id) else { continue };
            jobs.push(self.reply_job(comment.number, comment.id, decisions)?);
            let refused = decisions.iter().any(|decision| matches!(decision.outcome, Outcome::Refused { .. }));
            let reaction = if refused { Reaction::Confused } else { Reaction::Rocket };
            jobs.push(Effect::React { comment: comment.id, reaction }.job(self.repo)?);
        }
        Ok(jobs)
    }

    /// The reply to one comment, as things stand.
    pub fn reply_job(&self, number: u64, comment: u64, decisions: &[Decision]) -> Result<JobRequest, WorkError> {
        let standings: Vec<_> = self.standings.values().cloned().collect();
        let now = self.worker.clock.now();
        let holds: Vec<String> = self
            .memory
            .holds
            .iter()
            .filter(|hold| hold.until.is_none_or(|until| now < until))
            .map(|hold| {
                let what = hold.component.as_deref().unwrap_or("everything");
                let place = hold.environment.as_deref().map(|name| format!(" in {name}")).unwrap_or_default();
                format!("{what}{place}: {}", hold.sentence())
            })
            .collect();
        let body = reply(comment, decisions, &standings, &holds);
        Effect::Say { number, key: reply_key(comment), body }.job(self.repo)
    }
}

/// Which edges `/promote` means: the words name environments and components.
fn promote(
    config: &Config,
    words: &[String],
    to: Option<&str>,
    version: Option<&str>,
    own_head: Option<&str>,
    components: &BTreeSet<String>,
    memory: &mut Memory,
) -> Intent {
    if let Some(version) = version {
        return Intent::Nonsense(format!(
            "choosing a version ({}) is not available in this version of butler; it promotes what the source runs",
            code(version)
        ));
    }
    let known = |name: &str| config.environments.iter().any(|environment| environment.name == name);
    let mut targets: Vec<&str> = to.into_iter().collect();
    let mut chosen = Vec::new();
    for word in words {
        match known(word) {
            true => targets.push(word),
            false => chosen.push(word.clone()),
        }
    }
    let environments: BTreeSet<String> = config.environments.iter().map(|environment| environment.name.clone()).collect();
    if let Some(word) = targets.iter().find(|name| !known(name)) {
        return Intent::Nonsense(unknown(word, &environments, &BTreeSet::new()));
    }
    if let Some(word) = chosen.iter().find(|name| !components.contains(*name)) {
        return Intent::Nonsense(unknown(word, &environments, components));
    }
    let heads: Vec<(String, String)> = config
        .edges()
        .into_iter()
        .filter(|edge| targets.is_empty() || targets.contains(&edge.to.name.as_str()))
        .map(|edge| (super::promotions::head_of(config, &edge), edge.promotion.name.clone()))
        .filter(|(head, _)| !(targets.is_empty() && own_head.is_some()) || own_head == Some(head))
        .collect();
    if heads.is_empty() {
        return Intent::Nonsense("no promotion of butler.yaml leads there".into());
    }
    for (head, edge) in &heads {
        memory.pulls.entry(head.clone()).or_insert_with(|| crate::engine::memory::PullRecord::of(edge));
    }
    Intent::Promote { heads: heads.into_iter().map(|(head, _)| head).collect(), components: chosen }
}

fn unknown(word: &str, environments: &BTreeSet<String>, components: &BTreeSet<String>) -> String {
    let known = environments.iter().chain(components).map(String::as_str);
    let hint = match crate::engine::config::nearest(word, known) {
        Some(near) => format!("; did you mean {}?", code(near)),
        None => String::new(),
    };
    format!("{} is neither an environment nor a component here{hint}", code(word))
}

/// `2h`, `3d`, an RFC 3339 time or a date (its beginning, UTC).
fn until_time(text: Option<&str>, now: Timestamp) -> Result<Option<Timestamp>, String> {
    let Some(text) = text else { return Ok(None) };
    if let Ok(at) = text.parse::<Timestamp>() {
        return Ok(Some(at));
    }
    if let Ok(date) = text.parse::<jiff::civil::Date>()
        && let Ok(zoned) = date.to_zoned(jiff::tz::TimeZone::UTC)
    {
        return Ok(Some(zoned.timestamp()));
    }
    let hours = text.strip_suffix('h').map(|n| (n, 1)).or_else(|| text.strip_suffix('d').map(|n| (n, 24)));
    if let Some((number, factor)) = hours
        && let Ok(number) = number.parse::<i64>()
        && (1..=10_000).contains(&number)
        && let Ok(at) = now.checked_add(jiff::SignedDuration::from_hours(number * factor))
    {
        return Ok(Some(at));
    }
    Err(format!("expected a time as `2h`, `3d`, `2026-01-31` or `2026-01-31T10:00:00Z`, found {}", code(text)))
}
