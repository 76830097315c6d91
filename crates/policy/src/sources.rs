//! Networks as a profile names them.

use std::net::IpAddr;

use ipnet::IpNet;
use serde::{Deserialize, Deserializer};

/// One network; why it is none is told in words.
#[derive(Deserialize)]
#[serde(try_from = "String")]
struct Source(IpNet);

impl TryFrom<String> for Source {
    type Error = String;

    fn try_from(text: String) -> Result<Source, String> {
        text.parse().map(Source).map_err(|_| no_network(&text))
    }
}

/// Why a text is no network.
fn no_network(text: &str) -> String {
    let (address, prefix) = match text.split_once('/') {
        Some((address, prefix)) => (address, Some(prefix)),
        None => (text, None),
    };
    let Ok(ip) = address.parse::<IpAddr>() else {
        return format!("{text:?} is no network, which is an address, \"/\" and a prefix length");
    };
    let (family, longest) = if ip.is_ipv4() { ("IPv4", 32) } else { ("IPv6", 128) };
    match prefix {
        Some(_) => format!("{text:?} is no network: prefixes of {family} go from /0 to /{longest}"),
        None => format!("{text:?} lacks its prefix length: that address alone is \"{address}/{longest}\""),
    }
}

/// Reads the list.
pub(crate) fn read<'de, D: Deserializer<'de>>(from: D) -> Result<Vec<IpNet>, D::Error> {
    let sources = Vec::<Source>::deserialize(from)?;
    Ok(sources.into_iter().map(|Source(net)| net).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_no_network_is_told_why() {
        for (text, why) in [
            (
                "127.0.0.0/33",
                "\"127.0.0.0/33\" is no network: prefixes of IPv4 go from /0 to /32",
            ),
            ("::1/129", "prefixes of IPv6 go from /0 to /128"),
            ("10.0.0.0/", "prefixes of IPv4"),
            ("10.0.0.7", "that address alone is \"10.0.0.7/32\""),
            ("::1", "that address alone is \"::1/128\""),
            (
                "pbx.example.com",
                "\"pbx.example.com\" is no network, which is an address",
            ),
            ("", "is no network"),
        ] {
            let refused = Source::try_from(text.to_owned()).err().unwrap();
            assert!(refused.contains(why), "{refused}");
        }
        assert_eq!(Source::try_from("10.0.0.0/8".to_owned()).unwrap().0.prefix_len(), 8);
    }
}
