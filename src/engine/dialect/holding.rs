//! What holds of bindings for a later snapshot too: the usual push changes tags, or files that say nothing of what is
//! automated, and then nothing has to be put together anew.

use super::{
    Automation, Binding, Bindings, Policy, PolicyKey, bind_after,
    flux_v2::Objects,
    kustomize::folder,
    lines::{FileLines, Lines},
};
use crate::engine::{
    config::Config,
    image::Reference,
    manifest::{Container, Document, ImageLine, Kustomization, Part, Scan},
    snapshot::{EntryKind, Snapshot},
};
use std::{
    collections::{BTreeSet, HashMap, HashSet},
    sync::Arc,
};

impl Bindings {
    /// The bindings of `after`, where these are those of `before`, and the two differ in `changed` files at most. `config`:
    /// before and after.
    pub fn follow<'p>(
        self: &Arc<Self>,
        before: &Snapshot,
        after: &Snapshot,
        changed: impl Iterator<Item = &'p str> + Clone,
        config: (&Config, &Config),
    ) -> Arc<Self> {
        if config.0 == config.1 && self.hold_for(before, after, changed.clone()) {
            return self.clone();
        }
        let outline = self.outline.follow(before, after, changed.clone());
        let earlier = Earlier { bindings: self, before, changed: changed.collect() };
        Arc::new(bind_after(after, outline, config.1, Some(&earlier)))
    }

    /// Whether [`super::bind`] would give these bindings again, when `before` is what they were made of, with the same
    /// configuration, and `after` differs from it in `changed` files at most. `false` only costs time.
    fn hold_for<'p>(&self, before: &Snapshot, after: &Snapshot, mut changed: impl Iterator<Item = &'p str>) -> bool {
        // What generators build is not looked into here.
        !self.generated
            && changed.all(|file| {
                // Which files there are decides what a path means.
                let is_file =
                    |snapshot: &Snapshot| snapshot.entries.get(file).is_some_and(|e| e.kind == EntryKind::File);
                let same = match (before.scans.get(file), after.scans.get(file)) {
                    (None, None) => true,
                    (Some(before), Some(after)) => {
                        let told = self.problems.iter().any(|problem| problem.file == file);
                        same_meaning(before, after) && (!told || same_positions(before, after))
                    }
                    _ => false,
                };
                is_file(before) && is_file(after) && same
            })
    }
}

/// Bindings of a snapshot that the one to be bound differs from in some files at most: what markers mean is looked up
/// anew only where something of it changed.
pub(super) struct Earlier<'b> {
    bindings: &'b Bindings,
    before: &'b Snapshot,
    changed: HashSet<&'b str>,
}

/// Lines of markers that mean what they meant.
pub(super) struct Kept {
    pub lines: Lines,
    /// The files whose lines are to be looked up again, or are gone.
    pub again: BTreeSet<Arc<str>>,
}

