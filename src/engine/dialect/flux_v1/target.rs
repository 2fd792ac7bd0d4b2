//! Where Flux v1 writes the tags of an object: where they stand, or in the patch file of its `.flux.yaml`.

use super::{
    Rules,
    build::Built,
    generated::{Reach, Scope, Scopes},
    line_at,
};
use crate::engine::{
    dialect::{
        Bindings, MissingField, Spot,
        addition::can_be_patched,
        kustomize::{DEFAULT_NAMESPACE, Inclusions},
    },
    image::Reference,
    manifest::{Container, Document, FieldPath, FileEnd, ImageLine, ObjectId, Part, Scan},
    snapshot::Snapshot,
};
use std::collections::BTreeSet;

/// Where a container's tag is written.
pub(crate) enum Target<'a> {
    Line { file: &'a str, line: usize },
    Field(Box<MissingField>),
    Nowhere { code: &'static str, why: String },
}

/// A container's tag.
pub(super) struct Tag<'b, 'a> {
    pub container: &'a Container,
    /// The whole reference that runs.
    pub image: &'b str,
    /// The line in the object's own file.
    pub own: Option<usize>,
    pub part: Part,
    pub target: Target<'a>,
}

/// The patch of an object in a patch file.
pub(super) struct Patched<'a> {
    pub file: &'a str,
    scan: &'a Scan,
    number: usize,
    pub document: &'a Document,
}

impl Patched<'_> {
    /// The line of a field.
    fn line(&self, path: &FieldPath) -> Option<usize> {
        self.scan.lines.iter().position(|line| line.document == self.number && line.path == *path)
    }

    /// Where it takes a field that it does not have.
    fn spot(&self, path: &FieldPath) -> Option<Spot> {
        let room = self.document.room.as_ref().filter(|_| !self.document.has_directives)?;
        let (room, depth) = room.of_field(path)?;
        Some(Spot::Document { position: self.document.position, at: room.end, depth, indent: room.indent })
    }
}

impl<'a> Built<'a> {
    /// The object as it is built.
    pub fn id(&self) -> Option<ObjectId> {
        let kind = self.document.object.as_ref()?.kind.clone();
        Some(ObjectId { kind, namespace: self.namespace.as_str().into(), name: self.name.as_str().into() })
    }

    /// Where it lands.
    pub fn namespaces(&self, scope: Option<&Scope>, included: &Inclusions<'_>) -> BTreeSet<String> {
        match (scope.is_some_and(Scope::builds), self.namespace.as_str()) {
            (true, "") => BTreeSet::from([DEFAULT_NAMESPACE.to_owned()]),
            (true, namespace) => BTreeSet::from([namespace.to_owned()]),
            (false, written) => included.namespaces(self.file, written),
        }
    }

