//! Values as they stand in a file or the environment, and what they are read as.

use std::{
    fmt,
    net::{IpAddr, SocketAddr},
    ops::RangeInclusive,
};

/// A value before its key has read it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Raw {
    /// A TOML string, or anything from the environment.
    Text(String),
    /// A TOML integer.
    Number(i64),
    /// A TOML array.
    List(Vec<Raw>),
    /// Some other TOML type, by its name.
    Other(&'static str),
}

impl fmt::Display for Raw {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Raw::Text(text) => write!(f, "{text:?}"),
            Raw::Number(number) => write!(f, "{number}"),
            Raw::List(items) => {
                f.write_str("[")?;
                for (i, item) in items.iter().enumerate() {
                    write!(f, "{}{item}", if i == 0 { "" } else { ", " })?;
                }
                f.write_str("]")
            }
            Raw::Other(what) => write!(f, "({what})"),
        }
    }
}

impl Raw {
    /// A string that is not empty.
    pub fn text(&self) -> Result<&str, String> {
        match self {
            Raw::Text(text) if !text.trim().is_empty() => Ok(text.trim()),
            _ => Err("a string is needed".to_owned()),
        }
    }

    /// A number or string as it was written; anything else is no value of any form.
    pub fn shown(&self) -> String {
        match self {
            Raw::Text(text) => text.trim().to_owned(),
            other => other.to_string(),
        }
    }

    /// An integer within bounds, as a number or in a string.
    pub fn number(&self, bounds: RangeInclusive<u64>) -> Result<u64, String> {
        let number = match self {
            Raw::Number(number) => u64::try_from(*number).ok(),
            Raw::Text(text) => text.trim().parse().ok(),
            _ => None,
        };
        number
            .filter(|n| bounds.contains(n))
            .ok_or_else(|| format!("a whole number from {} to {} is needed", bounds.start(), bounds.end()))
    }

    /// `address:port`.
    pub fn socket(&self) -> Result<SocketAddr, String> {
        self.text()?
            .parse()
            .map_err(|_| "\"address:port\" is needed, e.g. \"127.0.0.1:5060\"".to_owned())
    }

    /// A list of `address:port`; in the environment separated by commas, empty for none.
    pub fn sockets(&self) -> Result<Vec<SocketAddr>, String> {
        const MAX: usize = 16;
        let list: Vec<SocketAddr> = match self {
            Raw::List(items) => items.iter().map(Raw::socket).collect::<Result<_, _>>()?,
            Raw::Text(text) if text.trim().is_empty() => Vec::new(),
            Raw::Text(text) => text
                .split(',')
                .map(|one| Raw::Text(one.to_owned()).socket())
                .collect::<Result<_, _>>()?,
            _ => return Err("a list is needed, e.g. [\"127.0.0.1:5060\"]".to_owned()),
        };
        let doubled = list
            .iter()
            .enumerate()
            .find(|(i, a)| a.port() != 0 && list.iter().take(*i).any(|b| b == *a));
        if let Some((_, address)) = doubled {
            return Err(format!("{address} stands there twice"));
        }
        if list.len() > MAX {
            return Err(format!("at most {MAX} sockets"));
        }
        Ok(list)
    }

    /// One value or a list of at most `max`; in the environment separated by commas.
    pub fn each<T>(&self, max: usize, read: impl Fn(&Raw) -> Result<T, String>) -> Result<Vec<T>, String> {
        let list: Vec<T> = match self {
            Raw::List(items) => items.iter().map(read).collect::<Result<_, _>>()?,
            Raw::Text(text) => {
                let one = |one: &str| read(&Raw::Text(one.to_owned()));
                text.split(',').map(one).collect::<Result<_, _>>()?
            }
            other => vec![read(other)?],
        };
        match list.len() {
            0 => Err("a value is needed".to_owned()),
            len if len > max => Err(format!("at most {max}")),
            _ => Ok(list),
        }
    }

    /// An IP address, or one of each family.
    pub fn addresses(&self) -> Result<Vec<IpAddr>, String> {
        const EXPECTED: &str = "an IP address is needed, e.g. \"127.0.0.1\"";
        let list: Vec<IpAddr> = self.each(2, |raw| raw.text()?.parse().map_err(|_| EXPECTED.to_owned()))?;
        match list[..] {
            [a, b] if a.is_ipv4() == b.is_ipv4() => Err("one of IPv4 and one of IPv6 are needed".to_owned()),
            _ => Ok(list),
        }
    }

    /// `from-to`, enough for the legs of one call.
    pub fn ports(&self) -> Result<RangeInclusive<u16>, String> {
        const EXPECTED: &str = "a range is needed, e.g. \"20000-29999\"";
        /// RTP and RTCP, audio and video, two legs, and one to begin with an even number.
        const FEWEST: u16 = 9;
        let (from, to) = self.text()?.split_once('-').ok_or(EXPECTED)?;
        let from: u16 = from.trim().parse().map_err(|_| EXPECTED)?;
        let to: u16 = to.trim().parse().map_err(|_| EXPECTED)?;
        if from < 1024 {
            return Err("ports below 1024 are not for media".to_owned());
        }
        let Some(more) = to.checked_sub(from) else {
            return Err(format!("{to} is less than {from}"));
        };
        if more < FEWEST {
            return Err(format!(
                "these are {} ports, and one call needs {} (four for each of its two legs, the first one even), each call \
                 beside it 8 more",
                more.saturating_add(1),
                FEWEST.saturating_add(1)
            ));
        }
        Ok(from..=to)
    }
}
