//! Pushing an image to any registry over HTTP, as a build does.

use super::image::{self, MANIFEST_TYPE};
use jiff::Timestamp;
use reqwest::{
    Client, RequestBuilder, Response, StatusCode,
    header::{CONTENT_TYPE, LOCATION},
};
use std::time::Duration;
use url::Url;

/// Why an image could not be pushed.
#[derive(Debug, thiserror::Error)]
pub enum PushError {
    #[error("cannot push to the registry: {0}")]
    Http(#[from] reqwest::Error),
    #[error("cannot push: {0:?} is no registry's address: {1}")]
    Address(String, url::ParseError),
    #[error("cannot push {what}: expected HTTP {expected}, found {found}: {body}")]
    Status { what: String, expected: u16, found: u16, body: String },
    #[error("cannot push {what}: the registry gave no usable Location for the upload")]
    Location { what: String },
}

/// Builds a small image with this creation time and pushes it to the registry at `base_url`
/// (`http://127.0.0.1:5000`), which must not ask for credentials. Gives the manifest's digest.
pub async fn push_image(
    base_url: &str,
    repository: &str,
    tag: &str,
    created: Timestamp,
    labels: &[(&str, &str)],
) -> Result<String, PushError> {
    let address = |e| PushError::Address(base_url.into(), e);
    let base = Url::parse(base_url).and_then(|base| base.join(&format!("/v2/{repository}/"))).map_err(address)?;
    let client = Client::builder().timeout(Duration::from_secs(30)).build()?;
    let image = image::build(created, labels);
    for (digest, bytes) in image.blobs {
        let what = format!("{repository}@{digest}");
        let start = client.post(base.join("blobs/uploads/").map_err(address)?);
        let answer = expect(start, StatusCode::ACCEPTED, &what).await?;
        let location = answer.headers().get(LOCATION).and_then(|l| l.to_str().ok());
        let location = location.and_then(|l| base.join(l).ok());
        let mut location = location.ok_or_else(|| PushError::Location { what: what.clone() })?;
        location.query_pairs_mut().append_pair("digest", &digest);
        let upload = client.put(location).header(CONTENT_TYPE, "application/octet-stream").body(bytes);
        expect(upload, StatusCode::CREATED, &what).await?;
    }
    let manifest = client.put(base.join(&format!("manifests/{tag}")).map_err(address)?);
    let manifest = manifest.header(CONTENT_TYPE, MANIFEST_TYPE).body(image.manifest);
    expect(manifest, StatusCode::CREATED, &format!("{repository}:{tag}")).await?;
    Ok(image.digest)
}

async fn expect(request: RequestBuilder, expected: StatusCode, what: &str) -> Result<Response, PushError> {
    let answer = request.send().await?;
    if answer.status() == expected {
        return Ok(answer);
    }
    let found = answer.status().as_u16();
    let body = answer.text().await.unwrap_or_default();
    Err(PushError::Status { what: what.into(), expected: expected.as_u16(), found, body })
}
