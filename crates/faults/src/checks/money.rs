//! Money: what the payments say, what their events say, and what the provider did.

use std::collections::HashMap;

use uuid::Uuid;

use super::Facts;
use crate::ledger::{AttemptRow, MovedRow};

/// Where a payment ends, and how often each of these was told of it then.
const TOLD: [(&str, [usize; 3]); 4] =
    [("PENDING", [0, 0, 0]), ("SUCCEEDED", [1, 0, 0]), ("REFUNDED", [1, 1, 0]), ("CANCELLED", [0, 0, 1])];

pub(super) fn is_told_once(facts: &Facts<'_>) -> Vec<String> {
    let names = ["payment.success", "payment.refunded", "payment.cancelled"];
    let counts = names.map(|name| facts.ledger.count_by_subject(name));
    let declined = facts.ledger.count_by_subject("payment.failed");
    let mut failed: HashMap<Uuid, usize> = HashMap::new();
    for attempt in
        facts.ledger.attempts.values().filter(|one| (&*one.kind, &*one.status) == ("CHARGE", "FAILED"))
    {
        *failed.entry(attempt.payment_id).or_default() += 1;
    }
    let mut broken = Vec::new();
    for payment in &facts.ledger.payments {
        let told = counts.each_ref().map(|count| count.get(&payment.id).copied().unwrap_or(0));
        let wanted = TOLD.iter().find(|(status, _)| *status == payment.status).map(|(_, wanted)| *wanted);
        if wanted != Some(told) {
            let (id, status) = (payment.id, &payment.status);
            broken.push(format!("payment {id} is {status}, and was told as {names:?} {told:?} times"));
        }
        if declined.get(&payment.id) != failed.get(&payment.id) {
            let (told, were) = (declined.get(&payment.id), failed.get(&payment.id));
            broken.push(format!("payment {}: {were:?} charges failed, {told:?} were told", payment.id));
        }
    }
    broken
}

pub(super) fn moved_once(facts: &Facts<'_>) -> Vec<String> {
    let mut broken = Vec::new();
    let mut by_payment: HashMap<Uuid, Vec<&MovedRow>> = HashMap::new();
    for moved in &facts.ledger.moved {
        match facts.ledger.attempts.get(&moved.key) {
            Some(attempt) if is_of(moved, attempt) => {
                by_payment.entry(attempt.payment_id).or_default().push(moved);
            }
            attempt => broken.push(format!("the provider did {moved:?}, and the attempt is {attempt:?}")),
        }
    }
    for payment in &facts.ledger.payments {
        let moved = by_payment.remove(&payment.id).unwrap_or_default();
        let all = |kind: &str| {
            moved.iter().filter(|one| one.kind == kind).map(|one| one.amount).collect::<Vec<_>>()
        };
        let paid = matches!(payment.status.as_str(), "SUCCEEDED" | "REFUNDED");
        let given_back = payment.status == "REFUNDED";
        let wanted = |is: bool| if is { vec![payment.amount] } else { vec![] };
        let same = moved.iter().all(|one| Some(&one.transaction_id) == payment.transaction_id.as_ref());
        let refunded = if given_back { payment.amount } else { 0 };
        let right = all("CHARGE") == wanted(paid) && all("REFUND") == wanted(given_back);
        if !right || !same || payment.refunded != refunded {
            broken.push(format!("{payment:?}, and the provider did {moved:?}"));
        }
    }
    broken
}

fn is_of(moved: &MovedRow, attempt: &AttemptRow) -> bool {
    (moved.kind.as_str(), "SUCCEEDED") == (attempt.kind.as_str(), attempt.status.as_str())
}
