"""Breaks the manifests in each way that a rule is there for, and sees the rule say so: none of them holds by accident."""

import pytest

import pods
import settings
import versions
import ways
import wiring
from test_rules import RULES

# (rule, what it says, how the manifests are broken)
BREAKS = []
MIGRATION = f"user-migrate-{versions.VERSION.replace('.', '-')}"


def breaks(rule, says):
    def keep(change):
        BREAKS.append(pytest.param(rule, says, change, id=change.__name__))
        return change

    return keep


def container(rendering, name):
    return rendering.workload(name).containers[0]


def spec(rendering, kind, name):
    return rendering.find(kind, name)["spec"]


@breaks(wiring.every_kind_has_its_stable_version, "autoscaling/v2beta2")
def an_old_api_version(rendering):
    rendering.find("HorizontalPodAutoscaler", "order")["apiVersion"] = "autoscaling/v2beta2"


@breaks(pods.no_postgres_quotes_rows_in_its_log, "StatefulSet user: its log quotes rows")
def a_postgres_that_says_all_in_its_log(rendering):
    # Not every overlay has one.
    rendering.workload("user").object["kind"] = "StatefulSet"
    rendering.find("StatefulSet", "user")["spec"]["template"]["spec"]["containers"][0]["image"] = "docker.io/library/postgres:18.6"


@breaks(wiring.everything_is_in_the_namespace, "Service user is in another namespace")
def an_object_without_its_namespace(rendering):
    del rendering.find("Service", "user")["metadata"]["namespace"]


@breaks(wiring.every_selector_matches_pods, "Service payment selects no pod")
def a_selector_that_matches_nothing(rendering):
    spec(rendering, "Service", "payment")["selector"]["app.kubernetes.io/name"] = "payments"


@breaks(wiring.every_selector_matches_pods, "Service order selects pods of order, order-migrate")
def a_service_that_takes_the_migration_for_a_server(rendering):
    del spec(rendering, "Service", "order")["selector"]["app.kubernetes.io/component"]


@breaks(wiring.every_selector_matches_pods, "PodDisruptionBudget gateway selects no pod")
def a_disruption_budget_of_nobody(rendering):
    spec(rendering, "PodDisruptionBudget", "gateway")["selector"]["matchLabels"]["app.kubernetes.io/name"] = "gate"


@breaks(wiring.every_selector_matches_pods, "Deployment user does not select its own pods alone")
def a_deployment_that_selects_anothers_pods(rendering):
    spec(rendering, "Deployment", "user")["selector"]["matchLabels"]["app.kubernetes.io/name"] = "order"


@breaks(wiring.every_port_has_a_container_that_opens_it, "has no port rpc")
def a_port_by_a_name_that_is_not_there(rendering):
    spec(rendering, "Service", "order")["ports"][0]["targetPort"] = "rpc"


@breaks(wiring.every_port_has_a_container_that_opens_it, "asks port 50099")
def a_probe_of_a_port_that_is_not_there(rendering):
    container(rendering, "user")["readinessProbe"] = {"grpc": {"port": 50099}}


@breaks(wiring.every_ingress_leads_to_a_service, "leads to ngnix")
def an_ingress_to_nowhere(rendering):
    paths = spec(rendering, "Ingress", "portico")["rules"][0]["http"]["paths"]
    paths[0]["backend"]["service"]["name"] = "ngnix"


@breaks(wiring.every_scaler_scales_something, "HorizontalPodAutoscaler nginx scales nothing")
def a_scaler_of_nothing(rendering):
    spec(rendering, "HorizontalPodAutoscaler", "nginx")["scaleTargetRef"]["name"] = "edge"


@breaks(wiring.every_account_is_there_and_has_no_token, "runs as default")
def a_pod_with_the_account_of_all(rendering):
    rendering.workload("order").pod["serviceAccountName"] = "default"


@breaks(wiring.every_account_is_there_and_has_no_token, "gets a token")
def a_pod_with_a_token_of_the_cluster(rendering):
    del rendering.workload("gateway").pod["automountServiceAccountToken"]


@breaks(wiring.every_configmap_is_there_and_carries_its_hash, "reads the ConfigMap order")
def a_configmap_by_a_name_without_its_hash(rendering):
    container(rendering, "order")["envFrom"][1]["configMapRef"]["name"] = "order"


@breaks(wiring.every_configmap_is_there_and_carries_its_hash, "nobody reads the ConfigMap common")
def a_configmap_that_nobody_reads(rendering):
    for workload in rendering.workloads():
        for one in workload.containers:
            one["envFrom"] = [ref for ref in one.get("envFrom", []) if "common" not in ref["configMapRef"]["name"]]


