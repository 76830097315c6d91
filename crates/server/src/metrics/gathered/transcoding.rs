//! What transcoding counts.

use std::fmt;

use segue_jobs::Transcoders;
use segue_media::Stats;

use super::Told;

pub(super) fn encode(told: &mut Told<'_>, transcoders: &Transcoders, media: &Stats) -> fmt::Result {
    let stats = transcoders.stats();
    told.gauge(
        "transcoders_running",
        "Processes that transcode the sound or the pictures of a call, or stand by for one",
        stats.running,
    )?;
    told.gauge(
        "transcoders_taken",
        "Places that they take: one for sound, eight for pictures",
        stats.taken,
    )?;
    told.gauge("transcoders_max", "Places that there are", stats.max)?;
    told.gauge(
        "transcoders_cpu_percent",
        "What they take of all cores",
        stats.cpu_percent,
    )?;
    for (name, help, count) in [
        (
            "transcoders_started",
            "Processes started to transcode a call",
            stats.started,
        ),
        (
            "transcoders_refused",
            "Calls that wanted one when there was no transcoding capacity",
            stats.refused,
        ),
        (
            "rtp_transcoded_packets",
            "RTP packets made of those in another codec",
            media.transcoded,
        ),
        (
            "transcode_dropped_packets",
            "Packets that a transcoding process did not take in time",
            media.transcode_dropped,
        ),
    ] {
        told.counter(name, help, count)?;
    }
    Ok(())
}
