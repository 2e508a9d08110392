"""Rules about versions: everything of ours is of the version of this tree, and nothing is of whatever is newest."""

import re

from pods import image
from rendering import ROOT

VERSION = re.search(r'^version = "(.*)"$', (ROOT / "Cargo.toml").read_text(), re.MULTILINE).group(1)
OURS = {f"portico/{name}" for name in ("gateway", "user", "order", "payment", "nginx")}


def every_image_has_a_version_and_ours_that_of_this_tree(rendering):
    for workload in rendering.workloads():
        for container in workload.containers:
            name, _, tag = container["image"].rpartition(":")
            if image(container).startswith("portico/"):
                if (name, tag) not in {(one, VERSION) for one in OURS}:
                    yield f"{workload} runs {container['image']}, and this is {VERSION}"
            elif not re.fullmatch(r"[0-9]+\.[0-9]+(\.[0-9]+)?(-[a-z0-9]+)?", tag):
                yield f"{workload} runs {container['image']}, which may be another one tomorrow"


def a_migration_is_named_by_its_version(rendering):
    for job in rendering.of_kind("Job"):
        if not job["metadata"]["name"].endswith(f"-{VERSION.replace('.', '-')}"):
            yield f"Job {job['metadata']['name']} is not named by {VERSION}, and a Job of another one can't be changed"
    for service in ("user", "order", "payment"):
        if rendering.find("Job", f"{service}-migrate") is None:
            yield f"nobody migrates the database of {service}"


def labels_tell_the_version(rendering):
    for workload in rendering.workloads():
        if image(workload.containers[0]) in OURS and workload.labels.get("app.kubernetes.io/version") != VERSION:
            yield f"{workload}: its pods do not say that they are of {VERSION}"


RULES = [every_image_has_a_version_and_ours_that_of_this_tree, a_migration_is_named_by_its_version, labels_tell_the_version]
