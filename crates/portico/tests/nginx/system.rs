//! The whole system in a process of its own, with the real gateway, and those who may ask it.

use std::io::{BufRead, BufReader};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::json;

use crate::client::{Ask, Client};

/// Pages of these may ask.
pub(crate) const ORIGINS: [&str; 2] = ["https://one.example", "https://two.example"];

/// A system that runs. It ends when it is dropped.
pub(crate) struct System {
    process: Child,
    folder: PathBuf,
    /// The gateway's, host:port.
    pub(crate) gateway: String,
}

impl System {
    pub(crate) fn start() -> Self {
        let folder = PathBuf::from("/tmp").join(format!("portico-nginx-{}", uuid::Uuid::now_v7().simple()));
        let mut command = Command::new(env!("CARGO_BIN_EXE_portico"));
        command.args(["up", "--embedded"]).env("PORTICO_STATE_DIR", &folder);
        command.env("GATEWAY_LISTEN", "127.0.0.1:0").env("GATEWAY_ADMIN_LISTEN", "127.0.0.1:0");
        command.env("TRUSTED_PROXIES", "127.0.0.1/32").env("GATEWAY_CORS_ORIGINS", ORIGINS.join(","));
        command.env("RATE_LIMITS", "off");
        let command = command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::null());
        let mut process = command.spawn().unwrap();
        let mut lines = BufReader::new(process.stdout.take().unwrap()).lines().map(Result::unwrap);
        let graph = lines.find_map(|line| Some(line.trim().strip_prefix("GraphQL")?.trim().to_owned()));
        let graph = graph.unwrap_or_else(|| panic!("it did not come up: {:?}", process.wait()));
        let gateway = graph.trim_start_matches("http://").trim_end_matches("/graphql").to_owned();
        assert!(lines.any(|line| line.starts_with("Ctrl-C")));
        // The end of the pipe stays open, for whatever is printed later.
        std::thread::spawn(move || lines.for_each(drop));
        Self { process, folder, gateway }
    }

    /// A client of the gateway itself.
    pub(crate) fn client(&self) -> Client {
        Client::of(&format!("http://{}", self.gateway))
    }

    /// The token and the id of the account with this email.
    pub(crate) fn log_in(&self, email: &str, password: &str) -> (String, String) {
        self.enter(&format!(
            "mutation {{ login(input: {{email: \"{email}\", password: \"{password}\"}}) {{ token user {{ id }} }} }}"
        ))
    }

    /// The token and the id of a new customer.
    pub(crate) fn register(&self, email: &str) -> (String, String) {
        self.enter(&format!(
            "mutation {{ register(input: {{email: \"{email}\", password: \"a-door-with-columns-7\", firstName: \"Lin\", \
             lastName: \"Wei\"}}) {{ token user {{ id }} }} }}"
        ))
    }

    fn enter(&self, mutation: &str) -> (String, String) {
        let answer = self.client().ask(&Ask::post(json!({ "query": mutation }).to_string())).json();
        let entered =
            answer["data"].as_object().and_then(|data| data.values().next()).cloned().unwrap_or_default();
        let text = |value: &serde_json::Value| value.as_str().map(str::to_owned);
        let account = text(&entered["token"]).zip(text(&entered["user"]["id"]));
        account.unwrap_or_else(|| panic!("nobody entered: {answer}"))
    }
}

impl Drop for System {
    fn drop(&mut self) {
        let _ = kill(Pid::from_raw(self.process.id().cast_signed()), Signal::SIGTERM);
        let _ = self.process.wait();
        let _ = std::fs::remove_dir_all(&self.folder);
    }
}
