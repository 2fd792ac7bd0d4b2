//! GitHub's JSON for what the state holds: accounts, repositories, the App, commits. Fields that butler has no use for are
//! there as well, because GitHub's description requires them.

use super::{
    git::CommitInfo,
    merge::Method,
    state::{Account, App, Installation, Kind, Nature, Permissions, Repo, State, time},
};
use serde_json::{Map, Value, json};

/// GitHub's second, opaque id.
pub fn node_id(kind: &str, id: u64) -> String {
    format!("{kind}_{id:012x}")
}

/// Fields of a repository that are its address and a suffix.
const REPOSITORY_URLS: &[(&str, &str)] = &[
    ("archive_url", "/{archive_format}{/ref}"),
    ("assignees_url", "/assignees{/user}"),
    ("blobs_url", "/git/blobs{/sha}"),
    ("branches_url", "/branches{/branch}"),
    ("collaborators_url", "/collaborators{/collaborator}"),
    ("comments_url", "/comments{/number}"),
    ("commits_url", "/commits{/sha}"),
    ("compare_url", "/compare/{base}...{head}"),
    ("contents_url", "/contents/{+path}"),
    ("contributors_url", "/contributors"),
    ("deployments_url", "/deployments"),
    ("downloads_url", "/downloads"),
    ("events_url", "/events"),
    ("forks_url", "/forks"),
    ("git_commits_url", "/git/commits{/sha}"),
    ("git_refs_url", "/git/refs{/sha}"),
    ("git_tags_url", "/git/tags{/sha}"),
    ("hooks_url", "/hooks"),
    ("issue_comment_url", "/issues/comments{/number}"),
    ("issue_events_url", "/issues/events{/number}"),
    ("issues_url", "/issues{/number}"),
    ("keys_url", "/keys{/key_id}"),
    ("labels_url", "/labels{/name}"),
    ("languages_url", "/languages"),
    ("merges_url", "/merges"),
    ("milestones_url", "/milestones{/number}"),
    ("notifications_url", "/notifications{?since,all,participating}"),
    ("pulls_url", "/pulls{/number}"),
    ("releases_url", "/releases{/id}"),
    ("stargazers_url", "/stargazers"),
    ("statuses_url", "/statuses/{sha}"),
    ("subscribers_url", "/subscribers"),
    ("subscription_url", "/subscription"),
    ("tags_url", "/tags"),
    ("teams_url", "/teams"),
    ("trees_url", "/git/trees{/sha}"),
    ("url", ""),
];

/// What a repository here is or has only where a test says so, or never.
const NEVER: &[&str] = &[
    "fork",
    "archived",
    "disabled",
    "is_template",
    "has_projects",
    "has_wiki",
    "has_pages",
    "has_discussions",
    "allow_forking",
    "web_commit_signoff_required",
];

/// What a repository here has none of.
const NONE_OF: &[&str] = &[
    "forks",
    "forks_count",
    "stargazers_count",
    "watchers",
    "watchers_count",
    "size",
    "network_count",
    "subscribers_count",
];

/// Fields of an account that are its address and a suffix.
const ACCOUNT_URLS: &[(&str, &str)] = &[
    ("events_url", "/events{/privacy}"),
    ("followers_url", "/followers"),
    ("following_url", "/following{/other_user}"),
    ("gists_url", "/gists{/gist_id}"),
    ("organizations_url", "/orgs"),
    ("received_events_url", "/received_events"),
    ("repos_url", "/repos"),
    ("starred_url", "/starred{/owner}{/repo}"),
    ("subscriptions_url", "/subscriptions"),
    ("url", ""),
];

impl State {
    /// The API's address of a repository.
    pub fn api(&self, repo: &Repo) -> String {
        format!("{}/repos/{}", self.base, repo.name)
    }

    /// The address that people open.
    pub fn html(&self, repo: &Repo) -> String {
        format!("{}/{}", self.base, repo.name)
    }

