//! Security descriptions: `a=crypto` of an m-line (RFC 4568), with the suites of RFC 4568, RFC 6188 and RFC 7714, and the master keys
//! that they carry. Keys are shown to nobody: `Debug` leaves them out.
#![deny(clippy::arithmetic_side_effects)]

use std::fmt;

use base64::{
    Engine, alphabet,
    engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig, general_purpose::STANDARD},
};
use rand::{Rng, SeedableRng, rngs::StdRng};

/// Most `a=crypto` lines of an m-line that are looked at.
pub(crate) const CRYPTO_LINES_MAX: usize = 16;
/// Most bytes of master key and salt.
const MATERIAL_MAX: usize = 46;
/// A lifetime may not exceed that of its suite (RFC 4568 §6.1, RFC 7714 §12); all ours have this one, packets.
const LIFETIME_MAX: u64 = 1 << 48;
/// Most keys of our own that one side makes; a peer that wants more does not mean to talk.
const KEYS_MAX: u32 = 256;

/// "… padding characters are discarded" (RFC 4568 §6.1): with them or without.
const BASE64: GeneralPurpose = GeneralPurpose::new(
    &alphabet::STANDARD,
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent),
);

/// How packets are encrypted and authenticated.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Suite {
    /// AES in counter mode, tags of 80 bits: what every peer has (RFC 4568 §6.2.1).
    AesCm128HmacSha1_80,
    /// The same with tags of 32 bits on RTP; those of RTCP keep 80 (§6.2.2).
    AesCm128HmacSha1_32,
    /// AES-256 in counter mode, tags of 80 bits (RFC 6188 §3).
    AesCm256HmacSha1_80,
    /// The same with tags of 32 bits on RTP.
    AesCm256HmacSha1_32,
    /// AES-128 in Galois/counter mode (RFC 7714).
    AeadAes128Gcm,
    /// AES-256 in Galois/counter mode.
    AeadAes256Gcm,
}

impl Suite {
    const ALL: [Suite; 6] = [
        Suite::AesCm128HmacSha1_80,
        Suite::AesCm128HmacSha1_32,
        Suite::AesCm256HmacSha1_80,
        Suite::AesCm256HmacSha1_32,
        Suite::AeadAes128Gcm,
        Suite::AeadAes256Gcm,
    ];

    /// What our own offers name. The one that all have comes first, as some phones read no further; the second is for those
    /// whose rules want 256 bits.
    pub(crate) const OFFERED: [Suite; 2] = [Suite::AesCm128HmacSha1_80, Suite::AeadAes256Gcm];

    /// Its name in `a=crypto`.
    pub fn name(self) -> &'static str {
        match self {
            Suite::AesCm128HmacSha1_80 => "AES_CM_128_HMAC_SHA1_80",
            Suite::AesCm128HmacSha1_32 => "AES_CM_128_HMAC_SHA1_32",
            Suite::AesCm256HmacSha1_80 => "AES_256_CM_HMAC_SHA1_80",
            Suite::AesCm256HmacSha1_32 => "AES_256_CM_HMAC_SHA1_32",
            Suite::AeadAes128Gcm => "AEAD_AES_128_GCM",
            Suite::AeadAes256Gcm => "AEAD_AES_256_GCM",
        }
    }

    /// Bytes of a master key, and of a session key for encryption.
    pub fn key_len(self) -> usize {
        match self {
            Suite::AesCm128HmacSha1_80 | Suite::AesCm128HmacSha1_32 | Suite::AeadAes128Gcm => 16,
            Suite::AesCm256HmacSha1_80 | Suite::AesCm256HmacSha1_32 | Suite::AeadAes256Gcm => 32,
        }
    }

    /// Bytes of a master salt.
    pub fn salt_len(self) -> usize {
        match self {
            Suite::AeadAes128Gcm | Suite::AeadAes256Gcm => 12,
            _ => 14,
        }
    }

    /// Bytes of the tag behind an RTP packet.
    pub fn tag_len(self) -> usize {
        match self {
            Suite::AesCm128HmacSha1_80 | Suite::AesCm256HmacSha1_80 => 10,
            Suite::AesCm128HmacSha1_32 | Suite::AesCm256HmacSha1_32 => 4,
            Suite::AeadAes128Gcm | Suite::AeadAes256Gcm => 16,
        }
    }

    fn material_len(self) -> usize {
        self.key_len().saturating_add(self.salt_len())
    }

    fn named(name: &str) -> Option<Suite> {
        Suite::ALL
            .into_iter()
            .find(|suite| suite.name().eq_ignore_ascii_case(name))
    }
}

