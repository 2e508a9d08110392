//! Grafana: which program, what it shows, its start. No distribution of ours has a package of it, so it is taken where it is
//! installed and never fetched.

use std::path::{Path, PathBuf};

use anyhow::Result;

use super::files::{self, GRAFANA};
use super::{GENTLY, Service, shown};
use crate::child::{Child, Spec};
use crate::environment::{Environment, Owner};
use crate::ports;
use crate::state::State;

/// Its folder inside the state folder.
const FOLDER: &str = "grafana";

/// What is said when there is none.
pub(super) const HOW_TO_GET_IT: &str = "No Grafana: install it (https://grafana.com/grafana/download, `brew install grafana`) and \
     start again; the status page and Prometheus need none";

/// Grafana's program and the folder with its own files.
#[derive(Debug)]
pub(super) struct Program {
    program: PathBuf,
    home: PathBuf,
}

/// The installed one, if any: the program in PATH, and its files where its packages put them.
pub(super) fn find(environment: &Environment) -> Option<Program> {
    let usual = PathBuf::from("/usr/share/grafana/bin/grafana");
    let program = environment.program("grafana").or_else(|| usual.is_file().then_some(usual))?;
    let real = program.canonicalize().ok()?;
    // An archive and Debian's package have it in `bin` of that folder, brew's beside `share/grafana`.
    let above = real.parent()?.parent()?;
    let homes = [above.to_owned(), above.join("share/grafana"), PathBuf::from("/usr/share/grafana")];
    let home = homes.into_iter().find(|home| home.join("conf/defaults.ini").is_file())?;
    Some(Program { program: real, home })
}

/// Writes what it shows and starts it. Whoever reaches its port may look, and nobody may change anything.
pub(super) async fn start(
    program: &Program,
    prometheus: &str,
    state: &State,
    owner: Option<Owner>,
) -> Result<Service> {
    let folder = state.folder_of_backend(FOLDER, owner)?;
    for (path, text) in GRAFANA {
        let path = path.trim_start_matches("grafana/");
        let text = text
            .replace("http://prometheus:9090", prometheus)
            .replace("/etc/grafana/dashboards", &shown(&folder.join("dashboards")));
        files::write(&folder, path, &text, owner)?;
    }
    let [port] = ports::free()?;
    let password = state.secret("grafana_password").await?;
    let spec = Spec {
        name: "grafana",
        program: &program.program,
        arguments: vec!["server".into(), "--homepath".into(), program.home.clone().into()],
        environment: settings(&folder, port, &password),
        folder: &folder,
        owner,
        gently: GENTLY.0,
    };
    let child = Child::start(spec, state).await?;
    Service::until_it_answers(child, "Grafana", port, "/api/health").await
}

/// Its settings, as its own variables have them.
fn settings(folder: &Path, port: u16, password: &str) -> Vec<(&'static str, std::ffi::OsString)> {
    let path = |name: &str| folder.join(name).into_os_string();
    vec![
        ("PATH", "/usr/bin:/bin".into()),
        ("HOME", folder.into()),
        ("GF_PATHS_DATA", path("data")),
        ("GF_PATHS_LOGS", path("logs")),
        ("GF_PATHS_PLUGINS", path("plugins")),
        ("GF_PATHS_PROVISIONING", path("provisioning")),
        ("GF_SERVER_HTTP_ADDR", "127.0.0.1".into()),
        ("GF_SERVER_HTTP_PORT", port.to_string().into()),
        ("GF_SECURITY_ADMIN_PASSWORD", password.into()),
        ("GF_AUTH_ANONYMOUS_ENABLED", "true".into()),
        ("GF_AUTH_ANONYMOUS_ORG_ROLE", "Viewer".into()),
        ("GF_ANALYTICS_REPORTING_ENABLED", "false".into()),
        ("GF_ANALYTICS_CHECK_FOR_UPDATES", "false".into()),
        ("GF_ANALYTICS_CHECK_FOR_PLUGIN_UPDATES", "false".into()),
        ("GF_LOG_MODE", "console".into()),
        ("GF_DASHBOARDS_DEFAULT_HOME_DASHBOARD_PATH", path("dashboards/glance.json")),
    ]
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    #[test]
    fn the_program_is_found_with_its_files_as_archives_and_brew_lay_them_out() {
        let folder = std::env::temp_dir().join(format!("portico-grafana-{}", std::process::id()));
        for (files, program) in [("archive", "archive/bin"), ("brew/share/grafana", "brew/bin")] {
            for path in [folder.join(program).join("grafana"), folder.join(files).join("conf/defaults.ini")] {
                fs::create_dir_all(path.parent().unwrap()).unwrap();
                fs::write(path, "").unwrap();
            }
            let path = folder.join(program);
            let found = find(&Environment::made_of([("PATH", path.to_str().unwrap())], false)).unwrap();
            assert_eq!(found.home, folder.canonicalize().unwrap().join(files));
        }
        fs::remove_dir_all(&folder).unwrap();
    }

    #[test]
    fn what_it_shows_is_asked_of_our_prometheus_and_read_from_our_folder() {
        let told: String = GRAFANA.iter().map(|(_, text)| *text).collect();
        assert_eq!(told.matches("http://prometheus:9090").count(), 1, "the address that is replaced");
        assert_eq!(told.matches("/etc/grafana/dashboards").count(), 1, "the folder that is replaced");
    }
}
