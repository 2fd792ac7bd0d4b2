//! What holds of bindings for a later snapshot too: the usual push changes tags, or files that say nothing of what is
//! automated, and then nothing has to be put together anew.

use super::{Binding, Bindings, bind, bind_outlined, outline::Outline};
use crate::engine::{
    config::Config,
    image::Reference,
    manifest::{Container, Document, ImageLine, Kustomization, Part, Scan},
    plan::{EntryKind, Snapshot},
};
use std::sync::Arc;

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
        let says_the_same = |file: &str| {
            let scan = |snapshot: &'_ Snapshot| snapshot.scans.get(file).cloned();
            Outline::says_the_same(file, scan(before).as_deref(), scan(after).as_deref())
        };
        let bindings = match changed.into_iter().all(says_the_same) {
            true => bind_outlined(after, self.rendering.outline.clone(), config.1),
            false => bind(after, config.1),
        };
        let same_line = |(a, b): (&Binding, &Binding)| a.line == b.line && a.file == b.file;
        let same_lines =
            self.lines.len() == bindings.lines.len() && self.lines.iter().zip(&bindings.lines).all(same_line);
        let settled = if same_lines { self.settled.clone() } else { Arc::default() };
        Arc::new(Bindings { settled, ..bindings })
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

/// Whether two versions of a file mean the same to all dialects: they differ in tags and digests, in text around what
/// is read, or in findings, which are the file's own.
fn same_meaning(before: &Scan, after: &Scan) -> bool {
    let Scan { documents, lines, findings: _, sops: _, end: _ } = before;
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
        && (annotations, content, brings, generator) == (&b.annotations, &b.content, &b.brings, &b.generator)
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
    let (text, other) = (image.as_ref().unwrap_or(value), b.image.as_ref().unwrap_or(&b.value));
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
    use crate::engine::{config, dialect::bind, testing::Files};

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
        let bindings = bind(&before, &config);
        assert_eq!((bindings.lines.len(), bindings.problems.len()), (6, 2), "{:?}", bindings.lines);
        let shown = |bindings: &Bindings| {
            let Bindings { lines, additions, policies, automations, problems, settled: _, rendering: _, generated: _ } =
                bindings;
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
}
