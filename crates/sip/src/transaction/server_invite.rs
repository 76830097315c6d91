//! INVITE server transaction (RFC 3261 §17.2.1, RFC 6026 §8.7).

use std::time::Duration;

use super::{Action, Actions, ServerInput, Timer, Timing};

/// Its states.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum ServerInvite {
    /// Not finally answered.
    Proceeding,
    /// Refused; the next retransmission interval.
    Completed(Duration),
    /// Refused and acknowledged.
    Confirmed,
    /// Answered with 2xx.
    Accepted,
    /// Over.
    Terminated,
}

impl ServerInvite {
    /// The next state.
    pub(crate) fn on(self, input: ServerInput, timing: Timing, out: &mut Actions) -> Self {
        match self {
            Self::Proceeding => proceeding(input, timing, out),
            Self::Completed(interval) => completed(interval, input, timing, out),
            Self::Confirmed => confirmed(input),
            Self::Accepted => accepted(input, out),
            Self::Terminated => Self::Terminated,
        }
    }
}

fn proceeding(input: ServerInput, timing: Timing, out: &mut Actions) -> ServerInvite {
    match input {
        // "If a request retransmission is received while in the 'Proceeding' state, the most recent provisional
        // response that was received from the TU MUST be passed to the transport layer for retransmission" (§17.2.1).
        ServerInput::Request => {
            out.push(Action::SendAgain);
            ServerInvite::Proceeding
        }
        ServerInput::Respond(0..=199) => {
            out.push(Action::Send);
            ServerInvite::Proceeding
        }
        // "If … the TU passes a 2xx response to the server transaction, the server transaction MUST pass this response
        // to the transport layer … … The server transaction MUST then transition to the 'Accepted' state" (RFC 6026
        // §8.5), where "Timer L MUST be set to fire in 64*T1 for all transports" (§8.7).
        ServerInput::Respond(200..=299) => {
            out.extend([Action::Send, Action::Set(Timer::L, timing.patience())]);
            ServerInvite::Accepted
        }
        // "For unreliable transports, timer G is set to fire in T1 seconds, and is not set to fire for reliable
        // transports … When the 'Completed' state is entered, timer H MUST be set to fire in 64*T1 seconds for all
        // transports" (§17.2.1).
        ServerInput::Respond(_) => {
            out.push(Action::Send);
            if !timing.reliable {
                out.push(Action::Set(Timer::G, timing.t1));
            }
            out.push(Action::Set(Timer::H, timing.patience()));
            ServerInvite::Completed(timing.t1)
        }
        ServerInput::Ack | ServerInput::Timer(_) => ServerInvite::Proceeding,
    }
}

fn completed(interval: Duration, input: ServerInput, timing: Timing, out: &mut Actions) -> ServerInvite {
    match input {
        // "While in the 'Completed' state, if a request retransmission is received, the server SHOULD pass the response
        // to the transport for retransmission" (§17.2.1).
        ServerInput::Request => {
            out.push(Action::SendAgain);
            ServerInvite::Completed(interval)
        }
        // "If timer G fires, the response is passed to the transport layer once more for retransmission, and timer G is
        // set to fire in MIN(2*T1, T2) seconds" (§17.2.1).
        ServerInput::Timer(Timer::G) => {
            let interval = timing.doubled(interval);
            out.extend([Action::SendAgain, Action::Set(Timer::G, interval)]);
            ServerInvite::Completed(interval)
        }
        // "If an ACK is received while the server transaction is in the 'Completed' state, [it] MUST transition to the
        // 'Confirmed' state. … timer I is set to fire in T4 seconds for unreliable transports, and zero seconds for
        // reliable" (§17.2.1).
        ServerInput::Ack => {
            out.extend([Action::Stop(Timer::G), Action::Stop(Timer::H), Action::Pass]);
            if timing.reliable {
                return ServerInvite::Terminated;
            }
            out.push(Action::Set(Timer::I, timing.t4()));
            ServerInvite::Confirmed
        }
        // "If timer H fires while in the 'Completed' state, it implies that the ACK was never received. In this case,
        // the server transaction MUST transition to the 'Terminated' state" (§17.2.1).
        ServerInput::Timer(Timer::H) => {
            out.push(Action::TimedOut);
            ServerInvite::Terminated
        }
        ServerInput::Respond(_) | ServerInput::Timer(_) => ServerInvite::Completed(interval),
    }
}

fn confirmed(input: ServerInput) -> ServerInvite {
    match input {
        // "The purpose of the 'Confirmed' state is to absorb any additional ACK messages that arrive" (§17.2.1).
        ServerInput::Timer(Timer::I) => ServerInvite::Terminated,
        ServerInput::Request | ServerInput::Ack | ServerInput::Respond(_) | ServerInput::Timer(_) => {
            ServerInvite::Confirmed
        }
    }
}

fn accepted(input: ServerInput, out: &mut Actions) -> ServerInvite {
    match input {
        // "While in the 'Accepted' state, if the TU passes a 2xx response, the server transaction MUST pass the
        // response to the transport layer for transmission" (RFC 6026 §8.7).
        ServerInput::Respond(200..=299) => {
            out.push(Action::SendAgain);
            ServerInvite::Accepted
        }
        // "Any retransmissions of the INVITE received will match this transaction state machine and will be absorbed"
        // (RFC 6026 §7.1).
        ServerInput::Request | ServerInput::Ack | ServerInput::Respond(_) => ServerInvite::Accepted,
        // "When Timer L fires … the transaction MUST transition to the 'Terminated' state" (RFC 6026 §8.7).
        ServerInput::Timer(Timer::L) => ServerInvite::Terminated,
        ServerInput::Timer(_) => ServerInvite::Accepted,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const UDP: Timing = Timing {
        t1: Duration::from_millis(500),
        reliable: false,
    };

    #[test]
    fn a_refusal_is_repeated_until_its_ack() {
        let mut out = Actions::new();
        let state = ServerInvite::Proceeding.on(ServerInput::Respond(486), UDP, &mut out);
        let state = state.on(ServerInput::Timer(Timer::G), UDP, &mut out);
        assert_eq!(state, ServerInvite::Completed(Duration::from_secs(1)));
        out.clear();
        let state = state.on(ServerInput::Ack, UDP, &mut out);
        assert_eq!(state, ServerInvite::Confirmed);
        assert!(out.contains(&Action::Stop(Timer::G)) && out.contains(&Action::Set(Timer::I, Duration::from_secs(5))));
        assert_eq!(
            state.on(ServerInput::Timer(Timer::I), UDP, &mut out),
            ServerInvite::Terminated
        );
    }

    #[test]
    fn accepted_absorbs_the_invite_and_leaves_retransmission_to_the_user() {
        let mut out = Actions::new();
        let state = ServerInvite::Proceeding.on(ServerInput::Respond(200), UDP, &mut out);
        assert!(!out.iter().any(|a| matches!(a, Action::Set(Timer::G, _))));
        out.clear();
        assert_eq!(state.on(ServerInput::Request, UDP, &mut out), ServerInvite::Accepted);
        assert_eq!(out, []);
        let state = state.on(ServerInput::Respond(200), UDP, &mut out);
        assert_eq!((state, &out[..]), (ServerInvite::Accepted, &[Action::SendAgain][..]));
    }
}
