//! One pass over a file: documents, objects, image lines, findings.

use super::{
    Annotation, Data, Document, FieldPath, FileEnd, FileKind, Generator, Holds, IMAGE_GROUP, ImageLine, ObjectId, Part,
    Position, ScalarStyle, Scan, ScanFinding, Step, Value,
    brings::brings,
    containers::{self, Extras, Uses},
    group_of, is_string, kustomization, marker, misspelt,
    only_patch::{self, is_only_patch},
    place::{FLUX_KUSTOMIZE, Fields, Place},
    plain::boolean,
    repeated::{count_occurrences, drop_duplicates, repeats},
    replaced::replaced,
    room,
    sites::{Obstacle, Sites},
    unparsed,
    yaml::{self, LineIndex, Node, NodeKind, Style},
};
use std::{
    cell::OnceCell,
    collections::{HashMap, HashSet},
    ops::Range,
    rc::Rc,
    sync::Arc,
};

/// The largest file that is read, in bytes. The largest manifests of the field, bundles of custom resource definitions,
/// are a fifth of it.
pub const SIZE_LIMIT: usize = 8 << 20;

/// What is told of a file over [`SIZE_LIMIT`], which nobody needs to read for it.
pub fn too_large(size: usize) -> Scan {
    let message = format!("expected at most {SIZE_LIMIT} bytes, found {size}: the file is skipped; split it");
    let position = Position { line: 1, column: 1 };
    let findings = vec![ScanFinding { code: "file-too-large".into(), position, message }];
    Scan { findings, end: FileEnd { size, ..FileEnd::default() }, ..Scan::default() }
}

const FLUX_SOURCE: &str = "source.toolkit.fluxcd.io";

const FLUX_OPERATOR: &str = "fluxcd.controlplane.io";

/// The longest value of a ConfigMap, in bytes, that is kept for substitutions.
const VARIABLE_LIMIT: usize = 1024;

/// kubectl's copy of a whole object.
const LAST_APPLIED: &str = "kubectl.kubernetes.io/last-applied-configuration";

/// Reads a file. Never fails: what cannot be read is a finding, and one bad document or marker does not stop the others.
pub fn scan(kind: FileKind, bytes: &[u8]) -> Scan {
    if bytes.len() > SIZE_LIMIT {
        return too_large(bytes.len());
    }
    let newline = bytes.ends_with(b"\n");
    let crlf = memchr::memmem::find(bytes, b"\r\n").is_some();
    let mut scan = Scan { end: FileEnd { size: bytes.len(), newline, crlf }, ..Scan::default() };
    let index = LineIndex::new(bytes);
    let mut refuse = |code: &str, offset: usize, message: String| {
        scan.findings.push(ScanFinding { code: code.into(), position: index.position(offset), message });
    };
    let text = match std::str::from_utf8(bytes) {
        Ok(text) => text,
        Err(error) => {
            let message = "expected UTF-8, found other bytes: the file is skipped; save it as UTF-8".into();
            refuse("not-utf8", error.valid_up_to(), message);
            return scan;
        }
    };
    let mut stream = yaml::parse(text);
    let broken = |stream: &yaml::Stream<'_>| stream.documents.iter().filter(|d| d.root.is_none()).count();
    let spaced = if broken(&stream) > 0 { marker::spaced(text) } else { None };
    if let Some(again) = spaced.as_deref().map(yaml::parse)
        && broken(&again) < broken(&stream)
    {
        stream = again;
    }
    // Comments of documents that do not parse are read line by line instead.
    let broken: Vec<_> = stream.documents.iter().filter(|d| d.root.is_none()).map(|d| d.span.clone()).collect();
    let mut comments = stream.comments;
    comments.retain(|comment| {
        let before = broken.partition_point(|span: &Range<usize>| span.start <= comment.span.start);
        before == 0 || comment.span.start >= broken[before - 1].end
    });
    let sites = Sites::new(text, &comments);
    let mut walk = Walk {
        text,
        kind,
        index: &index,
        sites,
        scan,
        document: 0,
        path: Vec::new(),
        flow_end: None,
        extras: Extras::default(),
        uses: None,
        repeated: HashSet::new(),
    };
    for document in &stream.documents {
        match (&document.root, &document.error) {
            (Some(root), _) => {
                let meant = document.meant();
                walk.uses = meant.as_deref().filter(|_| document.has_aliases).map(|meant| Uses::of(root, meant));
                walk.document(root, meant.as_deref().unwrap_or(root));
            }
            (None, Some(error)) => walk.unparsed(document.span.clone(), error),
            (None, None) => {}
        }
    }
    walk.finish()
}

