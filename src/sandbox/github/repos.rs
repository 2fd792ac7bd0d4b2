//! Repositories, branches with their protection, refs, commits, and people's roles.

use super::{
    auth::{Caller, Need},
    merge::Method,
    rest::{Answer, Call, Reply},
    state::{Protection, Repo, Role, State},
};
use crate::engine::event::RepoName;
use serde_json::{Value, json};

const CONTENTS: Need = Need::read(&["contents"]);

pub fn get(state: &State, call: &Call, name: &RepoName) -> Answer {
    let repo = state.allowed(call, name, State::METADATA)?;
    let mut json = state.repo_json(repo);
    json["permissions"] = match &call.caller {
        Caller::Person(login) => {
            let role = state.role(repo, login);
            let at_least = |least| role.is_some_and(|role| role >= least);
            json!({
                "admin": at_least(Role::Admin), "maintain": at_least(Role::Maintain), "push": at_least(Role::Write),
                "triage": at_least(Role::Triage), "pull": at_least(Role::Read),
            })
        }
        _ => json!({"admin": false, "maintain": false, "push": false, "triage": false, "pull": false}),
    };
    Ok(Reply::ok(json))
}

pub fn branch(state: &State, call: &Call, name: &RepoName, branch: &str) -> Answer {
    let repo = state.allowed(call, name, CONTENTS)?;
    let tip = repo.git.branch(branch).ok_or_else(|| Reply::error(404, "Branch not found"))?;
    let commit = repo.git.info(&tip).map_err(Reply::git)?;
    let protection = repo.protections.get(branch);
    let url = format!("{}/branches/{branch}", state.api(repo));
    let classic = protection.filter(|protection| !protection.as_ruleset);
    let mut summary = json!({
        "enabled": classic.is_some(),
        "required_status_checks": {"enforcement_level": "off", "contexts": [], "checks": []},
    });
    if let Some(classic) = classic
        && !classic.required_checks.is_empty()
    {
        summary["required_status_checks"] = json!({
            "enforcement_level": if classic.enforce_admins { "everyone" } else { "non_admins" },
            "contexts": classic.required_checks,
            "checks": checks_json(classic),
        });
    }
    Ok(Reply::ok(json!({
        "name": branch,
        "commit": state.commit_json(repo, &commit),
        "_links": {"self": url, "html": format!("{}/tree/{branch}", state.html(repo))},
        "protected": protection.is_some(),
        "protection": summary,
        "protection_url": format!("{url}/protection"),
    })))
}

fn checks_json(protection: &Protection) -> Value {
    protection.required_checks.iter().map(|context| json!({"context": context, "app_id": null})).collect()
}

