//! A service of its own for each test, and the sentences in which the tests speak.

use std::time::Duration;

use proto::{
    common::v1::PageRequest,
    user::v1::{user_service_client::UserServiceClient, *},
};
use runtime::{Clock, Refusal, Sessions, Stop, grpc::Transport};
use testkit::Database;
use tokio_util::sync::DropGuard;
use tonic::{Request, Response, Status};
use user::{App, Config};

pub(crate) type Client = UserServiceClient<Transport>;
pub(crate) type Outcome<T> = Result<T, Refusal>;

/// A password that is hard to guess.
pub(crate) const PASSWORD: &str = "violet-anchor-7-plateau";
/// Another.
pub(crate) const OTHER_PASSWORD: &str = "copper-mill-42-sparrow";
pub(crate) const SECRET_KEY: &str = "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=";

/// One user service behind a socket, with a database of its own.
pub(crate) struct World {
    pub(crate) clock: Clock,
    pub(crate) service: Service,
    // Last, so that it is dropped after all that uses it.
    pub(crate) database: Database,
}

/// One process of the service, as far as a test can tell.
pub(crate) struct Service {
    pub(crate) app: App,
    pub(crate) sessions: Sessions,
    /// Over the network.
    pub(crate) client: Client,
    _stop: DropGuard,
}

impl Service {
    /// Starts one on this database, with these settings beside the needed ones.
    pub(crate) async fn start(database: &Database, clock: &Clock, settings: &[&str]) -> Self {
        let needed = ["user", "--database-url", database.url()];
        let secret = ["--secret-key", SECRET_KEY];
        let secret = if settings.contains(&"--secret-key") { &[][..] } else { &secret[..] };
        let arguments = needed.iter().chain(secret).chain(settings);
        let config: Config = runtime::config::parse(arguments).unwrap();
        let sessions = Sessions::new(&config.tokens, clock.clone());
        let app = App::build(config, sessions.clone(), clock.clone()).unwrap();
        let stop = Stop::new();
        tokio::spawn(sessions.clone().follow(app.transport(), stop.clone()));
        let (_, transport) = testkit::serve(app.service()).await;
        while !sessions.is_loaded() {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        Self { app, sessions, client: Client::new(transport), _stop: stop.drop_guard() }
    }
}

/// Somebody with an account and a session.
#[derive(Clone, Debug)]
pub(crate) struct Member {
    pub(crate) user: User,
    pub(crate) tokens: Tokens,
}

impl Member {
    fn new(user: Option<User>, tokens: Option<Tokens>) -> Self {
        Self { user: user.unwrap(), tokens: tokens.unwrap() }
    }

    pub(crate) fn request<T>(&self, message: T) -> Request<T> {
        bearer(&self.tokens.access_token, message)
    }

    /// The claims and the header of the access token, unverified.
    pub(crate) fn claim(&self, name: &str) -> serde_json::Value {
        part(&self.tokens.access_token, 1)[name].clone()
    }

    pub(crate) fn header(&self, name: &str) -> serde_json::Value {
        part(&self.tokens.access_token, 0)[name].clone()
    }
}

fn part(token: &str, index: usize) -> serde_json::Value {
    use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
    let bytes = URL_SAFE_NO_PAD.decode(token.split('.').nth(index).unwrap()).unwrap();
    serde_json::from_slice(&bytes).unwrap()
}

pub(crate) fn bearer<T>(token: &str, message: T) -> Request<T> {
    let mut request = Request::new(message);
    request.metadata_mut().insert("authorization", format!("Bearer {token}").parse().unwrap());
    request
}

/// The same request, from a client at this address.
pub(crate) fn at<T>(address: &str, mut request: Request<T>) -> Request<T> {
    request.metadata_mut().insert(runtime::grpc::CLIENT_ADDRESS, address.parse().unwrap());
    request
}

pub(crate) fn read<T>(answer: Result<Response<T>, Status>) -> Outcome<T> {
    answer.map(Response::into_inner).map_err(|status| testkit::refusal(&status))
}

pub(crate) fn fields(refusal: &Refusal) -> Vec<&str> {
    refusal.violations.iter().map(|violation| violation.field.as_str()).collect()
}

pub(crate) fn first_page(limit: i32) -> Option<PageRequest> {
    Some(PageRequest { limit, ..PageRequest::default() })
}

pub(crate) fn registration(email: &str) -> RegisterRequest {
    RegisterRequest {
        email: email.into(),
        password: PASSWORD.into(),
        first_name: "Ada".into(),
        last_name: "Lovelace".into(),
    }
}

impl World {
    pub(crate) async fn new() -> Self {
        Self::with(&[]).await
    }

