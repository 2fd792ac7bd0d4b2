//! Containers by the names that Flux v1 gives them: those of workloads, and the images in a HelmRelease's values
//! (`pkg/cluster/kubernetes/resource/helmrelease.go`; the kind counts, whatever the `apiVersion`).

use super::{
    Annotation, Container, FieldPath, ImageLine, Part, ScalarStyle, Step, is_string,
    yaml::{LineIndex, Node, NodeKind, Style},
};
use crate::engine::image::Reference;
use std::collections::{BTreeSet, HashMap, HashSet};

/// The name of the image at the top of a HelmRelease's values.
const CHART_IMAGE: &str = "chart-image";

/// Annotations that name values: `repository.fluxcd.io/<container>: initImage.repository`.
const REGISTRY: &str = "registry.fluxcd.io/";
const REPOSITORY: &str = "repository.fluxcd.io/";
const TAG: &str = "tag.fluxcd.io/";

/// Values that are image lines because a container has them, by the first byte of their node.
pub(super) type Extras = HashMap<usize, (Part, Option<String>)>;

#[derive(Default)]
pub(super) struct Found {
    pub containers: Vec<Container>,
    pub extras: Extras,
}

/// What holds the containers of an object.
enum Holder {
    Pod,
    Values,
}

/// What holds the containers of objects of a kind, and where. All that such an object is stands in `metadata` and `spec`.
fn holder(kind: &str) -> Option<(Holder, &'static [&'static str])> {
    match kind {
        "Deployment" | "DaemonSet" | "StatefulSet" => Some((Holder::Pod, &["spec", "template", "spec"])),
        "CronJob" => Some((Holder::Pod, &["spec", "jobTemplate", "spec", "template", "spec"])),
        "HelmRelease" | "FluxHelmRelease" => Some((Holder::Values, &["spec", "values"])),
        _ => None,
    }
}

/// The containers of an object.
pub(super) fn find(kind: &str, object: &Node<'_>, annotations: &[Annotation], index: &LineIndex) -> Found {
    let mut found = Found::default();
    if let Some((holder, path)) = holder(kind)
        && let Some(node) = object.at(path)
    {
        match holder {
            Holder::Pod => found.pod(node),
            Holder::Values => found.release(node, annotations, index),
        }
    }
    found
}

/// The values that make up one image.
#[derive(Clone, Copy, Default)]
struct Fields<'n, 'a> {
    registry: Option<&'n Node<'a>>,
    repository: Option<&'n Node<'a>>,
    tag: Option<&'n Node<'a>>,
}

impl Found {
    fn pod(&mut self, spec: &Node<'_>) {
        for container in
            ["containers", "initContainers"].into_iter().filter_map(|key| spec.get(key)).flat_map(Node::items)
        {
            let Some(name) = container.get("name").and_then(Node::as_str) else { continue };
            let fields = Fields { repository: container.get("image"), ..Fields::default() };
            let Some(image) = fields.repository.and_then(string) else { continue };
            self.add(name, Some(image.to_owned()), fields, None);
        }
    }

