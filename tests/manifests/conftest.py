"""What the tests of the manifests share: each overlay as kustomize renders it, and Secrets as `make k3s-setup` makes them."""

import os
import subprocess
from pathlib import Path

import pytest

from rendering import OVERLAYS, ROOT, Rendering, build


@pytest.fixture(scope="session")
def target():
    """The folder with the binaries."""
    return Path(os.environ.get("CARGO_TARGET_DIR", ROOT / "target")) / "debug"


@pytest.fixture(scope="session")
def renderings():
    return {overlay: Rendering(overlay, build(f"k8s/overlays/{overlay}")) for overlay in OVERLAYS}


@pytest.fixture(params=OVERLAYS)
def rendering(request, renderings):
    """One overlay after the other, each to be broken at will."""
    return renderings[request.param].copy()


@pytest.fixture
def k3s(renderings):
    return renderings["k3s"].copy()


@pytest.fixture(scope="session")
def secrets(target, tmp_path_factory):
    """What is in each Secret, by name and key."""
    folder = tmp_path_factory.mktemp("secrets") / "files"
    run = {"cwd": ROOT, "check": True, "capture_output": True, "text": True}
    subprocess.run(["scripts/k3s", "secrets", folder], env=os.environ | {"PORTICO": str(target / "portico")}, **run)
    rows = subprocess.run(["scripts/k3s", "keys"], **run).stdout.split("\n")
    made = {}
    for secret, key, file in (row.split() for row in rows if row):
        made.setdefault(secret, {})[key] = (folder / file).read_text().removesuffix("\n")
    return made
