//! Each promise can be broken, and is then told with the ids.

use serde_json::json;
use uuid::Uuid;

use super::*;
use crate::{
    arrivals::Arrival,
    faults::Kind,
    ledger::{AttemptRow, EventRow, MovedRow, OrderRow, PaymentRow},
    told::{Fate, ToldOrder},
};

const USER: Uuid = Uuid::from_u128(1);
const ORDER: Uuid = Uuid::from_u128(2);
const PAYMENT: Uuid = Uuid::from_u128(3);
const CHARGE: Uuid = Uuid::from_u128(4);
const CREATED: Uuid = Uuid::from_u128(11);
const PAID: Uuid = Uuid::from_u128(12);
const CONFIRMED: Uuid = Uuid::from_u128(13);

/// A world in which one order was placed and paid, and all is well.
struct World {
    ledger: Ledger,
    told: Inner,
    arrivals: Arrivals,
    done: Done,
    dead: Vec<(String, u32)>,
}

fn event(id: Uuid, name: &str, (subject, sequence): (Uuid, i64), data: serde_json::Value) -> EventRow {
    let source = name.split('.').next().unwrap_or_default().to_owned();
    EventRow { id, source, name: name.into(), subject, sequence, published: true, data }
}

impl World {
    fn new() -> Self {
        let to = json!({ "from": "ORDER_STATUS_PENDING", "to": "ORDER_STATUS_CONFIRMED" });
        let events = vec![
            event(CREATED, "order.created", (ORDER, 1), json!({})),
            event(PAID, "payment.success", (PAYMENT, 2), json!({})),
            event(CONFIRMED, "order.status_changed", (ORDER, 2), to),
        ];
        let mut world = Self {
            ledger: Ledger::default(),
            told: Inner::default(),
            arrivals: Arrivals::default(),
            done: Done::default(),
            dead: vec![("order.payment_outcomes.dead".into(), 0)],
        };
        events.iter().for_each(|event| world.arrivals.note(arrival(event)));
        world.ledger.events = events;
        for (consumer, event) in [
            ("order.payment_outcomes", PAID),
            ("payment.order_created", CREATED),
            ("payment.order_status_changed", CONFIRMED),
        ] {
            world.ledger.inboxes.insert(consumer.into(), [event].into());
        }
        world.ledger.users = [USER].into();
        world.told.users.push(USER);
        let status = "CONFIRMED".to_owned();
        world
            .ledger
            .orders
            .insert(ORDER, OrderRow { id: ORDER, user_id: USER, status, total: 5, version: 2 });
        let told = ToldOrder { user: USER, total: 5, fate: Fate::Paid, finished: true };
        world.told.orders.insert(ORDER, told);
        world.ledger.payments.push(PaymentRow {
            id: PAYMENT,
            order_id: ORDER,
            status: "SUCCEEDED".into(),
            amount: 5,
            refunded: 0,
            transaction_id: Some("ch_1".into()),
        });
        let (kind, status) = ("CHARGE".to_owned(), "SUCCEEDED".to_owned());
        let attempt = AttemptRow { id: CHARGE, payment_id: PAYMENT, kind: kind.clone(), status };
        world.ledger.attempts.insert(CHARGE, attempt);
        let moved = MovedRow { key: CHARGE, kind, amount: 5, transaction_id: "ch_1".into() };
        world.ledger.moved.push(moved);
        world.done.times = Kind::all().into_iter().map(|kind| (kind, 1)).collect();
        world
    }

    fn broken(&self, plan: Plan) -> Vec<String> {
        let Self { ledger, told, arrivals, done, dead } = self;
        let verdicts = all(&Facts { ledger, told, arrivals, done, dead }, plan);
        verdicts.into_iter().flat_map(|verdict| verdict.broken).collect()
    }
}

fn arrival(event: &EventRow) -> Arrival {
    let EventRow { id, source, name, subject, sequence, .. } = event.clone();
    Arrival { id, name, source, subject, sequence }
}

/// What is told when `change` has been made to the world.
fn after(change: impl FnOnce(&mut World)) -> String {
    let mut world = World::new();
    change(&mut world);
    world.broken(Plan::Faults).join("\n")
}

