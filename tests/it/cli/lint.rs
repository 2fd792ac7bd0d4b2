//! `butler lint`

use super::{DEPLOYMENT, POLICY, repository};
use serde_json::json;

#[test]
fn nothing_to_say_is_0() {
    let folder = repository();
    assert_eq!(folder.run(&["lint", "-o", "json"]).json(0), json!({"findings": []}));
    assert_eq!(folder.run(&["lint"]).text(), "0 findings\n");
}

#[test]
fn findings_are_1() {
    let folder = repository();
    folder.put("apps/lost.yaml", DEPLOYMENT.replace("flux-system:app", "flux-system:lost").as_bytes());
    folder.put("flux/policy.yaml", POLICY.replace("range: 1.x", "range: one").as_bytes());
    let document = folder.run(&["lint", "-o", "json"]).json(1);
    let rows = document["findings"].as_array().unwrap();
    let places: Vec<_> =
        rows.iter().map(|row| (row["file"].as_str(), row["line"].as_u64(), row["code"].as_str())).collect();
    assert_eq!(
        places,
        [
            (Some("apps/lost.yaml"), Some(11), Some("policy-unresolved")),
            (Some("flux/policy.yaml"), Some(6), Some("policy-invalid")),
        ]
    );
    assert!(rows.iter().all(|row| !row["message"].as_str().unwrap().is_empty() && row["column"].is_u64()));
    let ran = folder.run(&["lint"]);
    assert_eq!(ran.code, 1);
    assert!(
        ran.out.starts_with("apps/lost.yaml:11:16 policy-unresolved\n  no ImagePolicy flux-system:lost"),
        "{}",
        ran.out
    );
    assert!(ran.out.ends_with("2 findings\n"), "{}", ran.out);
}

#[test]
fn a_faulty_butler_yaml_is_a_finding() {
    let folder = repository();
    folder.put("butler.yaml", b"version: 1\nenvironments:\n  prod: {pathh: apps}\n");
    let document = folder.run(&["lint", "-o", "json"]).json(1);
    let finding = &document["findings"][0];
    assert_eq!(
        (&finding["file"], &finding["line"], &finding["code"]),
        (&json!("butler.yaml"), &json!(3), &json!("config-invalid"))
    );
    assert!(finding["message"].as_str().unwrap().contains("path"), "{finding}");
}
