//! Slash-commands: comments that wait are decided, once, before anything else is done.

use super::{
    Effect, WorkError,
    promotions::{head_of, update_head},
    session::Session,
};
use crate::{
    adapters::{
        github::{ForgeError, Pull, PullState, Reaction},
        store::JobRequest,
    },
    engine::{
        command::{self, Parsed, Permission, Scope, VERBS, Verb, VerbInfo, near},
        config::{Bare, Config, Environment, Who},
        event::Comment,
        memory::{
            Decision, Decline, Hold, Intent, Memory, Outcome, PullRecord, Reach, Request, Way, line_key, promotion_key,
        },
        plan::component_of,
        wording::{Board, Situation, Standing, Stopped, code, plain, reply},
    },
};
use jiff::Timestamp;
use std::collections::{BTreeMap, BTreeSet};

/// The key of the reply to a comment.
pub(super) fn reply_key(comment: u64) -> String {
    format!("reply:{comment}")
}

/// butler's own pull request that a comment stands on.
struct Own {
    head: String,
    /// It is not open any more.
    ended: Option<Pull>,
}

/// What the words of a comment may mean.
struct Meaning<'a> {
    own: Option<&'a Own>,
    components: &'a BTreeSet<String>,
    now: Timestamp,
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
        let own = self.own_pull(comment).await?;
        let bare = own.is_some() || self.config.commands.bare == Bare::Everywhere;
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
        let own_head = own.as_ref().map(|own| own.head.as_str());
        let request = Request { comment: comment.id, by: &comment.author, permission, own_head, now };
        let meaning = Meaning { own: own.as_ref(), components: &components, now };
        let mut decisions = Vec::new();
        for command in &parsed {
            let (intent, needed) = self.intent(command, &meaning, &mut memory);
            let outcome = memory.decide(&request, &intent, needed);
            decisions.push(Decision { line: command.line().to_owned(), outcome });
        }
        let summary = format!("command: {} by {}", parsed[0].line(), comment.author);
        memory.remember_command(comment.id, decisions, now);
        self.remember(memory, &summary).await
    }

    /// The pull request that a comment stands on, where that is butler's own. GitHub is asked about one that is not open
    /// only where the comment may hold a command.
    async fn own_pull(&mut self, comment: &Comment) -> Result<Option<Own>, WorkError> {
        if !comment.on_pull {
            return Ok(None);
        }
        if let Some((head, _)) = self.pulls.iter().find(|(_, pull)| pull.number == comment.number) {
            return Ok(Some(Own { head: head.clone(), ended: None }));
        }
        if command::parse(&comment.body, Scope { bare: true }).is_empty() {
            return Ok(None);
        }
        let pull = match self.worker.forge.pull(self.repo, comment.number).await {
            Ok(pull) => pull,
            Err(ForgeError::NotFound { .. }) => return Ok(None),
            Err(error) => return Err(error.into()),
        };
        let ours = pull.author == self.identity.bot_login && pull.head_is_here && pull.state == PullState::Closed;
        Ok(ours.then(|| Own { head: pull.head_ref.clone(), ended: Some(pull) }))
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
    fn intent(&self, parsed: &Parsed, meaning: &Meaning<'_>, memory: &mut Memory) -> (Intent, Permission) {
        match parsed {
            Parsed::Unknown { verb, nearest, .. } => {
                let hint = nearest.map(|near| format!("; did you mean {}?", code(&format!("/{near}"))));
                let hint = hint.unwrap_or_else(|| format!("; {} lists what there is", code("/butler help")));
                (Intent::Nonsense(format!("there is no command {}{hint}", code(verb))), Permission::Read)
            }
            Parsed::Invalid { why, usage, .. } => {
                (Intent::Nonsense(format!("{}; {}", plain(why), code(usage))), Permission::Read)
            }
            Parsed::Command(command) => {
                let intent = match self.asked(&command.verb, meaning, memory) {
                    Ok(intent) => intent,
                    Err(why) => Intent::Nonsense(why),
                };
                // What a merge goes into is known, and what a pull request's own hold stops; other commands reach wherever
                // their words lead.
                let target = match (&intent, meaning.own) {
                    (Intent::MergeAgain { .. }, _) => return (intent, Permission::Read),
                    (Intent::Merge, Some(own)) => self.target_of(&own.head),
                    (Intent::Hold { scope, .. } | Intent::Resume { scope, .. }, _) if scope.way.is_some() => {
                        scope.environment.clone()
                    }
                    _ => None,
                };
                (intent, self.needed(command.verb.name(), target.as_deref()))
            }
        }
    }

    /// A command's words, told apart with the help of what there is.
    fn asked(&self, verb: &Verb, meaning: &Meaning<'_>, memory: &mut Memory) -> Result<Intent, String> {
        let environments: Vec<&str> = self.config.environments.iter().map(|known| known.name.as_str()).collect();
        let known: Vec<&str> = meaning.components.iter().map(String::as_str).collect();
        Ok(match verb {
            Verb::Promote { components: words, to, version } => {
                let own_head = meaning.own.map(|own| own.head.as_str());
                let (to, version) = (to.as_deref(), version.as_deref());
                let (heads, chosen) = promote(&self.config, words, to, version, own_head, meaning.components, memory)?;
                let lines = self.lines_of_edges(&heads, &chosen);
                Intent::Promote { heads, components: chosen, lines }
            }
            Verb::Merge => match meaning.own {
                Some(Own { ended: Some(pull), head }) => self.merge_of_ended(pull, head)?,
                Some(own) => match self.nobody_but_people_merge(&own.head) {
                    Some(why) => return Err(why),
                    None => Intent::Merge,
                },
                None => Intent::Merge,
            },
            Verb::Hold { words, until, reason } => {
                let named = command::resolve_hold(words, &environments, &known).map_err(|word| {
                    let unknown = unknown(word, &environments, &known);
                    format!("{unknown}; a reason goes behind a name or {}, or as several words", code("all"))
                })?;
                let until = until.as_deref().map(|when| command::until(when, meaning.now)).transpose();
                let mut why = named.rest.clone();
                why.extend(reason.clone());
                let until = until.map_err(|why| plain(&why))?;
                Intent::Hold { scope: self.scope_of(named, meaning)?, until, reason: why.join(" ") }
            }
            Verb::Resume { words } => {
                let named = command::resolve_hold(words, &environments, &known)
                    .map_err(|word| unknown(word, &environments, &known))?;
                if let Some(word) = named.rest.first() {
                    return Err(unknown(word, &environments, &known));
                }
                let scope = self.scope_of(named, meaning)?;
                let (lines, heads) = (self.lines_of(&scope), self.heads_of(&scope));
                Intent::Resume { scope, lines, heads }
            }
            Verb::Status => Intent::Status,
            Verb::Help => Intent::Help,
        })
    }

    /// What a `hold` or `resume` is about: what its words name; without any, the promotion or update of the pull request
    /// that it was said on; and everything where there is none, or where the word is `all`.
    fn scope_of(&self, named: command::Held, meaning: &Meaning<'_>) -> Result<Reach, String> {
        let command::Held { component, environment, all, .. } = named;
        match meaning.own.filter(|_| !all && component.is_none() && environment.is_none()) {
            None => Ok(Reach { component, environment, way: None }),
            Some(own) => self.scope_of_head(&own.head).ok_or_else(|| {
                let all = code("/hold all");
                format!("butler.yaml has no promotion or update for this branch any more; {all} holds everything")
            }),
        }
    }

    /// What a head branch of butler's carries: a way into an environment.
    fn scope_of_head(&self, head: &str) -> Option<Reach> {
        let way =
            |way, environment: &str| Reach { component: None, environment: Some(environment.into()), way: Some(way) };
        let edges = self.config.edges();
        let edge = edges.iter().find(|edge| head_of(&self.config, edge) == head);
        let promotion = edge.map(|edge| {
            let (name, from) = (edge.promotion.name.clone(), edge.from.name.clone());
            way(Way::Promotion { name, from }, &edge.to.name)
        });
        promotion.or_else(|| {
            let environment = head.strip_prefix("butler/update/")?;
            let known = self.config.environments.iter().any(|known| known.name == environment);
            known.then(|| way(Way::Update, environment))
        })
    }

    /// `/merge` of a pull request that is not open any more.
    fn merge_of_ended(&self, pull: &Pull, head: &str) -> Result<Intent, String> {
        if pull.merged {
            let by = pull.merged_by.clone().filter(|by| *by != self.identity.bot_login);
            return Ok(Intent::MergeAgain { commit: pull.merge_sha.clone().unwrap_or_default(), by });
        }
        let again = match self.target_of(head) {
            Some(to) if head.starts_with("butler/promote/") => {
                format!("; {} opens one again", code(&format!("/butler promote to {to}")))
            }
            _ => String::new(),
        };
        Err(format!("this pull request was closed without being merged{again}"))
    }

    /// Why butler cannot merge this pull request, where settings that it does not know protect the target.
    fn nobody_but_people_merge(&self, head: &str) -> Option<String> {
        let protects = self.config.blocks_environment(&self.target_of(head)?)?;
        Some(format!(
            "{} is set, which this version of butler cannot check; a person has to merge this pull request on GitHub",
            code(&protects.key)
        ))
    }

    /// The lines that a scope is made of, by their names in the memory: as updates and as promotions know them.
    fn lines_of(&self, scope: &Reach) -> BTreeSet<String> {
        let mut found = BTreeSet::new();
        for known in &self.config.environments {
            let Some(state) = self.branches.get(&self.branch_of(known)) else { continue };
            if scope.environment.as_ref().is_some_and(|named| *named != known.name) {
                continue;
            }
            for (file, scan, line) in state.snapshot.lines().filter(|(file, ..)| known.contains(file)) {
                let id = scan.line_id(file, line);
                if scope.component.as_ref().is_some_and(|named| *named != component_of(&id, line)) {
                    continue;
                }
                let meant = |name: &str| match &scope.way {
                    None => true,
                    Some(Way::Update) => false,
                    Some(Way::Promotion { name: only, .. }) => only == name,
                };
                let edges = self.config.edges().into_iter().filter(|edge| edge.to.name == known.name);
                let edges = edges.filter(|edge| meant(&edge.promotion.name));
                found.extend(edges.map(|edge| promotion_key(&edge.promotion.name, &id)));
                if !matches!(scope.way, Some(Way::Promotion { .. })) {
                    found.insert(line_key(&id));
                }
            }
        }
        found
    }

    /// The lines of some components (none named: of all) in the targets of these edges.
    fn lines_of_edges(&self, heads: &[String], components: &[String]) -> BTreeSet<String> {
        let scopes = heads.iter().filter_map(|head| self.scope_of_head(head));
        scopes
            .flat_map(|scope| match components {
                [] => self.lines_of(&scope),
                some => {
                    let of = |name: &String| self.lines_of(&Reach { component: Some(name.clone()), ..scope.clone() });
                    some.iter().flat_map(of).collect()
                }
            })
            .collect()
    }

    /// The head branches of the promotions and updates that a hold of this scope touches.
    fn heads_of(&self, scope: &Reach) -> Vec<String> {
        let named = |name: &str| scope.environment.as_ref().is_none_or(|environment| environment == name);
        let by = |way: &Way| scope.way.as_ref().is_none_or(|only| only == way);
        let updates = self.config.environments.iter().filter(|known| named(&known.name) && by(&Way::Update));
        let mut heads: Vec<String> = updates.map(|known| update_head(&known.name)).collect();
        let edges = self.config.edges().into_iter().filter(|edge| {
            let way = Way::Promotion { name: edge.promotion.name.clone(), from: edge.from.name.clone() };
            by(&way) && (named(&edge.to.name) || named(&edge.from.name))
        });
        heads.extend(edges.map(|edge| head_of(&self.config, &edge)));
        heads
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
    pub async fn answer(&mut self, comments: &[Comment]) -> Result<(), WorkError> {
        for comment in comments {
            let Some(decisions) = self.memory.commands.get(&comment.id).cloned() else { continue };
            self.reply_to(comment.number, comment.id, &decisions).await?;
            let reaction = self.reaction_to(comment.id, &decisions)?;
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
        self.worker.say(self.repo, number, key, body).await
    }

    /// The reply to one comment, as things stand. It has the comment's key: each comment has a reply of its own.
    pub async fn reply_to(&mut self, number: u64, comment: u64, decisions: &[Decision]) -> Result<(), WorkError> {
        let stages = match decisions.iter().any(|decision| decision.outcome == Outcome::Status) {
            true => self.stages().await?,
            false => Vec::new(),
        };
        let holds: Vec<Hold> = self.memory.holds_at(self.worker.clock.now()).cloned().collect();
        let declines = self.declines_that_matter();
        let stopped: Vec<Stopped> = self.stopped.iter().cloned().collect();
        let situation = Situation {
            standings: &self.standings_in_order(),
            board: Board { stages: &stages, holds: &holds, declines: &declines, stopped: &stopped },
            needed: self.needed_by_verb(),
        };
        self.say(number, &reply_key(comment), reply(decisions, &situation)).await
    }

    /// The declines that kept something from moving in this attempt, each with its environment.
    fn declines_that_matter(&self) -> Vec<(String, Decline)> {
        let standing = |reason: &str| {
            self.memory.declines.iter().find(|decline| decline.ended.is_none() && decline.sentence() == reason)
        };
        let found = self
            .declined
            .iter()
            .filter_map(|(environment, reason)| Some((environment.clone(), standing(reason)?.clone())));
        found.collect()
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

/// Which edges `/promote` means, by their head branches, and which components: the words name both.
fn promote(
    config: &Config,
    words: &[String],
    to: Option<&str>,
    version: Option<&str>,
    own_head: Option<&str>,
    components: &BTreeSet<String>,
    memory: &mut Memory,
) -> Result<(Vec<String>, Vec<String>), String> {
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
    Ok((heads.into_iter().map(|(head, _)| head).collect(), chosen))
}

/// How many names of a kind are listed to somebody who said another.
const NAMES: usize = 20;

/// A word that names nothing (no environment, where `components` is empty), what it may have been meant to be, and what there is.
fn unknown(word: &str, environments: &[&str], components: &[&str]) -> String {
    let known = [environments, components].concat();
    let hint = near(word, &known).map(|near| format!(" (did you mean {}?)", code(near))).unwrap_or_default();
    let list = |kind: &str, names: &[&str]| {
        let mut shown: Vec<String> = names.iter().take(NAMES).map(|name| code(name)).collect();
        if names.len() > NAMES {
            shown.push(format!("{} more", names.len() - NAMES));
        }
        let what = if names.len() == 1 { kind.to_owned() } else { format!("{kind}s") };
        (!names.is_empty()).then(|| format!("the {what} {}", shown.join(", ")))
    };
    let lists = [list("environment", environments), list("component", components)];
    let lists = lists.into_iter().flatten().collect::<Vec<_>>().join(" and ");
    let lists = if lists.is_empty() { lists } else { format!("; there are {lists}") };
    let what = if components.is_empty() { "no environment" } else { "neither an environment nor a component" };
    format!("{} is {what} here{hint}{lists}", code(word))
}