    /// `simple-user` of a login. A login without an account is GitHub's `ghost`.
    pub fn user_json(&self, login: &str) -> Value {
        let ghost;
        let account = match self.account(login) {
            Some(account) => account,
            None => {
                ghost = Account { id: 10137, login: "ghost".into(), kind: Kind::User, created_at: self.app.created_at };
                &ghost
            }
        };
        let path = account.login.replace('[', "%5B").replace(']', "%5D");
        let mut json = json!({
            "login": account.login,
            "id": account.id,
            "node_id": node_id("U", account.id),
            "avatar_url": format!("{}/avatars/{}", self.base, account.id),
            "gravatar_id": "",
            "html_url": format!("{}/{path}", self.base),
            "type": account.kind.name(),
            "site_admin": false,
        });
        for (field, suffix) in ACCOUNT_URLS {
            json[*field] = format!("{}/users/{path}{suffix}", self.base).into();
        }
        json
    }

    /// `full-repository`, which has every field of `repository` and `minimal-repository`.
    pub fn repo_json(&self, repo: &Repo) -> Value {
        let open = repo.issues.values().filter(|issue| issue.open).count();
        let html = self.html(repo);
        let (at, pushed) = (time(repo.created_at), time(repo.pushed_at));
        let mut json = json!({
            "id": repo.id,
            "node_id": node_id("R", repo.id),
            "name": repo.name.name(),
            "full_name": repo.name.to_string(),
            "private": repo.private,
            "visibility": if repo.private { "private" } else { "public" },
            "owner": self.user_json(repo.name.owner()),
            "html_url": html,
            "clone_url": format!("{html}.git"),
            "svn_url": html,
            "git_url": format!("git://github.invalid/{}.git", repo.name),
            "ssh_url": format!("git@github.invalid:{}.git", repo.name),
            "description": null, "homepage": null, "language": null, "mirror_url": null, "license": null,
            "default_branch": repo.default_branch,
            "open_issues": open, "open_issues_count": open, "topics": [],
            "created_at": at, "updated_at": pushed, "pushed_at": pushed,
            "has_issues": true, "has_downloads": true,
            "allow_merge_commit": repo.merge_methods.contains(&Method::Merge),
            "allow_squash_merge": repo.merge_methods.contains(&Method::Squash),
            "allow_rebase_merge": repo.merge_methods.contains(&Method::Rebase),
            "delete_branch_on_merge": repo.delete_branch_on_merge,
        });
        for field in NEVER {
            json[*field] = false.into();
        }
        let nature = match repo.nature {
            Nature::Usual => None,
            Nature::Archived => Some("archived"),
            Nature::Fork => Some("fork"),
            Nature::Template => Some("is_template"),
        };
        if let Some(field) = nature {
            json[field] = true.into();
        }
        for field in NONE_OF {
            json[*field] = 0.into();
        }
        for (field, suffix) in REPOSITORY_URLS {
            json[*field] = format!("{}{suffix}", self.api(repo)).into();
        }
        json
    }

    /// `integration`.
    pub fn app_json(&self, app: &App) -> Value {
        json!({
            "id": app.id,
            "slug": app.slug,
            "node_id": node_id("A", app.id),
            "client_id": format!("Iv23li{:08}", app.id),
            "owner": self.user_json(&app.owner),
            "name": app.name,
            "description": "An App of the sandbox",
            "external_url": format!("{}/apps/{}", self.base, app.slug),
            "html_url": format!("{}/apps/{}", self.base, app.slug),
            "created_at": time(app.created_at),
            "updated_at": time(app.created_at),
            "permissions": permissions_json(&app.permissions),
            "events": app.events,
        })
    }

