//! Comments that are markers, and the values that they stand behind.

use super::{
    ImageLine, Marker, Part, ScanFinding, marker,
    mismatch::{Mismatch, mismatch},
    yaml::{Comment, LineIndex},
};
use std::ops::Range;

/// A comment with a marker in it, or with what its author believes to be one.
#[derive(Debug)]
struct Site {
    comment: Range<usize>,
    /// First byte of the comment's line.
    line_start: usize,
    reading: marker::Reading,
    /// How many values end on its line.
    values: usize,
    /// The value on its line, when it is one that can be edited.
    line: Option<ImageLine>,
    obstacle: Option<Obstacle>,
}

/// Why a value cannot take a marker.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Obstacle {
    Mapping,
    BlockScalar,
    FlowSequence,
    Alias,
    MultiLine,
    Escaped,
    Tagged,
    Unwritten,
}

/// All sites of a file, in the order of their bytes.
#[derive(Debug, Default)]
pub(super) struct Sites(Vec<Site>);

impl Sites {
    /// Comments on lines of their own count only when they are a marker and nothing else: what is commented out, and
    /// prose, is none.
    pub(super) fn new(text: &str, comments: &[Comment<'_>]) -> Self {
        let site = |comment: &Comment<'_>| {
            // As it stands in the file, whatever was parsed.
            let reading = match marker::read(&text[comment.span.clone()]) {
                marker::Reading::Nothing => return None,
                reading => reading,
            };
            // To YAML a carriage return alone ends a line too.
            let line_start = text[..comment.span.start].rfind(['\n', '\r']).map_or(0, |end| end + 1);
            let alone = text[line_start..comment.span.start].trim_matches([' ', '\t', '\u{feff}']).is_empty();
            let obstacle = alone.then_some(Obstacle::Unwritten);
            if alone && !matches!(reading, marker::Reading::Marker(_)) {
                return None;
            }
            Some(Site { comment: comment.span.clone(), line_start, reading, values: 0, line: None, obstacle })
        };
        Sites(comments.iter().filter_map(site).collect())
    }

    /// The site whose comment stands behind a value, on the line that the value ends on.
    pub(super) fn behind(&self, value: &Range<usize>) -> Option<usize> {
        let next = self.0.partition_point(|site| site.comment.start < value.end);
        self.0.get(next).filter(|site| site.line_start < value.end).map(|_| next)
    }

    /// A value, and the line that it is if it can be edited.
    pub(super) fn value(&mut self, site: usize, value: Result<ImageLine, Obstacle>) {
        let site = &mut self.0[site];
        site.values += 1;
        match value {
            Ok(line) => site.line = Some(line),
            Err(obstacle) => site.obstacle = Some(obstacle),
        }
    }

    /// Whether a value stands behind this site's comment already: a second one makes it ambiguous.
    pub(super) fn is_taken(&self, site: usize) -> bool {
        self.0[site].values > 0
    }

    /// Says what the comment behind a key stands before, when it is no value to edit.
    pub(super) fn behind_key(&mut self, key: &Range<usize>, value: &Range<usize>, obstacle: Obstacle) {
        if let Some(site) = self.behind(key)
            && self.0[site].comment.start < value.start
        {
            self.0[site].obstacle = Some(obstacle);
        }
    }

    /// What the marker of a site is for; `None` where its comment is no marker.
    pub(super) fn part(&self, site: usize) -> Option<Part> {
        match &self.0[site].reading {
            marker::Reading::Marker(marker) => Some(marker.part),
            marker::Reading::Faulty(_) | marker::Reading::Nothing => None,
        }
    }

    /// First byte of the comment of a site.
    pub(super) fn comment_start(&self, site: usize) -> usize {
        self.0[site].comment.start
    }

    /// First byte of the line of a site.
    pub(super) fn line_start(&self, site: usize) -> usize {
        self.0[site].line_start
    }

    /// The lines that markers bind, and what is wrong with the other comments.
    pub(super) fn finish(self, index: &LineIndex, findings: &mut Vec<ScanFinding>) -> Vec<ImageLine> {
        let mut lines = Vec::new();
        for site in self.0 {
            let position = index.position(site.comment.start);
            match site.resolve() {
                Ok(line) => lines.push(line),
                Err((code, message)) => findings.push(ScanFinding { code: code.into(), position, message }),
            }
        }
        lines
    }
}

