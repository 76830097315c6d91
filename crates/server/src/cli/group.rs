//! `segue group add|list|remove|member`: subscribers whose messages are for several others.

use clap::Subcommand as ClapSubcommand;
use segue_manage::{PageAsked, TeamGiven, TeamView};
use serde_json::json;

use super::{Context, output::Row, value::User};
use crate::failure::Failure;

#[derive(Debug, ClapSubcommand)]
pub enum Command {
    /// Add a group: a subscriber, who is set, shown and removed as others are
    Add {
        /// User part of its SIP address
        name: User,
        /// A subscriber who gets its messages; again for each further one
        #[arg(long, value_name = "USER")]
        member: Vec<User>,
    },
    /// List groups and their members
    List,
    /// Remove a group; its members keep the messages that they have
    Remove {
        /// The group
        name: User,
    },
    /// Who is in a group
    #[command(subcommand)]
    Member(Member),
}

#[derive(Debug, ClapSubcommand)]
pub enum Member {
    /// Let a subscriber get a group's messages from now on
    Add {
        /// The group
        group: User,
        /// The subscriber
        user: User,
    },
    /// Let a subscriber get no more of them; those that they have stay theirs
    Remove {
        /// The group
        group: User,
        /// The subscriber
        user: User,
    },
}

pub fn perform(command: Command, context: &Context) -> Result<(), Failure> {
    match command {
        Command::Add {
            name: User(name),
            member,
        } => {
            let members = member.into_iter().map(|User(member)| member).collect();
            let added = context.new_access()?.add_team(TeamGiven { group: name, members })?;
            let (name, members) = (added.group, added.members);
            let said = json!({"group": name, "members": members});
            context.out.object(&said, || match members.as_slice() {
                [] => format!("added {name}; let it have members with 'segue group member add {name} USER'"),
                members => format!("added {name} for {}", members.join(", ")),
            })
        }
        Command::List => {
            let row = |team: TeamView| Row {
                value: json!({"group": team.group, "members": team.members}),
                cells: vec![team.group, team.members.join(", ")],
            };
            let rows = all(context)?.into_iter().map(row).collect();
            let nothing = "no group has members; add one with 'segue group add sales --member ann --member bob'";
            context.out.rows(rows, &["GROUP", "MEMBERS"], nothing)
        }
        Command::Remove { name: User(name) } => {
            let kept = context.access()?.remove_team(&name, |_| true)?;
            let said = json!({"group": name, "removed": true, "messages_kept": kept});
            context.out.object(&said, || match kept {
                0 => format!("removed {name}; its members keep the messages that they have"),
                kept => format!(
                    "removed {name}; its members keep the messages that they have, and {kept} of its own mailbox stay until deleted"
                ),
            })
        }
        Command::Member(Member::Add {
            group: User(group),
            user: User(user),
        }) => {
            let added = context.access()?.join_team(&group, &user)?;
            let said = json!({"group": group, "user": user, "added": added});
            context.out.object(&said, || match added {
                true => format!("{user} gets the messages for {group} from now on"),
                false => format!("{user} gets the messages for {group} already"),
            })
        }
        Command::Member(Member::Remove {
            group: User(group),
            user: User(user),
        }) => {
            context.access()?.leave_team(&group, &user)?;
            let said = json!({"group": group, "user": user, "removed": true});
            context
                .out
                .object(&said, || format!("{user} gets no more messages for {group}"))
        }
    }
}

/// All of them, page by page.
fn all(context: &Context) -> Result<Vec<TeamView>, Failure> {
    let access = context.access()?;
    let (mut all, mut cursor) = (Vec::new(), None);
    loop {
        let page = access.teams(&PageAsked { cursor, limit: None })?;
        all.extend(page.items);
        cursor = page.next;
        if cursor.is_none() {
            return Ok(all);
        }
    }
}
