//! The session keys of one master key (RFC 3711 §4.3), and the transforms that use them: AES in counter mode with HMAC-SHA1 (§4.1.1,
//! §4.2.1; AES-256: RFC 6188), AES-GCM (RFC 7714).

use aes::{Aes128, Aes256};
use ctr::{
    Ctr128BE, CtrCore,
    cipher::{BlockCipherEncrypt, BlockSizeUser, InnerIvInit, KeyInit, StreamCipher, array::Array, consts::U16},
};
use ring::{
    aead::{AES_128_GCM, AES_256_GCM, Aad, LessSafeKey, Nonce, UnboundKey},
    hmac,
};
use segue_sdp::{MasterKey, Mki, Suite};
use subtle::ConstantTimeEq;

use super::{RTCP_HEAD_LEN, WORD_LEN, is_mki};

/// Labels of what is derived for RTP (RFC 3711 §4.3.1); those for RTCP are further by [`FOR_RTCP`] (§4.3.2).
const ENCRYPTION: u8 = 0;
const AUTHENTICATION: u8 = 1;
const SALT: u8 = 2;
const FOR_RTCP: u8 = 3;

/// Tags of SRTCP keep 80 bits, whatever those of SRTP have (RFC 4568 §6.2).
const RTCP_TAG_LEN: usize = 10;
const GCM_TAG_LEN: usize = 16;
/// Says that a compound is encrypted; all are (RFC 4568 §6.3.2).
const E_BIT: u32 = 1 << 31;
/// The longest payload that is tried under more than one index.
const TRIED_MAX: usize = 2_048;

/// What makes the key stream of a packet its own.
#[derive(Debug, Clone, Copy)]
pub struct Fields {
    pub ssrc: u32,
    /// 48 bits of SRTP, 31 of SRTCP.
    pub index: u64,
}

/// One master key, expanded.
pub struct Cipher {
    rtp: Transform,
    rtcp: Transform,
}

impl std::fmt::Debug for Cipher {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Cipher(not shown)")
    }
}

enum Transform {
    Counter {
        block: Block,
        salt: [u8; 16],
        auth: hmac::Key,
        tag_len: usize,
    },
    Gcm {
        key: Box<LessSafeKey>,
        salt: [u8; 12],
    },
}

enum Block {
    Aes128(Box<Aes128>),
    Aes256(Box<Aes256>),
}

impl Cipher {
    pub fn new(key: &MasterKey) -> Cipher {
        Cipher {
            rtp: Transform::new(key, 0, key.suite().tag_len()),
            rtcp: Transform::new(key, FOR_RTCP, RTCP_TAG_LEN),
        }
    }

    /// Protects an RTP packet of `len` bytes, `head` of them readable; its length then.
    pub fn seal_rtp(&self, buffer: &mut [u8], head: usize, len: usize, fields: Fields) -> Option<usize> {
        match &self.rtp {
            Transform::Counter {
                block,
                salt,
                auth,
                tag_len,
            } => {
                block.apply(&counter(salt, fields), buffer.get_mut(head..len)?);
                let tag = tag(auth, buffer.get(..len)?, &roc(fields));
                let end = len.checked_add(*tag_len)?;
                buffer.get_mut(len..end)?.copy_from_slice(tag.as_ref().get(..*tag_len)?);
                Some(end)
            }
            Transform::Gcm { key, salt } => {
                let (aad, payload) = buffer.get_mut(..len)?.split_at_mut_checked(head)?;
                let nonce = nonce(salt, fields);
                let tag = key.seal_in_place_separate_tag(nonce, Aad::from(&*aad), payload).ok()?;
                let end = len.checked_add(GCM_TAG_LEN)?;
                buffer.get_mut(len..end)?.copy_from_slice(tag.as_ref());
                Some(end)
            }
        }
    }

