//! The App, its installations and tokens, its webhook's deliveries; accounts and rate limits.

use super::{
    auth::{Caller, Need},
    render::permissions_json,
    rest::{Answer, Call, Reply},
    state::{Access, Kind, Permissions, State, time},
    webhooks::Outcome,
};
use crate::engine::event::RepoName;
use serde_json::{Value, json};
use std::collections::BTreeSet;

/// Refuses everybody but the App itself.
fn as_app(call: &Call) -> Result<(), Reply> {
    match call.caller {
        Caller::App => Ok(()),
        _ => Err(Reply::error(401, "A JSON web token could not be decoded")),
    }
}

pub fn app(state: &State, call: &Call) -> Answer {
    as_app(call)?;
    let mut json = state.app_json(&state.app);
    json["installations_count"] = state.installations.len().into();
    Ok(Reply::ok(json))
}

pub fn installations(state: &State, call: &Call) -> Answer {
    as_app(call)?;
    call.list(state.installations.iter().map(|installation| state.installation_json(installation)).collect())
}

pub fn installation_of(state: &State, call: &Call, repo: &RepoName) -> Answer {
    as_app(call)?;
    let installation = state.installation_for(repo).ok_or_else(Reply::not_found)?;
    Ok(Reply::ok(state.installation_json(installation)))
}

/// Mints a token, narrowed to the repositories and permissions that are asked for; more than there is is refused with 422.
pub fn access_token(state: &mut State, call: &Call, id: u64) -> Answer {
    as_app(call)?;
    let installation = state.installations.iter().find(|i| i.id == id).ok_or_else(Reply::not_found)?;
    if installation.suspended_at.is_some() {
        return Err(Reply::error(403, "This installation has been suspended"));
    }
    let mut permissions = installation.permissions.clone();
    if let Some(wanted) = call.body.get("permissions").and_then(Value::as_object) {
        let refused = || Reply::error(422, "The permissions requested are not granted to this installation.");
        let mut narrowed = Permissions::new();
        for (name, access) in wanted {
            let access = access.as_str().and_then(Access::parse).ok_or_else(refused)?;
            match permissions.get(name) {
                Some(granted) if *granted >= access => narrowed.insert(name.clone(), access),
                _ => return Err(refused()),
            };
        }
        // Every App may read metadata.
        narrowed.entry("metadata".into()).or_insert(Access::Read);
        permissions = narrowed;
    }
    let names = call.body.get("repositories").and_then(Value::as_array);
    let ids = call.body.get("repository_ids").and_then(Value::as_array);
    let mut only: Option<BTreeSet<RepoName>> = None;
    for wanted in names.into_iter().chain(ids).flatten() {
        let found = installation.repositories.iter().find(|name| match wanted.as_str() {
            Some(text) => name.name().eq_ignore_ascii_case(text),
            None => state.repos.get(*name).is_some_and(|repo| Some(repo.id) == wanted.as_u64()),
        });
        let Some(found) = found else {
            return Err(Reply::error(
                422,
                "There is at least one repository that does not exist or is not accessible to the parent installation.",
            ));
        };
        only.get_or_insert_default().insert(found.clone());
    }
    let (token, expires_at) = state.mint(id, permissions.clone(), only.clone());
    let mut json = json!({
        "token": token,
        "expires_at": time(expires_at),
        "permissions": permissions_json(&permissions),
        "repository_selection": "selected",
    });
    if let Some(only) = only {
        json["repositories"] = only.iter().filter_map(|name| Some(state.repo_json(state.repos.get(name)?))).collect();
    }
    Ok(Reply::created(json))
}

pub fn repositories(state: &State, call: &Call) -> Answer {
    let Caller::Installation(grant) = &call.caller else {
        return Err(Reply::error(
            403,
            "You must authenticate with an installation access token in order to list repositories for an installation.",
        ));
    };
    let visible: Vec<Value> =
        state.repos.values().filter(|repo| state.covers(grant, &repo.name)).map(|repo| state.repo_json(repo)).collect();
    let total = visible.len();
    Ok(call.paginate(
        visible,
        |page| json!({"total_count": total, "repository_selection": "selected", "repositories": page}),
    ))
}

/// Deliveries of the App's webhook, newest first. `status=failure` lists what was not taken.
pub fn deliveries(state: &State, call: &Call) -> Answer {
    as_app(call)?;
    let wanted = call.query.get("status").map(String::as_str);
    let items = state.hooks.log().into_iter().rev().filter_map(|delivery| {
        let (code, status) = match delivery.outcome.as_ref()? {
            Outcome::Answered(code) => (*code, if delivery.accepted() { "OK" } else { "Invalid HTTP Response" }),
            Outcome::Failed(_) => (502, "failed to connect to host"),
            Outcome::Lost => return None,
        };
        let take = match wanted {
            Some("failure") => !delivery.accepted(),
            Some("success") => delivery.accepted(),
            _ => true,
        };
        let id = |path: &str| delivery.payload.pointer(path).cloned().unwrap_or_default();
        take.then(|| {
            json!({
                "id": delivery.id,
                "guid": delivery.guid,
                "delivered_at": time(delivery.delivered_at),
                "redelivery": delivery.redelivery,
                "duration": 0.1,
                "status": status,
                "status_code": code,
                "event": delivery.event,
                "action": delivery.action,
                "installation_id": id("/installation/id"),
                "repository_id": id("/repository/id"),
            })
        })
    });
    call.list(items.collect())
}

pub fn redeliver(state: &State, call: &Call, id: u64) -> Answer {
    as_app(call)?;
    state.hooks.redeliver(id, state.now()).ok_or_else(Reply::not_found)?;
    Ok(Reply { status: 202, body: json!({}), headers: Vec::new() })
}

pub fn user(state: &State, _call: &Call, login: &str) -> Answer {
    let account = state.account(login).ok_or_else(Reply::not_found)?;
    let mut json = state.user_json(login);
    let more = json!({
        "name": account.login, "company": null, "blog": "", "location": null, "email": null, "hireable": null,
        "bio": null, "public_repos": 0, "public_gists": 0, "followers": 0, "following": 0,
        "user_view_type": "public", "created_at": time(account.created_at), "updated_at": time(account.created_at),
    });
    if let (Some(json), Value::Object(more)) = (json.as_object_mut(), more) {
        json.extend(more);
    }
    Ok(Reply::ok(json))
}

pub fn rate_limit(state: &State) -> Answer {
    let reset = state.now().as_second() + 3600;
    let core = json!({"limit": 5000, "remaining": 5000, "reset": reset, "used": 0});
    let search = json!({"limit": 30, "remaining": 30, "reset": reset, "used": 0});
    Ok(Reply::ok(json!({"resources": {"core": core, "search": search}, "rate": core})))
}

impl State {
    /// The permissions that an installation gets: those that the App asks for.
    pub fn install(&mut self, account: &str, repositories: BTreeSet<RepoName>) -> u64 {
        self.ensure_account(account, Kind::Organization);
        let existing = self.installations.iter_mut().find(|i| i.account.eq_ignore_ascii_case(account));
        if let Some(installation) = existing {
            installation.repositories.extend(repositories);
            return installation.id;
        }
        let (id, created_at) = (self.id(), self.now());
        let permissions = self.app.permissions.clone();
        let account = account.to_owned();
        self.installations.push(super::state::Installation {
            id,
            account,
            repositories,
            permissions,
            created_at,
            suspended_at: None,
        });
        id
    }

    /// Reading metadata: what every caller who sees the repository may do.
    pub const METADATA: Need = Need::read(&["metadata"]);
}
