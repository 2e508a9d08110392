//! Loading by key, many at once: what one level of a query asks for travels in one call.
//!
//! The loaders live as long as one request. They batch by yielding, so a request alone waits for nobody, and the number
//! of calls follows from the shape of the query, not from the number of rows.

use std::{
    collections::HashMap,
    fmt::Debug,
    future::Future,
    hash::Hash,
    marker::PhantomData,
    sync::{Arc, OnceLock},
    time::Instant,
};

use dataloader::{BatchFn, cached};
use futures::future::{BoxFuture, join_all};
use runtime::{Refusal, grpc as calls, page::MAX_BATCH};

use crate::{clients::Calls, measure};

/// How often a key yields before it is fetched. All fields of a level ask for theirs in one turn of the request's task,
/// so one is enough, and each polls the whole request again. It is enough because the request runs without tokio's budget
/// for a turn (see `http::execute`), which would cut a level of more than a hundred keys into several turns.
const YIELDS: usize = 1;

/// What a source answers: values with their keys, in any order.
pub(super) type Fetched<S> = Result<Vec<(<S as Source>::Key, <S as Source>::Value)>, Refusal>;

/// Where the values of a loader come from.
pub(super) trait Source: Sized + Send + Sync + 'static {
    /// As it is counted: what it fetches, and by what.
    const NAME: &'static str;
    /// The edge, as type and field, whose rows each ask it by a key of their own, and that it therefore measures.
    const EDGE: Option<(&'static str, &'static str)> = None;

    /// By what they are asked for.
    type Key: Clone + Debug + Eq + Hash + Send + Sync + 'static;
    /// What they are.
    type Value: Send + Sync + 'static;

    /// Fetches the values of up to [`MAX_BATCH`] keys; those that are not there are left out.
    fn fetch(calls: &Calls, keys: &[Self::Key]) -> impl Future<Output = Fetched<Self>> + Send;
}

/// What a key led to. The loader hands out copies, so both halves are shared.
pub(super) type Outcome<V> = Result<Option<Arc<V>>, Arc<Refusal>>;

type Cached<S> = cached::Loader<<S as Source>::Key, Outcome<<S as Source>::Value>, Batch<S>>;

/// Loads values of one kind for one request, each at most once.
pub(super) struct Loader<S: Source> {
    /// Made when it is first used: most requests use one or two of all loaders.
    cached: OnceLock<Cached<S>>,
}

impl<S: Source> Default for Loader<S> {
    fn default() -> Self {
        Self { cached: OnceLock::new() }
    }
}

impl<S: Source> Loader<S> {
    /// The value of `key`; `None` when there is none for this viewer.
    ///
    /// Boxed: the future of every field of a type is as large as that of its largest field, and those of the many
    /// fields that load nothing shall be small.
    pub(super) fn load<'a>(
        &'a self,
        calls: &'a Arc<Calls>,
        key: S::Key,
    ) -> BoxFuture<'a, Result<Option<Arc<S::Value>>, Refusal>> {
        Box::pin(self.load_unboxed(calls, key))
    }

    async fn load_unboxed(&self, calls: &Arc<Calls>, key: S::Key) -> Result<Option<Arc<S::Value>>, Refusal> {
        let loader = self.cached(calls);
        let outcome = match loader.try_load(key.clone()).await {
            Ok(outcome) => outcome,
            // Another field was about to fetch for this one too and was dropped on the way: ask again.
            Err(_) => loader.try_load(key).await.map_err(Refusal::internal)?,
        };
        outcome.map_err(|refusal| Refusal::clone(&refusal))
    }

    /// What each of these keys leads to, all of them asked for at once.
    pub(super) async fn load_many(
        &self,
        calls: &Arc<Calls>,
        keys: impl Iterator<Item = S::Key>,
    ) -> Result<Outcomes<S>, Refusal> {
        let mut keys: Vec<_> = keys.collect();
        keys.dedup();
        if keys.is_empty() {
            return Ok(Outcomes::<S>::new());
        }
        let loader = self.cached(calls);
        match loader.try_load_many(keys.clone()).await {
            Ok(outcomes) => Ok(outcomes),
            // As in `load_unboxed`.
            Err(_) => loader.try_load_many(keys).await.map_err(Refusal::internal),
        }
    }

    fn cached(&self, calls: &Arc<Calls>) -> &Cached<S> {
        self.cached.get_or_init(|| {
            // The keys are cut into calls in `Batch`: the crate would send each full batch before it looks at the next.
            cached::Loader::new(Batch { calls: calls.clone(), source: PhantomData })
                .with_max_batch_size(usize::MAX)
                .with_yield_count(YIELDS)
        })
    }

    /// Forgets all values.
    pub(super) async fn clear(&self) {
        if let Some(loader) = self.cached.get() {
            loader.clear_all().await;
        }
    }
}

/// Fetches what was asked for meanwhile.
struct Batch<S> {
    calls: Arc<Calls>,
    source: PhantomData<fn() -> S>,
}

