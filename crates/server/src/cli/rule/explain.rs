//! `segue rule explain`: the rules against a call that is only thought of, by the code that reads them for a real one.

use clap::Args;
use segue_manage::{At, Refusal, Thought};
use segue_policy::{Profile, Why};

use super::WhyWord;
use crate::{
    cli::{
        Context,
        value::{Moment, User},
    },
    config::load_profiles,
    failure::Failure,
};

#[derive(Debug, Args)]
pub struct Asked {
    /// Who is called
    user: User,
    /// Who calls, as they are shown: a SIP or tel URI, or a number
    #[arg(long, value_name = "CALLER")]
    from: String,
    /// When: "2026-12-24 14:30" by the subscriber's clock, or RFC 3339 [default: now]
    #[arg(long, value_name = "TIME")]
    at: Option<String>,
    /// As if this were so: dnd and out-of-hours keep the subscriber from being called, the others come of the call
    /// [default: as it is, then each that may come]
    #[arg(long, value_name = "WHY", value_enum)]
    why: Vec<WhyWord>,
    /// By the numbering of this profile [default: the first]
    #[arg(long, value_name = "NAME")]
    profile: Option<String>,
}

pub fn perform(asked: &Asked, context: &Context) -> Result<(), Failure> {
    let User(user) = &asked.user;
    let profiles = load_profiles(&context.config)?;
    let profile = chosen(&profiles, asked.profile.as_deref())?;
    let thought = Thought {
        from: asked.from.clone(),
        at: asked.at.as_ref().map(|text| match text.parse() {
            Ok(Moment(ms)) => At::Ms(ms),
            Err(_) => At::Local(text.clone()),
        }),
        why: asked.why.iter().copied().map(Why::from).collect(),
    };
    let explained = context.access()?.explain(user, &thought, profile, &profiles);
    let explained = explained.map_err(|refusal| match refusal {
        Refusal::Invalid { why, .. } => Failure::usage(why, "or write RFC 3339: 2026-12-24T14:30:00Z"),
        other => other.into(),
    })?;
    context.out.object(&explained.json, || {
        let mut lines = vec![explained.about.clone()];
        for reading in &explained.readings {
            lines.push(format!("{}:", reading.when));
            lines.extend(reading.passed.iter().map(|passed| format!("  {passed}")));
            lines.push(format!("  {}", reading.acts));
            lines.push(format!("  so: {}", reading.so));
        }
        lines.join("\n")
    })
}

fn chosen<'a>(profiles: &'a [Profile], name: Option<&str>) -> Result<&'a Profile, Failure> {
    let found = match name {
        Some(name) => profiles.iter().find(|profile| profile.name == name),
        None => profiles.first(),
    };
    found.ok_or_else(|| {
        let names: Vec<&str> = profiles.iter().map(|profile| profile.name.as_str()).collect();
        Failure::usage(
            format!("there is no profile {}", name.unwrap_or_default()),
            format!("name one of {}", names.join(", ")),
        )
    })
}
