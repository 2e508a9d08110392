use proto::{
    common::v1::PageRequest,
    order::v1::{ListProductsRequest, ListProductsResponse},
};
use runtime::Kind;
use testkit::{Caller, anonymous};
use tonic::{Response, Status};

use crate::support::{World, assert_refused, first_page};

async fn list(
    world: &World,
    caller: Option<&Caller>,
    page: Option<PageRequest>,
) -> Result<ListProductsResponse, Status> {
    let message = ListProductsRequest { page };
    let request = match caller {
        Some(caller) => caller.request(message),
        None => anonymous(message),
    };
    world.client.clone().list_products(request).await.map(Response::into_inner)
}

fn ids(response: &ListProductsResponse) -> Vec<&str> {
    response.products.iter().map(|product| product.id.as_str()).collect()
}

#[tokio::test]
async fn anyone_reads_the_catalogue_by_id_and_admins_see_withdrawn_products_too() {
    let world = World::new().await;
    let catalogue = ["euro-1", "prod-1", "prod-2", "yen-1"];
    assert_eq!(ids(&list(&world, None, first_page(100)).await.unwrap()), catalogue);
    let customer = world.tokens.customer();
    assert_eq!(ids(&list(&world, Some(&customer), first_page(100)).await.unwrap()), catalogue);
    let all = ["euro-1", "old-1", "prod-1", "prod-2", "yen-1"];
    assert_eq!(ids(&list(&world, Some(&world.admin), first_page(100)).await.unwrap()), all);
}

#[tokio::test]
async fn pages_follow_each_other_by_the_bytes_of_the_id() {
    let world = World::new().await;
    for id in ["Prod-1", "prod.1", "prod_1", "9"] {
        world.product(id, "Another", 1, "USD", true).await;
    }
    let mut seen = vec![];
    let mut after = String::new();
    loop {
        let page = Some(PageRequest { limit: 3, after, include_total: true });
        let listed = list(&world, None, page).await.unwrap();
        seen.extend(listed.products.iter().map(|product| product.id.clone()));
        let info = listed.page.unwrap();
        assert_eq!(info.total, Some(8));
        after = info.end_cursor;
        if !info.has_more {
            break;
        }
    }
    assert_eq!(seen, ["9", "Prod-1", "euro-1", "prod-1", "prod-2", "prod.1", "prod_1", "yen-1"]);
    let page = Some(PageRequest { limit: 1, after: String::new(), include_total: true });
    assert_eq!(list(&world, Some(&world.admin), page).await.unwrap().page.unwrap().total, Some(9));
}

#[tokio::test]
async fn page_sizes_and_cursors_that_make_no_sense_are_refused() {
    let world = World::new().await;
    for limit in [0, -1, 101, 1_000_000] {
        let outcome = list(&world, None, first_page(limit)).await;
        assert_refused(outcome, Kind::BadInput, "PAGE_SIZE_OUT_OF_RANGE", "limit");
    }
    // The last one is base64 of "a b", which is no id of a product.
    for after in ["é", "=", "\0", "YSBi"] {
        let page = Some(PageRequest { limit: 1, after: after.into(), include_total: false });
        assert_refused(list(&world, None, page).await, Kind::BadInput, "CURSOR_INVALID", "after");
    }
}