    fn release(&mut self, values: &Node<'_>, annotations: &[Annotation], index: &LineIndex) {
        let mut below: Vec<(&str, &Node<'_>)> =
            values.entries().iter().filter_map(|(key, value)| Some((key.as_str()?, value))).collect();
        below.sort_by_key(|(key, _)| *key);
        for (name, mapping) in [(CHART_IMAGE, values)].into_iter().chain(below) {
            let path = if name == CHART_IMAGE && std::ptr::eq(mapping, values) { vec![] } else { vec![name] };
            self.layout(name, mapping, path, index);
        }
        let aliases = annotations.iter().filter_map(|annotation| {
            let name = [REPOSITORY, TAG].iter().find_map(|prefix| annotation.key.strip_prefix(prefix))?;
            (!name.is_empty()).then_some(name)
        });
        let aliases: BTreeSet<&str> = aliases.collect();
        if aliases.is_empty() {
            return;
        }
        let mut named: HashMap<&str, &str> = HashMap::with_capacity(annotations.len());
        for annotation in annotations {
            named.entry(&annotation.key).or_insert(&annotation.value);
        }
        let top = values.entries().iter().filter_map(|(key, value)| Some((key.as_str()?, value)));
        let mut values: HashMap<&str, &Node<'_>> = HashMap::new();
        for (key, value) in top {
            values.entry(key).or_insert(value);
        }
        let laid_out = std::mem::take(&mut self.containers);
        for alias in aliases {
            self.mapped(alias, &values, &named, index);
        }
        let mapped: HashSet<&str> = self.containers.iter().map(|container| container.name.as_str()).collect();
        let mut containers: Vec<Container> =
            laid_out.into_iter().filter(|container| !mapped.contains(container.name.as_str())).collect();
        containers.append(&mut self.containers);
        self.containers = containers;
    }

    /// `image: a` beside `tag` and `registry`, or `image: {registry, repository, tag}`.
    fn layout(&mut self, name: &str, mapping: &Node<'_>, mut path: Vec<&str>, index: &LineIndex) {
        let Some(image) = mapping.get("image") else { return };
        let (parent, fields) = match &image.kind {
            NodeKind::Mapping(_) => {
                path.push("image");
                (image, Fields { repository: image.get("repository"), ..Fields::default() })
            }
            _ => (mapping, Fields { repository: Some(image), ..Fields::default() }),
        };
        let fields = Fields { registry: parent.get("registry"), tag: parent.get("tag"), ..fields };
        let whole = match fields.repository.map(string) {
            // A patch of a release may have the tag alone.
            None => None,
            Some(None) => return,
            Some(Some(repository)) => {
                let tag = fields.tag.and_then(text);
                // `repository:` with nothing behind it is none of Flux's references.
                if !std::ptr::eq(parent, mapping) && tag == Some("") {
                    return;
                }
                Some(join(fields.registry.and_then(string), repository, tag.filter(|tag| !tag.is_empty())))
            }
        };
        if whole.as_deref().map_or(fields.tag.is_none(), is_none_of_images) {
            return;
        }
        path.push("registry");
        let registry = registry(&fields, &path, index);
        self.add(name, whole, fields, registry);
    }

    /// An image whose values annotations name. `values`: by their first key; `named`: annotations by key.
    fn mapped(
        &mut self,
        name: &str,
        values: &HashMap<&str, &Node<'_>>,
        named: &HashMap<&str, &str>,
        index: &LineIndex,
    ) {
        let path = |prefix: &str| {
            let found = named.get(format!("{prefix}{name}").as_str())?;
            Some(found.split('.').collect::<Vec<&str>>())
        };
        let at = |path: &Vec<&str>| -> Option<&Node<'_>> {
            let (first, rest) = path.split_first()?;
            values.get(first)?.at(rest)
        };
        let paths = [REGISTRY, REPOSITORY, TAG].map(path);
        let [registry_at, repository, tag] = [&paths[0], &paths[1], &paths[2]].map(|path| path.as_ref().and_then(at));
        let fields = Fields { registry: registry_at, repository, tag };
        // Every value that is named has to be a string, and the repository has to be named.
        let named = |path: &Option<Vec<&str>>, node: Option<&Node<'_>>| {
            path.is_none() || node.is_some_and(|n| text(n).is_some())
        };
        let strings = named(&paths[0], registry_at) && named(&paths[2], tag);
        if !strings || paths[1].is_none() || (repository.is_some() && repository.and_then(string).is_none()) {
            return;
        }
        let whole = repository
            .and_then(string)
            .map(|repository| join(registry_at.and_then(string), repository, tag.and_then(string)));
        if whole.as_deref().map_or(tag.is_none(), is_none_of_images) {
            return;
        }
        let registry = registry(&fields, paths[0].as_deref().unwrap_or_default(), index);
        self.add(name, whole, fields, registry);
    }

    fn add(&mut self, name: &str, image: Option<String>, fields: Fields<'_, '_>, registry: Option<Box<ImageLine>>) {
        let tag = fields.tag.filter(|tag| !tag.is_null());
        let part = if tag.is_some() { Part::Name } else { Part::Reference };
        for (node, part) in [(fields.repository, part), (tag, Part::Tag)] {
            if let Some(node) = node {
                self.extras.entry(node.span.start).or_insert_with(|| (part, image.clone()));
            }
        }
        self.containers.push(Container {
            name: name.into(),
            image: image.map(Into::into),
            registry,
            repository: fields.repository.and_then(content_start),
            tag: tag.and_then(content_start),
            aliased: false,
            shared: false,
        });
    }
}

/// How often a document with aliases has each value, by the first byte of its content.
pub(super) struct Uses(HashMap<usize, usize>);

impl Uses {
    /// `meant`: the root with its aliases resolved.
    pub(super) fn of(root: &Node<'_>, meant: &Node<'_>) -> Self {
        let mut uses = Uses(HashMap::new());
        uses.object(root, meant);
        uses
    }

    /// Of an object with containers, or a list. Keys that are none of its fields are there for their anchors: what these
    /// name is used only where an alias brings it.
    fn object(&mut self, written: &Node<'_>, meant: &Node<'_>) {
        let defining = written.entries().iter().filter(|(_, value)| only_defines(value));
        let defining: HashSet<usize> = defining.map(|(key, _)| key.span.start).collect();
        let items = written.get("items").map(Node::items).unwrap_or_default();
        for (key, value) in meant.entries() {
            match key.as_str() {
                Some("items") if !items.is_empty() && items.len() == value.items().len() => {
                    items.iter().zip(value.items()).for_each(|(written, meant)| self.item(written, meant));
                }
                Some("metadata" | "spec" | "items") => self.count(value),
                _ if defining.contains(&key.span.start) => {}
                _ => {
                    self.count(key);
                    self.count(value);
                }
            }
        }
    }

