"""Rules about pods: what they may, what they get, how they are asked for their health, and how they end."""

import re

# What each image answers at each of its ports; test_running.py asks the binaries themselves.
PATHS = {
    ("portico/nginx", "http"): {"/health"},
    ("portico/gateway", "admin"): {"/live", "/ready"},
    ("portico/user", "admin"): {"/live", "/ready"},
    ("portico/order", "admin"): {"/live", "/ready"},
    ("portico/payment", "admin"): {"/live", "/ready"},
}

# crates/runtime/src/lifecycle.rs, DRAIN_DEADLINE.
DRAIN_DEADLINE = 20

UNITS = {"": 1, "m": 0.001, "Ki": 2**10, "Mi": 2**20, "Gi": 2**30}


def image(container):
    """The image without its version."""
    return container["image"].rsplit(":", 1)[0]


def amount(text):
    """A quantity as Kubernetes writes it, `250m` or `64Mi`, as a number."""
    number, unit = re.fullmatch(r"([0-9.]+)([A-Za-z]*)", str(text)).groups()
    return float(number) * UNITS[unit]


def each(rendering):
    return [(workload, container) for workload in rendering.workloads() for container in workload.containers]


def every_container_has_requests_and_limits_that_are_not_below_them(rendering):
    for workload, container in each(rendering):
        resources = container.get("resources", {})
        for what in ("cpu", "memory"):
            request, limit = (resources.get(kind, {}).get(what) for kind in ("requests", "limits"))
            if request is None or limit is None:
                yield f"{workload}: {container['name']} has no {what} in requests or limits"
            elif amount(limit) < amount(request):
                yield f"{workload}: {container['name']} may have less {what} than it asks for"


def no_container_may_more_than_it_needs(rendering):
    for workload, container in each(rendering):
        pod, own = workload.pod.get("securityContext", {}), container.get("securityContext", {})
        held = (
            pod.get("runAsNonRoot") is True
            and pod.get("runAsUser", 0) > 0
            and pod.get("runAsGroup", 0) > 0
            and pod.get("seccompProfile", {}).get("type") == "RuntimeDefault"
            and own.get("allowPrivilegeEscalation") is False
            and own.get("readOnlyRootFilesystem") is True
            and own.get("capabilities") == {"drop": ["ALL"]}
        )
        if not held:
            yield f"{workload}: {container['name']} may more than it needs"


def every_probe_asks_for_what_is_there(rendering):
    for workload, container in each(rendering):
        for kind in ("readinessProbe", "livenessProbe", "startupProbe"):
            probe = container.get(kind)
            if probe is None:
                if workload.object["kind"] not in ("Job", "CronJob"):
                    yield f"{workload} has no {kind}"
                continue
            asked = probe.get("httpGet")
            if asked and asked["path"] not in PATHS.get((image(container), asked["port"]), ()):
                yield f"{workload}: its {kind} asks {asked['path']} at {asked['port']}, which nobody answers"
            if "grpc" in probe and workload.ports().get("grpc") != probe["grpc"]["port"]:
                yield f"{workload}: its {kind} asks a port that does not speak gRPC"


def a_stop_leaves_time_for_what_is_under_way(rendering):
    for workload, container in each(rendering):
        if not image(container).startswith("portico/") or workload.object["kind"] == "Job":
            continue
        pause = container.get("lifecycle", {}).get("preStop", {}).get("sleep", {}).get("seconds", 0)
        pause += float(workload.variables(rendering, container).get("DRAIN_DELAY", 0))
        if pause < 10:
            yield f"{workload} stops before everybody knows that it will"
        if workload.pod.get("terminationGracePeriodSeconds", 30) <= pause + DRAIN_DEADLINE:
            yield f"{workload} is killed before what is under way has ended"


def an_update_takes_no_pod_away_before_its_successor_serves(rendering):
    for one in rendering.of_kind("Deployment"):
        rolling = one["spec"].get("strategy", {}).get("rollingUpdate", {})
        if rolling.get("maxUnavailable") != 0 or not rolling.get("maxSurge"):
            yield f"Deployment {one['metadata']['name']} has fewer pods during an update"


def every_deployment_has_a_scaler_and_a_disruption_budget(rendering):
    for one in rendering.of_kind("Deployment"):
        name = one["metadata"]["name"]
        scaler, budget = rendering.find("HorizontalPodAutoscaler", name), rendering.find("PodDisruptionBudget", name)
        if not scaler or scaler["spec"]["minReplicas"] < 2:
            yield f"Deployment {name} may come down to one pod"
        if not budget:
            yield f"Deployment {name} may lose all of its pods to a drained node"
        if "replicas" in one["spec"]:
            yield f"Deployment {name} undoes what its scaler did at each apply"


# Each pod of a service holds up to USER_DATABASE_CONNECTIONS and USER_READ_DATABASE_CONNECTIONS and the like (5 each), one
# that listens and one that leads the relay. Postgres takes 100, 3 of them for its superuser.
def a_database_has_room_for_as_many_pods_as_there_may_be(rendering):
    for service in ("user", "order", "payment"):
        workload = rendering.workload(service)
        variables = workload.variables(rendering, workload.containers[0])
        pools = [f"{service.upper()}{kind}_DATABASE_CONNECTIONS" for kind in ("", "_READ")]
        connections = sum(int(variables.get(pool, 5)) for pool in pools) + 2
        # maxSurge during an update, and the migration.
        pods = rendering.find("HorizontalPodAutoscaler", service)["spec"]["maxReplicas"] + 1
        if connections * pods + 1 > 97:
            yield f"{pods} pods of {service} want more connections than Postgres has"


def no_postgres_quotes_rows_in_its_log(rendering):
    for workload, container in each(rendering):
        if image(container).endswith("/postgres") and workload.object["kind"] == "StatefulSet":
            if "log_error_verbosity=terse" not in container.get("args", []):
                yield f"{workload}: its log quotes rows, and the emails in them"


RULES = [
    no_postgres_quotes_rows_in_its_log,
    every_container_has_requests_and_limits_that_are_not_below_them,
    no_container_may_more_than_it_needs,
    every_probe_asks_for_what_is_there,
    a_stop_leaves_time_for_what_is_under_way,
    an_update_takes_no_pod_away_before_its_successor_serves,
    every_deployment_has_a_scaler_and_a_disruption_budget,
    a_database_has_room_for_as_many_pods_as_there_may_be,
]
