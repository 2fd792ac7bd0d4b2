//! What a commit message's template is told.
//! <https://fluxcd.io/flux/components/image/imageupdateautomations/#message-template>

use super::value::{Text, Value};
use crate::engine::image::Reference;
use std::{collections::BTreeMap, rc::Rc};

/// A commit that an automation makes, or butler in its place.
#[derive(Clone, Debug, Default)]
pub struct Commit {
    /// Namespace and name of the ImageUpdateAutomation.
    pub automation: (String, String),
    /// `messageTemplateValues`
    pub values: BTreeMap<String, String>,
    pub changes: Vec<CommitChange>,
}

/// One value that a commit changes.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct CommitChange {
    pub file: String,
    pub api_version: String,
    pub kind: String,
    pub namespace: String,
    pub name: String,
    pub old: String,
    pub new: String,
    /// What the marker says: `ns:policy:tag`.
    pub setter: String,
    /// The whole image, as the policy names it: `.Updated` is about images.
    pub image: String,
}

type ObjectKey<'a> = (&'a str, &'a str, &'a str, &'a str);

impl Commit {
    /// For trying a template: one change.
    pub(super) fn example() -> Commit {
        Commit {
            automation: ("flux-system".into(), "flux-system".into()),
            values: BTreeMap::new(),
            changes: vec![CommitChange {
                file: "apps/app.yaml".into(),
                api_version: "apps/v1".into(),
                kind: "Deployment".into(),
                namespace: "app".into(),
                name: "app".into(),
                old: "example.org/app:1.0.0".into(),
                new: "example.org/app:1.0.1".into(),
                setter: "flux-system:app".into(),
                image: "example.org/app:1.0.1".into(),
            }],
        }
    }

    pub(super) fn value(&self) -> Value {
        let (namespace, name) = &self.automation;
        let values = self.values.iter().map(|(key, value)| (Value::string(key), Value::string(value))).collect();
        Value::object(
            "TemplateData",
            Text::Fields(3),
            vec![
                ("AutomationObject", namespaced(namespace, name)),
                ("Changed", self.changed()),
                ("Values", Value::Map(Rc::new(values))),
                ("Updated", self.updated()),
            ],
        )
    }

    fn changed(&self) -> Value {
        let change = |change: &CommitChange| {
            Value::object(
                "Change",
                Text::Fields(3),
                vec![
                    ("OldValue", Value::string(&change.old)),
                    ("NewValue", Value::string(&change.new)),
                    ("Setter", Value::string(&change.setter)),
                ],
            )
        };
        // A change that several files have is one to Flux.
        let mut once: Vec<&CommitChange> = Vec::new();
        for change in &self.changes {
            let same = |known: &&CommitChange| {
                (&known.old, &known.new, &known.setter) == (&change.old, &change.new, &change.setter)
            };
            if !once.iter().any(same) {
                once.push(change);
            }
        }
        Value::object(
            "Changed",
            Text::Fields(1),
            vec![
                ("FileChanges", by_file(&self.changes, |changes| by_object(changes, change))),
                ("Objects", by_object(&self.changes.iter().collect::<Vec<_>>(), change)),
                ("Changes", Value::list(once.into_iter().map(change).collect())),
                ("ImageResult", self.updated()),
            ],
        )
    }

    fn updated(&self) -> Value {
        let file = |changes: &[&CommitChange]| {
            Value::object("FileResult", Text::Fields(1), vec![("Objects", by_object(changes, image))])
        };
        let mut images: Vec<&CommitChange> = Vec::new();
        for change in &self.changes {
            if !images.iter().any(|known| known.image == change.image) {
                images.push(change);
            }
        }
        Value::object(
            "Updated",
            Text::Fields(1),
            vec![
                ("Files", by_file(&self.changes, file)),
                ("Objects", by_object(&self.changes.iter().collect::<Vec<_>>(), image)),
                ("Images", Value::list(images.into_iter().map(image).collect())),
            ],
        )
    }
}

fn by_file(changes: &[CommitChange], value: impl Fn(&[&CommitChange]) -> Value) -> Value {
    let mut files: BTreeMap<&str, Vec<&CommitChange>> = BTreeMap::new();
    for change in changes {
        files.entry(&change.file).or_default().push(change);
    }
    Value::Map(Rc::new(files.iter().map(|(file, changes)| (Value::string(file), value(changes))).collect()))
}

fn by_object(changes: &[&CommitChange], value: impl Fn(&CommitChange) -> Value) -> Value {
    let mut objects: BTreeMap<ObjectKey<'_>, Vec<Value>> = BTreeMap::new();
    for change in changes {
        let key = (change.api_version.as_str(), change.kind.as_str(), change.name.as_str(), change.namespace.as_str());
        objects.entry(key).or_default().push(value(change));
    }
    let entry = |((api_version, kind, name, namespace), values): (ObjectKey<'_>, Vec<Value>)| {
        let fields = vec![
            ("APIVersion", Value::string(api_version)),
            ("Kind", Value::string(kind)),
            ("Name", Value::string(name)),
            ("Namespace", Value::string(namespace)),
        ];
        // Printed as Go prints the two structs that it embeds, in the one that it is.
        let text = format!("{{{{{{{api_version} {kind}}} {{{name} {namespace}}}}}}}");
        (Value::object("ObjectIdentifier", Text::Own(text), fields), Value::list(values))
    };
    Value::Map(Rc::new(objects.into_iter().map(entry).collect()))
}

fn namespaced(namespace: &str, name: &str) -> Value {
    let text = format!("{namespace}/{name}");
    let fields =
        vec![("Namespace", Value::string(namespace)), ("Name", Value::string(name)), ("String", Value::string(&text))];
    Value::object("NamespacedName", Text::Own(text), fields)
}

/// Flux's ImageRef: it prints as the policy names it, its fields are normalised.
fn image(change: &CommitChange) -> Value {
    let (mut registry, mut path, mut identifier) = (String::new(), String::new(), String::new());
    if let Ok(reference) = Reference::parse(&change.image) {
        // What go-containerregistry calls Docker Hub.
        registry = match reference.repository.host() {
            "docker.io" => "index.docker.io".into(),
            host => host.into(),
        };
        path = reference.repository.path().into();
        identifier = reference.digest.or(reference.tag).unwrap_or_default();
    }
    let separator = if identifier.contains(':') { '@' } else { ':' };
    let mut policy = change.setter.splitn(3, ':');
    let (namespace, name) = (policy.next().unwrap_or_default(), policy.next().unwrap_or_default());
    let fields = vec![
        ("Name", Value::string(format!("{registry}/{path}{separator}{identifier}"))),
        ("Registry", Value::string(registry)),
        ("Repository", Value::string(path)),
        ("Identifier", Value::string(identifier)),
        ("Policy", namespaced(namespace, name)),
        ("String", Value::string(&change.image)),
    ];
    Value::object("ImageRef", Text::Own(change.image.clone()), fields)
}
