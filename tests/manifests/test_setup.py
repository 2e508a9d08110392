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
