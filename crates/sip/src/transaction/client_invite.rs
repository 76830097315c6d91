//! INVITE client transaction (RFC 3261 §17.1.1, RFC 6026 §8.4).

use std::time::Duration;

use super::{Action, Actions, ClientInput, Timer, Timing};

/// Its states.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum ClientInvite {
    /// No response yet; the next retransmission interval.
    Calling(Duration),
    /// A provisional response came.
    Proceeding,
    /// A refusal came and was acknowledged.
    Completed,
    /// A 2xx came.
    Accepted,
    /// The user was told that nothing came of it, by time, transport or a CANCEL that did nothing; whether it was cancelled. A
    /// copy of the request may have arrived all the same.
    Failed(bool),
    /// Over.
    Terminated,
}

impl ClientInvite {
    /// "If an unreliable transport is being used, the client transaction MUST start timer A with a value of T1 … For
    /// any transport, the client transaction MUST start timer B with a value of 64*T1 seconds" (§17.1.1.2).
    pub(crate) fn start(timing: Timing, out: &mut Actions) -> Self {
        out.push(Action::Send);
        if !timing.reliable {
            out.push(Action::Set(Timer::A, timing.t1));
        }
        out.push(Action::Set(Timer::B, timing.patience()));
        Self::Calling(timing.t1)
    }

    /// The next state.
    pub(crate) fn on(self, input: ClientInput, timing: Timing, out: &mut Actions) -> Self {
        match self {
            Self::Calling(interval) => calling(interval, input, timing, out),
            Self::Proceeding => proceeding(input, timing, out),
            Self::Completed => completed(input, out),
            Self::Accepted => accepted(input, out),
            Self::Failed(cancelled) => failed(cancelled, input, out),
            Self::Terminated => Self::Terminated,
        }
    }
}

fn calling(interval: Duration, input: ClientInput, timing: Timing, out: &mut Actions) -> ClientInvite {
    match input {
        // "When timer A fires, the client transaction MUST retransmit the request …, and MUST reset the timer with a
        // value of 2*T1" (§17.1.1.2), and so on, not capped by T2.
        ClientInput::Timer(Timer::A) => {
            let interval = interval.saturating_mul(2);
            out.extend([Action::SendAgain, Action::Set(Timer::A, interval)]);
            ClientInvite::Calling(interval)
        }
        // "If the client transaction is still in the 'Calling' state when timer B fires, [it] SHOULD inform the TU"
        // (§17.1.1.2).
        ClientInput::Timer(Timer::B) => fail(Action::TimedOut, timing, out),
        // "The client transaction SHOULD inform the TU that a transport failure has occurred" (§17.1.4).
        ClientInput::TransportFailed => fail(Action::Unreachable, timing, out),
        ClientInput::Timer(_) | ClientInput::GivenUp => ClientInvite::Calling(interval),
        ClientInput::Response(status) => {
            out.extend([Action::Stop(Timer::A), Action::Stop(Timer::B)]);
            response(status, timing, out)
        }
    }
}

/// §17.1.1.2 and §17.1.4 go to "Terminated" here. But an earlier copy may have arrived, and a callee that answers it "MUST"
/// get an ACK (§13.2.2.4): the machine stays as long as an accepted one, for what comes late.
fn fail(told: Action, timing: Timing, out: &mut Actions) -> ClientInvite {
    out.extend([
        told,
        Action::Stop(Timer::A),
        Action::Stop(Timer::B),
        Action::Set(Timer::M, timing.patience()),
    ]);
    ClientInvite::Failed(false)
}

fn failed(cancelled: bool, input: ClientInput, out: &mut Actions) -> ClientInvite {
    match input {
        // It rings for nobody.
        ClientInput::Response(0..=199) => {
            if !cancelled {
                out.push(Action::Cancel);
            }
            ClientInvite::Failed(true)
        }
        // The user gives it ACK and BYE.
        ClientInput::Response(200..=299) => {
            out.push(Action::Pass);
            ClientInvite::Failed(cancelled)
        }
        ClientInput::Response(_) => {
            out.push(Action::Ack);
            ClientInvite::Failed(cancelled)
        }
        ClientInput::Timer(Timer::M) => ClientInvite::Terminated,
        ClientInput::Timer(_) | ClientInput::TransportFailed | ClientInput::GivenUp => ClientInvite::Failed(cancelled),
    }
}

fn proceeding(input: ClientInput, timing: Timing, out: &mut Actions) -> ClientInvite {
    match input {
        // "Any further provisional responses MUST be passed up to the TU while in the 'Proceeding' state" (§17.1.1.2).
        ClientInput::Response(status) => response(status, timing, out),
        // "… the client SHOULD then consider the original transaction cancelled" (§9.1). But a callee that has not heard of that
        // may still answer.
        ClientInput::GivenUp => {
            out.push(Action::Set(Timer::M, timing.patience()));
            ClientInvite::Failed(true)
        }
        ClientInput::Timer(_) | ClientInput::TransportFailed => ClientInvite::Proceeding,
    }
}

fn response(status: u16, timing: Timing, out: &mut Actions) -> ClientInvite {
    match status {
        0..=199 => {
            out.push(Action::Pass);
            ClientInvite::Proceeding
        }
        // "When a 2xx response is received while in either the 'Calling' or 'Proceeding' states, the client transaction
        // MUST transition to the 'Accepted' state, and Timer M MUST be started with a value of 64*T1" (RFC 6026 §8.4).
        200..=299 => {
            out.extend([Action::Set(Timer::M, timing.patience()), Action::Pass]);
            ClientInvite::Accepted
        }
        // "The client transaction MUST pass the received response up to the TU, and [it] MUST generate an ACK request …
        // The client transaction SHOULD start timer D when it enters the 'Completed' state … zero seconds for reliable
        // transports" (§17.1.1.2).
        _ => {
            out.extend([Action::Ack, Action::Pass]);
            if timing.reliable {
                return ClientInvite::Terminated;
            }
            out.push(Action::Set(Timer::D, timing.patience()));
            ClientInvite::Completed
        }
    }
}

