//! Whether passwords of people go where everybody reads them.

use std::net::IpAddr;

use super::Warning;
use crate::config::Config;

/// Pages that people reach by `http://`. What stays on this machine is read by nobody else.
pub(super) fn check(config: &Config) -> Option<Warning> {
    let public = config.http.public.as_ref().filter(|public| !public.is_https())?;
    let host = public.host().trim_start_matches('[').trim_end_matches(']');
    let is_here = host.eq_ignore_ascii_case("localhost") || host.parse().is_ok_and(|ip: IpAddr| ip.is_loopback());
    (!is_here).then(|| {
        let place = config.place(&["http.public"]);
        Warning::new(
            format!("{place}http.public = \"{public}\": passwords, cookies and messages go in clear: who is on the way reads them"),
            "put a proxy that does TLS in front, and name its address: https:// (docs/web.md)",
        )
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pages_in_clear_are_warned_of_unless_they_stay_here() {
        let warned = |public: &str| {
            let mut config = Config::default();
            config.http.public = Some(public.parse().unwrap());
            check(&config).map(|warning| warning.to_string())
        };
        for good in [
            "https://voice.example.com",
            "http://localhost:8080",
            "http://127.0.0.1",
            "http://[::1]:8080",
        ] {
            assert_eq!(warned(good), None, "{good}");
        }
        for open in [
            "http://voice.example.com",
            "http://192.0.2.1:8080",
            "http://[2001:db8::1]",
        ] {
            let said = warned(open).unwrap();
            assert!(said.contains(open) && said.contains("https://"), "{said}");
        }
        assert_eq!(check(&Config::default()), None);
    }
}