struct Walk<'s, 'a> {
    text: &'a str,
    kind: FileKind,
    index: &'s LineIndex,
    sites: Sites,
    scan: Scan,
    /// Index of the document that is walked.
    document: usize,
    path: Vec<Crumb<'s, 'a>>,
    /// Where the flow sequence ends whose item is walked.
    flow_end: Option<usize>,
    /// Of the object that is walked: values that are image lines by what Flux v1 calls a container.
    extras: Extras,
    /// Of a document with aliases.
    uses: Option<Uses>,
    /// Lines below a key that its mapping has more than once.
    repeated: HashSet<(usize, FieldPath)>,
}

/// Found out for a whole mapping, and only where a value in it matters.
type Repeated<'s> = Rc<OnceCell<HashSet<&'s str>>>;

/// A step that is written out only for the few values that need it.
enum Crumb<'s, 'a> {
    /// A mapping's key, with the keys that this mapping has more than once.
    Key {
        name: &'s str,
        siblings: &'s [(Node<'a>, Node<'a>)],
        repeated: Repeated<'s>,
    },
    Item {
        items: &'s [Node<'a>],
        index: usize,
        key: &'static str,
        repeated: OnceCell<HashSet<&'s str>>,
    },
}

impl Crumb<'_, '_> {
    /// Whether the mapping has this key more than once.
    fn is_repeated(&self) -> bool {
        let Crumb::Key { name, siblings, repeated } = self else { return false };
        repeated.get_or_init(|| repeats(siblings.iter().filter_map(|(key, _)| key.as_str()))).contains(name)
    }
}

impl<'s, 'a> Walk<'s, 'a> {
    /// `meant`: the same with its aliases resolved.
    fn document(&mut self, root: &'s Node<'a>, meant: &Node<'a>) {
        if root.is_null() {
            return;
        }
        let text = |path: &[&str]| meant.at(path).and_then(Node::as_str).unwrap_or_default();
        let (api_version, kind) = (text(&["apiVersion"]), text(&["kind"]));
        let group = group_of(api_version);
        let content = self.content(meant, group, kind);
        let patch = self.patch(meant, api_version, kind);
        let metadata = |key: &str| text(&["metadata", key]).to_owned();
        let object = Some(metadata("name")).filter(|name| !name.is_empty() && !kind.is_empty());
        let mut place = match &meant.kind {
            NodeKind::Mapping(_) if kind.is_empty() && api_version.is_empty() => Place::Values,
            NodeKind::Mapping(_) => Place::of_object(group, kind),
            NodeKind::Sequence(items) if items.iter().any(|item| item.get("op").is_some()) => Place::Patch,
            _ => Place::Other,
        };
        if self.kind == FileKind::Kustomization
            && api_version.is_empty()
            && matches!(kind, "" | "Kustomization" | "Component")
        {
            place = Place::Kustomize;
        }
        self.document = self.scan.documents.len();
        let annotations = self.annotations(meant);
        let mut found = containers::find(kind, meant, &annotations, self.index);
        if let Some(uses) = &self.uses {
            let written = containers::find(kind, root, &annotations, self.index);
            uses.tell(&mut found.containers, &written.containers);
        }
        self.extras = found.extras;
        let unknown = misspelt::unknown(&annotations);
        if !unknown.is_empty() {
            let entries = meant.at(&["metadata", "annotations"]).map(Node::entries).unwrap_or_default();
            let starts: HashMap<&str, usize> =
                entries.iter().filter_map(|(name, _)| Some((name.as_str()?, name.span.start))).collect();
            for (index, message) in unknown {
                let key = annotations.get(index).map(|annotation| annotation.key.as_str());
                let start = key.and_then(|key| starts.get(key)).copied();
                self.finding("annotation-unknown", start.unwrap_or(root.span.start), message);
            }
        }
        self.scan.documents.push(Document {
            api_version: api_version.into(),
            object: object.map(|name| ObjectId {
                kind: kind.into(),
                namespace: metadata("namespace").into(),
                name: name.into(),
            }),
            kind: kind.into(),
            position: self.index.position(root.span.start),
            occurrence: 0,
            annotations,
            content: content.map(Arc::new),
            patch: patch.map(Arc::new),
            kustomization: (place == Place::Kustomize)
                .then(|| Box::new(kustomization::kustomization(&Data::of(meant, self.index)))),
            brings: brings(group, kind, meant),
            containers: found.containers,
            has_directives: self.text.get(root.span.clone()).is_some_and(|text| text.contains("$patch")),
            room: room::room(kind, root, self.text, self.index).map(Box::new),
            // Flux v1 reads the first document, and no other.
            generator: if self.kind == FileKind::FluxYaml && self.scan.documents.is_empty() {
                Generator::read(&Data::of(meant, self.index)).map(Box::new)
            } else {
                None
            },
        });
        for (at, what) in replaced(place == Place::Kustomize, api_version, kind, meant) {
            let message = format!(
                "{what} sets an image, which butler does not follow: what it writes elsewhere may not be what runs; use \
                 `images`, or a patch"
            );
            let position = self.index.position(at);
            self.scan.findings.push(ScanFinding { code: "image-replaced".into(), position, message });
        }
        let sops = root.get("sops");
        self.scan.sops |= sops.is_some_and(|sops| sops.get("mac").is_some() || sops.get("version").is_some());
        if kind.ends_with("List") && root.get("items").is_some_and(|items| matches!(items.kind, NodeKind::Sequence(_)))
        {
            self.list(root, meant);
        } else {
            self.node(root, place, None);
        }
    }

