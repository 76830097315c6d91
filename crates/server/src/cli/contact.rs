//! `segue contact add|list|remove`: whom a subscriber knows, in groups that their rules speak of.

use clap::Subcommand as ClapSubcommand;
use segue_manage::{ContactView, written};
use segue_policy::{Address, Contact, Profile, check_group};
use serde_json::{Value, json};

use super::{
    Context,
    output::{Row, or_dash},
    value::User,
};
use crate::{config::load_profiles, failure::Failure};

#[derive(Debug, ClapSubcommand)]
pub enum Command {
    /// Add a contact, or change the one of this address
    Add {
        /// Whose contact
        user: User,
        /// +4930123456 or as it is dialled, +4930* (all that begin so), sip:alice@example.com, sip:*@example.com
        address: String,
        /// What they are called
        #[arg(long)]
        name: Option<String>,
        /// A group of theirs, e.g. business or family; again for each further one
        #[arg(long, value_name = "GROUP", value_parser = group)]
        group: Vec<String>,
    },
    /// List a subscriber's contacts
    List {
        /// Whose
        user: User,
    },
    /// Remove a contact
    Remove {
        /// Whose contact
        user: User,
        /// Its address
        address: String,
    },
}

fn group(text: &str) -> Result<String, String> {
    check_group(text).map(|()| text.to_owned()).map_err(|e| e.to_string())
}

pub fn perform(command: Command, context: &Context) -> Result<(), Failure> {
    match command {
        Command::Add {
            user: User(user),
            address,
            name,
            group,
        } => {
            let contact = Contact {
                address: address_of(&address, &load_profiles(&context.config)?)?,
                name,
                groups: group,
            };
            let put = context.access()?.put_contact(&user, contact, |_| true);
            let contact =
                put.map_err(|refusal| Failure::of_options(refusal, "shorten --name, or name fewer --group"))?;
            context.out.object(&json_row(&contact), || {
                format!(
                    "added {} to the contacts of {user}{}",
                    contact.address,
                    in_groups(&contact)
                )
            })
        }
        Command::List { user: User(user) } => {
            let rows = context.access()?.contacts(&user)?.iter().map(row).collect();
            let nothing =
                format!("{user} has no contacts; add one with 'segue contact add {user} +4930123456 --group family'");
            context.out.rows(rows, &["ADDRESS", "NAME", "GROUPS"], &nothing)
        }
        Command::Remove {
            user: User(user),
            address,
        } => {
            let address = address_of(&address, &load_profiles(&context.config)?)?;
            context.access()?.remove_contact(&user, &address, |_| true)?;
            let said = json!({"user": user, "address": address.to_string(), "removed": true});
            context
                .out
                .object(&said, || format!("removed {address} from the contacts of {user}"))
        }
    }
}

/// An address as it is written, a number also as it is dialled: by the first profile that knows it.
pub fn address_of(text: &str, profiles: &[Profile]) -> Result<Address, Failure> {
    written::address(text, profiles).map_err(|wrong| {
        Failure::usage(
            wrong,
            "'segue number explain' says what becomes of a number as it is dialled",
        )
    })
}

fn in_groups(contact: &ContactView) -> String {
    match contact.groups.as_slice() {
        [] => String::new(),
        groups => format!(", in {}", groups.join(", ")),
    }
}

fn row(contact: &ContactView) -> Row {
    let cells = vec![
        contact.address.clone(),
        or_dash(contact.name.as_ref()),
        match contact.groups.is_empty() {
            true => "-".to_owned(),
            false => contact.groups.join(", "),
        },
    ];
    Row {
        value: json_row(contact),
        cells,
    }
}

fn json_row(contact: &ContactView) -> Value {
    json!({"address": contact.address, "name": contact.name, "groups": contact.groups})
}
