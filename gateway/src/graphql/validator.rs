//! Validation without running anything: what is wrong with a document that nobody has asked for yet.

use std::sync::Arc;

use async_graphql::{
    Request, ServerError, ValidationResult,
    extensions::{Extension, ExtensionContext, ExtensionFactory, NextValidation},
    parser::types::ExecutableDocument,
};
use futures::FutureExt;
use tonic::async_trait;

use super::{Schema, Validation, schema};

/// The graph, of which no field ever runs.
pub(crate) struct Validator(Schema);

impl Validator {
    pub(crate) fn new() -> Self {
        Self(schema(Validation::Alone))
    }

    /// What is wrong with the document; nothing when it is valid.
    pub(crate) fn errors(&self, document: ExecutableDocument) -> Vec<ServerError> {
        let mut request = Request::new("");
        request.set_parsed_query(document);
        // It waits for nothing: all that could is never begun.
        let response = self.0.execute(request).now_or_never();
        response.map(|response| response.errors).unwrap_or_default()
    }
}

/// Ends every request once it was validated.
pub(super) struct Stop;

impl ExtensionFactory for Stop {
    fn create(&self) -> Arc<dyn Extension> {
        Arc::new(Self)
    }
}

#[async_trait]
impl Extension for Stop {
    async fn validation(
        &self,
        context: &ExtensionContext<'_>,
        next: NextValidation<'_>,
    ) -> Result<ValidationResult, Vec<ServerError>> {
        next.run(context).await?;
        Err(vec![])
    }
}
