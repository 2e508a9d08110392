//! Fields that lead from each row to another entity, which is loaded by its key.

use std::{sync::Arc, time::Instant};

use async_graphql::{ContextSelectionSet, Positioned, parser::types::Field};
use futures::future::BoxFuture;
use runtime::Refusal;

use super::{
    Entity, Fields,
    level::{self, Placed, Told},
};
use crate::{
    graphql::{
        Visit,
        loader::{Loader, Source},
    },
    measure,
};

/// A field, and the rows of which it is asked for.
pub(in crate::graphql) struct Link<'a, T> {
    pub(super) context: &'a ContextSelectionSet<'a>,
    pub(super) field: &'a Positioned<Field>,
    pub(super) rows: &'a [Placed<'a, T>],
}

impl<T> Clone for Link<'_, T> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<T> Copy for Link<'_, T> {}

impl<'a, T: Fields> Link<'a, T> {
    /// The field's name.
    pub(in crate::graphql) fn name(&self) -> &'a str {
        &self.field.node.name.node
    }

    /// What the field leads to: from each row to the entity that the loader finds by this key, if the row has one. A
    /// failure costs the field and is told with its place; the loader may be refused to the viewer.
    pub(in crate::graphql) fn to<S: Source, C: Fields + 'a>(
        &self,
        loader: impl FnOnce(&'a Visit) -> Result<&'a Loader<S>, Refusal>,
        key: impl Fn(&T) -> Option<S::Key>,
    ) -> BoxFuture<'a, Told>
    where
        Entity<C>: From<Arc<S::Value>>,
    {
        let link = *self;
        let visit = Visit::of(link.context);
        let keys: Vec<_> = link.rows.iter().map(|row| key(row.object)).collect();
        let loader = loader(visit);
        Box::pin(async move {
            let started = Instant::now();
            let found = match loader {
                Ok(loader) => loader.load_many(visit.calls(), keys.iter().flatten().cloned()).await,
                Err(refusal) => Err(refusal),
            };
            let (took, mut failed) = (started.elapsed(), false);
            let outcome = |key: Option<&S::Key>| match &found {
                Ok(found) => key.and_then(|key| found.get(key).cloned()).unwrap_or(Ok(None)),
                Err(refusal) => Err(Arc::new(refusal.clone())),
            };
            let entities: Vec<_> = link
                .rows
                .iter()
                .zip(&keys)
                .map(|(row, key)| {
                    let outcome = outcome(key.as_ref());
                    failed |= outcome.is_err();
                    link.nullable(row, outcome).map(Entity::<C>::from)
                })
                .collect();
            measure::edge(&T::type_name(), link.name(), took, failed);
            link.tell(&entities).await
        })
    }

    /// What was found for a row; a failure is told, and is null.
    fn nullable<V>(&self, row: &Placed<'_, T>, outcome: Result<Option<V>, Arc<Refusal>>) -> Option<V> {
        outcome.unwrap_or_else(|refusal| {
            let refusal = Arc::unwrap_or_clone(refusal);
            self.context.add_error(row.refused(refusal, self.context, self.field));
            None
        })
    }

    /// Tells the entities, which are as many as the rows; what is not there, or fails, is null.
    async fn tell<C: Fields>(self, entities: &[Option<Entity<C>>]) -> Told {
        let selection = &self.field.node.selection_set;
        let context = self.context.with_selection_set(selection);
        let placed: Vec<_> = self
            .rows
            .iter()
            .zip(entities)
            .filter_map(|(row, entity)| {
                Some(Placed { path: row.path_to(self.field), object: &entity.as_ref()?.0 })
            })
            .collect();
        let mut told = level::tell(&context, &placed).await;
        if told.is_whole() && placed.len() == entities.len() {
            return told;
        }
        let mut with_gaps = Told::with_capacity(entities.len(), selection.node.items.len());
        let mut place = 0..;
        for entity in entities {
            with_gaps.add(|json| {
                let there = entity.as_ref().and_then(|_| place.next());
                match there.map(|place| told.row(place)) {
                    Some(Ok(object)) => json.raw(object),
                    Some(Err(error)) => {
                        context.add_error(*error);
                        json.raw(b"null");
                    }
                    None => json.raw(b"null"),
                }
                Ok(())
            });
        }
        with_gaps
    }
}
