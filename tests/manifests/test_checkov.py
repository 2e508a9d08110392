"""Every skip is needed and says why: without the skips, checkov finds in each object what is skipped there, and nothing else."""

import copy
import json
import subprocess
import sys
from pathlib import Path

import yaml

from rendering import Rendering

PACKAGES = Path(yaml.__file__).resolve().parents[1]


def take_skips(annotations):
    """Takes the skips away and gives them: what is skipped, by its reason."""
    names = [name for name in annotations if name.startswith("checkov.io/skip")]
    return dict(annotations.pop(name).split("=", 1) for name in names)


def checkov(objects, folder):
    """What it finds, by kind and name."""
    file = folder / "all.yaml"
    file.write_text(yaml.safe_dump_all(objects))
    command = [sys.executable, PACKAGES / "bin/checkov", "--file", file, "--framework", "kubernetes", "--skip-download", "--output", "json"]
    told = subprocess.run(command, capture_output=True, text=True, check=False)
    found = {}
    for check in json.loads(told.stdout)["results"]["failed_checks"]:
        # Deployment.portico.order, with a hash behind it for its pods.
        kind, _, name = check["resource"].split(".")[:3]
        found.setdefault((kind, name), set()).add(check["check_id"])
    return found


def test_every_skip_is_needed_and_says_why(k3s, tmp_path):
    skipped = {}
    objects = copy.deepcopy(k3s.objects)
    for one in objects:
        skips = take_skips(one["metadata"].get("annotations", {}))
        if skips:
            assert all(len(reason.split()) > 5 for reason in skips.values()), one["metadata"]["name"]
            skipped[one["kind"], one["metadata"]["name"]] = skips.keys()
    for workload in Rendering("k3s", objects).workloads():
        take_skips(workload.template["metadata"].get("annotations", {}))
    assert checkov(objects, tmp_path) == skipped
