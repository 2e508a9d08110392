use proto::{
    common::v1::PageRequest,
    payment::v1::{ListPaymentsRequest, ListPaymentsResponse, PaymentStatus},
};
use testkit::Caller;
use uuid::Uuid;

use crate::world::{Answer, World, assert_bad_input};

fn page(limit: i32, after: &str) -> ListPaymentsRequest {
    let page = PageRequest { limit, after: after.into(), include_total: false };
    ListPaymentsRequest { page: Some(page), user_id: String::new(), status: 0 }
}

fn of(user: &str, status: PaymentStatus) -> ListPaymentsRequest {
    let page = PageRequest { limit: 100, after: String::new(), include_total: true };
    ListPaymentsRequest { page: Some(page), user_id: user.into(), status: status.into() }
}

async fn list(world: &World, caller: &Caller, request: ListPaymentsRequest) -> Answer<ListPaymentsResponse> {
    Ok(world.client().list_payments(caller.request(request)).await?.into_inner())
}

fn ids(response: &ListPaymentsResponse) -> Vec<&str> {
    response.payments.iter().map(|payment| payment.id.as_str()).collect()
}

fn total(response: &ListPaymentsResponse) -> Option<i64> {
    response.page.as_ref().unwrap().total
}

#[tokio::test]
async fn pages_lead_from_the_newest_to_the_oldest_each_payment_once() {
    let world = World::new().await;
    let mut made = vec![];
    for cents in 1..=5 {
        made.push(world.pending(&world.ann, cents).await.id);
        world.pending(&world.bob, cents).await;
    }
    made.reverse();
    for caller in [&world.ann, &world.admin] {
        let (mut seen, mut after) = (vec![], String::new());
        loop {
            let mut request = page(2, &after);
            if caller.viewer.is_admin() {
                request.user_id = world.ann.viewer.user_id.to_string();
            }
            let response = list(&world, caller, request).await.unwrap();
            seen.extend(ids(&response).into_iter().map(str::to_owned));
            // A payment that is made meanwhile shifts nothing.
            world.pending(&world.ann, 7).await;
            let info = response.page.unwrap();
            assert_eq!(info.total, None);
            if !info.has_more {
                break;
            }
            after = info.end_cursor;
        }
        let seen_before: Vec<_> = seen.iter().filter(|id| made.contains(id)).collect();
        assert_eq!(seen_before, made.iter().collect::<Vec<_>>());
    }
}

#[tokio::test]
async fn customers_see_their_own_and_admins_see_all() {
    let world = World::new().await;
    let own = world.pending(&world.ann, 100).await.id;
    let anothers = world.pending(&world.bob, 200).await.id;
    let mine = list(&world, &world.ann, of("", PaymentStatus::Unspecified)).await.unwrap();
    assert_eq!((ids(&mine), total(&mine)), (vec![own.as_str()], Some(1)));
    let all = list(&world, &world.admin, of("", PaymentStatus::Unspecified)).await.unwrap();
    assert_eq!((ids(&all), total(&all)), (vec![anothers.as_str(), own.as_str()], Some(2)));
}

#[tokio::test]
async fn a_filter_by_another_user_shows_a_customer_nothing() {
    let world = World::new().await;
    world.pending(&world.bob, 200).await;
    let (bob, ann) = (world.bob.viewer.user_id.to_string(), world.ann.viewer.user_id.to_string());
    let nobody = Uuid::now_v7().to_string();
    for user in [bob.as_str(), &nobody, "no-uuid", "\0"] {
        let response = list(&world, &world.ann, of(user, PaymentStatus::Unspecified)).await.unwrap();
        assert_eq!((ids(&response), total(&response)), (vec![], Some(0)));
    }
    let own = world.pending(&world.ann, 100).await.id;
    assert_eq!(ids(&list(&world, &world.ann, of(&ann, PaymentStatus::Unspecified)).await.unwrap()), [own]);
}

#[tokio::test]
async fn a_filter_by_status_shows_and_counts_that_status_alone() {
    let world = World::new().await;
    let pending = world.pending(&world.ann, 100).await.id;
    let paid = world.paid(&world.ann, 200).await.id;
    for caller in [&world.ann, &world.admin] {
        for (status, expected) in [
            (PaymentStatus::Pending, vec![pending.as_str()]),
            (PaymentStatus::Succeeded, vec![paid.as_str()]),
            (PaymentStatus::Refunded, vec![]),
        ] {
            let response = list(&world, caller, of("", status)).await.unwrap();
            assert_eq!(ids(&response), expected);
            assert_eq!(total(&response), Some(i64::try_from(expected.len()).unwrap()));
        }
    }
}

#[tokio::test]
async fn sizes_cursors_and_statuses_that_make_no_sense_are_refused() {
    let world = World::new().await;
    for limit in [0, -1, 101, 1_000_000] {
        assert_bad_input(list(&world, &world.ann, page(limit, "")).await, "PAGE_SIZE_OUT_OF_RANGE", "limit");
    }
    for cursor in ["x", "\0", "bm90IGEgdXVpZA", "🙈"] {
        assert_bad_input(list(&world, &world.ann, page(10, cursor)).await, "CURSOR_INVALID", "after");
    }
    let without_page = ListPaymentsRequest { page: None, user_id: String::new(), status: 0 };
    assert_bad_input(list(&world, &world.ann, without_page).await, "PAGE_SIZE_OUT_OF_RANGE", "limit");
    let unknown = ListPaymentsRequest { status: 99, ..page(10, "") };
    assert_bad_input(list(&world, &world.ann, unknown).await, "STATUS_UNKNOWN", "status");
}
