//! AMR and AMR-WB in SDP: what a payload type means (RFC 4867 §8.1, §8.2), and what of it is said to whom (§8.3.1).
#![deny(clippy::arithmetic_side_effects)]

use crate::h264::parameter;

/// AMR or AMR-WB as one payload type carries it. Frame CRCs, robust sorting, interleaving and more than one channel make other formats,
/// which are foreign to us.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Amr {
    /// Which of the two codecs.
    pub band: Band,
    /// How payloads are packed; bound to the payload type, the same in both directions.
    pub packing: Packing,
    /// The speech modes that may be sent and asked for, in both directions.
    pub modes: Modes,
}

/// Which of the two codecs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Band {
    /// AMR: 8 kHz, modes 0 (4.75 kbit/s) to 7 (12.2 kbit/s).
    Narrow,
    /// AMR-WB: 16 kHz, modes 0 (6.60 kbit/s) to 8 (23.85 kbit/s).
    Wide,
}

impl Band {
    /// The highest speech mode; the one after it is the SID frame type.
    pub const fn highest_mode(self) -> u8 {
        match self {
            Band::Narrow => 7,
            Band::Wide => 8,
        }
    }

    /// Sampling frequency and RTP clock rate in Hz.
    pub const fn clock_rate(self) -> u32 {
        match self {
            Band::Narrow => 8_000,
            Band::Wide => 16_000,
        }
    }
}

/// How a payload is packed (RFC 4867 §4.3, §4.4).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Packing {
    /// The payload as a whole fills octets. Meant where `octet-align` is absent.
    BandwidthEfficient,
    /// Each field fills octets: `octet-align=1`.
    OctetAligned,
}

impl Packing {
    /// The other one.
    pub const fn other(self) -> Packing {
        match self {
            Packing::BandwidthEfficient => Packing::OctetAligned,
            Packing::OctetAligned => Packing::BandwidthEfficient,
        }
    }
}

/// A set of speech modes (`mode-set`), never empty. SID and NO_DATA belong to every set.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Modes(u16);

impl Modes {
    /// All of a codec: what the absence of `mode-set` means.
    pub const fn all(band: Band) -> Modes {
        match band {
            Band::Narrow => Modes(0x00ff),
            Band::Wide => Modes(0x01ff),
        }
    }

    /// A value of `mode-set`; `None` when it is none of this codec.
    pub fn parse(value: &str, band: Band) -> Option<Modes> {
        let mut set = 0u16;
        for mode in value.split(',') {
            let mode: u8 = mode.trim().parse().ok()?;
            if mode > band.highest_mode() {
                return None;
            }
            set |= 1u16.checked_shl(mode.into())?;
        }
        (set != 0).then_some(Modes(set))
    }

    /// Whether frames of this mode may be sent.
    pub const fn contains(self, mode: u8) -> bool {
        mode < 16 && self.0 >> mode & 1 == 1
    }

    /// Whether all of the other set are in this one.
    pub const fn includes(self, other: Modes) -> bool {
        self.0 & other.0 == other.0
    }

    /// What both allow; `None` when that is nothing.
    pub fn common(self, other: Modes) -> Option<Modes> {
        let both = self.0 & other.0;
        (both != 0).then_some(Modes(both))
    }

    /// The highest of them that is not above `limit`, else the lowest.
    pub fn at_most(self, limit: u8) -> u8 {
        let mut modes = (0..=limit.min(15)).rev().filter(|mode| self.contains(*mode));
        modes.next().unwrap_or(self.0.trailing_zeros() as u8)
    }

    /// As `mode-set` says it.
    pub fn text(self) -> String {
        let modes = (0..16u8).filter(|mode| self.contains(*mode));
        modes.map(|mode| mode.to_string()).collect::<Vec<_>>().join(",")
    }
}

