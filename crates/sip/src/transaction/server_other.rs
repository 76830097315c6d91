//! Non-INVITE server transaction (RFC 3261 §17.2.2).

use super::{Action, Actions, ServerInput, Timer, Timing};

/// Its states.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum ServerOther {
    /// Nothing was answered.
    Trying,
    /// A provisional response was sent.
    Proceeding,
    /// The final response was sent.
    Completed,
    /// Over.
    Terminated,
}

impl ServerOther {
    /// The next state.
    pub(crate) fn on(self, input: ServerInput, timing: Timing, out: &mut Actions) -> Self {
        match self {
            Self::Trying => trying(input, timing, out),
            Self::Proceeding => proceeding(input, timing, out),
            Self::Completed => completed(input, out),
            Self::Terminated => Self::Terminated,
        }
    }
}

fn trying(input: ServerInput, timing: Timing, out: &mut Actions) -> ServerOther {
    match input {
        ServerInput::Respond(status) => respond(status, timing, out),
        // "Once in the 'Trying' state, any further request retransmissions are discarded" (§17.2.2).
        ServerInput::Request | ServerInput::Ack | ServerInput::Timer(_) => ServerOther::Trying,
    }
}

fn proceeding(input: ServerInput, timing: Timing, out: &mut Actions) -> ServerOther {
    match input {
        ServerInput::Respond(status) => respond(status, timing, out),
        // "If a retransmission of the request is received while in the 'Proceeding' state, the most recently sent
        // provisional response MUST be passed to the transport layer for retransmission" (§17.2.2).
        ServerInput::Request => {
            out.push(Action::SendAgain);
            ServerOther::Proceeding
        }
        ServerInput::Ack | ServerInput::Timer(_) => ServerOther::Proceeding,
    }
}

/// "If the TU passes a final response … the transaction MUST enter the 'Completed' state … it MUST set Timer J to fire
/// in 64*T1 seconds for unreliable transports, and zero seconds for reliable transports" (§17.2.2).
fn respond(status: u16, timing: Timing, out: &mut Actions) -> ServerOther {
    out.push(Action::Send);
    match status {
        0..=199 => ServerOther::Proceeding,
        _ if timing.reliable => ServerOther::Terminated,
        _ => {
            out.push(Action::Set(Timer::J, timing.patience()));
            ServerOther::Completed
        }
    }
}

fn completed(input: ServerInput, out: &mut Actions) -> ServerOther {
    match input {
        // "While in the 'Completed' state, the server transaction MUST pass the final response to the transport layer
        // for retransmission whenever a retransmission of the request is received. Any other final responses passed by
        // the TU … MUST be discarded" (§17.2.2).
        ServerInput::Request => {
            out.push(Action::SendAgain);
            ServerOther::Completed
        }
        ServerInput::Timer(Timer::J) => ServerOther::Terminated,
        ServerInput::Respond(_) | ServerInput::Ack | ServerInput::Timer(_) => ServerOther::Completed,
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn a_repeated_request_gets_the_response_again_but_not_before_there_is_one() {
        let udp = Timing {
            t1: Duration::from_millis(500),
            reliable: false,
        };
        let mut out = Actions::new();
        let state = ServerOther::Trying.on(ServerInput::Request, udp, &mut out);
        assert_eq!((state, out.len()), (ServerOther::Trying, 0));
        let state = state.on(ServerInput::Respond(200), udp, &mut out);
        assert_eq!(out, [Action::Send, Action::Set(Timer::J, Duration::from_secs(32))]);
        out.clear();
        let state = state.on(ServerInput::Request, udp, &mut out);
        assert_eq!((state, &out[..]), (ServerOther::Completed, &[Action::SendAgain][..]));
        assert_eq!(
            state.on(ServerInput::Timer(Timer::J), udp, &mut out),
            ServerOther::Terminated
        );
    }
}
