//! INFO that asks for a key frame where RTCP feedback was not negotiated (RFC 5168).

use std::time::Instant;

use bytes::Bytes;
use segue_sip_wire::Method;

use super::{
    core::Core,
    session::{Phase, Session},
};
use crate::api::CommandError;

const PICTURE_FAST_UPDATE: &[u8] =
    b"<?xml version=\"1.0\" encoding=\"utf-8\"?>\r\n<media_control><vc_primitive><to_encoder>\
<picture_fast_update/></to_encoder></vc_primitive></media_control>\r\n";

impl Session {
    pub(crate) fn ask_key_frame(&mut self, core: &mut Core, now: Instant) -> Result<(), CommandError> {
        let wrong = self.wrong_state("INFO");
        let Phase::Confirmed(confirmed) = &mut self.phase else {
            return Err(wrong);
        };
        let draft = confirmed
            .dialog
            .request(Method::Info)
            .header("Contact", confirmed.dialog.contact.as_str())
            .header("User-Agent", core.config.user_agent.as_str())
            .body("application/media_control+xml", Bytes::from_static(PICTURE_FAST_UPDATE));
        core.request(now, &draft, confirmed.dialog.next_hop(), Some(self.id));
        Ok(())
    }
}
