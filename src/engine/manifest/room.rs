//! Where a patch of an object goes on: Flux v1's patch files hold what it has changed so far, and grow with each update.

use super::{
    FieldPath, Step,
    annotate::line_end,
    yaml::{LineIndex, Node, NodeKind, Style},
};
use std::collections::HashMap;

/// A mapping or list that is written line by line, and where it goes on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Room {
    /// The byte behind its last line.
    pub end: usize,
    /// Spaces before its keys or dashes.
    pub indent: usize,
    /// What it has; `None` where nothing can be put into that.
    below: Box<[Below]>,
    kind: Kind,
}

type Below = (Step, Option<Box<Room>>);

#[derive(Clone, Debug, PartialEq, Eq)]
enum Kind {
    Mapping,
    /// The names in the order that `$setElementOrder` demands of the items, where it stands beside the list.
    List(Option<Vec<String>>),
}

/// Of a document that patches an object of a kind with containers.
pub(super) fn room(kind: &str, root: &Node<'_>, text: &str, index: &LineIndex) -> Option<Room> {
    if !is_partial(kind, root) {
        return None;
    }
    Page { text, index }.mapping(root, |key| key == "spec")
}

/// Whether a document lacks what an object of its kind has to have: it is there to be put over one.
fn is_partial(kind: &str, object: &Node<'_>) -> bool {
    let lacks = |field: &str| object.at(&["spec", field]).is_none();
    match kind {
        "Deployment" | "DaemonSet" | "StatefulSet" => lacks("selector"),
        "CronJob" => lacks("schedule"),
        "HelmRelease" => lacks("chart") && lacks("chartRef"),
        "FluxHelmRelease" => lacks("chartGitPath"),
        _ => false,
    }
}

impl Room {
    /// Where a field is put that is not there, and how many steps of its path are; `None` where it is there, or what it
    /// would stand in is not written line by line.
    pub fn of_field(&self, path: &FieldPath) -> Option<(&Room, usize)> {
        let mut room = self;
        for (depth, step) in path.0.iter().enumerate() {
            match room.below.iter().find(|(own, _)| own == step) {
                Some((_, below)) => room = below.as_ref()?,
                None => return room.takes(step).then_some((room, depth)),
            }
        }
        None
    }

    /// Whether an entry can be put behind the last one.
    fn takes(&self, step: &Step) -> bool {
        match (&self.kind, step) {
            (Kind::Mapping, Step::Key(_)) | (Kind::List(None), Step::Item { .. }) => true,
            // Kubernetes refuses items that are not in that order.
            (Kind::List(Some(order)), Step::Item { value, .. }) => {
                let place = |name: &str| order.iter().position(|other| other == name);
                let before = |(own, _): &Below| match own {
                    Step::Item { value: own, .. } => place(own) < place(value),
                    _ => false,
                };
                place(value).is_some() && self.below.iter().all(before)
            }
            _ => false,
        }
    }
}

struct Page<'t> {
    text: &'t str,
    index: &'t LineIndex,
}

