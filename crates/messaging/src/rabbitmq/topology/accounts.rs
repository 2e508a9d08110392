//! Who may do what in RabbitMQ: an account for each service, so that nobody else can say `payment.success`, one for
//! gateways, and one for those outside who only read.
//!
//! The patterns are RabbitMQ's own (<https://www.rabbitmq.com/docs/access-control>): each is matched against the name of
//! the exchange or queue. Binding needs `write` on the queue and `read` on the exchange; publishing needs `write` on the
//! exchange and, on a topic exchange, the routing key to match.

/// An account, and what it may do in the virtual host of the events.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Account {
    /// Its name, `order`.
    pub name: &'static str,
    /// What it may declare and delete.
    pub configure: &'static str,
    /// Into what it may publish, and which queues it may bind.
    pub write: &'static str,
    /// What it may consume, and from which exchanges its queues may take.
    pub read: &'static str,
    /// The routing keys under which it may publish to [`super::EXCHANGE`].
    pub topic_write: &'static str,
    /// The routing keys to which it may bind at [`super::EXCHANGE`].
    pub topic_read: &'static str,
}

/// All accounts. `amq.gen-…` are the queues of one process, which the server names; they are exclusive, so only the
/// connection that made one can read it.
pub const fn accounts() -> [Account; 5] {
    [
        // Its events are those of sessions too.
        service("user", r"^(portico\.events|user\..*|amq\.gen.*)$", r"^(user|session)\."),
        service("order", r"^(portico\.events|order\..*|amq\.gen.*)$", r"^order\."),
        service("payment", r"^(portico\.events|payment\..*|amq\.gen.*)$", r"^payment\."),
        Account {
            name: "gateway",
            // It may come first, and then makes the exchange; it says no event.
            configure: r"^(portico\.events|amq\.gen.*)$",
            write: r"^amq\.gen.*$",
            read: r"^(portico\.events|amq\.gen.*)$",
            topic_write: NOTHING,
            topic_read: ANYTHING,
        },
        Account {
            name: "subscriber",
            configure: r"^(subscriber\..*|amq\.gen.*)$",
            write: r"^(subscriber\..*|amq\.gen.*)$",
            read: r"^(portico\.events|subscriber\..*|amq\.gen.*)$",
            topic_write: NOTHING,
            topic_read: ANYTHING,
        },
    ]
}

/// RabbitMQ reads an empty pattern as this one, too; it matches no key but the empty one.
const NOTHING: &str = "^$";
const ANYTHING: &str = ".*";

/// A service declares, fills and reads what is its own.
const fn service(name: &'static str, own: &'static str, topic_write: &'static str) -> Account {
    Account { name, configure: own, write: own, read: own, topic_write, topic_read: ANYTHING }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::topology::{EXCHANGE, QUEUES};

    #[test]
    fn each_consumer_belongs_to_a_service_that_has_an_account_for_its_queues() {
        for queue in QUEUES {
            let (service, _) = queue.consumer.split_once('.').unwrap();
            let account = accounts().into_iter().find(|account| account.name == service).unwrap();
            assert!(account.configure.contains(&format!(r"{service}\..*")), "{account:?}");
        }
    }

    #[test]
    fn only_the_services_may_publish() {
        for account in accounts() {
            let publishes = account.write.contains(&EXCHANGE.replace('.', r"\."));
            assert_eq!(publishes, account.topic_write != NOTHING, "{account:?}");
        }
    }
}
