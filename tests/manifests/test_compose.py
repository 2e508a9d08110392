"""Rules about docker-compose.yml, as Compose itself reads it: who is confined, who faces out, what each is told."""

import json
import re
import subprocess
from pathlib import Path

import pytest

from rendering import ROOT
from settings import BINARIES, read_by_nginx, settings

FILES = ["docker-compose.yml", "docker/infra.yml"]
# What Compose itself reads of .env, and what stands there without a default.
COMPOSE, OPEN = {"COMPOSE_PROFILES"}, {"GATEWAY_CORS_ORIGINS"}


def compose(*arguments, files=FILES[:1]):
    given = [part for file in files for part in ("-f", file)]
    command = ["docker-compose", *given, "--env-file", ".env.example", "--profile", "*", "config", *arguments]
    return subprocess.run(command, cwd=ROOT, env=None, capture_output=True, text=True, check=True).stdout


@pytest.fixture(scope="module")
def services():
    return json.loads(compose("--format", "json"))["services"]


def ours(services):
    """Each service that runs a binary of ours: its name, the binary, its subcommand, and itself."""
    for name, service in services.items():
        binary = service["image"].removeprefix("portico/").partition(":")[0]
        if binary in BINARIES:
            yield name, binary, (service.get("command") or [None])[0], service


@pytest.mark.parametrize("files", [FILES[:1], FILES, ["docker-compose.yml", "tests/compose/images.yml"]])
def test_compose_takes_the_files_without_a_complaint(files):
    assert compose("--quiet", files=files) == ""


def test_env_example_names_each_variable_that_is_used_with_the_default_that_it_has():
    told = dict(re.findall(r"^([A-Z_]+)=(.*)$", (ROOT / ".env.example").read_text(), re.MULTILINE))
    text = "".join(re.sub(r"(^|[ \t]+)#.*", "", (ROOT / file).read_text()) for file in FILES)
    used = dict(re.findall(r"\$\{([A-Z_]+):-([^}]*)\}", text))
    assert len(re.findall(r"\$\{?[A-Za-z_]", text)) == len(re.findall(r"\$\{[A-Z_]+:-", text)), "each has a default"
    assert {name: value for name, value in told.items() if name not in COMPOSE} == used
    assert set(re.findall(r"^#([A-Z_]+)=", (ROOT / ".env.example").read_text(), re.MULTILINE)) == OPEN
    assert set(re.findall(r"^ +([A-Z_]+):$", text, re.MULTILINE)) == OPEN


def test_everything_has_limits_a_restart_policy_and_a_health_check(services):
    for name, service in services.items():
        limits = service["deploy"]["resources"]["limits"]
        assert {"cpus", "memory", "pids"} <= limits.keys(), name
        once = name.endswith("-migrate") or service.get("profiles") == ["commands"]
        assert service["restart"] == ("no" if once else "unless-stopped"), name
        # The images from the Dockerfile have theirs built in.
        checked = service["image"].startswith("portico/") or "test" in service.get("healthcheck", {})
        assert checked or once, name
        assert service.get("healthcheck", {}).get("disable", False) == once, name


def test_everything_gives_up_what_it_can(services):
    for name, service in services.items():
        assert service["read_only"] and service["cap_drop"] == ["ALL"], name
        assert service["security_opt"] == ["no-new-privileges:true"], name
        assert not {"privileged", "cap_add", "container_name", "network_mode"} & service.keys(), name
        folders = [volume for volume in service.get("volumes", []) if volume["type"] == "bind"]
        assert all(folder.get("read_only") or folder["target"] == "/backups" for folder in folders), name
        assert all(Path(folder["source"]).exists() or folder["target"] == "/backups" for folder in folders), name


def test_what_runs_and_ends_is_not_started_with_the_rest(services):
    once = {name for name, service in services.items() if service["restart"] == "no"}
    assert {name for name in once if services[name]["profiles"] == ["commands"]} == {"portico", "backup"}
    assert all(services[name]["profiles"] == ["app"] for name in once - {"portico", "backup"})


def test_only_nginx_can_be_reached_from_another_machine(services):
    ports = {name: service["ports"] for name, service in services.items() if "ports" in service}
    for name in ports.keys() - {"nginx"}:
        assert all(port["host_ip"] == "127.0.0.1" for port in ports[name]), name
        assert not set(services[name]["profiles"]) - {"observability", "tools"}, name
    networks = json.loads(compose("--format", "json"))["networks"]
    outward = {name for name, network in networks.items() if not network.get("internal")}
    assert {name for name, service in services.items() if "edge" in service["networks"]} == {"gateway", "nginx"}
    assert outward == {"edge", "pages"}


def test_a_database_is_reached_by_its_own_service_alone(services):
    for database in ("user", "order", "payment"):
        of_network = {name for name, service in services.items() if f"{database}-data" in service["networks"]}
        operators = {name for name in of_network if services[name].get("profiles") in (["tools"], ["commands"])}
        assert of_network - operators == {f"{database}-db", f"{database}-migrate", database}


def test_everything_waits_until_what_it_stands_on_is_well(services):
    for name, _, subcommand, service in ours(services):
        for other, wanted in service["depends_on"].items():
            condition = "service_completed_successfully" if other.endswith("-migrate") else "service_healthy"
            assert wanted["condition"] == condition, f"{name} on {other}"
        if subcommand is None and name != "gateway":
            assert {f"{name}-migrate", f"{name}-db", "rabbitmq"} <= service["depends_on"].keys()


def test_a_binary_is_told_all_that_it_needs_and_nothing_that_it_does_not_read(services):
    for name, binary, subcommand, service in ours(services):
        known, given = settings(binary, subcommand), service["environment"].keys()
        by_file = {f"{one.variable}_FILE" for one in known.values() if one.secret}
        assert given <= known.keys() | by_file, name
        assert not given & {one.variable for one in known.values() if one.secret}, f"{name}: secrets are files"
        for setting in known.values():
            needed = setting.required or ("127.0.0.1" in setting.default and "_LISTEN" not in setting.variable)
            assert not needed or given & {setting.variable, f"{setting.variable}_FILE"}, f"{name}: {setting.variable}"
    assert services["nginx"]["environment"].keys() <= read_by_nginx()


def test_every_secret_is_a_file_that_git_does_not_see_and_that_the_script_makes(tmp_path):
    secrets = json.loads(compose("--format", "json"))["secrets"]
    assert all(secret["file"] == f"{ROOT}/secrets/{name}" for name, secret in secrets.items())
    assert subprocess.run(["git", "check-ignore", "-q", "secrets/user_secret_key"], cwd=ROOT, check=False).returncode == 0
    made = tmp_path / "secrets"
    run = ["env", f"SECRETS_DIR={made}", "scripts/secrets", "echo"]
    subprocess.run(run, cwd=ROOT, check=True)
    first = {file.name: file.read_text() for file in made.iterdir() if file.is_file()}
    assert secrets.keys() <= first.keys()
    assert made.stat().st_mode & 0o777 == 0o700
    subprocess.run(run, cwd=ROOT, check=True)
    assert first == {file.name: file.read_text() for file in made.iterdir() if file.is_file()}, "a second run keeps them"
