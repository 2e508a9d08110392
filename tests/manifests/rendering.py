"""What kustomize renders, as something that rules can ask questions of."""

import copy
import subprocess
from dataclasses import dataclass, field
from pathlib import Path

import yaml

ROOT = Path(__file__).resolve().parents[2]
OVERLAYS = ("k3s", "k3s-tls", "external", "external-ca")
WORKLOADS = ("Deployment", "StatefulSet", "Job", "CronJob")


def build(folder):
    """The objects of the kustomization in `folder`, below the repository's root."""
    told = subprocess.run(["kustomize", "build", ROOT / folder], capture_output=True, text=True, check=False)
    if told.returncode != 0:
        raise RuntimeError(f"kustomize cannot build {folder}: {told.stderr}")
    return [document for document in yaml.safe_load_all(told.stdout) if document]


@dataclass
class Rendering:
    """All objects of one overlay."""

    overlay: str
    objects: list

    def copy(self):
        """One that may be broken without breaking this one."""
        return Rendering(self.overlay, copy.deepcopy(self.objects))

    def of_kind(self, *kinds):
        return [one for one in self.objects if one["kind"] in kinds]

    def find(self, kind, name):
        """The object of this name, or of this name with a hash or a version behind it."""
        found = [one for one in self.of_kind(kind) if one["metadata"]["name"] == name]
        found = found or [one for one in self.of_kind(kind) if one["metadata"]["name"].startswith(f"{name}-")]
        return found[0] if found else None

    def workloads(self):
        return [Workload(one) for one in self.of_kind(*WORKLOADS)]

    def workload(self, name):
        return Workload(self.find("Deployment", name) or self.find("StatefulSet", name) or self.find("Job", name))

    def selected(self, selector):
        """The workloads whose pods have all of these labels."""
        return [one for one in self.workloads() if selector.items() <= one.labels.items()]


@dataclass
class Workload:
    """Something that makes pods."""

    object: dict
    name: str = field(init=False)

    def __post_init__(self):
        self.name = self.object["metadata"]["name"]

    def __str__(self):
        return f"{self.object['kind']} {self.name}"

    @property
    def template(self):
        spec = self.object["spec"]
        return spec["jobTemplate"]["spec"]["template"] if self.object["kind"] == "CronJob" else spec["template"]

    @property
    def labels(self):
        return self.template["metadata"].get("labels", {})

    @property
    def pod(self):
        return self.template["spec"]

    @property
    def containers(self):
        return self.pod["containers"] + self.pod.get("initContainers", [])

    def ports(self):
        """The numbers of the ports that have a name."""
        ports = (port for container in self.containers for port in container.get("ports", []))
        return {port["name"]: port["containerPort"] for port in ports}

    def port(self, named):
        """The number of a port that is given by its name or its number, or None when no container has it."""
        ports = self.ports()
        return ports.get(named) if isinstance(named, str) else named if named in ports.values() else None

    def variables(self, rendering, container):
        """What the container's environment will be, without what the image brings."""
        variables = {}
        for source in container.get("envFrom", []):
            found = rendering.find("ConfigMap", source["configMapRef"]["name"])
            variables.update(found.get("data", {}) if found else {})
        variables.update({one["name"]: one.get("value", "") for one in container.get("env", [])})
        return variables
