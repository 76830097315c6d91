//! Whether the values of a profile make sense, each and together.

use thiserror::Error;

use super::Profile;

/// The whole early phase stays under this, so no profile may plan more (call-flow rule: 170 s).
const EARLY_MAX_MS: u64 = 170_000;

/// "The absolute minimum for the Session-Expires header field" (RFC 4028 §4).
const SESSION_INTERVAL_MIN_S: u32 = 90;

/// Longest name, characters.
const NAME_MAX: usize = 64;

/// Longest note to a callee, characters: it stands twice in an INVITE, which is to fit into a datagram.
const NOTE_MAX: usize = 120;

/// What is wrong with a profile that reads well.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("{key} {why}")]
pub struct ProfileError {
    /// Which key of [`KEYS`].
    pub key: &'static str,
    /// What is wrong with it, after its name.
    pub why: String,
}

impl Profile {
    /// Whether its values make sense, each and together.
    pub fn check(&self) -> Result<(), ProfileError> {
        let wrong = |key, why: String| Err(ProfileError { key, why });
        if self.name.trim().is_empty() {
            return wrong("name", "is missing".into());
        }
        if self.name.chars().count() > NAME_MAX || self.name.contains(char::is_control) {
            return wrong(
                "name",
                format!("is longer than {NAME_MAX} characters, or not in one line"),
            );
        }
        if let Some(listen) = self.listen.iter().find(|l| l.parse::<std::net::SocketAddr>().is_err()) {
            return wrong("listen", format!("has {listen:?}, which is no \"address:port\""));
        }
        if self.auth_realm.is_empty() || self.auth_realm.contains(char::is_control) {
            return wrong("auth_realm", "is empty, or not in one line".into());
        }
        if self.digest_algorithms.is_empty() {
            return wrong(
                "digest_algorithms",
                "is empty, so no challenge could be answered".into(),
            );
        }
        let account = [
            ("digest_realm", &self.digest_realm),
            ("digest_secret", &self.digest_secret),
        ];
        for (key, value) in account {
            if value.is_empty() != self.digest_user.is_empty() {
                return wrong(key, "and digest_user belong together: one of them is missing".into());
            }
        }
        if !matches!(self.ringing_status, 180 | 183) {
            return wrong("ringing_status", format!("= {}", self.ringing_status));
        }
        for (key, ms) in [("hold_max_ms", self.hold_max_ms), ("no_answer_ms", self.no_answer_ms)] {
            if ms > EARLY_MAX_MS {
                return wrong(
                    key,
                    format!("= {ms}, and no call may be unanswered for longer than {EARLY_MAX_MS}"),
                );
            }
        }
        if self.hold_ms > self.hold_max_ms {
            return wrong(
                "hold_ms",
                format!("= {} is more than hold_max_ms = {}", self.hold_ms, self.hold_max_ms),
            );
        }
        let codes = [
            ("country_code", &self.country_code),
            ("area_code", &self.area_code),
            ("international_prefix", &self.international_prefix),
            ("national_prefix", &self.national_prefix),
        ];
        if let Some((key, code)) = codes.into_iter().find(|(_, code)| !crate::numbers::is_code(code)) {
            return wrong(key, format!("= {code:?}, which is no digits"));
        }
        if self.number_rules.len() > crate::numbers::RULES_MAX {
            return wrong("number_rules", format!("has {} rules", self.number_rules.len()));
        }
        let mut numbers = self.emergency_numbers.iter();
        if let Some(number) = numbers.find(|number| !crate::emergency::is_emergency_number(number)) {
            return wrong("emergency_numbers", format!("has {number:?}, which is no number"));
        }
        let note = &self.prolonged_note;
        if note.chars().count() > NOTE_MAX || note.contains(char::is_control) || note.trim() != note {
            return wrong(
                "prolonged_note",
                format!("is longer than {NOTE_MAX} characters, not in one line, or has spaces around it"),
            );
        }
        if self.no_answer_ms == 0 {
            return wrong("no_answer_ms", "= 0, so that the callee would never ring".into());
        }
        if self.rtp_gone_ms != 0 && !(1_000..=3_600_000).contains(&self.rtp_gone_ms) {
            return wrong("rtp_gone_ms", format!("= {}", self.rtp_gone_ms));
        }
        let is_user = |user: &String| !user.is_empty() && user.len() <= 64 && !user.contains(char::is_whitespace);
        if self.mailbox_users.len() > 16 || !self.mailbox_users.iter().all(is_user) {
            return wrong("mailbox_users", "has too many users, or one that is none".into());
        }
        if self.service_codes.len() > crate::service::CODES_MAX {
            return wrong("service_codes", format!("has {} codes", self.service_codes.len()));
        }
        if self.nat_ping_ms != 0 && !(5_000..=600_000).contains(&self.nat_ping_ms) {
            return wrong("nat_ping_ms", format!("= {}", self.nat_ping_ms));
        }
        if self.call_max_ms != 0 && !(1_000..=604_800_000).contains(&self.call_max_ms) {
            return wrong("call_max_ms", format!("= {}", self.call_max_ms));
        }
        if let Some(proxy) = self.outbound_proxy.as_ref().filter(|proxy| !proxy.is_route()) {
            let why = format!("= {:?} lacks \";lr\", with which the Request-URI stays", proxy.uri());
            return wrong("outbound_proxy", why);
        }
        let interval = SESSION_INTERVAL_MIN_S..=86_400;
        if !interval.contains(&self.min_se_s) {
            return wrong("min_se_s", format!("= {}", self.min_se_s));
        }
        if self.session_expires_s != 0 && !interval.contains(&self.session_expires_s) {
            return wrong("session_expires_s", format!("= {}", self.session_expires_s));
        }
        if self.session_expires_s != 0 && self.session_expires_s < self.min_se_s {
            return wrong(
                "session_expires_s",
                format!("= {} is less than min_se_s = {}", self.session_expires_s, self.min_se_s),
            );
        }
        Ok(())
    }
}