    /// The object as data, where kustomizations are rendered for objects of its kind.
    fn content(&self, root: &Node<'a>, group: &str, kind: &str) -> Option<Data> {
        let whole = match (group, kind) {
            (IMAGE_GROUP, _)
            | (FLUX_KUSTOMIZE, "Kustomization")
            | (FLUX_OPERATOR, "FluxInstance")
            | (FLUX_SOURCE, "GitRepository") => true,
            ("", "") => root.items().iter().any(|item| item.get("op").is_some()),
            _ => false,
        };
        if whole {
            return Some(Data::of(root, self.index));
        }
        if (group, kind) != ("", "ConfigMap") {
            return None;
        }
        // Values that can stand for a `${…}`; a dashboard or script cannot.
        let mut data = Data::of(root, self.index);
        if let Value::Mapping(entries) = &mut data.value {
            entries.retain(|(key, _)| matches!(key.as_str(), "metadata" | "data"));
            for (_, values) in entries.iter_mut().filter(|(key, _)| key == "data") {
                if let Value::Mapping(values) = &mut values.value {
                    values.retain(|(_, value)| value.as_str().is_some_and(|text| text.len() <= VARIABLE_LIMIT));
                }
            }
        }
        Some(data)
    }

    /// The object as data, where it can only be a patch.
    fn patch(&self, root: &Node<'a>, api_version: &str, kind: &str) -> Option<Data> {
        let small = root.span.len() <= only_patch::SIZE_LIMIT;
        let named = root.at(&["metadata", "name"]).is_some();
        let is_one = self.kind != FileKind::Kustomization && small && named && is_only_patch(api_version, kind);
        is_one.then(|| Data::of(root, self.index))
    }

    fn annotations(&self, root: &Node<'a>) -> Vec<Annotation> {
        let entries = root.at(&["metadata", "annotations"]).map(Node::entries).unwrap_or_default();
        let annotation = |(key, value): &(Node<'a>, Node<'a>)| {
            let key = key.as_str().filter(|key| *key != LAST_APPLIED)?;
            let position = self.index.position(value.span.start);
            let text = value.as_str()?;
            let boolean = match &value.kind {
                NodeKind::Scalar { style: Style::Plain, .. } => boolean(text),
                _ => None,
            };
            let value = boolean.map_or_else(|| text.into(), |boolean| boolean.to_string());
            Some(Annotation { key: key.into(), value, position })
        };
        entries.iter().filter_map(annotation).collect()
    }

    /// A `kind: List`: each item is an object of its own, the rest is the list's.
    fn list(&mut self, root: &'s Node<'a>, meant: &Node<'a>) {
        let list = self.document;
        let meant = meant.get("items").map(Node::items).unwrap_or_default();
        let (siblings, repeated) = (root.entries(), Repeated::default());
        for (key, value) in siblings {
            if let (Some("items"), NodeKind::Sequence(items)) = (key.as_str(), &value.kind) {
                for (item, meant) in items.iter().zip(meant) {
                    self.document(item, meant);
                }
                self.document = list;
            } else {
                self.path.push(Crumb::Key { name: self.name(key), siblings, repeated: repeated.clone() });
                self.entry(key, value, Place::Other, None);
                self.path.pop();
            }
        }
    }

