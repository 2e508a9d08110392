//! The three services in memory: the rules of who sees what, and nothing that takes a database.

mod orders;
mod payments;
mod users;

use std::sync::{Arc, Mutex, MutexGuard};

use chrono::Utc;
use identity::{UserId, Viewer};
use proto::{
    common::v1::Money,
    order::v1::{Order, OrderItem, OrderStatus, Product, order_service_server::OrderServiceServer},
    payment::v1::{Payment, PaymentStatus, payment_service_server::PaymentServiceServer},
    user::v1::{Role, User, user_service_server::UserServiceServer},
};
use testkit::Caller;
use uuid::Uuid;

/// What the services hold. Clones hold the same.
#[derive(Clone, Default)]
pub(crate) struct Store(Arc<Mutex<Tables>>);

#[derive(Default)]
pub(crate) struct Tables {
    pub(crate) users: Vec<User>,
    pub(crate) products: Vec<Product>,
    pub(crate) orders: Vec<Order>,
    pub(crate) payments: Vec<Payment>,
    /// The requests that changed something, by the name of their RPC.
    pub(crate) changes: Vec<String>,
}

pub(crate) fn users(store: &Store) -> UserServiceServer<users::Users> {
    UserServiceServer::new(users::Users(store.clone()))
}

pub(crate) fn orders(store: &Store) -> OrderServiceServer<orders::Orders> {
    OrderServiceServer::new(orders::Orders(store.clone()))
}

pub(crate) fn payments(store: &Store) -> PaymentServiceServer<payments::Payments> {
    PaymentServiceServer::new(payments::Payments(store.clone()))
}

pub(crate) fn usd(minor_units: i64) -> Option<Money> {
    Some(Money { minor_units, currency: "USD".into() })
}

impl Store {
    pub(crate) fn tables(&self) -> MutexGuard<'_, Tables> {
        self.0.lock().unwrap()
    }

    /// What was changed since the last call of this.
    pub(crate) fn take_changes(&self) -> Vec<String> {
        std::mem::take(&mut self.tables().changes)
    }

    /// An account for this caller.
    pub(crate) fn add_user(&self, caller: &Caller, first_name: &str) -> String {
        let role = if caller.viewer.is_admin() { Role::Admin } else { Role::Customer };
        let user = User {
            id: caller.viewer.user_id.to_string(),
            email: format!("{}@example.com", first_name.to_lowercase()),
            first_name: first_name.into(),
            last_name: "Lovelace".into(),
            role: role.into(),
            active: true,
            created_at: Some(Utc::now().into()),
            updated_at: Some(Utc::now().into()),
        };
        let id = user.id.clone();
        self.tables().users.push(user);
        id
    }

    pub(crate) fn add_product(&self, id: &str, name: &str, cents: i64) {
        self.tables().products.push(Product {
            id: id.into(),
            name: name.into(),
            unit_price: usd(cents),
            active: true,
            created_at: Some(Utc::now().into()),
            updated_at: Some(Utc::now().into()),
        });
    }

    /// An order of one `product` by this caller, with its payment.
    pub(crate) fn add_order(&self, caller: &Caller, product: &str) -> (String, String) {
        let mut tables = self.tables();
        let product = tables.products.iter().find(|found| found.id == product).unwrap().clone();
        let price = product.unit_price.clone();
        let order = Order {
            id: Uuid::now_v7().to_string(),
            user_id: caller.viewer.user_id.to_string(),
            status: OrderStatus::Pending.into(),
            total: price.clone(),
            shipping_address: "12 St James's Square, London".into(),
            notes: String::new(),
            items: vec![OrderItem {
                product_id: product.id,
                product_name: product.name,
                quantity: 1,
                unit_price: price.clone(),
            }],
            created_at: Some(Utc::now().into()),
            updated_at: Some(Utc::now().into()),
        };
        let payment = Payment {
            id: Uuid::now_v7().to_string(),
            order_id: order.id.clone(),
            user_id: order.user_id.clone(),
            amount: price,
            refunded: usd(0),
            status: PaymentStatus::Pending.into(),
            created_at: Some(Utc::now().into()),
            updated_at: Some(Utc::now().into()),
            ..Payment::default()
        };
        let ids = (order.id.clone(), payment.id.clone());
        tables.orders.push(order);
        tables.payments.push(payment);
        ids
    }
}

/// Whether the viewer may see what this user owns.
pub(crate) fn may_see(viewer: Viewer, owner: &str) -> bool {
    owner.parse::<UserId>().is_ok_and(|owner| viewer.may_access(owner))
}
