//! Image references: what is read is written back the same, and the parts are what the whole says.
#![no_main]

use butler::engine::image::{Reference, Repository};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|text: &str| {
    if let Ok(reference) = Reference::parse(text) {
        let tag = reference.tag.as_deref().map(|tag| format!(":{tag}")).unwrap_or_default();
        let digest = reference.digest.as_deref().map(|digest| format!("@{digest}")).unwrap_or_default();
        assert_eq!(format!("{}{tag}{digest}", reference.name), text, "the spelling is kept");
        let repository = Repository::parse(&reference.name).expect("a reference's name is a repository");
        assert_eq!(repository, reference.repository);
        // The normalised form means the same repository.
        assert_eq!(Repository::parse(&repository.to_string()).as_ref(), Ok(&repository));
    }
    let _ = Repository::parse(text);
});
