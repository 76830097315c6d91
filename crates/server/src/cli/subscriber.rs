//! `segue subscriber add|set|show|list|remove|unlock|import|card|link|web-password`.

use std::path::PathBuf;

use clap::{Args, Subcommand as ClapSubcommand};
use segue_manage::SubscriberView;
use segue_policy::{
    AnswerAt, DEFAULT_RING_MS, HOURS_MAX, Language, REGISTERED, Ring, Subscriber, TARGETS_MAX, TargetBy, check_targets,
};
use segue_store::{NewSubscriber, Role};
use serde_json::{Value, json};

use super::{
    Context, admin,
    caps::{self, CapOptions},
    card::{self, Card},
    chosen::ChosenPassword,
    import::{self, Import},
    names::{aliases, numbers},
    notify::{self, NotifyOptions},
    output::{Row, or_dash},
    pin,
    value::{
        AnswerWord, ClipName, DurationMs, HoldOnWord, Hours, MenuWord, OnOff, OrNone, RingTime, RingWord, Target,
        TargetByWord, User, ZoneName,
    },
};
use crate::{
    config::load_profiles,
    failure::Failure,
    passwords::{self, Sealer},
};

#[derive(Debug, ClapSubcommand)]
pub enum Command {
    /// Add a subscriber
    Add {
        /// User part of their SIP address
        user: User,
        /// Where they are reached, e.g. sip:bob@192.0.2.7:5060; again for each further place [default: registered, wherever
        /// their phones are]
        #[arg(long, value_name = "URI")]
        target: Vec<Target>,
        #[command(flatten)]
        options: Options,
    },
    /// Change a subscriber; what is not named stays
    Set {
        /// The subscriber
        user: User,
        /// Where they are reached: all places, in their order
        #[arg(long, value_name = "URI")]
        target: Vec<Target>,
        #[command(flatten)]
        options: Options,
    },
    /// Show all of one subscriber
    Show {
        /// The subscriber
        user: User,
    },
    /// List subscribers
    List,
    /// Remove a subscriber; their messages stay until deleted
    Remove {
        /// The subscriber
        user: User,
    },
    /// Add the subscribers of a table: all of them, or none
    Import(Import),
    /// What a subscriber's phone needs to know, with a code to scan
    Card(Card),
    /// A link by which a subscriber logs in to their pages once
    Link {
        /// The subscriber
        user: User,
        /// How long it opens
        #[arg(long, value_name = "DURATION", default_value = "1h")]
        within: DurationMs,
    },
    /// Let a subscriber log in to their pages by a password
    WebPassword {
        /// The subscriber
        user: User,
        #[command(flatten)]
        password: ChosenPassword,
        /// Take it away instead
        #[arg(long, conflicts_with_all = ["password_file", "prompt"])]
        none: bool,
    },
    /// Let a PIN be tried again that too many wrong ones have locked
    Unlock {
        /// The subscriber
        user: User,
    },
}

/// What a password is checked by, sealed: by realm.
type Sealed = Vec<(String, Vec<u8>)>;

/// Seals passwords for the realm of each profile that asks for one.
pub struct Passwords {
    realms: Vec<String>,
    sealer: Sealer,
}

impl Passwords {
    /// Makes the data directory where there is none yet.
    pub fn new(context: &Context) -> Result<Passwords, Failure> {
        let realms = passwords::realms(load_profiles(&context.config)?.iter());
        if realms.is_empty() {
            return Err(Failure::refused(
                "no_realm",
                "no profile asks for a password",
                "set 'registrar = true' or 'auth = \"digest\"' in a profile first",
            ));
        }
        context.new_store()?;
        let sealer = Sealer::of(&context.config.data_dir)?;
        Ok(Passwords { realms, sealer })
    }

    /// What a password is checked by. Error: it is none.
    pub fn seal(&self, user: &str, password: &str) -> Result<Sealed, Failure> {
        let password = passwords::checked("the column 'password'", password)?;
        self.sealer.seal(user, &self.realms, &password)
    }
}

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
    notify: NotifyOptions,
}

