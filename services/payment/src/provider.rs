//! The payment provider, the outside world that moves the money.
//!
//! Each call carries the id of an attempt, which is the provider's idempotency key: however often a call is repeated,
//! it happens once, and answers the same.

pub mod sandbox;

use futures::future::BoxFuture;
use money::Money;

use crate::payment::AttemptId;

/// What became of an attempt. It is final.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// The money moved.
    Succeeded {
        /// The provider's id of what it did.
        transaction_id: String,
        /// How it was paid, such as "visa"; empty for a refund.
        method: String,
    },
    /// It did not, and will not.
    Declined {
        /// The provider's reason, such as "card_declined".
        reason: String,
    },
}

/// The provider gave no result: what became of the attempt is not known.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Undecided {
    /// No answer in time.
    #[error("the payment provider took too long; the result will show on the payment in a moment")]
    TimedOut,
    /// The call failed on its way.
    #[error("the payment provider can't be reached; the result will show on the payment in a moment")]
    Unreachable,
}

/// A payment provider.
pub trait Provider: Send + Sync + 'static {
    /// Whether `token` can be a payment method's token at this provider. It asks nobody.
    fn accepts(&self, token: &str) -> bool;

    /// Takes `amount` by the payment method behind `token`.
    fn charge<'a>(
        &'a self,
        attempt: AttemptId,
        token: &'a str,
        amount: Money,
    ) -> BoxFuture<'a, Result<Outcome, Undecided>>;

    /// Gives `amount` of the charge `transaction_id` back.
    fn refund<'a>(
        &'a self,
        attempt: AttemptId,
        transaction_id: &'a str,
        amount: Money,
    ) -> BoxFuture<'a, Result<Outcome, Undecided>>;

    /// The final word on a charge whose call was not answered. A charge that the provider does not know is declined
    /// here and now as `abandoned`: its call, should it still be on its way, takes nothing when it arrives. Merely
    /// looking a charge up could not tell one that never happened from one that happens in a moment.
    fn settle(&self, attempt: AttemptId) -> BoxFuture<'_, Result<Outcome, Undecided>>;
}
