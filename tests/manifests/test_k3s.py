"""What `make k3s-...` asks of a cluster, and in which order. The cluster is the stand-in beside this file, and kubectl is asked whether
it would take each command; that names and labels are those of the manifests is looked up in these."""

import json
import os
import subprocess

import pytest

from rendering import ROOT, WORKLOADS

IMAGES = [f"portico/{name}" for name in ("gateway", "user", "order", "payment", "nginx")]
# Stands for docker and for the node's own containerd.
RECORDER = """#!/usr/bin/env python3
import json, os, sys
read = sys.stdin.read() if sys.argv[-1] == "-" else ""
print(json.dumps([os.path.basename(sys.argv[0]), *sys.argv[1:], *read.split()]), file=open(os.environ["CALLS"], "a"))
if sys.argv[1] == "save":
    print(*sys.argv[2:])
"""


@pytest.fixture
def k3s_command(tmp_path, target):
    """Runs `scripts/k3s`, and gives what it told and what it asked for."""
    for folder in ("cluster", "bin"):
        (tmp_path / folder).mkdir()
    for name in ("docker", "ctr"):
        (tmp_path / "bin" / name).write_text(RECORDER)
        (tmp_path / "bin" / name).chmod(0o755)
    calls = tmp_path / "calls"
    settings = {
        "CLUSTER": str(tmp_path / "cluster"),
        "CALLS": str(calls),
        "KUBECTL": str(ROOT / "tests/manifests/kubectl"),
        "PORTICO": str(target / "portico"),
        "PATH": f"{tmp_path / 'bin'}:{os.environ['PATH']}",
        "CTR": "ctr",
    }

    def run(*arguments, **more):
        calls.write_text("")
        told = subprocess.run(["scripts/k3s", *arguments], cwd=ROOT, env=os.environ | settings | more, capture_output=True, text=True, check=False)
        return told, [json.loads(line) for line in calls.read_text().splitlines()]

    run.created = lambda: json.loads((tmp_path / "cluster" / "created").read_text())
    return run


def labels(call):
    """What `--selector` asks for."""
    text = call[call.index("--selector") + 1]
    return dict(one.split("=") for one in text.split(","))


def asked(calls, *words):
    """The places of the commands that begin with these words, after the namespace."""
    plain = [[word for word in call if word not in ("--namespace", "portico")] for call in calls]
    return [place for place, call in enumerate(plain) if call[: len(words)] == list(words)]


@pytest.mark.parametrize("overlay", ["k3s", "k3s-tls"])
def test_up_makes_secrets_and_images_then_applies_then_waits_for_all_that_the_manifests_have(k3s_command, renderings, overlay):
    told, calls = k3s_command("up", OVERLAY=overlay)
    assert told.returncode == 0, told.stderr
    k3s = renderings[overlay]
    version = k3s.workload("gateway").object["metadata"]["labels"]["app.kubernetes.io/version"]
    (applied,) = asked(calls, "kubectl", "apply", "--kustomize", f"k8s/overlays/{overlay}")
    assert max(asked(calls, "kubectl", "create", "secret")) < min(asked(calls, "docker", "compose")) < asked(calls, "ctr")[0] < applied
    assert calls[asked(calls, "ctr")[0]][-len(IMAGES) :] == [f"{image}:{version}" for image in IMAGES]
    waits = [calls[place][-2] for place in asked(calls, "kubectl", "rollout", "status")]
    assert sorted(waits) == sorted(f"{one.object['kind'].lower()}/{one.name}" for one in k3s.workloads() if one.object["kind"] in ("Deployment", "StatefulSet"))
    jobs = [one.name for one in k3s.selected(labels(calls[asked(calls, "kubectl", "wait", "job")[0]])) if one.object["kind"] == "Job"]
    assert sorted(jobs) == sorted(one.name for one in k3s.workloads() if one.object["kind"] == "Job")
    assert min(asked(calls, "kubectl", "rollout", "status")) > applied


@pytest.mark.parametrize("overlay", ["external", "external-ca"])
def test_databases_elsewhere_need_secrets_that_say_where_and_no_waiting(k3s_command, overlay):
    told, calls = k3s_command("setup", OVERLAY=overlay)
    assert told.returncode == 1 and "there is no Secret user" in told.stderr and not asked(calls, "kubectl", "create")
    told, calls = k3s_command("deploy", OVERLAY=overlay)
    assert told.returncode == 0, told.stderr
    assert not [call for call in calls if any(word.startswith("statefulset/") for word in call)]