impl Earlier<'_> {
    /// What Flux's objects say, where the changed files have no part in it. `after`: the snapshot to be bound.
    pub fn objects(&self, after: &Snapshot) -> Option<Arc<Objects>> {
        let objects = &self.bindings.objects;
        let has_no_part = |scan: Option<&Arc<Scan>>| {
            scan.is_none_or(|scan| {
                scan.documents.iter().all(|it| {
                    it.content.is_none() && it.patch.is_none() && it.kustomization.is_none() && it.brings.is_empty()
                })
            })
        };
        let same = |file: &&str| {
            has_no_part(self.before.scans.get(file))
                && has_no_part(after.scans.get(file))
                // Which files and folders there are decides what a path means.
                && match (self.before.entries.contains_key(file), after.entries.contains_key(file)) {
                    (true, true) => true,
                    (false, true) => !objects.is_update_path(file) && self.has_others(after, folder(file)),
                    (true, false) => !objects.is_update_path(file) && self.has_others(self.before, folder(file)),
                    (false, false) => true,
                }
        };
        self.changed.iter().all(same).then(|| objects.clone())
    }

    /// Whether a folder has more than the changed files.
    fn has_others(&self, snapshot: &Snapshot, folder: &str) -> bool {
        let from = if folder.is_empty() { String::new() } else { format!("{folder}/") };
        let mut below = snapshot.entries.range(&from).take_while(|(file, _)| file.starts_with(&from));
        below.any(|(file, _)| !self.changed.contains(&**file))
    }

    /// `policies`, `automations`: what there is now. Policies that are what they were become the earlier ones; `None` where
    /// every marker is to be looked up.
    pub fn kept(&self, policies: &mut [Arc<Policy>], automations: &[Automation]) -> Option<Kept> {
        let Bindings { policies: before, markable, automations: writers, marked, .. } = self.bindings;
        let before = before.get(..*markable)?;
        // Who is selected is told by labels, which policies do not keep.
        let same_names = before.len() == policies.len() && before.iter().zip(&*policies).all(|(a, b)| a.key == b.key);
        if writers != automations || automations.iter().any(|it| it.selector.is_some()) || !same_names {
            return None;
        }
        let mut count: HashMap<&PolicyKey, usize> = HashMap::with_capacity(before.len());
        before.iter().for_each(|policy| *count.entry(&policy.key).or_default() += 1);
        // Policies that are no more what they were, or of whose names there are several.
        let mut gone = HashSet::new();
        for (before, now) in before.iter().zip(policies) {
            match before.is_same_as(now) && count.get(&before.key) == Some(&1) {
                true => now.clone_from(before),
                false => drop(gone.insert(Arc::as_ptr(before))),
            }
        }
        let mut again: BTreeSet<Arc<str>> = self.changed.iter().map(|file| Arc::from(*file)).collect();
        again.extend(marked.unresolved().cloned());
        if !gone.is_empty() {
            let is_gone = |binding: &Binding| binding.policy.as_ref().is_ok_and(|it| gone.contains(&Arc::as_ptr(it)));
            let follow = |lines: &FileLines| lines.bindings().any(is_gone);
            again.extend(marked.files().filter(|(_, lines)| follow(lines)).map(|(file, _)| file.clone()));
        }
        Some(Kept { lines: marked.clone(), again })
    }
}

/// Whether two versions of a file mean the same to all dialects: they differ in tags and digests, in text around what
/// is read, or in findings, which are the file's own.
fn same_meaning(before: &Scan, after: &Scan) -> bool {
    let Scan { documents, lines, findings: _, sops: _, end: _, holds: _ } = before;
    let line_at = |scan: &Scan, start: Option<usize>| {
        start.map(|start| scan.lines.binary_search_by_key(&start, |line| line.span.start).ok())
    };
    let same_container = |a: &Container, b: &Container| {
        let Container { name, image, registry, repository, tag, aliased, shared } = a;
        (name, registry.is_some(), aliased, shared) == (&b.name, b.registry.is_some(), &b.aliased, &b.shared)
            && same_image(image.as_deref(), b.image.as_deref())
            && line_at(before, *repository) == line_at(after, b.repository)
            && line_at(before, *tag) == line_at(after, b.tag)
    };
    all_same(documents, &after.documents, |a, b| {
        same_document(a, b) && all_same(&a.containers, &b.containers, same_container)
    }) && all_same(lines, &after.lines, same_line)
}

fn all_same<T>(a: &[T], b: &[T], same: impl Fn(&T, &T) -> bool) -> bool {
    a.len() == b.len() && a.iter().zip(b).all(|(a, b)| same(a, b))
}

/// All but the containers.
fn same_document(a: &Document, b: &Document) -> bool {
    let Document {
        api_version,
        object,
        kind,
        position,
        occurrence,
        annotations,
        content,
        patch,
        kustomization,
        brings,
        containers: _,
        has_directives,
        // Of patch files alone, which generators go with.
        room: _,
        generator,
    } = a;
    // Where an object stands matters only where something may be said of it.
    let spoken_of = content.is_some() || generator.is_some() || !annotations.is_empty();
    let same_kustomization = match (kustomization, &b.kustomization) {
        (Some(a), Some(b)) => same_kustomization(a, b),
        (a, b) => a.is_none() && b.is_none(),
    };
    (api_version, object, kind, occurrence) == (&b.api_version, &b.object, &b.kind, &b.occurrence)
        && (!spoken_of || *position == b.position)
        && (annotations, content, patch, brings, generator)
            == (&b.annotations, &b.content, &b.patch, &b.brings, &b.generator)
        && *has_directives == b.has_directives
        && same_kustomization
}

