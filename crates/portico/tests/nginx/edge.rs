//! An nginx of a test's own.

use portico::backend::nginx::{Found, Nginx, Values};
use portico::environment::Environment;
use portico::progress::Progress;
use portico::state::State;

use crate::client::Client;

/// What stands for a body in the cache's key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Form {
    Hash,
    Plain,
}

/// Both forms: what holds for one must hold for the other.
pub(crate) const FORMS: [Form; 2] = [Form::Hash, Form::Plain];

/// An nginx that runs, with limits that no test meets by chance.
pub(crate) struct Edge {
    pub(crate) nginx: Nginx,
    pub(crate) state: State,
}

impl Edge {
    /// Before the gateway at this address (host:port).
    pub(crate) async fn before(gateway: &str, form: Form) -> Self {
        Self::with(gateway, form, &[]).await
    }

    /// The same with other values.
    pub(crate) async fn with(gateway: &str, form: Form, values: &[(&'static str, &str)]) -> Self {
        let (environment, progress) = (Environment::of_this_process(), Progress::on_stderr());
        let parent = environment.cache_folder().unwrap().join("runs");
        let state = State::throw_away(&parent, &progress).await.unwrap();
        let found = Found::find(&environment, &progress).await.expect("no nginx is to be had");
        let usual = [
            ("NGINX_LISTEN", "127.0.0.1:0"),
            ("NGINX_TLS_LISTEN", "127.0.0.1:0"),
            ("NGINX_GATEWAY", gateway),
            ("NGINX_BODY_KEY", if form == Form::Hash { "hash" } else { "plain" }),
            ("NGINX_REQUESTS_PER_SECOND", "100000"),
            ("NGINX_CONNECTIONS_PER_ADDRESS", "10000"),
        ];
        let values = usual
            .iter()
            .chain(values)
            .fold(Values::of(&environment), |values, (name, value)| values.with(name, *value));
        let nginx = found.start(values, &state, &environment).await.unwrap();
        assert_eq!(nginx.hashes(), form == Form::Hash, "njs is not to be had, or is not used");
        Self { nginx, state }
    }

    /// A client of it.
    pub(crate) fn client(&self) -> Client {
        Client::of(&self.nginx.url())
    }

    /// The lines of its access log once there are this many.
    pub(crate) async fn logged(&self, lines: usize) -> String {
        let file = self.state.folder().join("nginx/access.log");
        testkit::until("all is logged", async || {
            std::fs::read_to_string(&file).unwrap_or_default().lines().count() >= lines
        })
        .await;
        std::fs::read_to_string(file).unwrap()
    }

    /// Stops it, and removes what it wrote.
    pub(crate) async fn end(self) {
        self.nginx.stop(&self.state).await.unwrap();
        self.state.discard(&Progress::on_stderr()).await.unwrap();
    }
}
