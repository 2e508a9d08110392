//! The accounts of RabbitMQ with their passwords, and the definitions from which it makes them when it starts
//! (<https://www.rabbitmq.com/docs/definitions>).

use anyhow::Result;
use aws_lc_rs::digest::{SHA256, digest};
use base64::{Engine, engine::general_purpose::STANDARD};
use messaging::topology::{self, EXCHANGE};
use serde_json::{Value, json};

/// The account that may do everything: for operators, the management pages and `portico events`.
pub const ADMINISTRATOR: &str = "portico";

/// The virtual host that everything is in: the one that clients take by default.
const VIRTUAL_HOST: &str = "/";

/// All accounts of one RabbitMQ.
#[derive(Clone)]
pub struct Accounts {
    administrator: Account,
    others: Vec<(topology::Account, Account)>,
}

/// What one logs in with.
#[derive(Clone)]
pub struct Account {
    name: &'static str,
    /// Of letters and digits, or else escaped as a URL wants it.
    password: String,
}

impl Accounts {
    /// The administrator, and those of the topology, each with what `password` gives for its name.
    ///
    /// # Errors
    /// Those of `password`.
    pub async fn with_passwords(password: impl AsyncFn(&str) -> Result<String>) -> Result<Self> {
        let account = async |name: &'static str| {
            let password = password(name).await?;
            anyhow::Ok(Account { name, password })
        };
        let administrator = account(ADMINISTRATOR).await?;
        let mut others = Vec::new();
        for rights in topology::accounts() {
            others.push((rights, account(rights.name).await?));
        }
        Ok(Self { administrator, others })
    }

    /// The one that may do everything.
    pub fn administrator(&self) -> &Account {
        &self.administrator
    }

    /// All others.
    pub fn others(&self) -> impl Iterator<Item = &Account> {
        self.others.iter().map(|(_, account)| account)
    }

    /// What RabbitMQ loads at its start: the accounts, and the whole topology, so that no event comes before the queue
    /// that waits for it. That it names accounts at all keeps RabbitMQ from making `guest`, whose password everybody
    /// knows.
    pub fn definitions(&self) -> Value {
        let everything = json!({
            "user": self.administrator.name, "vhost": VIRTUAL_HOST, "configure": ".*", "write": ".*", "read": ".*",
        });
        let (mut users, mut permissions, mut topics) =
            (vec![self.administrator.definition(&["administrator"])], vec![everything], vec![]);
        for (rights, account) in &self.others {
            let topology::Account { name, configure, write, read, topic_write, topic_read } = rights;
            users.push(account.definition(&[]));
            permissions.push(json!({
                "user": name, "vhost": VIRTUAL_HOST, "configure": configure, "write": write, "read": read,
            }));
            topics.push(json!({
                "user": name, "vhost": VIRTUAL_HOST, "exchange": EXCHANGE, "write": topic_write, "read": topic_read,
            }));
        }
        let mut definitions = topology::definitions(VIRTUAL_HOST);
        definitions["vhosts"] = json!([{ "name": VIRTUAL_HOST }]);
        definitions["users"] = users.into();
        definitions["permissions"] = permissions.into();
        definitions["topic_permissions"] = topics.into();
        definitions
    }
}

impl Account {
    /// Its name.
    pub fn name(&self) -> &'static str {
        self.name
    }

    /// `name:password`, as a URL has it.
    pub fn login(&self) -> String {
        format!("{}:{}", self.name, self.password)
    }

    /// Its URL at `address`, which is host and port.
    pub fn url(&self, address: &str) -> String {
        format!("amqp://{}@{address}/%2f", self.login())
    }

    fn definition(&self, tags: &[&str]) -> Value {
        json!({
            "name": self.name,
            "password_hash": hash(&self.password, rand::random()),
            "hashing_algorithm": "rabbit_password_hashing_sha256",
            "tags": tags,
        })
    }
}

impl std::fmt::Debug for Accounts {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str("Accounts { .. }")
    }
}

/// How RabbitMQ keeps a password: base64 of the salt and of SHA-256 over salt and password
/// (<https://www.rabbitmq.com/docs/passwords#computing-password-hash>).
fn hash(password: &str, salt: [u8; 4]) -> String {
    let salted = [salt.as_slice(), password.as_bytes()].concat();
    STANDARD.encode([salt.as_slice(), digest(&SHA256, &salted).as_ref()].concat())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_password_is_hashed_as_in_the_example_of_rabbitmqs_manual() {
        let hashed = hash("test12", [0x90, 0x8d, 0xc6, 0x0a]);
        assert_eq!(hashed, "kI3GCqW5JLMJa4iX1lo7X4D6XbYqlLgxIs30+P6tENUV2POR");
    }

    #[tokio::test]
    async fn the_definitions_name_every_account_with_its_rights_and_no_guest() {
        let accounts = Accounts::with_passwords(async |name| Ok(format!("of-{name}"))).await.unwrap();
        let definitions = accounts.definitions();
        let names = |list: &str, key: &str| -> Vec<String> {
            let list = definitions[list].as_array().unwrap().iter();
            list.map(|entry| entry[key].as_str().unwrap().to_owned()).collect()
        };
        let expected = ["portico", "user", "order", "payment", "gateway", "subscriber"];
        assert_eq!(names("users", "name"), expected);
        assert_eq!(names("permissions", "user"), expected);
        assert_eq!(names("topic_permissions", "user"), expected[1..]);
        let text = definitions.to_string();
        assert!(!text.contains("of-order") && !text.contains("guest"), "{text}");
    }
}
