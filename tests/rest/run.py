"""Runs Schemathesis against REST and the graph, as nobody, as a customer and as an admin.

PORTICO_URL says where the system is. Each run takes a bounded number of examples from a fixed seed.
"""

import json
import os
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request

URL = os.environ["PORTICO_URL"]
FOLDER = os.path.dirname(os.path.abspath(__file__))
SEED = os.environ.get("SEED", "1")
EXAMPLES = os.environ.get("EXAMPLES", "5")
# What holds for every answer of REST.
REST = "not_a_server_error,status_code_conformance,content_type_conformance,response_headers_conformance," \
    "response_schema_conformance,negative_data_rejection,missing_required_header,unsupported_method"
# Signing out ends the session of the token with which all the others are asked. `gateway_graph` tests it.
REST_WITHOUT_LOGOUT = ["--exclude-operation-id", "logout"]
GRAPH_WITHOUT_LOGOUT = ["--exclude-name", "Mutation.logout"]


def call(method, path, body=None, token=None):
    """The data of an answer of REST."""
    headers = {"Content-Type": "application/json"}
    if token:
        headers["Authorization"] = f"Bearer {token}"
    request = urllib.request.Request(
        f"{URL}/api/v1{path}", json.dumps(body).encode() if body is not None else None, headers, method=method
    )
    with urllib.request.urlopen(request, timeout=10) as answer:
        return json.load(answer)["data"]


def register(name):
    """A new account with its token."""
    return call("POST", "/users/register", {
        "email": f"{name}-{os.getpid()}@example.com", "password": "a-door-with-columns-7",
        "firstName": name, "lastName": "Tester",
    })


def payment_of(order, token):
    """The payment of an order; it comes a moment after the order."""
    deadline = time.monotonic() + 15
    while True:
        try:
            return call("GET", f"/payments/order/{order}", token=token)["id"]
        except urllib.error.HTTPError as error:
            if error.code != 404 or time.monotonic() > deadline:
                raise
        time.sleep(0.1)


def configuration(folder, name, known):
    """A configuration by which ids in paths are those of things that there are: else nothing is ever found."""
    lines = []
    for prefix, parameter, value in known:
        lines += ["[[operations]]", f'include-path-regex = "^/api/v1/{prefix}"', f'parameters = {{ "path.{parameter}" = "{value}" }}']
    path = os.path.join(folder, f"{name}.toml")
    with open(path, "w", encoding="utf-8") as file:
        file.write("\n".join(lines) + "\n")
    return path


def run(name, location, checks, token=None, config=None, phases="examples,coverage,fuzzing", arguments=()):
    """Whether Schemathesis finds nothing."""
    print(f"== {name}", flush=True)
    started = time.monotonic()
    command = [sys.executable, "-m", "schemathesis.cli"]
    if config:
        command += ["--config-file", config]
    command += ["run", URL + location, "--checks", checks, "--seed", SEED, "--max-examples", EXAMPLES,
                "--phases", phases, "--generation-database", "none", "--no-shrink",
                "--suppress-health-check", "all", "--request-timeout", "15", "--output-sanitize", "true", *arguments]
    if token:
        command += ["--header", f"Authorization: Bearer {token}"]
    environment = {**os.environ, "SCHEMATHESIS_HOOKS": "hooks", "PYTHONDONTWRITEBYTECODE": "1", "NO_COLOR": "1", "COLUMNS": "120",
                   "PYTHONPATH": os.pathsep.join([FOLDER, os.environ.get("PYTHONPATH", "")])}
    # It writes down what it did where it runs.
    with tempfile.TemporaryDirectory() as folder:
        outcome = subprocess.run(
            command, cwd=folder, env=environment, text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT
        )
    took = f"{time.monotonic() - started:.0f} s"
    if outcome.returncode == 0:
        print(f"   found nothing in {took}")
        summary = [line.strip() for line in outcome.stdout.splitlines() if "generated" in line or "tested" in line.lower()]
        print("".join(f"   {line}\n" for line in summary[:4]), end="")
    else:
        print(outcome.stdout.replace(token or "\0", "..."))
        print(f"   failed after {took}")
    return outcome.returncode == 0


class Customer:
    """Somebody new with an order and its payment. Each run has its own: what one does to them is no matter to the next."""

    def __init__(self, name):
        session = register(name)
        self.token, self.id = session["token"], session["user"]["id"]
        body = {"shippingAddress": "1 Main Street", "items": [{"productId": "prod-1", "quantity": 1}]}
        self.order = call("POST", "/orders", body, self.token)["id"]
        self.payment = payment_of(self.order, self.token)

    def known(self, user):
        """What there is at which paths; `user` may be deleted by the run."""
        return [("orders", "id", self.order), ("payments/order", "orderId", self.order), ("payments/", "id", self.payment),
                ("users", "id", user), ("products", "id", "prod-1")]


def main():
    """All runs; the exit code says whether each found nothing."""
    admin = call("POST", "/users/login", {"email": "admin@example.com", "password": "demo-admin-4711"})["token"]
    document, graph = "/api/v1/openapi.json", "/graphql"
    # Schemathesis uses what it was told: it finds out its own id and deletes its own account. The admin deletes another's.
    stay = [*REST_WITHOUT_LOGOUT, "--exclude-operation-id", "deleteUser"]
    with tempfile.TemporaryDirectory() as folder:
        stranger, buyer, victim, asker = (Customer(name) for name in ("stranger", "buyer", "victim", "asker"))
        own = configuration(folder, "own", buyer.known(victim.id))
        others = configuration(folder, "others", victim.known(victim.id))
        found = [
            run("REST as nobody", document, REST),
            run("REST as a customer", document, REST, stranger.token, phases="fuzzing", arguments=stay),
            run("REST as a customer, with ids of theirs", document, REST, buyer.token, own, arguments=stay),
            run("REST as an admin, with ids of a customer", document, REST, admin, others, arguments=REST_WITHOUT_LOGOUT),
            run("the graph as a customer", graph, "no_fault_of_ours", asker.token, arguments=GRAPH_WITHOUT_LOGOUT),
            run("the graph as an admin", graph, "no_fault_of_ours", admin, arguments=GRAPH_WITHOUT_LOGOUT),
        ]
    return 0 if all(found) else 1


sys.exit(main())
