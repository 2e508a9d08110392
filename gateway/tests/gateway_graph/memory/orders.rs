use identity::Viewer;
use proto::{
    common::v1::Money,
    order::v1::{order_service_server::OrderService, *},
};
use runtime::{Kind, Refusal, grpc::viewer, page::Page};
use tonic::{Request, Response, Status, async_trait};
use uuid::Uuid;

use super::{Store, may_see};

pub(crate) struct Orders(pub(crate) Store);

type Answer<T> = Result<Response<T>, Status>;

impl Orders {
    fn changed(&self, rpc: &str) {
        self.0.tables().changes.push(rpc.into());
    }

    /// The orders that the viewer may see, the newest first.
    fn visible(&self, viewer: Viewer) -> Vec<Order> {
        let mut orders = self.0.tables().orders.clone();
        orders.retain(|order| may_see(viewer, &order.user_id));
        orders.sort_by(|a, b| b.id.cmp(&a.id));
        orders
    }

    fn set_status(&self, viewer: Viewer, id: &str, status: OrderStatus) -> Result<Option<Order>, Status> {
        let mut tables = self.0.tables();
        let order = tables.orders.iter_mut().find(|order| order.id == id && may_see(viewer, &order.user_id));
        let order = order.ok_or_else(|| Refusal::not_found("order"))?;
        if order.status() == OrderStatus::Cancelled {
            return Err(
                Refusal::new(Kind::FailedPrecondition, "ORDER_NOT_CANCELLABLE", "it is cancelled").into()
            );
        }
        order.set_status(status);
        Ok(Some(order.clone()))
    }
}

#[async_trait]
impl OrderService for Orders {
    async fn create_order(&self, request: Request<CreateOrderRequest>) -> Answer<CreateOrderResponse> {
        let user_id = viewer(&request)?.user_id.to_string();
        let request = request.into_inner();
        self.changed(&format!("CreateOrder {}", request.notes));
        let mut items = vec![];
        for (n, item) in request.items.into_iter().enumerate() {
            let product =
                self.0.tables().products.iter().find(|product| product.id == item.product_id).cloned();
            let Some(product) = product else {
                return Err(Refusal::bad_input(
                    "PRODUCT_UNKNOWN",
                    format!("items.{n}.productId"),
                    "must exist",
                )
                .into());
            };
            self.0.tables().changes.extend(item.unit_price.map(|price| format!("price {price}")));
            items.push(OrderItem {
                product_id: product.id,
                product_name: product.name,
                quantity: item.quantity,
                unit_price: product.unit_price,
            });
        }
        let cents =
            items.iter().map(|item| i64::from(item.quantity) * item.unit_price.as_ref().unwrap().minor_units);
        let order = Order {
            id: Uuid::now_v7().to_string(),
            user_id,
            status: OrderStatus::Pending.into(),
            total: Some(Money { minor_units: cents.sum(), currency: "USD".into() }),
            shipping_address: request.shipping_address,
            notes: request.notes,
            items,
            created_at: Some(chrono::Utc::now().into()),
            updated_at: Some(chrono::Utc::now().into()),
        };
        self.0.tables().orders.push(order.clone());
        Ok(Response::new(CreateOrderResponse { order: Some(order) }))
    }

    async fn get_order(&self, _: Request<GetOrderRequest>) -> Answer<GetOrderResponse> {
        Err(Status::unimplemented("the gateway loads by batch"))
    }

    async fn batch_get_orders(
        &self,
        request: Request<BatchGetOrdersRequest>,
    ) -> Answer<BatchGetOrdersResponse> {
        let mut orders = self.visible(viewer(&request)?);
        let ids = request.into_inner().ids;
        orders.retain(|order| ids.contains(&order.id));
        Ok(Response::new(BatchGetOrdersResponse { orders }))
    }

