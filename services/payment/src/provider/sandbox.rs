//! The sandbox: a provider that moves no money and answers by the token.
//!
//! | token | answer |
//! |---|---|
//! | `tok_visa`, `tok_mastercard` | succeeds; the method is `visa`, `mastercard` |
//! | `tok_declined` | declined, `card_declined` |
//! | `tok_insufficient_funds` | declined, `insufficient_funds` |
//! | `tok_expired_card` | declined, `expired_card` |
//! | `tok_timeout` | takes the money, but does not answer; the client gets `PAYMENT_UNDECIDED`, and the recoverer learns that it succeeded |
//! | `tok_timeout_declined` | declines as `card_declined`, but does not answer |
//! | `tok_unavailable` | can't be reached, and takes nothing; the client gets `PAYMENT_PROVIDER_UNAVAILABLE`, and the recoverer declines it as `abandoned` |
//! | `tok_refund_declined` | succeeds as a visa; each refund of it is declined, `refund_declined` |
//! | `tok_refund_timeout` | succeeds as a visa; the first call of each refund of it gives the money back, but does not answer |
//! | any other | `TOKEN_UNKNOWN` |
//!
//! It remembers what it did across restarts, as a real provider does, in a ledger of its own.

mod ledger;

use futures::{FutureExt, future::BoxFuture};
use money::Money;
use sqlx::PgPool;

use self::ledger::{Charge, Charged};
use super::{Outcome, Provider, Undecided};
use crate::payment::AttemptId;

/// What a token makes of a charge.
struct Token {
    text: &'static str,
    answers: bool,
    charge: Charge,
}

const fn succeeds(text: &'static str, method: &'static str) -> Token {
    Token { text, answers: true, charge: Charge::Succeeds { method } }
}

const fn declines(text: &'static str, reason: &'static str) -> Token {
    Token { text, answers: true, charge: Charge::Declines { reason } }
}

const UNAVAILABLE: &str = "tok_unavailable";
const REFUND_DECLINED: &str = "tok_refund_declined";
const REFUND_TIMEOUT: &str = "tok_refund_timeout";

const TOKENS: [Token; 9] = [
    succeeds("tok_visa", "visa"),
    succeeds("tok_mastercard", "mastercard"),
    succeeds(REFUND_DECLINED, "visa"),
    succeeds(REFUND_TIMEOUT, "visa"),
    declines("tok_declined", "card_declined"),
    declines("tok_insufficient_funds", "insufficient_funds"),
    declines("tok_expired_card", "expired_card"),
    Token { answers: false, ..succeeds("tok_timeout", "visa") },
    Token { answers: false, ..declines("tok_timeout_declined", "card_declined") },
];

/// The sandbox provider. Clones share its ledger.
#[derive(Clone, Debug)]
pub struct Sandbox {
    ledger: PgPool,
}

impl Sandbox {
    /// A sandbox that keeps its ledger in this database.
    pub fn new(ledger: PgPool) -> Self {
        Self { ledger }
    }

    async fn take(&self, attempt: AttemptId, token: &str, amount: Money) -> Result<Outcome, Undecided> {
        let Some(token) = TOKENS.iter().find(|known| known.text == token) else {
            // tok_unavailable, and nothing else: other tokens are not accepted.
            return Err(Undecided::Unreachable);
        };
        let charged = ledger::charge(&self.ledger, attempt, token.text, amount, &token.charge).await;
        let outcome = charged.map(Charged::outcome).map_err(unreachable)?;
        answer(outcome, token.answers).await
    }

    async fn give_back(
        &self,
        attempt: AttemptId,
        transaction: &str,
        amount: Money,
    ) -> Result<Outcome, Undecided> {
        let refund = ledger::refund(&self.ledger, attempt, transaction, amount).await.map_err(unreachable)?;
        let answers = !(refund.is_new && refund.token.as_deref() == Some(REFUND_TIMEOUT));
        answer(refund.outcome, answers).await
    }
}

/// Answers, or does not until the caller gives up.
async fn answer(outcome: Outcome, answers: bool) -> Result<Outcome, Undecided> {
    if answers { Ok(outcome) } else { std::future::pending().await }
}

/// A ledger that can't be reached is a provider that can't be.
fn unreachable(error: sqlx::Error) -> Undecided {
    tracing::warn!(%error, "the sandbox provider's ledger failed");
    Undecided::Unreachable
}

impl Provider for Sandbox {
    fn accepts(&self, token: &str) -> bool {
        token == UNAVAILABLE || TOKENS.iter().any(|known| known.text == token)
    }

    fn charge<'a>(
        &'a self,
        attempt: AttemptId,
        token: &'a str,
        amount: Money,
    ) -> BoxFuture<'a, Result<Outcome, Undecided>> {
        self.take(attempt, token, amount).boxed()
    }

    fn refund<'a>(
        &'a self,
        attempt: AttemptId,
        transaction_id: &'a str,
        amount: Money,
    ) -> BoxFuture<'a, Result<Outcome, Undecided>> {
        self.give_back(attempt, transaction_id, amount).boxed()
    }

    fn settle(&self, attempt: AttemptId) -> BoxFuture<'_, Result<Outcome, Undecided>> {
        async move { ledger::settle(&self.ledger, attempt).await.map(Charged::outcome).map_err(unreachable) }
            .boxed()
    }
}
