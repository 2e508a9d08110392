"""`make k3s-setup` on a cluster that keeps Secrets and nothing else (kubectl beside this file)."""

import base64
import json
import os
import subprocess
from urllib.parse import urlsplit

import pytest

from rendering import ROOT


@pytest.fixture
def cluster(tmp_path, target):
    """Runs the set-up, and tells what is in the Secrets afterwards."""
    folder = tmp_path / "cluster"
    folder.mkdir()
    settings = {"CLUSTER": str(folder), "KUBECTL": str(ROOT / "tests/manifests/kubectl"), "PORTICO": str(target / "portico")}

    def set_up():
        subprocess.run(["scripts/k3s", "setup"], cwd=ROOT, env=os.environ | settings, check=True, capture_output=True)
        kept = {file.name: json.loads(file.read_text()) for file in folder.iterdir()}
        return {name: {key: base64.b64decode(value).decode() for key, value in keys.items()} for name, keys in kept.items()}

    set_up.folder = folder
    return set_up


def passwords(secrets):
    return {
        (name, key): value
        for name, keys in secrets.items()
        for key, value in keys.items()
        # Made anew of the same passwords, with new salt.
        if key != "definitions.json"
    }


def test_secrets_are_made_once_and_never_overwritten(cluster):
    first = cluster()
    assert first.keys() == {"gateway", "user", "order", "payment", "user-db", "order-db", "payment-db", "rabbitmq"}
    assert passwords(cluster()) == passwords(first)


def test_two_clusters_share_no_secret(cluster, secrets):
    here = passwords(cluster())
    assert here.keys() == passwords(secrets).keys()
    assert not [key for key, value in passwords(secrets).items() if here[key] == value]


def test_a_secret_that_is_gone_is_made_of_what_the_others_know(cluster):
    first = cluster()
    for name in ("gateway", "order", "rabbitmq"):
        (cluster.folder / name).unlink()
    second = cluster()
    assert second["gateway"] == first["gateway"] | {"amqp-url": second["gateway"]["amqp-url"]}
    assert second["order"]["database-url"] == first["order"]["database-url"]
    assert second["rabbitmq"]["password-payment"] == first["rabbitmq"]["password-payment"]
    for account in ("user", "order", "payment", "gateway"):
        assert urlsplit(second[account]["amqp-url"]).password == second["rabbitmq"][f"password-{account}"]


def test_passwords_fit_one_another(cluster):
    secrets = cluster()
    for service in ("user", "order", "payment"):
        url = urlsplit(secrets[service]["database-url"])
        assert (url.hostname, url.password) == (f"{service}-db", secrets[f"{service}-db"]["database_password"])
    definitions = json.loads(secrets["rabbitmq"]["definitions.json"])
    assert {user["name"] for user in definitions["users"]} == {"portico", "user", "order", "payment", "gateway", "subscriber"}
    assert len(base64.b64decode(secrets["user"]["secret-key"])) == 32


def test_the_command_portico_works_on_the_cluster_from_outside(tmp_path, target, secrets):
    """Its databases and RabbitMQ are those of `portico with`, behind the names that they have in the cluster."""
    folder = tmp_path / "cluster"
    folder.mkdir()
    keep = {"user": {"secret-key": secrets["user"]["secret-key"]}, "order": {}, "payment": {}, "rabbitmq": {}}
    for name, secret, key, inside in (
        *((f"{one.upper()}_DATABASE_URL", one, "database-url", f"{one}-db:5432") for one in ("user", "order", "payment")),
        ("AMQP_URL", "rabbitmq", "administrator-url", "rabbitmq:5672"),
    ):
        here = urlsplit(os.environ[name])
        address = here.netloc.rpartition("@")[2]
        (tmp_path / inside.partition(":")[0]).write_text(address)
        keep[secret][key] = os.environ[name].replace(address, inside)
    for name, keys in keep.items():
        (folder / name).write_text(json.dumps({key: base64.b64encode(value.encode()).decode() for key, value in keys.items()}))
    run = {name: value for name, value in os.environ.items() if not name.endswith("_URL")}
    run |= {"CLUSTER": str(folder), "KUBECTL": str(ROOT / "tests/manifests/kubectl"), "PORTICO": str(target / "portico")}
    told = subprocess.run(["scripts/k3s", "portico", "migrate", "up"], cwd=ROOT, env=run, capture_output=True, text=True, check=False)
    assert told.returncode == 0 and told.stdout.count(": at ") == 3, told.stderr
    told = subprocess.run(["scripts/k3s", "portico", "events", "outbox", "status"], cwd=ROOT, env=run, capture_output=True, text=True, check=False)
    assert told.returncode == 0, told.stderr
