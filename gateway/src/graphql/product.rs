//! Products: what can be ordered. They are public.

use std::sync::Arc;

use async_graphql::{Context, ID, InputObject, Object};
use futures::future::BoxFuture;
use money::{Currency, Money};
use proto::{
    common::v1::{self as common, Access},
    order::v1,
};
use runtime::Refusal;

use super::{
    Visit,
    entity::{Entity, Fields, Link, Told, at_hand},
    loader::{Fetched, Loader, Source},
    page::{self, DEFAULT_LIMIT, Page},
    public::Public,
    rules::Rules,
    scalars::{Amount, DateTime, Decimal, Id},
};
use crate::clients::{Calls, answer, required};

pub(super) const RULES: Rules =
    &[("product", Access::Public), ("products", Access::Public), ("upsertProduct", Access::Admin)];

pub(super) const PUBLIC: Public = &[
    ("Query", &["product", "products"]),
    ("ProductPage", &["data", "pageInfo"]),
    ("Product", &["id", "name", "unitPrice", "currency", "active", "createdAt", "updatedAt"]),
];

/// Something that can be ordered.
pub(super) type Product = Entity<ProductFields>;

/// The fields of a product.
pub(super) struct ProductFields(Arc<v1::Product>);

impl From<Arc<v1::Product>> for Product {
    fn from(product: Arc<v1::Product>) -> Self {
        Self(ProductFields(product))
    }
}

impl From<v1::Product> for Product {
    fn from(product: v1::Product) -> Self {
        Arc::new(product).into()
    }
}

/// Something that can be ordered.
#[Object(name = "Product")]
impl ProductFields {
    /// Its id, chosen by the admin who made it, such as "prod-1".
    fn id(&self) -> Id<'_> {
        Id(&self.0.id)
    }

    /// What it is called.
    fn name(&self) -> &str {
        &self.0.name
    }

    /// What one costs.
    fn unit_price(&self) -> Result<Amount, Refusal> {
        Amount::of(self.0.unit_price.as_ref())
    }

    /// The currency of its price (ISO 4217), such as "USD".
    fn currency(&self) -> Result<&str, Refusal> {
        Ok(&required(self.0.unit_price.as_ref(), "a price")?.currency)
    }

    /// Whether it can be ordered and stands in the catalogue.
    fn active(&self) -> bool {
        self.0.active
    }

    /// When it was made.
    fn created_at(&self) -> Result<DateTime, Refusal> {
        DateTime::of(self.0.created_at)
    }

    /// When it was last changed.
    fn updated_at(&self) -> Result<DateTime, Refusal> {
        DateTime::of(self.0.updated_at)
    }
}

impl Fields for ProductFields {
    at_hand! {
        "id" => id, "name" => name, "unitPrice" => unit_price, "currency" => currency, "active" => active,
        "createdAt" => created_at, "updatedAt" => updated_at,
    }
}

/// The loaders of products.
#[derive(Default)]
pub(super) struct Loaders {
    by_id: Loader<ById>,
}

impl Loaders {
    pub(super) async fn clear(&self) {
        self.by_id.clear().await;
    }
}

struct ById;

impl Source for ById {
    const NAME: &'static str = "products_by_id";

    type Key = String;
    type Value = v1::Product;

    async fn fetch(calls: &Calls, keys: &[String]) -> Fetched<Self> {
        let request = v1::BatchGetProductsRequest { ids: keys.to_vec() };
        let found = answer(calls.orders().batch_get_products(calls.request(request))).await?;
        Ok(found.products.into_iter().map(|product| (product.id.clone(), product)).collect())
    }
}

/// The product with this id, if there is one; withdrawn ones too.
pub(super) async fn by_id(visit: &Visit, id: &str) -> Result<Option<Product>, Refusal> {
    Ok(visit.products.by_id.load(visit.calls(), id.to_owned()).await?.map(Product::from))
}

/// The product of each row, by the id that the row has.
pub(super) fn followed<'a, T: Fields>(link: &Link<'a, T>, id: fn(&T) -> &str) -> BoxFuture<'a, Told> {
    link.to::<ById, ProductFields>(|visit| Ok(&visit.products.by_id), |row| Some(id(row).to_owned()))
}

/// The fields of `Query` about products.
#[derive(Default)]
pub(super) struct ProductQuery;

#[Object]
impl ProductQuery {
    /// One product, withdrawn ones included. Null when there is none.
    async fn product(
        &self,
        context: &Context<'_>,
        #[graphql(desc = "The product's id.")] id: ID,
    ) -> Option<Result<Product, Refusal>> {
        by_id(Visit::of(context), &id).await.transpose()
    }

    /// The catalogue, the newest first.
    async fn products(
        &self,
        context: &Context<'_>,
        #[graphql(default_with = "Some(DEFAULT_LIMIT)", desc = "How many, 1 to 100.")] limit: Option<i32>,
        #[graphql(desc = "The endCursor of the page before.")] after: Option<String>,
    ) -> Option<Result<Page<Product>, Refusal>> {
        let request = v1::ListProductsRequest { page: Some(page::request(context, limit, after)) };
        Some(list(Visit::of(context).calls(), request).await)
    }

    #[graphql(entity)]
    async fn find_product_by_id(&self, context: &Context<'_>, id: ID) -> Option<Result<Product, Refusal>> {
        by_id(Visit::of(context), &id).await.transpose()
    }
}

async fn list(calls: &Calls, request: v1::ListProductsRequest) -> Result<Page<Product>, Refusal> {
    let found = answer(calls.orders().list_products(calls.request(request))).await?;
    Ok(Page::new(found.products, found.page))
}

/// A new product, or what a product is to be.
#[derive(InputObject)]
struct UpsertProductInput {
    /// Its id, such as "prod-1"; a product that has it already is changed.
    id: ID,
    /// What it is called.
    name: String,
    /// What one costs.
    unit_price: Decimal,
    /// The currency of its price (ISO 4217), such as "USD".
    currency: String,
    /// Whether it can be ordered. Left as it is when absent; a new product can.
    active: Option<bool>,
}

impl UpsertProductInput {
    /// Only here does the gateway know the currency of a decimal that it was given; elsewhere the service does.
    fn into_request(self) -> Result<v1::UpsertProductRequest, Refusal> {
        let currency = Currency::from_code(&self.currency).ok_or_else(|| {
            Refusal::bad_input("CURRENCY_UNKNOWN", "currency", "must be a code of ISO 4217")
        })?;
        let price = Money::parse(&self.unit_price.0, currency)
            .map_err(|rule| Refusal::bad_input("DECIMAL_INVALID", "unitPrice", rule))?;
        Ok(v1::UpsertProductRequest {
            id: self.id.0,
            name: self.name,
            unit_price: Some(common::Money { minor_units: price.minor_units, currency: self.currency }),
            active: self.active,
        })
    }
}

/// The fields of `Mutation` about products.
#[derive(Default)]
pub(super) struct ProductMutation;

#[Object]
impl ProductMutation {
    /// Makes a product, or changes it. For admins.
    async fn upsert_product(
        &self,
        context: &Context<'_>,
        #[graphql(desc = "The product.")] input: UpsertProductInput,
    ) -> Result<Product, Refusal> {
        let calls = Visit::of(context).calls();
        let stored = answer(calls.orders().upsert_product(calls.request(input.into_request()?))).await?;
        Ok(required(stored.product, "a product")?.into())
    }
}
