//! What Flux's image objects say.

use super::{
    Data, FluxObject, ImagePolicyObject, ImageRepositoryObject, ImageUpdateAutomationObject, LabelSelector, Position,
    SourceRef, Value,
};
use std::collections::BTreeMap;

/// A field that is missing or of the wrong type.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct InvalidObject {
    /// Of what was found; of the object where something is missing.
    pub position: Position,
    pub message: String,
}

type Read<T> = Result<T, InvalidObject>;

impl FluxObject {
    /// Reads an object of the group `image.toolkit.fluxcd.io`, whatever its version; `None` for other kinds.
    ///
    /// # Errors
    /// [`InvalidObject`] where a field is missing or of the wrong type.
    pub fn read(kind: &str, object: &Data) -> Option<Result<FluxObject, InvalidObject>> {
        let fields = Fields { object, path: String::new(), node: Some(object) };
        match kind {
            "ImageRepository" => Some(repository(&fields).map(FluxObject::ImageRepository)),
            "ImagePolicy" => Some(policy(&fields).map(FluxObject::ImagePolicy)),
            "ImageUpdateAutomation" => Some(automation(&fields).map(FluxObject::ImageUpdateAutomation)),
            _ => None,
        }
    }

    /// Why the API server or Flux refuses an object that can be read all the same.
    pub fn refused(kind: &str, object: &Data) -> Option<InvalidObject> {
        let fields = Fields { object, path: String::new(), node: Some(object) };
        match kind {
            "ImagePolicy" => accept_policy(&fields).err(),
            "ImageUpdateAutomation" => accept_automation(&fields).err(),
            _ => None,
        }
    }
}

/// <https://github.com/fluxcd/image-automation-controller/tree/main/api>, and NewSourceManager of its internal/source.
fn accept_automation(object: &Fields<'_>) -> Read<()> {
    let spec = object.mapping("spec")?;
    // v1alpha1 had the fields of `git` one level up, and others for the author and the repository.
    let alpha = object.version() == "v1alpha1";
    let git = if alpha { spec.clone() } else { spec.needed("git")? };
    let commit = git.needed("commit")?;
    let (author, fields): (_, &[&str]) =
        if alpha { (commit, &["authorName", "authorEmail"]) } else { (commit.mapping("author")?, &["email"]) };
    fields.iter().try_for_each(|field| author.required(field).map(drop))?;
    let source = if alpha { git.mapping("checkout")?.needed("gitRepositoryRef")? } else { spec.needed("sourceRef")? };
    source.one_of("kind", &["GitRepository"])?;
    source.required("name")?;
    spec.mapping("update")?.one_of("strategy", &["Setters"])?;
    spec.required("interval").map(drop)
}

/// <https://github.com/fluxcd/image-reflector-controller/tree/main/api>: rules of the CRDs since the field is there.
/// Those before drop it.
fn accept_policy(object: &Fields<'_>) -> Read<()> {
    let spec = object.mapping("spec")?;
    if matches!(object.version(), "v1alpha1" | "v1alpha2" | "v1beta1") {
        return Ok(());
    }
    let digest_reflection = spec.one_of("digestReflectionPolicy", &["Always", "IfNotPresent", "Never"])?;
    match spec.string("interval")? {
        None if digest_reflection.as_deref() == Some("Always") => {
            Err(spec.missing("interval, which digestReflectionPolicy: Always needs,"))
        }
        Some(_) if !digest_reflection.is_some_and(|policy| policy == "Always" || policy.contains("${")) => {
            Err(InvalidObject {
                position: spec.get("interval").map_or(spec.object.position, |node| node.position),
                message: "expected no spec.interval without digestReflectionPolicy: Always, found one".into(),
            })
        }
        _ => Ok(()),
    }
}

fn repository(object: &Fields<'_>) -> Read<ImageRepositoryObject> {
    let spec = object.mapping("spec")?;
    let access = spec.mapping("accessFrom")?;
    Ok(ImageRepositoryObject {
        image: spec.required("image")?,
        exclusion_list: spec.strings("exclusionList")?,
        access_from: access
            .mappings("namespaceSelectors")?
            .iter()
            .map(|selector| selector.map("matchLabels"))
            .collect::<Read<_>>()?,
        suspend: spec.boolean("suspend")?,
    })
}

