use chrono::TimeDelta;
use proptest::prelude::*;

use super::*;

fn pending(minor_units: i64) -> Payment {
    let now = DateTime::UNIX_EPOCH;
    Payment {
        id: PaymentId(Uuid::now_v7()),
        order_id: OrderId(Uuid::now_v7()),
        user_id: UserId(Uuid::now_v7()),
        amount: Money::new(minor_units, Currency::USD),
        refunded: 0,
        reserved: 0,
        status: Status::Pending,
        method: None,
        transaction_id: None,
        failure_reason: None,
        paid_at: None,
        window_ends_at: now + TimeDelta::minutes(30),
        charging: None,
        order_cancelled: false,
        version: 1,
        created_at: now,
        updated_at: now,
    }
}

fn paid(minor_units: i64) -> Payment {
    let mut payment = pending(minor_units);
    payment.begin_charge(AttemptId(Uuid::now_v7()), payment.created_at).unwrap();
    payment.charged("ch_1", "visa", payment.created_at);
    payment
}

#[test]
fn a_payment_is_charged_once_and_only_inside_its_window() {
    let mut payment = pending(100);
    let attempt = AttemptId(Uuid::now_v7());
    assert!(matches!(payment.begin_charge(attempt, payment.window_ends_at), Err(Error::WindowOver)));
    payment.begin_charge(attempt, payment.created_at).unwrap();
    assert!(matches!(payment.begin_charge(attempt, payment.created_at), Err(Error::InProgress)));
    payment.declined("card_declined", payment.created_at);
    assert_eq!((payment.status, payment.failure_reason.as_deref()), (Status::Pending, Some("card_declined")));
    payment.begin_charge(attempt, payment.created_at).unwrap();
    payment.charged("ch_1", "visa", payment.created_at);
    assert_eq!((payment.status, payment.failure_reason.as_deref()), (Status::Succeeded, None));
    assert!(matches!(payment.begin_charge(attempt, payment.created_at), Err(Error::AlreadyPaid)));
}

#[test]
fn a_cancel_waits_for_the_charge_under_way_and_gives_back_what_it_took() {
    let mut payment = pending(100);
    payment.begin_charge(AttemptId(Uuid::now_v7()), payment.created_at).unwrap();
    payment.order_cancelled = true;
    assert_eq!(payment.after_cancel(), AfterCancel::Nothing);
    let mut declined = payment.clone();
    declined.declined("card_declined", payment.created_at);
    assert_eq!(declined.after_cancel(), AfterCancel::Cancel);
    payment.charged("ch_1", "visa", payment.created_at);
    assert_eq!(payment.after_cancel(), AfterCancel::Refund(100));
}

#[test]
fn a_payment_that_was_not_paid_or_cost_nothing_gives_nothing_back() {
    assert!(matches!(pending(100).begin_refund(1), Err(Error::NotRefundable)));
    assert!(matches!(paid(0).begin_refund(0), Err(Error::NotRefundable)));
    let mut cancelled = pending(100);
    cancelled.cancelled(cancelled.created_at);
    assert!(matches!(cancelled.begin_refund(1), Err(Error::NotRefundable)));
}

proptest! {
    /// Whatever refunds are begun and however they end, what went back and what is under way stay within the amount.
    #[test]
    fn refunds_never_add_up_to_more_than_was_paid(
        amount in 1..i64::MAX,
        steps in prop::collection::vec((any::<i64>(), any::<bool>(), any::<bool>()), 0..20),
    ) {
        let mut payment = paid(amount);
        let mut under_way = vec![];
        for (wanted, ends, succeeds) in steps {
            let wanted = if wanted % 2 == 0 { payment.left() } else { wanted };
            if payment.begin_refund(wanted).is_ok() {
                under_way.push(wanted);
            }
            if let Some(refund) = under_way.pop().filter(|_| ends) {
                if succeeds {
                    payment.refunded(refund, payment.created_at);
                } else {
                    payment.refund_declined(refund, "declined", payment.created_at);
                }
            }
            prop_assert!(payment.refunded >= 0 && payment.reserved >= 0 && payment.left() >= 0);
            prop_assert_eq!(payment.status == Status::Refunded, payment.refunded == amount);
        }
    }
}
