//! Orders: against what clients were told, against their own events, against their payments.

use std::collections::HashMap;

use uuid::Uuid;

use super::Facts;
use crate::{
    ledger::{EventRow, PaymentRow},
    told::Fate,
};

/// Which statuses an order and its payment may have together.
const PAIRS: [(&str, &str); 4] = [
    ("PENDING", "PENDING"),
    ("CONFIRMED", "SUCCEEDED"),
    ("CANCELLED", "CANCELLED"),
    ("CANCELLED", "REFUNDED"),
];

pub(super) fn are_as_told(facts: &Facts<'_>) -> Vec<String> {
    let mut broken = Vec::new();
    for (id, told) in &facts.told.orders {
        let wanted = match told.fate {
            Fate::Placed => "PENDING",
            Fate::Paid => "CONFIRMED",
            Fate::Cancelled => "CANCELLED",
        };
        match facts.ledger.orders.get(id) {
            None => broken.push(format!("order {id} of user {} is not there", told.user)),
            Some(order) if order.status != wanted => {
                broken.push(format!("order {id} is {}, and its client was told {wanted}", order.status));
            }
            Some(order) if (order.user_id, order.total) != (told.user, told.total) => {
                broken.push(format!("order {id} is {order:?}, and its client was told {told:?}"));
            }
            Some(_) if !told.finished => {
                broken.push(format!("order {id}: its client did not come to an end with it"));
            }
            Some(_) => {}
        }
    }
    broken
}

pub(super) fn none_is_unknown(facts: &Facts<'_>) -> Vec<String> {
    let orders = facts.ledger.orders.keys().filter(|id| !facts.told.orders.contains_key(id));
    let orders = orders.map(|id| format!("order {id}: no client was told of it"));
    let users = facts.ledger.users.iter().filter(|id| !facts.told.users.contains(id));
    let users = users.map(|id| format!("user {id}: no client was told of it"));
    let missing = facts.told.users.iter().filter(|id| !facts.ledger.users.contains(id));
    orders.chain(users).chain(missing.map(|id| format!("user {id} is not there"))).collect()
}

/// Each change is one event, in whose `from` the one before ends.
pub(super) fn lives_are_whole(facts: &Facts<'_>) -> Vec<String> {
    let mut lives: HashMap<Uuid, Vec<&EventRow>> = HashMap::new();
    for event in facts.ledger.events.iter().filter(|event| event.source == "order") {
        lives.entry(event.subject).or_default().push(event);
    }
    let mut broken = Vec::new();
    for order in facts.ledger.orders.values() {
        let mut life = lives.remove(&order.id).unwrap_or_default();
        life.sort_by_key(|event| event.sequence);
        if !life.iter().map(|event| event.sequence).eq(1..=order.version) {
            let told: Vec<_> = life.iter().map(|event| (event.sequence, event.id)).collect();
            broken.push(format!("order {} has version {}, and the events {told:?}", order.id, order.version));
        }
        match walk(&life) {
            Ok(status) if status == order.status => {}
            Ok(status) => {
                broken.push(format!("order {} is {}, and its events say {status}", order.id, order.status));
            }
            Err(why) => broken.push(format!("order {}: {why}", order.id)),
        }
    }
    broken.extend(lives.keys().map(|id| format!("there are events of order {id}, which is not there")));
    broken
}

/// The status to which an order's events lead.
fn walk(life: &[&EventRow]) -> Result<String, String> {
    let (first, changes) = life.split_first().ok_or("no event tells of it")?;
    if first.name != "order.created" {
        return Err(format!("its first event is {} {}", first.name, first.id));
    }
    let mut status = "PENDING".to_owned();
    let mut confirmed = 0;
    for change in changes {
        let text = |field: &str| {
            let text = change.data[field].as_str().unwrap_or_default();
            text.trim_start_matches("ORDER_STATUS_").to_owned()
        };
        if change.name != "order.status_changed" || text("from") != status {
            return Err(format!("{} {} does not follow from {status}", change.name, change.id));
        }
        status = text("to");
        confirmed += usize::from(status == "CONFIRMED");
    }
    if confirmed > 1 {
        return Err(format!("it was confirmed {confirmed} times"));
    }
    Ok(status)
}

pub(super) fn agree_with_payments(facts: &Facts<'_>) -> Vec<String> {
    let mut payments: HashMap<Uuid, Vec<&PaymentRow>> = HashMap::new();
    for payment in &facts.ledger.payments {
        payments.entry(payment.order_id).or_default().push(payment);
    }
    let mut broken = Vec::new();
    for order in facts.ledger.orders.values() {
        let of_order = payments.remove(&order.id).unwrap_or_default();
        let [payment] = of_order[..] else {
            let ids: Vec<_> = of_order.iter().map(|payment| payment.id).collect();
            broken.push(format!("order {} has the payments {ids:?}", order.id));
            continue;
        };
        if !PAIRS.contains(&(order.status.as_str(), payment.status.as_str())) {
            let (order_is, payment_is) = (&order.status, &payment.status);
            broken.push(format!("order {} is {order_is}, its payment {} {payment_is}", order.id, payment.id));
        }
        if payment.amount != order.total {
            broken.push(format!(
                "order {} costs {}, its payment {} is of {}",
                order.id, order.total, payment.id, payment.amount
            ));
        }
    }
    broken.extend(
        payments.keys().map(|order| format!("there is a payment of order {order}, which is not there")),
    );
    broken
}