impl Amr {
    /// What a payload type with this `a=fmtp` is; `None` for one that we cannot read or send.
    pub fn read(band: Band, fmtp: Option<&str>) -> Option<Amr> {
        let fmtp = fmtp.unwrap_or_default();
        let flag = |name| match parameter(fmtp, name) {
            None | Some("0") => Some(false),
            Some("1") => Some(true),
            Some(_) => None,
        };
        if flag("crc")? || flag("robust-sorting")? || parameter(fmtp, "interleaving").is_some() {
            return None;
        }
        let packing = match flag("octet-align")? {
            true => Packing::OctetAligned,
            false => Packing::BandwidthEfficient,
        };
        let modes = match parameter(fmtp, "mode-set") {
            Some(value) => Modes::parse(value, band)?,
            None => Modes::all(band),
        };
        Some(Amr { band, packing, modes })
    }

    /// Whether packets of one stand in the other without a change: the modes may differ.
    pub fn is_packed_like(self, other: Amr) -> bool {
        self.band == other.band && self.packing == other.packing
    }

    /// The same in the other packing.
    pub fn repacked(self) -> Amr {
        Amr {
            packing: self.packing.other(),
            ..self
        }
    }

    /// Of a peer's answer under the number `ours` was offered by, or of the same codec: what holds. `mode-set` binds both, so the
    /// modes are those that both name (§8.3.1); `None` when there is none. An answer that leaves parameters out means the offered ones.
    pub(crate) fn accepted(ours: Amr, theirs: Amr, fmtp: Option<&str>, same_number: bool) -> Option<Amr> {
        if ours.band != theirs.band {
            return None;
        }
        let says_packing = fmtp.is_some_and(|fmtp| parameter(fmtp, "octet-align").is_some());
        let packing = match same_number && !says_packing {
            true => ours.packing,
            false => theirs.packing,
        };
        let modes = ours.modes.common(theirs.modes)?;
        (packing == ours.packing).then_some(Amr { packing, modes, ..ours })
    }

    /// `octet-align` and `mode-set` as they hold, in front of what else is to be said.
    fn with(self, more: &[(&str, String)]) -> Option<String> {
        let mut all: Vec<String> = Vec::new();
        if self.packing == Packing::OctetAligned {
            all.push("octet-align=1".to_owned());
        }
        if self.modes != Modes::all(self.band) {
            all.push(format!("mode-set={}", self.modes.text()));
        }
        all.extend(more.iter().map(|(name, value)| format!("{name}={value}")));
        (!all.is_empty()).then(|| all.join(";"))
    }

    /// For an answer: packing and modes "unmodified from the SDP offer". What we play keeps one mode, and of whom we relay that is asked
    /// in our offer to it, so a peer that requires a period of mode changes gets it.
    pub(crate) fn answer(self, offered: Option<&str>) -> Option<String> {
        let offered = offered.unwrap_or_default();
        let mut more = Vec::new();
        if number(offered, "mode-change-period", 2) == Some(2) {
            more.push(("mode-change-capability", "2".to_owned()));
        }
        // "RECOMMENDED to use the same limitation as the offer declares."
        if let Some(most) = number(offered, "max-red", 65_535) {
            more.push(("max-red", most.to_string()));
        }
        self.with(&more)
    }

    /// For an offer to the one whose packets the sender of `theirs` will get: what that one requires and can.
    pub(crate) fn carried_on(self, theirs: Option<&str>) -> Option<String> {
        let theirs = theirs.unwrap_or_default();
        let names = [
            ("mode-change-period", 2),
            ("mode-change-capability", 2),
            ("mode-change-neighbor", 1),
            ("max-red", 65_535),
        ];
        let said = names
            .into_iter()
            .filter_map(|(name, most)| Some((name, number(theirs, name, most)?.to_string())));
        self.with(&said.collect::<Vec<_>>())
    }
}

