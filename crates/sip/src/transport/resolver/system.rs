//! What this machine says of names: `/etc/resolv.conf` and `/etc/hosts`.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};

use crate::{Question, Record};

/// Servers of `/etc/resolv.conf` that are asked (resolv.conf(5)).
const SERVERS_MAX: usize = 3;
/// A longer file is not looked through.
const HOSTS_BYTES_MAX: u64 = 1 << 20;

/// The name servers of this machine; without any the one here, as resolv.conf(5) says.
pub(super) fn servers() -> Vec<SocketAddr> {
    let text = std::fs::read_to_string("/etc/resolv.conf").unwrap_or_default();
    let servers = named(&text);
    if servers.is_empty() {
        return vec![SocketAddr::from((Ipv4Addr::LOCALHOST, 53))];
    }
    servers
}

fn named(text: &str) -> Vec<SocketAddr> {
    let of = |line: &str| {
        let mut words = line.split_whitespace();
        let ip = (words.next() == Some("nameserver")).then(|| words.next()).flatten()?;
        Some(SocketAddr::new(ip.parse().ok()?, 53))
    };
    text.lines().filter_map(of).take(SERVERS_MAX).collect()
}

/// The addresses that `/etc/hosts` has for a name; `None`: it has none of either family.
pub(super) async fn hosts(question: &Question) -> Option<Vec<Record>> {
    let ipv4 = match question {
        Question::A(_) => true,
        Question::Aaaa(_) => false,
        Question::Naptr(_) | Question::Srv(_) => return None,
    };
    // Small, and read as often as it may change; not on this thread, which carries calls.
    let read = tokio::task::spawn_blocking(|| {
        let size = std::fs::metadata("/etc/hosts").ok()?.len();
        (size <= HOSTS_BYTES_MAX).then(|| std::fs::read_to_string("/etc/hosts").ok())?
    });
    let text = read.await.ok()??;
    let all = addresses(&text, question.name());
    let fits = all.iter().filter(|ip| ip.is_ipv4() == ipv4);
    (!all.is_empty()).then(|| fits.map(|ip| Record::Address(*ip)).collect())
}

fn addresses(text: &str, name: &str) -> Vec<IpAddr> {
    let of = |line: &str| {
        let line = line.split('#').next().unwrap_or_default();
        let mut words = line.split_whitespace();
        let ip = words.next()?.parse().ok()?;
        words.any(|word| word.eq_ignore_ascii_case(name)).then_some(ip)
    };
    text.lines().filter_map(of).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn name_servers_and_hosts_are_read_as_the_system_does() {
        let text =
            "# nameserver 192.0.2.9\nsearch example.com\nnameserver 192.0.2.1\nnameserver\t2001:db8::1\noptions x\n";
        let servers = named(text);
        assert_eq!(
            servers,
            ["192.0.2.1:53".parse().unwrap(), "[2001:db8::1]:53".parse().unwrap()]
        );
        let hosts = "127.0.0.1 localhost\n192.0.2.7\tpbx.example.com PBX # the office\n2001:db8::7 pbx\n";
        let ips = addresses(hosts, "pbx");
        assert_eq!(
            ips,
            ["192.0.2.7".parse::<IpAddr>().unwrap(), "2001:db8::7".parse().unwrap()]
        );
        assert!(addresses(hosts, "office").is_empty());
    }
}
