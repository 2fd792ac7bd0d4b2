//! Where requests may go. An image line in a repository names a host, and whoever writes that line must not be able to
//! make butler ask services of its own network (SSRF): only hosts that the settings name, or public addresses over
//! HTTPS, are asked. The check of the name happens before a request, the check of the address when the name is
//! resolved, so that a public name with a private address does not pass either.

use super::Credentials;
use reqwest::dns::{Addrs, Name, Resolve, Resolving};
use std::{
    collections::{BTreeMap, BTreeSet},
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr},
};
use url::{Host, Url};

/// Which registries may be asked besides the configured ones.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Reach {
    /// Every registry at a public address, over HTTPS.
    #[default]
    Public,
    /// These hosts only (`quay.io`, `registry.example.com:5000`), over HTTPS and at public addresses.
    Only(BTreeSet<String>),
}

/// Where one registry is asked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Endpoint {
    /// As in image references: `docker.io`.
    pub host: String,
    /// Scheme, host and port: `https://registry-1.docker.io/`.
    pub base: Url,
    pub insecure: bool,
}

/// The names under which Docker Hub is known; the first is the one in normalised references.
const DOCKER_HUB: [&str; 3] = ["docker.io", "index.docker.io", "registry-1.docker.io"];

/// A registry's host as image references spell it.
pub(super) fn reference_host(host: &str) -> String {
    let host = host.trim().to_ascii_lowercase();
    if DOCKER_HUB.contains(&host.as_str()) { DOCKER_HUB[0].into() } else { host }
}

/// The settings' view on addresses.
#[derive(Clone, Debug)]
pub(super) struct Addresses {
    /// Host (with port) -> plain HTTP.
    configured: BTreeMap<String, bool>,
    reach: Reach,
}

impl Addresses {
    pub fn new(credentials: &[Credentials], reach: Reach) -> Self {
        let configured = credentials.iter().map(|c| (reference_host(&c.host), c.insecure)).collect();
        let reach = match reach {
            Reach::Public => Reach::Public,
            Reach::Only(hosts) => Reach::Only(hosts.iter().map(|h| reference_host(h)).collect()),
        };
        Addresses { configured, reach }
    }

    /// Where the registry of an image reference is asked; the reason where it may not be.
    pub fn endpoint(&self, host: &str) -> Result<Endpoint, String> {
        let host = reference_host(host);
        let configured = self.configured.get(&host).copied();
        if configured.is_none()
            && let Reach::Only(hosts) = &self.reach
            && !hosts.contains(&host)
        {
            return Err(format!("{host} is not among the registries that the settings allow"));
        }
        let insecure = configured.unwrap_or(false);
        let scheme = if insecure { "http" } else { "https" };
        let name = if host == DOCKER_HUB[0] { DOCKER_HUB[2] } else { &host };
        let base = Url::parse(&format!("{scheme}://{name}/"))
            .ok()
            .filter(|url| url.path() == "/" && url.username().is_empty() && url.password().is_none())
            .ok_or_else(|| format!("expected a registry's host, found {host:?}"))?;
        self.check(&base)?;
        Ok(Endpoint { host, base, insecure })
    }

    /// Whether a request may go to this address: a configured host, or a public one over HTTPS. Names are checked once
    /// more when they are resolved.
    pub fn check(&self, url: &Url) -> Result<(), String> {
        let authority = reference_host(&authority(url));
        let ip = match url.host() {
            Some(Host::Ipv4(ip)) => Some(IpAddr::V4(ip)),
            Some(Host::Ipv6(ip)) => Some(IpAddr::V6(ip)),
            Some(Host::Domain(_)) => None,
            None => return Err("expected an address with a host".into()),
        };
        match (self.configured.get(&authority), url.scheme(), ip) {
            (Some(_), "https", _) | (Some(true), "http", _) => Ok(()),
            (_, "https", Some(ip)) if !public(ip) => Err(not_public(&authority)),
            (_, "https", _) => Ok(()),
            (_, scheme, _) => Err(format!("expected https for {authority}, found {scheme}")),
        }
    }

