//! Notices by webhook: a signed POST of JSON, as Standard Webhooks 1.0 has it (standardwebhooks.com).
//!
//! `webhook-id` is the notice's key, the same for each attempt; `webhook-signature` is `v1,` and the HMAC-SHA256 of id, timestamp and body with
//! full stops between, in Base64, for each secret. `webhook-timestamp` is that of the attempt.

use std::{fmt, net::IpAddr, time::Duration};

use base64::{Engine, engine::general_purpose::STANDARD};
use hyper::Uri;
use ipnet::IpNet;
use ring::hmac;
use segue_records::UnixMs;
use segue_store::Due;
use serde_json::{Value, json};
use tokio_rustls::rustls::{
    RootCertStore,
    pki_types::{CertificateDer, pem::PemObject},
};

use super::{
    Outcome, Settings,
    http::{Answer, Client, Unanswered},
};

/// In front of a secret.
const PREFIX: &str = "whsec_";
/// Bytes of a secret.
const SECRET_BYTES: std::ops::RangeInclusive<usize> = 24..=64;

/// What webhooks are signed with: the first one now, others until receivers have learnt it.
#[derive(Clone)]
pub struct Secrets(Vec<hmac::Key>);

impl fmt::Debug for Secrets {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} secrets", self.0.len())
    }
}

impl Secrets {
    /// One a line: `whsec_` and 24 to 64 bytes in Base64. Errors do not repeat a secret.
    pub fn parse(text: &str) -> Result<Secrets, String> {
        let lines: Vec<&str> = text.lines().map(str::trim).filter(|line| !line.is_empty()).collect();
        let key = |line: &&str| {
            let bytes = line.strip_prefix(PREFIX).and_then(|rest| STANDARD.decode(rest).ok());
            let bytes = bytes.filter(|bytes| SECRET_BYTES.contains(&bytes.len()));
            bytes
                .map(|bytes| hmac::Key::new(hmac::HMAC_SHA256, &bytes))
                .ok_or_else(|| format!("a secret is {PREFIX} and 24 to 64 bytes in Base64, one a line"))
        };
        let keys = lines.iter().map(key).collect::<Result<Vec<_>, _>>()?;
        if keys.is_empty() {
            return Err("there is no secret in it".to_owned());
        }
        Ok(Secrets(keys))
    }

    /// The value of `webhook-signature`.
    fn sign(&self, id: &str, timestamp: i64, body: &[u8]) -> String {
        let signed = [format!("{id}.{timestamp}.").as_bytes(), body].concat();
        let signatures = self.0.iter().map(|key| {
            let signature = hmac::sign(key, &signed);
            format!("v1,{}", STANDARD.encode(signature))
        });
        signatures.collect::<Vec<_>>().join(" ")
    }
}

/// Calls webhooks.
pub struct Hook {
    url: Option<String>,
    secrets: Secrets,
    client: Client,
}

impl fmt::Debug for Hook {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Hook").field("url", &self.url).finish_non_exhaustive()
    }
}

impl Hook {
    /// `url`: where those are whose recipients name none. `allow`: networks that are not public and may be called. `roots`: PEM of the roots that
    /// servers' certificates must come from; `None`: the system's.
    ///
    /// # Errors
    /// What is wrong with the roots.
    pub fn new(url: Option<String>, secrets: Secrets, allow: Vec<IpNet>, roots: Option<&[u8]>) -> Result<Hook, String> {
        Ok(Hook {
            url,
            secrets,
            client: Client::new(allow, store_of(roots)?)?,
        })
    }

    /// Whether this address may be called.
    pub(super) fn may_call(&self, ip: IpAddr) -> bool {
        self.client.may(ip)
    }

    pub(super) async fn send(&self, due: &Due, settings: &Settings, now: UnixMs) -> Outcome {
        let Some(url) = due.notify.webhook.as_ref().or(self.url.as_ref()) else {
            let why = "no webhook is known: set webhook.url, or the subscriber's with --webhook";
            return Outcome::Again(why.to_owned(), None);
        };
        let uri: Uri = match url.parse() {
            Ok(uri) => uri,
            Err(e) => return Outcome::Dead(format!("{url}: {e}")),
        };
        let body = body(due, settings).to_string().into_bytes();
        let timestamp = now.0.div_euclid(1_000);
        let headers = [
            ("webhook-id", due.key.clone()),
            ("webhook-timestamp", timestamp.to_string()),
            ("webhook-signature", self.secrets.sign(&due.key, timestamp, &body)),
        ];
        outcome(self.client.post(&uri, &headers, body).await)
    }
}

