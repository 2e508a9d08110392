//! What every process tells of itself.

use std::{fs, time::SystemTime};

/// What a page of memory takes on the machines that we are built for; `/proc` counts in these.
const PAGE_BYTES: u64 = 4096;

/// Tells what was built, and when it started. Once for each process.
pub(crate) fn tell_start() {
    let commit = option_env!("PORTICO_COMMIT").filter(|commit| !commit.is_empty()).unwrap_or("unknown");
    let version = env!("CARGO_PKG_VERSION");
    metrics::gauge!("portico_build_info", "version" => version, "commit" => commit, "rustc" => env!("RUSTC_VERSION"))
        .set(1.0);
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    metrics::gauge!("process_start_time_seconds").set(now.as_secs_f64());
}

/// Tells how much memory the process holds, where the system says so.
pub(crate) fn tell_memory() {
    if let Some(pages) = fs::read_to_string("/proc/self/statm").ok().and_then(|text| resident_pages(&text)) {
        #[expect(clippy::cast_precision_loss, reason = "a gauge is a float")]
        metrics::gauge!("process_resident_memory_bytes").set((pages * PAGE_BYTES) as f64);
    }
}

/// The second number of `/proc/self/statm`: pages that are in memory.
fn resident_pages(statm: &str) -> Option<u64> {
    statm.split_ascii_whitespace().nth(1)?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_pages_in_memory_are_the_second_number() {
        assert_eq!(resident_pages("85123 4210 1502 930 0 3411 0\n"), Some(4210));
        assert_eq!(resident_pages(""), None);
    }
}
