//! Transactions: ended before anybody hears of them, and run again as a whole where the database asks for it.

use std::{
    error::Error,
    ops::{Deref, DerefMut},
    time::Duration,
};

use sqlx::{AssertSqlSafe, Executor, PgConnection};
use tokio::time::sleep;

use super::pool::{Lease, Pool};
use crate::grpc::time_left;

/// How often a transaction is run again at most.
const RERUNS: u32 = 3;
/// The pause before the first rerun, at least; it doubles with each, and chance adds up to as much again.
const PAUSE: Duration = Duration::from_millis(10);
/// How much longer than its call a statement may run: whoever waits for it ends it first, and this is the net.
const LONGER: Duration = Duration::from_millis(100);

/// A transaction. Dropping it undoes it, and costs its connection: whoever waited for it is gone, and its locks shall be
/// too.
pub struct Transaction {
    lease: Lease,
    open: bool,
}

impl Pool {
    /// Begins a transaction. Its statements may not run longer than the call in whose name this is, by the database's own
    /// clock too: the setting travels with BEGIN, in one exchange.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn begin(&self) -> Result<Transaction, sqlx::Error> {
        let mut transaction = Transaction { lease: self.acquire().await?, open: true };
        let begin = match time_left() {
            Some(left) => {
                format!("BEGIN; SET LOCAL statement_timeout = {}", (left + LONGER).as_millis())
            }
            None => "BEGIN".to_owned(),
        };
        transaction.execute(AssertSqlSafe(begin)).await?;
        Ok(transaction)
    }
}

impl Transaction {
    /// Makes it last.
    ///
    /// # Errors
    /// When the database fails; then it did not happen, or ([`super::is_away`]) nobody knows.
    pub async fn commit(mut self) -> Result<(), sqlx::Error> {
        self.execute("COMMIT").await?;
        self.open = false;
        Ok(())
    }

    /// Undoes it. The database does so by itself where the connection is lost.
    pub async fn rollback(mut self) {
        match self.execute("ROLLBACK").await {
            Ok(_) => self.open = false,
            Err(lost) => tracing::debug!(error = %lost, "a transaction ended with its connection"),
        }
    }
}

impl Deref for Transaction {
    type Target = PgConnection;

    fn deref(&self) -> &PgConnection {
        &self.lease
    }
}

impl DerefMut for Transaction {
    fn deref_mut(&mut self) -> &mut PgConnection {
        &mut self.lease
    }
}

impl Drop for Transaction {
    fn drop(&mut self) {
        if self.open {
            self.lease.cut();
        }
    }
}

/// The runs of a transaction, for [`in_transaction!`](crate::in_transaction).
pub struct Runs<'a> {
    pool: &'a Pool,
    left: u32,
}

impl<'a> Runs<'a> {
    /// Those of a transaction on this database.
    pub fn on(pool: &'a Pool) -> Self {
        Self { pool, left: RERUNS }
    }

    /// Begins the next.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn begin(&self) -> Result<Transaction, sqlx::Error> {
        self.pool.begin().await
    }

    /// Ends the run in which `outcome` came about: commits what is good, and takes back what is not. A transaction that is
    /// merely dropped keeps its locks for a moment, and a client that comes again at once would be told that its own
    /// idempotency key is in use. `None` when it is to be run again.
    pub async fn end<T, E>(&mut self, transaction: Transaction, outcome: Result<T, E>) -> Option<Result<T, E>>
    where
        E: From<sqlx::Error> + Error + 'static,
    {
        let ended = match outcome {
            Ok(done) => transaction.commit().await.map(|()| done).map_err(E::from),
            Err(refused) => {
                transaction.rollback().await;
                Err(refused)
            }
        };
        let failure = ended.as_ref().err().and_then(|error| failure(error));
        if self.is_next(failure).await { None } else { Some(ended) }
    }

    /// Whether it is run once more after it failed like this; waits as long as it has to until then.
    async fn is_next(&mut self, failure: Option<Failure>) -> bool {
        let Some(failure) = failure.filter(|_| self.left > 0) else { return false };
        let pause = PAUSE * 2_u32.pow(RERUNS - self.left);
        // Those who met go on at different times.
        let pause = pause.mul_f64(rand::random_range(1.0..=2.0));
        if time_left().is_some_and(|left| left <= pause) {
            return false;
        }
        self.left -= 1;
        self.pool.measured().rerun(failure == Failure::Deadlock);
        sleep(pause).await;
        true
    }
}

/// Why a database asks for another run
/// (<https://www.postgresql.org/docs/current/mvcc-serialization-failure-handling.html>).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Failure {
    Serialization,
    Deadlock,
}

/// The failure behind an error, if it is one that another run may not meet.
pub(super) fn failure(error: &(dyn Error + 'static)) -> Option<Failure> {
    let mut causes = std::iter::successors(Some(error), |cause| (*cause).source());
    let error = causes.find_map(|cause| cause.downcast_ref::<sqlx::Error>())?;
    match error.as_database_error()?.code().as_deref() {
        Some("40001") => Some(Failure::Serialization),
        Some("40P01") => Some(Failure::Deadlock),
        _ => None,
    }
}

/// Does a use case in a transaction, of which nothing is left when it fails, and does it again, whole, where the database
/// asks for that: `in_transaction!(pool, |tx| place_in_tx(tx, &order).await)`. The work is an expression that may await and
/// use `?`; it may run several times, so it takes nothing away from around it.
///
/// Gives what the work gave. Its error has to be made of [`sqlx::Error`], and to have it as its source.
#[macro_export]
macro_rules! in_transaction {
    ($pool:expr, |$tx:ident| $work:expr) => {{
        let mut runs = $crate::postgres::Runs::on(&$pool);
        loop {
            let mut transaction = match runs.begin().await {
                Ok(transaction) => transaction,
                Err(error) => break Err(error.into()),
            };
            let outcome = async {
                let $tx = &mut *transaction;
                $work
            }
            .await;
            if let Some(ended) = runs.end(transaction, outcome).await {
                break ended;
            }
        }
    }};
}
