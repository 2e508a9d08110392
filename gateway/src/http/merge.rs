//! Queries whose answers are the same for everyone: those that are under way at the same time are executed once.
//!
//! The one run is nobody's: it carries no token and no address, so what comes of it can't hold what one of those who
//! wait may see and another may not. It ends with the last who waits and not with the first: whoever goes away ends
//! nothing for the others.

use std::{
    collections::HashMap,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
};

use async_graphql::{ServerError, Value, Variables};
use futures::{
    FutureExt,
    future::{BoxFuture, Shared, WeakShared},
};
use runtime::{Refusal, grpc::CallContext, trace::carried};
use tokio::time::Instant;
use tokio_util::task::AbortOnDropHandle;

use super::{
    Budget, Edge,
    document::Document,
    execute::{self, Answer},
    read::Inquiry,
    respond::Refused,
};
use crate::measure::MERGED;

/// Runs a query for public fields, or waits for the same one that is under way. The services find it by the id of the
/// request that began it.
pub(super) async fn run(
    edge: &Arc<Edge>,
    document: Arc<Document>,
    inquiry: Inquiry<'_>,
    request_id: &str,
    budget: Budget,
) -> Result<Answer, Refused> {
    let Inquiry { query, operation_name, variables, by_get, .. } = inquiry;
    let key = edge.merge.key(&query, operation_name.as_deref(), &variables, budget);
    let run = || {
        let operation_name = operation_name.map(|name| name.into_owned().into());
        let inquiry = Inquiry {
            query: "".into(),
            document_id: None,
            operation_name,
            variables,
            extensions: None,
            by_get,
        };
        let until = budget.calls_until(Instant::now());
        let context = CallContext::new(until).with_request_id(request_id);
        let edge = edge.clone();
        async move { execute::execute(&edge, &document, inquiry, None, context).await }
    };
    edge.merge.run(key, run).await
}

/// The runs that are under way.
#[derive(Default)]
pub(super) struct Merge {
    runs: Runs,
    /// How many runs were begun.
    begun: AtomicU64,
    /// How often something may have been changed through this process.
    changes: AtomicU64,
}

type Runs = Arc<Mutex<HashMap<Key, Entry>>>;
type Run = BoxFuture<'static, Result<Told, Refused>>;

struct Entry {
    number: u64,
    run: WeakShared<Run>,
}

/// What makes two queries the same, as bytes.
#[derive(Clone, PartialEq, Eq, Hash)]
pub(super) struct Key(Arc<[u8]>);

/// What comes of a run. The first who takes it has it to themselves when nobody else waits.
#[derive(Clone)]
struct Told {
    data: Value,
    errors: Vec<ServerError>,
}

impl Merge {
    /// Something is being changed until what this gives is dropped, however that ends: whoever asks after it must not be
    /// told what was read before.
    pub(super) fn change(&self) -> Change<'_> {
        Change(&self.changes)
    }

    /// The key of an operation of this text with these variables and this budget, asked now. Who gives a query less time
    /// waits for others that have as little: a run ends in time for all who wait for it.
    pub(super) fn key(
        &self,
        text: &str,
        operation_name: Option<&str>,
        variables: &Variables,
        budget: Budget,
    ) -> Key {
        let mut key = self.changes.load(Ordering::Relaxed).to_le_bytes().to_vec();
        key.extend_from_slice(&budget.whole().as_millis().to_le_bytes());
        for part in [Some(text), operation_name] {
            // A length before each part: no two queries may come to the same bytes.
            let length = part.map_or(u64::MAX, |part| part.len() as u64);
            key.extend_from_slice(&length.to_le_bytes());
            key.extend_from_slice(part.unwrap_or_default().as_bytes());
        }
        // Their names are in order, and they came as JSON: there is nothing in them that could not be written.
        serde_json::to_writer(&mut key, variables).ok();
        Key(key.into())
    }

    /// Waits for what the run under this key comes to, and begins it unless it is under way.
    pub(super) async fn run<F>(&self, key: Key, run: impl FnOnce() -> F) -> Result<Answer, Refused>
    where
        F: Future<Output = Result<Answer, Refused>> + Send + 'static,
    {
        let Told { data, errors } = self.join(key, run).await?;
        let mut answer = Answer::new(data);
        answer.errors = errors;
        Ok(answer)
    }

    fn join<F>(&self, key: Key, run: impl FnOnce() -> F) -> Shared<Run>
    where
        F: Future<Output = Result<Answer, Refused>> + Send + 'static,
    {
        let mut runs = lock(&self.runs);
        if let Some(run) = runs.get(&key).and_then(|entry| entry.run.upgrade()) {
            MERGED.count(true);
            return run;
        }
        MERGED.count(false);
        let number = self.begun.fetch_add(1, Ordering::Relaxed);
        let under_way = UnderWay { runs: self.runs.clone(), key: key.clone(), number };
        let shared = begin(run(), under_way).shared();
        if let Some(run) = shared.downgrade() {
            runs.insert(key, Entry { number, run });
        }
        shared
    }
}

/// A change that may have happened once this is dropped.
pub(super) struct Change<'a>(&'a AtomicU64);

impl Drop for Change<'_> {
    fn drop(&mut self) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }
}

/// A task of its own, so that only its end wakes those who wait. It ends with the last of them.
fn begin(run: impl Future<Output = Result<Answer, Refused>> + Send + 'static, under_way: UnderWay) -> Run {
    let run = async move {
        let _under_way = under_way;
        run.await.map(|answer| Told { data: answer.data, errors: answer.errors })
    };
    let task = AbortOnDropHandle::new(tokio::spawn(carried(run)));
    let ended = async { task.await.unwrap_or_else(|lost| Err(Refused::by_kind(Refusal::internal(lost)))) };
    ended.boxed()
}