    /// `field`: what the value holds by the field that it stands in, and the whole reference.
    fn node(&mut self, node: &'s Node<'a>, place: Place, field: Option<(Part, Option<&String>)>) {
        let flow_end = self.flow_end.take();
        match &node.kind {
            NodeKind::Mapping(entries) => {
                let fields = place.fields(node);
                let repeated = Repeated::default();
                for (key, value) in entries {
                    let name = self.name(key);
                    self.path.push(Crumb::Key { name, siblings: entries, repeated: repeated.clone() });
                    self.entry(key, value, place, Some(&fields));
                    self.path.pop();
                }
            }
            NodeKind::Sequence(items) => {
                // A block sequence may be said to start at its first item, which may be a flow sequence.
                let flow = self.text.as_bytes().get(node.span.start) == Some(&b'[')
                    && items.first().is_some_and(|item| item.span.start > node.span.start);
                // JSON6902 operations have no name, but a path.
                let key = if place == Place::Patch { "path" } else { "name" };
                self.path.push(Crumb::Item { items, index: 0, key, repeated: OnceCell::new() });
                for (i, item) in items.iter().enumerate() {
                    if let Some(Crumb::Item { index, .. }) = self.path.last_mut() {
                        *index = i;
                    }
                    self.flow_end = flow.then_some(node.span.end);
                    self.node(item, place.item(), None);
                }
                self.path.pop();
            }
            NodeKind::Alias(_) => {
                if let Some(site) = self.sites.behind(&node.span) {
                    self.sites.value(site, Err(Obstacle::Alias));
                }
            }
            NodeKind::Scalar { value, style } => self.scalar(node, value, *style, field, flow_end),
        }
    }

    /// A key that is no scalar is named by how it is written.
    fn name(&self, key: &'s Node<'a>) -> &'s str
    where
        'a: 's,
    {
        let text: &'a str = self.text;
        key.as_str().or_else(|| text.get(key.span.clone())).unwrap_or_default()
    }

    /// An entry of a mapping, whose key is the path's last step.
    fn entry(&mut self, key: &'s Node<'a>, value: &'s Node<'a>, place: Place, fields: Option<&Fields>) {
        let name = self.name(key);
        match &value.kind {
            NodeKind::Scalar { style: Style::Literal | Style::Folded, .. } => {
                self.sites.behind_key(&key.span, &value.span, Obstacle::BlockScalar);
            }
            NodeKind::Mapping(_) | NodeKind::Sequence(_) => {
                self.sites.behind_key(&key.span, &value.span, Obstacle::Mapping);
            }
            NodeKind::Scalar { .. } | NodeKind::Alias(_) => {}
        }
        let unwritten = value.span.is_empty() && value.is_null();
        if unwritten {
            self.unwritten(key, value);
        } else {
            let part = fields.and_then(|fields| fields.part(name).map(|part| (part, fields.image.as_ref())));
            let extra = if part.is_none() { self.extras.remove(&value.span.start) } else { None };
            let part = part.or(extra.as_ref().map(|(part, image)| (*part, image.as_ref())));
            self.node(value, place.key(name), part);
        }
    }

    /// A key without a value. Where nothing but its colon stands before a marker, the value's place is behind the colon.
    fn unwritten(&mut self, key: &Node<'a>, value: &Node<'a>) {
        let Some(site) = self.sites.behind(&key.span) else { return };
        let gap = self.text.get(key.span.end..self.sites.comment_start(site)).unwrap_or_default();
        let at = key.span.end + gap.len() - gap.trim_start().len() + 1;
        // In JSON a key has a value.
        let writable = self.kind != FileKind::Json && value.anchor.is_none() && value.tag.is_none();
        let line = if gap.trim() == ":" && writable {
            Ok(self.line(at..at, ScalarStyle::Plain, Part::Reference, None))
        } else {
            Err(Obstacle::Unwritten)
        };
        self.sites.value(site, line);
    }

