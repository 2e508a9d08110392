//! Secrets from files, as orchestrators mount them: where a setting `X` is a secret, the variable `X_FILE` may name a file
//! that holds its value.
//!
//! A setting is a secret when `--help` does not show what its variable holds (`hide_env_values`).

use std::{
    ffi::{OsStr, OsString},
    fs,
};

use clap::{Arg, Command, builder::StyledStr, error::ErrorKind};

/// `command`, whose help tells of the files.
pub(super) fn told(command: Command) -> Command {
    command.mut_args(|argument| {
        let Some(name) = secret(&argument).map(|name| name.to_string_lossy().into_owned()) else {
            return argument;
        };
        let also = |help: &StyledStr| {
            format!("{}. {name}_FILE names a file that holds it", help.to_string().trim_end_matches('.'))
        };
        let (short, long) = (argument.get_help().map(also), argument.get_long_help().map(also));
        let argument = argument.help(short.unwrap_or_default());
        match long {
            Some(long) => argument.long_help(long),
            None => argument,
        }
    })
}

/// The variable of a secret.
fn secret(argument: &Arg) -> Option<&OsStr> {
    argument.get_env().filter(|_| argument.is_hide_env_values_set())
}

/// Gives `command` the secrets that files hold, in place of defaults: its arguments and variables still come first.
///
/// # Errors
/// When a file cannot be read, or when `X` is set as well.
pub(super) fn read(command: &mut Command) -> Result<(), clap::Error> {
    read_from(command, |name| std::env::var_os(name))
}

fn read_from(
    command: &mut Command,
    variable: impl Fn(&OsStr) -> Option<OsString>,
) -> Result<(), clap::Error> {
    let secrets = command.get_arguments().filter_map(|argument| Some((argument.get_id(), secret(argument)?)));
    let secrets: Vec<_> = secrets.map(|(id, name)| (id.clone(), name.to_owned())).collect();
    for (id, name) in secrets {
        let found = secret_in_file(&name.to_string_lossy(), &variable);
        let Some(value) = found.map_err(|why| clap::Error::raw(ErrorKind::Io, why))? else { continue };
        let is_empty = variable(&name).is_some();
        let with_value = |argument: Arg| {
            let argument = argument.required(false).hide_default_value(true).default_value(value);
            // An empty variable would come before a default.
            if is_empty { argument.env(None) } else { argument }
        };
        *command = std::mem::take(command).mut_arg(id, with_value);
    }
    Ok(())
}

/// The value of the setting `name` where `variable` tells a file that holds it, without the newline at its end.
///
/// # Errors
/// A line that says why there is none: the file can't be read or is empty, or the setting is given twice.
pub fn secret_in_file(
    name: &str,
    variable: impl Fn(&OsStr) -> Option<OsString>,
) -> Result<Option<String>, String> {
    let given = |name: &str| variable(OsStr::new(name)).filter(|value| !value.is_empty());
    let by_file = format!("{name}_FILE");
    let Some(path) = given(&by_file) else { return Ok(None) };
    if given(name).is_some() {
        return Err(format!("{name} and {by_file} are both set"));
    }
    let text = fs::read_to_string(&path).map_err(|error| format!("{by_file} names {path:?}: {error}"))?;
    match text.trim_end_matches(['\r', '\n']) {
        "" => Err(format!("{by_file} names {path:?}: it is empty")),
        secret => Ok(Some(secret.to_owned())),
    }
}

#[cfg(test)]
mod tests {
    use clap::Arg;

    use super::*;

    /// What becomes of a secret and of another setting with these variables, one of which names a file with `held`.
    fn settings(held: &str, variables: &[(&str, &str)]) -> Result<(String, String), String> {
        let file = std::env::temp_dir().join(format!("portico-secret-{:x}", aws_lc_random()));
        fs::write(&file, held).unwrap();
        let secret = Arg::new("url").long("url").env("ORDER_TEST_URL").hide_env_values(true).required(true);
        let other = Arg::new("listen").long("listen").env("ORDER_TEST_LISTEN").default_value("here");
        let mut command = Command::new("order").args([secret, other]);
        let variable = |name: &OsStr| {
            let (_, value) = variables.iter().find(|(known, _)| OsStr::new(known) == name)?;
            Some(if *value == "THE FILE" { file.clone().into() } else { value.into() })
        };
        let read = read_from(&mut command, variable);
        fs::remove_file(&file).unwrap();
        read.map_err(|error| error.to_string())?;
        let matches = command.try_get_matches_from(["order"]).map_err(|error| error.to_string())?;
        let text = |id: &str| matches.get_one::<String>(id).unwrap().clone();
        Ok((text("url"), text("listen")))
    }

    fn aws_lc_random() -> u64 {
        let mut bytes = [0; 8];
        aws_lc_rs::rand::fill(&mut bytes).unwrap();
        u64::from_ne_bytes(bytes)
    }

    #[test]
    fn a_secret_is_read_from_the_file_that_its_variable_names_without_the_newline_at_its_end() {
        let (secret, _) = settings("postgres://order\r\n", &[("ORDER_TEST_URL_FILE", "THE FILE")]).unwrap();
        assert_eq!(secret, "postgres://order");
    }

    #[test]
    fn an_empty_variable_does_not_stand_in_the_way_of_the_file() {
        let variables = [("ORDER_TEST_URL_FILE", "THE FILE"), ("ORDER_TEST_URL", "")];
        assert_eq!(settings("postgres://order", &variables).unwrap().0, "postgres://order");
    }

    #[test]
    fn a_setting_that_is_no_secret_is_not_read_from_a_file() {
        let variables = [("ORDER_TEST_URL_FILE", "THE FILE"), ("ORDER_TEST_LISTEN_FILE", "THE FILE")];
        assert_eq!(settings("x", &variables).unwrap().1, "here");
    }

    #[test]
    fn a_file_that_is_missing_or_empty_or_one_too_many_is_told_by_its_variable() {
        let told = |held, variables: &[(&str, &str)]| settings(held, variables).unwrap_err();
        assert!(
            told("x", &[("ORDER_TEST_URL_FILE", "/no/such")])
                .contains("ORDER_TEST_URL_FILE names \"/no/such\"")
        );
        assert!(told("\n", &[("ORDER_TEST_URL_FILE", "THE FILE")]).contains("it is empty"));
        let twice = [("ORDER_TEST_URL_FILE", "THE FILE"), ("ORDER_TEST_URL", "x")];
        assert!(told("x", &twice).contains("ORDER_TEST_URL and ORDER_TEST_URL_FILE are both set"));
        assert!(told("x", &[]).contains("--url"));
    }
}
