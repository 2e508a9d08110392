//! What one request may be, and how many there may be at once. See "Limits" in docs/edge.md.

use clap::{Args, ValueEnum};

/// What becomes of a request beyond a limit.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Limiting {
    /// It is refused.
    Enforce,
    /// It is answered, and the log and a metric tell.
    Measure,
}

/// Settings of the limits on one request.
#[derive(Args, Clone, Debug)]
pub struct LimitConfig {
    /// What becomes of a request beyond a limit on its document.
    #[arg(long = "limits", env = "GATEWAY_LIMITS", value_enum, default_value = "enforce")]
    pub limiting: Limiting,
    /// How many requests may be under way at once.
    #[arg(long = "limit-requests", env = "GATEWAY_LIMIT_REQUESTS", default_value_t = 1_000)]
    pub requests: usize,
    /// How large a body may be, in bytes.
    #[arg(long = "limit-body", env = "GATEWAY_LIMIT_BODY", default_value_t = 1024 * 1024)]
    pub body: usize,
    /// How large a document may be, in bytes.
    #[arg(long = "limit-document", env = "GATEWAY_LIMIT_DOCUMENT", default_value_t = 64 * 1024)]
    pub document: usize,
    /// How many tokens a document may have.
    #[arg(long = "limit-tokens", env = "GATEWAY_LIMIT_TOKENS", default_value_t = 10_000)]
    pub tokens: u32,
    /// How deep brackets of any kind may be nested in a document, at most 60.
    #[arg(long = "limit-nesting", env = "GATEWAY_LIMIT_NESTING", default_value_t = 40,
        value_parser = clap::value_parser!(u32).range(1..=60))]
    pub nesting: u32,
    /// How deep fields may be nested.
    #[arg(long = "limit-depth", env = "GATEWAY_LIMIT_DEPTH", default_value_t = 20)]
    pub depth: u32,
    /// How many fields a document may ask for, those of a fragment each time that it is spread.
    #[arg(long = "limit-fields", env = "GATEWAY_LIMIT_FIELDS", default_value_t = 2_000)]
    pub fields: u32,
    /// How many of them may have an alias.
    #[arg(long = "limit-aliases", env = "GATEWAY_LIMIT_ALIASES", default_value_t = 100)]
    pub aliases: u32,
    /// How many fields an operation may have at its root.
    #[arg(long = "limit-root-fields", env = "GATEWAY_LIMIT_ROOT_FIELDS", default_value_t = 20)]
    pub root_fields: u32,
    /// How many directives a document may use, those of a fragment each time that it is spread.
    #[arg(long = "limit-directives", env = "GATEWAY_LIMIT_DIRECTIVES", default_value_t = 50)]
    pub directives: u32,
    /// How many points an operation may cost.
    #[arg(long = "limit-cost", env = "GATEWAY_LIMIT_COST", default_value_t = 5_000)]
    pub cost: u32,
    /// How many parts of the schema an operation may ask for.
    #[arg(
        id = "limit-introspection",
        long = "limit-introspection",
        env = "GATEWAY_LIMIT_INTROSPECTION",
        default_value_t = 120_000
    )]
    pub introspection: u32,
    /// How deep lists and objects may be nested in the variables.
    #[arg(long = "limit-variables-depth", env = "GATEWAY_LIMIT_VARIABLES_DEPTH", default_value_t = 10)]
    pub variables_depth: u32,
    /// How many representations `_entities` may be asked for in a request, at most 1,000.
    #[arg(long = "limit-representations", env = "GATEWAY_LIMIT_REPRESENTATIONS", default_value_t = 1_000,
        value_parser = clap::value_parser!(u32).range(1..=1_000))]
    pub representations: u32,
}