pub fn protection(state: &State, call: &Call, name: &RepoName, branch: &str) -> Answer {
    let repo = state.allowed(call, name, Need { role: Role::Admin, ..Need::read(&["administration"]) })?;
    if repo.git.branch(branch).is_none() {
        return Err(Reply::error(404, "Branch not found"));
    }
    let Some(protection) = repo.protections.get(branch).filter(|protection| !protection.as_ruleset) else {
        return Err(Reply::error(404, "Branch not protected"));
    };
    let url = format!("{}/branches/{branch}/protection", state.api(repo));
    let accounts = |logins: &mut dyn Iterator<Item = &String>| {
        let (mut users, mut apps) = (Vec::new(), Vec::new());
        for login in logins {
            if login.eq_ignore_ascii_case(&state.app.login()) {
                apps.push(state.app_json(&state.app));
            } else {
                users.push(state.user_json(login));
            }
        }
        json!({"users": users, "teams": [], "apps": apps})
    };
    let mut json = json!({
        "url": url,
        "enforce_admins": {"url": format!("{url}/enforce_admins"), "enabled": protection.enforce_admins},
        "required_linear_history": {"enabled": false},
        "allow_force_pushes": {"enabled": false},
        "allow_deletions": {"enabled": false},
        "required_signatures": {"url": format!("{url}/required_signatures"), "enabled": false},
    });
    if let Some(count) = protection.required_reviews {
        let mut reviews = json!({
            "url": format!("{url}/required_pull_request_reviews"),
            "dismiss_stale_reviews": false,
            "require_code_owner_reviews": false,
            "require_last_push_approval": false,
            "required_approving_review_count": count,
        });
        if !protection.bypass.is_empty() {
            reviews["bypass_pull_request_allowances"] = accounts(&mut protection.bypass.iter());
        }
        json["required_pull_request_reviews"] = reviews;
    }
    if !protection.required_checks.is_empty() {
        json["required_status_checks"] = json!({
            "url": format!("{url}/required_status_checks"),
            "strict": protection.strict,
            "contexts": protection.required_checks,
            "contexts_url": format!("{url}/required_status_checks/contexts"),
            "checks": checks_json(protection),
        });
    }
    if let Some(pushers) = &protection.pushers {
        let mut restrictions = accounts(&mut pushers.iter());
        for (field, suffix) in [("url", ""), ("users_url", "/users"), ("teams_url", "/teams"), ("apps_url", "/apps")] {
            restrictions[field] = format!("{url}/restrictions{suffix}").into();
        }
        json["restrictions"] = restrictions;
    }
    Ok(Reply::ok(json))
}

/// Active rules of rulesets; classic protection is not among them.
pub fn rules(state: &State, call: &Call, name: &RepoName, branch: &str) -> Answer {
    let repo = state.allowed(call, name, State::METADATA)?;
    let mut rules = Vec::new();
    if let Some(protection) = repo.protections.get(branch).filter(|protection| protection.as_ruleset) {
        let mut rule = |kind: &str, parameters: Value| {
            let mut rule = json!({
                "type": kind, "ruleset_source_type": "Repository", "ruleset_source": repo.name.to_string(), "ruleset_id": 1,
            });
            if !parameters.is_null() {
                rule["parameters"] = parameters;
            }
            rules.push(rule);
        };
        rule("deletion", Value::Null);
        rule("non_fast_forward", Value::Null);
        if let Some(count) = protection.required_reviews {
            let parameters = json!({
                "required_approving_review_count": count, "dismiss_stale_reviews_on_push": false,
                "require_code_owner_review": false, "require_last_push_approval": false,
                "required_review_thread_resolution": false,
                "allowed_merge_methods": Method::ALL.map(Method::word),
            });
            rule("pull_request", parameters);
        }
        if !protection.required_checks.is_empty() {
            let checks: Vec<Value> =
                protection.required_checks.iter().map(|context| json!({"context": context})).collect();
            rule(
                "required_status_checks",
                json!({"strict_required_status_checks_policy": protection.strict, "required_status_checks": checks}),
            );
        }
        if protection.pushers.is_some() {
            rule("update", json!({"update_allows_fetch_and_merge": false}));
        }
    }
    call.list(rules)
}

fn ref_json(state: &State, repo: &Repo, name: &str, commit: &str) -> Value {
    json!({
        "ref": name,
        "node_id": format!("REF_{name}"),
        "url": format!("{}/git/{name}", state.api(repo)),
        "object": {"sha": commit, "type": "commit", "url": format!("{}/git/commits/{commit}", state.api(repo))},
    })
}

pub fn git_ref(state: &State, call: &Call, name: &RepoName, short: &str) -> Answer {
    let repo = state.allowed(call, name, CONTENTS)?;
    let full = format!("refs/{short}");
    let commit = repo.git.find_ref(&full).ok_or_else(Reply::not_found)?;
    Ok(Reply::ok(ref_json(state, repo, &full, &commit)))
}