/// A run that can be joined until this is dropped, whatever ends it.
struct UnderWay {
    runs: Runs,
    key: Key,
    number: u64,
}

impl Drop for UnderWay {
    fn drop(&mut self) {
        let mut runs = lock(&self.runs);
        // One that nobody waited for any more may have been followed by another already.
        if runs.get(&self.key).is_some_and(|entry| entry.number == self.number) {
            runs.remove(&self.key);
        }
    }
}

fn lock(runs: &Mutex<HashMap<Key, Entry>>) -> MutexGuard<'_, HashMap<Key, Entry>> {
    runs.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use std::{future::pending, sync::atomic::AtomicUsize, time::Duration};

    use axum::http::HeaderMap;
    use futures::{future::join_all, poll};
    use tokio::task::yield_now;

    use super::*;

    fn key(merge: &Merge, text: &str) -> Key {
        merge.key(text, None, &Variables::default(), budget(1000))
    }

    fn budget(milliseconds: u64) -> Budget {
        Budget::of(&HeaderMap::new(), Duration::from_millis(milliseconds)).unwrap()
    }

    async fn seven() -> Result<Answer, Refused> {
        yield_now().await;
        Ok(Answer::new(7))
    }

    #[tokio::test]
    async fn a_hundred_at_once_are_one_run_and_the_next_is_another() {
        let (merge, runs) = (Merge::default(), AtomicUsize::new(0));
        for round in 1..=2 {
            let ask = || {
                merge.run(key(&merge, "{ a }"), || {
                    runs.fetch_add(1, Ordering::Relaxed);
                    seven()
                })
            };
            let answers = join_all((0..100).map(|_| ask())).await;
            assert!(
                answers.into_iter().all(|answer| answer.is_ok_and(|answer| answer.data == Value::from(7)))
            );
            assert_eq!(runs.load(Ordering::Relaxed), round);
            assert!(lock(&merge.runs).is_empty());
        }
    }

    /// Tells when it is dropped.
    struct Dropped(Arc<AtomicUsize>);

    impl Drop for Dropped {
        fn drop(&mut self) {
            self.0.fetch_add(1, Ordering::Relaxed);
        }
    }

    #[tokio::test]
    async fn a_run_ends_with_the_last_who_waits_and_not_with_the_first() {
        let (merge, ended) = (Merge::default(), Arc::new(AtomicUsize::new(0)));
        let endless = || {
            let ended = Dropped(ended.clone());
            async move {
                pending::<()>().await;
                drop(ended);
                seven().await
            }
        };
        let mut first = Box::pin(merge.run(key(&merge, "{ a }"), endless));
        let mut second = Box::pin(merge.run(key(&merge, "{ a }"), seven));
        assert!(poll!(&mut first).is_pending() && poll!(&mut second).is_pending());
        drop(first);
        for _ in 0..10 {
            yield_now().await;
        }
        assert_eq!((ended.load(Ordering::Relaxed), lock(&merge.runs).len()), (0, 1));
        assert!(poll!(&mut second).is_pending(), "it had begun its own run");
        drop(second);
        // Before the one that nobody waits for is gone, the next must not join it.
        let third = merge.run(key(&merge, "{ a }"), seven).await;
        assert!(third.is_ok());
        assert_eq!((ended.load(Ordering::Relaxed), lock(&merge.runs).len()), (1, 0));
    }

    #[tokio::test]
    async fn what_breaks_a_run_reaches_all_who_wait() {
        let merge = Merge::default();
        async fn broken() -> Result<Answer, Refused> {
            panic!("broken on purpose");
        }
        let refused = join_all((0..3).map(|_| merge.run(key(&merge, "{ a }"), broken))).await;
        assert!(refused.iter().all(Result::is_err));
        assert!(lock(&merge.runs).is_empty());
        assert!(merge.run(key(&merge, "{ a }"), seven).await.is_ok());
    }

    #[test]
    fn what_differs_in_anything_has_another_key_and_so_has_what_is_asked_after_a_change() {
        let merge = Merge::default();
        let variables = |json: &str| serde_json::from_str::<Variables>(json).unwrap();
        let keys = |merge: &Merge| {
            [
                merge.key("{ a }", None, &variables("{}"), budget(1000)),
                merge.key("{ a  }", None, &variables("{}"), budget(1000)),
                merge.key("{ a }", None, &variables("{}"), budget(999)),
                merge.key("{ a }", Some(""), &variables("{}"), budget(1000)),
                merge.key("{ a }", Some("A"), &variables("{}"), budget(1000)),
                merge.key("{ a }", None, &variables(r#"{"a":1}"#), budget(1000)),
                merge.key("{ a }", None, &variables(r#"{"a":"1"}"#), budget(1000)),
                merge.key("{ a }", None, &variables(r#"{"a":1,"b":2}"#), budget(1000)),
            ]
        };
        let before = keys(&merge);
        for (n, key) in before.iter().enumerate() {
            assert!(before[..n].iter().all(|other| other != key), "{n}");
        }
        assert!(keys(&merge) == before);
        assert!(merge.key("{ a }", None, &variables(r#"{"b":2,"a":1}"#), budget(1000)) == before[7]);
        drop(merge.change());
        assert!(keys(&merge).iter().zip(&before).all(|(after, before)| after != before));
    }
}
