//! The only mapping between what `media` says and what `call` says.

use std::{
    collections::BTreeMap,
    net::IpAddr,
    path::Path,
    time::{Duration, Instant},
};

use segue_call::prompts::{Picture, Prompt};
use segue_call::{ClipUse, LegId, MediaEvent, Now, Source};
use segue_mailbox::{RecordingManifest, RenditionProfile, StopCause};
use segue_media::{Command, Event, Kind, LegKey, Loss, RecordingStop, SwitchTo, Tally, Trust, cache::Cache};
use segue_policy::MediaFrom;
use segue_records::{LossRecord, MediaKind, StreamRecord, UnixMs};

use crate::{clips::Renditions, prompts::PromptSet};

/// A source's number on the packet path.
fn number(source: Source) -> u32 {
    match source {
        Source::Clip => 0,
        Source::Greeting => 1,
        Source::Beep => 2,
        Source::Callee => 3,
        Source::Notice => 4,
        Source::Take => 6,
        Source::Prompt => FIRST_TURN,
        Source::Message => 5,
    }
}

/// What is said has a number a turn, from here on.
const FIRST_TURN: u32 = 16;

/// The source of a number that we gave.
fn source(number: u32) -> Option<Source> {
    if number >= FIRST_TURN {
        return Some(Source::Prompt);
    }
    [
        Source::Clip,
        Source::Greeting,
        Source::Beep,
        Source::Callee,
        Source::Notice,
        Source::Message,
        Source::Take,
    ]
    .into_iter()
    .find(|s| self::number(*s) == number)
}

/// An event of the packet path as the call core wants it.
pub(crate) fn media_event(event: Event) -> Option<MediaEvent> {
    Some(match event {
        Event::FirstPacket { source: n } => MediaEvent::FirstPacket { source: source(n)? },
        Event::Played { source: n } if n >= FIRST_TURN => MediaEvent::Said {
            turn: n.wrapping_sub(FIRST_TURN),
        },
        Event::Played { source: n } => MediaEvent::Played { source: source(n)? },
        Event::Switched { to, kind, gap_ms } => {
            let to = match to {
                SwitchTo::Source(n) => source(n)?,
                SwitchTo::Callee => Source::Callee,
            };
            MediaEvent::Switched { to, kind, gap_ms }
        }
        Event::Dtmf { leg, key } => MediaEvent::Dtmf { leg: LegId(leg.0), key },
        Event::RtpGone { leg } => MediaEvent::RtpGone { leg: LegId(leg.0) },
        Event::RecordingStopped { cause } => MediaEvent::RecordingStopped {
            cause: match cause {
                RecordingStop::Longest => StopCause::Longest,
                RecordingStop::RtpGone => StopCause::RtpGone,
                RecordingStop::Silence => StopCause::Silence,
            },
        },
        Event::Recorded { duration_ms, .. } => MediaEvent::Recorded { duration_ms },
        Event::RecordFailed { why } => MediaEvent::RecordFailed { why },
        Event::TranscoderLost { kind } => MediaEvent::TranscoderLost { kind },
        // Not of the call's words: the performer ends the call, completes its record, or answers who looks at it.
        Event::Lost | Event::Counted { .. } | Event::AllCounted | Event::Tallied { .. } | Event::Closed => return None,
        Event::KeyFrameWanted { leg } => MediaEvent::KeyFrameWanted { leg: LegId(leg.0) },
    })
}

/// What was counted on an m-line as a record has it; its moments are on the clock on the wall, as it is `now`.
pub(crate) fn stream_record(now: Now, kind: Kind, tally: &Tally) -> StreamRecord {
    let at = |moment: Instant| {
        let ago = now.mono.saturating_duration_since(moment).as_millis();
        UnixMs(now.wall.0.saturating_sub(i64::try_from(ago).unwrap_or(i64::MAX)))
    };
    let losses = |all: &[Loss]| {
        let record = |loss: &Loss| LossRecord {
            from: at(loss.from),
            until: at(loss.until),
            packets: loss.packets.into(),
        };
        all.iter().map(record).collect()
    };
    StreamRecord {
        kind: match kind {
            Kind::Audio => MediaKind::Audio,
            Kind::Video => MediaKind::Video,
        },
        received: tally.received,
        lost: tally.lost,
        late: tally.late,
        jitter_ms: tally.jitter_ms,
        sent: tally.sent,
        sent_late: tally.sent_late,
        peer_lost: tally.peer_lost,
        peer_jitter_ms: tally.peer_jitter_ms,
        rtt_ms: tally.round_trip_ms,
        losses: losses(&tally.losses),
        peer_losses: losses(&tally.peer_losses),
    }
}

