//! INFO (RFC 6086): its legacy usages, keys that are pressed, and key frames where RTCP feedback was not negotiated (RFC 5168);
//! all else is for others.

use std::{sync::Arc, time::Instant};

use bytes::Bytes;
use segue_sip_wire::{KeyPress, Message, Method};

use super::{
    core::Core,
    session::{Phase, Session},
};
use crate::{
    api::{CommandError, Event},
    transaction::store::TransactionId,
};

const MEDIA_CONTROL: &str = "application/media_control+xml";

const PICTURE_FAST_UPDATE: &[u8] =
    b"<?xml version=\"1.0\" encoding=\"utf-8\"?>\r\n<media_control><vc_primitive><to_encoder>\
<picture_fast_update/></to_encoder></vc_primitive></media_control>\r\n";

impl Session {
    /// "If the INFO request is syntactically correct and well structured, the UA MUST send a 200" (RFC 6086 §4.2.2).
    pub(crate) fn on_info(
        &mut self,
        core: &mut Core,
        now: Instant,
        transaction: TransactionId,
        request: &Arc<Message>,
    ) {
        if request.header("Info-Package").is_some() {
            return self.ask_or_decline(core, now, transaction, request);
        }
        let content_type = request.content_type().unwrap_or_default();
        match KeyPress::read(content_type, request.body()) {
            Some(Ok(press)) => {
                self.reply(core, now, transaction, request, 200, &[]);
                self.emit(core, |session| Event::Key { session, press });
            }
            Some(Err(error)) => {
                let warning = [("Warning", format!("399 segue \"{error}\""))];
                self.reply(core, now, transaction, request, 400, &warning);
            }
            None if request.body().is_empty() || is_media_control(content_type) => {
                self.reply(core, now, transaction, request, 200, &[]);
                let request = request.clone();
                self.emit(core, |session| Event::Info { session, request });
            }
            None => self.ask_or_decline(core, now, transaction, request),
        }
    }

    /// What means nothing here may mean something to who is behind us, once there is somebody. A description of a session is none of
    /// it.
    fn ask_or_decline(&mut self, core: &mut Core, now: Instant, transaction: TransactionId, request: &Arc<Message>) {
        let confirmed = matches!(&self.phase, Phase::Confirmed(confirmed) if confirmed.bye.is_none());
        if !confirmed || request.sdp().is_some() {
            return self.decline(core, now, transaction, request);
        }
        if !self.asked(core, transaction, request) {
            let later = [("Retry-After", core.retry_after())];
            self.reply(core, now, transaction, request, 500, &later);
        }
    }

    /// Says that nobody here takes it, and what is taken.
    pub(crate) fn decline(&self, core: &mut Core, now: Instant, transaction: TransactionId, request: &Message) {
        if request.header("Info-Package").is_some() {
            // Of our own we have said Recv-Info to nobody.
            let none = [("Recv-Info", String::new())];
            return self.reply(core, now, transaction, request, 469, &none);
        }
        let accept = [("Accept", format!("{}, {MEDIA_CONTROL}", KeyPress::CONTENT_TYPES))];
        self.reply(core, now, transaction, request, 415, &accept);
    }

    pub(crate) fn ask_key_frame(&mut self, core: &mut Core, now: Instant) -> Result<(), CommandError> {
        self.inform(core, now, MEDIA_CONTROL, Bytes::from_static(PICTURE_FAST_UPDATE))
    }

    pub(crate) fn tell_key(&mut self, core: &mut Core, now: Instant, press: KeyPress) -> Result<(), CommandError> {
        self.inform(core, now, KeyPress::CONTENT_TYPE, press.body())
    }

    fn inform(
        &mut self,
        core: &mut Core,
        now: Instant,
        content_type: &'static str,
        body: Bytes,
    ) -> Result<(), CommandError> {
        let wrong = self.wrong_state("INFO");
        let Phase::Confirmed(confirmed) = &mut self.phase else {
            return Err(wrong);
        };
        let draft = confirmed
            .dialog
            .request(Method::Info)
            .header("Contact", confirmed.dialog.contact.as_str())
            .header("User-Agent", core.config.user_agent.as_str())
            .body(content_type, body);
        core.request(now, &draft, confirmed.dialog.next_hop(), Some(self.id));
        Ok(())
    }
}

fn is_media_control(content_type: &str) -> bool {
    let essence = content_type.split(';').next().unwrap_or_default();
    essence.trim().eq_ignore_ascii_case(MEDIA_CONTROL)
}
