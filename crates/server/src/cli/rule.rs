//! `segue rule add|move|list|remove|explain`: what a subscriber's callers meet, by who calls, when and why (docs/rules.md).

mod explain;

use clap::{Args, Subcommand as ClapSubcommand, ValueEnum};
use segue_manage::{Refusal, RuleView, told, written};
use segue_policy::{ClipChoice, Dates, Outcome, Profile, Rule, Then, Weekly, Why};
use segue_store::StoreError;
use serde_json::{Value, json};

use super::{
    Context,
    output::Row,
    value::{ClipName, DurationMs, OrNone, Target, User},
};
use crate::{config::load_profiles, failure::Failure};

#[derive(Debug, ClapSubcommand)]
pub enum Command {
    /// Add a rule, at the end or where it is said
    Add(Box<Add>),
    /// Give a rule another place
    Move {
        /// Whose rule
        user: User,
        /// Its place, as listed
        from: usize,
        /// Its new place
        to: usize,
    },
    /// List a subscriber's rules in their order
    List {
        /// Whose
        user: User,
    },
    /// Remove a rule
    Remove {
        /// Whose rule
        user: User,
        /// Its place, as listed
        place: usize,
    },
    /// Say which rule acts for a call, and why those before it do not
    Explain(explain::Asked),
}

#[derive(Debug, Args)]
pub struct Add {
    /// Whose rule
    user: User,
    /// Who calls: a group of contacts, anonymous, unknown, +4930123456, +4930*, sip:alice@example.com or sip:*@example.com;
    /// again for each further one
    #[arg(long, value_name = "WHO")]
    from: Vec<String>,
    /// Why nobody takes the call, or why the subscriber is not called; again for each further one [default: always]
    #[arg(long, value_name = "WHY", value_enum)]
    why: Vec<WhyWord>,
    /// At which hours by the subscriber's clock, e.g. "mon-fri 09:00-17:00"; again for each further ones
    #[arg(long, value_name = "HOURS", value_parser = hours)]
    at: Vec<Weekly>,
    /// On which dates, e.g. 2026-12-24 or 2026-12-24..2027-01-01; again for each further ones
    #[arg(long, value_name = "DATES", value_parser = dates)]
    on: Vec<Dates>,
    /// What is done
    #[arg(long, value_enum, value_name = "WHAT", conflicts_with = "forward")]
    then: Option<ThenWord>,
    /// Put the caller through there in place of the subscriber
    #[arg(long, value_name = "URI")]
    forward: Option<Target>,
    /// Clip that the caller is held on, or 'none'
    #[arg(long, value_name = "NAME")]
    clip: Option<OrNone<ClipName>>,
    /// For how long
    #[arg(long, value_name = "DURATION")]
    hold: Option<DurationMs>,
    /// Clip played as the greeting, or 'none'
    #[arg(long, value_name = "NAME")]
    greeting: Option<OrNone<ClipName>>,
    /// Whether a message may be left
    #[arg(long, value_enum, value_name = "YES|NO")]
    message: Option<YesNo>,
    /// Its place, 1 for the first [default: the last]
    #[arg(long)]
    place: Option<usize>,
}

/// Why, as one says it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum WhyWord {
    /// They want not to be disturbed
    Dnd,
    /// It is outside their hours
    OutOfHours,
    /// Not registered, or not to be reached
    Offline,
    /// They rang in vain
    NoAnswer,
    /// Busy
    Busy,
    /// Declined
    Declined,
}

impl From<WhyWord> for Why {
    fn from(word: WhyWord) -> Why {
        match word {
            WhyWord::Dnd => Why::Dnd,
            WhyWord::OutOfHours => Why::OutOfHours,
            WhyWord::Offline => Why::Offline,
            WhyWord::NoAnswer => Why::NoAnswer,
            WhyWord::Busy => Why::Busy,
            WhyWord::Declined => Why::Declined,
        }
    }
}

/// What is done, without `--forward`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum ThenWord {
    /// Hold and put through, even to who is not available
    Ring,
    /// Straight to the greeting
    Greeting,
    /// Refuse, or hang up
    HangUp,
}

/// Whether.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum YesNo {
    /// It is
    Yes,
    /// It is not
    No,
}

/// Hours on a command line.
pub fn hours(text: &str) -> Result<Weekly, String> {
    Weekly::try_from(text.to_owned()).map_err(|e| e.to_string())
}

fn dates(text: &str) -> Result<Dates, String> {
    Dates::try_from(text.to_owned()).map_err(|e| e.to_string())
}