    /// With these settings beside the needed ones.
    pub(crate) async fn with(settings: &[&str]) -> Self {
        let database = Database::new("user").await;
        let clock = Clock::system();
        let service = Service::start(&database, &clock, settings).await;
        Self { clock, service, database }
    }

    pub(crate) fn client(&self) -> Client {
        self.service.client.clone()
    }

    /// The same service over the network and inside the process.
    pub(crate) fn ways(&self) -> [(&'static str, Client); 2] {
        [("network", self.client()), ("in process", Client::new(self.service.app.transport()))]
    }

    pub(crate) async fn try_register(&self, request: RegisterRequest) -> Outcome<Member> {
        let answer = read(self.client().register(request).await)?;
        Ok(Member::new(answer.user, answer.tokens))
    }

    /// A new customer.
    pub(crate) async fn register(&self, email: &str) -> Member {
        self.try_register(registration(email)).await.unwrap()
    }

    pub(crate) async fn login(&self, email: &str, password: &str) -> Outcome<Member> {
        self.login_at("192.0.2.1", email, password).await
    }

    pub(crate) async fn login_at(&self, address: &str, email: &str, password: &str) -> Outcome<Member> {
        let request = AuthenticateRequest { email: email.into(), password: password.into() };
        let answer = read(self.client().authenticate(at(address, Request::new(request))).await)?;
        Ok(Member::new(answer.user, answer.tokens))
    }

    pub(crate) async fn refresh(&self, refresh_token: &str) -> Outcome<Member> {
        let request = RefreshSessionRequest { refresh_token: refresh_token.into() };
        let answer = read(self.client().refresh_session(request).await)?;
        Ok(Member::new(answer.user, answer.tokens))
    }

    /// A new admin.
    pub(crate) async fn admin(&self, email: &str) -> Member {
        self.service.app.create_admin(email, PASSWORD.into()).await.unwrap();
        self.login(email, PASSWORD).await.unwrap()
    }

    pub(crate) async fn get(&self, caller: &Member, id: &str) -> Outcome<User> {
        let request = caller.request(GetUserRequest { id: id.into() });
        Ok(read(self.client().get_user(request).await)?.user.unwrap())
    }

    pub(crate) async fn delete(&self, caller: &Member, id: &str) -> Outcome<DeleteUserResponse> {
        read(self.client().delete_user(caller.request(DeleteUserRequest { id: id.into() })).await)
    }

    pub(crate) async fn set_active(&self, caller: &Member, id: &str, active: bool) -> Outcome<User> {
        let request = caller.request(SetUserActiveRequest { id: id.into(), active });
        Ok(read(self.client().set_user_active(request).await)?.user.unwrap())
    }

    pub(crate) async fn set_role(&self, caller: &Member, id: &str, role: Role) -> Outcome<User> {
        let request = caller.request(SetUserRoleRequest { id: id.into(), role: role.into() });
        Ok(read(self.client().set_user_role(request).await)?.user.unwrap())
    }

    /// Whether the member's access token still opens anything.
    pub(crate) async fn is_signed_in(&self, member: &Member) -> bool {
        match self.get(member, &member.user.id).await {
            Ok(_) => true,
            Err(refusal) => {
                assert_eq!(refusal.reason, "SESSION_REVOKED");
                false
            }
        }
    }

    /// The events said so far with this name, in order: subject, sequence and payload.
    pub(crate) async fn events(&self, name: &str) -> Vec<(String, i64, serde_json::Value)> {
        sqlx::query_as("SELECT subject::text, sequence, data FROM outbox WHERE name = $1 ORDER BY position")
            .bind(name)
            .fetch_all(self.database.pool())
            .await
            .unwrap()
    }

    /// How many rows a table has.
    pub(crate) async fn count(&self, table: &str) -> i64 {
        let statement = sqlx::AssertSqlSafe(format!("SELECT count(*) FROM {table}"));
        sqlx::query_scalar(statement).fetch_one(self.database.pool()).await.unwrap()
    }

    /// How much there is of everything that a use case writes: what a refusal must leave as it was.
    pub(crate) async fn footprint(&self) -> [i64; 4] {
        [
            self.count("users").await,
            self.count("sessions").await,
            self.count("refresh_tokens").await,
            self.count("outbox").await,
        ]
    }
}
