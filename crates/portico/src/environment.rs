//! Every variable that this crate reads, and the folders that follow from them.

use std::collections::HashMap;
use std::env;
use std::ffi::{OsStr, OsString};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use anyhow::{Result, bail};
use messaging::BrokerConfig;
use nix::unistd::{Uid, User};
use runtime::{config::secret_in_file, grpc::certificates};

/// The uid and gid that a backend runs under when we are root: Postgres refuses to run as root.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Owner {
    /// The user's number.
    pub uid: u32,
    /// The number of its first group.
    pub gid: u32,
}

/// `nobody`, by the number that it has on every Linux.
const NOBODY: Owner = Owner { uid: 65534, gid: 65534 };

/// The variables that name backends, with the passwords for them.
pub const BACKENDS: [&str; 6] = [
    "DATABASE_URL",
    "USER_DATABASE_URL",
    "ORDER_DATABASE_URL",
    "PAYMENT_DATABASE_URL",
    "AMQP_URL",
    "RABBITMQ_MANAGEMENT_URL",
];

/// The variables as they were when the command started, and whether it runs as root.
#[derive(Clone, Debug)]
pub struct Environment {
    variables: HashMap<OsString, OsString>,
    root: bool,
}

impl Environment {
    /// What this process was started with.
    pub fn of_this_process() -> Self {
        Self { variables: env::vars_os().collect(), root: Uid::effective().is_root() }
    }

    /// An environment made up from `variables`, of a process that is root or is not.
    pub fn made_of<'a>(variables: impl IntoIterator<Item = (&'a str, &'a str)>, root: bool) -> Self {
        let variables = variables.into_iter().map(|(name, value)| (name.into(), value.into())).collect();
        Self { variables, root }
    }

    /// The same with the secrets that files hold (`AMQP_URL_FILE` and the like).
    ///
    /// # Errors
    /// A line that names the variable: its file cannot be read, or the secret is given twice.
    pub fn with_secrets_of_files(mut self) -> Result<Self, String> {
        for name in BACKENDS.into_iter().chain(["USER_SECRET_KEY"]) {
            let secret = secret_in_file(name, |name| self.variables.get(name).cloned())?;
            self.variables.extend(secret.map(|secret| (name.into(), secret.into())));
        }
        Ok(self)
    }

    /// The same without the variables that name backends.
    pub fn without_backends(&self) -> Self {
        let mut environment = self.clone();
        for name in BACKENDS.into_iter().chain(["NGINX_URL"]) {
            environment.variables.remove(OsStr::new(name));
        }
        environment
    }

    /// The value of `name` if it is set, is text and is not empty.
    pub fn text(&self, name: &str) -> Option<&str> {
        self.variables.get(OsStr::new(name))?.to_str().filter(|value| !value.is_empty())
    }

    /// The RabbitMQ at `url`, with the authority that `AMQP_TLS_CA` says to trust.
    ///
    /// # Errors
    /// When that is no file with certificates.
    pub fn broker_at(&self, url: &str) -> Result<BrokerConfig> {
        let authority = self.text("AMQP_TLS_CA").map(certificates).transpose();
        let amqp_tls_ca = authority.map_err(|why| anyhow::anyhow!("AMQP_TLS_CA has a bad value: {why}"))?;
        Ok(BrokerConfig { amqp_url: url.into(), amqp_tls_ca })
    }

    /// The value of `name` if it is an absolute path; the XDG specification says to ignore relative ones.
    fn folder(&self, name: &str) -> Option<PathBuf> {
        let path = PathBuf::from(self.variables.get(OsStr::new(name))?);
        path.is_absolute().then_some(path)
    }

    /// The folders in which programs are looked for.
    pub fn search_path(&self) -> Vec<PathBuf> {
        let path = self.variables.get(OsStr::new("PATH"));
        path.map(|path| env::split_paths(path).collect()).unwrap_or_default()
    }

    /// The first file called `name` in the folders of [`Self::search_path`].
    pub fn program(&self, name: &str) -> Option<PathBuf> {
        self.search_path().into_iter().map(|folder| folder.join(name)).find(|path| path.is_file())
    }

    /// Where the data, logs and secrets of `up` live: `PORTICO_STATE_DIR`; for root `/var/lib/portico`, which
    /// the backends' own uid can enter; for others `$XDG_STATE_HOME/portico` or `~/.local/state/portico`.
    ///
    /// # Errors
    /// When none of these is set.
    pub fn state_folder(&self) -> Result<PathBuf> {
        if let Some(folder) = self.text("PORTICO_STATE_DIR") {
            return Ok(std::path::absolute(folder)?);
        }
        if self.root {
            return Ok(PathBuf::from("/var/lib/portico"));
        }
        let base = self.folder("XDG_STATE_HOME").or_else(|| Some(self.folder("HOME")?.join(".local/state")));
        match base {
            Some(base) => Ok(base.join("portico")),
            None => bail!("neither PORTICO_STATE_DIR nor HOME says where to keep the data"),
        }
    }

    /// Where fetched packages and throw-away clusters live: `$XDG_CACHE_HOME/portico` or `~/.cache/portico`; for
    /// root `/var/cache/portico` whenever the backends' own uid could not enter those.
    ///
    /// # Errors
    /// When none of these is set.
    pub fn cache_folder(&self) -> Result<PathBuf> {
        let base = self.folder("XDG_CACHE_HOME").or_else(|| Some(self.folder("HOME")?.join(".cache")));
        match base {
            Some(base) if !self.root || all_may_enter(&base) => Ok(base.join("portico")),
            _ if self.root => Ok(PathBuf::from("/var/cache/portico")),
            _ => bail!("neither XDG_CACHE_HOME nor HOME says where to keep what is fetched"),
        }
    }

    /// Whom the backends run as: nobody in particular for an ordinary user; for root the user `postgres` where
    /// there is one, else `nobody`.
    pub fn owner_of_backends(&self) -> Option<Owner> {
        let postgres = || User::from_name("postgres").ok().flatten();
        self.root.then(|| {
            postgres().map_or(NOBODY, |user| Owner { uid: user.uid.as_raw(), gid: user.gid.as_raw() })
        })
    }
}

