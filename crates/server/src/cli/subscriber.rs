//! `segue subscriber add|set|show|list|remove|unlock|import|card|link|web-password`.

mod options;
mod proofs;
mod shown;

use clap::Subcommand as ClapSubcommand;
use segue_policy::{REGISTERED, Subscriber};
use segue_store::{NewProofs, NewSubscriber, Role};
use serde_json::json;

use super::{
    Context, admin,
    card::{self, Card},
    chosen::ChosenPassword,
    import::{self, Import},
    notify, pin,
    value::{DurationMs, Target, User},
};
use crate::{failure::Failure, passwords};
pub use options::{Options, uris};
pub use proofs::Passwords;
use shown::{describe, describe_in_lines, json_row, row};

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
            let NewProofs { secrets, pin, .. } = options.read_proofs(&new.user, context)?;
            options.read_names(context)?.apply(&mut new);
            notify::check(&new.notify)?;
            let has_password = secrets.is_some();
            let adding = NewSubscriber {
                subscriber: new.clone(),
                secrets,
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
            let proofs = options.read_proofs(&user, context)?;
            let options = options.read_names(context)?;
            let access = context.access()?;
            options.notify.check_with(&access.stored_subscriber(&user)?.notify)?;
            let has_password = proofs.secrets.is_some();
            let changed = access.set_subscriber(&user, proofs, move |subscriber| {
                if !targets.is_empty() {
                    subscriber.targets = targets;
                }
                options.apply(subscriber);
            })?;
            if has_password {
                passwords::wait_for_server(&context.config.data_dir);
            }
            context
                .out
                .object(&json_row(&changed), || format!("set {}", describe(&changed)))
        }
        Command::Show { user: User(user) } => {
            let access = context.access()?;
            let subscriber = access.stored_subscriber(&user)?;
            let (pin, in_words) = pin::shown(&access.pin(&user)?);
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
            let rows = context.access()?.stored_subscribers()?.iter().map(row).collect();
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
