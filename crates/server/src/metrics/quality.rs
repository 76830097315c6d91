//! How well media arrived, by leg: what call records say of it, summed up. Counted when a call has ended.

use prometheus_client::{
    metrics::{counter::Counter, family::Family, histogram::Histogram},
    registry::{Registry, Unit},
};
use segue_records::{CallRecord, MediaKind, StreamRecord};

use super::{Buckets, Label, Labels, seconds};

/// Shares of packets: a thousandth is not noticed, a twentieth is heard, a fifth is no conversation.
const LOSS: [f64; 8] = [0.0, 0.001, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2];
/// A jitter buffer holds some tens of milliseconds.
const JITTER_S: [f64; 8] = [0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.25];
/// From one rack to a satellite.
const ROUND_TRIP_S: [f64; 9] = [0.001, 0.005, 0.01, 0.025, 0.05, 0.1, 0.2, 0.4, 0.8];

/// One histogram for each side and kind; where a peer reports by RTCP, what it reports has the same labels.
#[derive(Debug, Clone)]
pub struct Quality {
    received: Family<Labels, Counter>,
    lost: Family<Labels, Counter>,
    peer_lost: Family<Labels, Counter>,
    loss: Family<Labels, Histogram, Buckets>,
    jitter: Family<Labels, Histogram, Buckets>,
    peer_loss: Family<Labels, Histogram, Buckets>,
    peer_jitter: Family<Labels, Histogram, Buckets>,
    round_trip: Family<Label, Histogram, Buckets>,
}

impl Quality {
    /// All at zero.
    pub fn new() -> Quality {
        let quality = Quality {
            received: Family::default(),
            lost: Family::default(),
            peer_lost: Family::default(),
            loss: Family::new_with_constructor(Buckets(&LOSS)),
            jitter: Family::new_with_constructor(Buckets(&JITTER_S)),
            peer_loss: Family::new_with_constructor(Buckets(&LOSS)),
            peer_jitter: Family::new_with_constructor(Buckets(&JITTER_S)),
            round_trip: Family::new_with_constructor(Buckets(&ROUND_TRIP_S)),
        };
        for side in ["caller", "callee"] {
            for kind in [MediaKind::Audio, MediaKind::Video] {
                let labels = labels(side, kind);
                for counters in [&quality.received, &quality.lost, &quality.peer_lost] {
                    let _ = counters.get_or_create(&labels);
                }
                for histograms in [&quality.loss, &quality.jitter, &quality.peer_loss, &quality.peer_jitter] {
                    let _ = histograms.get_or_create(&labels);
                }
            }
            let _ = quality.round_trip.get_or_create(&[("side", side.to_owned())]);
        }
        quality
    }

    /// Counts the streams of a call that has ended.
    pub fn ended(&self, record: &CallRecord) {
        for (number, leg) in record.legs.iter().enumerate() {
            let side = if number == 0 { "caller" } else { "callee" };
            for stream in &leg.media {
                self.stream(side, stream);
            }
        }
    }

    fn stream(&self, side: &str, stream: &StreamRecord) {
        let labels = labels(side, stream.kind);
        self.received.get_or_create(&labels).inc_by(stream.received);
        self.lost.get_or_create(&labels).inc_by(stream.lost);
        // Who never sent tells nothing about its network.
        if stream.received > 0 {
            let loss = share(stream.lost, stream.received.saturating_add(stream.lost));
            self.loss.get_or_create(&labels).observe(loss);
            self.jitter.get_or_create(&labels).observe(seconds(stream.jitter_ms));
        }
        if let Some(lost) = stream.peer_lost {
            self.peer_lost.get_or_create(&labels).inc_by(lost);
            if stream.sent > 0 {
                let loss = share(lost, stream.sent);
                self.peer_loss.get_or_create(&labels).observe(loss.min(1.0));
            }
        }
        if let Some(jitter_ms) = stream.peer_jitter_ms {
            self.peer_jitter.get_or_create(&labels).observe(seconds(jitter_ms));
        }
        if let Some(rtt_ms) = stream.rtt_ms {
            self.round_trip
                .get_or_create(&[("side", side.to_owned())])
                .observe(seconds(rtt_ms));
        }
    }