    /// `installation`.
    pub fn installation_json(&self, installation: &Installation) -> Value {
        let account = self.user_json(&installation.account);
        let id = installation.id;
        json!({
            "id": id,
            "account": account,
            "access_tokens_url": format!("{}/app/installations/{id}/access_tokens", self.base),
            "repositories_url": format!("{}/installation/repositories", self.base),
            "html_url": format!("{}/organizations/{}/settings/installations/{id}", self.base, installation.account),
            "app_id": self.app.id,
            "app_slug": self.app.slug,
            "target_id": account["id"],
            "target_type": account["type"],
            "permissions": permissions_json(&installation.permissions),
            "events": self.app.events,
            "repository_selection": "selected",
            "single_file_name": null,
            "has_multiple_single_files": false,
            "single_file_paths": [],
            "created_at": time(installation.created_at),
            "updated_at": time(installation.created_at),
            "suspended_at": installation.suspended_at.map(time),
            "suspended_by": null,
        })
    }

    /// The account behind a commit's address, where it is one of this site's `<login>@users.noreply...` addresses.
    fn commit_user(&self, email: &str) -> Value {
        let local = email.split('@').next().unwrap_or_default();
        let login = local.split_once('+').map_or(local, |(_, login)| login);
        if self.account(login).is_some() { self.user_json(login) } else { Value::Null }
    }

    /// `commit`, as in lists and at `/commits/{ref}`.
    pub fn commit_json(&self, repo: &Repo, commit: &CommitInfo) -> Value {
        let (api, html, id) = (self.api(repo), self.html(repo), &commit.id);
        let person =
            |person: &super::git::Person| json!({"name": person.name, "email": person.email, "date": time(person.at)});
        let parents: Vec<Value> = commit
            .parents
            .iter()
            .map(|id| json!({"sha": id, "url": format!("{api}/commits/{id}"), "html_url": format!("{html}/commit/{id}")}))
            .collect();
        json!({
            "sha": id,
            "node_id": format!("C_{id}"),
            "url": format!("{api}/commits/{id}"),
            "html_url": format!("{html}/commit/{id}"),
            "comments_url": format!("{api}/commits/{id}/comments"),
            "commit": {
                "url": format!("{api}/git/commits/{id}"),
                "author": person(&commit.author),
                "committer": person(&commit.committer),
                "message": commit.message,
                "comment_count": 0,
                "tree": {"sha": commit.tree, "url": format!("{api}/git/trees/{}", commit.tree)},
                "verification":
                    {"verified": false, "reason": "unsigned", "signature": null, "payload": null, "verified_at": null},
            },
            "author": self.commit_user(&commit.author.email),
            "committer": self.commit_user(&commit.committer.email),
            "parents": parents,
        })
    }

    /// A commit as in a push's payload.
    pub fn pushed_commit_json(&self, repo: &Repo, commit: &CommitInfo) -> Value {
        let person = |person: &super::git::Person| json!({"name": person.name, "email": person.email, "username": person.email.split('@').next(), "date": time(person.at)});
        let mut files: Map<String, Value> =
            ["added", "removed", "modified"].into_iter().map(|kind| (kind.to_owned(), json!([]))).collect();
        if let Some(parent) = commit.parents.first() {
            for change in repo.git.changes(parent, &commit.id).unwrap_or_default() {
                let kind = if files.contains_key(change.status) { change.status } else { "modified" };
                if let Some(Value::Array(list)) = files.get_mut(kind) {
                    list.push(change.path.into());
                }
            }
        }
        json!({
            "id": commit.id,
            "tree_id": commit.tree,
            "distinct": true,
            "message": commit.message,
            "timestamp": time(commit.committer.at),
            "url": format!("{}/commit/{}", self.html(repo), commit.id),
            "author": person(&commit.author),
            "committer": person(&commit.committer),
            "added": files["added"],
            "removed": files["removed"],
            "modified": files["modified"],
        })
    }
}

/// Permissions by name.
pub fn permissions_json(permissions: &Permissions) -> Value {
    permissions.iter().map(|(name, access)| (name.clone(), Value::from(access.name()))).collect::<Map<_, _>>().into()
}
