//! The subscriber whom a scenario calls: found, made, or the command that makes it.

use std::net::{IpAddr, SocketAddr};

use segue_tests::{segue::repository, sipp::Over};

use crate::run::{Callee, Run};

impl Run<'_> {
    /// Sees to the subscriber; the port on which the callee must listen.
    pub fn subscriber(&self, ip: IpAddr) -> Result<u16, String> {
        let asked = self
            .options
            .number("PORT")?
            .map(|port| u16::try_from(port).map_err(|_| format!("PORT={port} is none")));
        let asked = asked.transpose()?;
        let setup = self.options.get("SETUP") == Some("yes");
        if matches!(self.callee, Callee::None) || (self.server.data.is_none() && !setup) {
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

    fn target(&self, ip: IpAddr, port: u16) -> String {
        let transport = if self.over == Over::Tcp { ";transport=tcp" } else { "" };
        format!("sip:{}@{}{transport}", self.user, SocketAddr::new(ip, port))
    }

    fn flags(&self) -> Vec<&str> {
        self.scenario
            .play
            .get("subscriber")
            .map(|flags| flags.split_whitespace().collect())
            .unwrap_or_default()
    }

    fn make(&self, ip: IpAddr, port: u16) -> Result<(), String> {
        let flags = self.flags();
        let clips = flags
            .windows(2)
            .filter(|two| ["--clip", "--greeting"].contains(&two[0]))
            .map(|two| two[1]);
        for name in clips {
            if self
                .server
                .rows(&["clip", "list"])?
                .iter()
                .any(|row| row["name"] == name)
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
        self.server.cli(
            &[
                &["subscriber", "add", &self.user, "--target", &target],
                flags.as_slice(),
            ]
            .concat(),
        )?;
        Ok(())
    }

    /// The command that makes the subscriber whom the scenario needs.
    pub fn hint(&self, ip: IpAddr, port: u16) -> String {
        if matches!(self.callee, Callee::None) || self.options.get("SETUP") == Some("yes") {
            return String::new();
        }
        let data = self
            .server
            .data
            .as_ref()
            .map_or(String::new(), |data| format!(" --data {}", data.display()));
        let flags = self.flags().join(" ");
        format!(
            "\nthis scenario wants this subscriber (SETUP=yes makes it where Segue's data can be reached):\n    segue subscriber add {} \
             --target '{}' {flags}{data}",
            self.user,
            self.target(ip, port)
        )
    }
}
