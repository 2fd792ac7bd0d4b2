//! Image references: what is read is written back the same, and the parts are what the whole says.
#![no_main]

use butler::engine::image::{Reference, Repository};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|text: &str| {
    if let Ok(reference) = Reference::parse(text) {
        let tag = reference.tag.as_deref().map(|tag| format!(":{tag}")).unwrap_or_default();
        let digest = reference.digest.as_deref().map(|digest| format!("@{digest}")).unwrap_or_default();
        assert_eq!(format!("{}{tag}{digest}", reference.name), text, "the spelling is kept");
        match Repository::parse(&reference.name) {
            Ok(repository) => assert_eq!(repository, reference.repository),
            // Alone such a name is an image's id; with a tag behind it, it is none.
            Err(_) => assert!(reference.name.len() == 64 && (reference.tag.is_some() || reference.digest.is_some())),
        }
        // The normalised form means the same repository.
        assert_eq!(Repository::parse(&reference.repository.to_string()).as_ref(), Ok(&reference.repository));
    }
    let _ = Repository::parse(text);
});
