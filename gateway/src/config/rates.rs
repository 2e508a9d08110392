//! How often clients may ask, and how they are told apart. See "Rate limits" in docs/edge.md.

use std::num::NonZeroU32;

use clap::Args;
use ipnet::IpNet;

use super::Switch;

/// Settings of the rate limits.
#[derive(Args, Clone, Debug)]
pub struct RateConfig {
    /// Whether there are rate limits at all; off for load tests.
    #[arg(long, env = "RATE_LIMITS", value_enum, default_value = "on")]
    pub rate_limits: Switch,
    /// How many requests a second a client may send: a user, or an address where nobody is logged in.
    #[arg(long, env = "RATE_LIMIT_PER_SECOND", default_value = "100")]
    pub rate_limit_per_second: NonZeroU32,
    /// How many requests a client that was quiet may send at once.
    #[arg(long, env = "RATE_LIMIT_BURST", default_value = "200")]
    pub rate_limit_burst: NonZeroU32,
    /// How many points a second the operations of a client may cost.
    #[arg(long, env = "COST_LIMIT_PER_SECOND", default_value = "2000")]
    pub cost_limit_per_second: NonZeroU32,
    /// How many points a client that was quiet may spend at once; never less than one operation may cost.
    #[arg(long, env = "COST_LIMIT_BURST", default_value = "10000")]
    pub cost_limit_burst: NonZeroU32,
    /// How many logins a minute may be tried from an address.
    #[arg(long, env = "LOGIN_LIMIT_PER_MINUTE", default_value = "60")]
    pub login_limit_per_minute: NonZeroU32,
    /// How many accounts a minute may be made from an address.
    #[arg(long, env = "REGISTER_LIMIT_PER_MINUTE", default_value = "30")]
    pub register_limit_per_minute: NonZeroU32,
    /// How many tokens a minute may be refreshed from an address.
    #[arg(long, env = "REFRESH_LIMIT_PER_MINUTE", default_value = "120")]
    pub refresh_limit_per_minute: NonZeroU32,
    /// How many clients each limit remembers; beyond them it forgets those who asked least.
    #[arg(long, env = "RATE_LIMIT_CLIENTS", default_value_t = 100_000)]
    pub rate_limit_clients: usize,
    /// The networks of proxies whose `X-Forwarded-For` is believed, separated by commas: 127.0.0.1/32,10.0.0.0/8.
    #[arg(long, env = "TRUSTED_PROXIES", value_delimiter = ',')]
    pub trusted_proxies: Vec<IpNet>,
}
