//! Which files belong to an environment: a folder, or a glob.

use super::nearest::nearest;
use globset::{Glob, GlobBuilder, GlobSet, GlobSetBuilder};
use std::fmt;

/// A folder or a glob, relative to the repository's root. It covers the file or folder that it names and everything
/// below. In a glob `*` and `?` stay within one path segment, `**` crosses them, `{a,b}` and `[ab]` choose;
/// `{cluster}` stands for any one segment, `{env}` for the environment's name.
#[derive(Clone)]
pub struct PathPattern {
    /// Without leading `./` and trailing `/`, `{env}` and `{cluster}` replaced; empty for the whole repository.
    text: String,
    glob: Option<GlobSet>,
}

const PLACEHOLDERS: [&str; 2] = ["cluster", "env"];

impl PathPattern {
    /// The whole repository.
    pub fn root() -> PathPattern {
        PathPattern { text: String::new(), glob: None }
    }

    /// Reads a pattern for an environment. The error says what is wrong with the text, for the file's author.
    pub fn new(text: &str, environment: &str) -> Result<PathPattern, String> {
        if text.starts_with('/') {
            return Err(format!(
                "expected a path relative to the repository's root, found {text:?}; leave out the leading /"
            ));
        }
        if text.contains('\\') {
            return Err(format!("expected / between folders, found a backslash in {text:?}"));
        }
        let mut segments = Vec::new();
        for segment in text.split('/') {
            match segment {
                "" | "." => {}
                ".." => return Err(format!("expected a path within the repository, found .. in {text:?}")),
                segment => segments.push(replaced(segment, environment)?),
            }
        }
        let text = segments.join("/");
        let glob = if text.contains(['*', '?', '[', ']', '{', '}']) { Some(compiled(&text)?) } else { None };
        Ok(PathPattern { text, glob })
    }

    /// The pattern, normalised; empty for the whole repository.
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// Whether a path of the repository (`/`-separated, no leading `/`) is covered.
    pub fn contains(&self, file: &str) -> bool {
        match &self.glob {
            Some(glob) => glob.is_match(file),
            None => {
                self.text.is_empty()
                    || file.strip_prefix(&self.text).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
            }
        }
    }

    /// What is left of a covered file's path without the pattern's own words: for a folder the path below it; for a
    /// glob the segments that its wildcards stand for, then what is below. `apps/*/prod` and `apps/*/dev` thus give
    /// `apps/web/prod/a.yaml` and `apps/web/dev/a.yaml` the same path, `web/a.yaml`.
    pub fn relative(&self, file: &str) -> Option<String> {
        if !self.contains(file) {
            return None;
        }
        if self.glob.is_none() {
            let rest = file.strip_prefix(&self.text)?;
            return Some(rest.trim_start_matches('/').to_owned());
        }
        if self.text.contains("**") {
            return Some(file.strip_prefix(self.folder())?.trim_start_matches('/').to_owned());
        }
        let mut pattern = self.text.split('/');
        let kept =
            file.split('/').filter(|_| pattern.next().is_none_or(|segment| segment.contains(['*', '?', '[', '{'])));
        Some(kept.collect::<Vec<_>>().join("/"))
    }

    /// The deepest folder that everything covered lies in: `helm/charts` for `helm/charts/*`, the folder itself where
    /// the pattern is no glob. Empty for the root.
    pub fn folder(&self) -> &str {
        let Some(special) = self.text.find(['*', '?', '[', '{']) else { return &self.text };
        self.text[..special].rfind('/').map_or("", |end| &self.text[..end])
    }

    /// Whether some path is certainly covered by both. Globs are tried with one path that they cover, so `false` only
    /// says that no overlap is certain.
    pub fn overlaps(&self, other: &PathPattern) -> bool {
        let covers = |a: &PathPattern, b: &PathPattern| b.example().is_some_and(|example| a.contains(&example));
        self == other || covers(self, other) || covers(other, self)
    }

    /// A path that the pattern covers. Its wildcards are filled with a character that no pattern spells out, so that
    /// only a wildcard of the other pattern can match it.
    fn example(&self) -> Option<String> {
        match self.glob {
            None => Some(self.text.clone()),
            Some(_) if self.text.contains(['[', '{']) => None,
            Some(_) => Some(self.text.replace("**", "*").replace(['*', '?'], "\u{1}")),
        }
    }
}

/// Puts values for the placeholders. Braces that hold neither a placeholder nor alternatives are a slip.
fn replaced(segment: &str, environment: &str) -> Result<String, String> {
    let segment = segment.replace("{env}", environment).replace("{cluster}", "*");
    let mut rest = segment.as_str();
    while let Some((_, after)) = rest.split_once('{') {
        let Some((inside, after)) = after.split_once('}') else { break };
        if !inside.contains(',') {
            let hint = match nearest(inside, PLACEHOLDERS) {
                Some(near) => format!("did you mean {{{near}}}?"),
                None => "known placeholders: {cluster}, {env}".into(),
            };
            return Err(format!("unknown placeholder {{{inside}}}; {hint}"));
        }
        rest = after;
    }
    Ok(segment)
}

fn compiled(text: &str) -> Result<GlobSet, String> {
    let one = |text: &str| -> Result<Glob, globset::Error> {
        GlobBuilder::new(text).literal_separator(true).backslash_escape(false).build()
    };
    let set = || -> Result<GlobSet, globset::Error> {
        GlobSetBuilder::new().add(one(text)?).add(one(&format!("{text}/**"))?).build()
    };
    set().map_err(|error| format!("no valid glob {text:?}: {}", error.kind()))
}

impl PartialEq for PathPattern {
    fn eq(&self, other: &PathPattern) -> bool {
        self.text == other.text
    }
}

impl Eq for PathPattern {}