/// Whether every existing folder on the way to `path` lets others pass through.
pub fn all_may_enter(path: &Path) -> bool {
    path.ancestors()
        .filter_map(|folder| folder.metadata().ok())
        .all(|metadata| metadata.permissions().mode() & 0o001 != 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_state_folder_is_what_the_variable_says_for_everyone() {
        for root in [true, false] {
            let environment =
                Environment::made_of([("PORTICO_STATE_DIR", "/srv/p"), ("HOME", "/home/ada")], root);
            assert_eq!(environment.state_folder().unwrap(), Path::new("/srv/p"));
        }
    }

    #[test]
    fn the_state_of_an_ordinary_user_is_in_the_home_folder() {
        let environment = Environment::made_of([("HOME", "/home/ada")], false);
        assert_eq!(environment.state_folder().unwrap(), Path::new("/home/ada/.local/state/portico"));
        assert_eq!(environment.cache_folder().unwrap(), Path::new("/home/ada/.cache/portico"));
    }

    #[test]
    fn a_secret_is_taken_from_the_file_that_its_variable_names() {
        let file = std::env::temp_dir().join(format!("portico-amqp-url-{}", std::process::id()));
        std::fs::write(&file, "amqp://order@rabbitmq\n").unwrap();
        let environment = Environment::made_of([("AMQP_URL_FILE", file.to_str().unwrap())], false);
        assert_eq!(
            environment.with_secrets_of_files().unwrap().text("AMQP_URL"),
            Some("amqp://order@rabbitmq")
        );
        std::fs::remove_file(&file).unwrap();
    }

    #[test]
    fn a_relative_xdg_folder_is_ignored() {
        let variables = [("HOME", "/home/ada"), ("XDG_STATE_HOME", "state")];
        let environment = Environment::made_of(variables, false);
        assert_eq!(environment.state_folder().unwrap(), Path::new("/home/ada/.local/state/portico"));
    }

    #[test]
    fn root_keeps_its_state_outside_folders_that_only_root_can_enter() {
        let environment = Environment::made_of([("HOME", "/root")], true);
        assert_eq!(environment.state_folder().unwrap(), Path::new("/var/lib/portico"));
        assert!(environment.owner_of_backends().is_some_and(|owner| owner.uid != 0));
    }

    #[test]
    fn a_folder_below_one_that_is_closed_to_others_cannot_be_entered_by_all() {
        let closed = env::temp_dir().join(format!("portico-closed-{}", std::process::id()));
        std::fs::create_dir(&closed).unwrap();
        std::fs::set_permissions(&closed, std::fs::Permissions::from_mode(0o711)).unwrap();
        assert!(all_may_enter(&closed.join("not/yet/there")));
        std::fs::set_permissions(&closed, std::fs::Permissions::from_mode(0o700)).unwrap();
        assert!(!all_may_enter(&closed.join("not/yet/there")));
        std::fs::remove_dir(&closed).unwrap();
    }

    #[test]
    fn without_a_home_the_error_names_the_variable() {
        let error = Environment::made_of([], false).state_folder().unwrap_err().to_string();
        assert!(error.contains("PORTICO_STATE_DIR"), "{error}");
    }

    #[test]
    fn an_empty_variable_counts_as_one_that_is_not_set() {
        assert_eq!(Environment::made_of([("DATABASE_URL", "")], false).text("DATABASE_URL"), None);
    }
}
