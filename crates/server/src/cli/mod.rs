//! The command line. One file a group of commands; this one knows the names.

mod admin;
mod audit;
mod beside;
mod call;
mod caps;
mod card;
mod chosen;
mod clip;
mod config;
mod contact;
mod doctor;
mod events;
mod group;
mod import;
mod message;
mod names;
mod notice;
mod notify;
mod number;
mod output;
mod pin;
mod play;
mod registration;
mod retention;
mod rule;
mod subscriber;
mod token;
mod trunk;
pub mod value;
mod wait;

use std::{
    cell::OnceCell,
    ffi::OsString,
    path::{Path, PathBuf},
    process::ExitCode,
};

use clap::{Args, Parser, Subcommand, error::ErrorKind};
use segue_manage::Access;
use segue_store::{Deed, Role, Store};
use tempfile::TempDir;

use crate::{config::Config, failure::Failure, reload::Given};
pub use message::now_ms;
use output::Output;

/// Holds a caller on the callee's video clip, then connects them; or keeps a video message.
#[derive(Debug, Parser)]
#[command(name = "segue", version, max_term_width = 100)]
#[command(
    after_help = "Exit codes: 0 done, 1 refused, 2 usage, 3 not found, 4 timed out, 5 no server.\n\
                        Durations: a number and ms, s, m, h or d. 'none' clears an option."
)]
struct Cli {
    #[command(flatten)]
    global: Global,
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Args)]
struct Global {
    /// Configuration file [default: ./segue.toml if present; installed: else /etc/segue/segue.toml]
    #[arg(long, global = true, value_name = "FILE")]
    config: Option<PathBuf>,
    /// Data directory [default: data_dir of the configuration, ./segue-data]
    #[arg(long, global = true, value_name = "DIR")]
    data: Option<PathBuf>,
    /// Say everything as JSON
    #[arg(long, global = true)]
    json: bool,
}

#[derive(Debug, Subcommand)]
#[allow(clippy::large_enum_variant, reason = "there is one, made once")]
enum Command {
    /// Run the server
    Run {
        /// Write the bound addresses as JSON to this file when ready
        #[arg(long, value_name = "FILE")]
        ready_file: Option<PathBuf>,
    },
    /// Print every setting with its value, meaning and source; or check them and the profiles
    Config {
        #[command(subcommand)]
        command: Option<config::Command>,
    },
    /// Say what is wrong with this machine or configuration
    Doctor,
    /// Clips: what callers see and hear before B, and greetings
    #[command(subcommand)]
    Clip(clip::Command),
    /// Subscribers: who may be called
    #[command(subcommand)]
    Subscriber(subscriber::Command),
    /// Contacts: whom a subscriber knows, in groups
    #[command(subcommand)]
    Contact(contact::Command),
    /// Groups: subscribers whose messages are for several others
    #[command(subcommand)]
    Group(group::Command),
    /// Rules: what a subscriber's callers meet, by who calls, when and why
    #[command(subcommand)]
    Rule(rule::Command),
    /// Registrations: which phones are registered, and where
    #[command(subcommand)]
    Registration(registration::Command),
    /// Numbers: what becomes of them, and whose they are
    #[command(subcommand)]
    Number(number::Command),
    /// How long messages are kept
    #[command(subcommand)]
    Retention(retention::Command),
    /// Messages that callers left
    #[command(subcommand)]
    Message(message::Command),
    /// Notices: what subscribers are told of, by mail, webhook and SIP MESSAGE
    #[command(subcommand)]
    Notice(notice::Command),
    /// Calls that have ended
    #[command(subcommand)]
    Call(call::Command),
    /// Wait until a message or call is there
    #[command(subcommand)]
    Wait(wait::Command),
    /// Trunks: where calls go out, beside a running server
    #[command(subcommand)]
    Trunk(trunk::Command),
    /// Operators: who may log in to the pages and see everything
    #[command(subcommand)]
    Admin(admin::Command),
    /// Tokens: by what programs act for an operator or a subscriber
    #[command(subcommand)]
    Token(token::Command),
    /// List who did what, the newest first
    Audit(audit::Asked),
    /// Follow what happens beside a running server: calls, media, messages
    Events(events::Follow),
    /// The worker process; started by the server and `clip add`
    #[command(hide = true)]
    MediaWorker {
        /// Print the GStreamer elements this machine lacks, one a line, and end
        #[arg(long)]
        check: bool,
        /// Say nothing on stderr: whoever asked reports what failed, in one line
        #[arg(long)]
        quiet: bool,
        /// Transcode the sound of one call; standard input is its socket
        #[arg(long)]
        live: bool,
    },
}

