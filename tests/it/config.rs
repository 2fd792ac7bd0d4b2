//! The butler.yaml files that five teams would write (`design/examples` of BUTLER_TEST_DATA) are the test of the
//! vocabulary: every one is valid, and what this version does not do yet is said.

use crate::support::data::data;
use butler::engine::config;

#[test]
fn the_examples_of_the_design_are_valid() {
    let Some(folder) = data("design/examples") else { return };
    let mut count = 0;
    for file in std::fs::read_dir(&folder).unwrap() {
        let path = file.unwrap().path();
        let name = path.file_name().unwrap().to_string_lossy().into_owned();
        let config = config::parse(&name, &std::fs::read_to_string(&path).unwrap())
            .unwrap_or_else(|errors| panic!("{errors:#?}"));
        println!("{name}: {} environments, {} edges", config.environments.len(), config.edges().len());
        for warning in config.not_yet() {
            println!("  {warning}");
        }
        count += 1;
    }
    assert!(count >= 6, "{count} examples in {}", folder.display());
}
