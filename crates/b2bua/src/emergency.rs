//! Emergency calls, as their requests show them.

use segue_call::number;
use segue_policy::{Emergency, Profile};
use segue_sip_wire::{Message, Method};

/// Whether a request is an INVITE that calls for help, or calls back who has.
pub(crate) fn of(request: &Message, profile: &Profile) -> Option<Emergency> {
    if request.method() != Some(&Method::Invite) {
        return None;
    }
    called(request, profile)
}

/// The same of a request that asks what an INVITE would get.
pub(crate) fn called(request: &Message, profile: &Profile) -> Option<Emergency> {
    let uri = request.request_uri()?;
    // Most calls are to SIP URIs, and most profiles have no such numbers: both are read only where they count.
    let service = if uri.is_sip() { String::new() } else { uri.to_string() };
    let numbers = !profile.emergency_numbers.is_empty();
    let number = numbers.then(|| number(uri)).flatten();
    profile.emergency(&service, number.as_deref(), request.header("Priority"))
}
