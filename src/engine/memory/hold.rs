//! Holds: what a person stopped, and what of it ends when somebody says `/resume`.

use crate::engine::escape::time;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

/// How far a hold or a `/resume` reaches: what it stops or sets free. Nothing named is everything.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Reach {
    /// `None`: every component.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub component: Option<String>,
    /// `None`: every environment.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub environment: Option<String>,
    /// One way into the environment. `None`: every way.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub way: Option<Way>,
}

/// How a version gets into an environment.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Way {
    /// By a policy.
    Update,
    /// By the promotion of this name, from this environment.
    Promotion { name: String, from: String },
}

/// A person stopped updates and promotions of something.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Hold {
    #[serde(flatten)]
    pub scope: Reach,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub until: Option<Timestamp>,
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub reason: String,
    pub by: String,
    pub at: Timestamp,
}

impl Reach {
    /// Whether this lies within `whole`.
    pub fn within(&self, whole: &Reach) -> bool {
        let inside = |part: &Option<String>, whole: &Option<String>| whole.is_none() || part == whole;
        inside(&self.component, &whole.component)
            && inside(&self.environment, &whole.environment)
            && (whole.way.is_none() || self.way == whole.way)
    }

    /// Whether the two have anything in common.
    pub fn meets(&self, other: &Reach) -> bool {
        let common = |one: &Option<String>, other: &Option<String>| one.is_none() || other.is_none() || one == other;
        common(&self.component, &other.component)
            && common(&self.environment, &other.environment)
            && (self.way.is_none() || other.way.is_none() || self.way == other.way)
    }

    /// The words that name this behind `/hold` and `/resume` wherever they are said. They name no way: what is held of
    /// one way into an environment is set free with the environment.
    pub fn words(&self) -> String {
        match (&self.component, &self.environment) {
            (Some(component), Some(environment)) => format!("{component} {environment}"),
            (Some(name), None) | (None, Some(name)) => name.clone(),
            (None, None) => "all".into(),
        }
    }
}

impl Hold {
    /// Whether it has not run out.
    pub fn lasts(&self, now: Timestamp) -> bool {
        self.until.is_none_or(|until| now < until)
    }

    /// Why a line stays: who said so, since when, until when. Not Markdown.
    pub fn sentence(&self) -> String {
        let until = self.until.map(|until| format!(" until {}", time(until))).unwrap_or_default();
        let reason = if self.reason.is_empty() { String::new() } else { format!(": {}", self.reason) };
        format!("held by {} since {}{until}{reason}", self.by, time(self.at))
    }
}
