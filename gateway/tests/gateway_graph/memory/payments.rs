use identity::Viewer;
use proto::payment::v1::{payment_service_server::PaymentService, *};
use runtime::{Refusal, grpc::viewer, page::Page};
use tonic::{Request, Response, Status, async_trait};
use uuid::Uuid;

use super::{Store, may_see};

pub(crate) struct Payments(pub(crate) Store);

type Answer<T> = Result<Response<T>, Status>;

impl Payments {
    fn changed(&self, rpc: &str) {
        self.0.tables().changes.push(rpc.into());
    }

    /// The payments that the viewer may see, the newest first.
    fn visible(&self, viewer: Viewer) -> Vec<Payment> {
        let mut payments = self.0.tables().payments.clone();
        payments.retain(|payment| may_see(viewer, &payment.user_id));
        payments.sort_by(|a, b| b.id.cmp(&a.id));
        payments
    }

    fn one(&self, viewer: Viewer, is_it: impl Fn(&Payment) -> bool) -> Result<Payment, Status> {
        let found = self.visible(viewer).into_iter().find(|payment| is_it(payment));
        found.ok_or_else(|| Refusal::not_found("payment").into())
    }
}

#[async_trait]
impl PaymentService for Payments {
    async fn create_payment(&self, request: Request<CreatePaymentRequest>) -> Answer<CreatePaymentResponse> {
        self.changed("CreatePayment");
        let viewer = viewer(&request)?;
        let order_id = request.into_inner().order_id;
        let payment = self.one(viewer, |payment| payment.order_id == order_id)?;
        Ok(Response::new(CreatePaymentResponse { payment: Some(payment) }))
    }

    async fn get_payment(&self, _: Request<GetPaymentRequest>) -> Answer<GetPaymentResponse> {
        Err(Status::unimplemented("the gateway loads by batch"))
    }

    async fn batch_get_payments(
        &self,
        request: Request<BatchGetPaymentsRequest>,
    ) -> Answer<BatchGetPaymentsResponse> {
        let mut payments = self.visible(viewer(&request)?);
        let ids = request.into_inner().ids;
        payments.retain(|payment| ids.contains(&payment.id));
        Ok(Response::new(BatchGetPaymentsResponse { payments }))
    }

    async fn batch_get_payments_by_orders(
        &self,
        request: Request<BatchGetPaymentsByOrdersRequest>,
    ) -> Answer<BatchGetPaymentsByOrdersResponse> {
        let mut payments = self.visible(viewer(&request)?);
        let ids = request.into_inner().order_ids;
        payments.retain(|payment| ids.contains(&payment.order_id));
        Ok(Response::new(BatchGetPaymentsByOrdersResponse { payments }))
    }

    async fn list_payments(&self, request: Request<ListPaymentsRequest>) -> Answer<ListPaymentsResponse> {
        let mut payments = self.visible(viewer(&request)?);
        let request = request.into_inner();
        let page = Page::<Uuid>::parse(request.page)?;
        payments.retain(|payment| {
            page.after.is_none_or(|after| payment.id < after.to_string())
                && (request.user_id.is_empty() || payment.user_id == request.user_id)
                && (request.status == 0 || payment.status == request.status)
        });
        let total = page.include_total.then_some(payments.len() as i64);
        let info = page.finish(&mut payments, total, |payment| payment.id.clone());
        Ok(Response::new(ListPaymentsResponse { payments, page: Some(info) }))
    }

    async fn process_payment(
        &self,
        request: Request<ProcessPaymentRequest>,
    ) -> Answer<ProcessPaymentResponse> {
        let viewer = viewer(&request)?;
        let request = request.into_inner();
        self.changed(&format!("ProcessPayment {}", request.token));
        let mut tables = self.0.tables();
        let payment = tables.payments.iter_mut().find(|payment| payment.id == request.payment_id);
        let payment = payment.filter(|payment| may_see(viewer, &payment.user_id));
        let payment = payment.ok_or_else(|| Refusal::not_found("payment"))?;
        payment.set_status(PaymentStatus::Succeeded);
        payment.method = "visa".into();
        Ok(Response::new(ProcessPaymentResponse { payment: Some(payment.clone()) }))
    }

    async fn refund_payment(&self, request: Request<RefundPaymentRequest>) -> Answer<RefundPaymentResponse> {
        let viewer = viewer(&request)?;
        let RefundPaymentRequest { payment_id, amount, .. } = request.into_inner();
        self.changed(&format!("RefundPayment {}", amount.as_deref().unwrap_or("all")));
        let payment = self.one(viewer, |payment| payment.id == payment_id)?;
        Ok(Response::new(RefundPaymentResponse { payment: Some(payment) }))
    }
}