    /// Opens an SRTP packet; the length of the RTP packet. One that is not authentic under this index is left as it came.
    pub fn open_rtp(&self, bytes: &mut [u8], head: usize, fields: Fields, mki: Option<Mki>) -> Option<usize> {
        match &self.rtp {
            // Header, payload, MKI, tag.
            Transform::Counter {
                block,
                salt,
                auth,
                tag_len,
            } => {
                let (rest, theirs) = bytes.split_at_mut_checked(bytes.len().checked_sub(*tag_len)?)?;
                let len = without_mki(rest, mki)?;
                let ours = tag(auth, rest.get(..len)?, &roc(fields));
                verify(ours.as_ref(), theirs)?;
                block.apply(&counter(salt, fields), rest.get_mut(head..len)?);
                Some(len)
            }
            // Header, payload, tag, MKI.
            Transform::Gcm { key, salt } => {
                let len = without_mki(bytes, mki)?;
                let (aad, sealed) = bytes.get_mut(..len)?.split_at_mut_checked(head)?;
                open_gcm(key, nonce(salt, fields), aad, sealed)?;
                len.checked_sub(GCM_TAG_LEN)
            }
        }
    }

    /// Protects a compound of `len` bytes; its length then.
    pub fn seal_rtcp(&self, buffer: &mut [u8], len: usize, fields: Fields) -> Option<usize> {
        let word = (u32::try_from(fields.index).ok()? | E_BIT).to_be_bytes();
        match &self.rtcp {
            // Compound, word, tag.
            Transform::Counter {
                block,
                salt,
                auth,
                tag_len,
            } => {
                block.apply(&counter(salt, fields), buffer.get_mut(RTCP_HEAD_LEN..len)?);
                let behind = len.checked_add(WORD_LEN)?;
                buffer.get_mut(len..behind)?.copy_from_slice(&word);
                let tag = tag(auth, buffer.get(..behind)?, &[]);
                let end = behind.checked_add(*tag_len)?;
                buffer
                    .get_mut(behind..end)?
                    .copy_from_slice(tag.as_ref().get(..*tag_len)?);
                Some(end)
            }
            // Compound, tag, word.
            Transform::Gcm { key, salt } => {
                let (head, payload) = buffer.get_mut(..len)?.split_first_chunk_mut::<RTCP_HEAD_LEN>()?;
                let aad = rtcp_aad(head, word);
                let nonce = nonce(salt, fields);
                let tag = key.seal_in_place_separate_tag(nonce, Aad::from(aad), payload).ok()?;
                let behind = len.checked_add(GCM_TAG_LEN)?;
                buffer.get_mut(len..behind)?.copy_from_slice(tag.as_ref());
                let end = behind.checked_add(WORD_LEN)?;
                buffer.get_mut(behind..end)?.copy_from_slice(&word);
                Some(end)
            }
        }
    }

    /// The index that an SRTCP packet says; `None`: it is none, or says that it is not encrypted.
    pub fn rtcp_index(&self, bytes: &[u8], mki: Option<Mki>) -> Option<u64> {
        let before_tag = match &self.rtcp {
            Transform::Counter { tag_len, .. } => bytes.get(..bytes.len().checked_sub(*tag_len)?)?,
            Transform::Gcm { .. } => bytes,
        };
        let word = before_tag
            .get(..without_mki(before_tag, mki)?)?
            .last_chunk::<WORD_LEN>()?;
        let word = u32::from_be_bytes(*word);
        (word & E_BIT != 0).then_some(u64::from(word & !E_BIT))
    }