    /// Of a list. Other objects than those with containers have fields of any name: `data`, `subjects`.
    fn item(&mut self, written: &Node<'_>, meant: &Node<'_>) {
        match meant.get("kind").and_then(Node::as_str).and_then(holder) {
            Some(_) => self.object(written, meant),
            None => self.count(meant),
        }
    }

    fn count(&mut self, node: &Node<'_>) {
        if let Some(start) = content_start(node).filter(|_| !node.is_null()) {
            *self.0.entry(start).or_default() += 1;
        }
        node.items().iter().for_each(|item| self.count(item));
        for (key, value) in node.entries() {
            self.count(key);
            self.count(value);
        }
    }

    /// Marks containers whose tag stands elsewhere, or is that of other fields too. `written`: those that have theirs in
    /// the object as it is written.
    pub(super) fn tell(&self, containers: &mut [Container], written: &[Container]) {
        let lines: Vec<Option<usize>> = containers.iter().map(Container::tag_line).collect();
        for container in containers {
            let Some(start) = container.tag_line() else { continue };
            let here = |other: &Container| other.name == container.name && other.tag_line() == Some(start);
            container.aliased = !written.iter().any(here);
            let own = lines.iter().filter(|line| **line == Some(start)).count();
            container.shared = self.0.get(&start).is_some_and(|uses| *uses > own);
        }
    }
}

/// Whether no alias stands in a value, save in what has an anchor itself.
fn only_defines(node: &Node<'_>) -> bool {
    node.anchor.is_some()
        || !matches!(node.kind, NodeKind::Alias(_))
            && node.items().iter().all(only_defines)
            && node.entries().iter().all(|(key, value)| only_defines(key) && only_defines(value))
}

/// The `registry` beside an image as a line of its own: it is no image line, and only ever edited with the image's name.
fn registry(fields: &Fields<'_, '_>, path: &[&str], index: &LineIndex) -> Option<Box<ImageLine>> {
    let node = fields.registry?;
    let value = string(node)?;
    let (style, quote) = match &node.kind {
        NodeKind::Scalar { style: Style::Plain, .. } => (ScalarStyle::Plain, 0),
        NodeKind::Scalar { style: Style::SingleQuoted, .. } => (ScalarStyle::SingleQuoted, 1),
        NodeKind::Scalar { style: Style::DoubleQuoted, .. } => (ScalarStyle::DoubleQuoted, 1),
        _ => return None,
    };
    let span = node.span.start + quote..node.span.end.saturating_sub(quote);
    if span.len() != value.len() {
        return None;
    }
    let keys = ["spec", "values"].into_iter().chain(path.iter().copied());
    Some(Box::new(ImageLine {
        document: 0,
        path: FieldPath(keys.map(|key| Step::Key(key.into())).collect()),
        position: index.position(span.start),
        span,
        value: value.into(),
        style,
        part: Part::Name,
        image: None,
        marker: None,
        unparsed: false,
    }))
}

/// A key `image` may hold a picture's address as well.
fn is_none_of_images(text: &str) -> bool {
    Reference::parse(text).is_err()
}

/// The first byte of a scalar's content; `None` for what is no scalar on one line.
fn content_start(node: &Node<'_>) -> Option<usize> {
    match &node.kind {
        NodeKind::Scalar { style: Style::Plain, .. } => Some(node.span.start),
        NodeKind::Scalar { style: Style::SingleQuoted | Style::DoubleQuoted, .. } => Some(node.span.start + 1),
        _ => None,
    }
}

/// A string, as Go's reader of YAML sees it: not `1.2`, `true` or nothing.
fn text<'n>(node: &'n Node<'_>) -> Option<&'n str> {
    match &node.kind {
        NodeKind::Scalar { value, style } if *style != Style::Plain || (is_string(value) && !node.is_null()) => {
            Some(value)
        }
        _ => None,
    }
}

/// A string that is not empty.
fn string<'n>(node: &'n Node<'_>) -> Option<&'n str> {
    text(node).filter(|text| !text.is_empty())
}

/// The reference that registry, repository and tag say together; a tag of its own replaces the repository's.
fn join(registry: Option<&str>, repository: &str, tag: Option<&str>) -> String {
    let registry = registry.map(|registry| format!("{registry}/")).unwrap_or_default();
    match tag {
        None => format!("{registry}{repository}"),
        Some(tag) => {
            let path_at = repository.rfind('/').map_or(0, |slash| slash + 1);
            let name_end = repository[path_at..].find(':').map_or(repository.len(), |colon| path_at + colon);
            format!("{registry}{}:{tag}", &repository[..name_end])
        }
    }
}
