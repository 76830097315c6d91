//! Where a key frame begins in an H.264 RTP stream (RFC 6184 §5).
#![deny(clippy::arithmetic_side_effects)]

use base64::{
    Engine, alphabet,
    engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig},
};

const IDR: u8 = 5;
const SPS: u8 = 7;
const STAP_A: u8 = 24;
const FU_A: u8 = 28;

/// Whether a decoder can start at this packet: it carries a sequence parameter set or the first part of an IDR picture, as a
/// single NAL unit, in a STAP-A or as the start of an FU-A.
pub fn starts_key_frame(payload: &[u8]) -> bool {
    let Some((&first, rest)) = payload.split_first() else {
        return false;
    };
    match first & 0x1f {
        IDR | SPS => true,
        STAP_A => stap_units(rest).any(|unit| unit.first().is_some_and(is_start)),
        FU_A => rest
            .first()
            .is_some_and(|header| header & 0x80 != 0 && is_start(header)),
        _ => false,
    }
}

/// Whether the packet carries a sequence parameter set.
pub fn has_parameters(payload: &[u8]) -> bool {
    let Some((&first, rest)) = payload.split_first() else {
        return false;
    };
    match first & 0x1f {
        SPS => true,
        STAP_A => stap_units(rest).any(|unit| unit.first().is_some_and(|nal| nal & 0x1f == SPS)),
        _ => false,
    }
}

fn is_start(nal: &u8) -> bool {
    matches!(nal & 0x1f, IDR | SPS)
}

/// The NAL units of a STAP-A, after its own header; ends at the first length that does not fit.
fn stap_units(mut rest: &[u8]) -> impl Iterator<Item = &[u8]> {
    std::iter::from_fn(move || {
        let (len, after) = rest.split_first_chunk::<2>()?;
        let (unit, after) = after.split_at_checked(u16::from_be_bytes(*len).into())?;
        rest = after;
        Some(unit)
    })
}

/// The parameter sets of an `a=fmtp` value (`sprop-parameter-sets`, RFC 6184 §8.1), each a NAL unit. Empty when there are none
/// or they are damaged.
pub fn parameter_sets(fmtp: &str) -> Vec<Vec<u8>> {
    fmtp.split(';')
        .filter_map(|part| part.trim().split_once('='))
        .find(|(name, _)| name.trim().eq_ignore_ascii_case("sprop-parameter-sets"))
        .map(|(_, value)| value.trim().split(',').map_while(sprop_unit).collect())
        .unwrap_or_default()
}

/// RFC 4648 §4; phones leave padding out, and bits in.
const BASE64: GeneralPurpose = GeneralPurpose::new(
    &alphabet::STANDARD,
    GeneralPurposeConfig::new()
        .with_decode_padding_mode(DecodePaddingMode::Indifferent)
        .with_decode_allow_trailing_bits(true),
);

/// One unit of `sprop-parameter-sets`; `None`: it is damaged or empty. RFC 4648 §5's letters are taken as well.
pub fn sprop_unit(text: &str) -> Option<Vec<u8>> {
    let text = text.trim().replace('-', "+").replace('_', "/");
    BASE64.decode(text).ok().filter(|unit| !unit.is_empty())
}

#[cfg(test)]
#[allow(clippy::arithmetic_side_effects)] // Tests make their own input.
mod tests {
    use super::*;

    #[test]
    fn single_units_start_a_key_frame_by_their_type() {
        assert!(starts_key_frame(&[0x67, 0x42]));
        assert!(starts_key_frame(&[0x65, 0x88]));
        assert!(!starts_key_frame(&[0x41, 0x9a]));
        assert!(!starts_key_frame(&[0x68, 0xce]), "a PPS alone is no start");
        assert!(!starts_key_frame(&[]));
    }

    #[test]
    fn an_aggregate_starts_one_by_any_unit_in_it() {
        assert!(starts_key_frame(&[0x78, 0, 2, 0x67, 0x42, 0, 1, 0x68]));
        assert!(starts_key_frame(&[0x78, 0, 1, 0x09, 0, 1, 0x65]));
        assert!(!starts_key_frame(&[0x78, 0, 1, 0x09, 0, 1, 0x41]));
        assert!(!starts_key_frame(&[0x78, 0xff, 0xff, 0x67]), "a length that lies");
    }

    #[test]
    fn only_the_first_fragment_starts_one() {
        assert!(starts_key_frame(&[0x7c, 0x85, 0]));
        assert!(!starts_key_frame(&[0x7c, 0x05, 0]), "a middle fragment");
        assert!(!starts_key_frame(&[0x7c, 0x45, 0]), "the last fragment");
        assert!(!starts_key_frame(&[0x7c, 0x81, 0]), "of another picture");
    }

    #[test]
    fn parameter_sets_come_out_of_fmtp() {
        let sets = parameter_sets("profile-level-id=42e01f; sprop-parameter-sets=Z0LgH5ZUBQHtgIA=,aM48gA==");
        assert_eq!(sets.len(), 2);
        assert_eq!((sets[0][0], sets[1].as_slice()), (0x67, &[0x68, 0xce, 0x3c, 0x80][..]));
        assert!(parameter_sets("packetization-mode=1").is_empty());
        assert!(parameter_sets("sprop-parameter-sets=?!").is_empty());
    }
}
