//! What the binary of a process can be asked for: to run, and, for images that hold nothing else, whether it is ready
//! (`health`) and to bring its database to the newest schema (`migrate`).
//!
//! A subcommand is the first argument. It reads the settings that it uses and no others: a probe needs no password.

use std::{
    ffi::OsString,
    io::{Write, stderr, stdout},
    process::ExitCode,
    time::Duration,
};

use clap::{Arg, ArgMatches, Args, Command, CommandFactory, Parser};
use secrecy::SecretString;
use sqlx::migrate::Migrator;

use crate::{config, health, migrate};

/// How long `migrate` waits.
#[derive(Args, Debug)]
struct Patience {
    /// How long to wait for the database, in seconds.
    #[arg(long, env = "MIGRATE_TIMEOUT", default_value_t = 60)]
    migrate_timeout: u64,
}

/// Reads the command line of a binary whose settings are `C`: `admin_listen` is one of them, and `database_url` where it
/// has a `migrator`. Gives the settings to run with.
///
/// # Errors
/// The exit code of a subcommand that was asked for instead, and is done. A bad command line ends the process as with
/// [`config::load`].
pub fn start<C: Parser>(migrator: Option<&'static Migrator>) -> Result<C, ExitCode> {
    let arguments: Vec<OsString> = std::env::args_os().collect();
    let name = C::command().get_name().to_owned();
    let asked = arguments.get(1).and_then(|word| word.to_str()).unwrap_or_default();
    match (asked, migrator) {
        ("health", _) => {
            let matches = matches(health_command::<C>(), &name, arguments);
            Err(ended(&name, health::ask(text(&matches, "admin_listen"))))
        }
        ("migrate", Some(migrator)) => {
            let matches = matches(migrate_command::<C>(), &name, arguments);
            Err(ended(&name, bring_up(&name, &matches, migrator)))
        }
        _ => {
            let mut command =
                config::command::<C>().subcommand_negates_reqs(true).subcommand(health_command::<C>());
            if migrator.is_some() {
                command = command.subcommand(migrate_command::<C>());
            }
            let mut matches = read(&mut command, arguments);
            if let Some(late) = matches.subcommand_name() {
                eprintln!("{name}: {late} must be the first argument; its settings stand behind it");
                return Err(ExitCode::from(config::EXIT_USAGE));
            }
            Ok(C::from_arg_matches_mut(&mut matches).unwrap_or_else(|error| config::end(&command, &error)))
        }
    }
}

fn health_command<C: CommandFactory>() -> Command {
    Command::new("health")
        .about("Ask the process that runs with these settings whether it is ready: exit code 0 if so, else 1")
        .args(argument::<C>("admin_listen"))
}

fn migrate_command<C: CommandFactory>() -> Command {
    Patience::augment_args(Command::new("migrate").args(argument::<C>("database_url")))
        .about("Bring the database to the newest schema; one that does not answer yet is waited for")
}

/// The setting `id` of `C`: for a subcommand it has the same name and means the same.
fn argument<C: CommandFactory>(id: &str) -> Option<Arg> {
    config::command::<C>().get_arguments().find(|argument| argument.get_id() == id).cloned()
}

/// Reads what stands behind the name of `program`.
fn matches(command: Command, program: &str, mut arguments: Vec<OsString>) -> ArgMatches {
    let full_name = format!("{program} {}", command.get_name());
    arguments.remove(0);
    read(&mut command.bin_name(full_name), arguments)
}

fn read(command: &mut Command, arguments: Vec<OsString>) -> ArgMatches {
    config::matches(command, arguments).unwrap_or_else(|error| config::end(command, &error))
}

fn text<'a>(matches: &'a ArgMatches, id: &str) -> &'a str {
    matches.get_one::<String>(id).map(String::as_str).unwrap_or_default()
}

fn bring_up(name: &str, matches: &ArgMatches, migrator: &'static Migrator) -> Result<String, String> {
    let url = matches.get_one::<SecretString>("database_url").cloned().unwrap_or_default();
    let patience = Duration::from_secs(matches.get_one("migrate_timeout").copied().unwrap_or_default());
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let runtime = runtime.map_err(|error| format!("the async runtime can't start: {error}"))?;
    let tell = |word: &str| say(stderr(), name, word);
    let done = runtime.block_on(migrate::up(&url, migrator, patience, tell));
    done.map(|schema| schema.to_string()).map_err(|error| error.to_string())
}

/// Says how a subcommand ended, in one line.
fn ended(name: &str, outcome: Result<String, String>) -> ExitCode {
    match outcome {
        Ok(done) => {
            say(stdout(), name, &done);
            ExitCode::SUCCESS
        }
        Err(why) => {
            say(stderr(), name, &why);
            ExitCode::FAILURE
        }
    }
}

/// A standard output that is closed is no reason to fail.
fn say(mut out: impl Write, name: &str, line: &str) {
    let _ = writeln!(out, "{name}: {line}");
}
