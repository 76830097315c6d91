//! Non-INVITE client transaction (RFC 3261 §17.1.2).

use std::time::Duration;

use super::{Action, Actions, ClientInput, Timer, Timing};

/// Its states.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum ClientOther {
    /// No response yet; the last retransmission interval.
    Trying(Duration),
    /// A provisional response came.
    Proceeding,
    /// A final response came.
    Completed,
    /// Over.
    Terminated,
}

impl ClientOther {
    /// "The client transaction SHOULD set timer F to fire in 64*T1 seconds. … If an unreliable transport is in use,
    /// [it] MUST set timer E to fire in T1 seconds" (§17.1.2.2).
    pub(crate) fn start(timing: Timing, out: &mut Actions) -> Self {
        out.push(Action::Send);
        if !timing.reliable {
            out.push(Action::Set(Timer::E, timing.t1));
        }
        out.push(Action::Set(Timer::F, timing.patience()));
        Self::Trying(timing.t1)
    }

    /// The next state.
    pub(crate) fn on(self, input: ClientInput, timing: Timing, out: &mut Actions) -> Self {
        match self {
            Self::Trying(interval) => trying(interval, input, timing, out),
            Self::Proceeding => proceeding(input, timing, out),
            Self::Completed => completed(input),
            Self::Terminated => Self::Terminated,
        }
    }
}

fn trying(interval: Duration, input: ClientInput, timing: Timing, out: &mut Actions) -> ClientOther {
    match input {
        // "If timer E fires while still in this state, the timer is reset, but this time with a value of MIN(2*T1, T2)"
        // (§17.1.2.2).
        ClientInput::Timer(Timer::E) => {
            let interval = timing.doubled(interval);
            out.extend([Action::SendAgain, Action::Set(Timer::E, interval)]);
            ClientOther::Trying(interval)
        }
        ClientInput::Response(0..=199) => {
            out.push(Action::Pass);
            ClientOther::Proceeding
        }
        other => either(ClientOther::Trying(interval), other, timing, out),
    }
}

fn proceeding(input: ClientInput, timing: Timing, out: &mut Actions) -> ClientOther {
    match input {
        // "If Timer E fires while in the 'Proceeding' state, the request MUST be passed to the transport layer for
        // retransmission, and Timer E MUST be reset with a value of T2 seconds" (§17.1.2.2).
        ClientInput::Timer(Timer::E) => {
            out.extend([Action::SendAgain, Action::Set(Timer::E, timing.t2())]);
            ClientOther::Proceeding
        }
        ClientInput::Response(0..=199) => {
            out.push(Action::Pass);
            ClientOther::Proceeding
        }
        other => either(ClientOther::Proceeding, other, timing, out),
    }
}

/// What is the same before the final response.
fn either(state: ClientOther, input: ClientInput, timing: Timing, out: &mut Actions) -> ClientOther {
    match input {
        // "If Timer F fires while the client transaction is still in the 'Trying' [or 'Proceeding'] state, [it] SHOULD
        // inform the TU about the timeout, and then it SHOULD enter the 'Terminated' state" (§17.1.2.2).
        ClientInput::Timer(Timer::F) => {
            out.push(Action::TimedOut);
            ClientOther::Terminated
        }
        // §17.1.4, as for INVITE.
        ClientInput::TransportFailed => {
            out.push(Action::Unreachable);
            ClientOther::Terminated
        }
        // "The client transaction MUST transition to the 'Completed' state … it MUST set Timer K to fire in T4 seconds
        // for unreliable transports, and zero seconds for reliable transports" (§17.1.2.2).
        ClientInput::Response(200..) => {
            out.extend([Action::Stop(Timer::E), Action::Stop(Timer::F), Action::Pass]);
            if timing.reliable {
                return ClientOther::Terminated;
            }
            out.push(Action::Set(Timer::K, timing.t4()));
            ClientOther::Completed
        }
        ClientInput::Response(_) | ClientInput::Timer(_) | ClientInput::GivenUp => state,
    }
}

fn completed(input: ClientInput) -> ClientOther {
    match input {
        // "The 'Completed' state exists to buffer any additional response retransmissions that may be received"
        // (§17.1.2.2).
        ClientInput::Timer(Timer::K) => ClientOther::Terminated,
        ClientInput::Response(_) | ClientInput::Timer(_) | ClientInput::TransportFailed | ClientInput::GivenUp => {
            ClientOther::Completed
        }
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
    fn intervals_are_capped_by_t2() {
        let mut out = Actions::new();
        let mut state = ClientOther::start(UDP, &mut out);
        out.clear();
        for _ in 0..5 {
            state = state.on(ClientInput::Timer(Timer::E), UDP, &mut out);
        }
        let intervals: Vec<_> = out
            .iter()
            .filter_map(|a| {
                if let Action::Set(Timer::E, d) = a {
                    Some(d.as_millis())
                } else {
                    None
                }
            })
            .collect();
        assert_eq!(intervals, [1000, 2000, 4000, 4000, 4000]);
    }

    #[test]
    fn a_final_response_is_told_once() {
        let mut out = Actions::new();
        let state = ClientOther::Trying(UDP.t1).on(ClientInput::Response(200), UDP, &mut out);
        assert_eq!(out.iter().filter(|a| **a == Action::Pass).count(), 1);
        out.clear();
        let state = state.on(ClientInput::Response(200), UDP, &mut out);
        assert_eq!((state, out.len()), (ClientOther::Completed, 0));
        assert_eq!(
            state.on(ClientInput::Timer(Timer::K), UDP, &mut out),
            ClientOther::Terminated
        );
    }
}
