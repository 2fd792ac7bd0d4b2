//! Which registries the command line asks, and how: a person runs it by hand, so what `docker pull` would ask without
//! further settings is asked, and nothing of the own network besides.

use super::Failure;
use crate::{
    adapters::registry::{Credentials, Reach, Registry},
    engine::{
        config::{self, Config},
        image::{Repository, Tag},
    },
};
use std::net::IpAddr;
use tokio::runtime::{Builder, Runtime};

/// Said by the commands that ask registries.
pub const ASKED: &str = "Registries are asked without credentials: public ones over HTTPS; localhost and 127.0.0.0/8 \
                         over plain HTTP, as docker does; others with a private address only where butler.yaml names \
                         them under `registries`.\n\n\
                         A registry that does not answer fails nothing: the lines of its images are skipped as \
                         `registry-unavailable`, stderr says at the end what was not asked, and the exit code is 0. \
                         Where tags are given by hand no registry is asked at all: the lines of other images are skipped \
                         as `not-given`.\n\n\
                         Neither butler's memory nor the branch's history is read: what people declined or hold, and \
                         lines that changed too often, only the server leaves out (`declined`, `held`, \
                         `circuit-breaker`).";

/// A runtime, and a client for the registries of these images and of butler.yaml.
pub fn connect<'a>(
    images: impl IntoIterator<Item = &'a Repository>,
    config: &Config,
) -> Result<(Runtime, Registry), Failure> {
    let local = images.into_iter().map(Repository::host).filter(|host| is_loopback(host));
    let mut known: Vec<_> = local.map(|host| Credentials::anonymous(host).over_http()).collect();
    known.extend(config.registries.iter().filter_map(|registry| match registry {
        config::Registry::Host(host) if !is_loopback(host) => Some(Credentials::anonymous(host)),
        _ => None,
    }));
    ready(known)
}

/// The tags of one image, asked of its registry. Its host was named by hand: it may have any address.
pub fn tags_of(repository: &Repository) -> anyhow::Result<Vec<Tag>> {
    let named = Credentials::anonymous(repository.host());
    let named = if is_loopback(repository.host()) { named.over_http() } else { named };
    let (runtime, registry) = ready(vec![named])?;
    runtime.block_on(registry.tags(repository)).map_err(|error| anyhow::anyhow!("{}", error.asked_once()))
}

fn ready(known: Vec<Credentials>) -> Result<(Runtime, Registry), Failure> {
    let runtime = Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|error| Failure::Other(anyhow::Error::new(error).context("cannot start the network runtime")))?;
    let registry = Registry::new(known, Reach::Public).map_err(|error| Failure::Other(error.into()))?;
    Ok((runtime, registry))
}

/// Whether a registry's host, with or without a port, is this machine by its very spelling. A name that resolves to
/// loopback is not.
fn is_loopback(host: &str) -> bool {
    let name = match host.strip_prefix('[') {
        Some(rest) => rest.split(']').next().unwrap_or(rest),
        None => host.split(':').next().unwrap_or(host),
    };
    name.eq_ignore_ascii_case("localhost") || name.parse::<IpAddr>().is_ok_and(|address| address.is_loopback())
}

#[cfg(test)]
mod tests {
    use super::is_loopback;

    #[test]
    fn hosts_on_this_machine() {
        for (host, expected) in [
            ("localhost", true),
            ("LOCALHOST:5000", true),
            ("127.0.0.1", true),
            ("127.1.2.3:5000", true),
            ("[::1]:5000", true),
            ("docker.io", false),
            ("localhost.example.com", false),
            ("127.0.0.1.example.com:5000", false),
            ("10.0.0.1:5000", false),
            ("0.0.0.0:5000", false),
            ("[fe80::1]:5000", false),
        ] {
            assert_eq!(is_loopback(host), expected, "{host}");
        }
    }
}