    /// Opens an SRTCP packet; the length of the compound.
    pub fn open_rtcp(&self, bytes: &mut [u8], fields: Fields, mki: Option<Mki>) -> Option<usize> {
        match &self.rtcp {
            Transform::Counter {
                block,
                salt,
                auth,
                tag_len,
            } => {
                let (rest, theirs) = bytes.split_at_mut_checked(bytes.len().checked_sub(*tag_len)?)?;
                let with_word = without_mki(rest, mki)?;
                let ours = tag(auth, rest.get(..with_word)?, &[]);
                verify(ours.as_ref(), theirs)?;
                let len = with_word.checked_sub(WORD_LEN)?;
                block.apply(&counter(salt, fields), rest.get_mut(RTCP_HEAD_LEN..len)?);
                Some(len)
            }
            Transform::Gcm { key, salt } => {
                let with_word = without_mki(bytes, mki)?;
                let (rest, word) = bytes.get_mut(..with_word)?.split_last_chunk_mut::<WORD_LEN>()?;
                let len = rest.len().checked_sub(GCM_TAG_LEN)?;
                let (head, sealed) = rest.split_first_chunk_mut::<RTCP_HEAD_LEN>()?;
                let aad = rtcp_aad(head, *word);
                open_gcm(key, nonce(salt, fields), &aad, sealed)?;
                Some(len)
            }
        }
    }
}

impl Transform {
    fn new(key: &MasterKey, labels: u8, tag_len: usize) -> Transform {
        let master = Block::new(key.suite(), key.key());
        let mut session = [0; 32];
        let session = session.get_mut(..key.suite().key_len()).unwrap_or_default();
        derive(&master, key.salt(), labels.saturating_add(ENCRYPTION), session);
        let mut salt = [0; 16];
        let salt_len = key.suite().salt_len();
        derive(
            &master,
            key.salt(),
            labels.saturating_add(SALT),
            salt.get_mut(..salt_len).unwrap_or_default(),
        );
        let algorithm = match key.suite() {
            Suite::AeadAes128Gcm => Some(&AES_128_GCM),
            Suite::AeadAes256Gcm => Some(&AES_256_GCM),
            _ => None,
        };
        // It takes any key of its length, and that has it.
        if let Some(key) = algorithm.and_then(|algorithm| UnboundKey::new(algorithm, session).ok()) {
            let mut short = [0; 12];
            short.copy_from_slice(salt.first_chunk::<12>().unwrap_or(&[0; 12]));
            return Transform::Gcm {
                key: Box::new(LessSafeKey::new(key)),
                salt: short,
            };
        }
        let mut auth = [0; 20];
        derive(&master, key.salt(), labels.saturating_add(AUTHENTICATION), &mut auth);
        Transform::Counter {
            block: Block::new(key.suite(), session),
            salt,
            auth: hmac::Key::new(hmac::HMAC_SHA1_FOR_LEGACY_USE_ONLY, &auth),
            tag_len,
        }
    }
}

impl Block {
    /// Of a key as long as the suite wants it.
    fn new(suite: Suite, key: &[u8]) -> Block {
        match suite.key_len() {
            32 => {
                let mut whole = [0; 32];
                whole.iter_mut().zip(key).for_each(|(to, from)| *to = *from);
                Block::Aes256(Box::new(Aes256::new(&whole.into())))
            }
            _ => {
                let mut whole = [0; 16];
                whole.iter_mut().zip(key).for_each(|(to, from)| *to = *from);
                Block::Aes128(Box::new(Aes128::new(&whole.into())))
            }
        }
    }

    /// Adds the key stream that begins at this counter.
    fn apply(&self, counter: &[u8; 16], bytes: &mut [u8]) {
        match self {
            Block::Aes128(cipher) => apply(&**cipher, counter, bytes),
            Block::Aes256(cipher) => apply(&**cipher, counter, bytes),
        }
    }
}

fn apply<C>(cipher: &C, counter: &[u8; 16], bytes: &mut [u8])
where
    C: BlockCipherEncrypt + BlockSizeUser<BlockSize = U16>,
{
    let counter: Array<u8, U16> = (*counter).into();
    Ctr128BE::from_core(CtrCore::inner_iv_init(cipher, &counter)).apply_keystream(bytes);
}

/// Key derivation without a rate (RFC 3711 §4.3.1, §4.3.3). A salt of 96 bits is padded behind (RFC 7714 §11).
fn derive(master: &Block, salt: &[u8], label: u8, out: &mut [u8]) {
    let mut counter = [0; 16];
    counter.iter_mut().zip(salt).for_each(|(to, from)| *to = *from);
    if let Some(byte) = counter.get_mut(7) {
        *byte ^= label;
    }
    out.fill(0);
    master.apply(&counter, out);
}