impl Options {
    fn is_empty(&self) -> bool {
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

    /// What the password that is named is checked by, in the realm of each profile.
    fn read_password(&self, user: &str, context: &Context) -> Result<Option<Sealed>, Failure> {
        let Some(path) = &self.password_file else {
            return Ok(None);
        };
        let password = passwords::read(path)?;
        let Passwords { realms, sealer } = Passwords::new(context)?;
        sealer.seal(user, &realms, &password).map(Some)
    }

    /// What the PIN that is named is checked by; the inner `None`: there is to be none.
    fn read_pin(&self, user: &str, context: &Context) -> Result<Option<Option<Vec<u8>>>, Failure> {
        let path = self.pin_file.as_deref();
        path.map(|path| pin::read(path, user, context)).transpose()
    }

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

pub fn perform(command: Command, context: &Context) -> Result<(), Failure> {
    match command {
        Command::Add {
            user: User(user),
            target,
            options,
        } => {
            let targets = match target.is_empty() {
                true => vec![REGISTERED.to_owned()],
                false => uris(target)?,
            };
            let mut new = Subscriber {
                user,
                targets,
                ..Subscriber::default()
            };
            let sealed = options.read_password(&new.user, context)?;
            let pin = options.read_pin(&new.user, context)?;
            options.read_names(context)?.apply(&mut new);
            notify::check(&new.notify)?;
            let has_password = sealed.is_some();
            let adding = NewSubscriber {
                subscriber: new.clone(),
                secrets: sealed,
                pin: pin.flatten(),
            };
            context.new_access()?.add_new_subscriber(adding)?;
            if has_password {
                passwords::wait_for_server(&context.config.data_dir);
            }
            context
                .out
                .object(&json_row(&new), || format!("added {}", describe(&new)))
        }
        Command::Set {
            user: User(user),
            target,
            options,
        } => {
            if target.is_empty() && options.is_empty() {
                return Err(Failure::usage(
                    "nothing to set",
                    format!("name what shall change, e.g. 'segue subscriber set {user} --hold 6s'"),
                ));
            }
            let targets = if target.is_empty() { Vec::new() } else { uris(target)? };
            let sealed = options.read_password(&user, context)?;
            let pin = options.read_pin(&user, context)?;
            let options = options.read_names(context)?;
            let store = context.store()?;
            if let Some(pin) = pin {
                store.set_pin(&user, pin)?;
            }
            options.notify.check_with(&store.subscriber(&user)?.notify)?;
            if let Some(sealed) = sealed {
                store.set_secrets(&user, sealed)?;
                passwords::wait_for_server(&context.config.data_dir);
            }
            let changed = context.access()?.set_subscriber(&user, move |subscriber| {
                if !targets.is_empty() {
                    subscriber.targets = targets;
                }
                options.apply(subscriber);
            })?;
            context
                .out
                .object(&json_row(&changed), || format!("set {}", describe(&changed)))
        }
        Command::Show { user: User(user) } => {
            let store = context.store()?;
            let subscriber = store.subscriber(&user)?;
            let (pin, in_words) = pin::shown(&store, &user)?;
            let mut row = json_row(&subscriber);
            if let Some(row) = row.as_object_mut() {
                row.insert("pin".to_owned(), pin);
            }
            context
                .out
                .object(&row, || format!("{}\nPIN: {in_words}", describe_in_lines(&subscriber)))
        }
        Command::Import(import) => import::perform(&import, context),
        Command::Card(card) => card::perform(card, context),
        Command::Link {
            user: User(user),
            within: DurationMs(ms),
        } => admin::link(&user, Role::Subscriber, ms, context),
        Command::WebPassword {
            user: User(user),
            password,
            none,
        } => {
            let password = if none { None } else { Some(password.needed()?) };
            let access = context.access()?;
            access.set_password(&user, Role::Subscriber, password.as_deref())?;
            let said = json!({"user": user, "web_password": password.is_some()});
            context.out.object(&said, || match password {
                Some(_) => format!("{user} logs in by this password from now on"),
                None => format!("{user} has no web password any more"),
            })
        }
        Command::Unlock { user: User(user) } => pin::unlock(&user, context),
        Command::List => {
            let rows = context.store()?.subscribers()?.iter().map(row).collect();
            context.out.rows(
                rows,
                &[
                    "USER",
                    "TARGETS",
                    "CLIP",
                    "HOLD",
                    "NO ANSWER",
                    "GREETING",
                    "NUMBERS",
                    "ALIASES",
                ],
                "no subscribers; add one with 'segue subscriber add USER --target sip:USER@HOST'",
            )
        }
        Command::Remove { user: User(user) } => {
            let kept = context.access()?.remove_subscriber(&user, |_| true)?;
            context.out.object(
                &json!({"user": user, "removed": true, "messages_kept": kept}),
                || match kept {
                    0 => format!("removed {user}"),
                    n => format!("removed {user}; messages that stay until deleted: {n} ('segue message list {user}')"),
                },
            )
        }
    }
}

/// The targets of a command line.
pub fn uris(targets: Vec<Target>) -> Result<Vec<String>, Failure> {
    let targets: Vec<String> = targets.into_iter().map(|Target(uri)| uri).collect();
    check_targets(&targets)
        .map_err(|wrong| Failure::usage(wrong.to_string(), format!("name 1 to {TARGETS_MAX} different --target")))?;
    Ok(targets)
}

/// Where they are reached, as a person reads it.
fn reached(subscriber: &Subscriber) -> String {
    match (subscriber.targets.len(), subscriber.ring) {
        (0 | 1, _) => subscriber.targets.concat(),
        (_, Ring::Together) => subscriber.targets.join(" and "),
        (_, Ring::InOrder) => {
            let each = DurationMs(subscriber.ring_ms.unwrap_or(DEFAULT_RING_MS));
            format!("{} ({each} each)", subscriber.targets.join(", then "))
        }
    }
}

fn row(subscriber: &Subscriber) -> Row {
    let cells = vec![
        subscriber.user.clone(),
        reached(subscriber),
        or_dash(subscriber.clip.as_ref()),
        or_dash(subscriber.hold_ms.map(DurationMs)),
        or_dash(subscriber.no_answer_ms.map(DurationMs)),
        or_dash(subscriber.greeting.as_ref()),
        listed(&subscriber.numbers),
        listed(&subscriber.aliases),
    ];
    Row {
        value: json_row(subscriber),
        cells,
    }
}

fn json_row(subscriber: &Subscriber) -> Value {
    SubscriberView::from(subscriber).0
}

/// Numbers or aliases as a person reads them.
fn listed(names: &[String]) -> String {
    match names {
        [] => "-".to_owned(),
        names => names.join(" "),
    }
}

fn describe_in_lines(subscriber: &Subscriber) -> String {
    let by = match subscriber.target_by {
        TargetBy::Host => "",
        TargetBy::NextHop => " by the next hop",
    };
    format!(
        "{}{by}\nnumbers: {}\naliases: {}\ntold: {}",
        describe(subscriber),
        listed(&subscriber.numbers),
        listed(&subscriber.aliases),
        notify::describe(&subscriber.notify)
    )
}

fn describe(subscriber: &Subscriber) -> String {
    let profile = || "the profile's".to_owned();
    let mut available = String::new();
    if !subscriber.hours.is_empty() {
        let hours: Vec<String> = subscriber.hours.iter().map(ToString::to_string).collect();
        available = format!(", called {} ({})", hours.join(" and "), subscriber.zone);
    }
    if subscriber.dnd {
        available.push_str(", not to be disturbed");
    }
    available.push_str(&caps::describe(subscriber.caps));
    format!(
        "{}: reached at {}, clip {}, hold {}, no answer after {}, greeting {}, answered {}{available}",
        subscriber.user,
        reached(subscriber),
        subscriber.clip.as_deref().unwrap_or("none"),
        subscriber.hold_ms.map_or_else(profile, |ms| DurationMs(ms).to_string()),
        subscriber
            .no_answer_ms
            .map_or_else(profile, |ms| DurationMs(ms).to_string()),
        subscriber.greeting.as_deref().unwrap_or("none"),
        match subscriber.answer_at {
            None => "when the profile says",
            Some(AnswerAt::Greeting) => "before the greeting",
            Some(AnswerAt::AfterGreeting) => "after the greeting",
        },
    )
}
