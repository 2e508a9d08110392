use super::*;

const STATUSES: [Status; 5] =
    [Status::Pending, Status::Confirmed, Status::Shipped, Status::Delivered, Status::Cancelled];

/// Every change that `by` may make.
fn changes(by: By) -> Vec<(Status, Status)> {
    let pairs = STATUSES.iter().flat_map(|from| STATUSES.iter().map(move |to| (*from, *to)));
    pairs.filter(|(from, to)| from.may_become(*to, by)).collect()
}

#[test]
fn the_saga_confirms_and_cancels_what_is_pending_and_nothing_else() {
    use Status::*;
    assert_eq!(changes(By::Saga), [(Pending, Confirmed), (Pending, Cancelled)]);
}

#[test]
fn an_admin_moves_an_order_on_and_cancels_before_it_ships_but_confirms_nothing() {
    use Status::*;
    assert_eq!(
        changes(By::Admin),
        [(Pending, Cancelled), (Confirmed, Shipped), (Confirmed, Cancelled), (Shipped, Delivered)]
    );
}

#[test]
fn an_owner_only_cancels_and_only_before_it_ships() {
    use Status::*;
    assert_eq!(changes(By::Owner), [(Pending, Cancelled), (Confirmed, Cancelled)]);
}

#[test]
fn an_order_is_over_exactly_when_no_status_follows() {
    for status in STATUSES {
        let followed =
            [By::Saga, By::Admin, By::Owner].into_iter().any(|by| changes(by).iter().any(|c| c.0 == status));
        assert_eq!(status.is_over(), !followed, "{status:?}");
    }
}

fn products(list: &[(&str, i64, Currency, bool)]) -> HashMap<ProductId, Product> {
    let time = DateTime::UNIX_EPOCH;
    let product = |(id, price, currency, active): &(&str, i64, Currency, bool)| {
        let id: ProductId = id.parse().unwrap();
        let unit_price = Money::new(*price, *currency);
        let product = Product {
            id: id.clone(),
            name: format!("the {id}"),
            unit_price,
            active: *active,
            created_at: time,
            updated_at: time,
        };
        (id, product)
    };
    list.iter().map(product).collect()
}

fn draft(currency: Option<Currency>, lines: &[(&str, i32, Option<&str>)]) -> OrderDraft {
    let line = |(id, quantity, seen): &(&str, i32, Option<&str>)| LineDraft {
        product_id: id.parse().unwrap(),
        quantity: *quantity,
        seen_price: seen.map(str::to_owned),
    };
    OrderDraft {
        shipping_address: "1 Main St".into(),
        notes: String::new(),
        currency,
        lines: lines.iter().map(line).collect(),
    }
}

fn place(draft: OrderDraft, catalogue: &[(&str, i64, Currency, bool)]) -> Result<Order, Error> {
    Order::place(draft, UserId(Uuid::now_v7()), &products(catalogue), DateTime::UNIX_EPOCH)
}

#[test]
fn the_total_is_the_sum_of_the_products_own_prices() {
    let catalogue = [("a", 99_999, Currency::USD, true), ("b", 1, Currency::USD, true)];
    let order =
        place(draft(None, &[("a", 2, Some("999.99")), ("b", 3, None), ("a", 1, None)]), &catalogue).unwrap();
    assert_eq!(order.total, Money::new(3 * 99_999 + 3, Currency::USD));
    assert_eq!(order.items.iter().map(|item| item.quantity).collect::<Vec<_>>(), [2, 3, 1]);
    assert_eq!((order.status, order.version), (Status::Pending, 1));
}

#[test]
fn a_price_seen_is_held_against_the_product_however_it_is_written() {
    let catalogue = [("a", 1_000, Currency::USD, true)];
    for seen in ["10", "10.0", "10.00", "010.00"] {
        assert!(place(draft(None, &[("a", 1, Some(seen))]), &catalogue).is_ok(), "{seen}");
    }
    for seen in ["9.99", "10.01", "0", "1000"] {
        let refused = place(draft(None, &[("a", 1, Some(seen))]), &catalogue);
        assert!(matches!(refused, Err(Error::PriceChanged { line: 0 })), "{seen}");
    }
    for seen in ["", "NaN", "-10", "10.001", "1e1", "ten", "10\0"] {
        let refused = place(draft(None, &[("a", 1, Some(seen))]), &catalogue);
        assert!(matches!(refused, Err(Error::PriceInvalid { line: 0, .. })), "{seen}");
    }
}

#[test]
fn a_line_without_a_product_that_can_be_ordered_is_named() {
    let catalogue = [("a", 1, Currency::USD, true), ("old", 1, Currency::USD, false)];
    let unknown = place(draft(None, &[("a", 1, None), ("b", 1, None)]), &catalogue);
    assert!(matches!(unknown, Err(Error::ProductUnknown { line: 1 })));
    let withdrawn = place(draft(None, &[("old", 1, None)]), &catalogue);
    assert!(matches!(withdrawn, Err(Error::ProductNotAvailable { line: 0 })));
}

#[test]
fn one_order_has_one_currency() {
    let catalogue = [("a", 1, Currency::USD, true), ("e", 1, Currency::EUR, true)];
    let mixed = place(draft(None, &[("a", 1, None), ("e", 1, None)]), &catalogue);
    assert!(matches!(mixed, Err(Error::CurrencyMismatch { line: 1 })));
    let other = place(draft(Some(Currency::EUR), &[("a", 1, None)]), &catalogue);
    assert!(matches!(other, Err(Error::CurrencyMismatch { line: 0 })));
    assert!(place(draft(Some(Currency::EUR), &[("e", 1, None)]), &catalogue).is_ok());
}

#[test]
fn a_total_that_can_not_be_counted_is_refused() {
    let catalogue = [("max", i64::MAX, Currency::USD, true), ("one", 1, Currency::USD, true)];
    assert_eq!(place(draft(None, &[("max", 1, None)]), &catalogue).unwrap().total.minor_units, i64::MAX);
    for lines in [&[("max", 2, None)][..], &[("max", 1, None), ("one", 1, None)]] {
        assert!(matches!(place(draft(None, lines), &catalogue), Err(Error::TotalTooLarge)), "{lines:?}");
    }
}

#[test]
fn a_change_counts_and_a_refused_one_leaves_all_as_it_was() {
    let mut order = place(draft(None, &[("a", 1, None)]), &[("a", 1, Currency::USD, true)]).unwrap();
    let before = order.clone();
    let later = DateTime::UNIX_EPOCH + chrono::TimeDelta::seconds(1);
    assert!(!order.change_status(Status::Shipped, By::Admin, later));
    assert_eq!(order, before);
    assert!(order.change_status(Status::Cancelled, By::Owner, later));
    assert_eq!((order.status, order.version, order.updated_at), (Status::Cancelled, 2, later));
}
