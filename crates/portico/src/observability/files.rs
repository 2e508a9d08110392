//! The files of `observability/`, inside the binary.

use std::fs;
use std::os::unix::fs::chown;
use std::path::Path;

use anyhow::{Context, Result};

use crate::environment::Owner;
use crate::state::write_private_for;

/// What stands for a file of the tree.
macro_rules! files {
    ($($path:literal),* $(,)?) => { &[$(($path, include_str!(concat!("../../../../observability/", $path)))),*] };
}

/// A file: its path in `observability/`, and what is in it.
pub(super) type File = (&'static str, &'static str);

/// Prometheus' rules.
pub(super) const RULES: &[File] = files!["rules/alerts.yml", "rules/recording.yml"];

/// Grafana's.
pub(super) const GRAFANA: &[File] = files![
    "grafana/dashboards/events.json",
    "grafana/dashboards/gateway.json",
    "grafana/dashboards/glance.json",
    "grafana/dashboards/service.json",
    "grafana/provisioning/dashboards/portico.yml",
    "grafana/provisioning/datasources/prometheus.yml",
];

/// Writes a file below `folder`, with the folders on the way to it, for `owner` to read.
pub(super) fn write(folder: &Path, path: &str, text: &str, owner: Option<Owner>) -> Result<()> {
    let path = folder.join(path);
    let parents: Vec<_> = path.ancestors().skip(1).take_while(|parent| *parent != folder).collect();
    for parent in parents.into_iter().rev() {
        fs::create_dir_all(parent).with_context(|| format!("cannot make {parent:?}"))?;
        if let Some(Owner { uid, gid }) = owner {
            chown(parent, Some(uid), Some(gid)).with_context(|| format!("cannot give {parent:?} away"))?;
        }
    }
    write_private_for(&path, text.as_bytes(), owner)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_dashboard_and_rule_of_the_tree_is_in_the_binary() {
        let tree = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../observability");
        for (folder, files) in [("rules", RULES), ("grafana/dashboards", GRAFANA)] {
            let there = fs::read_dir(tree.join(folder)).unwrap().count();
            assert_eq!(files.iter().filter(|(path, _)| path.starts_with(folder)).count(), there, "{folder}");
        }
    }
}