/// `Play` with the caches that were loaded at the look-up.
pub(crate) fn play_command(
    source: Source,
    clip: &ClipUse,
    looping: bool,
    playing: Option<&BTreeMap<i64, Renditions>>,
) -> Result<Command, String> {
    let renditions = playing
        .and_then(|p| p.get(&clip.clip))
        .ok_or_else(|| format!("clip {} is not loaded", clip.clip))?;
    let find = |profile: Option<RenditionProfile>| -> Option<Cache> { renditions.get(&profile?).cloned() };
    let (audio, video) = (find(clip.audio), find(clip.video));
    if audio.is_none() && video.is_none() {
        return Err(format!("clip {} has no rendition for this caller", clip.clip));
    }
    Ok(Command::Play {
        source: number(source),
        audio,
        video,
        looping,
    })
}

/// `Say` from the prompts that are prepared.
pub(crate) fn say_command(
    turn: u32,
    set: Option<&PromptSet>,
    (prompts, picture): (&[Prompt], Option<Picture>),
    (audio, video): (Option<RenditionProfile>, Option<RenditionProfile>),
) -> Result<Command, String> {
    if prompts.is_empty() && picture.is_none() {
        // Silence, for which nothing need be prepared.
        return Ok(Command::Say {
            source: FIRST_TURN.saturating_add(turn),
            audio: Vec::new(),
            video: None,
        });
    }
    let set = set.ok_or("there are no prompts")?;
    let sound = |prompt: &Prompt| {
        let missing = || format!("there is no prompt {}", prompt.id());
        audio.map(|profile| set.sound(*prompt, profile).ok_or_else(missing))
    };
    let sounds: Result<Vec<Cache>, String> = prompts.iter().filter_map(sound).collect();
    let shown = picture.zip(video).map(|(picture, profile)| {
        let missing = || format!("there is no picture {}", picture.id());
        set.picture(picture, profile).ok_or_else(missing)
    });
    Ok(Command::Say {
        source: FIRST_TURN.saturating_add(turn),
        audio: sounds?,
        video: shown.transpose()?,
    })
}

/// The same from somewhere within: from the last key frame before that, and the sound from there.
pub(crate) fn play_from_command(
    source: Source,
    clip: &ClipUse,
    from_ms: u64,
    playing: Option<&BTreeMap<i64, Renditions>>,
) -> Result<Command, String> {
    let mut command = play_command(source, clip, false, playing)?;
    let Command::Play { audio, video, .. } = &mut command else {
        return Ok(command);
    };
    let from_us = u32::try_from(from_ms.saturating_mul(1_000)).unwrap_or(u32::MAX);
    let from_us = video
        .as_ref()
        .and_then(|video| video.key_frame_before(from_us))
        .unwrap_or(from_us);
    for cache in [audio, video] {
        *cache = cache.as_ref().and_then(|cache| cache.since(from_us));
    }
    Ok(command)
}

/// `Poster` from a cache that was loaded at the look-up.
pub(crate) fn poster_command(clip: &ClipUse, playing: Option<&BTreeMap<i64, Renditions>>) -> Result<Command, String> {
    let renditions = playing.and_then(|playing| playing.get(&clip.clip));
    let video = clip.video.and_then(|profile| renditions?.get(&profile).cloned());
    let video = video.ok_or_else(|| format!("clip {} is not loaded", clip.clip))?;
    Ok(Command::Poster { video })
}

/// `Rules` in the packet path's words.
pub(crate) fn rules_command(rtp_gone_ms: u64, media_from: MediaFrom, source: IpAddr) -> Command {
    Command::Rules {
        rtp_gone: (rtp_gone_ms > 0).then(|| Duration::from_millis(rtp_gone_ms)),
        trust: match media_from {
            MediaFrom::Proven => Trust::Proven(source),
            MediaFrom::Nat => Trust::Nat(source),
            MediaFrom::Any => Trust::Signalled,
        },
    }
}

/// `Trust` for a callee behind a NAT.
pub(crate) fn behind_nat_command(leg: LegId, source: IpAddr) -> Command {
    Command::Trust {
        leg: LegKey(leg.0),
        trust: Trust::Nat(source),
    }
}

/// `Record` into the spool file of the message.
pub(crate) fn record_command(
    spool_dir: &Path,
    manifest: &RecordingManifest,
    (longest_ms, longest_bytes): (u64, Option<u64>),
    silence_ms: Option<u64>,
) -> Result<Command, String> {
    let manifest_json = serde_json::to_vec(manifest).map_err(|e| e.to_string())?;
    let path = spool_dir.join(format!("{}.spool", manifest.message_id));
    Ok(Command::Record {
        path,
        manifest_json,
        longest_ms,
        longest_bytes,
        silence_ms,
        pictures: manifest.kind == segue_mailbox::Kind::Video,
    })
}