/// What every command gets.
struct Context {
    config: Config,
    out: Output,
    /// What this command's changes are put down as.
    deed: Deed,
    /// Where there is no data directory: stands in for one.
    scratch: OnceCell<TempDir>,
}

impl Context {
    /// The store of the configured data directory. Where there is none yet, an empty one that goes with this command: who
    /// only asks, or mistypes a directory, leaves nothing behind.
    fn store(&self) -> Result<Store, Failure> {
        if segue_store::version(&self.config.data_dir)?.is_some() {
            return self.new_store();
        }
        let scratch = match self.scratch.get() {
            Some(scratch) => scratch,
            None => {
                let made = tempfile::tempdir().map_err(|e| {
                    Failure::refused(
                        "system",
                        format!("no temporary directory can be made: {e}"),
                        "see TMPDIR",
                    )
                })?;
                self.scratch.get_or_init(|| made)
            }
        };
        let store = Store::open(scratch.path())?;
        self.config.apply_to(&store);
        Ok(store)
    }

    /// The store of the configured data directory, made if there is none.
    fn new_store(&self) -> Result<Store, Failure> {
        let store = Store::open(&self.config.data_dir)?;
        self.config.apply_to(&store);
        Ok(store.acting(self.deed.clone()))
    }

    /// Whether a server runs on the configured data directory.
    fn server_runs(&self) -> bool {
        Store::server_runs(&self.config.data_dir)
    }

    /// The store as the API and the pages have it.
    fn access(&self) -> Result<Access, Failure> {
        Ok(Access::command(self.store()?, &self.deed.name, now_ms))
    }

    /// The same of the data directory, made if there is none.
    fn new_access(&self) -> Result<Access, Failure> {
        Ok(Access::command(self.new_store()?, &self.deed.name, now_ms))
    }
}

/// Reads the command line, does what it says, reports how it ended.
pub fn main() -> ExitCode {
    let arguments: Vec<OsString> = std::env::args_os().collect();
    let wants_json = arguments.iter().any(|a| a == "--json");
    let cli = match Cli::try_parse_from(&arguments) {
        Ok(cli) => cli,
        Err(error) => return unparsed(&error, wants_json),
    };
    let json = cli.global.json;
    perform(cli).unwrap_or_else(|failure| failure.report(json))
}

fn perform(cli: Cli) -> Result<ExitCode, Failure> {
    if let Command::MediaWorker { check, quiet, live } = cli.command {
        if live {
            return Ok(segue_media_worker::live());
        }
        // The worker reads no configuration: its jobs say everything.
        return if check {
            missing_elements()
        } else {
            Ok(media_worker(quiet))
        };
    }
    let Global {
        config: file,
        data,
        json,
    } = cli.global;
    if matches!(cli.command, Command::Doctor) {
        return doctor::perform(file.as_deref(), data.as_deref(), &Output::new(json));
    }
    let config = Config::load(file.as_deref(), data.as_deref())?;
    let given = Given { file, data };
    let context = Context {
        config,
        out: Output::new(json),
        deed: deed(std::env::args().skip(1)),
        scratch: OnceCell::new(),
    };
    match cli.command {
        Command::Run { ready_file } => return crate::run::run(context.config, given, ready_file.as_deref()),
        Command::Config { command } => config::perform(command, &context),
        Command::Clip(command) => clip::perform(command, &context),
        Command::Subscriber(command) => subscriber::perform(command, &context),
        Command::Contact(command) => contact::perform(command, &context),
        Command::Group(command) => group::perform(command, &context),
        Command::Rule(command) => rule::perform(command, &context),
        Command::Registration(command) => registration::perform(command, &context),
        Command::Number(command) => number::perform(command, &context),
        Command::Retention(command) => retention::perform(command, &context),
        Command::Message(command) => message::perform(command, &context),
        Command::Notice(command) => notice::perform(command, &context),
        Command::Call(command) => call::perform(command, &context),
        Command::Wait(command) => wait::perform(command, &context),
        Command::Trunk(command) => trunk::perform(command, &context),
        Command::Admin(command) => admin::perform(command, &context),
        Command::Token(command) => token::perform(command, &context),
        Command::Audit(asked) => audit::perform(&asked, &context),
        Command::Events(follow) => events::perform(&follow, &context),
        Command::Doctor | Command::MediaWorker { .. } => Ok(()),
    }?;
    Ok(ExitCode::SUCCESS)
}