    /// Whether the settings name this address's host.
    pub fn is_configured(&self, url: &Url) -> bool {
        self.configured.contains_key(&reference_host(&authority(url)))
    }
}

/// Host and, where it is not the scheme's own, port.
pub(super) fn authority(url: &Url) -> String {
    match (url.host_str(), url.port()) {
        (Some(host), Some(port)) => format!("{host}:{port}"),
        (host, _) => host.unwrap_or_default().into(),
    }
}

fn not_public(host: &str) -> String {
    format!(
        "{host} is a loopback, private or reserved address; name the host in the registries' settings if it is meant"
    )
}

/// Resolves names, and gives only public addresses for those that the settings do not name.
#[derive(Clone, Debug)]
pub(super) struct Resolver {
    /// Names without port: configured registries, and the proxies of the environment.
    trusted: BTreeSet<String>,
}

/// The name has no address that may be asked.
#[derive(Debug, thiserror::Error)]
#[error("{}", not_public(.0))]
pub(super) struct NotPublic(String);

impl Resolver {
    /// `proxies` are the addresses of the environment's HTTP proxies, which usually are private.
    pub fn new(addresses: &Addresses, proxies: impl IntoIterator<Item = String>) -> Self {
        let configured = addresses.configured.keys().filter_map(|host| Url::parse(&format!("https://{host}/")).ok());
        let proxies = proxies.into_iter().filter_map(|proxy| {
            Url::parse(&proxy).ok().filter(Url::has_host).or_else(|| Url::parse(&format!("http://{proxy}")).ok())
        });
        let trusted = configured.chain(proxies).filter_map(|url| url.host_str().map(str::to_owned)).collect();
        Resolver { trusted }
    }
}

impl Resolve for Resolver {
    fn resolve(&self, name: Name) -> Resolving {
        let host = name.as_str().to_ascii_lowercase();
        let trusted = self.trusted.contains(&host);
        Box::pin(async move {
            let mut found: Vec<SocketAddr> = tokio::net::lookup_host((host.as_str(), 0)).await?.collect();
            if !trusted {
                found.retain(|address| public(address.ip()));
                if found.is_empty() {
                    return Err(NotPublic(host).into());
                }
            }
            Ok(Box::new(found.into_iter()) as Addrs)
        })
    }
}

/// Whether an address is one of the public internet, by IANA's special-purpose address registries (RFC 6890). The
/// standard library's `is_global` is not stable.
fn public(ip: IpAddr) -> bool {
    match ip {
        IpAddr::V4(ip) => public_v4(ip),
        IpAddr::V6(ip) => public_v6(ip),
    }
}

fn public_v4(ip: Ipv4Addr) -> bool {
    let [a, b, c, _] = ip.octets();
    let shared = a == 100 && (64..128).contains(&b);
    let protocol_assignments = (a, b, c) == (192, 0, 0);
    let benchmarks = a == 198 && (18..20).contains(&b);
    !(a == 0
        || a >= 224
        || ip.is_loopback()
        || ip.is_private()
        || ip.is_link_local()
        || ip.is_documentation()
        || shared
        || protocol_assignments
        || benchmarks)
}

