//! Options of `segue subscriber add|set`, and columns of `import`.

use std::path::PathBuf;

use clap::Args;
use segue_policy::{HOURS_MAX, Language, Subscriber, TARGETS_MAX, check_targets};
use segue_store::NewProofs;

use super::proofs;
use crate::{
    cli::{
        Context,
        caps::CapOptions,
        names::{aliases, numbers},
        notify::NotifyOptions,
        pin,
        value::{
            AnswerWord, ClipName, DurationMs, HoldOnWord, Hours, MenuWord, OnOff, OrNone, RingTime, RingWord, Target,
            TargetByWord, ZoneName,
        },
    },
    failure::Failure,
};

/// What may be said of a subscriber.
#[derive(Debug, Clone, PartialEq, Eq, Args)]
pub struct Options {
    /// How several targets ring
    #[arg(long, value_name = "WHEN")]
    ring: Option<RingWord>,
    /// How long each rings in order, 1s to 170s, or 'none' for 15s
    #[arg(long, value_name = "DURATION")]
    ring_time: Option<OrNone<RingTime>>,
    /// Clip that callers see while held, or 'none'
    #[arg(long, value_name = "NAME")]
    clip: Option<OrNone<ClipName>>,
    /// What callers are held on
    #[arg(long, value_name = "WHAT")]
    hold_on: Option<HoldOnWord>,
    /// How long callers are held before the subscriber is called, or 'none' for the profile's
    #[arg(long, value_name = "DURATION")]
    hold: Option<OrNone<DurationMs>>,
    /// How long the subscriber rings before the greeting, or 'none' for the profile's
    #[arg(long, value_name = "DURATION")]
    no_answer: Option<OrNone<DurationMs>>,
    /// Clip played as their greeting, or 'none'
    #[arg(long, value_name = "NAME")]
    greeting: Option<OrNone<ClipName>>,
    /// When callers of the mailbox are answered: 'greeting', 'after_greeting', or 'none' for as the profile says
    #[arg(long, value_name = "WHEN")]
    answer_at: Option<OrNone<AnswerWord>>,
    /// Whether callers of the mailbox choose what they leave: 'on', 'off', or 'none' for as the profile says
    #[arg(long, value_name = "WHEN")]
    menu: Option<OrNone<MenuWord>>,
    /// The language in which they and their callers are spoken to: 'en', 'de', or 'none' for the profile's
    #[arg(long, value_name = "LANGUAGE")]
    language: Option<OrNone<Language>>,
    /// A file (mode 600) with their password alone, with which their phones register and call; '-': the standard input
    #[arg(long, value_name = "FILE")]
    password_file: Option<PathBuf>,
    /// A file (mode 600) with 4 to 10 digits, by which they reach their mailbox from phones of others; '-': the standard input; 'none': they do not
    #[arg(long, value_name = "FILE")]
    pin_file: Option<PathBuf>,
    /// A number of theirs, e.g. +4930123456, or as it is dialled; again for each further one, all of them; 'none' for none
    #[arg(long, value_name = "NUMBER")]
    number: Vec<String>,
    /// Another address of theirs, e.g. sip:robert@example.org or tel:+4930123456; again for each further one, all of them; 'none' for none
    #[arg(long, value_name = "URI")]
    alias: Vec<String>,
    /// By what their targets are reached
    #[arg(long, value_name = "WHAT")]
    target_by: Option<TargetByWord>,
    /// Whether they want not to be disturbed: callers go straight to the greeting
    #[arg(long, value_name = "ON|OFF", value_enum)]
    dnd: Option<OnOff>,
    /// When they may be called, e.g. "mon-fri 09:00-17:00"; again for each further ones, all of them; 'none' for at all hours
    #[arg(long, value_name = "HOURS")]
    hours: Vec<OrNone<Hours>>,
    /// Their clock, e.g. Europe/Berlin, or 'none' for UTC
    #[arg(long, value_name = "ZONE")]
    time_zone: Option<OrNone<ZoneName>>,
    #[command(flatten)]
    caps: CapOptions,
    #[command(flatten)]
    pub notify: NotifyOptions,
}

