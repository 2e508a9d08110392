"""Runs the binaries with the settings of the manifests, and asks them what the kubelet would: before their databases are migrated,
and after. Databases and RabbitMQ are those of `portico with`; only addresses and the places of files differ from a cluster."""

import os
import re
import socket
import subprocess
import time
import urllib.error
import urllib.request

import pytest

from settings import BINARIES

SERVICES = ("user", "order", "payment")
# An empty HealthCheckRequest, and the answer that says SERVING (https://github.com/grpc/grpc/blob/master/doc/health-checking.md).
ASKED, SERVING = b"\0\0\0\0\0", b"\0\0\0\0\2\x08\1"


def openssl(*arguments):
    subprocess.run(["openssl", *arguments], check=True, capture_output=True)


def free_port():
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        return taken.getsockname()[1]


class Pods:
    """A process for each pod."""

    def __init__(self, rendering, target, secrets, folder):
        self.rendering, self.target, self.secrets, self.folder = rendering, target, secrets, folder
        # By the port in the manifests, which no two of ours share.
        ports = [port for name in BINARIES for port in rendering.workload(name).ports().values()]
        self.ports = {port: free_port() for port in ports}
        self.running = []

    def environment(self, workload):
        """The container's, for this machine."""
        given = workload.variables(self.rendering, workload.containers[0])
        environment = {}
        for variable, value in given.items():
            # http://order:50052 and 0.0.0.0:50052 are the same process here.
            value = re.sub(r"(?<![\w/])[\w.]+:(\d{4,5})$", lambda name: f"127.0.0.1:{self.ports[int(name[1])]}", value)
            value = re.sub(r"//[\w.]+:(\d{4,5})$", lambda name: f"//127.0.0.1:{self.ports[int(name[1])]}", value)
            if value.startswith("/run/secrets/tls/"):
                value = str(self.certificate(workload.name) / value.removeprefix("/run/secrets/tls/"))
            if variable.endswith("_FILE"):
                value = self.file(variable.removesuffix("_FILE"))
            environment[variable] = value
        return environment | {"DRAIN_DELAY": "0"} if "DRAIN_DELAY" in environment else environment

    def file(self, variable):
        """A file with what the Secret would hold, of this machine's backends where they have a place for it."""
        file = self.folder / variable.lower()
        # Another process may be reading it.
        if not file.exists():
            file.write_text(os.environ.get(variable) or self.secrets["user"]["secret-key"])
        return str(file)

    def certificate(self, name):
        """A folder as cert-manager would fill the Secret: the certificate of `name`, and that of its authority."""
        authority, own = self.folder / "authority", self.folder / f"{name}-tls"
        key = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "1"]
        if not authority.exists():
            authority.mkdir()
            openssl("req", "-x509", *key, "-subj", "/CN=Portico", "-keyout", authority / "tls.key", "-out", authority / "tls.crt")
        if not own.exists():
            own.mkdir()
            # Everybody is at one address here.
            names = ["-addext", f"subjectAltName=DNS:{name},IP:127.0.0.1", "-addext", "basicConstraints=CA:FALSE"]
            signed = ["-CA", authority / "tls.crt", "-CAkey", authority / "tls.key"]
            openssl("req", "-x509", *key, *signed, *names, "-subj", f"/CN={name}", "-keyout", own / "tls.key", "-out", own / "tls.crt")
            (own / "ca.crt").write_bytes((authority / "tls.crt").read_bytes())
        return own

    def start(self, name):
        log = (self.folder / f"{name}.log").open("w")
        self.running.append(
            subprocess.Popen([self.target / name], env=self.environment(self.rendering.workload(name)), stderr=log)
        )

    def migrate(self, service):
        job = self.rendering.workload(f"{service}-migrate")
        command = [self.target / service, *job.containers[0]["args"]]
        subprocess.run(command, env=self.environment(job), check=True, timeout=60)

    def stop(self):
        for process in self.running:
            process.terminate()
        for process in self.running:
            process.wait(timeout=60)

    def answers(self, probe, workload):
        """What the kubelet would make of it."""
        if "grpc" in probe:
            return self.serves(self.ports[probe["grpc"]["port"]])
        asked = probe["httpGet"]
        url = f"http://127.0.0.1:{self.ports[workload.port(asked['port'])]}{asked['path']}"
        try:
            return urllib.request.urlopen(url, timeout=3).status == 200
        except (urllib.error.URLError, ConnectionError):
            return False

    def serves(self, port):
        told = subprocess.run(
            ["curl", "-s", "--max-time", "3", "--http2-prior-knowledge", "-H", "Content-Type: application/grpc", "-H", "TE: trailers",
             "--data-binary", "@-", f"http://127.0.0.1:{port}/grpc.health.v1.Health/Check"],
            input=ASKED, capture_output=True, check=False,
        )  # fmt: skip
        return told.stdout == SERVING

    def within(self, seconds, kind, name):
        """Whether a probe of a workload succeeds by then."""
        workload = self.rendering.workload(name)
        deadline = time.monotonic() + seconds
        while not self.answers(workload.containers[0][kind], workload):
            if time.monotonic() > deadline:
                return False
            time.sleep(0.1)
        return True


    def all_serve(self):
        for name in BINARIES:
            assert self.within(60, "readinessProbe", name), (self.folder / f"{name}.log").read_text()


@pytest.fixture
def run(renderings, target, secrets, tmp_path):
    """Pods of an overlay, that end with the test."""
    made = []

    def start(overlay):
        made.append(Pods(renderings[overlay], target, secrets, tmp_path))
        for name in BINARIES:
            made[-1].start(name)
        return made[-1]

    yield start
    for pods in made:
        pods.stop()


def test_a_pod_serves_once_its_database_is_migrated_and_not_before(run):
    pods = run("k3s")
    for name in BINARIES:
        assert pods.within(60, "startupProbe", name), (pods.folder / f"{name}.log").read_text()
        assert pods.within(5, "livenessProbe", name)
    for name in SERVICES:
        assert not pods.within(1, "readinessProbe", name), f"{name} is ready without a schema"
    for service in SERVICES:
        pods.migrate(service)
    pods.all_serve()


# The gateway is ready once it has the keys and the revocations, which come from the user service.
def test_pods_that_show_each_other_certificates_serve(run):
    pods = run("k3s-tls")
    for service in SERVICES:
        pods.migrate(service)
    pods.all_serve()
    assert not pods.serves(pods.ports[50052]), "order answers who comes without a certificate"
