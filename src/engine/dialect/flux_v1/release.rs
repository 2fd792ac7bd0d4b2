//! Commits of Flux v1's daemon: who still makes them is the writer.
//! <https://github.com/fluxcd/flux/tree/master/pkg/update> (commit messages), `--git-user`, `--git-email` of fluxd

use crate::engine::image::Reference;

/// Whether a commit is a release that Flux v1 made. `people`: the names and emails of its author and committer.
///
/// Its automation has words that nobody else has, whatever `--git-user` says; what `fluxctl release` writes could be
/// anybody's, so there the name or the email has to be Flux's.
pub fn is_release<'a>(people: impl IntoIterator<Item = &'a str>, message: &str) -> bool {
    let subject = message.lines().next().unwrap_or_default().trim_end();
    if let Some(released) = subject.strip_prefix("Auto-release ") {
        let several = released.strip_prefix("multiple ").is_some_and(|rest| rest.ends_with("images"));
        return several || Reference::parse(released).is_ok_and(|image| image.tag.is_some());
    }
    let by_hand = subject.starts_with("Update image refs in ")
        || subject.strip_prefix("Release ").is_some_and(|rest| rest.contains(" to "));
    let is_flux = |who: &str| who.to_lowercase().contains("flux") || who == "support@weave.works";
    by_hand && people.into_iter().any(is_flux)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn releases_of_flux_v1() {
        let (flux, ann) = (["Weave Flux", "support@weave.works"], ["Ann", "ann@example.org"]);
        #[rustfmt::skip]
        let cases = [
            (flux, "Auto-release quay.io/acme/app:1.2.3\n", true),
            (["Release Bot", "bot@example.org"], "Auto-release quay.io/acme/app:1.2.3", true),
            (flux, "Auto-release multiple images\n\n - a:1\n - b:2\n", true),
            (flux, "Auto-release multiple (3) images\n\n - a:1\n", true),
            (ann, "Auto-release of the weekly build", false),
            (flux, "Auto-release (no images)", false),
            (flux, "Release quay.io/acme/app:1.2.3 to default:deployment/app", true),
            (["Ann", "flux@example.org"], "Release all latest to all", true),
            (ann, "Release 1.2.3 to production", false),
            (flux, "Update image refs in default:deployment/app\n", true),
            (ann, "Update image refs in docs", false),
            // It writes more than releases, and Flux v2 has a name like it.
            (flux, "Automated: default:deployment/app", false),
            (["FluxBot", "flux@example.org"], "Automated image update", false),
            (flux, "", false),
        ];
        for (people, message, expected) in cases {
            assert_eq!(is_release(people, message), expected, "{people:?} {message:?}");
        }
    }
}