def test_redeploy_runs_the_migrations_of_this_version_once_more(k3s_command, k3s):
    told, calls = k3s_command("redeploy")
    assert told.returncode == 0, told.stderr
    (deleted,) = asked(calls, "kubectl", "delete", "job")
    assert len([one for one in k3s.selected(labels(calls[deleted])) if one.object["kind"] == "Job"]) == 3
    (applied,) = asked(calls, "kubectl", "apply", "--kustomize", "k8s/overlays/k3s")
    (restarted,) = asked(calls, "kubectl", "rollout", "restart")
    assert asked(calls, "ctr")[0] < deleted < applied < restarted < asked(calls, "kubectl", "rollout", "status")[0]


def test_clean_takes_everything_but_volumes_and_secrets(k3s_command, k3s):
    told, calls = k3s_command("clean")
    assert told.returncode == 0 and "DATA=delete" in told.stdout, told.stderr
    (call,) = (call for call in calls if "delete" in call)
    kinds = call[call.index("delete") + 1].split(",")
    part_of = labels(call)
    for one in k3s.objects:
        kept = one["kind"] in ("Namespace", "PersistentVolumeClaim", "Secret", "CronJob", "Middleware", "ServiceAccount")
        assert kept or (one["kind"].lower() in kinds and part_of.items() <= one["metadata"]["labels"].items()), one["metadata"]["name"]
    assert not {"persistentvolumeclaim", "secret"} & set(kinds)


def test_clean_takes_the_data_too_where_that_is_said(k3s_command):
    told, calls = k3s_command("clean", DATA="delete")
    assert told.returncode == 0 and calls == [["kubectl", "delete", "namespace", "portico", "--ignore-not-found"]]


def test_logs_are_those_of_a_pod_that_there_is(k3s_command, k3s):
    for workload in k3s.workloads():
        if workload.object["kind"] not in ("Deployment", "StatefulSet"):
            continue
        told, calls = k3s_command("logs", SERVICE=workload.name)
        assert told.returncode == 0 and workload.name in {one.name for one in k3s.selected(labels(calls[0]))}, told.stderr
    told, calls = k3s_command("logs", SERVICE="")
    assert told.returncode == 1 and "which one?" in told.stderr and not calls


def test_status_asks_for_kinds_that_there_are(k3s_command):
    told, calls = k3s_command("status")
    assert told.returncode == 0 and len(calls) == 1, told.stderr


def test_a_backup_now_is_the_nightly_one(k3s_command, k3s):
    told, _ = k3s_command("backup")
    assert told.returncode == 0, told.stderr
    nightly = k3s.find("CronJob", "backup")["spec"]["jobTemplate"]["spec"]
    assert k3s_command.created()["spec"]["template"]["spec"]["containers"] == nightly["template"]["spec"]["containers"]


def test_a_restore_runs_while_nobody_is_in_the_databases(k3s_command, k3s):
    told, calls = k3s_command("restore", FROM="2026-11-21T02-17-00Z", SERVICE="order")
    assert told.returncode == 0, told.stderr
    down, up = asked(calls, "kubectl", "scale")
    assert "--replicas=0" in calls[down] and "--replicas=2" in calls[up]
    scaled = {name.removeprefix("deployment/") for name in calls[down] if name.startswith("deployment/")}
    services = {one.name for one in k3s.workloads() if one.object["kind"] == "Deployment" and one.labels["app.kubernetes.io/component"] == "service"}
    assert services <= scaled == {name.removeprefix("deployment/") for name in calls[up] if name.startswith("deployment/")}
    (restored,) = asked(calls, "kubectl", "create", "--filename")
    assert down < restored < asked(calls, "kubectl", "apply")[0] < up
    (container,) = k3s_command.created()["spec"]["template"]["spec"]["containers"]
    assert container["args"] == ["exec bash /scripts/databases restore /backups/2026-11-21T02-17-00Z order --replace"]


@pytest.mark.parametrize(("given", "told"), [({"FROM": ""}, "which backup?"), ({"FROM": "; rm"}, "which backup?"), ({"FROM": "2026", "SERVICE": "nginx"}, "no database")])
def test_a_restore_that_makes_no_sense_is_refused_before_anything_stops(k3s_command, given, told):
    answer, calls = k3s_command("restore", **given)
    assert answer.returncode == 1 and told in answer.stderr and not calls


def test_an_unknown_target_says_which_there_are(k3s_command):
    told, calls = k3s_command("frobnicate")
    assert told.returncode == 1 and "redeploy" in told.stderr and not calls


def test_every_kind_of_workload_is_known_here(renderings):
    for rendering in renderings.values():
        assert {one.object["kind"] for one in rendering.workloads()} <= set(WORKLOADS)