/// Master key and salt of what one party sends, under their suite.
#[derive(Clone, PartialEq, Eq)]
pub struct MasterKey {
    suite: Suite,
    material: [u8; MATERIAL_MAX],
    mki: Option<Mki>,
}

/// Master key identifier: stands in each packet under the key (RFC 3711 §3.1).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Mki {
    /// Its value.
    pub value: u64,
    /// Bytes that it takes in a packet, 1 to 128.
    pub length: u8,
}

impl MasterKey {
    /// A key and its salt, one after the other; `None` when their length is not the suite's.
    pub fn new(suite: Suite, material: &[u8]) -> Option<MasterKey> {
        if material.len() != suite.material_len() {
            return None;
        }
        let mut all = [0; MATERIAL_MAX];
        all.get_mut(..material.len())?.copy_from_slice(material);
        Some(MasterKey {
            suite,
            material: all,
            mki: None,
        })
    }

    /// The suite that it is for.
    pub fn suite(&self) -> Suite {
        self.suite
    }

    /// The master key.
    pub fn key(&self) -> &[u8] {
        self.material.get(..self.suite.key_len()).unwrap_or_default()
    }

    /// The master salt.
    pub fn salt(&self) -> &[u8] {
        self.material
            .get(self.suite.key_len()..self.suite.material_len())
            .unwrap_or_default()
    }

    /// What names it in packets, if anything does.
    pub fn mki(&self) -> Option<Mki> {
        self.mki
    }
}

impl fmt::Debug for MasterKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "MasterKey({}, not shown)", self.suite.name())
    }
}

/// The keys of one m-line, as its offer and answer have settled them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Keys {
    /// What we send is under this one.
    pub ours: MasterKey,
    /// What the peer sends.
    pub theirs: MasterKey,
}

/// One `a=crypto` line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Crypto {
    /// At most nine digits.
    pub tag: u32,
    pub key: MasterKey,
}

impl Crypto {
    /// Read the value of an attribute; `None`: it is invalid, or wants what we have not, and so cannot be accepted (RFC 4568
    /// §5.1.2).
    pub fn read(value: &str) -> Option<Crypto> {
        let mut parts = value.split_whitespace();
        let tag = number(parts.next()?, 9)?;
        let suite = Suite::named(parts.next()?)?;
        // A second key would take over during the call (§6.1): nobody sends that, and we do not take it.
        let key = read_key(suite, parts.next()?)?;
        parts.all(is_ignorable).then_some(Crypto {
            tag: u32::try_from(tag).ok()?,
            key,
        })
    }

    /// The value of its attribute.
    pub fn value(&self) -> String {
        let material = self
            .key
            .material
            .get(..self.key.suite.material_len())
            .unwrap_or_default();
        format!(
            "{} {} inline:{}",
            self.tag,
            self.key.suite.name(),
            STANDARD.encode(material)
        )
    }
}