fn public_v6(ip: Ipv6Addr) -> bool {
    let segments = ip.segments();
    let embedded = |high: u16, low: u16| {
        let ([a, b], [c, d]) = (high.to_be_bytes(), low.to_be_bytes());
        public_v4(Ipv4Addr::new(a, b, c, d))
    };
    match segments {
        [0, 0, 0, 0, 0, 0xffff, high, low] | [0x64, 0xff9b, 0, 0, 0, 0, high, low] | [0x2002, high, low, ..] => {
            embedded(high, low)
        }
        [0x2001, 0x0db8, ..] => false,
        // 2001::/23: Teredo and other protocols' own addresses.
        [0x2001, second, ..] if second < 0x200 => false,
        // Global unicast is 2000::/3; everything else is local, multicast or not assigned.
        [first, ..] => first & 0xe000 == 0x2000,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn addresses(reach: Reach) -> Addresses {
        let local = Credentials::anonymous("127.0.0.1:5000").over_http();
        let hub = Credentials::anonymous("index.docker.io");
        let inside = Credentials::anonymous("harbor.corp.example");
        Addresses::new(&[local, hub, inside], reach)
    }

    #[test]
    fn addresses_of_the_public_internet() {
        #[rustfmt::skip]
        let table = [
            ("8.8.8.8", true), ("127.0.0.1", false), ("10.1.2.3", false), ("172.16.0.1", false), ("172.32.0.1", true),
            ("192.168.1.1", false), ("169.254.169.254", false), ("100.64.0.1", false), ("100.128.0.1", true),
            ("0.0.0.0", false), ("255.255.255.255", false), ("224.0.0.1", false), ("192.0.0.8", false),
            ("198.18.0.1", false), ("203.0.113.7", false),
            ("2606:4700::1111", true), ("::1", false), ("::", false), ("fe80::1", false), ("fc00::1", false),
            ("::ffff:10.0.0.1", false), ("::ffff:8.8.8.8", true), ("64:ff9b::7f00:1", false), ("2002:7f00:1::", false),
            ("2001:db8::1", false), ("2001::1", false), ("ff02::1", false),
        ];
        for (text, expected) in table {
            assert_eq!(public(text.parse().unwrap()), expected, "{text}");
        }
    }

    #[test]
    fn hosts_that_may_be_asked() {
        let only = || Reach::Only(["quay.io".to_owned()].into());
        #[rustfmt::skip]
        let table = [
            (Reach::Public, "quay.io", Ok("https://quay.io/")),
            (Reach::Public, "docker.io", Ok("https://registry-1.docker.io/")),
            (Reach::Public, "registry.example.com:5000", Ok("https://registry.example.com:5000/")),
            (Reach::Public, "127.0.0.1:5000", Ok("http://127.0.0.1:5000/")),
            (Reach::Public, "127.0.0.1:5001", Err("127.0.0.1:5001 is a loopback, private or reserved address; name the host in the registries' settings if it is meant")),
            (Reach::Public, "[::1]:80", Err("[::1]:80 is a loopback, private or reserved address; name the host in the registries' settings if it is meant")),
            (Reach::Public, "0x7f.1", Err("127.0.0.1 is a loopback, private or reserved address; name the host in the registries' settings if it is meant")),
            (Reach::Public, "user@quay.io", Err("expected a registry's host, found \"user@quay.io\"")),
            (Reach::Public, "quay.io/x", Err("expected a registry's host, found \"quay.io/x\"")),
            (only(), "quay.io", Ok("https://quay.io/")),
            (only(), "docker.io", Ok("https://registry-1.docker.io/")),
            (only(), "ghcr.io", Err("ghcr.io is not among the registries that the settings allow")),
        ];
        for (reach, host, expected) in table {
            let found = addresses(reach).endpoint(host).map(|e| e.base.to_string());
            assert_eq!(found.as_deref().map_err(String::as_str), expected, "{host}");
        }
    }

    #[test]
    fn plain_http_only_where_the_settings_say_so() {
        let table = [
            ("http://127.0.0.1:5000/v2/", true),
            ("http://quay.io/v2/", false),
            ("http://harbor.corp.example/", false),
            ("https://harbor.corp.example/", true),
            ("https://169.254.169.254/latest/meta-data", false),
            ("ftp://quay.io/", false),
        ];
        for (url, expected) in table {
            assert_eq!(addresses(Reach::Public).check(&Url::parse(url).unwrap()).is_ok(), expected, "{url}");
        }
    }

    #[tokio::test]
    async fn a_name_with_a_private_address_is_refused_unless_configured() {
        let resolve = |hosts: &[Credentials], proxies: &[&str]| {
            let proxies = proxies.iter().map(|p| p.to_string()).collect::<Vec<_>>();
            Resolver::new(&Addresses::new(hosts, Reach::Public), proxies).resolve("localhost".parse().unwrap())
        };
        assert!(resolve(&[], &[]).await.is_err());
        assert!(resolve(&[Credentials::anonymous("localhost:5000")], &[]).await.is_ok());
        assert!(resolve(&[], &["http://localhost:3128"]).await.is_ok());
        assert!(resolve(&[], &["localhost:3128"]).await.is_ok());
    }
}