@breaks(wiring.no_secret_stands_in_a_manifest, "Secret user is written out")
def a_secret_in_the_open(rendering):
    secret = {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "user", "namespace": "portico"}}
    rendering.objects.append(secret)


@breaks(wiring.every_mount_has_a_volume_and_every_volume_a_mount, "cache is only one")
def a_volume_that_is_mounted_nowhere(rendering):
    container(rendering, "nginx")["volumeMounts"].pop()


@breaks(pods.every_container_has_requests_and_limits_that_are_not_below_them, "may have less memory")
def a_limit_under_its_request(rendering):
    container(rendering, "user")["resources"]["limits"]["memory"] = "64Mi"


@breaks(pods.every_container_has_requests_and_limits_that_are_not_below_them, "no cpu in requests or limits")
def a_container_without_a_request(rendering):
    del container(rendering, "nginx")["resources"]["requests"]["cpu"]


@breaks(pods.no_container_may_more_than_it_needs, "gateway may more")
def a_container_that_writes_its_root(rendering):
    container(rendering, "gateway")["securityContext"]["readOnlyRootFilesystem"] = False


@breaks(pods.no_container_may_more_than_it_needs, "order may more")
def a_pod_without_a_user_by_number(rendering):
    del rendering.workload("order").pod["securityContext"]["runAsUser"]


@breaks(pods.no_container_may_more_than_it_needs, "payment may more")
def a_pod_without_seccomp(rendering):
    del rendering.workload("payment").pod["securityContext"]["seccompProfile"]


@breaks(pods.every_probe_asks_for_what_is_there, "asks /healthz")
def a_probe_of_a_path_that_is_not_there(rendering):
    container(rendering, "gateway")["readinessProbe"]["httpGet"]["path"] = "/healthz"


@breaks(pods.every_probe_asks_for_what_is_there, "does not speak gRPC")
def a_grpc_probe_of_the_admin_port(rendering):
    container(rendering, "order")["readinessProbe"] = {"grpc": {"port": 9402}}


@breaks(pods.every_probe_asks_for_what_is_there, "has no readinessProbe")
def a_pod_that_is_never_asked(rendering):
    del container(rendering, "payment")["readinessProbe"]


@breaks(pods.a_stop_leaves_time_for_what_is_under_way, "is killed before")
def a_grace_that_is_shorter_than_the_drain(rendering):
    rendering.workload("user").pod["terminationGracePeriodSeconds"] = 30


@breaks(pods.a_stop_leaves_time_for_what_is_under_way, "stops before everybody knows")
def a_pod_that_stops_at_once(rendering):
    del container(rendering, "nginx")["lifecycle"]


@breaks(pods.an_update_takes_no_pod_away_before_its_successor_serves, "Deployment gateway has fewer pods")
def an_update_that_begins_with_a_stop(rendering):
    spec(rendering, "Deployment", "gateway")["strategy"]["rollingUpdate"]["maxUnavailable"] = 1


@breaks(pods.every_deployment_has_a_scaler_and_a_disruption_budget, "may come down to one pod")
def a_deployment_of_one_pod(rendering):
    spec(rendering, "HorizontalPodAutoscaler", "order")["minReplicas"] = 1


@breaks(pods.every_deployment_has_a_scaler_and_a_disruption_budget, "undoes what its scaler did")
def a_number_of_pods_beside_a_scaler(rendering):
    spec(rendering, "Deployment", "order")["replicas"] = 2


@breaks(pods.a_database_has_room_for_as_many_pods_as_there_may_be, "more connections than Postgres has")
def more_pods_than_a_database_has_room_for(rendering):
    spec(rendering, "HorizontalPodAutoscaler", "payment")["maxReplicas"] = 20


@breaks(settings.every_variable_is_read_by_the_program_that_gets_it, "nobody reads ORDER_LISTENS")
def a_variable_with_a_slip_in_its_name(rendering):
    data = rendering.find("ConfigMap", "order")["data"]
    data["ORDER_LISTENS"] = data["ORDER_LISTEN"]


@breaks(settings.every_variable_is_read_by_the_program_that_gets_it, "nobody reads NGINX_GATEWAYS")
def a_value_that_no_template_of_nginx_has(rendering):
    rendering.find("ConfigMap", "nginx")["data"]["NGINX_GATEWAYS"] = "gateway:4000"


@breaks(settings.every_setting_that_has_no_fitting_default_is_given, "USER_SECRET_KEY is not given")
def a_required_setting_that_is_not_given(rendering):
    del rendering.find("ConfigMap", "user")["data"]["USER_SECRET_KEY_FILE"]


@breaks(settings.every_setting_that_has_no_fitting_default_is_given, "PAYMENT_GRPC_URL is not given")
def a_default_that_names_this_machine(rendering):
    del rendering.find("ConfigMap", "gateway")["data"]["PAYMENT_GRPC_URL"]


