//! `segue subscriber import FILE`: the subscribers of a table, all of them or none.
//!
//! A line is what `segue subscriber add` takes: each column has the name of one of its options, and is read by it.

use std::{
    io::Read,
    os::unix::fs::MetadataExt,
    path::{Path, PathBuf},
};

use clap::{Arg, ArgAction, Args, CommandFactory, Parser};
use segue_manage::Refusal;
use segue_policy::{REGISTERED, Subscriber};
use segue_store::NewSubscriber;
use serde_json::json;

use super::{
    Context, notify, pin,
    subscriber::{Options, Passwords, uris},
    value::{Target, User},
};
use crate::failure::Failure;

/// Bytes of a table.
const TABLE_MAX: u64 = 4 << 20;
/// Between the values of one cell where an option may be named again and again.
const AGAIN: char = '|';

#[derive(Debug, Args)]
pub struct Import {
    /// A table with a line for each subscriber, as CSV with ',' or ';'; '-': the standard input. Its first line names the
    /// columns: user, password, pin, and any option of 'segue subscriber add'
    file: PathBuf,
}

/// One line, read as the command line is.
#[derive(Debug, Parser)]
#[command(name = "line", disable_help_flag = true, disable_version_flag = true)]
struct Line {
    user: User,
    #[arg(long)]
    target: Vec<Target>,
    #[command(flatten)]
    options: Options,
}

/// What a column means.
enum Column {
    User,
    Password,
    Pin,
    /// An option of this name, and whether it may be named again and again.
    Option(String, bool),
}

impl Column {
    fn of(name: &str, known: &[Arg]) -> Option<Column> {
        match name {
            "user" => Some(Column::User),
            "password" => Some(Column::Password),
            "pin" => Some(Column::Pin),
            name => {
                let arg = known.iter().find(|arg| arg.get_long() == Some(name))?;
                let again = matches!(arg.get_action(), ArgAction::Append) && arg.get_value_delimiter().is_none();
                Some(Column::Option(name.to_owned(), again))
            }
        }
    }
}

pub fn perform(import: &Import, context: &Context) -> Result<(), Failure> {
    let text = read(&import.file)?;
    let name = import.file.display().to_string();
    let mut table = csv::ReaderBuilder::new()
        .delimiter(delimiter(&text))
        .trim(csv::Trim::All)
        .from_reader(text.as_bytes());
    let columns = columns(&mut table, &name)?;
    if columns
        .iter()
        .any(|column| matches!(column, Column::Password | Column::Pin))
    {
        is_private(&import.file)?;
    }
    let passwords = match columns.iter().any(|column| matches!(column, Column::Password)) {
        true => Some(Passwords::new(context)?),
        false => None,
    };
    let (mut all, mut lines) = (Vec::new(), Vec::new());
    for row in table.records() {
        let row = row.map_err(|wrong| bad_table(&name, &wrong))?;
        let line = row.position().map_or(0, csv::Position::line);
        let at_line = |failure: Failure| Failure {
            message: format!("{name}:{line}: {}; nothing is imported", failure.message),
            ..failure
        };
        all.push(subscriber(&columns, &row, passwords.as_ref(), context).map_err(at_line)?);
        lines.push(line);
    }
    let users: Vec<String> = all.iter().map(|new| new.subscriber.user.clone()).collect();
    if users.is_empty() {
        return Err(Failure::usage(
            format!("{name} has no line with a subscriber"),
            "write one for each below the names of the columns",
        ));
    }
    let access = context.new_access()?;
    access.import_subscribers(&name, all).map_err(|(place, refusal)| {
        let line = lines.get(place).copied().unwrap_or(0);
        in_line(&name, line, refusal)
    })?;
    if passwords.is_some() {
        crate::passwords::wait_for_server(&context.config.data_dir);
    }
    context
        .out
        .object(&json!({"added": users.len(), "users": users}), || match users.len() {
            1 => format!("added {}", users.concat()),
            many => format!("added {many} subscribers: {}", users.join(", ")),
        })
}

fn in_line(name: &str, line: u64, refusal: Refusal) -> Failure {
    let failure = Failure::from(refusal);
    Failure {
        message: format!("{name}:{line}: {}; nothing is imported", failure.message),
        ..failure
    }
}