pub fn matching_refs(state: &State, call: &Call, name: &RepoName, prefix: &str) -> Answer {
    let repo = state.allowed(call, name, CONTENTS)?;
    let prefix = format!("refs/{prefix}");
    let refs = repo.git.refs().map_err(Reply::git)?;
    let found = refs.iter().filter(|(name, _)| name.starts_with(&prefix));
    Ok(Reply::ok(found.map(|(name, commit)| ref_json(state, repo, name, commit)).collect()))
}

pub fn delete_ref(state: &mut State, call: &Call, name: &RepoName, short: &str) -> Answer {
    let repo = state.allowed(call, name, Need::write(&["contents"], Role::Write))?;
    let actor = state.actor(&call.caller)?;
    let full = format!("refs/{short}");
    if repo.git.find_ref(&full).is_none() {
        return Err(Reply::error(422, "Reference does not exist"));
    }
    if let Some(branch) = full.strip_prefix("refs/heads/") {
        if branch == repo.default_branch {
            return Err(Reply::error(422, "Cannot delete the default branch"));
        }
        if repo.protections.contains_key(branch) {
            return Err(Reply::error(422, "Cannot delete a protected branch"));
        }
    }
    repo.git.delete_ref(&full).map_err(Reply::git)?;
    state.refs_moved(name, &actor);
    Ok(Reply::no_content())
}

pub fn commit(state: &State, call: &Call, name: &RepoName, text: &str) -> Answer {
    let repo = state.allowed(call, name, CONTENTS)?;
    let missing = || Reply::error(422, &format!("No commit found for SHA: {text}"));
    let id = repo.git.resolve(text).ok_or_else(missing)?;
    let info = repo.git.info(&id).map_err(Reply::git)?;
    let mut json = state.commit_json(repo, &info);
    if let Some(parent) = info.parents.first() {
        let changes = repo.git.changes(parent, &id).map_err(Reply::git)?;
        let (added, removed): (usize, usize) =
            (changes.iter().map(|change| change.additions).sum(), changes.iter().map(|change| change.deletions).sum());
        json["stats"] = json!({"additions": added, "deletions": removed, "total": added + removed});
        json["files"] = changes.iter().map(|change| state.file_json(repo, &id, change)).collect();
    }
    Ok(Reply::ok(json))
}

/// `permission` folds triage and maintain; `role_name` does not.
pub fn permission(state: &State, call: &Call, name: &RepoName, login: &str) -> Answer {
    let repo = state.allowed(call, name, State::METADATA)?;
    if state.account(login).is_none() {
        return Err(Reply::error(404, &format!("{login} is not a user")));
    }
    let role = state.role(repo, login);
    let (permission, role_name) = role.map_or(("none", "none"), |role| (role.permission(), role.name()));
    let mut user = state.user_json(login);
    user["role_name"] = role_name.into();
    let at_least = |least| role.is_some_and(|role| role >= least);
    user["permissions"] = json!({
        "admin": at_least(Role::Admin), "maintain": at_least(Role::Maintain), "push": at_least(Role::Write),
        "triage": at_least(Role::Triage), "pull": at_least(Role::Read),
    });
    Ok(Reply::ok(json!({"permission": permission, "role_name": role_name, "user": user})))
}

impl Protection {
    /// Why a login may not push directly; `None` where it may.
    pub fn refuses(&self, login: &str, role: Option<Role>) -> Option<String> {
        if role == Some(Role::Admin) && !self.enforce_admins {
            return None;
        }
        let listed = |logins: &std::collections::BTreeSet<String>| logins.iter().any(|l| l.eq_ignore_ascii_case(login));
        if let Some(pushers) = &self.pushers
            && !listed(pushers)
        {
            return Some("You're not authorized to push to this branch.".into());
        }
        if listed(&self.bypass) {
            return None;
        }
        if self.required_reviews.is_some() {
            return Some("Changes must be made through a pull request.".into());
        }
        let check = self.required_checks.first()?;
        Some(format!("Required status check \"{check}\" is expected."))
    }
}
