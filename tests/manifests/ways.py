"""Rules about NetworkPolicies: every way that something needs is open, and no other.

What is needed follows from the settings, from the Secrets as `make k3s-setup` makes them, and from Services and Ingresses.
What is open is worked out as Kubernetes does it (https://kubernetes.io/docs/concepts/services-networking/network-policies/):
a way is open when the policies at its begin and at its end both let it through, and a pod that no policy selects is open.
"""

import ipaddress
import re
from dataclasses import dataclass, field
from urllib.parse import urlsplit

from settings import secret_file

# Where pods are on a k3s.
POD = "10.42.0.9"


@dataclass(frozen=True)
class Place:
    """A pod of ours, of somebody else, or an address outside the cluster."""

    name: str
    namespace: str = ""
    labels: tuple = ()
    address: str = POD
    ports: tuple = field(default=(), compare=False)

    def number(self, port):
        return dict(self.ports).get(port) if isinstance(port, str) else port


def pod(name, namespace, labels, **ports):
    return Place(name, namespace, tuple(sorted(labels.items())), ports=tuple(ports.items()))


DNS = pod("DNS", "kube-system", {"k8s-app": "kube-dns"}, dns=53)
TRAEFIK = pod("Traefik", "kube-system", {"app.kubernetes.io/name": "traefik"})
PROMETHEUS = pod("Prometheus", "monitoring", {"app.kubernetes.io/name": "prometheus"})
COLLECTOR = pod("the collector", "monitoring", {"app.kubernetes.io/component": "otlp"}, otlp=4317)
STRANGER = pod("somebody else's pod", "default", {"app.kubernetes.io/name": "nginx"}, http=80)
NEIGHBOUR = pod("a pod beside Traefik", "kube-system", {"app.kubernetes.io/name": "other"}, http=80)
CLIENT = Place("a client outside", address="203.0.113.7", ports=(("https", 443),))
METADATA = Place("the cloud's metadata", address="169.254.169.254", ports=(("http", 80),))
POSTGRES = Place("a Postgres outside", address="192.0.2.10", ports=(("postgres", 5432),))
RABBITMQ = Place("a RabbitMQ outside", address="192.0.2.11", ports=(("amqp", 5672), ("amqps", 5671)))
OTHERS = (DNS, TRAEFIK, PROMETHEUS, COLLECTOR, STRANGER, NEIGHBOUR, CLIENT, METADATA, POSTGRES, RABBITMQ)


def places(rendering):
    """Our pods, by their workloads' names."""
    return {one.name: pod(one.name, "portico", one.labels, **one.ports()) for one in rendering.workloads()}


# What is open.


def matches(selector, labels):
    labels = dict(labels)
    for expression in selector.get("matchExpressions", []):
        listed = labels.get(expression["key"]) in expression["values"]
        if listed != {"In": True, "NotIn": False}[expression["operator"]]:
            return False
    return selector.get("matchLabels", {}).items() <= labels.items()


def is_peer(peer, place):
    if "ipBlock" in peer:
        block, address = peer["ipBlock"], ipaddress.ip_address(place.address)
        excepted = any(address in ipaddress.ip_network(one) for one in block.get("except", []))
        return address in ipaddress.ip_network(block["cidr"]) and not excepted
    if not place.namespace:
        return False
    namespace = {"kubernetes.io/metadata.name": place.namespace}
    inside = matches(peer["namespaceSelector"], namespace) if "namespaceSelector" in peer else place.namespace == "portico"
    return inside and matches(peer.get("podSelector", {}), place.labels)


def lets_through(rendering, direction, place, other, end, port):
    """Whether the policies of `place` let it talk with `other` about `port` of `end`, which is one of both."""
    if place.namespace != "portico":
        return True
    policies = [one["spec"] for one in rendering.of_kind("NetworkPolicy") if direction in one["spec"]["policyTypes"]]
    policies = [one for one in policies if matches(one["podSelector"], place.labels)]
    key, word = direction.lower(), {"Egress": "to", "Ingress": "from"}[direction]
    for rule in (rule for policy in policies for rule in policy.get(key, [])):
        ports = [end.number(one["port"]) for one in rule.get("ports", [])]
        peers = rule.get(word)
        if (not ports or port in ports) and (peers is None or any(is_peer(peer, other) for peer in peers)):
            return True
    return not policies