impl Options {
    pub fn is_empty(&self) -> bool {
        self.ring.is_none()
            && self.ring_time.is_none()
            && self.clip.is_none()
            && self.hold_on.is_none()
            && self.hold.is_none()
            && self.no_answer.is_none()
            && self.greeting.is_none()
            && self.answer_at.is_none()
            && self.menu.is_none()
            && self.language.is_none()
            && self.number.is_empty()
            && self.alias.is_empty()
            && self.target_by.is_none()
            && self.dnd.is_none()
            && self.hours.is_empty()
            && self.time_zone.is_none()
            && self.password_file.is_none()
            && self.pin_file.is_none()
            && self.caps.is_empty()
            && self.notify.is_empty()
    }

    /// Its numbers and aliases in the form in which they are looked up.
    pub fn read_names(mut self, context: &Context) -> Result<Options, Failure> {
        let hours = self.hours.len();
        if hours > HOURS_MAX || hours > 1 && self.hours.contains(&OrNone(None)) {
            return Err(Failure::usage(
                format!("hours are 'none' alone, or 1 to {HOURS_MAX}, each by an --hours of its own"),
                "take days together, e.g. --hours \"mon-fri 09:00-17:00\"",
            ));
        }
        self.number = numbers(self.number, context)?;
        self.alias = aliases(self.alias, context)?;
        Ok(self)
    }

    /// What the password and the PIN that are named are checked by. They are read before anything is changed.
    pub fn read_proofs(&self, user: &str, context: &Context) -> Result<NewProofs, Failure> {
        let password = self.password_file.as_deref();
        let secrets = password.map(|path| proofs::of_file(path, user, context));
        let pin = self.pin_file.as_deref().map(|path| pin::read(path, user, context));
        Ok(NewProofs {
            secrets: secrets.transpose()?,
            pin: pin.transpose()?,
            deeds: Vec::new(),
        })
    }

    /// Sets what was named.
    pub fn apply(self, subscriber: &mut Subscriber) {
        if let Some(ring) = self.ring {
            subscriber.ring = ring.into();
        }
        if let Some(OrNone(time)) = self.ring_time {
            subscriber.ring_ms = time.map(|RingTime(ms)| ms);
        }
        if let Some(OrNone(clip)) = self.clip {
            subscriber.clip = clip.map(|ClipName(name)| name);
        }
        if let Some(word) = self.hold_on {
            subscriber.hold_on = word.into();
        }
        if let Some(OrNone(hold)) = self.hold {
            subscriber.hold_ms = hold.map(|DurationMs(ms)| ms);
        }
        if let Some(OrNone(no_answer)) = self.no_answer {
            subscriber.no_answer_ms = no_answer.map(|DurationMs(ms)| ms);
        }
        if let Some(OrNone(greeting)) = self.greeting {
            subscriber.greeting = greeting.map(|ClipName(name)| name);
        }
        match self.number.as_slice() {
            [] => {}
            [none] if none == "none" => subscriber.numbers.clear(),
            numbers => subscriber.numbers = numbers.to_vec(),
        }
        match self.alias.as_slice() {
            [] => {}
            [none] if none == "none" => subscriber.aliases.clear(),
            aliases => subscriber.aliases = aliases.to_vec(),
        }
        if let Some(word) = self.target_by {
            subscriber.target_by = word.into();
        }
        if let Some(word) = self.dnd {
            subscriber.dnd = word == OnOff::On;
        }
        if !self.hours.is_empty() {
            let hours = self.hours.into_iter().filter_map(|OrNone(hours)| hours);
            subscriber.hours = hours.map(|Hours(hours)| hours).collect();
        }
        if let Some(OrNone(zone)) = self.time_zone {
            subscriber.zone = zone.map(|ZoneName(zone)| zone).unwrap_or_default();
        }
        if let Some(OrNone(menu)) = self.menu {
            subscriber.menu = menu.map(|MenuWord(menu)| menu);
        }
        if let Some(OrNone(language)) = self.language {
            subscriber.language = language;
        }
        if let Some(OrNone(at)) = self.answer_at {
            subscriber.answer_at = at.map(|AnswerWord(at)| at);
        }
        self.caps.apply(&mut subscriber.caps);
        self.notify.apply(&mut subscriber.notify);
    }
}

/// The targets of a command line.
pub fn uris(targets: Vec<Target>) -> Result<Vec<String>, Failure> {
    let targets: Vec<String> = targets.into_iter().map(|Target(uri)| uri).collect();
    check_targets(&targets)
        .map_err(|wrong| Failure::usage(wrong.to_string(), format!("name 1 to {TARGETS_MAX} different --target")))?;
    Ok(targets)
}
