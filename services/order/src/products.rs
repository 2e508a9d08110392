//! What is done with products.

use identity::Viewer;
use runtime::{Clock, page::Page, postgres::Database};

use crate::{
    error::Error,
    product::{Product, ProductDraft, ProductId},
    store,
};

/// The use cases of products.
#[derive(Clone)]
pub(crate) struct Products {
    database: Database,
    clock: Clock,
}

impl Products {
    pub(crate) fn new(database: Database, clock: Clock) -> Self {
        Self { database, clock }
    }

    /// A page of the catalogue by id, with one product more than the page has if there is one; and the total if it is
    /// asked for. Admins see withdrawn products too.
    pub(crate) async fn list(
        &self,
        viewer: Option<&Viewer>,
        page: &Page<ProductId>,
    ) -> Result<(Vec<Product>, Option<i64>), Error> {
        let withdrawn_too = viewer.is_some_and(Viewer::is_admin);
        let mut db = self.database.lists.acquire().await?;
        let products = store::page_of_products(&mut db, withdrawn_too, page).await?;
        let total = if page.include_total {
            Some(store::count_products(&mut db, withdrawn_too).await?)
        } else {
            None
        };
        Ok((products, total))
    }

    /// Those of the products that exist, withdrawn ones included, in no order.
    pub(crate) async fn batch(&self, ids: &[ProductId]) -> Result<Vec<Product>, Error> {
        let ids: Vec<_> = ids.iter().map(ProductId::as_str).collect();
        Ok(store::products(&mut *self.database.lists.acquire().await?, &ids).await?)
    }

    /// Makes a product, or changes it. Orders keep the name and the price at which they were placed.
    pub(crate) async fn upsert(&self, draft: &ProductDraft) -> Result<Product, Error> {
        let mut db = self.database.writes.acquire().await?;
        Ok(store::upsert_product(&mut db, draft, self.clock.now()).await?)
    }

    /// Makes those of the products that do not exist, in one statement; the others stay as they are.
    pub(crate) async fn seed(&self, drafts: &[ProductDraft]) -> Result<(), Error> {
        let mut db = self.database.writes.acquire().await?;
        Ok(store::insert_missing_products(&mut db, drafts, self.clock.now()).await?)
    }
}