    /// Makes them known.
    pub fn register(&self, all: &mut Registry) {
        all.register(
            "rtp_stream_received_packets",
            "RTP packets of ended calls that came from a side",
            self.received.clone(),
        );
        all.register(
            "rtp_stream_lost_packets",
            "RTP packets of ended calls that a side sent and that never came",
            self.lost.clone(),
        );
        all.register(
            "rtp_stream_peer_lost_packets",
            "RTP packets of ended calls that a side missed of ours, by its RTCP",
            self.peer_lost.clone(),
        );
        all.register_with_unit(
            "rtp_stream_loss",
            "Share of a stream's packets that never came",
            Unit::Ratios,
            self.loss.clone(),
        );
        all.register_with_unit(
            "rtp_stream_jitter",
            "Interarrival jitter of a stream (RFC 3550 §6.4.1)",
            Unit::Seconds,
            self.jitter.clone(),
        );
        all.register_with_unit(
            "rtp_stream_peer_loss",
            "Share of a stream of ours that a side missed, by its RTCP",
            Unit::Ratios,
            self.peer_loss.clone(),
        );
        all.register_with_unit(
            "rtp_stream_peer_jitter",
            "Jitter of a stream of ours, by a side's RTCP",
            Unit::Seconds,
            self.peer_jitter.clone(),
        );
        all.register_with_unit(
            "rtp_round_trip",
            "From us to a side and back, by RTCP, once for each stream of an ended call",
            Unit::Seconds,
            self.round_trip.clone(),
        );
    }
}

fn labels(side: &str, kind: MediaKind) -> Labels {
    let kind = match kind {
        MediaKind::Audio => "audio",
        MediaKind::Video => "video",
    };
    [("side", side.to_owned()), ("kind", kind.to_owned())]
}

#[allow(clippy::cast_precision_loss, reason = "a figure for a chart")]
fn share(part: u64, whole: u64) -> f64 {
    part as f64 / whole.max(1) as f64
}

#[cfg(test)]
mod tests {
    use segue_records::{CallResult, LegRecord, PhaseName, UnixMs};

    use super::*;
    use crate::metrics::text;

    fn stream(kind: MediaKind) -> StreamRecord {
        StreamRecord {
            kind,
            received: 0,
            lost: 0,
            late: 0,
            jitter_ms: 0,
            sent: 100,
            sent_late: 0,
            peer_lost: None,
            peer_jitter_ms: None,
            rtt_ms: None,
            losses: Vec::new(),
            peer_losses: Vec::new(),
        }
    }

    fn leg(media: Vec<StreamRecord>) -> LegRecord {
        LegRecord {
            sip_call_id: "c".to_owned(),
            target: "sip:b@h".to_owned(),
            status: Some(200),
            reason: None,
            ladder: Vec::new(),
            media,
        }
    }

    #[test]
    fn each_leg_is_told_by_its_side_and_who_says_nothing_is_not_counted_as_good() {
        let lossy = StreamRecord {
            received: 970,
            lost: 30,
            jitter_ms: 7,
            peer_lost: Some(2),
            peer_jitter_ms: Some(3),
            rtt_ms: Some(120),
            losses: Vec::new(),
            peer_losses: Vec::new(),
            ..stream(MediaKind::Audio)
        };
        let record = CallRecord {
            from: "sip:a@h".to_owned(),
            to: "sip:b@h".to_owned(),
            phase_reached: PhaseName::Bridged,
            result: CallResult::Answered,
            legs: vec![leg(vec![stream(MediaKind::Video)]), leg(vec![lossy])],
            ..CallRecord::begun("1".to_owned(), "c".to_owned(), UnixMs(0))
        };
        let quality = Quality::new();
        quality.ended(&record);
        let mut registry = Registry::default();
        quality.register(&mut registry);
        let text = text(&registry);
        for line in [
            "rtp_stream_received_packets_total{side=\"callee\",kind=\"audio\"} 970",
            "rtp_stream_lost_packets_total{side=\"callee\",kind=\"audio\"} 30",
            "rtp_stream_loss_ratios_sum{side=\"callee\",kind=\"audio\"} 0.03",
            "rtp_stream_loss_ratios_bucket{le=\"0.02\",side=\"callee\",kind=\"audio\"} 0",
            "rtp_stream_loss_ratios_bucket{le=\"0.05\",side=\"callee\",kind=\"audio\"} 1",
            "rtp_stream_jitter_seconds_sum{side=\"callee\",kind=\"audio\"} 0.007",
            "rtp_stream_peer_loss_ratios_sum{side=\"callee\",kind=\"audio\"} 0.02",
            "rtp_stream_peer_jitter_seconds_sum{side=\"callee\",kind=\"audio\"} 0.003",
            "rtp_round_trip_seconds_sum{side=\"callee\"} 0.12",
            "rtp_stream_loss_ratios_count{side=\"caller\",kind=\"video\"} 0",
            "rtp_stream_peer_loss_ratios_count{side=\"caller\",kind=\"video\"} 0",
            "rtp_round_trip_seconds_count{side=\"caller\"} 0",
        ] {
            assert!(text.lines().any(|found| found == line), "{line}\n{text}");
        }
    }
}
