//! Each kind of break is seen, and what breaks nobody is let through.

use super::*;
use crate::catalogue::shape::{self, Field, Kind, Object};

/// Whether a change to `order.status_changed` breaks somebody, and how that is told.
fn broken_by(change: impl FnOnce(&mut Vec<Field>)) -> Vec<String> {
    broken_by_events(|events| change(&mut event(events, "order.status_changed").data.fields))
}

fn broken_by_events(change: impl FnOnce(&mut Vec<Event>)) -> Vec<String> {
    let mut events = shape::events().unwrap();
    let before = Contract::of(&events);
    change(&mut events);
    before.broken_by(&Contract::of(&events)).iter().map(ToString::to_string).collect()
}

fn event<'a>(events: &'a mut [Event], name: &str) -> &'a mut Event {
    events.iter_mut().find(|event| event.name == name).unwrap()
}

fn field<'a>(fields: &'a mut [Field], name: &str) -> &'a mut Field {
    fields.iter_mut().find(|field| field.name == name).unwrap()
}

fn words(of: &mut Field) -> &mut Vec<(String, String)> {
    match &mut of.kind {
        Kind::Choice(words) => words,
        other => panic!("{other:?}"),
    }
}

#[test]
fn an_event_that_goes_away_breaks_its_subscribers_and_is_told_once() {
    let broken = broken_by_events(|events| events.retain(|event| event.name != "order.deleted"));
    assert_eq!(broken, ["order.deleted is gone or has another name"]);
}

#[test]
fn an_event_that_is_renamed_breaks_its_subscribers() {
    let broken =
        broken_by_events(|events| event(events, "payment.success").name = "payment.succeeded".into());
    assert_eq!(broken, ["payment.success is gone or has another name"]);
}

#[test]
fn an_event_of_another_type_source_or_subject_breaks_its_subscribers() {
    let broken = broken_by_events(|events| {
        let event = event(events, "order.created");
        event.kind = "portico.order.created.v2".into();
        event.source = "orders".into();
        event.subject = "user".into();
    });
    // Other events are said by `order` too, so the envelope still knows it.
    let told = [
        "order.created: (source) was order, and would be orders",
        "order.created: (subject) was order, and would be user",
        "order.created: (type) was portico.order.created.v1, and would be portico.order.created.v2",
    ];
    assert_eq!(broken, told);
}

#[test]
fn a_field_that_goes_away_breaks_subscribers() {
    let broken = broken_by(|fields| fields.retain(|field| field.name != "userId"));
    assert_eq!(broken, ["order.status_changed: userId is gone or has another name"]);
}

#[test]
fn a_field_that_is_renamed_breaks_subscribers() {
    let broken = broken_by(|fields| field(fields, "userId").name = "buyerId".into());
    assert_eq!(broken, ["order.status_changed: userId is gone or has another name"]);
}

#[test]
fn a_field_that_becomes_something_else_breaks_subscribers() {
    for kind in [Kind::Int32, Kind::Text(None), Kind::List(Kind::Text(Some("uuid".into())).into())] {
        let broken = broken_by(|fields| field(fields, "orderId").kind = kind);
        let told = &broken[0];
        assert!(
            told.starts_with("order.status_changed: orderId was text:uuid always, and would be "),
            "{told}"
        );
    }
}

#[test]
fn a_number_that_is_sent_as_a_number_instead_of_text_breaks_subscribers() {
    let broken = broken_by_events(|events| {
        let total = field(&mut event(events, "order.created").data.fields, "total");
        let Kind::Object(Object { fields, .. }) = &mut total.kind else { panic!("{total:?}") };
        field(fields, "minorUnits").kind = Kind::Int32;
    });
    assert_eq!(
        broken,
        ["order.created: total.minorUnits was int64-as-text always, and would be int32 always"]
    );
}

#[test]
fn a_field_of_what_is_in_a_list_is_held_too() {
    let broken = broken_by_events(|events| {
        let items = field(&mut event(events, "order.created").data.fields, "items");
        let Kind::List(item) = &mut items.kind else { panic!("{items:?}") };
        let Kind::Object(Object { fields, .. }) = &mut **item else { panic!("{item:?}") };
        fields.retain(|field| field.name != "quantity");
    });
    assert_eq!(broken, ["order.created: items[].quantity is gone or has another name"]);
}

#[test]
fn a_field_that_is_no_longer_always_sent_breaks_subscribers() {
    let broken = broken_by(|fields| field(fields, "userId").always = false);
    assert_eq!(
        broken,
        ["order.status_changed: userId was text:uuid always, and would be text:uuid sometimes"]
    );
}

#[test]
fn a_word_that_goes_away_breaks_subscribers() {
    let broken =
        broken_by(|fields| words(field(fields, "to")).retain(|(word, _)| word != "ORDER_STATUS_SHIPPED"));
    assert_eq!(broken, ["order.status_changed: to can no longer be ORDER_STATUS_SHIPPED"]);
}

#[test]
fn what_is_added_breaks_nobody() {
    let broken = broken_by_events(|events| {
        let mut shipped = event(events, "order.deleted").clone();
        shipped.name = "order.shipped".into();
        events.push(shipped);
    });
    assert_eq!(broken, [""; 0], "an event");
    let broken = broken_by(|fields| {
        let more = Field { name: "more".into(), always: false, ..fields[0].clone() };
        fields.push(more);
    });
    assert_eq!(broken, [""; 0], "a field");
    let broken = broken_by(|fields| words(field(fields, "to")).push(("RETURNED".into(), String::new())));
    assert_eq!(broken, [""; 0], "a word");
}

#[test]
fn another_order_or_description_or_more_than_was_promised_breaks_nobody() {
    let broken = broken_by(|fields| {
        fields.reverse();
        field(fields, "from").description = "Before.".into();
    });
    assert_eq!(broken, [""; 0]);
    let sometimes: Contract = "order.created  notes  text sometimes".parse().unwrap();
    let always: Contract = "order.created  notes  text always".parse().unwrap();
    let uuid: Contract = "order.created  notes  text:uuid always".parse().unwrap();
    assert_eq!((sometimes.broken_by(&always), always.broken_by(&uuid)), (vec![], vec![]));
}

#[test]
fn the_advice_names_the_break_and_the_way_out() {
    let advice = advice(&[Break::FieldGone("order.created".into(), "total".into())]);
    assert!(
        advice.contains("order.created: total is gone") && advice.contains("order.created_v2"),
        "{advice}"
    );
}

#[test]
fn a_contract_is_read_as_it_is_written() {
    let contract = Contract::of(&shape::events().unwrap());
    assert_eq!(contract.to_string().parse::<Contract>().unwrap(), contract);
    assert!("order.created".parse::<Contract>().is_err());
}