fn completed(input: ClientInput, out: &mut Actions) -> ClientInvite {
    match input {
        // "Any retransmissions of the final response that are received while in the 'Completed' state MUST cause the
        // ACK to be re-passed to the transport layer for retransmission, but … MUST NOT be passed up to the TU"
        // (§17.1.1.2).
        ClientInput::Response(300..) => {
            out.push(Action::Ack);
            ClientInvite::Completed
        }
        // A proxy must forward a 2xx even after another fork's refusal (§16.7 step 5): the user gives it ACK and BYE.
        ClientInput::Response(200..=299) => {
            out.push(Action::Pass);
            ClientInvite::Completed
        }
        ClientInput::Timer(Timer::D) => ClientInvite::Terminated,
        ClientInput::Response(_) | ClientInput::Timer(_) | ClientInput::TransportFailed | ClientInput::GivenUp => {
            ClientInvite::Completed
        }
    }
}

fn accepted(input: ClientInput, out: &mut Actions) -> ClientInvite {
    match input {
        // "A 2xx response received while in the 'Accepted' state MUST be passed to the TU and the machine remains in
        // the 'Accepted' state" (RFC 6026 §7.2).
        ClientInput::Response(200..=299) => {
            out.push(Action::Pass);
            ClientInvite::Accepted
        }
        // "If Timer M fires while the client transaction is in the 'Accepted' state, the client transaction MUST move
        // to the 'Terminated' state" (RFC 6026 §8.4).
        ClientInput::Timer(Timer::M) => ClientInvite::Terminated,
        ClientInput::Response(_) | ClientInput::Timer(_) | ClientInput::TransportFailed | ClientInput::GivenUp => {
            ClientInvite::Accepted
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
    const TCP: Timing = Timing {
        t1: Duration::from_millis(500),
        reliable: true,
    };

    fn step(state: ClientInvite, input: ClientInput, timing: Timing) -> (ClientInvite, Actions) {
        let mut out = Actions::new();
        (state.on(input, timing, &mut out), out)
    }

    #[test]
    fn retransmits_at_doubling_intervals_until_timer_b() {
        let mut out = Actions::new();
        let mut state = ClientInvite::start(UDP, &mut out);
        let mut intervals = Vec::new();
        for _ in 0..6 {
            let (next, out) = step(state, ClientInput::Timer(Timer::A), UDP);
            assert_eq!(out[0], Action::SendAgain);
            let Action::Set(Timer::A, interval) = out[1] else {
                panic!("timer A again: {out:?}")
            };
            intervals.push(interval.as_millis());
            state = next;
        }
        assert_eq!(intervals, [1000, 2000, 4000, 8000, 16000, 32000]);
        let (state, out) = step(state, ClientInput::Timer(Timer::B), UDP);
        assert_eq!((state, out[0]), (ClientInvite::Failed(false), Action::TimedOut));
        assert_eq!(
            step(state, ClientInput::Timer(Timer::M), UDP),
            (ClientInvite::Terminated, vec![])
        );
    }

    #[test]
    fn what_comes_after_the_failure_was_told_is_cancelled_acknowledged_or_passed_but_not_told() {
        let (state, out) = step(ClientInvite::Calling(UDP.t1), ClientInput::TransportFailed, UDP);
        assert_eq!(out[0], Action::Unreachable);
        let (state, out) = step(state, ClientInput::Response(180), UDP);
        assert_eq!(out, [Action::Cancel]);
        for (input, actions) in [
            (ClientInput::Response(180), vec![]),
            (ClientInput::TransportFailed, vec![]),
            (ClientInput::Response(200), vec![Action::Pass]),
            (ClientInput::Response(487), vec![Action::Ack]),
        ] {
            assert_eq!(step(state, input, UDP), (ClientInvite::Failed(true), actions));
        }
    }

    #[test]
    fn tcp_never_retransmits_and_forgets_a_refusal_at_once() {
        let mut out = Actions::new();
        let state = ClientInvite::start(TCP, &mut out);
        assert!(!out.iter().any(|a| matches!(a, Action::Set(Timer::A, _))));
        let (state, out) = step(state, ClientInput::Response(486), TCP);
        assert_eq!(state, ClientInvite::Terminated);
        assert!(out.contains(&Action::Ack) && out.contains(&Action::Pass));
    }

    #[test]
    fn a_repeated_refusal_is_acknowledged_again_but_not_told_again() {
        let (state, _) = step(ClientInvite::Proceeding, ClientInput::Response(486), UDP);
        assert_eq!(
            step(state, ClientInput::Response(486), UDP),
            (ClientInvite::Completed, vec![Action::Ack])
        );
        assert_eq!(step(state, ClientInput::Response(180), UDP).1, vec![]);
    }

    #[test]
    fn accepted_passes_every_2xx_and_nothing_else() {
        let (state, _) = step(ClientInvite::Calling(UDP.t1), ClientInput::Response(200), UDP);
        assert_eq!(
            step(state, ClientInput::Response(200), UDP),
            (ClientInvite::Accepted, vec![Action::Pass])
        );
        assert_eq!(
            step(state, ClientInput::Response(486), UDP),
            (ClientInvite::Accepted, vec![])
        );
        assert_eq!(
            step(state, ClientInput::Timer(Timer::M), UDP).0,
            ClientInvite::Terminated
        );
    }
}