/// `inline:` key||salt, lifetime, MKI (RFC 4568 §6.1). The lifetime must be one, and is not kept: ours is shorter than any call
/// (2^48 packets), and how long a peer uses its key is the peer's affair.
fn read_key(suite: Suite, text: &str) -> Option<MasterKey> {
    let (method, info) = text.split_once(':')?;
    if !method.eq_ignore_ascii_case("inline") {
        return None;
    }
    let mut fields = info.split('|');
    // 46 bytes take 64 characters.
    let encoded = fields.next().filter(|text| text.len() <= 64)?;
    let material = BASE64.decode(encoded).ok()?;
    let mut key = MasterKey::new(suite, &material)?;
    let mut field = fields.next();
    if let Some(lifetime) = field.filter(|field| !field.contains(':')) {
        let packets = match lifetime.strip_prefix("2^") {
            Some(power) => 1u64.checked_shl(u32::try_from(number(power, 2)?).ok()?)?,
            None => number(lifetime, 15)?,
        };
        if packets == 0 || packets > LIFETIME_MAX {
            return None;
        }
        field = fields.next();
    }
    if let Some(mki) = field {
        let (value, length) = mki.split_once(':')?;
        let (value, length) = (number(value, 18)?, u8::try_from(number(length, 3)?).ok()?);
        let fits = length >= 8 || value.checked_shr(u32::from(length).saturating_mul(8)) == Some(0);
        if !(1..=128).contains(&length) || !fits {
            return None;
        }
        key.mki = Some(Mki { value, length });
    }
    fields.next().is_none().then_some(key)
}

/// A decimal number of at most so many digits, without leading zeros.
fn number(text: &str, digits_max: usize) -> Option<u64> {
    let plain = text.bytes().all(|b| b.is_ascii_digit()) && text.len() <= digits_max;
    let leading_zero = text.len() > 1 && text.starts_with('0');
    text.parse().ok().filter(|_| plain && !leading_zero)
}

/// Whether a session parameter may be left alone: a hint of the window's size, and what says itself that it may. All others change
/// how packets are protected, or leave them unprotected, and make the attribute one that we cannot accept (RFC 4568 §6.3).
fn is_ignorable(parameter: &str) -> bool {
    parameter.starts_with('-')
        || parameter.len() > 4 && parameter.get(..4).is_some_and(|name| name.eq_ignore_ascii_case("WSH="))
}

/// Makes keys of our own: the same secret makes the same ones in the same order.
#[derive(Clone)]
pub(crate) struct KeyMaker {
    secret: [u8; 32],
    made: u32,
}

impl KeyMaker {
    pub fn new(secret: [u8; 32]) -> KeyMaker {
        KeyMaker { secret, made: 0 }
    }

    /// One that was never used before; `None`: this side has made more than any call needs.
    pub fn fresh(&mut self, suite: Suite) -> Option<MasterKey> {
        let before = self.made;
        self.made = before.checked_add(1).filter(|made| *made <= KEYS_MAX)?;
        // A generator made for secrets (ChaCha); each key has its own stretch of what it gives.
        let mut stream = StdRng::from_seed(self.secret);
        let mut stretch = [0; MATERIAL_MAX];
        for _ in 0..=before {
            stream.fill_bytes(&mut stretch);
        }
        MasterKey::new(suite, stretch.get(..suite.material_len())?)
    }
}