/// All but the images, which are lines.
fn same_kustomization(a: &Kustomization, b: &Kustomization) -> bool {
    let Kustomization {
        namespace,
        name_prefix,
        name_suffix,
        resources,
        components,
        patches,
        files,
        images: _,
        labels,
        annotations,
        config_maps,
        component,
    } = a;
    (namespace, name_prefix, name_suffix, resources, components)
        == (&b.namespace, &b.name_prefix, &b.name_suffix, &b.resources, &b.components)
        && (patches, files, labels, annotations, config_maps, component)
            == (&b.patches, &b.files, &b.labels, &b.annotations, &b.config_maps, &b.component)
}

fn same_line(a: &ImageLine, b: &ImageLine) -> bool {
    let ImageLine { document, path, position: _, span: _, value, style: _, part, image, marker, unparsed } = a;
    // A tag or digest alone names no image.
    let alone = image.is_none() && matches!(part, Part::Tag | Part::Digest);
    let (text, other) = (image.as_deref().unwrap_or(value), b.image.as_deref().unwrap_or(&b.value));
    (document, path, part, marker, unparsed) == (&b.document, &b.path, &b.part, &b.marker, &b.unparsed)
        && image.is_some() == b.image.is_some()
        && (alone || same_image(Some(text), Some(other)))
}

/// Whether two references are of one image in one spelling, both by tag or both by digest.
fn same_image(a: Option<&str>, b: Option<&str>) -> bool {
    a == b
        || match (a.map(Reference::parse), b.map(Reference::parse)) {
            (Some(Ok(a)), Some(Ok(b))) => {
                a.name == b.name && (a.tag.is_some(), a.digest.is_some()) == (b.tag.is_some(), b.digest.is_some())
            }
            _ => false,
        }
}

fn same_positions(before: &Scan, after: &Scan) -> bool {
    all_same(&before.documents, &after.documents, |a, b| a.position == b.position)
        && all_same(&before.lines, &after.lines, |a, b| a.position == b.position)
}

#[cfg(test)]
mod tests {
    use super::Bindings;
    use crate::engine::{config, dialect::bind, snapshot::Snapshot, testing::Files};
    use std::sync::Arc;

    const POLICY: &str = "apiVersion: image.toolkit.fluxcd.io/v1\nkind: ImageRepository\nmetadata: {name: app}\nspec: {image: example.com/app}\n---\napiVersion: image.toolkit.fluxcd.io/v1\nkind: ImagePolicy\nmetadata: {name: app}\nspec:\n  imageRepositoryRef: {name: app}\n  policy: {semver: {range: 1.x}}\n";
    const MARKED: &str = "image: example.com/app:1 # {\"$imagepolicy\": \"default:app\"}\n";
    const LISTED: &str = "resources: [app.yaml]\nimages:\n- name: example.com/app\n  newTag: v1\n";
    const ANNOTATED: &str = "kind: Deployment\nmetadata: {name: web, annotations: {fluxcd.io/automated: 'true'}}\nspec: {template: {spec: {containers: [{name: c, image: 'example.com/web:1'}]}}}\n";
    /// An alias in another field: a problem that names the image.
    const ALIASED: &str = "kind: Deployment\nmetadata: {name: d, annotations: {fluxcd.io/automated: 'true'}}\nspec: {template: {spec: {containers: [{name: c, image: &i 'r.io/d:1.0.0', env: [{name: I, value: *i}]}]}}}\n";
    const NATIVE: &str = "image: example.com/native:1\n";
    /// What the marker and the policy of butler.yaml want differs: a problem, which has a position.
    const TORN: &str = "kind: ConfigMap\nimage: example.com/native:1 # {\"$imagepolicy\": \"default:app\"}\n";
    const CONFIG: &str =
        "version: 1\nenvironments: {dev: {path: .}}\nimages: [{image: example.com/native, policy: {semver: 1.x}}]\n";

