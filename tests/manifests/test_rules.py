"""Holds each rule against each overlay. That each rule can be broken at all, test_broken.py holds."""

import pytest

import pods
import settings
import versions
import ways
import wiring

RULES = [*wiring.RULES, *pods.RULES, *settings.RULES, *versions.RULES]


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.__name__)
def test_the_manifests_keep_the_rule(rendering, rule):
    assert list(rule(rendering)) == []


def test_every_needed_way_is_open_and_no_other(rendering, secrets):
    assert list(ways.every_needed_way_is_open_and_no_other(rendering, secrets_of(rendering, secrets))) == []


def test_every_secret_that_is_named_is_made_with_the_keys_that_are_read(k3s, secrets):
    for workload in k3s.workloads():
        for volume in workload.pod.get("volumes", []):
            if "secret" in volume:
                made = secrets[volume["secret"]["secretName"]]
                assert {item["key"] for item in volume["secret"].get("items", [])} <= made.keys()
        for container in workload.containers:
            for variable, path in workload.variables(k3s, container).items():
                if variable.endswith("_FILE"):
                    secret, key = settings.secret_file(workload, container, path)
                    assert secrets[secret][key], f"{workload}: {variable}"


def secrets_of(rendering, secrets):
    """With databases elsewhere, the URLs name hosts that are not ours."""
    if not rendering.overlay.startswith("external"):
        return secrets
    outside = {"database-url": "postgres://db.example.com/x", "amqp-url": "amqps://mq.example.com/%2f"}
    return {name: {key: outside.get(key, value) for key, value in keys.items()} for name, keys in secrets.items()}