impl Site {
    fn resolve(self) -> Result<ImageLine, (&'static str, String)> {
        let marker = match self.reading {
            marker::Reading::Marker(marker) => marker,
            marker::Reading::Faulty(fault) => return Err((fault.code, fault_message(&fault))),
            marker::Reading::Nothing => return Err(("marker-not-json", "expected a marker, found none".into())),
        };
        if self.values > 1 {
            let message = format!(
                "expected one value on the line of a marker, found {}: write each value on a line of its own, the one \
                 to update with `# {marker}` behind it",
                self.values
            );
            return Err(("marker-ambiguous", message));
        }
        match (self.line, self.obstacle) {
            (Some(line), _) => bind(line, marker),
            (None, obstacle) => Err(obstacle_message(obstacle, self.values, &marker)),
        }
    }
}

fn bind(line: ImageLine, marker: Marker) -> Result<ImageLine, (&'static str, String)> {
    let key = line.path.key();
    let Some(mismatch) = mismatch(key, marker.part, &line.value) else {
        return Ok(ImageLine { part: marker.part, marker: Some(marker), ..line });
    };
    let kind = |part| match part {
        Part::Reference => "a whole reference",
        Part::Name => "a name",
        Part::Tag => "a tag",
        Part::Digest => "a digest",
    };
    let (found, meant) = (kind(marker.part), |part| Marker { part, ..marker.clone() });
    let message = match mismatch {
        Mismatch::Field(part) => format!(
            "expected a marker for {} on the field {:?}, found one for {found}: write `# {}`",
            kind(part),
            key.unwrap_or_default(),
            meant(part)
        ),
        Mismatch::Value(part) => format!(
            "expected a marker for {}, which the value is, found one for {found}, which would replace all of it: write \
             `# {}`, or {found} as the value",
            kind(part),
            meant(part)
        ),
        Mismatch::More => format!(
            "expected {found} and nothing else as the value, found {:?}, all of which would be replaced: write {found} as \
             a value of its own",
            line.value
        ),
    };
    Err(("marker-wrong-kind", message))
}

fn fault_message(fault: &marker::Fault) -> String {
    const FORM: &str = "expected one JSON object alone behind the #";
    match &fault.meant {
        Some(meant) => format!("{FORM}, {}: write `# {meant}`", fault.found),
        None => format!(
            "{FORM}, {}: write `# {{\"{}\": \"<namespace>:<policy>\"}}`, with :tag, :name or :digest behind the policy \
             where the field holds only that part",
            fault.found,
            marker::KEY
        ),
    }
}

fn obstacle_message(obstacle: Option<Obstacle>, values: usize, marker: &Marker) -> (&'static str, String) {
    let (code, found, advice) = match obstacle {
        Some(Obstacle::Mapping) => {
            ("marker-on-mapping", "the key of a mapping or sequence", "put it behind the value to update")
        }
        Some(Obstacle::BlockScalar) => (
            "marker-on-block-scalar",
            "the header of a block scalar",
            "write the value on one line, in quotes if need be",
        ),
        Some(Obstacle::FlowSequence) => {
            ("marker-in-flow-sequence", "a flow sequence", "write the item on a line of its own, `- value`")
        }
        Some(Obstacle::Alias) => {
            ("marker-on-alias", "an alias", "put it behind the value with the anchor, or write the value here")
        }
        Some(Obstacle::MultiLine) => {
            ("marker-on-multiline-value", "a value of several lines", "write the value on one line")
        }
        Some(Obstacle::Escaped) => {
            ("marker-on-escaped-value", "a quoted value with escapes", "write the value without escapes")
        }
        Some(Obstacle::Tagged) => (
            "marker-on-tagged-value",
            "a value with a YAML tag",
            "write the value without its tag, in quotes if need be",
        ),
        Some(Obstacle::Unwritten) if values == 0 => {
            ("marker-above-value", "it on a line of its own", "put it on the value's line, behind the value")
        }
        Some(Obstacle::Unwritten) | None => {
            ("marker-without-value", "none", "put it behind the value to update, or write `\"\"` for one to be filled")
        }
    };
    (code, format!("expected the marker behind a value on its line, found {found}: {advice}: `# {marker}`"))
}