impl Page<'_> {
    fn room(&self, node: &Node<'_>, order: Option<Vec<String>>) -> Option<Room> {
        match node.kind {
            NodeKind::Mapping(_) => self.mapping(node, |_| true),
            NodeKind::Sequence(_) => self.list(node, order),
            _ => None,
        }
    }

    /// `goes_on`: below which of its keys more can be put.
    fn mapping(&self, node: &Node<'_>, goes_on: fn(&str) -> bool) -> Option<Room> {
        let (first, _) = node.entries().first()?;
        let before = self.before(first);
        // The first key of a list's item stands behind its dash.
        let plain = before.bytes().all(|byte| matches!(byte, b' ' | b'-'));
        let merged = node.entries().iter().any(|(key, _)| key.as_str() == Some("<<"));
        let is_block = self.text.as_bytes().get(node.span.start) != Some(&b'{') && node.anchor.is_none();
        let end = self.end(node)?;
        (plain && is_block && !merged).then(|| Room {
            end,
            indent: before.len(),
            below: self.entries(node, goes_on),
            kind: Kind::Mapping,
        })
    }

    fn list(&self, node: &Node<'_>, order: Option<Vec<String>>) -> Option<Room> {
        let before = self.before(node.items().first()?);
        let dashed = |item: &Node<'_>| self.before(item).trim_matches(' ') == "-";
        let end = self.end(node)?;
        (node.items().iter().all(dashed) && node.anchor.is_none()).then(|| Room {
            end,
            indent: before.len() - before.trim_start_matches(' ').len(),
            below: node.items().iter().map(|item| (item_step(item), self.room(item, None).map(Box::new))).collect(),
            kind: Kind::List(order),
        })
    }

    fn entries(&self, mapping: &Node<'_>, goes_on: fn(&str) -> bool) -> Box<[Below]> {
        let order = |(key, order): &'_ (Node<'_>, Node<'_>)| {
            let of = key.as_str()?.strip_prefix("$setElementOrder/")?.to_owned();
            Some((of, order.items().iter().map(|item| name(item).to_owned()).collect::<Vec<_>>()))
        };
        let mut orders: HashMap<String, Vec<String>> = mapping.entries().iter().filter_map(order).collect();
        let entries = mapping.entries().iter().filter_map(|(key, value)| Some((key.as_str()?, value)));
        let entry = |(key, value): (&str, &Node<'_>)| {
            let room = goes_on(key).then(|| self.room(value, orders.remove(key))).flatten();
            (Step::Key(key.into()), room.map(Box::new))
        };
        entries.map(entry).collect()
    }

    /// What stands before a node on its line.
    fn before(&self, node: &Node<'_>) -> &str {
        self.text.get(self.index.line_start(node.span.start)..node.span.start).unwrap_or_default()
    }

    /// `None` where the blank lines at the end are part of a text (`|+`): nothing can be put before them.
    fn end(&self, node: &Node<'_>) -> Option<usize> {
        let last = last_leaf(node);
        let keeps = matches!(&last.kind, NodeKind::Scalar { value, style: Style::Literal | Style::Folded }
            if value.ends_with("\n\n") || value.as_ref() == "\n");
        let written = self.text.get(node.span.clone()).unwrap_or_default().trim_end();
        (!keeps).then(|| line_end(self.text, node.span.start + written.len()))
    }
}

fn last_leaf<'n, 'a>(node: &'n Node<'a>) -> &'n Node<'a> {
    let mut node = node;
    while let Some(below) = node.items().last().or_else(|| node.entries().last().map(|(_, value)| value)) {
        node = below;
    }
    node
}

fn item_step(item: &Node<'_>) -> Step {
    Step::Item { key: "name".into(), value: name(item).into() }
}

fn name<'n>(item: &'n Node<'_>) -> &'n str {
    item.get("name").and_then(Node::as_str).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use crate::engine::manifest::{FileKind, scan};

    /// Blank lines that a text keeps are part of it: what is put before them would take them away.
    #[test]
    fn a_text_that_keeps_its_blank_lines_is_not_followed() {
        let patch = |text: &str| {
            let head = "apiVersion: apps/v1\nkind: Deployment\nmetadata: {name: a}\nspec:\n  template:\n    spec:\n      containers:\n      - name: c\n        image: a:1\n        args:\n        - ";
            scan(FileKind::Yaml, format!("{head}{text}---\n").as_bytes()).documents[0].room.is_some()
        };
        for (text, has_room) in [
            ("plain\n", true),
            ("|\n          a\n", true),
            ("|\n          a\n\n\n", true),
            ("|+\n          a\n\n\n", false),
            ("|+\n\n", false),
        ] {
            assert_eq!(patch(text), has_room, "{text:?}");
        }
    }
}
