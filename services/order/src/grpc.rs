//! The RPCs, each in one place: read the request (`convert`), do it (`orders`, `products`), write the response.
//!
//! The guard around the service has checked the token and the RPC's rule of access before anything here runs.

pub(crate) mod convert;

use std::mem::take;

use prost::Message;
use proto::order::v1::{self as pb, order_service_server::OrderService};
use runtime::{
    grpc::viewer,
    idempotency::Key,
    page::{Page, batch},
};
use tonic::{Request, Response, Status};

use crate::{
    error::Error,
    order::{Order, OrderId},
    orders::Orders,
    product::{Product, ProductId},
    products::Products,
};

/// The gRPC face of the use cases.
#[derive(Clone)]
pub struct OrderGrpc {
    orders: Orders,
    products: Products,
}

impl OrderGrpc {
    pub(crate) fn new(orders: Orders, products: Products) -> Self {
        Self { orders, products }
    }
}

#[tonic::async_trait]
impl OrderService for OrderGrpc {
    async fn create_order(
        &self,
        request: Request<pb::CreateOrderRequest>,
    ) -> Result<Response<pb::CreateOrderResponse>, Status> {
        let buyer = viewer(&request)?.user_id;
        let mut request = request.into_inner();
        let key = take(&mut request.idempotency_key);
        let key = Key::parse(buyer, "createOrder", &key, &request.encode_to_vec())?;
        let draft = convert::order_draft(request)?;
        Ok(Response::new(self.orders.create(buyer, draft, key).await?))
    }

    async fn get_order(
        &self,
        request: Request<pb::GetOrderRequest>,
    ) -> Result<Response<pb::GetOrderResponse>, Status> {
        let viewer = viewer(&request)?;
        let id = convert::order_id(&request.get_ref().id)?;
        let order = self.orders.get(&viewer, id).await?;
        Ok(Response::new(pb::GetOrderResponse { order: Some(order.into()) }))
    }

    async fn batch_get_orders(
        &self,
        request: Request<pb::BatchGetOrdersRequest>,
    ) -> Result<Response<pb::BatchGetOrdersResponse>, Status> {
        let viewer = viewer(&request)?;
        let ids: Vec<OrderId> = batch(&request.get_ref().ids)?;
        let orders = self.orders.batch(&viewer, &ids).await?;
        Ok(Response::new(pb::BatchGetOrdersResponse { orders: convert::orders(orders) }))
    }

    async fn list_orders(
        &self,
        request: Request<pb::ListOrdersRequest>,
    ) -> Result<Response<pb::ListOrdersResponse>, Status> {
        let viewer = viewer(&request)?;
        let request = request.into_inner();
        let filter = convert::order_filter(&request)?;
        let page = Page::<OrderId>::parse(request.page)?;
        let (mut orders, total) = self.orders.list(&viewer, filter, &page).await?;
        let info = page.finish(&mut orders, total, |order: &Order| order.id);
        Ok(Response::new(pb::ListOrdersResponse { orders: convert::orders(orders), page: Some(info) }))
    }

    async fn batch_list_orders_by_users(
        &self,
        request: Request<pb::BatchListOrdersByUsersRequest>,
    ) -> Result<Response<pb::BatchListOrdersByUsersResponse>, Status> {
        let viewer = viewer(&request)?;
        let request = request.into_inner();
        let limit = convert::limit(request.limit)?;
        let users = batch(&request.user_ids)?;
        let orders = self.orders.newest_of_each(&viewer, users, limit).await?;
        Ok(Response::new(pb::BatchListOrdersByUsersResponse { orders: convert::orders(orders) }))
    }

    async fn update_order_status(
        &self,
        request: Request<pb::UpdateOrderStatusRequest>,
    ) -> Result<Response<pb::UpdateOrderStatusResponse>, Status> {
        let request = request.into_inner();
        let next = convert::next_status(request.status)?;
        let order = self.orders.update_status(convert::order_id(&request.id)?, next).await?;
        Ok(Response::new(pb::UpdateOrderStatusResponse { order: Some(order.into()) }))
    }

    async fn cancel_order(
        &self,
        request: Request<pb::CancelOrderRequest>,
    ) -> Result<Response<pb::CancelOrderResponse>, Status> {
        let viewer = viewer(&request)?;
        let id = convert::order_id(&request.get_ref().id)?;
        let order = self.orders.cancel(&viewer, id).await?;
        Ok(Response::new(pb::CancelOrderResponse { order: Some(order.into()) }))
    }

    async fn delete_order(
        &self,
        request: Request<pb::DeleteOrderRequest>,
    ) -> Result<Response<pb::DeleteOrderResponse>, Status> {
        let viewer = viewer(&request)?;
        let id = convert::order_id(&request.get_ref().id)?;
        self.orders.delete(&viewer, id).await?;
        Ok(Response::new(pb::DeleteOrderResponse {}))
    }

    async fn list_products(
        &self,
        request: Request<pb::ListProductsRequest>,
    ) -> Result<Response<pb::ListProductsResponse>, Status> {
        // The catalogue is public; a token only shows an admin more of it.
        let viewer = viewer(&request).ok();
        let page = Page::<ProductId>::parse(request.into_inner().page)?;
        let (mut products, total) = self.products.list(viewer.as_ref(), &page).await?;
        let info = page.finish(&mut products, total, |product: &Product| product.id.clone());
        Ok(Response::new(pb::ListProductsResponse {
            products: convert::products(products),
            page: Some(info),
        }))
    }

    async fn batch_get_products(
        &self,
        request: Request<pb::BatchGetProductsRequest>,
    ) -> Result<Response<pb::BatchGetProductsResponse>, Status> {
        let ids: Vec<ProductId> = batch(&request.get_ref().ids)?;
        let products = self.products.batch(&ids).await?;
        Ok(Response::new(pb::BatchGetProductsResponse { products: convert::products(products) }))
    }

    async fn upsert_product(
        &self,
        request: Request<pb::UpsertProductRequest>,
    ) -> Result<Response<pb::UpsertProductResponse>, Status> {
        let draft = convert::product_draft(request.into_inner()).map_err(Error::from)?;
        let product = self.products.upsert(&draft).await?;
        Ok(Response::new(pb::UpsertProductResponse { product: Some(product.into()) }))
    }
}
