//! The sample config repository: one application in three stages, as a team that used Flux would have it.

/// `owner/name` of the config repository.
pub const REPOSITORY: &str = "acme/config";
/// The image repository's path in the sandbox's registry.
pub const IMAGE: &str = "acme/app";
/// The stages' folders, first to last, and the branch that each is written to.
pub const STAGES: [(&str, &str); 3] = [("development", "main"), ("staging", "main"), ("production", "main")];

/// butler.yaml: updates go to development by themselves, promotions to staging and production by pull request.
const CONFIG: &str = "\
# Who may be updated, and how versions get from one stage to the next.
version: 1
environments:
  development: {path: deploy/development, update: commit}
  staging: {path: deploy/staging, update: none}
  production: {path: deploy/production, update: none}
promotions:
  - {name: to-staging, from: development, to: staging}
  - {name: to-production, from: staging, to: production}
updates: {quiet: 1s, at-most: 10s}
";

/// The files of the config repository, for images at `registry` (`127.0.0.1:5000`), all at `tag`.
pub fn files(registry: &str, tag: &str) -> Vec<(String, String)> {
    let mut files = vec![
        (
            "README.md".into(),
            "# Sample config repository\n\nThree stages of one application; see butler.yaml.\n".into(),
        ),
        ("butler.yaml".into(), CONFIG.into()),
        ("deploy/policies.yaml".into(), policies(registry)),
    ];
    for (stage, _) in STAGES {
        let marker = if stage == "development" { " # {\"$imagepolicy\": \"flux-system:app\"}" } else { "" };
        files.push((format!("deploy/{stage}/app.yaml"), deployment(stage, registry, tag, marker)));
    }
    files
}

fn policies(registry: &str) -> String {
    format!(
        "apiVersion: image.toolkit.fluxcd.io/v1
kind: ImageRepository
metadata:
  name: app
  namespace: flux-system
spec:
  image: {registry}/{IMAGE}
---
apiVersion: image.toolkit.fluxcd.io/v1
kind: ImagePolicy
metadata:
  name: app
  namespace: flux-system
spec:
  imageRepositoryRef:
    name: app
  policy:
    semver:
      range: 1.x
"
    )
}

fn deployment(stage: &str, registry: &str, tag: &str, marker: &str) -> String {
    format!(
        "apiVersion: apps/v1
kind: Deployment
metadata:
  name: app
  namespace: {stage} # comments, spacing and quotes stay as they are
spec:
  replicas:   2
  template:
    spec:
      containers:
        - name: app
          image: {registry}/{IMAGE}:{tag}{marker}
"
    )
}
