//! Wakes a media thread once for all orders that it has not seen yet: a call's orders come in threes, a wake-up is dear.

use std::{
    io,
    os::fd::{AsFd, BorrowedFd},
    sync::atomic::{AtomicBool, Ordering::AcqRel},
};

use nix::sys::eventfd::{EfdFlags, EventFd};

/// Rung by those who give orders, heard through epoll by the thread.
#[derive(Debug)]
pub struct Bell {
    event: EventFd,
    /// Rung and not heard yet.
    rung: AtomicBool,
}

impl Bell {
    /// # Errors
    /// When the system gives no eventfd.
    pub fn new() -> io::Result<Bell> {
        let event = EventFd::from_value_and_flags(0, EfdFlags::EFD_CLOEXEC | EfdFlags::EFD_NONBLOCK)?;
        Ok(Bell {
            event,
            rung: AtomicBool::new(false),
        })
    }

    /// After an order was queued.
    ///
    /// # Errors
    /// When the system does not take it.
    pub fn ring(&self) -> io::Result<()> {
        if !self.rung.swap(true, AcqRel) {
            self.event.write(1)?;
        }
        Ok(())
    }

    /// Before the queue is looked at: what is queued later rings again.
    pub fn hear(&self) {
        let _ = self.event.read();
        self.rung.swap(false, AcqRel);
    }
}

impl AsFd for Bell {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.event.as_fd()
    }
}

#[cfg(test)]
mod tests {
    use nix::poll::{PollFd, PollFlags, PollTimeout, poll};

    use super::*;

    fn rings(bell: &Bell) -> bool {
        poll(&mut [PollFd::new(bell.as_fd(), PollFlags::POLLIN)], PollTimeout::ZERO).unwrap() == 1
    }

    #[test]
    fn it_rings_until_it_is_heard_and_then_again() {
        let bell = Bell::new().unwrap();
        assert!(!rings(&bell));
        for _ in 0..2 {
            bell.ring().unwrap();
            bell.ring().unwrap();
            assert!(rings(&bell));
            bell.hear();
            assert!(!rings(&bell));
        }
    }
}
