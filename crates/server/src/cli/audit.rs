//! `segue audit`: who did what.

use clap::Args;
use segue_manage::{DeedView, PageAsked};
use serde_json::Value;

use super::{Context, output::Row};
use crate::failure::Failure;

#[derive(Debug, Args)]
pub struct Asked {
    /// Only what was done by or to this operator or subscriber
    name: Option<String>,
    /// At most so many
    #[arg(long, value_name = "N", default_value_t = 50)]
    limit: u32,
}

pub fn perform(asked: &Asked, context: &Context) -> Result<(), Failure> {
    let page = PageAsked {
        cursor: None,
        limit: Some(asked.limit),
    };
    let found = context.access()?.audit(asked.name.as_deref(), &page)?;
    context.out.rows(
        found.items.into_iter().map(row).collect(),
        &["AT", "WHO", "BY", "FROM", "WHAT", "TO", "WHOSE"],
        "nobody has done anything yet",
    )
}

fn row(deed: DeedView) -> Row {
    Row {
        value: serde_json::to_value(&deed).unwrap_or(Value::Null),
        cells: vec![
            deed.at,
            deed.name,
            deed.by,
            if deed.source.is_empty() {
                "-".to_owned()
            } else {
                deed.source
            },
            deed.what,
            deed.object,
            deed.owner.unwrap_or_else(|| "-".to_owned()),
        ],
    }
}
