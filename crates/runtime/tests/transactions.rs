//! Transactions that the database asks to run again.

#![allow(clippy::unwrap_used, reason = "what a test could not set up has failed")]

use std::sync::atomic::{AtomicU32, Ordering};

use runtime::{in_transaction, postgres::Pool};
use sqlx::PgConnection;
use testkit::Database;
use tokio::sync::Barrier;

/// A database with two rows, and a pool to it.
async fn two_rows() -> (Database, Pool) {
    let database = Database::new("order").await;
    sqlx::raw_sql(
        "CREATE TABLE counters (id int PRIMARY KEY, n int); INSERT INTO counters VALUES (1, 0), (2, 0)",
    )
    .execute(database.pool())
    .await
    .unwrap();
    let pool = Pool::open(&database.url().into(), 4, "order").unwrap();
    (database, pool)
}

async fn add_in_tx(tx: &mut PgConnection, id: i32) -> sqlx::Result<()> {
    sqlx::query("UPDATE counters SET n = n + 1 WHERE id = $1").bind(id).execute(tx).await.map(drop)
}

async fn counters(database: &Database) -> Vec<i32> {
    sqlx::query_scalar("SELECT n FROM counters ORDER BY id").fetch_all(database.pool()).await.unwrap()
}

#[tokio::test]
async fn of_two_transactions_that_wait_for_each_other_one_runs_again_and_both_happen_once() {
    let (database, pool) = two_rows().await;
    let (both_hold_one, runs) = (Barrier::new(2), AtomicU32::new(0));
    let add_both = async |first: i32, second: i32| -> sqlx::Result<()> {
        in_transaction!(pool, |tx| {
            let run = runs.fetch_add(1, Ordering::Relaxed);
            add_in_tx(tx, first).await?;
            if run < 2 {
                both_hold_one.wait().await;
            }
            add_in_tx(tx, second).await
        })
    };
    let (one, other) = tokio::join!(add_both(1, 2), add_both(2, 1));
    one.unwrap();
    other.unwrap();
    assert_eq!(counters(&database).await, [2, 2]);
    assert_eq!(runs.load(Ordering::Relaxed), 3, "there was no deadlock");
}

#[tokio::test]
async fn a_transaction_that_fails_by_serialization_runs_again_whole() {
    let (database, pool) = two_rows().await;
    let mut runs = 0;
    let seen: sqlx::Result<i32> = in_transaction!(pool, |tx| {
        runs += 1;
        sqlx::query("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ").execute(&mut *tx).await?;
        let seen = sqlx::query_scalar("SELECT n FROM counters WHERE id = 1").fetch_one(&mut *tx).await?;
        if runs == 1 {
            // Somebody else changes it meanwhile.
            sqlx::query("UPDATE counters SET n = 40 WHERE id = 1").execute(database.pool()).await?;
        }
        add_in_tx(tx, 1).await?;
        Ok(seen)
    });
    assert_eq!((seen.unwrap(), runs), (40, 2));
    assert_eq!(counters(&database).await, [41, 0]);
}

#[tokio::test]
async fn a_transaction_runs_again_a_few_times_and_then_fails() {
    let (database, pool) = two_rows().await;
    let mut runs = 0;
    let failed: sqlx::Result<()> = in_transaction!(pool, |tx| {
        runs += 1;
        add_in_tx(tx, 2).await?;
        sqlx::query("DO $$ BEGIN RAISE EXCEPTION 'no' USING ERRCODE = '40001'; END $$")
            .execute(tx)
            .await
            .map(drop)
    });
    assert!(failed.is_err());
    assert_eq!((runs, counters(&database).await), (4, vec![0, 0]));
}

#[tokio::test]
async fn a_transaction_that_is_refused_does_not_run_again_and_leaves_nothing() {
    let (database, pool) = two_rows().await;
    let mut runs = 0;
    let refused: sqlx::Result<()> = in_transaction!(pool, |tx| {
        runs += 1;
        add_in_tx(tx, 1).await?;
        Err(sqlx::Error::RowNotFound)
    });
    assert!(matches!(refused, Err(sqlx::Error::RowNotFound)));
    assert_eq!((runs, counters(&database).await), (1, vec![0, 0]));
}
