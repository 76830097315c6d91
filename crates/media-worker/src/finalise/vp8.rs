//! VP8 pictures put together from their payloads (RFC 7741 §4), what is damaged left out.
#![deny(clippy::arithmetic_side_effects)]

use segue_media::vp8::Descriptor;

use super::clock::{TimedRun, Track};
use super::video::{Picture, decodable};
use crate::vp8;

/// The pictures of a track, beginning at a key frame that is shown from time zero.
pub(super) fn pictures(track: &Track) -> Vec<Picture> {
    let all = track.runs.iter().flat_map(of_run).collect();
    decodable(all, |picture| picture.key)
}

/// A frame while its packets come.
struct Gathering {
    rtp: i64,
    time_ns: i64,
    frame: Vec<u8>,
    damaged: bool,
    after_loss: bool,
    marked: bool,
}

fn of_run(run: &TimedRun) -> Vec<Picture> {
    let mut done = Vec::new();
    let mut lost = false;
    let mut now: Option<Gathering> = None;
    let mut expected = None;
    for packet in &run.packets {
        let gap = expected.is_some_and(|seq| seq != packet.seq);
        expected = Some(packet.seq.saturating_add(1));
        let goes_on = now.as_ref().is_some_and(|frame| frame.rtp == packet.rtp);
        if !goes_on && let Some(frame) = now.take() {
            close(frame, gap, &mut lost, &mut done);
        }
        let begins = now.is_none();
        let frame = now.get_or_insert_with(|| Gathering {
            rtp: packet.rtp,
            time_ns: run.time_ns(packet),
            frame: Vec::new(),
            damaged: false,
            after_loss: gap,
            marked: false,
        });
        match Descriptor::parse(&packet.payload) {
            Some((descriptor, piece)) => {
                let starts = descriptor.starts_partition && descriptor.partition == 0;
                frame.damaged |= (begins && !starts) || (gap && goes_on);
                frame.frame.extend_from_slice(piece);
            }
            None => frame.damaged = true,
        }
        frame.marked = packet.marker;
    }
    if let Some(frame) = now {
        // Cut in the middle of a frame, unless it said that it ended.
        close(frame, true, &mut lost, &mut done);
    }
    done
}

/// `open`: packets are missing after it, so it is whole only if it said that it ended.
fn close(frame: Gathering, open: bool, lost: &mut bool, done: &mut Vec<Picture>) {
    *lost |= frame.after_loss;
    if frame.damaged || (open && !frame.marked) {
        *lost = true;
        return;
    }
    done.push(Picture {
        time_ns: frame.time_ns,
        key: vp8::is_key_frame(&frame.frame),
        units: vec![frame.frame],
        after_loss: std::mem::take(lost),
    });
}

#[cfg(test)]
#[allow(clippy::arithmetic_side_effects)] // Tests make their own input.
mod tests {
    use super::*;
    use crate::finalise::receive::Packet;

    /// Packets of frames 40 ms apart: frame number, marker, payload; a payload of none is lost.
    fn track(sent: &[(i64, bool, &[u8])]) -> Track {
        let packet = |(seq, (frame, marker, payload)): (i64, &(i64, bool, &[u8]))| {
            (!payload.is_empty()).then(|| Packet {
                seq,
                rtp: frame * 3_600,
                arrival_ns: frame * 40_000_000,
                marker: *marker,
                payload: payload.to_vec(),
            })
        };
        let packets = (0..).zip(sent).filter_map(packet).collect();
        Track {
            runs: vec![TimedRun {
                zero_ns: 0,
                clock_rate: 90_000,
                packets,
            }],
        }
    }

    fn frames(sent: &[(i64, bool, &[u8])]) -> Vec<Vec<u8>> {
        pictures(&track(sent))
            .into_iter()
            .map(|picture| picture.units.concat())
            .collect()
    }

    #[test]
    fn pieces_become_frames_and_what_is_damaged_goes() {
        let whole: [(i64, bool, &[u8]); 4] = [
            (0, true, &[0x10, 0x11, 1]),
            (1, false, &[0x10, 0x10, 2]),
            (1, true, &[0x00, 3]),
            (2, true, &[0x90, 0x80, 5, 0x11, 4]),
        ];
        assert_eq!(
            frames(&whole),
            [vec![0x10, 2, 3], vec![0x11, 4]],
            "from the first key frame"
        );
        let mut hole = whole;
        hole[2].2 = &[];
        assert_eq!(frames(&hole), [] as [Vec<u8>; 0], "the end of the key frame is lost");
        let mut cut = whole;
        cut[3].1 = false;
        assert_eq!(frames(&cut), [vec![0x10, 2, 3]], "cut before its end");
    }

    #[test]
    fn after_a_loss_the_picture_stands_until_the_next_key_frame() {
        let sent: [(i64, bool, &[u8]); 5] = [
            (0, true, &[0x10, 0x10, 0]),
            (1, true, &[]),
            (2, true, &[0x10, 0x11, 2]),
            (3, true, &[0x10, 0x10, 3]),
            (4, true, &[0x10, 0x11, 4]),
        ];
        assert_eq!(frames(&sent), [vec![0x10, 0], vec![0x10, 3], vec![0x11, 4]]);
    }
}