    fn scalar(
        &mut self,
        node: &Node<'a>,
        value: &str,
        style: Style,
        field: Option<(Part, Option<&String>)>,
        flow_end: Option<usize>,
    ) {
        let style = match style {
            Style::Plain => ScalarStyle::Plain,
            Style::SingleQuoted => ScalarStyle::SingleQuoted,
            Style::DoubleQuoted => ScalarStyle::DoubleQuoted,
            Style::Literal | Style::Folded => return self.block_scalar(&node.span),
        };
        let site = if node.span.is_empty() { None } else { self.sites.behind(&node.span) };
        let field = field.filter(|_| !node.is_null());
        if site.is_none() && field.is_none() {
            return;
        }
        let span = match style {
            ScalarStyle::Plain => node.span.clone(),
            _ => node.span.start + 1..node.span.end.saturating_sub(1),
        };
        // Behind the whole sequence a marker does not say which item it is for; within it, it stands behind one.
        let behind_all = |end: usize| site.is_some_and(|site| end <= self.sites.comment_start(site));
        let obstacle = if flow_end.is_some_and(behind_all) {
            Some(Obstacle::FlowSequence)
        } else if site.is_some_and(|site| node.span.start < self.sites.line_start(site)) {
            Some(Obstacle::MultiLine)
        } else if self.text.get(span.clone()) != Some(value) || value.contains('\n') {
            Some(Obstacle::Escaped)
        } else if style == ScalarStyle::Plain && value.ends_with(['"', '\'']) {
            // The quote closes nothing, and a comment may need it (`v1"# {…}`).
            Some(Obstacle::Escaped)
        } else if node.tag.as_deref().is_some_and(|tag| tag != "!" && tag != "tag:yaml.org,2002:str") {
            Some(Obstacle::Tagged)
        } else {
            None
        };
        let string = style != ScalarStyle::Plain || node.tag.is_some() || is_string(value);
        let marked = site.and_then(|site| self.sites.part(site)).filter(|_| !node.is_null());
        if let (false, Some(part), None) = (string, field.map(|(part, _)| part).or(marked), obstacle) {
            self.not_a_string(node.span.start, value, part);
        }
        // JSON has no plain strings: a number cannot be replaced by a text without more bytes than its own.
        let writable = obstacle.is_none() && (style != ScalarStyle::Plain || self.kind != FileKind::Json);
        let (part, image) = field.unwrap_or((Part::Reference, None));
        // A second value behind one marker is only counted.
        let wanted = field.is_some() || site.is_some_and(|site| !self.sites.is_taken(site));
        let line = (writable && wanted).then(|| self.line(span, style, part, image.cloned()));
        if let (Some(line), Some(_)) = (&line, field) {
            self.scan.lines.push(line.clone());
        }
        if let Some(site) = site {
            self.sites.value(site, line.ok_or(obstacle.unwrap_or(Obstacle::Escaped)));
        }
    }

    /// What stands in a block scalar is text, also where it looks like YAML with markers (a patch in a kustomization).
    fn block_scalar(&mut self, span: &Range<usize>) {
        let content = self.text.get(span.clone()).unwrap_or_default();
        if !content.contains(marker::KEY) {
            return;
        }
        for found in unparsed::find(content) {
            let message = format!(
                "expected the marker behind a value of the file's own YAML, found it in a block scalar, which is text: \
                 move the value into a file or field of its own: `{}: value # {}`",
                found.key, found.marker
            );
            self.finding("marker-in-block-scalar", span.start + found.span.start, message);
        }
    }

    fn not_a_string(&mut self, offset: usize, value: &str, part: Part) {
        let part = match part {
            Part::Reference => "an image reference",
            Part::Name => "an image's name",
            Part::Tag => "a tag",
            Part::Digest => "a digest",
        };
        let message = format!(
            "expected {part}, which is a string, found {value}, which YAML reads as a number, boolean or date: write \
             \"{value}\" in quotes"
        );
        self.finding("value-not-a-string", offset, message);
    }

    fn line(&mut self, span: Range<usize>, style: ScalarStyle, part: Part, image: Option<String>) -> ImageLine {
        let path = self.field_path();
        if self.path.iter().any(Crumb::is_repeated) {
            self.repeated.insert((self.document, path.clone()));
        }
        ImageLine {
            document: self.document,
            path,
            position: self.index.position(span.start),
            value: self.text.get(span.clone()).unwrap_or_default().into(),
            span,
            style,
            part,
            image,
            marker: None,
            unparsed: false,
        }
    }

