//! SDP capability negotiation (RFC 5939): of an offer's potential configurations the one that only adds RTCP feedback, `RTP/AVPF` in place
//! of `RTP/AVP`, is taken up. That is how mobile networks offer video.
#![deny(clippy::arithmetic_side_effects)]

/// Most capabilities and configurations of an m-line that are looked at.
const MOST: usize = 32;

/// A potential configuration that is taken.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Potential {
    /// Its transport protocol.
    pub proto: String,
    /// What `a=acfg` says of it (§3.5.2).
    pub acfg: String,
    /// Values of `a=rtcp-fb` that come with it.
    pub feedback: Vec<String>,
}

/// Values of the attributes in question: those of the session, then those of the media. Numbers are unique over both (§3.4).
pub(crate) struct Said<'a> {
    pub transports: Vec<&'a str>,
    pub attributes: Vec<&'a str>,
    pub configurations: Vec<&'a str>,
    /// `a=creq`: what an answerer must support to use any of it.
    pub required: Vec<&'a str>,
}

impl Said<'_> {
    /// The one to take: of those that can be taken the one with the lowest number, which the offerer likes best (§3.5.1).
    pub fn pick(&self) -> Option<Potential> {
        let known = |option: &str| option.trim() == "cap-v0";
        if !self.required.iter().flat_map(|list| list.split(',')).all(known) {
            return None;
        }
        let numbered = self
            .configurations
            .iter()
            .take(MOST)
            .filter_map(|value| numbered(value));
        let takeable = numbered.filter_map(|(number, rest)| Some((number, self.take(number, rest)?)));
        takeable.min_by_key(|(number, _)| *number).map(|(_, taken)| taken)
    }

    fn take(&self, number: u32, configuration: &str) -> Option<Potential> {
        let mut transport = None;
        let mut attributes = None;
        for part in configuration.split_whitespace() {
            let (name, value) = part.split_once('=')?;
            match name {
                "t" => transport = Some(value),
                "a" => attributes = Some(value),
                // An extension that must be understood; others need not be (§3.5.1).
                mandatory if mandatory.starts_with('+') => return None,
                _ => {}
            }
        }
        let (t, proto) = transport?
            .split('|')
            .find_map(|t| Some((t, self.transport(t.parse().ok()?)?)).filter(|(_, proto)| *proto == "RTP/AVPF"))?;
        let (a, feedback) = match attributes {
            None => (None, Vec::new()),
            Some(value) => {
                let mut alternatives = value.split('|');
                let (a, feedback) = alternatives.find_map(|a| Some((a, self.feedback(a)?)))?;
                (Some(a), feedback)
            }
        };
        let a = a.map(|a| format!(" a={a}")).unwrap_or_default();
        Some(Potential {
            proto: proto.to_owned(),
            acfg: format!("{number} t={t}{a}"),
            feedback,
        })
    }

    /// The transport protocol of a number: each line numbers its protocols onwards from its first (§3.4.2).
    fn transport(&self, wanted: u32) -> Option<&str> {
        let lines = self.transports.iter().take(MOST).filter_map(|value| numbered(value));
        let all = lines.flat_map(|(first, protos)| (first..).zip(protos.split_whitespace()));
        all.filter(|(number, _)| *number == wanted)
            .map(|(_, proto)| proto)
            .next()
    }

    /// What attribute capabilities of a configuration say of RTCP feedback; `None` when one is of something else, is missing, or
    /// when attributes are to be taken away.
    fn feedback(&self, numbers: &str) -> Option<Vec<String>> {
        let capability = |wanted: u32| {
            let mut all = self.attributes.iter().take(MOST).filter_map(|value| numbered(value));
            all.find(|(number, _)| *number == wanted)
                .map(|(_, attribute)| attribute)
        };
        let each = numbers.split(',').map(|number| {
            let attribute = capability(number.parse().ok()?)?;
            attribute.trim().strip_prefix("rtcp-fb:").map(str::to_owned)
        });
        each.collect()
    }
}

/// A number and what follows it.
fn numbered(value: &str) -> Option<(u32, &str)> {
    let value = value.trim_start();
    let (number, rest) = value.split_once(char::is_whitespace).unwrap_or((value, ""));
    // The greatest number that is allowed (§3.4.1).
    number.parse().ok().filter(|n| *n <= i32::MAX as u32).map(|n| (n, rest))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pick(transports: &[&str], attributes: &[&str], configurations: &[&str], required: &[&str]) -> Option<String> {
        let said = Said {
            transports: transports.to_vec(),
            attributes: attributes.to_vec(),
            configurations: configurations.to_vec(),
            required: required.to_vec(),
        };
        said.pick().map(|taken| {
            assert_eq!(taken.proto, "RTP/AVPF");
            taken.acfg
        })
    }

    #[test]
    fn the_configuration_with_feedback_is_taken() {
        assert_eq!(pick(&["1 RTP/AVPF"], &[], &["1 t=1"], &[]).as_deref(), Some("1 t=1"));
        // Several in a line count onwards; the lowest configuration that can be taken counts.
        let several = ["1 RTP/SAVPF RTP/SAVP RTP/AVPF"];
        let configurations = ["5 t=3", "1 t=1|2", "3 t=1|3"];
        assert_eq!(
            pick(&several, &[], &configurations, &["cap-v0"]).as_deref(),
            Some("3 t=3")
        );
        let feedback = [
            "1 rtcp-fb:* nack",
            "2 rtcp-fb:* ccm fir",
            "3 crypto:1 AES_CM_128_HMAC_SHA1_80 inline:x",
        ];
        assert_eq!(
            pick(&["7 RTP/AVPF"], &feedback, &["1 a=1,3|1,2 t=7 x=y"], &[]).as_deref(),
            Some("1 t=7 a=1,2")
        );
    }

    #[test]
    fn others_are_left() {
        for (transport, configuration, required) in [
            ("1 RTP/SAVP", "1 t=1", "cap-v0"),
            ("1 RTP/AVPF", "1 t=2", "cap-v0"),
            ("1 RTP/AVPF", "1 t=1 +m=1", "cap-v0"),
            ("1 RTP/AVPF", "1 t=1 a=-m:1", "cap-v0"),
            ("1 RTP/AVPF", "1 t=1 a=9", "cap-v0"),
            ("1 RTP/AVPF", "1", "cap-v0"),
            ("1 RTP/AVPF", "x t=1", "cap-v0"),
            ("1 RTP/AVPF", "1 t=1", "cap-v0,med-v0"),
            ("4294967295 RTP/AVPF", "1 t=4294967295", "cap-v0"),
        ] {
            let attributes = ["1 rtcp-fb:* nack"];
            assert_eq!(
                pick(&[transport], &attributes, &[configuration], &[required]),
                None,
                "{configuration}"
            );
        }
        assert_eq!(pick(&[], &[], &[], &[]), None);
    }
}