def open_ways(rendering):
    """(from, to, port) of each way that is open and begins or ends at a pod of ours."""
    ours = list(places(rendering).values())
    everybody = [*ours, *OTHERS]
    return {
        (begin.name, end.name, port)
        for begin in everybody
        for end in everybody
        if "portico" in (begin.namespace, end.namespace) and begin is not end
        for port in {number for _, number in end.ports}
        if lets_through(rendering, "Egress", begin, end, end, port)
        and lets_through(rendering, "Ingress", end, begin, end, port)
    }


# What is needed.


def addresses(text):
    """Each (host, port) that a setting names; of a list, all."""
    for part in text.split(","):
        url = urlsplit(part.strip() if "//" in part else f"//{part.strip().split(' ')[0]}")
        if url.hostname and re.fullmatch(r"[a-z][a-z0-9.-]*", url.hostname):
            yield url.hostname, url.port or {"amqp": 5672, "amqps": 5671, "postgres": 5432}.get(url.scheme)


def values(rendering, workload, container, secrets):
    """The settings of a container, with what is in the files that they name."""
    for variable, value in workload.variables(rendering, container).items():
        behind = secret_file(workload, container, value) if variable.endswith("_FILE") else None
        value = secrets.get(behind[0], {}).get(behind[1], "") if behind else value
        # The one name that nginx's resolver stands for is the DNS that everybody may ask.
        if re.search(r"(URL|GATEWAY)(_FILE)?$", variable):
            yield from addresses(value)


def ends(rendering, host, port):
    """Where a host and port of a setting lead to: our pods, or what is outside."""
    service = rendering.find("Service", host.removesuffix(".portico.svc.cluster.local"))
    if service is None:
        return [(one.name, port) for one in (POSTGRES, RABBITMQ) if port in dict(one.ports).values()]
    target = next(one["targetPort"] for one in service["spec"]["ports"] if one["port"] == port)
    return [(one.name, one.port(target)) for one in rendering.selected(service["spec"]["selector"])]


def needed_ways(rendering, secrets):
    """(from, to, port) of each way that something needs."""
    needed = set()
    for workload in rendering.workloads():
        needed.add((workload.name, DNS.name, 53))
        for container in workload.containers:
            for host, port in values(rendering, workload, container, secrets):
                needed |= {(workload.name, *end) for end in ends(rendering, host, port)}
        for name, number in workload.ports().items():
            if name in ("admin", "metrics"):
                needed.add((PROMETHEUS.name, workload.name, number))
        if "admin" in workload.ports():
            needed.add((workload.name, COLLECTOR.name, 4317))
    doors = [(TRAEFIK, path) for one in rendering.of_kind("Ingress") for rule in one["spec"]["rules"] for path in rule["http"]["paths"]]
    for begin, path in doors:
        backend = path["backend"]["service"]
        needed |= {(begin.name, *end) for end in ends(rendering, backend["name"], 80)}
    for service in rendering.of_kind("Service"):
        if service["spec"].get("type") == "NodePort":
            for begin in (CLIENT, METADATA, POSTGRES, RABBITMQ):
                needed |= {(begin.name, *end) for end in ends(rendering, service["metadata"]["name"], 80)}
    return needed


def every_needed_way_is_open_and_no_other(rendering, secrets):
    wanted, there = needed_ways(rendering, secrets), open_ways(rendering)
    for begin, end, port in sorted(wanted - there):
        yield f"{begin} cannot reach {end} at {port}"
    for begin, end, port in sorted(there - wanted):
        yield f"{begin} can reach {end} at {port}, and need not"
    for workload in rendering.workloads():
        for direction in ("Ingress", "Egress"):
            policies = [one["spec"] for one in rendering.of_kind("NetworkPolicy") if direction in one["spec"]["policyTypes"]]
            if not any(one["podSelector"] == {} for one in policies):
                yield f"{workload}: no policy denies {direction} by default"