fn outcome(answered: Result<Answer, Unanswered>) -> Outcome {
    let answer = match answered {
        Ok(answer) => answer,
        Err(Unanswered::Forbidden(why)) => return Outcome::Dead(why),
        Err(Unanswered::Failed(why)) => return Outcome::Again(why, None),
    };
    let said = match answer.begins.as_str() {
        "" => answer.status.to_string(),
        begins => format!("{} {begins}", answer.status),
    };
    match answer.status {
        200..=299 => Outcome::Sent(answer.status.to_string()),
        // "the endpoint is gone and no longer wishes to receive".
        410 => Outcome::Dead(said),
        300..=399 => Outcome::Again(format!("{said}: redirects are not followed"), None),
        _ => Outcome::Again(said, answer.retry_after.filter(|wait| *wait > Duration::ZERO)),
    }
}

fn body(due: &Due, settings: &Settings) -> Value {
    let facts = &due.facts;
    let link = facts.message_id.as_deref().and_then(|id| settings.link_to(id));
    json!({
        "type": facts.event,
        "timestamp": facts.at.rfc3339(),
        "data": {
            "user": due.recipient,
            "mailbox": facts.mailbox,
            "call_id": facts.call_id,
            "sip_call_id": facts.sip_call_id,
            "from": facts.from,
            "from_name": facts.from_name,
            "message_id": facts.message_id,
            "kind": facts.kind,
            "duration_ms": facts.duration_ms,
            "bytes": facts.bytes,
            "link": link,
            "result": facts.result,
            "expires_at": facts.expires_at.map(UnixMs::rfc3339),
            "limit": facts.limit,
        },
    })
}

/// The roots of a PEM file, or the system's.
pub(super) fn store_of(roots: Option<&[u8]>) -> Result<RootCertStore, String> {
    let mut store = RootCertStore::empty();
    let certificates = match roots {
        Some(pem) => CertificateDer::pem_slice_iter(pem)
            .collect::<Result<Vec<_>, _>>()
            .map_err(|e| e.to_string())?,
        None => rustls_native_certs::load_native_certs().certs,
    };
    let (added, _) = store.add_parsable_certificates(certificates);
    if added == 0 && roots.is_some() {
        return Err("there is no certificate in it".to_owned());
    }
    Ok(store)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The example of the Standard Webhooks specification's reference libraries: id, timestamp, body and secret give this signature.
    #[test]
    fn it_is_signed_as_standard_webhooks_has_it() {
        let secrets = Secrets::parse("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw\n").unwrap();
        let signed = secrets.sign(
            "msg_p5jXN8AQM9LWM0D4loKWxJek",
            1_614_265_330,
            br#"{"test": 2432232314}"#,
        );
        assert_eq!(signed, "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=");
    }

    #[test]
    fn each_secret_signs_while_receivers_learn_a_new_one() {
        let two = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw\nwhsec_AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA\n";
        let signed = Secrets::parse(two).unwrap().sign("a", 1, b"{}");
        assert_eq!(signed.split(' ').filter(|one| one.starts_with("v1,")).count(), 2);
    }

    #[test]
    fn secrets_are_long_enough_and_are_not_repeated_in_errors() {
        for wrong in [
            "",
            "\n",
            "sesame",
            "whsec_c2hvcnQ=",
            "whsec_!!!",
            "MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw",
        ] {
            let why = Secrets::parse(wrong).unwrap_err();
            assert!(wrong.trim().is_empty() || !why.contains(wrong), "{why}");
        }
    }

    #[test]
    fn what_an_answer_means() {
        let of = |status: u16, retry_after: Option<u64>| {
            outcome(Ok(Answer {
                status,
                retry_after: retry_after.map(Duration::from_secs),
                begins: String::new(),
            }))
        };
        assert_eq!(of(204, None), Outcome::Sent("204".to_owned()));
        assert_eq!(of(410, None), Outcome::Dead("410".to_owned()));
        assert_eq!(
            of(503, Some(90)),
            Outcome::Again("503".to_owned(), Some(Duration::from_secs(90)))
        );
        assert!(matches!(of(302, None), Outcome::Again(why, None) if why.contains("not followed")));
        assert!(matches!(of(404, None), Outcome::Again(..)));
    }
}