@breaks(settings.a_secret_comes_from_a_file_and_the_file_from_a_secret, "AMQP_URL stands in its environment")
def a_password_in_the_environment(rendering):
    rendering.find("ConfigMap", "common")["data"]["AMQP_URL"] = "amqp://rabbitmq"


@breaks(settings.a_secret_comes_from_a_file_and_the_file_from_a_secret, "which no Secret is mounted at")
def a_file_that_no_secret_gives(rendering):
    rendering.find("ConfigMap", "payment")["data"]["PAYMENT_DATABASE_URL_FILE"] = "/run/secrets/database-url"


@breaks(versions.every_image_has_a_version_and_ours_that_of_this_tree, "runs portico/order:0.0.9")
def an_image_of_another_version(rendering):
    container(rendering, "order")["image"] = "portico/order:0.0.9"


@breaks(versions.every_image_has_a_version_and_ours_that_of_this_tree, "may be another one tomorrow")
def an_image_of_whatever_is_newest(rendering):
    for workload in rendering.workloads():
        workload.containers[0]["image"] = "docker.io/library/postgres:latest"


@breaks(versions.a_migration_is_named_by_its_version, "Job user-migrate-0-0-9 is not named by")
def a_migration_that_was_not_renamed(rendering):
    rendering.find("Job", "user-migrate")["metadata"]["name"] = "user-migrate-0-0-9"


@breaks(versions.labels_tell_the_version, "do not say that they are of")
def a_pod_of_an_unknown_version(rendering):
    del rendering.workload("payment").labels["app.kubernetes.io/version"]


@pytest.mark.parametrize(("rule", "says", "change"), BREAKS)
def test_the_rule_finds_what_is_broken(rendering, rule, says, change):
    change(rendering)
    assert [told for told in rule(rendering) if says in told], f"{rule.__name__} did not say {says!r}"


def test_every_rule_is_broken_at_least_once():
    assert {rule.__name__ for rule in RULES} == {case.values[0].__name__ for case in BREAKS}


def without(name):
    def change(rendering):
        rendering.objects.remove(rendering.find("NetworkPolicy", name))

    change.__name__ = f"without_{name}"
    return change


def open_to_all(rendering):
    del spec(rendering, "NetworkPolicy", "gateway-from-nginx")["ingress"][0]["from"]


def another_service_at_the_database(rendering):
    peer = spec(rendering, "NetworkPolicy", "order-db-from-order")["ingress"][0]["from"][0]
    peer["podSelector"] = {"matchLabels": {"app.kubernetes.io/part-of": "portico"}}
    spec(rendering, "NetworkPolicy", "order-to-order-db")["podSelector"] = {}


def every_port(rendering):
    del spec(rendering, "NetworkPolicy", "gateway-to-services")["egress"][0]["ports"]
    del spec(rendering, "NetworkPolicy", "services-from-gateway")["ingress"][0]["ports"]


def pods_of_all_namespaces(rendering):
    peer = spec(rendering, "NetworkPolicy", "nginx-from-outside")["ingress"][0]["from"][0]
    peer["namespaceSelector"] = {}
    peer.pop("podSelector")


def forged_addresses(rendering):
    del spec(rendering, "NetworkPolicy", "nginx-from-outside")["ingress"][1]["from"][0]["ipBlock"]["except"]


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (without("nothing"), "no policy denies Ingress by default"),
        (without("names"), "cannot reach DNS at 53"),
        (without("nginx-to-gateway"), "nginx cannot reach gateway at 4000"),
        (without("gateway-to-services"), "gateway cannot reach payment at 50053"),
        (without("user-from-services"), "order cannot reach user at 50051"),
        (without("metrics-from-prometheus"), "Prometheus cannot reach user at 9401"),
        (without("traces-to-collector"), "order cannot reach the collector at 4317"),
        (without("nginx-from-outside"), "Traefik cannot reach nginx at 8080"),
        (without("user-to-user-db"), f"{MIGRATION} cannot reach user-db at 5432"),
        (without("rabbitmq-from-all"), "gateway cannot reach rabbitmq at 5672"),
        (open_to_all, "somebody else's pod can reach gateway at 4000"),
        (another_service_at_the_database, "payment can reach order-db at 5432"),
        (every_port, "gateway can reach user at 9401"),
        (pods_of_all_namespaces, "somebody else's pod can reach nginx at 8080"),
        (forged_addresses, "a pod beside Traefik can reach nginx at 8080"),
    ],
)
def test_a_way_that_is_missing_or_too_many_is_found(k3s, secrets, change, says):
    change(k3s)
    told = list(ways.every_needed_way_is_open_and_no_other(k3s, secrets))
    assert [one for one in told if says in one], told
