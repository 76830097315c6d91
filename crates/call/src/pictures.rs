//! A and B without a video codec in common. B is offered what can be made of A's pictures beside those; where it takes that, and A cannot be
//! brought to it, a process makes the pictures of the two of each other. It is asked for when they are bridged so: without one their call
//! goes on, with sound alone.

use segue_sdp::{Codec, Kind};

use crate::{
    apart::{Transcoder, differing},
    cx::Cx,
    io::{LegId, MediaAction},
    settling::H264,
};

/// Whether a process makes the one of the other.
fn is_made(one: Codec, other: Codec) -> bool {
    let is_picture = |codec| matches!(codec, Codec::H264 { .. } | Codec::Vp8);
    is_picture(one) && is_picture(other) && !one.is_same_kind(other)
}

impl Cx {
    /// The pictures that can be made of A's.
    pub fn made_pictures(&self) -> Vec<Codec> {
        let video = self.a.answer().and_then(|answer| answer.video.as_ref());
        let Some(video) = video.filter(|_| self.may_make_pictures()) else {
            return Vec::new();
        };
        let made = [H264, Codec::Vp8].into_iter();
        made.filter(|codec| is_made(*codec, video.format.codec)).collect()
    }

    fn may_make_pictures(&self) -> bool {
        self.invite.profile.transcode_video && !matches!(self.picture_maker, Transcoder::Refused(_))
    }

    /// Whether what A and its callee show is to be made of each other.
    fn needs_pictures_made(&self) -> bool {
        let callee = self.bridged.and_then(|leg| self.party(leg));
        let agreed = self.party(LegId::A).zip(callee);
        self.stays_apart
            && agreed.is_some_and(|((_, a), (_, b))| {
                differing(a, b, Kind::Video).is_some_and(|(a, b)| is_made(a.format.codec, b.format.codec))
            })
    }

    /// Ask for the process, or give it back, by what A and its callee have agreed on now.
    pub fn settle_pictures(&mut self) {
        let kind = Kind::Video;
        match (&self.picture_maker, self.needs_pictures_made()) {
            (Transcoder::None, true) if self.may_make_pictures() => {
                self.picture_maker = Transcoder::Asked(1);
                self.media(MediaAction::Transcode { kind });
            }
            (Transcoder::Asked(_) | Transcoder::Ready(_), false) => {
                self.picture_maker = Transcoder::None;
                self.media(MediaAction::EndTranscode { kind });
            }
            _ => {}
        }
    }

    /// Why A and its callee saw nothing of each other that could have been made.
    pub fn why_no_pictures(&self) -> Option<&str> {
        match &self.picture_maker {
            Transcoder::Refused(why) => Some(why),
            Transcoder::None | Transcoder::Asked(_) | Transcoder::Ready(_) => None,
        }
    }
}