/// A number of an fmtp value that is no greater than `most`.
fn number(fmtp: &str, name: &str, most: u32) -> Option<u32> {
    parameter(fmtp, name)?.parse().ok().filter(|value| *value <= most)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn narrow(fmtp: &str) -> Option<Amr> {
        Amr::read(Band::Narrow, Some(fmtp))
    }

    #[test]
    fn what_a_payload_type_is_by_its_parameters() {
        let plain = Amr::read(Band::Wide, None).unwrap();
        assert_eq!(
            (plain.packing, plain.modes),
            (Packing::BandwidthEfficient, Modes::all(Band::Wide))
        );
        let gsm = narrow("octet-align=1; mode-set=0,2,5,7; mode-change-period=2; mode-change-neighbor=1; x=y").unwrap();
        assert_eq!(
            (gsm.packing, gsm.modes.text().as_str()),
            (Packing::OctetAligned, "0,2,5,7")
        );
        assert_eq!(narrow("OCTET-ALIGN=1").unwrap().packing, Packing::OctetAligned);
        assert!(narrow("crc=0;robust-sorting=0;octet-align=0").is_some());
        for other in [
            "crc=1",
            "octet-align=1;robust-sorting=1",
            "interleaving=30",
            "octet-align=2",
            "mode-set=8",
            "mode-set=",
        ] {
            assert_eq!(narrow(other), None, "{other}");
        }
        assert!(Amr::read(Band::Wide, Some("mode-set=8")).is_some());
    }

    #[test]
    fn an_answer_keeps_what_binds_and_drops_what_is_unknown() {
        let of = |fmtp: &str| narrow(fmtp).unwrap().answer(Some(fmtp));
        assert_eq!(of("max-red=220;x=1").as_deref(), Some("max-red=220"));
        assert_eq!(
            of("mode-set=2,0;octet-align=1;mode-change-period=2;mode-change-neighbor=1").as_deref(),
            Some("octet-align=1;mode-set=0,2;mode-change-capability=2")
        );
        assert_eq!(of("mode-change-capability=2"), None);
        assert_eq!(of("max-red=70000"), None);
    }

    #[test]
    fn an_offer_onwards_says_what_the_other_requires() {
        let fmtp =
            "mode-set=0,2,4,7;mode-change-period=2;mode-change-capability=2;mode-change-neighbor=1;max-red=0;crc=0";
        let amr = narrow(fmtp).unwrap();
        assert_eq!(
            amr.carried_on(Some(fmtp)).as_deref(),
            Some("mode-set=0,2,4,7;mode-change-period=2;mode-change-capability=2;mode-change-neighbor=1;max-red=0")
        );
        assert_eq!(
            amr.repacked().carried_on(None).as_deref(),
            Some("octet-align=1;mode-set=0,2,4,7")
        );
    }

    #[test]
    fn an_answer_binds_the_modes_that_both_name() {
        let (ours, all) = (narrow("mode-set=0,2,4").unwrap(), narrow("").unwrap());
        let modes = |ours, theirs: &str, same| {
            Amr::accepted(ours, narrow(theirs).unwrap(), Some(theirs), same).map(|amr| amr.modes.text())
        };
        assert_eq!(modes(ours, "mode-set=0,2,4", true).as_deref(), Some("0,2,4"));
        assert_eq!(modes(ours, "", true).as_deref(), Some("0,2,4"), "left out");
        assert_eq!(modes(all, "mode-set=7", true).as_deref(), Some("7"), "its choice");
        assert_eq!(modes(ours, "mode-set=7", true), None);
        let aligned = all.repacked();
        assert!(modes(aligned, "", true).is_some(), "the number means the packing");
        assert_eq!(modes(aligned, "", false), None);
        assert_eq!(modes(all, "octet-align=1", true), None, "it says otherwise");
    }

    #[test]
    fn modes_are_found_below_a_limit() {
        let set = Modes::parse("2,4,7", Band::Narrow).unwrap();
        assert_eq!(
            [7, 6, 4, 3, 1, 0, 255].map(|limit| set.at_most(limit)),
            [7, 4, 4, 2, 2, 2, 7]
        );
        assert!(set.contains(4) && !set.contains(5) && !set.contains(200));
    }
}