/// The same of a rolling update.
fn after_rolling(change: impl FnOnce(&mut World)) -> String {
    let mut world = World::new();
    world.done.replaced = vec!["order-1".to_owned(); rolling::SIZE.total()];
    change(&mut world);
    world.broken(Plan::Rolling).join("\n")
}

#[test]
fn a_world_in_which_all_is_well_breaks_no_promise() {
    assert_eq!(after(|_| {}), "");
    let early = |world: &mut World| world.told.repeats = [("ORDER_NOT_READY".into(), 3)].into();
    assert_eq!(after_rolling(early), "");
}

#[test]
fn an_order_that_is_gone_or_is_not_as_it_was_told_is_named() {
    assert!(after(|world| world.ledger.orders.clear()).contains(&format!("order {ORDER} of user")));
    let told =
        after(|world| world.ledger.orders.values_mut().for_each(|order| order.status = "PENDING".into()));
    assert!(told.contains("is PENDING, and its client was told CONFIRMED"), "{told}");
}

#[test]
fn an_order_that_was_placed_twice_is_named() {
    let second = Uuid::from_u128(20);
    let told = after(|world| {
        let order = OrderRow { id: second, ..world.ledger.orders[&ORDER].clone() };
        world.ledger.orders.insert(second, order);
    });
    assert!(told.contains(&format!("order {second}: no client was told of it")), "{told}");
}

#[test]
fn an_event_that_is_lost_comes_from_nowhere_or_was_not_handled_is_named() {
    let told = after(|world| world.arrivals = Arrivals::default());
    assert!(told.contains(&format!("order.created {CREATED} of order was committed, and never arrived")));
    let told = after(|world| drop(world.ledger.events.remove(0)));
    assert!(told.contains(&format!("order.created {CREATED} arrived, and was never committed")), "{told}");
    let told = after(|world| world.ledger.inboxes.values_mut().for_each(std::collections::BTreeSet::clear));
    assert!(told.contains(&format!("payment.order_created did not handle {CREATED}")), "{told}");
}

#[test]
fn a_second_confirmation_is_told() {
    let again = Uuid::from_u128(21);
    let told = after(|world| {
        let to = world.ledger.events[2].data.clone();
        world.ledger.events.push(event(again, "order.status_changed", (ORDER, 3), to));
    });
    assert!(told.contains(&format!("{again} does not follow from CONFIRMED")), "{told}");
}

#[test]
fn an_order_and_a_payment_that_part_are_told() {
    let told = after(|world| world.ledger.payments[0].status = "PENDING".into());
    assert!(told.contains(&format!("order {ORDER} is CONFIRMED, its payment {PAYMENT} PENDING")), "{told}");
    let told = after(|world| world.ledger.payments.clear());
    assert!(told.contains(&format!("order {ORDER} has the payments []")), "{told}");
}

#[test]
fn money_that_moved_twice_is_told() {
    let told = after(|world| {
        let second = Uuid::from_u128(22);
        let attempt = AttemptRow { id: second, ..world.ledger.attempts[&CHARGE].clone() };
        world.ledger.attempts.insert(second, attempt);
        let moved = MovedRow { key: second, ..world.ledger.moved[0].clone() };
        world.ledger.moved.push(moved);
    });
    assert!(told.contains(&format!("PaymentRow {{ id: {PAYMENT}")), "{told}");
}

#[test]
fn a_dead_letter_a_fault_that_never_struck_and_an_event_not_told_again_are_told() {
    assert!(after(|world| world.dead[0].1 = 2).contains("2 in order.payment_outcomes.dead"));
    let told = after(|world| world.done.times.retain(|kind, _| *kind != Kind::BrokerKilled));
    assert!(told.contains("RabbitMQ killed, and a service with it: never"), "{told}");
    assert!(after(|world| world.done.unmarked.push(PAID)).contains(&format!("event {PAID} came 1 times")));
}

#[test]
fn a_rolling_update_that_a_client_noticed_or_that_left_something_out_is_told() {
    let told = after_rolling(|world| world.told.repeats = [("GATEWAY_UNREACHABLE".into(), 1)].into());
    assert_eq!(told, "GATEWAY_UNREACHABLE: 1 times");
    assert_eq!(after_rolling(|world| drop(world.done.replaced.pop())), "of 9 processes 8 were replaced");
    assert_eq!(after_rolling(|world| world.done.times.clear()), "RabbitMQ was not restarted");
}