    /// The patch of this object in the scope's patch file. One that names no namespace is meant for any.
    pub fn patched_by(&self, scope: Option<&Scope>, snapshot: &'a Snapshot) -> Option<Patched<'a>> {
        let (file, scan) = snapshot.scans.get_key_value(scope?.patch_file()?)?;
        let own = self.id()?;
        let namespace = |object: &ObjectId| match object.namespace.as_str() {
            "" => DEFAULT_NAMESPACE.to_owned(),
            namespace => namespace.to_owned(),
        };
        let named = |of: &dyn Fn(&ObjectId) -> bool| {
            scan.documents.iter().enumerate().find_map(|(number, document)| {
                let object = document.object.as_ref()?;
                let same = object.kind == own.kind && object.name == own.name && of(object);
                same.then_some(Patched { file, scan, number, document })
            })
        };
        named(&|object| namespace(object) == namespace(&own)).or_else(|| named(&|object| object.namespace.is_empty()))
    }

    /// The tags of its containers. `patched`: of [`Built::patched_by`].
    pub fn tags<'b>(
        &'b self,
        scope: Option<&Scope>,
        patched: Option<&Patched<'a>>,
        snapshot: &'a Snapshot,
    ) -> impl Iterator<Item = Tag<'b, 'a>> {
        self.document.containers.iter().zip(&self.images).filter_map(move |(container, image)| {
            let image = image.as_deref()?;
            let own = container.tag_line().and_then(|start| line_at(self.scan, start));
            let part = if container.tag.is_some() { Part::Tag } else { Part::Reference };
            // Bindings are kept over a change of tags alone, so what is told names the image without its tag.
            let name = || Reference::parse(image).map_or_else(|_| image.to_owned(), |reference| reference.name);
            let target = match (own, scope, &self.unclear) {
                (None, ..) => Target::Nowhere {
                    code: "value-not-editable",
                    why: format!("the tag of {} is not written as one plain or quoted value", name()),
                },
                (Some(_), None, _) if container.shared => Target::Nowhere {
                    code: "value-not-editable",
                    why: format!(
                        "the tag of {} is brought by an alias to other fields too than this object's containers, which \
                         would change with it: write those out",
                        name()
                    ),
                },
                (Some(line), None, _) => Target::Line { file: self.file, line },
                (Some(_), Some(_), _) if container.aliased => Target::Nowhere {
                    code: "patch-incomplete",
                    why: format!("an alias brings the tag of {}: write it out for it to be patched", name()),
                },
                (Some(_), Some(_), Some(why)) => {
                    let id = self.id().map(|id| id.shown()).unwrap_or_default();
                    Target::Nowhere { code: "flux1-patch-unclear", why: format!("{id}: {why}") }
                }
                (Some(line), Some(scope), None) => self.patch(image, part, line, scope, patched, snapshot),
            };
            Some(Tag { container, image, own, part, target })
        })
    }

    /// Where the value of one of this object's lines is written when a `.flux.yaml` stands above it.
    fn patch(
        &self,
        image: &str,
        part: Part,
        line: usize,
        scope: &Scope,
        patched: Option<&Patched<'a>>,
        snapshot: &'a Snapshot,
    ) -> Target<'a> {
        let patch = match &scope.patch {
            Ok(patch) => patch.as_str(),
            Err((code, why)) => return Target::Nowhere { code, why: why.clone() },
        };
        let incomplete = |why: String| Target::Nowhere { code: "patch-incomplete", why };
        let (Some(object), Some(line)) = (self.id(), self.scan.lines.get(line)) else {
            return incomplete(format!("{patch} cannot name the object"));
        };
        let path = &line.path;
        if let Some(line) =
            patched.and_then(|patched| Some(Target::Line { file: patched.file, line: patched.line(path)? }))
        {
            return line;
        }
        if !can_be_patched(path) {
            return incomplete(format!("{path} has no name that a patch could give: name the list's items"));
        }
        let spot = match patched {
            None => Spot::NewDocument,
            Some(patched) => match patched.spot(path) {
                Some(spot) => spot,
                None => return incomplete(format!("{patch} has {object} without {path}: add that field to it")),
            },
        };
        let end = match (snapshot.entries.get(patch), snapshot.scans.get(patch)) {
            (None, _) => FileEnd::default(),
            (Some(_), Some(scan)) if spot != Spot::NewDocument => scan.end,
            (Some(_), Some(scan)) if scan.documents.iter().all(|document| document.object.is_some()) => scan.end,
            (Some(_), None) => {
                return incomplete(format!(
                    "{patch} is not read, for it speaks of no image: call it flux-patch.yaml, or write the patch of {object} \
                     there"
                ));
            }
            _ => {
                let why = format!("{patch} holds something else than objects: write the patch of {object} there");
                return incomplete(why);
            }
        };
        Target::Field(Box::new(MissingField {
            file: patch.to_owned(),
            end,
            spot,
            part,
            api_version: self.document.api_version.to_string(),
            object,
            base: self.file.to_owned(),
            patched: running(line, part, image),
            sources: self.sources.iter().map(|file| (*file).to_owned()).collect(),
        }))
    }
}

