//! What the packet path was told, as stories say it.

use segue_call::{MediaAction, Output};
use segue_sdp::Kind;

use super::{Stage, name};

impl Stage {
    /// What the packet path was told, in short; the rules that each call begins with left out.
    pub fn media_did(&self) -> Vec<String> {
        let media = self.said.iter().filter_map(|(_, o)| {
            match o {
                // One goes with every bridge whose A has video.
                Output::Media(MediaAction::Rules { .. } | MediaAction::Poster { .. }) => None,
                Output::Media(action) => Some(action),
                _ => None,
            }
        });
        media
            .map(|action| match action {
                MediaAction::Rules { .. } => "rules".into(),
                MediaAction::Open { leg, .. } => format!("open {}", name(*leg)),
                MediaAction::Configure { leg, .. } => format!("configure {}", name(*leg)),
                MediaAction::Play { source, looping, .. } => {
                    format!("play {source:?}{}", if *looping { " looping" } else { "" }).to_lowercase()
                }
                MediaAction::Say {
                    prompts, picture: None, ..
                } if prompts.is_empty() => "hush".into(),
                MediaAction::Say { prompts, picture, .. } => {
                    let ids: Vec<String> = prompts.iter().map(|prompt| prompt.id()).collect();
                    let picture = picture.map(|picture| format!(" under {}", picture.id()));
                    format!("say {}{}", ids.join(" "), picture.unwrap_or_default())
                }
                MediaAction::Poster { .. } => "poster".into(),
                MediaAction::BehindNat { .. } => "behind nat".into(),
                MediaAction::Bridge { leg } => format!("bridge {}", name(*leg)),
                MediaAction::Hear { leg } => format!("hear {}", name(*leg)),
                MediaAction::TellKey { leg, key, duration_ms } => {
                    format!("key {key} {duration_ms} to {}", name(*leg))
                }
                MediaAction::Record { .. } => "record".into(),
                MediaAction::PlayFrom { source, clip, from_ms } => {
                    format!("play {} {} from {from_ms}", source.as_str(), clip.clip)
                }
                MediaAction::StopRecording { cause } => format!("stop {cause:?}").to_lowercase(),
                MediaAction::Transcode { kind: Kind::Audio } => "transcode".into(),
                MediaAction::Transcode { kind: Kind::Video } => "transcode pictures".into(),
                MediaAction::EndTranscode { kind: Kind::Audio } => "end transcode".into(),
                MediaAction::EndTranscode { kind: Kind::Video } => "end transcode pictures".into(),
                MediaAction::CloseLeg { leg } => format!("close {}", name(*leg)),
                MediaAction::Close => "close".into(),
            })
            .collect()
    }
}
