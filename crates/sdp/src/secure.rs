//! SRTP on one side of a leg: what it takes and offers, and the keys that its m-lines say (RFC 4568 §5.1).
#![deny(clippy::arithmetic_side_effects)]

use std::net::SocketAddr;

use crate::{
    Description, SdpError,
    crypto::{Crypto, KeyMaker, Keys, Suite},
    description::{MediaLine, Transport},
    side::{Side, Unusable, usable},
    write::{Line, LiveLine},
};

/// Which transports of a peer are taken.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Srtp {
    /// RTP alone: SRTP is refused.
    #[default]
    Off,
    /// Either, as the peer has it.
    Allow,
    /// SRTP alone.
    Require,
}

/// What a side has for SRTP.
#[derive(Debug, Clone)]
pub(crate) struct Security {
    takes: Srtp,
    /// m-lines of our own offers are SRTP's, too where the peer has said none of it yet.
    offers: bool,
    /// `None`: there is nothing to make keys of, and so no SRTP.
    maker: Option<KeyMaker>,
}

impl Security {
    pub const NONE: Security = Security {
        takes: Srtp::Off,
        offers: false,
        maker: None,
    };
}

/// What an m-line of ours says of SRTP; nothing at all where it is plain.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Secured {
    /// Of an offer: to choose from, the best first. Once answered: the one that is agreed.
    pub said: Vec<Crypto>,
    /// Where the peer receives what is under our key: one that moves may know nothing of what went there before (§7.1.4).
    peer: Option<SocketAddr>,
}

impl Secured {
    pub fn is_on(&self) -> bool {
        !self.said.is_empty()
    }
}

impl Side {
    /// Takes SRTP, or asks for it: `takes` is what peers may offer, `offers` whether our own offers are SRTP. `secret`: 32 random bytes
    /// that are used for nothing else; our keys are made of them.
    #[must_use]
    pub fn secured(mut self, takes: Srtp, offers: bool, secret: [u8; 32]) -> Side {
        self.security = Security {
            takes,
            offers: offers && takes != Srtp::Off,
            maker: Some(KeyMaker::new(secret)),
        };
        self
    }

    /// Whether a live stream is SRTP.
    pub fn is_secure(&self) -> bool {
        self.lines
            .iter()
            .any(|line| matches!(line, Line::Live(live) if live.secured.is_on()))
    }

    /// Whether anything of an offer goes over a transport that this side takes; where its formats are decided by others.
    ///
    /// # Errors
    /// Nothing does.
    pub fn admits(&self, offer: &Description) -> Result<(), SdpError> {
        let mut worst = Unusable::MediaType;
        for line in &offer.lines {
            match self
                .takes_transport(None, line)
                .and_then(|()| usable(line, self.address))
            {
                Ok(_) => return Ok(()),
                Err(unusable) => worst = worst.max(unusable),
            }
        }
        Err(worst.error())
    }

    /// Whether an m-line's transport is one that may be taken. What is SRTP stays so: no offer within the session turns it into
    /// plain RTP, nor puts plain RTP beside it. The rest of the line is for [`usable`] to judge.
    pub(crate) fn takes_transport(&self, now: Option<&Line>, line: &MediaLine) -> Result<(), Unusable> {
        let was_plain = matches!(now, Some(Line::Live(live)) if !live.secured.is_on());
        match (line.transport(), self.security.takes) {
            _ if line.kind().is_none() || line.port == 0 => Ok(()),
            (Some(Transport::Plain), Srtp::Require) => Err(Unusable::Unprotected),
            (Some(Transport::Plain), _) if self.is_secure() && !was_plain => Err(Unusable::Unprotected),
            (Some(Transport::Plain), _) => Ok(()),
            (Some(Transport::Secure), Srtp::Off) => Err(Unusable::Transport),
            (Some(Transport::Secure), Srtp::Allow | Srtp::Require) | (None, _) => Ok(()),
        }
    }

