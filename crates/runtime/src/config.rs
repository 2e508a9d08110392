//! Settings: each binary's clap struct, filled from its arguments and the environment, and secrets from files.

mod secret_files;

use std::{ffi::OsString, process::exit, time::Duration};

use clap::{
    ArgMatches, Command, CommandFactory, Parser, ValueEnum,
    error::{ContextKind, ContextValue, ErrorKind},
};

/// The exit code for a missing or bad setting: `EX_USAGE` of sysexits.h.
pub const EXIT_USAGE: u8 = 64;

pub use secret_files::secret_in_file;

/// Whether the process runs for people who build or for people who use.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Environment {
    /// The IDE, gRPC reflection and introspection are on.
    Development,
    /// They are off.
    Production,
}

/// Reads the settings of a binary. A missing or bad one ends the process with [`EXIT_USAGE`] and one line that names
/// the variable; `--help` prints them all.
pub fn load<C: Parser>() -> C {
    parse(std::env::args_os()).unwrap_or_else(|error| end(&C::command(), &error))
}

/// As [`load`], from these arguments (the first is the program's name), for tests and for `portico`.
///
/// # Errors
/// clap's own, for [`one_line`].
pub fn parse<C: Parser>(
    arguments: impl IntoIterator<Item = impl Into<OsString> + Clone>,
) -> Result<C, clap::Error> {
    let mut command = command::<C>();
    let mut matches = matches(&mut command, arguments.into_iter().map(Into::into).collect())?;
    C::from_arg_matches_mut(&mut matches).map_err(|error| error.format(&mut command))
}

/// Reads a time of more than zero seconds, such as `2` or `0.5`: the `value_parser` of settings.
///
/// # Errors
/// What it must be.
pub fn seconds(text: &str) -> Result<Duration, String> {
    let seconds: f64 = text.parse().map_err(|_| "must be a number of seconds".to_owned())?;
    match Duration::try_from_secs_f64(seconds) {
        Ok(duration) if !duration.is_zero() => Ok(duration),
        _ => Err("must be more than 0 seconds".to_owned()),
    }
}

/// The command line of `C`.
pub(crate) fn command<C: CommandFactory>() -> Command {
    secret_files::told(C::command())
}

/// What `arguments`, the environment and files with secrets give to `command`.
pub(crate) fn matches(command: &mut Command, arguments: Vec<OsString>) -> Result<ArgMatches, clap::Error> {
    let read = secret_files::read(command);
    match (read, command.try_get_matches_from_mut(arguments)) {
        // Who asks for help gets it all the same.
        (Err(refused), outcome) if !outcome.as_ref().is_err_and(is_help) => Err(refused),
        (_, outcome) => outcome,
    }
}

/// Ends the process with help, or with a line that says what is wrong.
pub(crate) fn end(command: &Command, error: &clap::Error) -> ! {
    if is_help(error) {
        error.exit()
    }
    eprintln!("{}", told(command, error));
    exit(EXIT_USAGE.into())
}

fn is_help(error: &clap::Error) -> bool {
    matches!(error.kind(), ErrorKind::DisplayHelp | ErrorKind::DisplayVersion)
}

/// Says in one line which setting is missing or bad, by the name of its variable, and where to read about it.
pub fn one_line<C: Parser>(error: &clap::Error) -> String {
    told(&C::command(), error)
}

fn told(command: &Command, error: &clap::Error) -> String {
    let variable = |shown: &str| {
        command
            .get_arguments()
            .find(|argument| argument.get_long().is_some_and(|long| shown.contains(&format!("--{long} "))))
            .and_then(|argument| argument.get_env())
            .map_or_else(|| shown.trim().to_owned(), |name| name.to_string_lossy().into_owned())
    };
    let named: Vec<String> = match error.get(ContextKind::InvalidArg) {
        Some(ContextValue::Strings(all)) => all.iter().map(|one| variable(&format!("{one} "))).collect(),
        Some(ContextValue::String(one)) => vec![variable(&format!("{one} "))],
        _ => vec![],
    };
    let program = command.get_bin_name().unwrap_or_else(|| command.get_name());
    let hint = format!("`{program} --help` lists the settings");
    match (error.kind(), named.as_slice()) {
        (_, []) => {
            let text = error.render().to_string();
            let first = text.lines().next().unwrap_or_default().trim_start_matches("error: ");
            format!("{program}: {first}; {hint}")
        }
        (ErrorKind::MissingRequiredArgument, names) => {
            format!("{program}: {} is not set; {hint}", names.join(", "))
        }
        (ErrorKind::UnknownArgument, names) => {
            format!("{program}: there is no argument {}; {hint}", names.join(", "))
        }
        (_, names) => {
            let why = std::error::Error::source(error).map(|why| format!(": {why}")).unwrap_or_default();
            format!("{program}: {} has a bad value{why}; {hint}", names.join(", "))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Parser, Debug)]
    #[command(name = "order")]
    struct Config {
        #[arg(long, env = "ORDER_TEST_DATABASE_URL")]
        database_url: String,
        #[arg(long, env = "ORDER_TEST_POOL", default_value_t = 10)]
        pool: u32,
    }

    #[test]
    fn a_missing_setting_is_named_by_its_variable() {
        let error = parse::<Config>(["order"]).unwrap_err();
        assert_eq!(
            one_line::<Config>(&error),
            "order: ORDER_TEST_DATABASE_URL is not set; `order --help` lists the settings"
        );
    }

    #[test]
    fn a_bad_setting_is_named_by_its_variable_and_says_why() {
        let error = parse::<Config>(["order", "--database-url", "x", "--pool", "many"]).unwrap_err();
        assert_eq!(
            one_line::<Config>(&error),
            "order: ORDER_TEST_POOL has a bad value: invalid digit found in string; `order --help` lists the settings"
        );
    }

    #[test]
    fn a_time_that_makes_no_sense_is_refused() {
        assert_eq!(seconds("2.5"), Ok(Duration::from_millis(2500)));
        for text in ["0", "-1", "NaN", "inf", "ten", ""] {
            assert!(seconds(text).is_err(), "{text}");
        }
    }
}