/// One line's subscriber.
fn subscriber(
    columns: &[Column],
    row: &csv::StringRecord,
    passwords: Option<&Passwords>,
    context: &Context,
) -> Result<NewSubscriber, Failure> {
    let (mut words, mut user, mut password, mut digits) = (vec!["line".to_owned()], "", None, None);
    for (column, cell) in columns.iter().zip(row).filter(|(_, cell)| !cell.is_empty()) {
        match column {
            Column::User => user = cell,
            Column::Password => password = Some(cell),
            Column::Pin => digits = Some(cell),
            Column::Option(option, false) => words.push(format!("--{option}={cell}")),
            Column::Option(option, true) => {
                let values = cell.split(AGAIN).map(str::trim);
                words.extend(values.map(|value| format!("--{option}={value}")));
            }
        }
    }
    words.extend(["--".to_owned(), user.to_owned()]);
    let Line {
        user: User(user),
        target,
        options,
    } = Line::try_parse_from(words).map_err(|wrong| {
        let text = wrong.to_string();
        let first = text.lines().next().unwrap_or_default();
        Failure::usage(
            first.strip_prefix("error: ").unwrap_or(first).to_owned(),
            "the columns take what the options of 'segue subscriber add' take ('segue subscriber add --help')",
        )
    })?;
    let targets = match target.is_empty() {
        true => vec![REGISTERED.to_owned()],
        false => uris(target)?,
    };
    let secrets = match (password, passwords) {
        (Some(password), Some(passwords)) => Some(passwords.seal(&user, password)?),
        _ => None,
    };
    let pin = digits
        .map(|digits| pin::seal(digits, "the column 'pin'", &user, context))
        .transpose()?;
    let mut subscriber = Subscriber {
        user,
        targets,
        ..Subscriber::default()
    };
    options.read_names(context)?.apply(&mut subscriber);
    notify::check(&subscriber.notify)?;
    Ok(NewSubscriber {
        subscriber,
        secrets,
        pin,
    })
}

/// What the first line names.
fn columns(table: &mut csv::Reader<&[u8]>, name: &str) -> Result<Vec<Column>, Failure> {
    let known: Vec<Arg> = Line::command()
        .get_arguments()
        .filter(|arg| !arg.get_long().is_some_and(|long| long.ends_with("-file")))
        .cloned()
        .collect();
    let options: Vec<&str> = known.iter().filter_map(Arg::get_long).collect();
    let wrong = |what: String| {
        let columns = format!("columns are user, password, pin, {}", options.join(", "));
        Failure::usage(format!("{name}:1: {what}"), columns)
    };
    let header = table.headers().map_err(|e| bad_table(name, &e))?;
    let mut seen: Vec<&str> = Vec::new();
    let mut columns = Vec::new();
    for title in header {
        if seen.contains(&title) {
            return Err(wrong(format!("there are two columns '{title}'")));
        }
        seen.push(title);
        columns.push(Column::of(title, &known).ok_or_else(|| wrong(format!("no column is named '{title}'")))?);
    }
    match seen.contains(&"user") {
        true => Ok(columns),
        false => Err(wrong("no column is named 'user'".to_owned())),
    }
}

fn bad_table(name: &str, wrong: &csv::Error) -> Failure {
    let line = wrong.position().map_or(0, csv::Position::line);
    let what = match wrong.kind() {
        csv::ErrorKind::UnequalLengths { expected_len, len, .. } => {
            format!("{len} cells under {expected_len} columns")
        }
        csv::ErrorKind::Utf8 { .. } => "it is no UTF-8".to_owned(),
        _ => "it is no CSV".to_owned(),
    };
    Failure::usage(
        format!("{name}:{line}: {what}; nothing is imported"),
        "put cells with a separator in them into double quotes, and save the table as CSV in UTF-8",
    )
}

/// Spreadsheets in half of Europe write ';'.
fn delimiter(text: &str) -> u8 {
    let first = text.lines().next().unwrap_or_default();
    match first.contains(';') && !first.contains(',') {
        true => b';',
        false => b',',
    }
}

/// The table's text, without the mark that spreadsheets put before it.
fn read(path: &Path) -> Result<String, Failure> {
    let mut bytes = Vec::new();
    let read = match path == Path::new("-") {
        true => std::io::stdin().lock().take(TABLE_MAX + 1).read_to_end(&mut bytes),
        false => std::fs::File::open(path).and_then(|file| file.take(TABLE_MAX + 1).read_to_end(&mut bytes)),
    };
    let refused = |why: String, fix: &str| Failure::refused("bad_table", format!("{}: {why}", path.display()), fix);
    read.map_err(|e| refused(e.to_string(), "name a table that can be read"))?;
    if bytes.len() as u64 > TABLE_MAX {
        return Err(refused("it is larger than 4 MiB".to_owned(), "import it in parts"));
    }
    let text = String::from_utf8(bytes).map_err(|_| refused("it is no UTF-8".to_owned(), "save it as CSV in UTF-8"))?;
    Ok(text.trim_start_matches('\u{feff}').to_owned())
}

/// A table with secrets is for its owner's eyes alone.
fn is_private(path: &Path) -> Result<(), Failure> {
    if path == Path::new("-") {
        return Ok(());
    }
    let mode = std::fs::metadata(path).map_or(0o777, |found| found.mode() & 0o777);
    match mode & 0o077 {
        0 => Ok(()),
        _ => Err(Failure::refused(
            "open_secret",
            format!(
                "{}: it holds passwords or PINs, and others may read it (mode {mode:04o})",
                path.display()
            ),
            format!("chmod 600 {}", path.display()),
        )),
    }
}
