//! The table of commands: what each does, who may give it, whether this version has it.

use serde::{Deserialize, Serialize};
use std::fmt;

/// A person's permission on a repository, the least first
/// (<https://docs.github.com/organizations/managing-user-access-to-your-organizations-repositories/managing-repository-roles/repository-roles-for-an-organization>).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Permission {
    Read,
    Triage,
    Write,
    Maintain,
    Admin,
}

impl Permission {
    /// The least first.
    pub const ALL: [Permission; 5] =
        [Permission::Read, Permission::Triage, Permission::Write, Permission::Maintain, Permission::Admin];

    /// GitHub's word for it.
    pub fn word(self) -> &'static str {
        match self {
            Permission::Read => "read",
            Permission::Triage => "triage",
            Permission::Write => "write",
            Permission::Maintain => "maintain",
            Permission::Admin => "admin",
        }
    }

    /// Reads `role_name` of GitHub's answer about a collaborator (its `permission` folds triage and maintain). `None`
    /// for `none` and for an organisation's custom roles, whose rights the name does not tell.
    pub fn from_role_name(role: &str) -> Option<Permission> {
        Permission::ALL.into_iter().find(|permission| permission.word() == role)
    }
}

impl fmt::Display for Permission {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.word())
    }
}

/// A command, for people and for the check of permissions.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct VerbInfo {
    pub name: &'static str,
    /// With its arguments, without the slash: `resume [component] [env]`.
    pub usage: &'static str,
    /// Half a sentence.
    pub does: &'static str,
    /// What a person needs at least, where the environment's `protect.commands` does not say otherwise.
    pub permission: Permission,
    /// Whether this version carries it out.
    pub available: bool,
}

/// Every command, in the order in which help lists them.
pub const VERBS: &[VerbInfo] = &[
    verb("promote", "promote [component…] [to <env>] [version]", "open or refresh a promotion", Permission::Write)
        .in_this_version(),
    verb("merge", "merge", "merge this pull request, or say what is missing", Permission::Maintain).in_this_version(),
    verb(
        "hold",
        "hold [component] [env] [until <when>] [reason]",
        "stop this pull request's promotion; or a component, an environment, `all`",
        Permission::Write,
    )
    .in_this_version(),
    verb(
        "resume",
        "resume [component] [env]",
        "end what `hold` stopped, or take a declined version after all",
        Permission::Write,
    )
    .in_this_version(),
    verb("status", "status", "what runs where since when, what is on the way, what is held", Permission::Read)
        .in_this_version(),
    verb("help", "help", "list what you may do here", Permission::Read).in_this_version(),
    // The gate's team approves; the permission is the floor below it.
    verb("approve", "approve", "approve this promotion for the gate's team", Permission::Write),
    verb(
        "freeze",
        "freeze <env|all> [until <when>] <reason>",
        "stop everything into an environment",
        Permission::Maintain,
    ),
    verb("block", "block <component> <version> <reason>", "never use that version again", Permission::Maintain),
    verb(
        "rollback",
        "rollback <component> <env> [to <version>]",
        "go back to the last healthy version and block the bad one",
        Permission::Write,
    ),
    verb("override", "override <reason>", "merge once against the gates", Permission::Maintain),
    verb("pin", "pin <component> <env> <tag>", "keep a component at a tag", Permission::Write),
    verb("automate", "automate <component> <env> on|off", "switch automatic updates", Permission::Write),
    verb("ignore", "ignore <object>", "stop applying an object", Permission::Maintain),
    verb("retire", "retire <object> [keep-manifest]", "delete an object from the cluster", Permission::Maintain),
    verb("plan", "plan", "what would change", Permission::Read),
    verb("diff", "diff", "where environments differ", Permission::Read),
    verb("explain", "explain <image>", "how butler decides about an image, step by step", Permission::Read),
    verb("history", "history <component>", "what ran when", Permission::Read),
    verb("rebase", "rebase", "plan this pull request again on the newest commits", Permission::Write),
    verb("retry", "retry", "try again what failed", Permission::Write),
    verb("take", "take source|target <path>", "settle a conflict", Permission::Write),
    verb("cancel", "cancel", "close this pull request", Permission::Write),
    verb("onboard", "onboard <repository>", "propose a tenant", Permission::Read),
];

const fn verb(name: &'static str, usage: &'static str, does: &'static str, permission: Permission) -> VerbInfo {
    VerbInfo { name, usage, does, permission, available: false }
}

impl VerbInfo {
    const fn in_this_version(self) -> VerbInfo {
        VerbInfo { available: true, ..self }
    }

    /// The entry of a verb, in lower case.
    pub fn of(name: &str) -> Option<&'static VerbInfo> {
        VERBS.iter().find(|verb| verb.name == name)
    }
}

/// The names of the commands that this version carries out.
pub(super) fn available() -> impl Iterator<Item = &'static str> {
    VERBS.iter().filter(|verb| verb.available).map(|verb| verb.name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn roles_as_github_names_them() {
        for (role, permission) in [
            ("read", Some(Permission::Read)),
            ("triage", Some(Permission::Triage)),
            ("write", Some(Permission::Write)),
            ("maintain", Some(Permission::Maintain)),
            ("admin", Some(Permission::Admin)),
            ("none", None),
            ("security-champion", None),
            ("Admin", None),
            ("", None),
        ] {
            assert_eq!(Permission::from_role_name(role), permission, "{role:?}");
        }
        assert!(Permission::ALL.is_sorted());
    }

    #[test]
    fn usage_begins_with_the_name_and_names_are_unique() {
        for (i, verb) in VERBS.iter().enumerate() {
            assert_eq!(verb.usage.split(' ').next(), Some(verb.name));
            assert!(VERBS[..i].iter().all(|other| other.name != verb.name), "{}", verb.name);
        }
    }
}