fn policy(object: &Fields<'_>) -> Read<ImagePolicyObject> {
    let spec = object.mapping("spec")?;
    let reference = spec.mapping("imageRepositoryRef")?;
    let filter = spec.mapping("filterTags")?;
    let pattern = filter.string("pattern")?;
    let choice = spec.mapping("policy")?;
    let order = if choice.has("semver") {
        ("semver".into(), choice.mapping("semver")?.required("range")?)
    } else if let Some(order) = ["alphabetical", "numerical"].into_iter().find(|order| choice.has(order)) {
        (order.into(), choice.mapping(order)?.string("order")?.unwrap_or_else(|| "asc".into()))
    } else {
        return Err(choice.missing("one of semver, alphabetical, numerical"));
    };
    Ok(ImagePolicyObject {
        labels: object.mapping("metadata")?.map("labels")?,
        repository: reference.required("name")?,
        repository_namespace: reference.string("namespace")?,
        alpha: object.version().starts_with("v1alpha"),
        filter: pattern.map(|pattern| Ok((pattern, filter.string("extract")?.unwrap_or_default()))).transpose()?,
        order,
        digest_reflection: spec.string("digestReflectionPolicy")?,
        suspend: spec.boolean("suspend")?,
    })
}

fn automation(object: &Fields<'_>) -> Read<ImageUpdateAutomationObject> {
    let spec = object.mapping("spec")?;
    let git = spec.mapping("git")?;
    // v1alpha1 had the fields of `git` one level up, and the author's in one.
    let (git, alpha) = if git.node.is_some() { (git, false) } else { (spec.clone(), true) };
    let (checkout, push, commit) = (git.mapping("checkout")?, git.mapping("push")?, git.mapping("commit")?);
    let author = commit.mapping("author")?;
    let source = spec.mapping("sourceRef")?;
    let selector = spec.mapping("policySelector")?;
    Ok(ImageUpdateAutomationObject {
        source: match source.node {
            Some(_) => Some(SourceRef {
                kind: source.string("kind")?.unwrap_or_else(|| "GitRepository".into()),
                name: source.required("name")?,
                namespace: source.string("namespace")?,
            }),
            None => None,
        },
        path: spec.mapping("update")?.string("path")?,
        checkout_branch: if alpha { checkout.string("branch")? } else { checkout.mapping("ref")?.string("branch")? },
        push_branch: push.string("branch")?,
        push_refspec: push.string("refspec")?,
        message_template: commit.string("messageTemplate")?,
        message_template_values: commit.map("messageTemplateValues")?,
        author_name: if alpha { commit.string("authorName")? } else { author.string("name")? },
        author_email: if alpha { commit.string("authorEmail")? } else { author.string("email")? },
        policy_selector: match selector.node {
            Some(_) => Some(label_selector(&selector)?),
            None => None,
        },
        suspend: spec.boolean("suspend")?,
    })
}

fn label_selector(selector: &Fields<'_>) -> Read<LabelSelector> {
    let expression = |term: Fields<'_>| {
        Ok((term.required("key")?, term.required("operator")?, term.strings("values")?.unwrap_or_default()))
    };
    Ok(LabelSelector {
        match_labels: selector.map("matchLabels")?,
        match_expressions: selector.mappings("matchExpressions")?.into_iter().map(expression).collect::<Read<_>>()?,
    })
}

/// A mapping of an object, which may be missing, and how to get there.
#[derive(Clone)]
struct Fields<'n> {
    object: &'n Data,
    path: String,
    node: Option<&'n Data>,
}