impl fmt::Display for PathPattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if self.text.is_empty() { "." } else { &self.text })
    }
}

impl fmt::Debug for PathPattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}", self.text)
    }
}

#[cfg(test)]
mod tests {
    use super::PathPattern;

    #[test]
    fn what_a_pattern_covers() {
        for (pattern, file, covered) in [
            (".", "a/b.yaml", true),
            ("", "a/b.yaml", true),
            ("apps/dev", "apps/dev/app.yaml", true),
            ("apps/dev", "apps/dev", true),
            ("apps/dev", "apps/development/app.yaml", false),
            ("apps/dev", "other/apps/dev/app.yaml", false),
            ("./apps/dev/", "apps/dev/x/y.yaml", true),
            ("apps/app.yaml", "apps/app.yaml", true),
            ("kustomize/*/overlays/staging", "kustomize/web/overlays/staging/kustomization.yaml", true),
            ("kustomize/*/overlays/staging", "kustomize/web/x/overlays/staging/k.yaml", false),
            ("kustomize/*/overlays/staging", "kustomize/web/overlays/staging-2/k.yaml", false),
            ("helm/charts/*", "helm/charts/web/values.yaml", true),
            ("helm/charts/*", "helm/charts", false),
            ("apps/**/prod", "apps/a/b/prod/x.yaml", true),
            ("apps/*.yaml", "apps/web.yaml", true),
            ("apps/*.yaml", "apps/web/x.yaml", false),
            ("apps/{web,api}/prod", "apps/api/prod/x.yaml", true),
            ("clusters/{cluster}/{env}", "clusters/eu-1/prod/x.yaml", true),
            ("clusters/{cluster}/{env}", "clusters/eu-1/dev/x.yaml", false),
            ("clusters/{cluster}/{env}", "clusters/eu/1/prod/x.yaml", false),
            ("envs/{env}", "envs/prod/x.yaml", true),
        ] {
            let pattern = PathPattern::new(pattern, "prod").unwrap();
            assert_eq!(pattern.contains(file), covered, "{pattern} contains {file}");
        }
    }

    #[test]
    fn what_two_environments_files_have_in_common() {
        for (pattern, file, relative) in [
            (".", "a/b.yaml", Some("a/b.yaml")),
            ("apps/dev", "apps/dev/web/app.yaml", Some("web/app.yaml")),
            ("apps/dev", "apps/prod/web/app.yaml", None),
            ("apps/dev", "apps/development/app.yaml", None),
            ("apps/app.yaml", "apps/app.yaml", Some("")),
            ("apps/{env}", "apps/prod/app.yaml", Some("app.yaml")),
            ("apps/*/prod", "apps/web/prod/app.yaml", Some("web/app.yaml")),
            ("apps/*/prod", "apps/web/prod/x/app.yaml", Some("web/x/app.yaml")),
            ("apps/*/dev", "apps/web/dev/app.yaml", Some("web/app.yaml")),
            ("apps/*/dev", "apps/web/prod/app.yaml", None),
            ("clusters/{cluster}/{env}", "clusters/eu-1/prod/app.yaml", Some("eu-1/app.yaml")),
            ("apps/{web,api}/prod", "apps/api/prod/app.yaml", Some("api/app.yaml")),
            ("prod-*", "prod-eu/app.yaml", Some("prod-eu/app.yaml")),
            // How deep the wildcard goes is not known: everything below the last plain folder is kept.
            ("apps/**/prod", "apps/a/b/prod/app.yaml", Some("a/b/prod/app.yaml")),
        ] {
            let pattern = PathPattern::new(pattern, "prod").unwrap();
            assert_eq!(pattern.relative(file).as_deref(), relative, "{pattern} and {file}");
        }
    }

    #[test]
    fn patterns_that_cannot_be() {
        for (pattern, why) in [
            ("/apps", "expected a path relative to the repository's root, found \"/apps\"; leave out the leading /"),
            ("apps/../..", "expected a path within the repository, found .. in \"apps/../..\""),
            ("apps\\dev", "expected / between folders, found a backslash in \"apps\\\\dev\""),
            ("apps/{envv}", "unknown placeholder {envv}; did you mean {env}?"),
            ("apps/{region}", "unknown placeholder {region}; known placeholders: {cluster}, {env}"),
            ("apps/[a", "no valid glob \"apps/[a\": unclosed character class; missing ']'"),
        ] {
            assert_eq!(PathPattern::new(pattern, "prod").unwrap_err(), why);
        }
    }

    #[test]
    fn certain_overlaps() {
        for (a, b, overlaps) in [
            ("apps", "apps", true),
            ("apps", "apps/dev", true),
            ("apps/dev", "apps/development", false),
            (".", "apps", true),
            ("apps", "apps/*/prod", true),
            ("apps/*", "apps/web", true),
            ("apps/*", "apps/*/overlays/prod", true),
            ("apps/*/staging", "apps/*/production", false),
            ("apps/*/staging", "apps/web", false),
            ("apps/**", "apps/web/x", true),
            ("{a,b}/x", "{a,b}/x", true),
        ] {
            let pattern = |text| PathPattern::new(text, "prod").unwrap();
            assert_eq!(pattern(a).overlaps(&pattern(b)), overlaps, "{a} and {b}");
            assert_eq!(pattern(b).overlaps(&pattern(a)), overlaps, "{b} and {a}");
        }
    }

    #[test]
    fn the_folder_that_everything_lies_in() {
        for (pattern, folder) in
            [("apps/dev", "apps/dev"), ("helm/charts/*", "helm/charts"), ("helm/ch*", "helm"), ("*/dev", ""), (".", "")]
        {
            assert_eq!(PathPattern::new(pattern, "prod").unwrap().folder(), folder);
        }
    }
}