    async fn list_orders(&self, request: Request<ListOrdersRequest>) -> Answer<ListOrdersResponse> {
        let mut orders = self.visible(viewer(&request)?);
        let request = request.into_inner();
        let page = Page::<Uuid>::parse(request.page)?;
        orders.retain(|order| {
            page.after.is_none_or(|after| order.id < after.to_string())
                && (request.user_id.is_empty() || order.user_id == request.user_id)
                && (request.status == 0 || order.status == request.status)
        });
        let total = page.include_total.then(|| {
            self.changed("count orders");
            orders.len() as i64
        });
        let info = page.finish(&mut orders, total, |order| order.id.clone());
        Ok(Response::new(ListOrdersResponse { orders, page: Some(info) }))
    }

    async fn batch_list_orders_by_users(
        &self,
        request: Request<BatchListOrdersByUsersRequest>,
    ) -> Answer<BatchListOrdersByUsersResponse> {
        let visible = self.visible(viewer(&request)?);
        let BatchListOrdersByUsersRequest { user_ids, limit } = request.into_inner();
        Page::<Uuid>::parse(Some(proto::common::v1::PageRequest { limit, ..Default::default() }))?;
        let limit = usize::try_from(limit).unwrap();
        let of = |user: &String| {
            visible.iter().filter(|order| order.user_id == *user).take(limit).cloned().collect::<Vec<_>>()
        };
        let orders = user_ids.iter().flat_map(of).collect();
        Ok(Response::new(BatchListOrdersByUsersResponse { orders }))
    }

    async fn update_order_status(
        &self,
        request: Request<UpdateOrderStatusRequest>,
    ) -> Answer<UpdateOrderStatusResponse> {
        self.changed("UpdateOrderStatus");
        let viewer = viewer(&request)?;
        let request = request.into_inner();
        let order = self.set_status(viewer, &request.id, request.status())?;
        Ok(Response::new(UpdateOrderStatusResponse { order }))
    }

    async fn cancel_order(&self, request: Request<CancelOrderRequest>) -> Answer<CancelOrderResponse> {
        self.changed("CancelOrder");
        let viewer = viewer(&request)?;
        let order = self.set_status(viewer, &request.into_inner().id, OrderStatus::Cancelled)?;
        Ok(Response::new(CancelOrderResponse { order }))
    }

    async fn delete_order(&self, _: Request<DeleteOrderRequest>) -> Answer<DeleteOrderResponse> {
        self.changed("DeleteOrder");
        Ok(Response::new(DeleteOrderResponse {}))
    }

    async fn list_products(&self, request: Request<ListProductsRequest>) -> Answer<ListProductsResponse> {
        let page = Page::<String>::parse(request.into_inner().page)?;
        let mut products = self.0.tables().products.clone();
        products.sort_by(|a, b| b.id.cmp(&a.id));
        products.retain(|product| page.after.as_ref().is_none_or(|after| product.id < *after));
        let total = page.include_total.then_some(products.len() as i64);
        let info = page.finish(&mut products, total, |product| product.id.clone());
        Ok(Response::new(ListProductsResponse { products, page: Some(info) }))
    }

    async fn batch_get_products(
        &self,
        request: Request<BatchGetProductsRequest>,
    ) -> Answer<BatchGetProductsResponse> {
        let ids = request.into_inner().ids;
        let mut products = self.0.tables().products.clone();
        products.retain(|product| ids.contains(&product.id));
        Ok(Response::new(BatchGetProductsResponse { products }))
    }

    async fn upsert_product(&self, request: Request<UpsertProductRequest>) -> Answer<UpsertProductResponse> {
        let UpsertProductRequest { id, name, unit_price, active } = request.into_inner();
        let product = Product {
            id,
            name,
            unit_price,
            active: active.unwrap_or(true),
            created_at: Some(chrono::Utc::now().into()),
            updated_at: Some(chrono::Utc::now().into()),
        };
        let price = product.unit_price.clone().unwrap();
        self.changed(&format!("UpsertProduct {} {}", price.minor_units, price.currency));
        self.0.tables().products.push(product.clone());
        Ok(Response::new(UpsertProductResponse { product: Some(product) }))
    }
}