impl<'n> Fields<'n> {
    /// A field's value; a null counts as missing, as it does for Kubernetes.
    fn get(&self, key: &str) -> Option<&'n Data> {
        self.node?.get(key).filter(|node| !node.is_null())
    }

    fn has(&self, key: &str) -> bool {
        // `numerical: {}` and `numerical:` both choose it.
        self.node.is_some_and(|node| node.get(key).is_some())
    }

    /// Of the API that the object is written for.
    fn version(&self) -> &'n str {
        self.object.text(&["apiVersion"]).rsplit('/').next().unwrap_or_default()
    }

    fn join(&self, key: &str) -> String {
        if self.path.is_empty() { key.into() } else { format!("{}.{key}", self.path) }
    }

    fn missing(&self, what: &str) -> InvalidObject {
        let place = if self.path.is_empty() { String::new() } else { format!(" in {}", self.path) };
        InvalidObject {
            position: self.node.unwrap_or(self.object).position,
            message: format!("expected {what}{place}, found nothing, and no kustomization here that adds it"),
        }
    }

    fn wrong(&self, key: &str, expected: &str, found: &Data) -> InvalidObject {
        let message = format!("expected {expected} at {}, found {}", self.join(key), found.describe());
        InvalidObject { position: found.position, message }
    }

    fn mapping(&self, key: &str) -> Read<Fields<'n>> {
        match self.get(key) {
            Some(node) if !matches!(node.value, Value::Mapping(_)) => Err(self.wrong(key, "a mapping", node)),
            node => Ok(Fields { object: self.object, path: self.join(key), node }),
        }
    }

    /// A mapping that has to be there.
    fn needed(&self, key: &str) -> Read<Fields<'n>> {
        let fields = self.mapping(key)?;
        if fields.node.is_some() { Ok(fields) } else { Err(self.missing(key)) }
    }

    fn mappings(&self, key: &str) -> Read<Vec<Fields<'n>>> {
        let items = self.sequence(key)?.unwrap_or_default();
        let item =
            |(i, node)| Fields { object: self.object, path: format!("{}[{i}]", self.join(key)), node: Some(node) };
        Ok(items.iter().enumerate().map(item).collect())
    }

    fn sequence(&self, key: &str) -> Read<Option<&'n [Data]>> {
        match self.get(key) {
            None => Ok(None),
            Some(Data { value: Value::Sequence(items), .. }) => Ok(Some(items)),
            Some(node) => Err(self.wrong(key, "a sequence", node)),
        }
    }

    fn string(&self, key: &str) -> Read<Option<String>> {
        self.get(key).map(|node| self.text(key, node)).transpose()
    }

    fn text(&self, key: &str, node: &Data) -> Read<String> {
        match &node.value {
            Value::String(text) => Ok(text.clone()),
            _ => Err(self.wrong(key, "a string", node)),
        }
    }

    fn required(&self, key: &str) -> Read<String> {
        self.string(key)?.ok_or_else(|| self.missing(key))
    }

    /// A string out of a few; what stands for one that is given elsewhere (`${…}`) may be any.
    fn one_of(&self, key: &str, allowed: &[&str]) -> Read<Option<String>> {
        let found = self.string(key)?;
        match (&found, self.get(key)) {
            (Some(text), Some(node)) if !text.contains("${") && !allowed.contains(&text.as_str()) => {
                let place = self.join(key);
                let message = format!("expected {} at {place}, found {text:?}", allowed.join(" or "));
                Err(InvalidObject { position: node.position, message })
            }
            _ => Ok(found),
        }
    }

    fn strings(&self, key: &str) -> Read<Option<Vec<String>>> {
        let items = self.sequence(key)?;
        items.map(|items| items.iter().map(|item| self.text(key, item)).collect()).transpose()
    }

    fn map(&self, key: &str) -> Read<BTreeMap<String, String>> {
        let fields = self.mapping(key)?;
        let entries = fields.node.map(Data::entries).unwrap_or_default();
        entries.iter().map(|(name, value)| Ok((name.clone(), fields.text(name, value)?))).collect()
    }

    fn boolean(&self, key: &str) -> Read<bool> {
        match self.get(key) {
            None => Ok(false),
            // The spellings of YAML 1.1, which kubectl reads; a quoted one is a string to it.
            Some(node) => match &node.value {
                Value::Other(text) => match text.as_str() {
                    "true" | "True" | "TRUE" | "yes" | "on" => Ok(true),
                    "false" | "False" | "FALSE" | "no" | "off" => Ok(false),
                    _ => Err(self.wrong(key, "true or false", node)),
                },
                _ => Err(self.wrong(key, "true or false", node)),
            },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::{Data, FileKind, FluxObject, scan};
    use std::sync::Arc;

    fn object(kind: &str, version: &str, spec: &str) -> Arc<Data> {
        let text = format!(
            "apiVersion: image.toolkit.fluxcd.io/{version}\nkind: {kind}\nmetadata: {{name: a, labels: {{x: y}}}}\n{spec}"
        );
        scan(FileKind::Yaml, text.as_bytes()).documents.remove(0).content.unwrap()
    }

    fn flux(kind: &str, version: &str, spec: &str) -> Result<FluxObject, String> {
        let read = FluxObject::read(kind, &object(kind, version, spec)).unwrap();
        read.map_err(|error| format!("{} {error}", error.position))
    }

    #[test]
    fn image_repositories() {
        for version in ["v1alpha1", "v1beta2", "v1"] {
            let read =
                flux("ImageRepository", version, "spec: {image: r/a, exclusionList: ['^.*\\.sig$'], suspend: true}");
            let Ok(FluxObject::ImageRepository(repository)) = read else { panic!("{read:?}") };
            assert_eq!((repository.image.as_str(), repository.suspend), ("r/a", true));
            assert_eq!(repository.exclusion_list, Some(vec!["^.*\\.sig$".to_string()]));
        }
    }

    #[test]
    fn image_policies() {
        let policy =
            |rest: &str| flux("ImagePolicy", "v1", &format!("spec:\n  imageRepositoryRef: {{name: a}}\n  {rest}"));
        let cases = [
            ("policy: {semver: {range: '>=1.0'}}", ("semver", ">=1.0")),
            ("policy: {semver: {range: 1.x}}", ("semver", "1.x")),
            ("policy: {numerical: {order: desc}}", ("numerical", "desc")),
            ("policy: {numerical: {}}", ("numerical", "asc")),
            ("policy:\n    alphabetical:", ("alphabetical", "asc")),
        ];
        for (text, (name, argument)) in cases {
            let read = policy(text);
            let Ok(FluxObject::ImagePolicy(policy)) = read else { panic!("{text}: {read:?}") };
            assert_eq!(policy.order, (name.to_string(), argument.to_string()), "{text}");
            assert_eq!(policy.labels["x"], "y");
        }
        let read = policy(
            "filterTags: {pattern: '^(?P<n>.*)$', extract: $n}\n  policy: {numerical: {}}\n  digestReflectionPolicy: Always\n  interval: 1h",
        );
        let Ok(FluxObject::ImagePolicy(policy)) = read else { panic!("{read:?}") };
        assert_eq!(policy.filter, Some(("^(?P<n>.*)$".to_string(), "$n".to_string())));
        assert_eq!(policy.digest_reflection.as_deref(), Some("Always"));
    }

    #[test]
    fn image_update_automations() {
        let v1 = "spec:\n  interval: 5m\n  sourceRef: {kind: GitRepository, name: s}\n  git:\n    checkout: {ref: {branch: main}}\n    push: {branch: p}\n    commit: {author: {email: a@b.c, name: bot}, messageTemplate: two words}\n  update: {path: ./x, strategy: Setters}\n  policySelector: {matchLabels: {x: y}, matchExpressions: [{key: k, operator: In, values: [v]}]}";
        let alpha = "spec:\n  interval: 5m\n  checkout: {branch: main, gitRepositoryRef: {name: s}}\n  push: {branch: p}\n  commit: {authorName: bot, authorEmail: a@b.c, messageTemplate: two words}\n  update: {path: ./x}";
        for (version, spec) in [("v1", v1), ("v1alpha1", alpha)] {
            let read = flux("ImageUpdateAutomation", version, spec);
            let Ok(FluxObject::ImageUpdateAutomation(automation)) = read else { panic!("{read:?}") };
            let fields = [
                automation.path,
                automation.checkout_branch,
                automation.push_branch,
                automation.message_template,
                automation.author_name,
                automation.author_email,
            ];
            assert_eq!(
                fields.map(Option::unwrap_or_default),
                ["./x", "main", "p", "two words", "bot", "a@b.c"],
                "{version}"
            );
            assert_eq!(automation.policy_selector.is_some(), version == "v1");
        }
    }

    #[test]
    fn what_flux_or_the_api_server_refuses() {
        const SOURCE: &str = "sourceRef: {kind: GitRepository, name: s}";
        const GIT: &str = "git: {commit: {author: {email: a@b.c}}}";
        let nothing = |what: &str| format!("expected {what}, found nothing, and no kustomization here that adds it");
        let automation = |rest: String| format!("spec: {{interval: 5m, {rest}}}");
        let v1 = |rest: &str| automation(format!("{SOURCE}, {GIT}, {rest}"));
        let alpha =
            |checkout: &str, commit: &str| automation(format!("checkout: {{{checkout}}}, commit: {{{commit}}}"));
        let (checkout, commit) = ("branch: main, gitRepositoryRef: {name: s}", "authorName: a, authorEmail: a@b.c");
        let policy =
            |rest: &str| format!("spec: {{imageRepositoryRef: {{name: a}}, policy: {{numerical: {{}}}}, {rest}}}");
        let (iua, imp) = ("ImageUpdateAutomation", "ImagePolicy");
        // versions, kind, spec, what is wrong; nothing where it is not refused
        #[rustfmt::skip]
        let cases = [
            ("v1beta1 v1beta2 v1", iua, v1(""), String::new()),
            ("v1beta1 v1beta2 v1", iua, v1("update: {}"), String::new()),
            ("v1beta1 v1beta2 v1", iua, v1("update: {strategy: Setters}"), String::new()),
            ("v1beta1 v1beta2 v1", iua, v1("update: {strategy: '${STRATEGY}'}"), String::new()),
            ("v1beta1 v1beta2 v1", iua, v1("update: {strategy: setters}"), "expected Setters at spec.update.strategy, found \"setters\"".into()),
            ("v1beta1 v1beta2 v1", iua, automation(SOURCE.into()), nothing("git in spec")),
            ("v1beta1 v1beta2 v1", iua, automation(format!("{SOURCE}, git:")), nothing("git in spec")),
            ("v1beta1 v1beta2 v1", iua, automation(format!("{SOURCE}, git: {{}}")), nothing("commit in spec.git")),
            ("v1beta1 v1beta2 v1", iua, automation(format!("{SOURCE}, git: {{commit: {{}}}}")), nothing("email in spec.git.commit.author")),
            ("v1beta1 v1beta2 v1", iua, automation(format!("{SOURCE}, git: {{commit: {{author: {{name: a}}}}}}")), nothing("email in spec.git.commit.author")),
            ("v1beta1 v1beta2 v1", iua, automation(GIT.into()), nothing("sourceRef in spec")),
            ("v1beta1 v1beta2 v1", iua, automation(format!("{GIT}, sourceRef: {{name: s}}")), String::new()),
            ("v1beta1 v1beta2 v1", iua, automation(format!("{GIT}, sourceRef: {{kind: '${{KIND}}', name: s}}")), String::new()),
            ("v1beta1 v1beta2 v1", iua, automation(format!("{GIT}, sourceRef: {{kind: Bucket, name: s}}")), "expected GitRepository at spec.sourceRef.kind, found \"Bucket\"".into()),
            ("v1beta1 v1beta2 v1", iua, format!("spec: {{{SOURCE}, {GIT}}}"), nothing("interval in spec")),
            ("v1beta1 v1beta2 v1", iua, format!("spec: {{{SOURCE}, {GIT}, interval: '${{EVERY}}'}}"), String::new()),
            ("v1beta1 v1beta2 v1", iua, format!("spec: {{{SOURCE}, {GIT}, interval: 5}}"), "expected a string at spec.interval, found a number, boolean or date".into()),
            ("v1beta1 v1beta2 v1", iua, alpha(checkout, commit), nothing("git in spec")),
            ("v1alpha1", iua, alpha(checkout, commit), String::new()),
            ("v1alpha1", iua, alpha("branch: main", commit), nothing("gitRepositoryRef in spec.checkout")),
            ("v1alpha1", iua, alpha(checkout, "authorName: a"), nothing("authorEmail in spec.commit")),
            ("v1alpha1", iua, alpha(checkout, "authorEmail: a"), nothing("authorName in spec.commit")),
            ("v1alpha1", iua, alpha(checkout, commit).replace("interval: 5m, ", ""), nothing("interval in spec")),
            ("v1alpha1", iua, v1(""), nothing("commit in spec")),
            ("v1beta2 v1", imp, policy("digestReflectionPolicy: Always, interval: 1h"), String::new()),
            ("v1beta2 v1", imp, policy("digestReflectionPolicy: Always, interval: '${EVERY}'"), String::new()),
            ("v1beta2 v1", imp, policy("digestReflectionPolicy: IfNotPresent"), String::new()),
            ("v1beta2 v1", imp, policy("interval: 1h"), "expected no spec.interval without digestReflectionPolicy: Always, found one".into()),
            ("v1beta1", imp, policy("interval: 1h"), String::new()),
            ("v1beta2 v1", imp, policy("digestReflectionPolicy: Always"), nothing("interval, which digestReflectionPolicy: Always needs, in spec")),
            ("v1beta2 v1", imp, policy("digestReflectionPolicy: always"), "expected Always or IfNotPresent or Never at spec.digestReflectionPolicy, found \"always\"".into()),
            ("v1alpha1 v1alpha2 v1beta1", imp, policy("digestReflectionPolicy: Always"), String::new()),
        ];
        for (versions, kind, spec, expected) in &cases {
            for version in versions.split(' ') {
                let found = FluxObject::refused(kind, &object(kind, version, spec));
                assert_eq!(found.map_or(String::new(), |found| found.message), *expected, "{version} {kind} {spec}");
                assert!(flux(kind, version, spec).is_ok(), "{version} {kind} {spec}: it is read all the same");
            }
        }
    }

    #[test]
    fn invalid_objects_say_what_was_expected() {
        let cases = [
            (
                "ImageRepository",
                "spec: {}",
                "4:7 expected image in spec, found nothing, and no kustomization here that adds it",
            ),
            (
                "ImageRepository",
                "",
                "1:1 expected image in spec, found nothing, and no kustomization here that adds it",
            ),
            ("ImageRepository", "spec: [x]", "4:7 expected a mapping at spec, found a sequence"),
            (
                "ImageRepository",
                "spec: {image: 17}",
                "4:15 expected a string at spec.image, found a number, boolean or date",
            ),
            ("ImageRepository", "spec: {image: *x}", "4:15 expected a string at spec.image, found an alias of nothing"),
            (
                "ImageRepository",
                "spec: {image: a, suspend: 'true'}",
                "4:27 expected true or false at spec.suspend, found a string",
            ),
            (
                "ImageRepository",
                "spec: {image: a, exclusionList: x}",
                "4:33 expected a sequence at spec.exclusionList, found a string",
            ),
            (
                "ImagePolicy",
                "spec: {imageRepositoryRef: {name: a}, policy: {newest: {}}}",
                "4:47 expected one of semver, alphabetical, numerical in spec.policy, found nothing, and no kustomization here that adds it",
            ),
            (
                "ImagePolicy",
                "spec: {policy: {semver: {range: 1.x}}}",
                "1:1 expected name in spec.imageRepositoryRef, found nothing, and no kustomization here that adds it",
            ),
            (
                "ImagePolicy",
                "spec: {imageRepositoryRef: {name: a}, policy: {semver: {range: 1.10}}}",
                "4:64 expected a string at spec.policy.semver.range, found a number, boolean or date",
            ),
            (
                "ImageUpdateAutomation",
                "spec: {interval: 5m, sourceRef: {name: a}, git: {commit: {author: {email: a}}}, update: {path: [a]}}",
                "4:96 expected a string at spec.update.path, found a sequence",
            ),
            (
                "ImageUpdateAutomation",
                "spec: {git: {push: main}}",
                "4:20 expected a mapping at spec.git.push, found a string",
            ),
        ];
        for (kind, spec, expected) in cases {
            assert_eq!(flux(kind, "v1", spec), Err(expected.to_string()), "{spec}");
        }
    }
}
