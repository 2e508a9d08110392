//! ListUsers.

use proto::{
    common::v1::PageRequest,
    user::v1::{ListUsersRequest, ListUsersResponse, RegisterRequest, Role},
};
use runtime::Kind;

use crate::support::{Member, Outcome, World, fields, first_page, read, registration};

async fn list(world: &World, caller: &Member, request: ListUsersRequest) -> Outcome<ListUsersResponse> {
    read(world.client().list_users(caller.request(request)).await)
}

async fn emails(world: &World, admin: &Member, request: ListUsersRequest) -> Vec<String> {
    let request = ListUsersRequest { page: first_page(100), ..request };
    list(world, admin, request).await.unwrap().users.into_iter().map(|user| user.email).collect()
}

fn search(text: &str) -> ListUsersRequest {
    ListUsersRequest { search: text.into(), ..ListUsersRequest::default() }
}

#[tokio::test]
async fn users_come_newest_first_page_by_page_and_are_counted_when_asked() {
    let world = World::new().await;
    let admin = world.admin("root@example.com").await;
    for n in 0..5 {
        world.register(&format!("user{n}@example.com")).await;
    }
    let gone = world.register("gone@example.com").await;
    world.delete(&gone, &gone.user.id).await.unwrap();

    let (mut seen, mut after) = (vec![], String::new());
    loop {
        let page = Some(PageRequest { limit: 4, after, include_total: true });
        let answer = list(&world, &admin, ListUsersRequest { page, ..Default::default() }).await.unwrap();
        let info = answer.page.unwrap();
        assert_eq!(info.total, Some(6));
        seen.extend(answer.users.into_iter().map(|user| user.email));
        after = info.end_cursor;
        if !info.has_more {
            break;
        }
        // One that comes meanwhile neither repeats nor hides another.
        if seen.len() == 4 {
            world
                .service
                .app
                .seed_user("new@example.com", "x".into(), "New", "One", identity::Role::Customer)
                .await
                .unwrap();
            sqlx::query("UPDATE users SET deleted_at = created_at WHERE email = 'new@example.com'")
                .execute(world.database.pool())
                .await
                .unwrap();
        }
    }
    assert_eq!(
        seen,
        ["user4", "user3", "user2", "user1", "user0", "root"].map(|name| format!("{name}@example.com"))
    );
    let uncounted = ListUsersRequest { page: first_page(1), ..Default::default() };
    assert_eq!(list(&world, &admin, uncounted).await.unwrap().page.unwrap().total, None);
}

#[tokio::test]
async fn search_looks_into_names_and_emails_in_any_case_and_takes_wildcards_for_what_they_are() {
    let world = World::new().await;
    let admin = world.admin("root@example.com").await;
    for (email, first, last) in [
        ("ada@example.com", "Ada", "Lovelace"),
        ("grace@navy.example", "Grace", "Hopper"),
        ("percent@example.com", "100%", "Sure_thing"),
        ("backslash@example.com", r"C:\Users", "Zoë"),
    ] {
        let names =
            RegisterRequest { first_name: first.into(), last_name: last.into(), ..registration(email) };
        world.try_register(names).await.unwrap();
    }
    for (text, expected) in [
        ("LOVE", vec!["ada@example.com"]),
        ("ada lovelace", vec!["ada@example.com"]),
        ("NAVY.example", vec!["grace@navy.example"]),
        ("%", vec!["percent@example.com"]),
        ("_", vec!["percent@example.com"]),
        (r"\", vec!["backslash@example.com"]),
        (r":\u", vec!["backslash@example.com"]),
        ("ZOË", vec!["backslash@example.com"]),
        ("' OR 1=1", vec![]),
        ("nobody", vec![]),
    ] {
        assert_eq!(emails(&world, &admin, search(text)).await, expected, "{text}");
    }
    assert_eq!(emails(&world, &admin, search("  ")).await.len(), 5);
}

#[tokio::test]
async fn users_are_narrowed_to_a_role_and_to_active_ones_or_not() {
    let world = World::new().await;
    let admin = world.admin("root@example.com").await;
    world.register("ada@example.com").await;
    let idle = world.register("idle@example.com").await;
    world.set_active(&admin, &idle.user.id, false).await.unwrap();
    let role = |role: Role| ListUsersRequest { role: role.into(), ..Default::default() };
    let active = |active| ListUsersRequest { active: Some(active), ..Default::default() };
    assert_eq!(emails(&world, &admin, role(Role::Admin)).await, ["root@example.com"]);
    assert_eq!(emails(&world, &admin, role(Role::Customer)).await, ["idle@example.com", "ada@example.com"]);
    assert_eq!(emails(&world, &admin, role(Role::Unspecified)).await.len(), 3);
    assert_eq!(emails(&world, &admin, active(false)).await, ["idle@example.com"]);
    assert_eq!(emails(&world, &admin, active(true)).await, ["ada@example.com", "root@example.com"]);
    let narrow = ListUsersRequest { search: "a".into(), active: Some(true), role: 1, ..Default::default() };
    let page = Some(PageRequest { limit: 10, include_total: true, ..Default::default() });
    let answer = list(&world, &admin, ListUsersRequest { page, ..narrow }).await.unwrap();
    assert_eq!((answer.users.len(), answer.page.unwrap().total), (1, Some(1)));
}

#[tokio::test]
async fn pages_cursors_roles_and_searches_that_make_no_sense_are_refused() {
    let world = World::new().await;
    let admin = world.admin("root@example.com").await;
    let paged = |limit, after: &str| ListUsersRequest {
        page: Some(PageRequest { limit, after: after.into(), include_total: false }),
        ..Default::default()
    };
    let here = |request| ListUsersRequest { page: first_page(10), ..request };
    for (request, reason, field) in [
        (ListUsersRequest::default(), "PAGE_SIZE_OUT_OF_RANGE", "limit"),
        (paged(0, ""), "PAGE_SIZE_OUT_OF_RANGE", "limit"),
        (paged(-1, ""), "PAGE_SIZE_OUT_OF_RANGE", "limit"),
        (paged(101, ""), "PAGE_SIZE_OUT_OF_RANGE", "limit"),
        (paged(1_000_000, ""), "PAGE_SIZE_OUT_OF_RANGE", "limit"),
        (paged(10, "rubbish"), "CURSOR_INVALID", "after"),
        (paged(10, "\0"), "CURSOR_INVALID", "after"),
        (here(search("a\0b")), "SEARCH_INVALID", "search"),
        (here(search(&"x".repeat(255))), "SEARCH_INVALID", "search"),
        (here(ListUsersRequest { role: 99, ..Default::default() }), "ROLE_INVALID", "role"),
    ] {
        let refusal = list(&world, &admin, request).await.unwrap_err();
        assert_eq!((refusal.kind, &*refusal.reason), (Kind::BadInput, reason));
        assert_eq!(fields(&refusal), [field]);
    }
}

#[tokio::test]
async fn customers_may_not_list_users() {
    let world = World::new().await;
    let ada = world.register("ada@example.com").await;
    let request = ListUsersRequest { page: first_page(10), ..Default::default() };
    assert_eq!(list(&world, &ada, request).await.unwrap_err().kind, Kind::Forbidden);
}