    /// A push that only changes tags keeps the bindings; and whenever they are kept, they are what would be made anew.
    #[test]
    fn bindings_hold_where_they_would_be_the_same() {
        let config = config::parse("butler.yaml", CONFIG).unwrap();
        let files = Files::default().with([
            ("apps/aliased.yaml", ALIASED),
            ("apps/app.yaml", MARKED),
            ("apps/kustomization.yaml", LISTED),
            ("apps/native.yaml", NATIVE),
            ("apps/policy.yaml", POLICY),
            ("apps/torn.yaml", TORN),
            ("apps/web.yaml", ANNOTATED),
            ("README.md", "text"),
            ("plain.yaml", "kind: Namespace\n"),
        ]);
        let before = files.snapshot();
        let bindings = Arc::new(bind(&before, &config));
        assert_eq!((bindings.lines.len(), bindings.problems.len()), (6, 2), "{:?}", bindings.lines);
        let shown = |bindings: &Bindings| {
            let Bindings {
                lines,
                marked: _,
                additions,
                policies,
                markable: _,
                automations,
                problems,
                outline: _,
                objects: _,
                generated: _,
            } = bindings;
            let renderers: Vec<_> = before.entries.keys().map(|file| bindings.renderers(file)).collect();
            format!("{lines:?} {additions:?} {policies:?} {automations:?} {problems:?} {renderers:?}")
        };
        let other = |text: &str, from: &str, to: &str| {
            assert!(text.contains(from), "{from}");
            text.replace(from, to)
        };
        #[rustfmt::skip]
        let pushes = [
            ("README.md", "another".to_owned(), true),
            ("NEW.md", "text".to_owned(), false),
            ("plain.yaml", "kind: ConfigMap\n".to_owned(), false),
            ("plain.yaml", "kind: Namespace\n$patch: delete\n".to_owned(), false),
            ("plain.yaml", "kind: Namespace # x\n".to_owned(), true),
            ("new.yaml", "kind: Namespace\n".to_owned(), false),
            ("plain.yaml", NATIVE.to_owned(), false),
            ("apps/aliased.yaml", other(ALIASED, "1.0.0", "2.0.0"), true),
            ("apps/app.yaml", other(MARKED, "app:1", "app:1.2.3"), true),
            ("apps/app.yaml", format!("# more\n{MARKED}"), true),
            ("apps/app.yaml", other(MARKED, "app:1", "other:1"), false),
            ("apps/app.yaml", other(MARKED, "default:app", "default:other"), false),
            ("apps/app.yaml", other(MARKED, "default:app", "default:app:tag"), false),
            ("apps/app.yaml", format!("{MARKED}web: {{image: r.io/x:1}}\n"), false),
            ("apps/kustomization.yaml", other(LISTED, "v1", "v1.2.3"), true),
            ("apps/kustomization.yaml", other(LISTED, "resources", "namespace: team\nresources"), false),
            ("apps/kustomization.yaml", other(LISTED, "resources", "patches: [{path: x.yaml}]\nresources"), false),
            ("apps/torn.yaml", other(TORN, "native:1", "native:2"), true),
            ("apps/torn.yaml", format!("# more\n{TORN}"), false),
            ("apps/torn.yaml", other(TORN, "image", "# more\nimage"), false),
            ("apps/native.yaml", other(NATIVE, "native:1", "native:2"), true),
            ("apps/native.yaml", other(NATIVE, "native:1", "native@sha256:aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"), false),
            ("apps/native.yaml", other(NATIVE, "native:1", "native"), false),
            ("apps/policy.yaml", other(POLICY, "1.x", "2.x"), false),
            ("apps/policy.yaml", format!("# more\n{POLICY}"), false),
            ("apps/web.yaml", other(ANNOTATED, "web:1", "web:1.2"), true),
            ("apps/web.yaml", other(ANNOTATED, "web:1", "another:1"), false),
            ("apps/web.yaml", other(ANNOTATED, "'true'", "'false'"), false),
            ("apps/web.yaml", format!("# more\n{ANNOTATED}"), false),
        ];
        for (file, text, holds) in pushes {
            let after = files.clone().with([(file, text.as_str())]).snapshot();
            assert_eq!(bindings.hold_for(&before, &after, [file].into_iter()), holds, "{file}: {text}");
            let anew = shown(&bind(&after, &config));
            if holds {
                assert_eq!(shown(&bindings), anew, "{file}: {text}");
            }
            let followed = bindings.follow(&before, &after, [file].into_iter(), (&config, &config));
            assert_eq!(shown(&followed), anew, "followed, {file}: {text}");
        }
        let mut gone = files.clone();
        gone.0.remove("README.md");
        assert!(!bindings.hold_for(&before, &gone.snapshot(), ["README.md"].into_iter()), "a file less");
    }

