//! Slash-commands: comments that wait are decided, once, before anything else is done.

use super::{Effect, WorkError, promotions::head_of, session::Session};
use crate::{
    adapters::{github::Reaction, store::JobRequest},
    engine::{
        command::{self, Parsed, Permission, Scope, VERBS, Verb, VerbInfo},
        config::{Bare, Config, Environment, Who, nearest},
        event::Comment,
        memory::{Decision, Intent, Memory, Outcome, PullRecord, Request, line_key, promotion_key},
        plan::component_of,
        wording::{Standing, code, plain, reply},
    },
};
use jiff::Timestamp;
use sha2::{Digest, Sha256};
use std::collections::{BTreeMap, BTreeSet};

/// The store's scope of what was said where.
const SAID: &str = "said";

/// The key of the reply to a comment.
pub(super) fn reply_key(comment: u64) -> String {
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
            if !self.memory.decided(comment.id, comment.created_at) {
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
        // At once, and so before the answer; a command is heard without it too.
        if let Err(error) = self.worker.forge.react(self.repo, comment.id, Reaction::Eyes).await {
            tracing::warn!(%error, comment = comment.id, "no reaction");
        }
        let permission = self.worker.forge.role(self.repo, &comment.author).await?;
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
        memory.remember_command(comment.id, decisions, now);
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
        match parsed {
            Parsed::Unknown { verb, nearest, .. } => {
                let hint = nearest.map(|nearest| format!("; did you mean {}?", code(nearest))).unwrap_or_default();
                (Intent::Nonsense(format!("there is no command {}{hint}", code(verb))), Permission::Read)
            }
            Parsed::Invalid { why, usage, .. } => {
                (Intent::Nonsense(format!("{}; {}", plain(why), code(usage))), Permission::Read)
            }
            Parsed::Command(command) => {
                let intent = match self.asked(&command.verb, own_head, components, memory, now) {
                    Ok(intent) => intent,
                    Err(why) => Intent::Nonsense(why),
                };
                // What a merge goes into is known; other commands reach wherever their words lead.
                let target = own_head.filter(|_| command.verb == Verb::Merge).and_then(|head| self.target_of(head));
                (intent, self.needed(command.verb.name(), target.as_deref()))
            }
        }
    }

    /// A command's words, told apart with the help of what there is.
    fn asked(
        &self,
        verb: &Verb,
        own_head: Option<&str>,
        components: &BTreeSet<String>,
        memory: &mut Memory,
        now: Timestamp,
    ) -> Result<Intent, String> {
        let environments: Vec<&str> = self.config.environments.iter().map(|known| known.name.as_str()).collect();
        let known: Vec<&str> = components.iter().map(String::as_str).collect();
        Ok(match verb {
            Verb::Promote { components: words, to, version } => {
                promote(&self.config, words, to.as_deref(), version.as_deref(), own_head, components, memory)?
            }
            Verb::Merge => match own_head.and_then(|head| self.nobody_but_people_merge(head)) {
                Some(why) => return Err(why),
                None => Intent::Merge,
            },
            Verb::Hold { words, until, reason } => {
                let named = command::resolve_hold(words, &environments, &known).map_err(|why| plain(&why))?;
                let until = until.as_deref().map(|when| command::until(when, now)).transpose();
                let mut why = named.rest;
                why.extend(reason.clone());
                Intent::Hold {
                    component: named.component,
                    environment: named.environment,
                    until: until.map_err(|why| plain(&why))?,
                    reason: why.join(" "),
                }
            }
            Verb::Resume { words } => {
                let named = command::resolve_hold(words, &environments, &known).map_err(|why| plain(&why))?;
                if let Some(word) = named.rest.first() {
                    return Err(unknown(word, &environments, &known));
                }
                let lines = self.lines_of(named.component.as_deref(), named.environment.as_deref());
                Intent::Resume { component: named.component, environment: named.environment, lines }
            }
            Verb::Status => Intent::Status,
            Verb::Help => Intent::Help,
        })
    }

    /// Why butler cannot merge this pull request, where settings that it does not know protect the target.
    fn nobody_but_people_merge(&self, head: &str) -> Option<String> {
        let protects = self.config.blocks_environment(&self.target_of(head)?)?;
        Some(format!(
            "{} is set, which this version of butler cannot check; a person has to merge this pull request on GitHub",
            code(&protects.key)
        ))
    }

    /// The lines that a component or an environment is made of, by their names in the memory: as updates and as
    /// promotions know them.
    fn lines_of(&self, component: Option<&str>, environment: Option<&str>) -> BTreeSet<String> {
        let mut found = BTreeSet::new();
        for known in &self.config.environments {
            let Some(state) = self.branches.get(&self.branch_of(known)) else { continue };
            if environment.is_some_and(|named| named != known.name) {
                continue;
            }
            for (file, scan, line) in state.snapshot.lines().filter(|(file, ..)| known.contains(file)) {
                let id = scan.line_id(file, line);
                if component.is_some_and(|named| named != component_of(&id, line)) {
                    continue;
                }
                let edges = self.config.edges().into_iter().filter(|edge| edge.to.name == known.name);
                found.extend(edges.map(|edge| promotion_key(&edge.promotion.name, &id)));
                found.insert(line_key(&id));
            }
        }
        found
    }

    /// The permission that a command takes in the environment that it touches, or, where that may be any, the strictest
    /// of all: an environment that asks for less loosens nothing elsewhere.
    pub(super) fn needed(&self, verb: &str, target: Option<&str>) -> Permission {
        let usual = VerbInfo::of(verb).map_or(Permission::Admin, |info| info.permission);
        let of = |environment: &Environment| {
            let listed = environment.protect.commands.iter().find(|(named, _)| named == verb);
            // Membership of a team is not known to this version: only an administrator goes for sure.
            let least = |who: &[Who]| who.iter().filter_map(Who::permission).min().unwrap_or(Permission::Admin);
            listed.map_or(usual, |(_, who)| least(who))
        };
        let touched = self.config.environments.iter().filter(|known| target.is_none_or(|target| known.name == target));
        touched.map(of).max().unwrap_or(usual)
    }

    /// The environment that a head branch of butler's is to be merged into.
    pub(super) fn target_of(&self, head: &str) -> Option<String> {
        let edges = self.config.edges();
        let edge = edges.iter().find(|edge| head_of(&self.config, edge) == head);
        edge.map(|edge| edge.to.name.clone()).or_else(|| head.strip_prefix("butler/update/").map(str::to_owned))
    }

    /// Answers these comments.
    pub async fn answer(&self, comments: &[Comment]) -> Result<(), WorkError> {
        for comment in comments {
            let Some(decisions) = self.memory.commands.get(&comment.id) else { continue };
            self.reply_to(comment.number, comment.id, decisions).await?;
            let reaction = self.reaction_to(comment.id, decisions)?;
            self.worker.store.enqueue(&[reaction], self.worker.clock.now()).await?;
        }
        Ok(())
    }

    /// Whether the reply to a comment tells how the work went, not only what was decided.
    pub(super) fn shows_work(&self, comment: &Comment) -> bool {
        let decisions = self.memory.commands.get(&comment.id);
        decisions.into_iter().flatten().any(|decision| decision.outcome.shows_work())
    }

    /// Answers comments where the work stopped until somebody acts: how far it came, and why no further. They stay in the
    /// inbox, so that the reply is mended with the rest.
    pub(super) async fn answer_in_spite(&mut self, comments: &[Comment], error: &WorkError) -> Result<(), WorkError> {
        if comments.is_empty() || !matches!(error, WorkError::Fix(_) | WorkError::Bug(_)) {
            return Ok(());
        }
        let config = self.config.clone();
        for edge in config.edges() {
            let head = head_of(&config, &edge);
            if !self.standings.contains_key(&head) {
                let why = format!("butler stopped before this: {}", code(&error.to_string()));
                self.note_standing(head, Some(edge.from.name.clone()), edge.to.name.clone(), why);
            }
        }
        self.answer(comments).await
    }

    /// The job that shows at a glance what came of a comment's commands.
    pub(super) fn reaction_to(&self, comment: u64, decisions: &[Decision]) -> Result<JobRequest, WorkError> {
        let refused = decisions.iter().any(|decision| matches!(decision.outcome, Outcome::Refused { .. }));
        let reaction = if refused { Reaction::Confused } else { Reaction::Rocket };
        Effect::React { comment, reaction }.job(self.repo)
    }

    /// Says something, unless the same was said there before: looking at the comments costs GitHub a call.
    pub async fn say(&self, number: u64, key: &str, body: String) -> Result<(), WorkError> {
        let (store, now) = (&self.worker.store, self.worker.clock.now());
        let place = format!("{}#{number} {key}", self.repo);
        let fingerprint = hex::encode(Sha256::digest(body.as_bytes()));
        let said: Option<(String, _)> = store.fact(SAID, &place).await?;
        if said.is_none_or(|(said, _)| said != fingerprint) {
            store.enqueue(&[Effect::Say { number, key: key.to_owned(), body }.job(self.repo)?], now).await?;
            store.put_fact(SAID, &place, &fingerprint, now).await?;
        }
        Ok(())
    }

    /// The reply to one comment, as things stand.
    pub async fn reply_to(&self, number: u64, comment: u64, decisions: &[Decision]) -> Result<(), WorkError> {
        let standings = self.standings_in_order();
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
        let help = self.needed_by_verb();
        let body = reply(comment, decisions, &standings, &holds, &help);
        self.say(number, &reply_key(comment), body).await
    }

    /// Updates first, then promotions as butler.yaml has them.
    fn standings_in_order(&self) -> Vec<Standing> {
        let edges = self.config.edges();
        let heads: Vec<String> = edges.iter().map(|edge| head_of(&self.config, edge)).collect();
        let mut standings: Vec<_> = self.standings.values().cloned().collect();
        standings.sort_by_key(|standing| heads.iter().position(|head| *head == standing.head).map_or(0, |at| at + 1));
        standings
    }

    /// What each command takes here.
    fn needed_by_verb(&self) -> BTreeMap<&'static str, Permission> {
        VERBS.iter().map(|verb| (verb.name, self.needed(verb.name, None))).collect()
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
) -> Result<Intent, String> {
    if let Some(version) = version {
        return Err(format!(
            "choosing a version ({}) is not available in this version of butler; it promotes what the source runs",
            code(version)
        ));
    }
    let environments: Vec<&str> = config.environments.iter().map(|known| known.name.as_str()).collect();
    let known: Vec<&str> = components.iter().map(String::as_str).collect();
    let (mut targets, mut chosen): (Vec<&str>, Vec<String>) = (to.into_iter().collect(), Vec::new());
    for word in words {
        match environments.contains(&word.as_str()) {
            true => targets.push(word),
            false => chosen.push(word.clone()),
        }
    }
    if let Some(word) = targets.iter().find(|name| !environments.contains(name)) {
        return Err(unknown(word, &environments, &[]));
    }
    if let Some(word) = chosen.iter().find(|name| !components.contains(*name)) {
        return Err(unknown(word, &environments, &known));
    }
    let on_its_own = targets.is_empty();
    let heads: Vec<(String, String)> = config
        .edges()
        .into_iter()
        .filter(|edge| on_its_own || targets.contains(&edge.to.name.as_str()))
        .map(|edge| (head_of(config, &edge), edge.promotion.name.clone()))
        .filter(|(head, _)| !on_its_own || own_head.is_none_or(|own| own == head))
        .collect();
    if heads.is_empty() {
        return Err("no promotion of butler.yaml leads there".into());
    }
    for (head, edge) in &heads {
        memory.pulls.entry(head.clone()).or_insert_with(|| PullRecord::of(edge));
    }
    Ok(Intent::Promote { heads: heads.into_iter().map(|(head, _)| head).collect(), components: chosen })
}

fn unknown(word: &str, environments: &[&str], components: &[&str]) -> String {
    let known = environments.iter().chain(components).copied();
    let hint = nearest(word, known).map(|near| format!("; did you mean {}?", code(near))).unwrap_or_default();
    format!("{} is neither an environment nor a component here{hint}", code(word))
}