    fn field_path(&self) -> FieldPath {
        let step = |crumb: &Crumb<'s, 'a>| match crumb {
            Crumb::Key { name, .. } => Step::Key((*name).into()),
            Crumb::Item { items, index, key, repeated } => {
                let name = |node: &'s Node<'a>| node.get(key).and_then(Node::as_str);
                let unique =
                    |value: &&str| !repeated.get_or_init(|| repeats(items.iter().filter_map(name))).contains(value);
                match items.get(*index).and_then(name).filter(unique) {
                    Some(value) => Step::Item { key: (*key).into(), value: value.into() },
                    None => Step::Index(*index),
                }
            }
        };
        FieldPath(self.path.iter().map(step).collect())
    }

    /// A document that is no YAML: its plain `key: value # {…}` lines.
    fn unparsed(&mut self, span: Range<usize>, error: &yaml::SyntaxError) {
        let text = &self.text[span.clone()];
        let found = unparsed::find(text);
        let lines = match found.len() {
            0 => "no image line in it is seen".to_string(),
            n => format!("only {n} plain `key: value` line(s) with a marker are seen in it"),
        };
        let message = format!("expected YAML, found something else ({}): {lines}", error.message);
        match !unparsed::is_template(self.text) && unparsed::is_addressed(text) {
            true => self.finding("yaml-invalid", error.offset, format!("{message}; correct the YAML")),
            false => self.finding("unparsed-file", error.offset, message),
        }
        for (offset, marker) in unparsed::unseen(text, &found) {
            let message = format!(
                "expected the marker in YAML, found it in a document that is none, and not behind a plain value: correct \
                 the document, or write `key: value # {marker}`"
            );
            self.finding("marker-in-unparsed-file", span.start + offset, message);
        }
        self.scan.sops |= text.lines().any(|line| line.trim_end() == "sops:");
        let document = self.scan.documents.len();
        let position = self.index.position(span.start);
        self.scan.documents.push(Document { position, ..Document::default() });
        // Without a structure a line is named by its key and marker, and counted where several look the same.
        let mut seen: HashMap<(&str, String), usize> = HashMap::new();
        for found in found {
            let marker = found.marker.to_string();
            let count = seen.entry((found.key, marker.clone())).or_default();
            let mut path = vec![Step::Key(found.key.into()), Step::Item { key: "marker".into(), value: marker.into() }];
            if *count > 0 {
                path.push(Step::Index(*count));
            }
            *count += 1;
            let bytes = span.start + found.span.start..span.start + found.span.end;
            self.scan.lines.push(ImageLine {
                document,
                path: FieldPath(path.into()),
                position: self.index.position(bytes.start),
                value: self.text[bytes.clone()].into(),
                span: bytes,
                style: found.style,
                part: found.marker.part,
                image: None,
                marker: Some(found.marker),
                unparsed: true,
            });
        }
    }

    fn finding(&mut self, code: &str, offset: usize, message: String) {
        let position = self.index.position(offset);
        self.scan.findings.push(ScanFinding { code: code.into(), position, message });
    }

    fn finish(self) -> Scan {
        let mut scan = self.scan;
        scan.lines.extend(self.sites.finish(self.index, &mut scan.findings));
        // A line that was found by its field too gives way to the one with the marker.
        scan.lines.sort_by_key(|line| (line.span.start, line.marker.is_none()));
        scan.lines.dedup_by_key(|line| line.span.start);
        drop_duplicates(&mut scan, &self.repeated);
        count_occurrences(&mut scan.documents);
        scan.findings.sort_by_key(|finding| finding.position);
        share_images(&mut scan);
        scan.holds = Holds::of(&scan);
        // It is kept as long as the file is there.
        scan.documents.shrink_to_fit();
        scan.lines.shrink_to_fit();
        scan.findings.shrink_to_fit();
        scan
    }
}

/// Containers whose image stands on a line hold the line's value, and no copy.
fn share_images(scan: &mut Scan) {
    let lines = &scan.lines;
    for container in scan.documents.iter_mut().flat_map(|document| &mut document.containers) {
        let Some(start) = container.repository else { continue };
        let line = lines.binary_search_by_key(&start, |line| line.span.start).ok().and_then(|at| lines.get(at));
        if let Some(line) = line.filter(|line| container.image.as_ref() == Some(&line.value)) {
            container.image = Some(line.value.clone());
        }
    }
}
