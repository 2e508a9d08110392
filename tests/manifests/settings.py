"""Rules about settings: a container gets what its program reads, all that it needs, and nothing that nobody reads.

What the binaries read, they tell themselves (`--help`); what nginx reads stands in its templates.
"""

import os
import re
import subprocess
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from pods import image
from rendering import ROOT

BINARIES = ("gateway", "user", "order", "payment")

# What the official images read (https://github.com/docker-library/docs/tree/master/postgres).
OFFICIAL = {
    "docker.io/library/postgres": {"POSTGRES_DB", "POSTGRES_PASSWORD_FILE"},
    "docker.io/library/rabbitmq": set(),
}

# What stands in the place of an image's own program.
DATABASES = ROOT / "scripts/databases"


@dataclass
class Setting:
    """One of a binary's settings."""

    variable: str
    default: str
    secret: bool
    required: bool


@cache
def settings(binary, subcommand=None):
    """The settings of a binary, or of a subcommand of it, by their variables."""
    folder = Path(os.environ.get("CARGO_TARGET_DIR", ROOT / "target")) / "debug"
    command = [folder / binary] + ([subcommand] if subcommand else []) + ["--help"]
    # Help tells the values that are set; there are none.
    told = subprocess.run(command, env={}, capture_output=True, text=True, check=True).stdout
    usage = next(line for line in told.splitlines() if line.startswith("Usage:"))
    found = {}
    for paragraph in re.split(r"\n {2,6}(?=-)", told):
        variable = re.search(r"\[env: ([A-Z0-9_]+)(=?)", paragraph)
        if variable:
            flag = re.search(r"--[a-z0-9-]+", paragraph).group()
            default = re.search(r"\[default: (.*?)\]", paragraph)
            found[variable.group(1)] = Setting(
                variable=variable.group(1),
                default=default.group(1) if default else "",
                secret=not variable.group(2),
                required=re.search(rf"{flag}[ >]", usage) is not None,
            )
    if not found and not subcommand:
        raise RuntimeError(f"{binary} --help names no setting")
    return found


@cache
def read_by_nginx():
    """Every value that stands in a template."""
    templates = (ROOT / "nginx/templates").rglob("*.template")
    return {name for template in templates for name in re.findall(r"\$\{(NGINX_[A-Z_]+)\}", template.read_text())}


@cache
def brought_by_image():
    """What the Dockerfile gives nginx."""
    return set(re.findall(r"\b(NGINX_[A-Z_]+)=", (ROOT / "Dockerfile").read_text()))


def program(container):
    """The binary that an image of ours runs, and its subcommand."""
    name = image(container).removeprefix("portico/")
    return (name, (container.get("args") or [None])[0]) if name in BINARIES else (None, None)


def read(container):
    """The variables that the program of a container reads."""
    name, subcommand = program(container)
    if "command" in container:
        return {f"{variable}_FILE" for variable in re.findall(r"[A-Z]+_DATABASE_URL", DATABASES.read_text())}
    if name is None:
        return read_by_nginx() if image(container) == "portico/nginx" else OFFICIAL.get(image(container), set())
    known = settings(name, subcommand)
    return set(known) | {f"{one.variable}_FILE" for one in known.values() if one.secret}


def every_variable_is_read_by_the_program_that_gets_it(rendering):
    for workload in rendering.workloads():
        for container in workload.containers:
            for variable in workload.variables(rendering, container).keys() - read(container):
                yield f"{workload}: nobody reads {variable}"


def every_setting_that_has_no_fitting_default_is_given(rendering):
    """A default that names this machine fits nothing that is in a pod of its own."""
    for workload in rendering.workloads():
        for container in workload.containers:
            given = workload.variables(rendering, container)
            for setting in settings(*program(container)).values() if program(container)[0] else ():
                needed = setting.required or "127.0.0.1" in setting.default
                if needed and not given.keys() & {setting.variable, f"{setting.variable}_FILE"}:
                    yield f"{workload}: {setting.variable} is not given"
            if image(container) == "portico/nginx":
                for variable in read_by_nginx() - given.keys() - brought_by_image():
                    yield f"{workload}: {variable} is not given"
            for variable in read(container) - given.keys() if image(container) in OFFICIAL else ():
                yield f"{workload}: {variable} is not given"


def a_secret_comes_from_a_file_and_the_file_from_a_secret(rendering):
    for workload in rendering.workloads():
        for container in workload.containers:
            name, subcommand = program(container)
            secrets = {one.variable for one in settings(name, subcommand).values() if one.secret} if name else set()
            given = workload.variables(rendering, container)
            for variable in secrets & given.keys():
                yield f"{workload}: {variable} stands in its environment"
            for variable, path in given.items():
                named = variable.endswith("_FILE") or path.startswith("/run/secrets/")
                if named and secret_file(workload, container, path) is None:
                    yield f"{workload}: {variable} is {path}, which no Secret is mounted at"
            for one in container.get("env", []):
                if "valueFrom" in one:
                    yield f"{workload}: {one['name']} comes from elsewhere"


def secret_file(workload, container, path):
    """The Secret and the key behind a file of a container, or None."""
    volumes = {volume["name"]: volume.get("secret") for volume in workload.pod.get("volumes", [])}
    for mount in container.get("volumeMounts", []):
        secret = volumes.get(mount["name"])
        if secret and path.startswith(f"{mount['mountPath']}/"):
            file = path.removeprefix(f"{mount['mountPath']}/")
            items = {item["path"]: item["key"] for item in secret.get("items", [])} or {file: file}
            return (secret["secretName"], items[file]) if file in items else None
    return None


RULES = [
    every_variable_is_read_by_the_program_that_gets_it,
    every_setting_that_has_no_fitting_default_is_given,
    a_secret_comes_from_a_file_and_the_file_from_a_secret,
]
