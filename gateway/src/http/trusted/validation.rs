//! What is wrong with a document before anybody asks for it.

use async_graphql::Pos;

use crate::{
    config::LimitConfig,
    graphql,
    http::{cost::Costs, document::Documents, limits::Limits},
};

/// Holds documents against the schema and the limits of the settings.
pub(super) struct Validator {
    schema: graphql::Validator,
    documents: Documents,
    limits: Limits,
}

/// What is wrong with a document.
#[derive(Clone, Debug)]
pub(super) struct Fault {
    pub(super) message: String,
    /// Where, in its text; `None` where it is the whole.
    pub(super) place: Option<Pos>,
}

impl Validator {
    pub(super) fn new(limits: &LimitConfig) -> Self {
        Self {
            schema: graphql::Validator::new(),
            // Nothing is kept: each is looked at once.
            documents: Documents::new(0, Costs::of(&crate::sdl())),
            limits: Limits::new(limits),
        }
    }

    /// # Errors
    /// The first fault that is found.
    pub(super) fn check(&self, text: &str) -> Result<(), Fault> {
        let document = self.documents.parse(text, &self.limits).map_err(|refused| {
            let error = refused.errors().first();
            let message = error.map_or_else(String::new, |error| last_line(&error.message));
            Fault { message, place: error.and_then(|error| error.locations.first().copied()) }
        })?;
        let errors = self.schema.errors(document.parsed.clone());
        errors.first().map_or(Ok(()), |error| {
            Err(Fault { message: error.message.clone(), place: error.locations.first().copied() })
        })
    }
}

/// The parser draws the place into its message, and says what it expected below.
pub(super) fn last_line(message: &str) -> String {
    let last = message.lines().last().unwrap_or_default().trim();
    last.trim_start_matches("= ").to_owned()
}
