//! The settings of the services, as this run found or made them: for those in this process, and for those that someone
//! runs beside it.

use anyhow::{Context, Result};
use base64::{Engine, engine::general_purpose::STANDARD};
use clap::Parser;

use crate::backend::Backends;
use crate::environment::Environment;
use crate::state::State;

/// How a process finds RabbitMQ. For services that have accounts of their own, we keep one of these for each.
const AMQP_URL: &str = "AMQP_URL";

/// The variables of the services that are not the same on every machine.
#[derive(Clone)]
pub struct Settings {
    variables: Vec<(String, String)>,
}

impl Settings {
    /// Those of `backends`, and the secrets of `state`. What the environment sets itself stays as it is.
    ///
    /// # Errors
    /// When a secret cannot be made.
    pub async fn gather(backends: &Backends, state: &State, environment: &Environment) -> Result<Self> {
        let services = backends.urls().services();
        let mut variables: Vec<_> = services.map(|(name, url)| (name.to_owned(), url.to_owned())).into();
        if let Some(logins) = backends.logins() {
            variables.push((AMQP_URL.to_owned(), logins.all));
            variables.extend(logins.accounts.into_iter().map(|(account, url)| (amqp_url_of(account), url)));
            variables.extend(logins.management.map(|url| ("RABBITMQ_MANAGEMENT_URL".to_owned(), url)));
        }
        let secret = match environment.text("USER_SECRET_KEY") {
            Some(secret) => secret.to_owned(),
            None => in_base64(&state.secret("user_secret_key").await?)?,
        };
        variables.push(("USER_SECRET_KEY".to_owned(), secret));
        let kind = environment.text("PORTICO_ENV").unwrap_or("development");
        variables.push(("PORTICO_ENV".to_owned(), kind.to_owned()));
        Ok(Self { variables })
    }

    /// The same, with a gateway that takes the word of an nginx of ours for a client's address. What the environment sets
    /// itself stays as it is.
    #[must_use]
    pub fn behind_nginx(mut self, environment: &Environment) -> Self {
        let trusted = environment.text("TRUSTED_PROXIES").unwrap_or("127.0.0.1/32");
        self.variables.push(("TRUSTED_PROXIES".to_owned(), trusted.to_owned()));
        self
    }

    /// What a running `up` wrote down.
    pub fn of_running(variables: Vec<(String, String)>) -> Self {
        Self { variables }
    }

    /// What the environment itself sets; `None` unless it names all three databases.
    pub fn of_environment(environment: &Environment) -> Option<Self> {
        let databases = ["USER_DATABASE_URL", "ORDER_DATABASE_URL", "PAYMENT_DATABASE_URL"];
        let variable = |name: &str| Some((name.to_owned(), environment.text(name)?.to_owned()));
        let mut variables: Vec<_> = databases.into_iter().map(variable).collect::<Option<_>>()?;
        variables.extend(variable(AMQP_URL));
        Some(Self { variables })
    }

    /// One of them.
    pub fn get(&self, variable: &str) -> Option<&str> {
        self.variables.iter().find(|(name, _)| name == variable).map(|(_, value)| value.as_str())
    }

    /// The RabbitMQ of `account` ("order"); `None` where events travel on the bus of one process.
    pub fn amqp_url(&self, account: &str) -> Option<&str> {
        self.get(&amqp_url_of(account)).or_else(|| self.get(AMQP_URL))
    }

    /// What `service` needs to run by itself, and nothing that is for others.
    pub fn of_service(&self, service: &str) -> Vec<(String, String)> {
        let url = self.amqp_url(service).map(|url| (AMQP_URL.to_owned(), url.to_owned()));
        let rest = self.variables.iter().filter(|(name, _)| !is_of_rabbitmq(name)).cloned();
        rest.chain(url).collect()
    }

    /// All of them, by name. They hold passwords and are not for logs.
    pub fn variables(&self) -> &[(String, String)] {
        &self.variables
    }

    /// The settings of one binary: these, and the environment for all others.
    ///
    /// # Errors
    /// When the environment has a bad value, in one line that names the variable.
    pub fn of<C: Parser>(&self) -> Result<C> {
        let command = C::command();
        let mut arguments = vec![command.get_name().to_owned()];
        for argument in command.get_arguments() {
            let (Some(variable), Some(long)) = (argument.get_env(), argument.get_long()) else { continue };
            let given = match variable.to_str() {
                Some(AMQP_URL) => self.amqp_url(command.get_name()),
                Some(variable) => self.get(variable),
                None => None,
            };
            arguments.extend(given.map(|value| format!("--{long}={value}")));
        }
        runtime::config::parse(arguments)
            .map_err(|error| anyhow::anyhow!(runtime::config::one_line::<C>(&error)))
    }

    /// Whether the system runs for people who build.
    pub fn is_development(&self) -> bool {
        self.get("PORTICO_ENV") == Some("development")
    }
}

impl std::fmt::Debug for Settings {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str("Settings { .. }")
    }
}

/// The name under which we keep the URL of an account, `ORDER_AMQP_URL`.
fn amqp_url_of(account: &str) -> String {
    format!("{}_{AMQP_URL}", account.to_uppercase())
}

fn is_of_rabbitmq(variable: &str) -> bool {
    variable.ends_with(AMQP_URL) || variable.starts_with("RABBITMQ_")
}

/// The 32 bytes that `hexadecimal` stands for, as the services read keys.
fn in_base64(hexadecimal: &str) -> Result<String> {
    let digits = hexadecimal.as_bytes().chunks(2).map(|pair| std::str::from_utf8(pair).ok());
    let bytes: Option<Vec<u8>> = digits.map(|pair| u8::from_str_radix(pair?, 16).ok()).collect();
    Ok(STANDARD.encode(bytes.context("a secret in the state folder is damaged")?))
}
