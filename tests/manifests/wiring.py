"""Rules about names: whatever one object calls another must be there."""

# Group and version of each kind, as the oldest Kubernetes that is validated against has them for good.
VERSIONS = {
    "ConfigMap": "v1",
    "CronJob": "batch/v1",
    "Deployment": "apps/v1",
    "HorizontalPodAutoscaler": "autoscaling/v2",
    "Ingress": "networking.k8s.io/v1",
    "Job": "batch/v1",
    "Namespace": "v1",
    "NetworkPolicy": "networking.k8s.io/v1",
    "PersistentVolumeClaim": "v1",
    "PodDisruptionBudget": "policy/v1",
    "Service": "v1",
    "ServiceAccount": "v1",
    "StatefulSet": "apps/v1",
}


def every_kind_has_its_stable_version(rendering):
    for one in rendering.objects:
        if VERSIONS.get(one["kind"]) != one["apiVersion"]:
            yield f"{one['kind']} {one['metadata']['name']} is of {one['apiVersion']}"


def everything_is_in_the_namespace(rendering):
    for one in rendering.objects:
        if one["kind"] != "Namespace" and one["metadata"].get("namespace") != "portico":
            yield f"{one['kind']} {one['metadata']['name']} is in another namespace"


def every_selector_matches_pods(rendering):
    for one in rendering.of_kind("Service", "PodDisruptionBudget", "Deployment", "StatefulSet"):
        selector = one["spec"].get("selector", {})
        selector = selector.get("matchLabels", {}) if one["kind"] != "Service" else selector
        found = rendering.selected(selector)
        name = f"{one['kind']} {one['metadata']['name']}"
        if not selector or not found:
            yield f"{name} selects no pod"
        elif one["kind"] in ("Deployment", "StatefulSet") and [other.name for other in found] != [one["metadata"]["name"]]:
            yield f"{name} does not select its own pods alone"
        elif len(found) > 1:
            yield f"{name} selects pods of {', '.join(other.name for other in found)}"


def every_port_has_a_container_that_opens_it(rendering):
    for service in rendering.of_kind("Service"):
        for workload in rendering.selected(service["spec"]["selector"]):
            for port in service["spec"]["ports"]:
                if workload.port(port["targetPort"]) is None:
                    yield f"Service {service['metadata']['name']}: {workload} has no port {port['targetPort']}"
    for workload in rendering.workloads():
        for container in workload.containers:
            for kind in ("readinessProbe", "livenessProbe", "startupProbe"):
                for action in ("httpGet", "grpc", "tcpSocket"):
                    port = container.get(kind, {}).get(action, {}).get("port")
                    if port is not None and workload.port(port) is None:
                        yield f"{workload}: its {kind} asks port {port}, which is not there"


def every_ingress_leads_to_a_service(rendering):
    for ingress in rendering.of_kind("Ingress"):
        for rule in ingress["spec"]["rules"]:
            for path in rule["http"]["paths"]:
                backend = path["backend"]["service"]
                service = rendering.find("Service", backend["name"])
                ports = service["spec"]["ports"] if service else []
                if backend["port"].get("name") not in [port["name"] for port in ports]:
                    yield f"Ingress {ingress['metadata']['name']} leads to {backend['name']}, which has no such port"


def every_scaler_scales_something(rendering):
    for scaler in rendering.of_kind("HorizontalPodAutoscaler"):
        target = scaler["spec"]["scaleTargetRef"]
        if not any(one["metadata"]["name"] == target["name"] for one in rendering.of_kind(target["kind"])):
            yield f"HorizontalPodAutoscaler {scaler['metadata']['name']} scales nothing"


def every_account_is_there_and_has_no_token(rendering):
    for workload in rendering.workloads():
        name = workload.pod.get("serviceAccountName")
        if not any(one["metadata"]["name"] == name for one in rendering.of_kind("ServiceAccount")):
            yield f"{workload} runs as {name}, which is no ServiceAccount here"
        if workload.pod.get("automountServiceAccountToken") is not False:
            yield f"{workload} gets a token of the cluster"


def every_configmap_is_there_and_carries_its_hash(rendering):
    there = {one["metadata"]["name"] for one in rendering.of_kind("ConfigMap")}
    used = set()
    for workload in rendering.workloads():
        names = [volume["configMap"]["name"] for volume in workload.pod.get("volumes", []) if "configMap" in volume]
        for container in workload.containers:
            names += [one["configMapRef"]["name"] for one in container.get("envFrom", [])]
        used.update(names)
        for name in names:
            if name not in there or len(name.rsplit("-", 1)[-1]) != 10:
                yield f"{workload} reads the ConfigMap {name}, which no generator made"
    for name in there - used:
        yield f"nobody reads the ConfigMap {name}"


def no_secret_stands_in_a_manifest(rendering):
    for one in rendering.of_kind("Secret"):
        yield f"Secret {one['metadata']['name']} is written out"


def every_mount_has_a_volume_and_every_volume_a_mount(rendering):
    for workload in rendering.workloads():
        volumes = {volume["name"] for volume in workload.pod.get("volumes", [])}
        volumes |= {one["metadata"]["name"] for one in workload.object["spec"].get("volumeClaimTemplates", [])}
        mounts = {mount["name"] for container in workload.containers for mount in container.get("volumeMounts", [])}
        for name in volumes ^ mounts:
            yield f"{workload}: {name} is only one of volume and mount"


RULES = [
    every_kind_has_its_stable_version,
    everything_is_in_the_namespace,
    every_selector_matches_pods,
    every_port_has_a_container_that_opens_it,
    every_ingress_leads_to_a_service,
    every_scaler_scales_something,
    every_account_is_there_and_has_no_token,
    every_configmap_is_there_and_carries_its_hash,
    no_secret_stands_in_a_manifest,
    every_mount_has_a_volume_and_every_volume_a_mount,
]
