//! What is done with products.

use identity::Viewer;
use runtime::{Clock, page::Page};
use sqlx::PgPool;

use crate::{
    error::Error,
    product::{Product, ProductDraft, ProductId},
    store,
};

/// The use cases of products.
#[derive(Clone)]
pub(crate) struct Products {
    pool: PgPool,
    clock: Clock,
}

impl Products {
    pub(crate) fn new(pool: PgPool, clock: Clock) -> Self {
        Self { pool, clock }
    }

    /// A page of the catalogue by id, with one product more than the page has if there is one; and the total if it is
    /// asked for. Admins see withdrawn products too.
    pub(crate) async fn list(
        &self,
        viewer: Option<&Viewer>,
        page: &Page<ProductId>,
    ) -> Result<(Vec<Product>, Option<i64>), Error> {
        let withdrawn_too = viewer.is_some_and(Viewer::is_admin);
        let products = store::page_of_products(&self.pool, withdrawn_too, page).await?;
        let total = if page.include_total {
            Some(store::count_products(&self.pool, withdrawn_too).await?)
        } else {
            None
        };
        Ok((products, total))
    }

    /// Those of the products that exist, withdrawn ones included, in no order.
    pub(crate) async fn batch(&self, ids: &[ProductId]) -> Result<Vec<Product>, Error> {
        let ids: Vec<_> = ids.iter().map(ProductId::as_str).collect();
        Ok(store::products(&self.pool, &ids).await?)
    }

    /// Makes a product, or changes it. Orders keep the name and the price at which they were placed.
    pub(crate) async fn upsert(&self, draft: &ProductDraft) -> Result<Product, Error> {
        Ok(store::upsert_product(&self.pool, draft, self.clock.now()).await?)
    }

    /// Makes those of the products that do not exist, in one statement; the others stay as they are.
    pub(crate) async fn seed(&self, drafts: &[ProductDraft]) -> Result<(), Error> {
        Ok(store::insert_missing_products(&self.pool, drafts, self.clock.now()).await?)
    }
}
