//! How long what A's network asserts of the caller stays fresh (RFC 8224). Nothing is verified here: B's side does that.

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use segue_sip_wire::Message;
use serde_json::Value;
use time::{OffsetDateTime, format_description::well_known::Rfc2822};

/// "A RECOMMENDED maximum discrepancy of sixty seconds" (RFC 8224 §4.1; for verifiers §6.2 step 4).
const FRESH_MS: i64 = 60_000;
/// The INVITE has to get to who verifies it.
const ON_THE_WAY_MS: i64 = 5_000;

/// For how long B may still be invited, milliseconds from `wall_ms`. `None`: nothing is asserted, or it is stale already.
pub(crate) fn fresh_for_ms(invite: &Message, wall_ms: i64) -> Option<u64> {
    let date = || {
        let date = OffsetDateTime::parse(invite.header("Date")?, &Rfc2822).ok()?;
        Some(date.unix_timestamp())
    };
    let issued = invite.headers("Identity").flat_map(|value| {
        let token = value.split([';', ',']).next().unwrap_or_default();
        issued_at(token.trim()).or_else(date)
    });
    let left = issued.filter_map(|at_s| {
        let until = at_s.checked_mul(1_000)?.checked_add(FRESH_MS - ON_THE_WAY_MS)?;
        let left = u64::try_from(until.checked_sub(wall_ms)?).ok()?;
        // One from the future is as stale.
        let far = (2 * FRESH_MS).unsigned_abs();
        (left > 0 && left < far).then_some(left)
    });
    left.min()
}

/// `iat` of a PASSporT, seconds since 1970; `None`: it is in compact form, which leaves its claims out (RFC 8224 §7), or is none.
fn issued_at(token: &str) -> Option<i64> {
    let claims = token.split('.').nth(1).filter(|claims| !claims.is_empty())?;
    let claims: Value = serde_json::from_slice(&URL_SAFE_NO_PAD.decode(claims).ok()?).ok()?;
    claims.get("iat")?.as_i64()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// `{"attest":"A","dest":{"tn":["12155551213"]},"iat":1443208345,"orig":{"tn":"12155551212"}}`
    const CLAIMS: &str = "eyJhdHRlc3QiOiJBIiwiZGVzdCI6eyJ0biI6WyIxMjE1NTU1MTIxMyJdfSwiaWF0IjoxNDQzMjA4MzQ1LCJvcmlnIjp7InRuIjoiMTIxNTU1NTEyMTIifX0";
    const IAT_MS: i64 = 1_443_208_345_000;

    fn fresh(lines: &str, after_ms: i64) -> Option<u64> {
        let text = format!(
            "INVITE sip:b@192.0.2.1 SIP/2.0\r\nVia: SIP/2.0/UDP 192.0.2.2;branch=z9hG4bK1\r\nFrom: <sip:a@b>;tag=1\r\n\
             To: <sip:x@b>\r\nCall-ID: 1\r\nCSeq: 1 INVITE\r\n{lines}\r\n"
        );
        fresh_for_ms(&Message::parse_datagram(text.as_bytes()).unwrap(), IAT_MS + after_ms)
    }

    #[test]
    fn what_the_passport_says_counts_before_date() {
        let lines =
            format!("y: e30.{CLAIMS}.sig;info=<https://x/y.cer>;ppt=shaken\r\nDate: Fri, 25 Sep 2015 19:11:25 GMT\r\n");
        assert_eq!(fresh(&lines, 0), Some(55_000));
        assert_eq!(fresh(&lines, 20_500), Some(34_500));
        assert_eq!(fresh(&lines, 55_000), None, "stale: a hold harms it no more");
        assert_eq!(fresh(&lines, -70_000), None, "from the future");
    }

    #[test]
    fn in_compact_form_the_date_counts() {
        let lines = "Identity: ..sig;info=<https://x/y.cer>\r\nDate: Fri, 25 Sep 2015 19:13:25 GMT\r\n";
        assert_eq!(fresh(lines, 60_000), Some(55_000));
        assert_eq!(fresh("Identity: ..sig\r\n", 0), None);
        assert_eq!(
            fresh("Date: Fri, 25 Sep 2015 19:13:25 GMT\r\n", 0),
            None,
            "nothing is asserted"
        );
    }

    #[test]
    fn of_several_the_oldest_counts_and_rubbish_is_none() {
        let lines = format!(
            "Identity: ..sig\r\nIdentity: e30.{CLAIMS}.sig\r\nDate: Fri, 25 Sep 2015 19:13:25 GMT\r\nIdentity: e30.!!.x\r\n"
        );
        assert_eq!(fresh(&lines, 30_000), Some(25_000));
        for token in [
            "a.b.c",
            "e30.e30.x",
            ".",
            "e30.eyJpYXQiOiJ4In0.x",
            "e30.eyJpYXQiOi05MjIzMzcyMDM2ODU0Nzc1ODA4fQ.x",
        ] {
            assert_eq!(fresh(&format!("Identity: {token}\r\n"), 0), None, "{token}");
        }
    }
}
