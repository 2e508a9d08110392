//! Times and shares as people write them.

/// `250ms`, `2s`, `1.5s`, `1m`, in milliseconds.
pub(super) fn milliseconds(text: &str) -> Result<u64, String> {
    let units = [("ms", 1.0), ("s", 1_000.0), ("m", 60_000.0)];
    let read = |(unit, factor)| Some(text.strip_suffix(unit)?.parse::<f64>().ok()? * factor);
    let found = units.into_iter().find_map(read).filter(|time| (1.0..=600_000.0).contains(time));
    // Within the limits above it is a whole number that fits.
    let whole = |time: f64| format!("{time:.0}").parse().ok();
    found.and_then(whole).ok_or_else(|| "must be a time up to 10m, such as 250ms or 2s".to_owned())
}

/// `30%`, or 30.
pub(super) fn percent(text: &str) -> Result<f64, String> {
    let share = text.strip_suffix('%').unwrap_or(text).parse().ok();
    let found = share.filter(|share| *share > 0.0 && *share <= 100.0);
    found.ok_or_else(|| "must be a share of the calls up to 100%, such as 30%".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_have_a_unit_and_an_end() {
        assert_eq!(milliseconds("250ms"), Ok(250));
        assert_eq!(milliseconds("1.5s"), Ok(1500));
        assert_eq!(milliseconds("10m"), Ok(600_000));
        for rubbish in ["2", "2h", "s", "-1s", "0s", "11m", "NaNs", "1 s", "infs"] {
            assert!(milliseconds(rubbish).is_err(), "{rubbish}");
        }
    }

    #[test]
    fn shares_are_more_than_none_and_at_most_all() {
        assert_eq!(percent("30%"), Ok(30.0));
        assert_eq!(percent("100"), Ok(100.0));
        for rubbish in ["130%", "0", "-1%", "many", "NaN", ""] {
            assert!(percent(rubbish).is_err(), "{rubbish}");
        }
    }
}
