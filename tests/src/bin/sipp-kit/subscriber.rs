//! The subscriber whom a scenario calls: found, made, or the command that makes it.

use std::net::{IpAddr, SocketAddr};

use segue_tests::{segue::repository, sipp::Over};

use crate::run::{Callee, Run};

impl Run<'_> {
    /// Sees to the subscriber; the port on which the callee must listen.
    pub fn subscriber(&self, ip: IpAddr) -> Result<u16, String> {
        let asked = self.port;
        let setup = self.sets_up();
        if !self.wants_a_subscriber() || (self.server.data.is_none() && !setup) {
            return Ok(asked.unwrap_or(5070));
        }
        if setup {
            let port = asked.unwrap_or(5070);
            self.make(ip, port)?;
            return Ok(port);
        }
        let rows = self.server.rows(&["subscriber", "list"])?;
        let Some(row) = rows.iter().find(|row| row["user"] == self.user.as_str()) else {
            let hint = self.hint(ip, asked.unwrap_or(5070));
            return Err(format!("{} is no subscriber of this Segue{hint}", self.user));
        };
        if self.scenario.play.contains_key("target") {
            return Ok(asked.unwrap_or(5070));
        }
        let target = row["targets"][0].as_str().unwrap_or_default();
        let place = target
            .split('@')
            .next_back()
            .unwrap_or_default()
            .split(';')
            .next()
            .unwrap_or_default();
        let place: Option<SocketAddr> = place.parse().ok();
        let tcp = target.contains(";transport=tcp");
        match place {
            Some(place)
                if place.ip() == ip
                    && asked.is_none_or(|port| port == place.port())
                    && tcp == (self.over == Over::Tcp) =>
            {
                Ok(place.port())
            }
            _ => {
                let hint = self
                    .hint(ip, asked.unwrap_or(5070))
                    .replace("segue subscriber add", "segue subscriber set");
                let transport = if self.over == Over::Tcp { "TCP" } else { "UDP" };
                Err(format!(
                    "{} is reached at {target}, where this kit does not listen over {transport}{hint}",
                    self.user
                ))
            }
        }
    }

    /// Whether the scenario calls one.
    fn wants_a_subscriber(&self) -> bool {
        let said = |key: &str| self.scenario.play.get(key).map(String::as_str);
        match said("target") {
            Some(_) => true,
            None => !matches!(self.callee, Callee::None) && said("subscriber") != Some("none"),
        }
    }

    fn sets_up(&self) -> bool {
        self.options.get("SETUP") == Some("yes") || self.server.own.is_some()
    }

    fn target(&self, ip: IpAddr, port: u16) -> String {
        let transport = if self.over == Over::Tcp { ";transport=tcp" } else { "" };
        let peer = self.server.own.as_ref().and_then(|own| own.peer.as_ref());
        let at = match (self.scenario.play.get("target").map(String::as_str), peer) {
            (Some("itself"), _) => self.server.sip,
            (Some(_), Some(peer)) if self.over == Over::Tcp => peer.sip_tcp(),
            (Some(_), Some(peer)) => peer.sip_udp(),
            _ => SocketAddr::new(ip, port),
        };
        format!("sip:{}@{at}{transport}", self.user)
    }

    /// The options of `segue subscriber add`; `[files]` is where a server of ours has the files of its profile.
    fn flags(&self) -> Vec<String> {
        let files = self.server.own.as_ref().map(|own| own.files.display().to_string());
        let flags = self.scenario.play.get("subscriber").filter(|flags| *flags != "none");
        let flags = flags.map(|flags| match &files {
            Some(files) => flags.replace("[files]", files),
            None => flags.clone(),
        });
        let words = flags.as_deref().unwrap_or_default().split_whitespace();
        words.map(str::to_owned).collect()
    }

    fn make(&self, ip: IpAddr, port: u16) -> Result<(), String> {
        let flags = self.flags();
        let clips = flags
            .windows(2)
            .filter(|two| ["--clip", "--greeting"].contains(&two[0].as_str()))
            .map(|two| &two[1]);
        for name in clips {
            if self
                .server
                .rows(&["clip", "list"])?
                .iter()
                .any(|row| row["name"] == name.as_str())
            {
                continue;
            }
            let file = repository().join(format!("media/out/{name}.mp4"));
            if !file.exists() {
                return Err(format!(
                    "the clip {name} is not there, nor {}: run `make samples`",
                    file.display()
                ));
            }
            self.server.cli(&["clip", "add", name, &file.display().to_string()])?;
        }
        if self
            .server
            .rows(&["subscriber", "list"])?
            .iter()
            .any(|row| row["user"] == self.user.as_str())
        {
            self.server.cli(&["subscriber", "remove", &self.user])?;
        }
        let target = self.target(ip, port);
        let add = |target: &str| {
            let words = ["subscriber", "add", &self.user, "--target", target];
            let words = words.into_iter().map(str::to_owned);
            words.chain(flags.iter().cloned()).collect::<Vec<_>>()
        };
        let words = add(&target);
        self.server.cli(&words.iter().map(String::as_str).collect::<Vec<_>>())?;
        if let Some(options) = self.scenario.play.get("retention") {
            let words = ["retention", "set", &self.user]
                .into_iter()
                .chain(options.split_whitespace());
            self.server.cli(&words.collect::<Vec<_>>())?;
        }
        let own = self.server.own.as_ref();
        if let (Some("peer"), Some(peer)) = (
            self.scenario.play.get("target").map(String::as_str),
            own.and_then(|own| own.peer.as_ref()),
        ) {
            let clip = repository().join("media/out/clip.mp4");
            peer.cli(&["clip", "add", "clip", &clip.display().to_string()]);
            let transport = if self.over == Over::Tcp { ";transport=tcp" } else { "" };
            let words = add(&format!("sip:{}@{}{transport}", self.user, self.server.sip));
            peer.cli(&words.iter().map(String::as_str).collect::<Vec<_>>());
        }
        Ok(())
    }

    /// The command that makes the subscriber whom the scenario needs.
    pub fn hint(&self, ip: IpAddr, port: u16) -> String {
        if !self.wants_a_subscriber() || self.sets_up() {
            return String::new();
        }
        let data = self
            .server
            .data
            .as_ref()
            .map_or(String::new(), |data| format!(" --data {}", data.display()));
        let flags = self.flags().join(" ");
        let retention = self.scenario.play.get("retention").map_or(String::new(), |options| {
            format!("\n    segue retention set {} {options}{data}", self.user)
        });
        format!(
            "\nthis scenario wants this subscriber (SETUP=yes makes it where Segue's data can be reached):\n    segue subscriber add {} \
             --target '{}' {flags}{data}{retention}",
            self.user,
            self.target(ip, port)
        )
    }
}
