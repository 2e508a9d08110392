//! The configuration of `nginx/`, which is the same here, in compose and in k3s: inside the binary, with its values filled in.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use anyhow::{Context, Result, bail};

use crate::environment::Environment;

/// What stands for a file of the tree.
macro_rules! files {
    ($($path:literal),* $(,)?) => { &[$(($path, include_str!(concat!("../../../../../nginx/", $path)))),*] };
}

/// The files as they are, by their paths in `nginx/`.
const FILES: &[(&str, &str)] = files![
    "conf/client.conf",
    "conf/errors.conf",
    "conf/http.conf",
    "conf/key.conf",
    "conf/log.conf",
    "conf/server.conf",
    "conf/tls.conf",
    "njs/portico.js",
    "templates/key/hash.conf.template",
    "templates/key/hash.module.conf.template",
    "templates/key/plain.conf.template",
    "templates/key/plain.module.conf.template",
    "templates/listen/off.conf.template",
    "templates/listen/on.conf.template",
    "templates/listen/redirect.conf.template",
    "templates/nginx.conf.template",
];

/// Values that someone may want to change, by the variable that does, with what they are else. The rest depends on the
/// place.
const DEFAULTS: [(&str, &str); 11] = [
    ("NGINX_LISTEN", "127.0.0.1:8080"),
    ("NGINX_BODY_KEY", "hash"),
    ("NGINX_REQUESTS_PER_SECOND", "200"),
    ("NGINX_CONNECTIONS_PER_ADDRESS", "256"),
    // Nobody's: the network that is kept for documentation (https://www.rfc-editor.org/rfc/rfc5737).
    ("NGINX_TRUSTED_PROXIES", "192.0.2.0/32"),
    ("NGINX_RESOLVER", "127.0.0.1"),
    ("NGINX_TLS", "off"),
    ("NGINX_TLS_LISTEN", "127.0.0.1:8443"),
    ("NGINX_TLS_CERTIFICATE", ""),
    ("NGINX_TLS_KEY", ""),
    ("NGINX_NJS_MODULE", ""),
];

/// The values of the configuration, by the names that stand for them there.
#[derive(Clone, Debug)]
pub struct Values(BTreeMap<&'static str, String>);

impl Values {
    /// Those of the environment, and else the usual ones.
    pub fn of(environment: &Environment) -> Self {
        let value = |(name, usual)| (name, environment.text(name).unwrap_or(usual).to_owned());
        Self(DEFAULTS.map(value).into())
    }

    /// The same with another value.
    #[must_use]
    pub fn with(mut self, name: &'static str, value: impl Into<String>) -> Self {
        self.0.insert(name, value.into());
        self
    }

    /// One of them; empty when it is not there.
    pub fn get(&self, name: &str) -> &str {
        self.0.get(name).map(String::as_str).unwrap_or_default()
    }

    /// `template` with every `${NAME}` filled in, as `envsubst` does it for images. The line of the gateway is there once for
    /// each of several.
    fn fill(&self, template: &str) -> Result<String> {
        let template: String =
            template.split_inclusive('\n').map(|line| self.once_for_each_gateway(line)).collect();
        let mut filled = String::with_capacity(template.len());
        let mut rest = template.as_str();
        while let Some((before, after)) = rest.split_once("${NGINX_") {
            let (name, behind) = after.split_once('}').context("a value's name has no end")?;
            let name = format!("NGINX_{name}");
            let Some(value) = self.0.get(name.as_str()) else { bail!("{name} has no value") };
            filled.push_str(before);
            filled.push_str(value);
            rest = behind;
        }
        filled.push_str(rest);
        Ok(filled)
    }

    fn once_for_each_gateway(&self, line: &str) -> String {
        const GATEWAY: &str = "${NGINX_GATEWAY}";
        if !line.contains(GATEWAY) {
            return line.to_owned();
        }
        self.get("NGINX_GATEWAY").split(',').map(|one| line.replace(GATEWAY, one.trim())).collect()
    }
}

/// Writes the tree into `folder`: the files as they are, and those with values into its folder `filled`.
///
/// # Errors
/// When a file can't be written, or a value is missing.
pub(super) fn write(folder: &Path, values: &Values) -> Result<()> {
    for (path, text) in FILES {
        let template = path.strip_prefix("templates/").and_then(|path| path.strip_suffix(".template"));
        match template {
            Some(path) => write_file(&folder.join("filled").join(path), &values.fill(text)?)?,
            None => write_file(&folder.join(path), text)?,
        }
    }
    Ok(())
}

fn write_file(file: &Path, text: &str) -> Result<()> {
    let folder = file.parent().context("a file of the tree is in no folder")?;
    let written = fs::create_dir_all(folder).and_then(|()| fs::write(file, text));
    written.with_context(|| format!("cannot write {}", file.display()))
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;
    use std::path::PathBuf;

    use super::*;

    fn folder() -> PathBuf {
        Path::new(env!("CARGO_MANIFEST_DIR")).join("../../nginx")
    }

    fn files_in(folder: &Path, found: &mut Vec<PathBuf>) {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() { files_in(&path, found) } else { found.push(path) }
        }
    }

    /// The names between `${` and `}`.
    fn names(text: &str) -> impl Iterator<Item = &str> {
        text.split("${").skip(1).filter_map(|rest| Some(rest.split_once('}')?.0))
    }

    #[test]
    fn the_binary_carries_every_file_of_the_tree() {
        let mut found = Vec::new();
        files_in(&folder(), &mut found);
        let found = found.iter().map(|path| path.strip_prefix(folder()).unwrap().to_str().unwrap());
        let found: BTreeSet<_> = found.filter(|path| path.contains('/')).collect();
        assert_eq!(found, FILES.iter().map(|(path, _)| *path).collect());
    }

    #[test]
    fn only_templates_have_values_and_the_readme_tells_each() {
        let readme = fs::read_to_string(folder().join("README.md")).unwrap();
        for (path, text) in FILES {
            let names: Vec<_> = names(text).collect();
            assert!(names.is_empty() || path.ends_with(".template"), "{path}");
            for name in names {
                assert!(readme.contains(&format!("| `{name}` |")), "{name}");
            }
        }
    }

    #[test]
    fn a_value_is_filled_in_wherever_its_name_stands_and_a_missing_one_is_named() {
        let values = Values(BTreeMap::from([("NGINX_A", "one".to_owned())]));
        assert_eq!(values.fill("${NGINX_A} $uri ${NGINX_A};").unwrap(), "one $uri one;");
        assert!(values.fill("${NGINX_B}").unwrap_err().to_string().contains("NGINX_B"));
    }

    #[test]
    fn each_of_several_gateways_has_a_line_of_its_own() {
        let values = Values(BTreeMap::from([("NGINX_GATEWAY", "one:1, other:2".to_owned())]));
        let filled = values.fill("{\n  server ${NGINX_GATEWAY} x;\n}").unwrap();
        assert_eq!(filled, "{\n  server one:1 x;\n  server other:2 x;\n}");
    }

    #[test]
    fn every_header_by_which_the_gateway_is_asked_for_more_bypasses_the_cache() {
        let mut sources = Vec::new();
        files_in(&folder().join("../gateway/src"), &mut sources);
        let sources: String =
            sources.iter().map(|file| fs::read_to_string(file).unwrap().to_lowercase()).collect();
        let key = include_str!("../../../../../nginx/conf/key.conf");
        for rest in sources.split("\"x-portico-").skip(1) {
            let name = rest.split('"').next().unwrap().replace('-', "_");
            assert!(key.contains(&format!("$http_x_portico_{name}")), "x-portico-{name}");
        }
    }
}
