//! butler.yaml: any text is a config or errors with a place in it.
#![no_main]

use butler::engine::config;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|text: &str| {
    match config::parse("butler.yaml", text) {
        Ok(config) => {
            for environment in &config.environments {
                assert_eq!(config.environment(&environment.name).map(|found| &found.name), Some(&environment.name));
                environment.contains("some/file.yaml");
            }
            for edge in config.edges() {
                let _ = edge;
            }
        }
        Err(errors) => {
            assert!(!errors.is_empty());
            let lines = text.lines().count() + text.matches('\r').count() + 1;
            for error in errors {
                assert!(error.position.line <= lines, "{error:?}");
            }
        }
    }
});