impl Add {
    fn rule(self, profiles: &[Profile]) -> Result<Rule, Failure> {
        let choice = |OrNone(name): OrNone<ClipName>| match name {
            None => ClipChoice::None,
            Some(ClipName(name)) => ClipChoice::Clip(name),
        };
        let then = match (self.then, self.forward) {
            (_, Some(Target(uri))) => Some(Then::Forward(uri)),
            (Some(ThenWord::Ring), _) => Some(Then::Ring),
            (Some(ThenWord::Greeting), _) => Some(Then::Greeting),
            (Some(ThenWord::HangUp), _) => Some(Then::HangUp),
            (None, None) => None,
        };
        Ok(Rule {
            from: self
                .from
                .iter()
                .map(|text| written::who(text, profiles))
                .collect::<Result<_, _>>()
                .map_err(|wrong| Failure::usage(wrong, written::WHO))?,
            why: self.why.into_iter().map(Why::from).collect(),
            at: self.at,
            on: self.on,
            outcome: Outcome {
                then,
                clip: self.clip.map(choice),
                hold_ms: self.hold.map(|DurationMs(ms)| ms),
                greeting: self.greeting.map(choice),
                message: self.message.map(|word| word == YesNo::Yes),
            },
            own: false,
        })
    }
}

/// Why a rule is refused, with what would be one.
fn refused(refusal: Refusal) -> Failure {
    Failure::of_options(
        refusal,
        "decide something that is reached: --then, --forward, --clip, --hold, --greeting or --message; see docs/rules.md",
    )
}

/// The same of a rule that is named by its place.
fn no_such(refusal: Refusal, user: &str, context: &Context) -> Failure {
    let count = || Some(context.access().ok()?.rules(user).ok()?.len());
    match refusal {
        Refusal::Store(StoreError::NotFound { what: "rule", name }) => Failure::refused(
            "refused",
            format!("there is no place {name} among the rules of {user}"),
            match count() {
                Some(0) => format!("{user} has no rules"),
                _ => format!("'segue rule list {user}' shows them"),
            },
        ),
        other => other.into(),
    }
}

pub fn perform(command: Command, context: &Context) -> Result<(), Failure> {
    match command {
        Command::Add(add) => {
            let (User(user), place) = (add.user.clone(), add.place);
            let profiles = load_profiles(&context.config)?;
            let rule = add.rule(&profiles)?;
            let added = context
                .access()?
                .add_rule(&user, (rule.clone(), place), &profiles, |_| true);
            let at = added.map_err(refused)?;
            context.out.object(&json_row(at, &rule), || {
                format!("added rule {at} of {user}: {}", told::rule(&rule))
            })
        }
        Command::Move {
            user: User(user),
            from,
            to,
        } => {
            let moved = context.access()?.move_rule(&user, from, to, |_| true);
            let rule = moved.map_err(|refusal| no_such(refusal, &user, context))?;
            context.out.object(&json_row(to, &rule), || {
                format!("rule {from} of {user} is rule {to} now: {}", told::rule(&rule))
            })
        }
        Command::List { user: User(user) } => {
            let rules = context.access()?.rules_as_they_are(&user)?;
            let rows = rules
                .iter()
                .enumerate()
                .map(|(at, rule)| row(at.saturating_add(1), rule));
            let nothing =
                format!("{user} has no rules; add one with 'segue rule add {user} --why busy --greeting NAME'");
            context
                .out
                .rows(rows.collect(), &["PLACE", "FROM", "WHY", "WHEN", "OUTCOME"], &nothing)
        }
        Command::Remove {
            user: User(user),
            place,
        } => {
            let removed = context.access()?.remove_rule(&user, place, |_| true);
            let rule = removed.map_err(|refusal| no_such(refusal, &user, context))?;
            let said = json!({"user": user, "place": place, "removed": true});
            context.out.object(&said, || {
                format!("removed rule {place} of {user}: {}", told::rule(&rule))
            })
        }
        Command::Explain(asked) => explain::perform(&asked, context),
    }
}

fn row(place: usize, rule: &Rule) -> Row {
    Row {
        value: json_row(place, rule),
        cells: vec![
            place.to_string(),
            told::from(rule),
            told::why(rule),
            told::when(rule),
            told::outcome(&rule.outcome),
        ],
    }
}

/// Everything of a rule, absent things as `null`.
pub fn json_row(place: usize, rule: &Rule) -> Value {
    RuleView::new(place, rule).0
}
