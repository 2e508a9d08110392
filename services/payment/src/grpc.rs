//! The gRPC service: each RPC is read, carried out and answered here; texts become types in [`convert`].

pub mod convert;

use std::mem::take;

use prost::Message;
use proto::payment::v1::{
    BatchGetPaymentsByOrdersRequest, BatchGetPaymentsByOrdersResponse, BatchGetPaymentsRequest,
    BatchGetPaymentsResponse, CreatePaymentRequest, CreatePaymentResponse, GetPaymentRequest,
    GetPaymentResponse, ListPaymentsRequest, ListPaymentsResponse, ProcessPaymentRequest,
    ProcessPaymentResponse, RefundPaymentRequest, RefundPaymentResponse,
    payment_service_server::PaymentService,
};
use runtime::{
    grpc::viewer,
    idempotency::Key,
    page::{self, Page},
};
use tonic::{Request, Response, Status};

use crate::{
    attempts::{PROCESS, REFUND, RefundRequest},
    error::Error,
    payments::Payments,
};

/// The operation of CreatePayment, as idempotency keys know it.
const CREATE: &str = "createPayment";

/// The payment service as gRPC serves it.
#[derive(Clone)]
pub struct Grpc {
    payments: Payments,
}

impl Grpc {
    /// Serves these payments.
    pub fn new(payments: Payments) -> Self {
        Self { payments }
    }
}

#[tonic::async_trait]
impl PaymentService for Grpc {
    async fn create_payment(
        &self,
        request: Request<CreatePaymentRequest>,
    ) -> Result<Response<CreatePaymentResponse>, Status> {
        let viewer = viewer(&request)?;
        let request = request.into_inner();
        // An order has one payment, so nothing is stored under the key; it must be one nevertheless.
        Key::parse(viewer.user_id, CREATE, &request.idempotency_key, &[])?;
        let payment = self.payments.of_order(viewer, convert::order_id(&request.order_id)?).await?;
        Ok(Response::new(CreatePaymentResponse { payment: Some(convert::payment(payment)) }))
    }

    async fn get_payment(
        &self,
        request: Request<GetPaymentRequest>,
    ) -> Result<Response<GetPaymentResponse>, Status> {
        let viewer = viewer(&request)?;
        let payment = self.payments.get(viewer, convert::payment_id(&request.get_ref().id)?).await?;
        Ok(Response::new(GetPaymentResponse { payment: Some(convert::payment(payment)) }))
    }

    async fn batch_get_payments(
        &self,
        request: Request<BatchGetPaymentsRequest>,
    ) -> Result<Response<BatchGetPaymentsResponse>, Status> {
        let viewer = viewer(&request)?;
        let payments = self.payments.batch(viewer, &page::batch(&request.get_ref().ids)?).await?;
        Ok(Response::new(BatchGetPaymentsResponse { payments: convert::payments(payments) }))
    }

    async fn batch_get_payments_by_orders(
        &self,
        request: Request<BatchGetPaymentsByOrdersRequest>,
    ) -> Result<Response<BatchGetPaymentsByOrdersResponse>, Status> {
        let viewer = viewer(&request)?;
        let payments = self.payments.of_orders(viewer, &page::batch(&request.get_ref().order_ids)?).await?;
        Ok(Response::new(BatchGetPaymentsByOrdersResponse { payments: convert::payments(payments) }))
    }

    async fn list_payments(
        &self,
        request: Request<ListPaymentsRequest>,
    ) -> Result<Response<ListPaymentsResponse>, Status> {
        let viewer = viewer(&request)?;
        let request = request.into_inner();
        let page = Page::parse(request.page)?;
        let filter = convert::filter(&request.user_id, request.status)?;
        let (payments, info) = self.payments.list(viewer, filter, page).await?;
        Ok(Response::new(ListPaymentsResponse { payments: convert::payments(payments), page: Some(info) }))
    }

    async fn process_payment(
        &self,
        request: Request<ProcessPaymentRequest>,
    ) -> Result<Response<ProcessPaymentResponse>, Status> {
        let viewer = viewer(&request)?;
        let mut request = request.into_inner();
        let key = take(&mut request.idempotency_key);
        let key = Key::parse(viewer.user_id, PROCESS, &key, &request.encode_to_vec())?;
        let id = convert::payment_id(&request.payment_id)?;
        if !self.payments.attempts().accepts(&request.token) {
            return Err(Error::TokenUnknown.into());
        }
        let payment = self.payments.process(viewer, id, request.token, key).await?;
        Ok(Response::new(ProcessPaymentResponse { payment: Some(payment) }))
    }

    async fn refund_payment(
        &self,
        request: Request<RefundPaymentRequest>,
    ) -> Result<Response<RefundPaymentResponse>, Status> {
        let viewer = viewer(&request)?;
        let mut request = request.into_inner();
        let key = take(&mut request.idempotency_key);
        let key = Key::parse(viewer.user_id, REFUND, &key, &request.encode_to_vec())?;
        let payment_id = convert::payment_id(&request.payment_id)?;
        let reason = convert::reason(request.reason)?;
        let refund = RefundRequest { payment_id, amount: request.amount, reason, key };
        let payment = self.payments.refund(viewer, refund).await?;
        Ok(Response::new(RefundPaymentResponse { payment: Some(payment) }))
    }
}
