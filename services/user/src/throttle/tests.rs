use super::*;

fn limits() -> LoginLimits {
    LoginLimits {
        login_free_failures: 3,
        login_free_failures_per_address: 30,
        login_longest_delay_seconds: 60,
        login_longest_wait_ms: 1000,
        registrations_per_minute: 20,
    }
}

fn email(text: &str) -> Email {
    Email::parse(text).unwrap()
}

fn from(address: &str) -> Origin {
    Origin::new(Some(address.parse().unwrap()))
}

fn seconds(n: u64) -> Duration {
    Duration::from_secs(n)
}

#[test]
fn after_three_failures_the_next_waits_one_second_then_two_then_four_and_a_minute_at_most() {
    let throttle = LoginThrottle::new(limits());
    let (ada, home, mut now) = (email("ada@example.com"), from("192.0.2.1"), Utc::now());
    for _ in 0..3 {
        drop(throttle.attempt(Some(&ada), home, now).unwrap());
    }
    for delay in [1, 2, 4, 8, 16, 32, 60, 60] {
        assert_eq!(throttle.attempt(Some(&ada), home, now).err(), Some(seconds(delay)));
        now += seconds(delay) - Duration::from_millis(1);
        assert_eq!(throttle.attempt(Some(&ada), home, now).err(), Some(Duration::from_millis(1)));
        now += Duration::from_millis(1);
        drop(throttle.attempt(Some(&ada), home, now).unwrap());
    }
}

#[test]
fn attempts_at_the_same_time_count_before_any_of_them_is_decided() {
    let throttle = LoginThrottle::new(limits());
    let (ada, home, now) = (email("ada@example.com"), from("192.0.2.1"), Utc::now());
    let begun: Vec<_> = (0..100).map(|_| throttle.attempt(Some(&ada), home, now)).collect();
    assert_eq!(begun.iter().filter(|attempt| attempt.is_ok()).count(), 3);
    drop(begun);
    assert!(throttle.attempt(Some(&ada), home, now).is_err());
}

#[test]
fn a_hundred_undecided_attempts_are_a_hundred_failures() {
    let all_free = LoginLimits { login_free_failures: 100, login_free_failures_per_address: 100, ..limits() };
    let throttle = LoginThrottle::new(all_free);
    let (ada, home, now) = (email("ada@example.com"), from("192.0.2.1"), Utc::now());
    let begun: Vec<_> = (0..100).map(|_| throttle.attempt(Some(&ada), home, now).unwrap()).collect();
    assert_eq!(throttle.attempt(Some(&ada), home, now).err(), Some(seconds(1)));
    drop(begun);
    assert_eq!(throttle.attempt(Some(&ada), home, now).err(), Some(seconds(1)));
}

#[test]
fn a_stranger_at_another_address_never_has_the_owner_refused_only_slowed_down() {
    let throttle = LoginThrottle::new(limits());
    let (ada, now) = (email("ada@example.com"), Utc::now());
    for n in 0..200 {
        let _ = throttle.attempt(Some(&ada), from(&format!("198.51.100.{}", n % 50)), now);
    }
    let owner = throttle.attempt(Some(&ada), from("192.0.2.1"), now).unwrap();
    assert_eq!(owner.wait, seconds(1));
    owner.succeeded();
}

#[test]
fn the_wait_of_an_account_grows_from_a_tenth_of_a_second_to_one() {
    let throttle = LoginThrottle::new(limits());
    let (ada, now) = (email("ada@example.com"), Utc::now());
    let waits: Vec<_> = (0..9)
        .map(|n| {
            throttle.attempt(Some(&ada), from(&format!("198.51.100.{n}")), now).unwrap().wait.as_millis()
        })
        .collect();
    assert_eq!(waits, [0, 0, 0, 100, 200, 400, 800, 1000, 1000]);
}

#[test]
fn an_address_that_tries_many_accounts_is_refused_after_thirty_failures() {
    let throttle = LoginThrottle::new(limits());
    let (home, now) = (from("192.0.2.1"), Utc::now());
    for n in 0..30 {
        drop(throttle.attempt(Some(&email(&format!("user{n}@example.com"))), home, now).unwrap());
    }
    assert_eq!(throttle.attempt(Some(&email("other@example.com")), home, now).err(), Some(seconds(1)));
    assert!(throttle.attempt(Some(&email("other@example.com")), from("192.0.2.2"), now).is_ok());
}

#[test]
fn logins_that_succeed_never_slow_an_address_down() {
    let throttle = LoginThrottle::new(limits());
    let (office, now) = (from("192.0.2.1"), Utc::now());
    for n in 0..1000 {
        throttle.attempt(Some(&email(&format!("user{n}@example.com"))), office, now).unwrap().succeeded();
    }
}

#[test]
fn a_success_forgets_the_failures_of_the_account_from_that_address() {
    let throttle = LoginThrottle::new(limits());
    let (ada, home, now) = (email("ada@example.com"), from("192.0.2.1"), Utc::now());
    for _ in 0..5 {
        drop(throttle.attempt(Some(&ada), home, now).unwrap());
        drop(throttle.attempt(Some(&ada), home, now).unwrap());
        throttle.attempt(Some(&ada), home, now).unwrap().succeeded();
    }
}

#[test]
fn failures_are_forgotten_after_a_quarter_of_an_hour() {
    let throttle = LoginThrottle::new(limits());
    let (ada, home, now) = (email("ada@example.com"), from("192.0.2.1"), Utc::now());
    for _ in 0..3 {
        drop(throttle.attempt(Some(&ada), home, now).unwrap());
    }
    let later = now + FORGOTTEN_AFTER;
    for _ in 0..3 {
        drop(throttle.attempt(Some(&ada), home, later).unwrap());
    }
    assert_eq!(throttle.attempt(Some(&ada), home, later).err(), Some(seconds(1)));
}

#[test]
fn an_account_is_the_same_in_any_case_and_an_ipv6_network_is_one_address() {
    let throttle = LoginThrottle::new(limits());
    let now = Utc::now();
    for (name, address) in [("ada", "2001:db8::1"), ("ADA", "2001:db8::2"), ("Ada", "2001:db8::ffff")] {
        drop(throttle.attempt(Some(&email(&format!("{name}@example.com"))), from(address), now).unwrap());
    }
    assert!(throttle.attempt(Some(&email("aDa@example.com")), from("2001:db8::3"), now).is_err());
    assert_eq!(from("::ffff:192.0.2.1"), from("192.0.2.1"));
    assert_ne!(from("2001:db8:0:1::1"), from("2001:db8::1"));
}

#[test]
fn an_address_makes_twenty_accounts_at_once_and_then_one_each_three_seconds() {
    let throttle = RegisterThrottle::new(&limits());
    let (home, now) = (from("192.0.2.1"), Utc::now());
    for _ in 0..20 {
        throttle.attempt(home, now).unwrap();
    }
    assert_eq!(throttle.attempt(home, now), Err(seconds(3)));
    throttle.attempt(from("192.0.2.2"), now).unwrap();
    throttle.attempt(home, now + seconds(3)).unwrap();
    assert_eq!(throttle.attempt(home, now + seconds(3)), Err(seconds(3)));
}