impl fmt::Debug for KeyMaker {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "KeyMaker({} made)", self.made)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The example of RFC 4568 §6.1.
    const KEY: &str = "d0RmdmcmVCspeEc3QGZiNWpVLFJhQX1cfHAwJSoj";

    fn read(rest: &str) -> Option<Crypto> {
        Crypto::read(&format!("1 AES_CM_128_HMAC_SHA1_80 inline:{KEY}{rest}"))
    }

    #[test]
    fn an_attribute_reads_as_it_was_written() {
        let crypto = read("|2^20|1:4").unwrap();
        assert_eq!((crypto.tag, crypto.key.suite()), (1, Suite::AesCm128HmacSha1_80));
        assert_eq!(crypto.key.key(), b"wDfvg&T+)xG7@fb5");
        assert_eq!(crypto.key.salt(), b"jU,RaA}\\|p0%*#");
        assert_eq!(crypto.key.mki(), Some(Mki { value: 1, length: 4 }));
        assert_eq!(
            read("").unwrap().value(),
            format!("1 AES_CM_128_HMAC_SHA1_80 inline:{KEY}")
        );
        for suite in Suite::ALL {
            let key = KeyMaker::new([7; 32]).fresh(suite).unwrap();
            let crypto = Crypto { tag: 999_999_999, key };
            assert_eq!(Crypto::read(&crypto.value()), Some(crypto));
        }
    }

    #[test]
    fn what_is_valid_is_taken() {
        for rest in [
            "|2^48",
            "|1000",
            "|1:1",
            "|2^31|255:1",
            " WSH=64",
            " -X-extension=1",
            "  WSH=128 -y",
        ] {
            assert!(read(rest).is_some(), "{rest}");
        }
        let unpadded = Crypto::read("3 aead_aes_128_gcm INLINE:AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA");
        assert_eq!(unpadded.map(|c| c.key.suite()), Some(Suite::AeadAes128Gcm));
    }

    #[test]
    fn what_is_invalid_or_weakens_is_not() {
        for rest in [
            "|2^49",
            "|2^99",
            "|0",
            "|2^",
            "|007",
            "|x",
            "|",
            "|1:0",
            "|1:129",
            "|256:1",
            "|01:4",
            "|2^20|1:4|1:4",
            "|2^20|2^20",
            "AAAA",
            " UNENCRYPTED_SRTP",
            " UNENCRYPTED_SRTCP",
            " UNAUTHENTICATED_SRTP",
            " KDR=1",
            " FEC_ORDER=SRTP_FEC",
            " FEC_KEY=inline:x",
            " WSH=64 UNENCRYPTED_SRTP",
            " unknown",
            ";inline:d0RmdmcmVCspeEc3QGZiNWpVLFJhQX1cfHAwJSoj|2:4",
        ] {
            assert_eq!(read(rest), None, "{rest}");
        }
        for value in [
            "",
            "1",
            "1 AES_CM_128_HMAC_SHA1_80",
            "1 AES_CM_128_HMAC_SHA1_80 uri:http://192.0.2.1/key",
            "1 F8_128_HMAC_SHA1_80 inline:d0RmdmcmVCspeEc3QGZiNWpVLFJhQX1cfHAwJSoj",
            "x AES_CM_128_HMAC_SHA1_80 inline:d0RmdmcmVCspeEc3QGZiNWpVLFJhQX1cfHAwJSoj",
            "01 AES_CM_128_HMAC_SHA1_80 inline:d0RmdmcmVCspeEc3QGZiNWpVLFJhQX1cfHAwJSoj",
            "1234567890 AES_CM_128_HMAC_SHA1_80 inline:d0RmdmcmVCspeEc3QGZiNWpVLFJhQX1cfHAwJSoj",
            "1 AES_256_CM_HMAC_SHA1_80 inline:d0RmdmcmVCspeEc3QGZiNWpVLFJhQX1cfHAwJSoj",
        ] {
            assert_eq!(Crypto::read(value), None, "{value}");
        }
    }

    #[test]
    fn keys_of_our_own_are_all_different_and_the_secret_decides_them() {
        let mut maker = KeyMaker::new([1; 32]);
        let mut again = KeyMaker::new([1; 32]);
        let mut keys: Vec<Vec<u8>> = Vec::new();
        for _ in 0..KEYS_MAX {
            let key = maker.fresh(Suite::AesCm128HmacSha1_80).unwrap();
            assert_eq!(again.fresh(Suite::AesCm128HmacSha1_80).as_ref(), Some(&key));
            keys.push(key.material.to_vec());
        }
        assert_eq!(maker.fresh(Suite::AesCm128HmacSha1_80), None, "there is a bound");
        keys.sort();
        keys.dedup();
        assert_eq!(keys.len(), KEYS_MAX as usize);
        assert_ne!(
            KeyMaker::new([2; 32]).fresh(Suite::AeadAes256Gcm),
            KeyMaker::new([1; 32]).fresh(Suite::AeadAes256Gcm)
        );
    }

    #[test]
    fn no_key_is_shown() {
        let crypto = read("|1:4").unwrap();
        let shown = format!("{crypto:?} {:?} {:?}", KeyMaker::new([65; 32]), crypto.key.clone());
        assert!(
            !shown.contains(KEY) && !shown.contains("65, 65") && !shown.contains("119"),
            "{shown}"
        );
    }
}