/// What a command line is put down as: its command and what that names, no options (docs/web.md).
fn deed(arguments: impl Iterator<Item = String>) -> Deed {
    // Options of every command that have a value.
    let mut has_value = false;
    let mut words = arguments.filter(|word| {
        let is_value = std::mem::replace(&mut has_value, matches!(word.as_str(), "--config" | "--data"));
        !is_value && !word.starts_with('-')
    });
    let what: Vec<String> = words.by_ref().take(2).collect();
    let named = |name: &str| std::env::var(name).ok().filter(|value| !value.is_empty());
    let uid = || format!("uid {}", rustix::process::getuid().as_raw());
    Deed {
        name: named("SUDO_USER").or_else(|| named("USER")).unwrap_or_else(uid),
        role: Role::Operator,
        by: "command".to_owned(),
        source: String::new(),
        what: what.join("."),
        object: words.next().unwrap_or_default(),
        owner: None,
        detail: String::new(),
    }
}

fn media_worker(quiet: bool) -> ExitCode {
    if quiet && let Ok(nowhere) = std::fs::OpenOptions::new().write(true).open("/dev/null") {
        // The descriptor itself: GStreamer and its codecs write to it past our standard library.
        let _ = rustix::stdio::dup2_stderr(&nowhere);
    }
    segue_media_worker::main()
}

/// In front of an element without which one codec is missing.
pub(crate) const OPTIONAL: &str = "optional: ";

fn missing_elements() -> Result<ExitCode, Failure> {
    let missing = segue_media_worker::missing_elements()
        .map_err(|why| Failure::refused("gstreamer", why, "install GStreamer 1.22 or later"))?;
    let optional = missing.optional.iter().map(|element| format!("{OPTIONAL}{element}"));
    missing
        .needed
        .into_iter()
        .chain(optional)
        .for_each(|element| println!("{element}"));
    Ok(ExitCode::SUCCESS)
}

/// Help and version are no failures; everything else is one line: what is wrong, and how it is meant.
fn unparsed(error: &clap::Error, json: bool) -> ExitCode {
    if matches!(error.kind(), ErrorKind::DisplayHelp | ErrorKind::DisplayVersion) {
        print!("{error}");
        return ExitCode::SUCCESS;
    }
    if matches!(
        error.kind(),
        ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand | ErrorKind::MissingSubcommand
    ) && !json
    {
        eprint!("{error}");
        return ExitCode::from(crate::failure::Exit::Usage as u8);
    }
    let text = error.render().to_string();
    let text = text.split("For more information").next().unwrap_or(&text);
    let (said, usage) = text.split_once("Usage:").unwrap_or((text, ""));
    let (said, tips) = said.split_once("tip: ").unwrap_or((said, ""));
    let message = said.split_whitespace().collect::<Vec<_>>().join(" ");
    let message = message.strip_prefix("error: ").unwrap_or(&message);
    // A value's own parser says what would do: that is the fix.
    if let (ErrorKind::ValueValidation, Some((wrong, right))) = (error.kind(), message.split_once("': ")) {
        return Failure::usage(format!("{wrong}'"), right).report(json);
    }
    let usage = usage.lines().next().unwrap_or("").trim();
    // "to pass '-1' as a value, use '-- -1'" is never what is wanted here; "a similar argument exists: '--hold'" is.
    let tip = tips
        .lines()
        .next()
        .filter(|tip| !tip.starts_with("to pass"))
        .map(str::trim);
    let fix = match (tip, usage) {
        (Some(tip), _) => tip.to_owned(),
        (None, "") => "see 'segue --help'".to_owned(),
        (None, usage) => format!("use it as: {usage}"),
    };
    Failure::usage(message, fix).report(json)
}

/// A file as shown to people and programs.
fn shown(path: &Path) -> String {
    path.display().to_string()
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    #[test]
    fn a_command_is_put_down_by_its_words_without_its_options() {
        let words = "--data d message delete 01A --now".split(' ').map(str::to_owned);
        let deed = super::deed(words);
        assert_eq!((deed.what.as_str(), deed.object.as_str()), ("message.delete", "01A"));
    }

    #[test]
    fn the_command_line_is_sound() {
        super::Cli::command().debug_assert();
    }
}