/// What keys led to.
pub(super) type Outcomes<S> = HashMap<<S as Source>::Key, Outcome<<S as Source>::Value>>;

impl<S: Source> BatchFn<S::Key, Outcome<S::Value>> for Batch<S> {
    async fn load(&mut self, keys: &[S::Key]) -> Outcomes<S> {
        let started = Instant::now();
        let parts = join_all(keys.chunks(MAX_BATCH).map(|keys| self.fetch(keys.to_vec()))).await;
        if let Some((of, field)) = S::EDGE {
            let failed = parts.iter().any(|part| part.values().next().is_some_and(Result::is_err));
            measure::edge(of, field, started.elapsed(), failed);
        }
        let whole = parts.into_iter().reduce(|mut whole, part| {
            whole.extend(part);
            whole
        });
        whole.unwrap_or_default()
    }
}

impl<S: Source> Batch<S> {
    async fn fetch(&self, keys: Vec<S::Key>) -> Outcomes<S> {
        measure::batch(S::NAME, keys.len());
        let explained = self.calls.of_batch(calls::Batch { loader: S::NAME, keys: keys.len() });
        let calls = explained.as_ref().unwrap_or(&self.calls);
        outcomes::<S>(S::fetch(calls, &keys).await, keys)
    }
}

/// An outcome for every one of the keys, also for those that were not found: the crate takes a key without one for
/// lost.
fn outcomes<S: Source>(fetched: Fetched<S>, keys: Vec<S::Key>) -> Outcomes<S> {
    match fetched {
        Ok(values) => {
            let found = values.into_iter().map(|(key, value)| (key, Ok(Some(Arc::new(value)))));
            let mut outcomes: Outcomes<S> = found.collect();
            for key in keys {
                outcomes.entry(key).or_insert(Ok(None));
            }
            outcomes
        }
        Err(refusal) => {
            let refusal = Arc::new(refusal);
            keys.into_iter().map(|key| (key, Err(refusal.clone()))).collect()
        }
    }
}

#[cfg(test)]
pub(super) mod tests {
    use std::{
        future::pending,
        sync::atomic::{AtomicUsize, Ordering},
        time::Duration,
    };

    use futures::poll;
    use runtime::grpc::{CallContext, TlsConfig, connect};
    use tokio::task::yield_now;

    use super::*;
    use crate::{Clients, Config, clients::Services};

    /// Calls that nobody answers.
    pub(in crate::graphql) fn calls() -> Arc<Calls> {
        let nowhere = connect("http://127.0.0.1:1", &TlsConfig::default()).unwrap();
        let clients = Clients { user: nowhere.clone(), order: nowhere.clone(), payment: nowhere };
        let context = CallContext::new(tokio::time::Instant::now());
        let config: Config = runtime::config::parse(["gateway"]).unwrap();
        Arc::new(Calls::new(Arc::new(Services::new(clients, &config.clients)), context, Duration::ZERO))
    }

    static FETCHES: AtomicUsize = AtomicUsize::new(0);

    /// Answers never at first, then at once.
    struct SlowAtFirst;

    impl Source for SlowAtFirst {
        const NAME: &'static str = "slow";
        type Key = u8;
        type Value = u8;

        async fn fetch(_: &Calls, keys: &[u8]) -> Fetched<Self> {
            if FETCHES.fetch_add(1, Ordering::Relaxed) == 0 {
                pending::<()>().await;
            }
            Ok(keys.iter().map(|key| (*key, *key)).collect())
        }
    }

    #[tokio::test]
    async fn a_key_whose_fetcher_was_dropped_on_the_way_is_fetched_again() {
        let (loader, calls) = (Loader::<SlowAtFirst>::default(), calls());
        let mut first = Box::pin(loader.load(&calls, 1));
        let mut second = Box::pin(loader.load(&calls, 2));
        while FETCHES.load(Ordering::Relaxed) == 0 {
            assert!(poll!(&mut first).is_pending() && poll!(&mut second).is_pending());
            yield_now().await;
        }
        drop(first);
        assert_eq!(second.await.unwrap().as_deref(), Some(&2));
        assert_eq!(FETCHES.load(Ordering::Relaxed), 2);
    }

    struct Refusing;

    impl Source for Refusing {
        const NAME: &'static str = "refusing";
        type Key = u8;
        type Value = u8;

        async fn fetch(_: &Calls, _: &[u8]) -> Fetched<Self> {
            Err(Refusal::not_found("thing"))
        }
    }

    #[tokio::test]
    async fn a_refusal_reaches_everyone_who_asked() {
        let (loader, calls) = (Loader::<Refusing>::default(), calls());
        let outcomes = join_all((0..5).map(|key| loader.load(&calls, key))).await;
        assert!(outcomes.iter().all(|outcome| outcome == &Err(Refusal::not_found("thing"))), "{outcomes:?}");
    }
}
