//! The only wiring: what the service is made of, and how it runs, alone or with others in one process.

use std::sync::Arc;

use chrono::TimeDelta;
use identity::Role;
use messaging::{Consumer, Outbox, Part};
use proto::user::v1::user_service_server::UserServiceServer;
use runtime::{
    Clock, Faults, Refusal, Sessions, Stop,
    admin::Check,
    grpc::{Guard, Guarded, Server, Transport, in_process},
    lifecycle::{and_then_stop, every, join_all},
    postgres::Database,
};
use secrecy::SecretString;
use sqlx::migrate::Migrator;
use tokio::task::JoinSet;

use crate::{
    Config, Error,
    change::Changes,
    grpc::Handlers,
    keys::{Keys, RELOAD},
    password::Passwords,
    sessions::{Logins, PRUNE},
    throttle::{LoginThrottle, RegisterThrottle},
    user::{Email, Name, NewPassword},
    users::{NewUser, Users},
};

/// The migrations of the service's database.
pub static MIGRATOR: Migrator = sqlx::migrate!("../../migrations/user");

/// The user service.
pub struct App {
    config: Config,
    changes: Changes,
    handlers: Handlers,
    faults: Faults,
}

impl App {
    /// Puts the service together. It connects when it is first used, so that processes start in any order. What shares
    /// `sessions` with it learns of revocations at once.
    ///
    /// # Errors
    /// When the database's URL is none.
    pub fn build(config: Config, sessions: Sessions, clock: Clock) -> anyhow::Result<Self> {
        runtime::measure::describe(crate::measure::METRICS);
        let database = Database::at(config.place(), ["user", "user read", "user replica"])?;
        let outbox = Outbox::new(database.writes.raw().clone(), "user");
        let rotation = TimeDelta::days(config.key_rotation_days.into());
        let keys = Keys::new(database.clone(), clock.clone(), config.secret_key.clone(), rotation);
        let changes = Changes { database, outbox, sessions, clock };
        let passwords = Passwords::new();
        let logins = Arc::new(Logins {
            changes: changes.clone(),
            keys: keys.clone(),
            passwords: passwords.clone(),
            throttle: LoginThrottle::new(config.login.clone()),
            refresh_key: config.secret_key.refresh_tokens().map_err(Error::from)?,
        });
        let throttle = RegisterThrottle::new(&config.login);
        let users = Arc::new(Users { changes: changes.clone(), logins: logins.clone(), passwords, throttle });
        let faults = Faults::new("user", config.environment);
        Ok(Self { config, changes, handlers: Handlers { users, logins, keys }, faults })
    }

    /// The service inside its guard.
    pub fn service(
        &self,
    ) -> Guarded<UserServiceServer<impl proto::user::v1::user_service_server::UserService>> {
        Guard::new(self.changes.sessions.clone())
            .with_faults(&self.faults)
            .with_room(self.config.room)
            .around(UserServiceServer::new(self.handlers.clone()))
    }

    /// The way to the service in this process.
    pub fn transport(&self) -> Transport {
        in_process(self.service())
    }

    /// Its fault switches: none in production.
    pub fn faults(&self) -> &Faults {
        &self.faults
    }

    /// The outbox of its database.
    pub fn outbox(&self) -> Outbox {
        self.changes.outbox.clone()
    }

    /// What it does when something happens elsewhere: nothing.
    pub fn consumers(&self) -> Vec<Arc<dyn Consumer>> {
        vec![]
    }

    /// What has to hold before it takes requests.
    pub fn checks(&self) -> Vec<Check> {
        vec![self.changes.database.check(&MIGRATOR), self.changes.sessions.check()]
    }

    /// Rotates the signing keys and removes what ended long ago, until `stop`.
    ///
    /// # Errors
    /// None: what fails is logged and tried again.
    pub async fn background(&self, stop: Stop) -> anyhow::Result<()> {
        let keys =
            every(RELOAD, stop.clone(), || async { log("signing keys", self.handlers.keys.refresh().await) });
        let prune = every(PRUNE, stop, || async { log("pruning", self.handlers.logins.prune().await) });
        tokio::join!(keys, prune);
        Ok(())
    }

    /// Runs alone in its process, until `stop`.
    ///
    /// # Errors
    /// When a port is taken or a listener fails.
    pub async fn run(self, stop: Stop) -> anyhow::Result<()> {
        let server = Server::bind_until_ready(&self.config.listen, &self.config.admin_listen)
            .await?
            .with_tls(&self.config.tls);
        let part = Part {
            outbox: self.outbox(),
            consumers: self.consumers(),
            sessions: self.changes.sessions.clone(),
            users: self.transport(),
            faults: self.faults.clone(),
        };
        let (mut tasks, events_stop) = (JoinSet::new(), Stop::new());
        tasks.spawn(part.play(self.config.broker.clone(), events_stop.clone()));
        let served = server.serve(self.service(), self.config.environment, self.checks(), stop.clone());
        tasks.spawn(and_then_stop(served, events_stop));
        let stopped = stop.clone();
        tasks.spawn(async move { self.background(stopped).await });
        join_all(tasks, &stop).await
    }

    /// Makes an admin's account; it changes no account that exists.
    ///
    /// # Errors
    /// What Register refuses, EMAIL_TAKEN among it: see [`App::promote_admin`].
    pub async fn create_admin(&self, email: &str, password: SecretString) -> Result<(), Refusal> {
        let new = new_user(email, "Portico", "Admin")?;
        let password = NewPassword::parse(password).map_err(|broken| broken.by("password"))?;
        self.handlers.users.create_admin(new, password).await?;
        Ok(())
    }

    /// Makes an admin of the account with this email and ends its sessions; nothing when it is one already.
    ///
    /// # Errors
    /// NOT_FOUND when there is no active account with this email.
    pub async fn promote_admin(&self, email: &str) -> Result<(), Refusal> {
        let email = Email::parse(email).map_err(|broken| broken.by("email"))?;
        let users = &self.handlers.users;
        let id = users.find_by_email(&email).await?.ok_or(Error::UserNotFound)?;
        users.set_role(id, Role::Admin).await?;
        Ok(())
    }

    /// Makes an account for a demonstration, with a password however weak, unless its email is taken. Says whether it
    /// did.
    ///
    /// # Errors
    /// When the email or a name is none.
    pub async fn seed_user(
        &self,
        email: &str,
        password: SecretString,
        first_name: &str,
        last_name: &str,
        role: Role,
    ) -> Result<bool, Refusal> {
        Ok(self.handlers.users.seed(new_user(email, first_name, last_name)?, password, role).await?)
    }
}

fn new_user(email: &str, first_name: &str, last_name: &str) -> Result<NewUser, Refusal> {
    Ok(NewUser {
        email: Email::parse(email).map_err(|broken| broken.by("email"))?,
        first_name: Name::parse(first_name).map_err(|broken| broken.by("firstName"))?,
        last_name: Name::parse(last_name).map_err(|broken| broken.by("lastName"))?,
    })
}

fn log(what: &str, outcome: Result<(), Error>) {
    if let Err(error) = outcome {
        tracing::warn!(%error, "{what} failed; trying again later");
    }
}
