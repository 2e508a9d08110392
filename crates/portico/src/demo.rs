//! What a new system in development begins with: somebody to log in as, and something to order.

use anyhow::Result;
use order::SeedProduct;
use secrecy::SecretString;

/// An account for trying things out. It exists in development only, so its password is no secret.
#[derive(Clone, Copy, Debug)]
pub struct Account {
    /// What to log in with.
    pub email: &'static str,
    /// What to log in with.
    pub password: &'static str,
    first_name: &'static str,
    last_name: &'static str,
    role: identity::Role,
}

/// A customer.
pub const CUSTOMER: Account = Account {
    email: "ada@example.com",
    password: "demo-customer-4711",
    first_name: "Ada",
    last_name: "Lovelace",
    role: identity::Role::Customer,
};

/// An admin.
pub const ADMIN: Account = Account {
    email: "admin@example.com",
    password: "demo-admin-4711",
    first_name: "Grace",
    last_name: "Hopper",
    role: identity::Role::Admin,
};

const PRODUCTS: &[SeedProduct<'_>] = &[
    SeedProduct { id: "prod-1", name: "Laptop", unit_price: "999.99", currency: "USD" },
    SeedProduct { id: "prod-2", name: "Mouse", unit_price: "29.99", currency: "USD" },
    SeedProduct { id: "prod-3", name: "Keyboard", unit_price: "79.50", currency: "USD" },
    SeedProduct { id: "prod-4", name: "Green tea", unit_price: "1200", currency: "JPY" },
];

/// Makes those that are missing; what was changed since stays as it is.
///
/// # Errors
/// When a database fails.
pub async fn seed(users: &user::App, orders: &order::App) -> Result<()> {
    for account in [CUSTOMER, ADMIN] {
        let password = SecretString::from(account.password);
        users.seed_user(account.email, password, account.first_name, account.last_name, account.role).await?;
    }
    orders.seed_products(PRODUCTS).await
}
