//! Prometheus: which program, what it asks, its start.

use std::path::{Path, PathBuf};

use anyhow::Result;

use super::files::{self, RULES};
use super::{GENTLY, Service, Targets, shown};
use crate::child::{Child, Spec};
use crate::environment::{Environment, Owner};
use crate::ports;
use crate::progress::Progress;
use crate::state::State;
use crate::tools;

/// Its folder inside the state folder.
const FOLDER: &str = "prometheus";

/// The program, installed or from the distribution's package.
pub(super) async fn find(environment: &Environment, progress: &Progress) -> Result<PathBuf> {
    tools::program("prometheus", environment, progress).await
}

/// Writes its configuration and starts it.
pub(super) async fn start(
    program: &Path,
    targets: &Targets,
    state: &State,
    owner: Option<Owner>,
) -> Result<Service> {
    let folder = state.folder_of_backend(FOLDER, owner)?;
    for (path, text) in RULES {
        files::write(&folder, path, text, owner)?;
    }
    files::write(&folder, "prometheus.yml", &configuration(targets), owner)?;
    let [port] = ports::free()?;
    let arguments = [
        format!("--config.file={}", shown(&folder.join("prometheus.yml"))),
        format!("--storage.tsdb.path={}", shown(&folder.join("data"))),
        "--storage.tsdb.retention.time=2d".to_owned(),
        format!("--web.listen-address=127.0.0.1:{port}"),
        "--log.level=warn".to_owned(),
    ];
    let spec = Spec {
        name: "prometheus",
        program,
        arguments: arguments.map(Into::into).into(),
        environment: vec![("PATH", "/usr/bin:/bin".into())],
        folder: &folder,
        owner,
        gently: GENTLY.0,
    };
    let child = Child::start(spec, state).await?;
    Service::until_it_answers(child, "Prometheus", port, "/-/ready").await
}

/// How what one process tells is taken apart again: rules and dashboards know each service by its `job`. What names a service
/// by its first word is that service's, and everything else the gateway's.
const OWNERS: [(&str, &str); 6] = [
    ("rpc_server_.+", "rpc_method"),
    ("outbox_.+|relay_.+|messaging_client_.+", "source"),
    ("messaging_process_.+|event_retries_total|dead_letters_total|events_unknown_total", "consumer"),
    ("broker_.+", "connection"),
    ("db_client_.+", "db_client_connection_pool_name"),
    ("rpc_server_shed_total|fault_injected_total", "service"),
];

/// That of `observability/prometheus.yml`, for a system in one process: each job asks the same port and keeps its own.
fn configuration(targets: &Targets) -> String {
    let Targets { system, rabbitmq } = targets;
    let mut text = "global: { scrape_interval: 5s, evaluation_interval: 5s }\nrule_files: [rules/*.yml]\nscrape_configs:\n".to_owned();
    for job in runtime::measure::EVERY {
        text += &format!(
            "  - job_name: {job}\n    static_configs: [{{ targets: [\"{system}\"] }}]\n    metric_relabel_configs:\n"
        );
        text += "      - { target_label: __tmp_job, replacement: gateway }\n";
        for (metrics, label) in OWNERS {
            text += &format!(
                "      - {{ source_labels: [__name__, {label}], regex: \"(?:{metrics});(user|order|payment)\\\\b.*\", target_label: __tmp_job, replacement: \"$1\" }}\n"
            );
        }
        text += "      - { source_labels: [__name__], regex: password_.+, target_label: __tmp_job, replacement: user }\n";
        text += &format!(
            "      - {{ source_labels: [__name__], regex: \"process_.+|portico_build_info\", target_label: __tmp_job, replacement: {job} }}\n"
        );
        text += &format!("      - {{ source_labels: [__tmp_job], regex: {job}, action: keep }}\n");
        text += "      - { regex: __tmp_job, action: labeldrop }\n";
    }
    if let Some(rabbitmq) = rabbitmq {
        text += &format!("  - {{ job_name: rabbitmq, static_configs: [{{ targets: [\"{rabbitmq}\"] }}] }}\n");
        text += &format!(
            "  - {{ job_name: rabbitmq-queues, metrics_path: /metrics/detailed, params: {{ family: [queue_coarse_metrics] }}, static_configs: [{{ targets: [\"{rabbitmq}\"] }}] }}\n"
        );
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_job_asks_the_one_process_and_keeps_what_is_its_own() {
        let targets = Targets { system: "127.0.0.1:9400".into(), rabbitmq: None };
        let text = configuration(&targets);
        for job in runtime::measure::EVERY {
            assert!(
                text.contains(&format!("job_name: {job}\n"))
                    && text.contains(&format!("regex: {job}, action: keep"))
            );
        }
        assert!(!text.contains("rabbitmq"), "{text}");
        let with = configuration(&Targets { rabbitmq: Some("127.0.0.1:15692".into()), ..targets });
        assert_eq!(with.matches("127.0.0.1:15692").count(), 2);
    }
}