/// `IV = (k_s * 2^16) XOR (SSRC * 2^64) XOR (i * 2^16)` (RFC 3711 §4.1.1).
fn counter(salt: &[u8; 16], fields: Fields) -> [u8; 16] {
    let said = u128::from(fields.ssrc) << 64 ^ u128::from(fields.index) << 16;
    (u128::from_be_bytes(*salt) ^ said).to_be_bytes()
}

/// Zeros, SSRC, index, under the salt (RFC 7714 §8.1, §9.1: the index of SRTCP stands where the last 32 bits are).
fn nonce(salt: &[u8; 12], fields: Fields) -> Nonce {
    let said = u128::from(fields.ssrc) << 48 ^ u128::from(fields.index);
    let [.., n0, n1, n2, n3, n4, n5, n6, n7, n8, n9, n10, n11] = said.to_be_bytes();
    let mut nonce = [n0, n1, n2, n3, n4, n5, n6, n7, n8, n9, n10, n11];
    nonce.iter_mut().zip(salt).for_each(|(to, from)| *to ^= *from);
    Nonce::assume_unique_for_key(nonce)
}

fn rtcp_aad(head: &[u8; RTCP_HEAD_LEN], word: [u8; WORD_LEN]) -> [u8; RTCP_HEAD_LEN + WORD_LEN] {
    let mut aad = [0; RTCP_HEAD_LEN + WORD_LEN];
    aad.iter_mut()
        .zip(head.iter().chain(&word))
        .for_each(|(to, from)| *to = *from);
    aad
}

/// The rollover counter, which is authenticated and not sent.
fn roc(fields: Fields) -> [u8; 4] {
    ((fields.index >> 16) as u32).to_be_bytes()
}

fn tag(auth: &hmac::Key, bytes: &[u8], behind: &[u8]) -> hmac::Tag {
    let mut context = hmac::Context::with_key(auth);
    context.update(bytes);
    context.update(behind);
    context.sign()
}

/// In a time that tells nothing of where they differ.
fn verify(ours: &[u8], theirs: &[u8]) -> Option<()> {
    let same = ours.get(..theirs.len())?.ct_eq(theirs);
    bool::from(same).then_some(())
}

/// Where the MKI begins that stands at the end; `None`: it is another.
fn without_mki(bytes: &[u8], mki: Option<Mki>) -> Option<usize> {
    let Some(mki) = mki else { return Some(bytes.len()) };
    let at = bytes.len().checked_sub(usize::from(mki.length))?;
    is_mki(bytes.get(at..)?, mki).then_some(at)
}

/// A packet that is not authentic may be overwritten by the try; it is put back, as the next one may open it.
fn open_gcm(key: &LessSafeKey, nonce: Nonce, aad: &[u8], sealed: &mut [u8]) -> Option<()> {
    let mut kept = [0; TRIED_MAX];
    let kept = kept.get_mut(..sealed.len())?;
    kept.copy_from_slice(sealed);
    let opened = key.open_in_place(nonce, Aad::from(aad), sealed).is_ok();
    if !opened {
        sealed.copy_from_slice(kept);
    }
    opened.then_some(())
}

#[cfg(test)]
pub mod tests {
    use super::*;

    /// What is derived of a master key, as the RFCs' examples show it.
    pub fn derived(key: &MasterKey, label: u8, len: usize) -> Vec<u8> {
        let mut out = vec![0; len];
        derive(&Block::new(key.suite(), key.key()), key.salt(), label, &mut out);
        out
    }

    /// The key stream of a session key and its salt from its first packet on.
    pub fn key_stream(suite: Suite, key: &[u8], salt: &[u8], len: usize) -> Vec<u8> {
        let mut counter = [0; 16];
        counter[..salt.len()].copy_from_slice(salt);
        let mut out = vec![0; len];
        Block::new(suite, key).apply(&counter, &mut out);
        out
    }
}
