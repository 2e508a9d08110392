//! The admin ports at which switches are.

use std::collections::BTreeMap;
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use runtime::faults::Fault;
use ureq::Agent;

use crate::environment::Environment;
use crate::state::{Acquired, State};

/// How long a process may take to answer.
const PATIENCE: Duration = Duration::from_secs(5);

/// The admin ports of processes that run by themselves: the variable of each, and its default.
const APART: [(&str, &str); 4] = [
    ("GATEWAY_ADMIN_LISTEN", "127.0.0.1:9400"),
    ("USER_ADMIN_LISTEN", "127.0.0.1:9401"),
    ("ORDER_ADMIN_LISTEN", "127.0.0.1:9402"),
    ("PAYMENT_ADMIN_LISTEN", "127.0.0.1:9403"),
];

/// An admin port with switches.
#[derive(Debug)]
pub(super) struct Port {
    url: String,
    /// What is set for each service in its process.
    pub(super) set: BTreeMap<String, Fault>,
}

/// Those of, in this order: the places that are `named`, the running `up`, the processes that run by themselves where the
/// variables say.
///
/// # Errors
/// When there is none, saying where was asked and what to do.
pub(super) fn find(named: &[String], environment: &Environment) -> Result<Vec<Port>> {
    let places = if named.is_empty() { places(environment)? } else { named.to_vec() };
    let (mut ports, mut refused) = (vec![], vec![]);
    for place in &places {
        match ask(place) {
            Ok(Some(port)) => ports.push(port),
            Ok(None) => refused.push(place.as_str()),
            // One that is named is meant.
            Err(error) if !named.is_empty() => return Err(error),
            Err(_) => {}
        }
    }
    if !ports.is_empty() {
        return Ok(ports);
    }
    if !refused.is_empty() {
        bail!("no fault can be set at {}: that takes PORTICO_ENV=development", refused.join(", "));
    }
    bail!("nothing runs at {}; `portico up` starts it, and --admin names another place", places.join(", "))
}

fn places(environment: &Environment) -> Result<Vec<String>> {
    if let Acquired::Theirs(Some(running)) = State::acquire(&environment.state_folder()?)?
        && let Some(admin) = running.admin
    {
        return Ok(vec![admin]);
    }
    let apart = APART.iter().map(|(variable, default)| environment.text(variable).unwrap_or(default));
    Ok(apart.map(|listen| format!("http://{}", listen.replace("0.0.0.0", "127.0.0.1"))).collect())
}

/// The port at `place`; none where it has no switches.
fn ask(place: &str) -> Result<Option<Port>> {
    let url = format!("{}/faults", place.trim_end_matches('/'));
    let answer = agent().get(&url).call();
    let mut answer = answer.with_context(|| format!("no answer from {place}"))?;
    if answer.status() == 404 {
        return Ok(None);
    }
    ensure!(answer.status() == 200, "what answers at {place} is no process of Portico");
    let set = answer.body_mut().read_json();
    Ok(Some(Port {
        url,
        set: set.with_context(|| format!("what answers at {place} is no process of Portico"))?,
    }))
}

impl Port {
    /// Sets the fault of a service in place of what was set before.
    ///
    /// # Errors
    /// What the process has against it.
    pub(super) fn put(&mut self, service: &str, fault: Fault) -> Result<()> {
        let answer = agent().put(&self.url).send_json(BTreeMap::from([(service, fault)]));
        let mut answer = answer.with_context(|| format!("no answer from {}", self.url))?;
        if answer.status() != 200 {
            bail!("{}", answer.body_mut().read_to_string()?.trim_end().to_owned());
        }
        self.set = answer.body_mut().read_json()?;
        Ok(())
    }
}

fn agent() -> Agent {
    let config = Agent::config_builder().http_status_as_error(false).timeout_global(Some(PATIENCE));
    config.build().new_agent()
}
