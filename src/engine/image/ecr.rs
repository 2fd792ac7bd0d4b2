//! What the host of an image says about Amazon's registries.
//! <https://docs.aws.amazon.com/general/latest/gr/ecr.html>

/// Domains that ECR answers under, with what stands between account and region.
const DOMAINS: [(&str, &[&str]); 2] = [
    (
        ".dkr.ecr",
        &["amazonaws.com", "amazonaws.com.cn", "sc2s.sgov.gov", "c2s.ic.gov", "cloud.adc-e.uk", "csp.hci.ic.gov"],
    ),
    (".dkr-ecr", &["on.aws", "on.amazonwebservices.com.cn"]),
];

/// The public registry, which has no region of its own.
const PUBLIC: &str = "public.ecr.aws";

/// The region of an ECR host: `us-east-2` for `283234040926.dkr.ecr.us-east-2.amazonaws.com`; `public.ecr.aws` for
/// itself; `None` for any other registry.
pub fn ecr_region(host: &str) -> Option<&str> {
    if host == PUBLIC {
        return Some(PUBLIC);
    }
    DOMAINS.iter().find_map(|(service, domains)| {
        let (account, rest) = host.split_once(service)?;
        let rest = rest.strip_prefix("-fips").unwrap_or(rest).strip_prefix('.')?;
        let (region, domain) = rest.split_once('.')?;
        let known = account.bytes().all(|b| b.is_ascii_digit()) && !account.is_empty() && domains.contains(&domain);
        (known && !region.is_empty()).then_some(region)
    })
}

/// The host of an account's private registry.
pub fn ecr_host(account: &str, region: &str) -> String {
    let domain = if region.starts_with("cn-") { "amazonaws.com.cn" } else { "amazonaws.com" };
    format!("{account}.dkr.ecr.{region}.{domain}")
}

#[cfg(test)]
mod tests {
    use super::ecr_region;

    #[test]
    fn regions() {
        let cases = [
            ("283234040926.dkr.ecr.us-east-2.amazonaws.com", Some("us-east-2")),
            ("283234040926.dkr.ecr-fips.us-gov-west-1.amazonaws.com", Some("us-gov-west-1")),
            ("283234040926.dkr.ecr.cn-north-1.amazonaws.com.cn", Some("cn-north-1")),
            ("283234040926.dkr-ecr.eu-west-1.on.aws", Some("eu-west-1")),
            ("283234040926.dkr-ecr-fips.us-east-1.on.aws", Some("us-east-1")),
            ("public.ecr.aws", Some("public.ecr.aws")),
            ("283234040926.dkr.ecr.us-east-2.amazonaws.com.example.com", None),
            ("283234040926.dkr.ecr.us-east-2.on.aws", None),
            ("283234040926.dkr.ecr..amazonaws.com", None),
            ("283234040926.dkr.ecr.amazonaws.com", None),
            ("283234040926.dkr.ecrus-east-2.amazonaws.com", None),
            ("account.dkr.ecr.us-east-2.amazonaws.com", None),
            (".dkr.ecr.us-east-2.amazonaws.com", None),
            ("ghcr.io", None),
            ("", None),
        ];
        for (host, expected) in cases {
            assert_eq!(ecr_region(host), expected, "{host}");
        }
    }
}