    #[test]
    fn what_generators_build_is_always_bound_anew() {
        let files =
            Files::of([("README.md", "text"), (".flux.yaml", "version: 1\ncommandUpdated: {generators: []}\n")]);
        let bindings = bind(&files.snapshot(), &config::Config::whole_repository());
        let after = files.clone().with([("README.md", "another")]);
        assert!(!bindings.hold_for(&files.snapshot(), &after.snapshot(), ["README.md"].into_iter()));
    }

    /// What Flux's objects say stays the very same over a push that has no part in it, and is what it would be anew.
    #[test]
    fn objects_are_read_again_where_something_has_a_part_in_them() {
        let automation = |path: &str| {
            format!(
                "apiVersion: image.toolkit.fluxcd.io/v1\nkind: ImageUpdateAutomation\nmetadata: {{name: {path}}}\nspec: {{interval: 5m, sourceRef: {{kind: GitRepository, name: a}}, git: {{commit: {{author: {{email: flux@example.org}}}}}}, update: {{path: ./{path}}}}}\n"
            )
        };
        let applied = "apiVersion: kustomize.toolkit.fluxcd.io/v1\nkind: Kustomization\nmetadata: {name: team}\nspec: {path: ./team, sourceRef: {kind: GitRepository, name: a}, targetNamespace: team}\n";
        let files = Files::default().with([
            ("apps/app.yaml", MARKED),
            ("apps/kustomization.yaml", LISTED),
            ("clusters/apps.yaml", &automation("apps")),
            ("clusters/later.yaml", &automation("later")),
            ("clusters/one.yaml", &automation("one.yaml")),
            ("clusters/team.yaml", applied),
            ("policy.yaml", POLICY),
        ]);
        let config = config::Config::whole_repository();
        let before = files.snapshot();
        let bindings = Arc::new(bind(&before, &config));
        #[rustfmt::skip]
        let pushes = [
            // the files that the push adds or changes (without a text: removes), whether the objects stay
            (vec![("apps/new.yaml", MARKED)], true),
            (vec![("apps/app.yaml", "")], true),
            (vec![("apps/app.yaml", "image: other:1 # {\"$imagepolicy\": \"default:app\"}\n")], true),
            (vec![("top.yaml", MARKED)], true),
            (vec![("apps/kustomization.yaml", "namespace: a\n")], false),
            (vec![("apps/policy.yaml", POLICY)], false),
            (vec![("policy.yaml", "")], false),
            (vec![("later/app.yaml", MARKED)], false),
            (vec![("later/app.yaml", MARKED), ("later/README.md", "text")], false),
            (vec![("team/app.yaml", MARKED)], false),
            (vec![("one.yaml", MARKED)], false),
            (vec![("apps/chart.yaml", "apiVersion: helm.toolkit.fluxcd.io/v2\nkind: HelmRelease\nmetadata: {name: a}\nspec: {chart: {spec: {chart: ./a, sourceRef: {kind: GitRepository, name: a}}}}\n")], false),
        ];
        for (changes, stays) in pushes {
            let mut after = files.clone();
            for (file, text) in &changes {
                match *text {
                    "" => drop(after.0.remove(*file)),
                    text => drop(after.0.insert((*file).to_owned(), text.to_owned())),
                }
            }
            let after = Snapshot { memo: before.memo.clone(), ..after.snapshot() };
            let changed = changes.iter().map(|(file, _)| *file);
            let followed = bindings.follow(&before, &after, changed, (&config, &config));
            assert_eq!(Arc::ptr_eq(&followed.objects, &bindings.objects), stays, "{changes:?}");
            let shown = |bindings: &Bindings| {
                let renderers: Vec<_> = after.entries.keys().map(|file| bindings.renderers(file)).collect();
                format!("{:?} {:?} {:?} {renderers:?}", bindings.lines, bindings.policies, bindings.problems)
            };
            assert_eq!(shown(&followed), shown(&bind(&after, &config)), "{changes:?}");
        }
    }