/// A line with what runs in its place once it is built.
fn running(line: &ImageLine, part: Part, image: &str) -> ImageLine {
    let mut line = line.clone();
    match part {
        Part::Tag => {
            if let Some(tag) = Reference::parse(image).ok().and_then(|image| image.tag) {
                line.value = tag.into();
            }
        }
        _ => line.value = image.into(),
    }
    line
}

/// What the `.flux.yaml`s of a snapshot build, automated or not.
#[derive(Default)]
pub(crate) struct Generated<'a> {
    pub tags: Vec<GeneratedTag<'a>>,
    /// Documents, by file and number, that reach a cluster only through a `.flux.yaml`, or not at all.
    bases: BTreeSet<(&'a str, usize)>,
    /// Files that patch what is built.
    patches: BTreeSet<String>,
}

/// A container's tag, in one object that a `.flux.yaml` builds.
pub(crate) struct GeneratedTag<'a> {
    pub kind: &'a str,
    pub name: String,
    /// Where the object lands.
    pub namespaces: BTreeSet<String>,
    pub container: &'a str,
    /// The whole reference that runs.
    pub image: String,
    pub part: Part,
    pub target: Target<'a>,
    /// The file of the object, and the line that holds its tag there.
    pub base: (&'a str, Option<&'a ImageLine>),
    /// Who locked the object as it is built.
    pub locked: Option<String>,
}

impl<'a> Generated<'a> {
    pub fn of(snapshot: &'a Snapshot, included: &Inclusions<'a>) -> Self {
        let mut generated = Generated::default();
        let scopes = Scopes::of(snapshot, included, &mut Bindings::default());
        if scopes.is_empty() {
            return generated;
        }
        let builds = scopes.build(snapshot, included);
        generated.patches = scopes.patches().map(str::to_owned).chain(builds.patches.iter().cloned()).collect();
        let other_patches = included.patches();
        for (file, scan) in &snapshot.scans {
            if generated.patches.contains(&**file) || other_patches.contains(&**file) {
                continue;
            }
            for base in (0..scan.documents.len()).filter_map(|number| Built::of(file, scan, number)) {
                match scopes.over(&base, &builds) {
                    Reach::Direct => continue,
                    Reach::Rendered(over) => {
                        for (scope, built) in over {
                            let patched = built.patched_by(Some(scope), snapshot);
                            let tags = built.tags(Some(scope), patched.as_ref(), snapshot);
                            generated.add(&built, Some(scope), patched.as_ref(), tags, included);
                        }
                    }
                    Reach::LeftOut(scope) => {
                        let tags = base.tags(None, None, snapshot).map(|tag| {
                            let why = format!("{} does not build it", scope.file);
                            Tag { target: Target::Nowhere { code: "flux1-not-rendered", why }, ..tag }
                        });
                        generated.add(&base, None, None, tags, included);
                    }
                }
                generated.bases.insert((file, base.number));
            }
        }
        generated
    }

    fn add<'b>(
        &mut self,
        built: &'b Built<'a>,
        scope: Option<&Scope>,
        patched: Option<&Patched<'a>>,
        tags: impl Iterator<Item = Tag<'b, 'a>>,
        included: &Inclusions<'_>,
    ) where
        'a: 'b,
    {
        let namespaces = built.namespaces(scope, included);
        let mut annotations = built.annotations.clone();
        if let Some(patched) = patched {
            annotations.put(patched.file, &patched.document.annotations);
        }
        let locked = Rules::read(&annotations).locked();
        self.tags.extend(tags.map(|Tag { container, image, own, part, target }| GeneratedTag {
            kind: &built.document.kind,
            name: built.name.clone(),
            namespaces: namespaces.clone(),
            container: &container.name,
            image: image.to_owned(),
            part,
            target,
            base: (built.file, own.and_then(|line| built.scan.lines.get(line))),
            locked: locked.clone(),
        }));
    }

    /// Whether what stands in a document changes only together with what a `.flux.yaml` builds of it.
    pub fn is_base(&self, file: &str, document: usize) -> bool {
        self.bases.contains(&(file, document))
    }

    /// Whether a file patches what is built.
    pub fn is_patch(&self, file: &str) -> bool {
        self.patches.contains(file)
    }
}