    /// What our answer says of SRTP in an m-line: the first of what was offered, under its tag, with a key of ours. A key in use is
    /// kept while its suite is, and the peer stays where it is.
    pub(crate) fn answer_secured(
        &mut self,
        now: Option<&Line>,
        line: &MediaLine,
    ) -> Result<(Secured, Option<Box<Keys>>), Unusable> {
        if line.transport() != Some(Transport::Secure) {
            return Ok((Secured::default(), None));
        }
        let theirs = line.crypto.first().ok_or(Unusable::Crypto)?;
        let peer = line.remotes().map(|(rtp, _)| rtp);
        let before = match now {
            Some(Line::Live(live)) => Some(&live.secured),
            _ => None,
        };
        let stays = before.is_none_or(|before| before.peer.is_none() || peer.is_none() || before.peer == peer);
        let kept = before.filter(|_| stays).and_then(|before| {
            let said = before.said.first().filter(|_| before.said.len() == 1)?;
            (said.key.suite() == theirs.key.suite()).then(|| said.key.clone())
        });
        let ours = match kept {
            Some(key) => key,
            None => self.fresh(theirs.key.suite()).ok_or(Unusable::Crypto)?,
        };
        let secured = Secured {
            said: vec![Crypto {
                tag: theirs.tag,
                key: ours.clone(),
            }],
            peer: peer.or(before.and_then(|before| before.peer)),
        };
        let theirs = theirs.key.clone();
        Ok((secured, Some(Box::new(Keys { ours, theirs }))))
    }

    /// An m-line of an offer of ours: what stands there stays SRTP with its keys; a new one is, where this side offers it or has
    /// it already.
    pub(crate) fn protect(&mut self, mut line: LiveLine, now: Option<&LiveLine>) -> LiveLine {
        if let Some(now) = now.filter(|now| now.secured.is_on()) {
            line.secured = now.secured.clone();
        } else if self.security.offers || self.is_secure() {
            let suites = Suite::OFFERED.into_iter().zip(1..);
            let said = suites.filter_map(|(suite, tag)| {
                let key = self.fresh(suite)?;
                Some(Crypto { tag, key })
            });
            line.secured = Secured {
                said: said.collect(),
                peer: None,
            };
        }
        if line.secured.is_on() {
            line.proto = match line.proto.ends_with("AVPF") {
                true => "RTP/SAVPF".to_owned(),
                false => "RTP/SAVP".to_owned(),
            };
        }
        line
    }

    fn fresh(&mut self, suite: Suite) -> Option<crate::MasterKey> {
        self.security.maker.as_mut()?.fresh(suite)
    }
}

/// What a peer's answer takes up of an m-line of ours: SRTP for SRTP, with a tag and its suite that were offered, plain for plain
/// (RFC 4568 §5.1.3, §5.3: else "the negotiation MUST fail").
pub(crate) fn accepted_keys(ours: &LiveLine, theirs: &MediaLine) -> Result<Option<Box<Keys>>, Unusable> {
    match (ours.secured.is_on(), theirs.transport()) {
        (false, Some(Transport::Plain)) => Ok(None),
        (true, Some(Transport::Secure)) => {
            let chosen = theirs.crypto.first().ok_or(Unusable::Crypto)?;
            let mut said = ours.secured.said.iter();
            let said = said.find(|said| said.tag == chosen.tag && said.key.suite() == chosen.key.suite());
            let ours = said.ok_or(Unusable::Crypto)?.key.clone();
            let theirs = chosen.key.clone();
            Ok(Some(Box::new(Keys { ours, theirs })))
        }
        (true, Some(Transport::Plain)) => Err(Unusable::Unprotected),
        (false, Some(Transport::Secure)) | (_, None) => Err(Unusable::Transport),
    }
}

impl LiveLine {
    /// The peer has chosen: from here on the line says that alone.
    pub(crate) fn settle_keys(&mut self, keys: Option<&Keys>, peer: Option<SocketAddr>) {
        if let Some(keys) = keys {
            self.secured.said.retain(|said| said.key == keys.ours);
            self.secured.peer = peer.or(self.secured.peer);
        }
    }
}