    /// Pushes one after the other: what follows from the one before is what would be made anew, and what nothing of was
    /// changed is the very same.
    #[test]
    fn markers_are_looked_up_again_where_something_changed() {
        let policy =
            |name: &str, range: &str| POLICY.replace("name: app}", &format!("name: {name}}}")).replace("1.x", range);
        let marked = |name: &str| MARKED.replace("default:app", &format!("default:{name}"));
        let automation = |path: &str, rest: &str| {
            format!(
                "apiVersion: image.toolkit.fluxcd.io/v1\nkind: ImageUpdateAutomation\nmetadata: {{name: a}}\nspec: {{interval: 5m, sourceRef: {{kind: GitRepository, name: a}}, git: {{commit: {{author: {{email: flux@example.org}}}}}}, update: {{path: {path}}}{rest}}}\n"
            )
        };
        let mut files = Files::default().with([
            ("apps/a.yaml", (marked("a") + &marked("b").replace("image", "other")).as_str()),
            ("apps/b.yaml", marked("b").as_str()),
            ("apps/c.yaml", marked("c").as_str()),
            ("policies/a.yaml", policy("a", "1.x").as_str()),
            ("policies/b.yaml", policy("b", "1.x").as_str()),
        ]);
        #[rustfmt::skip]
        let pushes = [
            // file, text (none: it goes), the file whose policy stays the very same
            ("policies/b.yaml", Some(policy("b", "2.x")), "apps/a.yaml"),
            ("policies/b.yaml", Some(format!("# more\n{}", policy("b", "2.x"))), "apps/a.yaml"),
            ("apps/b.yaml", Some(marked("a")), "apps/a.yaml"),
            ("apps/aa.yaml", Some(marked("a") + &marked("b").replace("image", "other")), "apps/a.yaml"),
            ("apps/aa.yaml", None, "apps/a.yaml"),
            ("policies/c.yaml", Some(policy("c", "3.x")), ""),
            ("policies/d.yaml", Some(policy("a", "3.x")), ""),
            ("policies/a.yaml", Some(policy("a", "4.x")), ""),
            ("policies/d.yaml", None, ""),
            ("automation.yaml", Some(automation("./apps", "")), ""),
            ("automation.yaml", Some(automation("./policies", "")), ""),
            ("policies/b.yaml", Some(policy("b", "1.x").replace("{name: b}", "{name: b, labels: {x: y}}")), ""),
            ("automation.yaml", Some(automation("./apps", ", policySelector: {matchLabels: {x: y}}")), ""),
            ("policies/b.yaml", Some(policy("b", "1.x")), ""),
            ("automation.yaml", None, ""),
            ("policies/b.yaml", Some(policy("e", "1.x")), ""),
        ];
        let config = config::Config::whole_repository();
        let mut before = files.snapshot();
        let mut bindings = Arc::new(bind(&before, &config));
        let shown = |bindings: &Bindings| format!("{:?} {:?}", bindings.lines, bindings.policies);
        for (file, text, same) in pushes {
            match &text {
                Some(text) => drop(files.0.insert(file.to_owned(), text.clone())),
                None => drop(files.0.remove(file)),
            }
            // What policies were compiled to is known of the snapshot before.
            let after = Snapshot { memo: before.memo.clone(), ..files.snapshot() };
            let followed = bindings.follow(&before, &after, [file].into_iter(), (&config, &config));
            assert_eq!(shown(&followed), shown(&bind(&after, &config)), "{file}: {text:?}");
            let first = |bindings: &Bindings| {
                bindings.lines.iter().find(|line| &*line.file == same).and_then(|line| line.policy.clone().ok())
            };
            if let (Some(policy), Some(other)) = (first(&bindings), first(&followed)) {
                assert!(Arc::ptr_eq(&policy, &other), "{file}: {text:?}");
            }
            (before, bindings) = (after, followed);
        }
    }
}
