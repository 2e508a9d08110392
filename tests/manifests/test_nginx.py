"""Lets nginx itself read the configuration that its pod would have: the real templates, filled with the values of the manifests
and of the image.

Two things can't be as they are in a cluster. Nobody here knows its names, so they stand for this machine. And what
follows a name that changes (`resolve`) came with nginx 1.27.3, so it is left out where nginx is older than the image's.
"""

import os
import re
import subprocess

from rendering import ROOT

TEMPLATES = ROOT / "nginx/templates"


def image():
    """What the Dockerfile sets for nginx."""
    stage = (ROOT / "Dockerfile").read_text().split(" AS nginx\n", 1)[1].split("\nFROM ", 1)[0]
    return dict(re.findall(r"\b(NGINX_[A-Z_]+)=(\S*)", stage.replace("\\\n", " ")))


def nginx(*arguments):
    """Its exit code and what it says."""
    libraries = os.environ["NGINX_LIBRARY_PATH"]
    environment = {"PATH": "/usr/bin:/bin"} | ({"LD_LIBRARY_PATH": libraries} if libraries else {})
    told = subprocess.run([os.environ["NGINX"], *arguments], env=environment, capture_output=True, text=True, check=False)
    return told.returncode, told.stderr


def values(rendering, folder):
    """Those of the pod, with the places of this machine."""
    workload = rendering.workload("nginx")
    given = image() | workload.variables(rendering, workload.containers[0])
    given |= {
        "NGINX_TREE": str(ROOT / "nginx"),
        "NGINX_STATE_DIR": str(folder),
        "NGINX_NJS_MODULE": os.environ["NGINX_NJS_MODULE"],
        "NGINX_RESOLVER": re.sub(r"[a-z][a-z0-9.-]+", "127.0.0.1", given["NGINX_RESOLVER"]),
        "NGINX_GATEWAY": re.sub(r"^[a-z][a-z0-9.-]+", "127.0.0.1", given["NGINX_GATEWAY"]),
    }
    version = re.search(r"nginx/(\d+)\.(\d+)\.(\d+)", nginx("-v")[1])
    if tuple(map(int, version.groups())) < (1, 27, 3):
        given["NGINX_GATEWAY"] = given["NGINX_GATEWAY"].removesuffix(" resolve")
    return given


def fill(rendering, folder):
    """As the image's entrypoint does: each template to a file of its name, in the same folders."""
    given = values(rendering, folder)
    for template in TEMPLATES.rglob("*.template"):
        text = re.sub(r"\$\{(\w+)\}", lambda name: given.get(name[1], name[0]), template.read_text())
        file = folder / template.relative_to(TEMPLATES).with_suffix("")
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)
    return folder / "nginx.conf"


def test_nginx_takes_the_configuration_of_its_pod(rendering, tmp_path):
    code, told = nginx("-t", "-e", "stderr", "-c", fill(rendering, tmp_path))
    assert code == 0, told


def test_nginx_refuses_a_value_that_makes_no_sense(rendering, tmp_path):
    rendering.find("ConfigMap", "nginx")["data"]["NGINX_REQUESTS_PER_SECOND"] = "many"
    code, told = nginx("-t", "-e", "stderr", "-c", fill(rendering, tmp_path))
    assert code != 0 and 'invalid rate "rate=manyr/s"' in told


def test_the_pod_is_asked_and_written_to_where_the_configuration_says(rendering):
    workload = rendering.workload("nginx")
    given = image() | workload.variables(rendering, workload.containers[0])
    assert given["NGINX_LISTEN"] == f"0.0.0.0:{workload.ports()['http']}"
    mounts = {mount["mountPath"] for mount in workload.containers[0]["volumeMounts"]}
    output = re.search(r"NGINX_ENVSUBST_OUTPUT_DIR=(\S+)", (ROOT / "Dockerfile").read_text()).group(1)
    assert mounts == {given["NGINX_STATE_DIR"], output}
