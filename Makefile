# The one door: whatever is done with this repository is a target here, and CI goes through the same ones.
# `make help` lists them.

SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help

PORTICO := cargo run --quiet -p portico --
# Backends for one command, thrown away after it.
WITH := $(PORTICO) with --
WITH_NODE := $(PORTICO) with --node --
WITH_PYTHON := $(PORTICO) with --python --
WITH_MANIFESTS := $(PORTICO) with --python --nginx --tool kustomize --tool kubectl --tool docker-compose --tool curl --tool openssl --
WITH_SUBSCRIBERS := $(PORTICO) with --node --python --
WITH_BROWSER := $(PORTICO) with --node --browser --tool curl --
# The variables of the backends of `make up` (or of `portico up --backends`), for the service $(1) that runs by itself.
SETTINGS = settings="$$($(PORTICO) env $(1))" && eval "$$settings"
# Where the databases are, unless the environment says so already.
URLS = { [[ -n "$${USER_DATABASE_URL-}$${USER_DATABASE_URL_FILE-}" ]] || { $(call SETTINGS,); }; }
# cargo's own runner: a fresh machine has it.
TEST := cargo test
# The containers; PROFILES= says which are meant. What is built is told which version it is.
COMPOSE = docker compose $(addprefix --profile ,$(or $(PROFILES),app))
export PORTICO_REVISION ?= $(shell git rev-parse --short HEAD 2>/dev/null)
# What the lock file says. Not `npm ci`: newer ones refuse a lock that leaves out builds for platforms that are not ours.
NPM_INSTALL := npm install --no-save --prefix tests --no-audit --no-fund --ignore-scripts --loglevel=error

.PHONY: help
help: ## Say what there is
	@awk 'BEGIN {FS = ":.*## "} /^##@/ {printf "\n%s\n", substr($$0, 5)} /^[a-z0-9-]+:.*## / {printf "  %-18s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

##@ Run
.PHONY: up up-embedded down migrate-up migrate-down backup restore run-gateway run-user run-order run-payment
up: ## Bring the whole system up (Ctrl-C takes it down)
	cargo run --release

up-embedded: ## The same with a private Postgres and everything else in one process
	cargo run --release -- up --embedded

down: ## Stop what `make up` started in another terminal, or the containers; their data stays
	@if [[ -n $$(docker compose --profile '*' ps -aq 2>/dev/null) ]]; then docker compose --profile '*' down; else $(PORTICO) down; fi

migrate-up: ## Bring the databases of the environment, or of a running `up`, to the newest schema
	@$(PORTICO) migrate up

migrate-down: ## Take the newest migration of each database back
	@$(PORTICO) migrate down

backup: ## Back the databases of the environment, or of a running `up`, up into a new folder (TO=)
	@$(call URLS) && scripts/databases backup '$(TO)'

restore: ## Restore them from there, in place of what is there (FROM=); nothing else may use them
	@$(call URLS) && scripts/databases restore '$(FROM)' --replace

run-gateway: ## The gateway in a process of its own, on the backends of a running `portico up --backends`
	@$(call SETTINGS,gateway) && cargo run -p gateway

run-user: ## The user service alike
	@$(call SETTINGS,user) && cargo run -p user

run-order: ## The order service alike
	@$(call SETTINGS,order) && cargo run -p order

run-payment: ## The payment service alike
	@$(call SETTINGS,payment) && cargo run -p payment

##@ Containers
.PHONY: build up-d restart logs logs-f ps infra health nginx-up nginx-down nginx-restart nginx-logs nginx-clear-cache nginx-status
build: ## Build all images, and tell how large they are
	@docker compose --profile app --profile commands build
	@docker image ls --filter reference='portico/*' --format 'table {{.Repository}}\t{{.Tag}}\t{{.Size}}'

up-d: build ## Bring the whole system up in containers (PROFILES='app observability', SCALE=order=3)
	@scripts/secrets
	@$(COMPOSE) up --detach --wait $(addprefix --scale ,$(SCALE))
	@$(COMPOSE) ps

restart: ## Start containers anew (SERVICE=order; all by default)
	@$(COMPOSE) restart $(SERVICE)

logs: ## The last lines of each container (SERVICE=)
	@$(COMPOSE) logs --tail 100 $(SERVICE)

logs-f: ## The same, and what follows
	@$(COMPOSE) logs --tail 20 --follow $(SERVICE)

ps: ## Which containers there are
	@docker compose --profile '*' ps --all

infra: ## Only Postgres and RabbitMQ, with ports on 127.0.0.1 for services that you run yourself
	@scripts/secrets $(PORTICO)
	@COMPOSE_FILE="$${COMPOSE_FILE:-docker-compose.yml}:docker/infra.yml" docker compose up --detach --wait
	@docker compose ps

health: ## Ask each container for its health; fails when one is not well
	@docker compose --profile '*' ps --all --format '{{.Name}} {{.State}} {{.Health}} {{.ExitCode}}' | \
		awk '{ well = $$3 == "healthy" || ($$2 == "exited" && $$3 == 0); print (well ? "  " : "! ") $$0; if (!well) bad = 1 } \
			END { if (!NR) print "No container runs."; exit bad || !NR }'

nginx-up: ## Start nginx, and what it stands on
	@docker compose --profile app up --detach --wait nginx

nginx-down: ## Take nginx away, and nothing else
	@docker compose --profile app rm --stop --force nginx

nginx-restart: ## Start nginx anew
	@docker compose --profile app restart nginx

nginx-logs: ## What nginx says from now on
	@docker compose --profile app logs --tail 20 --follow nginx

nginx-clear-cache: ## Forget all answers that nginx keeps
	@docker compose --profile app exec nginx clear-cache

nginx-status: ## Whether the way through nginx to the gateway is open
	@docker compose --profile app ps nginx
	@docker compose --profile app exec nginx curl -fsS http://127.0.0.1:8080/health

##@ Develop
.PHONY: dev-gateway dev-user dev-order dev-payment sdl api-docs events-catalogue metrics-catalogue sqlx fmt tidy clean clean-all
dev-gateway dev-user dev-order dev-payment: dev-%: ## (dev-gateway dev-user dev-order dev-payment) run, rebuilt and restarted on change
	@command -v bacon >/dev/null || cargo install --locked bacon
	@$(call SETTINGS,$*) && bacon --job $*

dev-gateway: ## The gateway, rebuilt and restarted on change (dev-user, dev-order, dev-payment alike)

sdl: ## Write schema.graphql and docs/openapi.json anew
	@$(PORTICO) sdl > schema.graphql.new && mv schema.graphql.new schema.graphql
	@$(PORTICO) openapi > docs/openapi.json.new && mv docs/openapi.json.new docs/openapi.json

api-docs: ## Say where the REST interface is described, and where to try it
	@echo 'The document (OpenAPI 3.1)  docs/openapi.json'
	@echo '  of a running Portico      http://$(or $(NGINX_LISTEN),127.0.0.1:8080)/api/v1/openapi.json'
	@echo 'A page to try it            http://$(or $(NGINX_LISTEN),127.0.0.1:8080)/api/v1/docs'

events-catalogue: ## Write docs/events.md and docs/events/ anew; refused where it would break a subscriber
	@$(PORTICO) events catalogue

metrics-catalogue: ## Write docs/metrics.md anew
	@$(PORTICO) metrics > docs/metrics.md.new && mv docs/metrics.md.new docs/metrics.md

sqlx: ## Check every query against a real database, and write the .sqlx folders anew
	@$(WITH) scripts/sqlx

fmt: ## Format the code
	@cargo fmt --all

tidy: ## Tell unused and outdated dependencies
	@command -v cargo-machete >/dev/null || cargo install --locked cargo-machete
	@cargo update --dry-run --verbose 2>&1 | grep -E 'Unchanged|Updating' || true
	@cargo machete

clean: ## Remove what was built
	@cargo clean
	@rm -rf tests/node_modules examples/subscribers/node/node_modules

clean-all: ## The same, and the containers with their images, their secrets AND ALL OF THEIR DATA (YES=1 asks nothing)
	@[[ -n "$(YES)" ]] || { read -rp 'All data of the containers will be gone. Go on? [y/N] ' answer && [[ $$answer == [yY]* ]]; }
	@docker compose --profile '*' down --volumes --rmi local --remove-orphans
	@rm -rf secrets
	@$(MAKE) --no-print-directory clean

##@ Test
.PHONY: test test-rust test-user test-order test-payment test-gateway test-http test-rest test-subscriptions test-browser test-federation test-events test-observability test-subscribers test-faults test-faults-short test-rolling test-coverage
test: test-rust test-federation test-events test-http test-rest test-subscribers test-subscriptions test-faults-short test-rolling test-browser ## All tests, on real backends that are brought and taken away again

test-rust: ## The tests of all crates
	@cargo build --workspace --bins
	@$(WITH) $(TEST) --workspace

test-user test-order test-payment test-gateway: test-%:
	@$(WITH) $(TEST) -p $*

test-user: ## The tests of the user service
test-order: ## The tests of the order service
test-payment: ## The tests of the payment service
test-gateway: ## The tests of the gateway

test-federation: ## Compose the graph with another subgraph
	@$(WITH_NODE) bash -c '$(NPM_INSTALL) && npm run --silent --prefix tests federation'

test-events: ## Hold the catalogue of events against AsyncAPI's rules
	@$(WITH_NODE) bash -c '$(NPM_INSTALL) && npm run --silent --prefix tests events'

test-http: ## Let the auditors of graphql-http look at the whole system
	@cargo build -p portico
	@$(WITH_NODE) bash -c '$(NPM_INSTALL) && scripts/test-http'

EXAMPLES ?= 5
SEED ?= 1
test-rest: ## Let Schemathesis ask REST and the graph for everything (EXAMPLES= of each operation, SEED=)
	@cargo build -p portico
	@$(WITH_PYTHON) env EXAMPLES=$(EXAMPLES) SEED=$(SEED) scripts/test-rest

test-subscriptions: ## Follow events with graphql-ws and graphql-sse, against the whole system
	@cargo build -p portico
	@$(WITH_NODE) bash -c '$(NPM_INSTALL) && scripts/test-subscriptions'

FAULT_SECONDS ?= 150
FAULT_SEED ?=
test-faults: ## Kill, stop and cut everything while clients order and pay, and see that nothing is lost (FAULT_SECONDS=, FAULT_SEED=)
	@scripts/test-faults --seconds $(FAULT_SECONDS) $(if $(FAULT_SEED),--seed $(FAULT_SEED))
	@cargo build --workspace --bins
	@$(WITH) $(TEST) --workspace --test portico_cli -- faults:: scene::

test-faults-short: ## The same in its shortest form, each fault about once
	@$(MAKE) --no-print-directory test-faults FAULT_SECONDS=20

test-rolling: ## Replace every process and restart RabbitMQ while clients order and pay through nginx, and see that none notices
	@scripts/test-faults --rolling $(if $(FAULT_SEED),--seed $(FAULT_SEED))

test-observability: ## Hold the rules, alerts and dashboards of observability/ against promtool, their tests and a system at work
	@cargo build --workspace --bins
	@$(WITH) $(TEST) --workspace --test portico_cli observability

test-subscribers: ## Run the example subscribers in Rust, Python and Node.js against the whole system with RabbitMQ
	@cargo build -p portico -p subscriber
	@$(WITH_SUBSCRIBERS) bash -c '$(NPM_INSTALL) && scripts/test-subscribers'

test-browser: ## Drive the IDE in a headless Chromium, against the whole system
	@cargo build -p portico
	@$(WITH_BROWSER) bash -c '$(NPM_INSTALL) && scripts/test-browser'

.PHONY: fuzz
TARGET ?= request
fuzz: ## Feed one of the targets of fuzz/ until it breaks; wants a nightly toolchain (TARGET=, SECONDS=)
	@command -v cargo-fuzz >/dev/null || cargo install --locked cargo-fuzz
	@cp Cargo.lock fuzz/Cargo.lock
	@cargo +nightly fuzz run $(TARGET) -- $(if $(SECONDS),-max_total_time=$(SECONDS))

test-coverage: ## Which lines the tests reach, as HTML in target/coverage
	@command -v cargo-tarpaulin >/dev/null || cargo install --locked cargo-tarpaulin
	@$(WITH) cargo tarpaulin --workspace --engine ptrace --skip-clean --out html --output-dir target/coverage

##@ k3s
.PHONY: k3s-setup k3s-build k3s-import k3s-deploy k3s-up k3s-status k3s-logs k3s-redeploy k3s-clean k3s-test k3s-backup k3s-restore
# k8s/README.md walks through them. OVERLAY=external: with databases and a RabbitMQ that run elsewhere.
k3s-setup: ## Make the namespace, and the Secrets that are not there yet
k3s-build: ## Build the images
k3s-import: ## Bring the images into this machine's k3s
k3s-deploy: ## Bring what runs to what the manifests say, and wait until it serves
k3s-up: ## All of these, one after the other
k3s-status: ## What runs
k3s-logs: ## Follow the logs of one (SERVICE=)
k3s-redeploy: ## Build, import and restart the same version
k3s-test: ## Ask a query by each way in
k3s-backup: ## Back the databases up now
k3s-restore: ## Bring them back from a backup (FROM=, SERVICE=)
k3s-clean: ## Remove all but volumes and Secrets (DATA=delete: these too)

k3s-setup k3s-build k3s-import k3s-deploy k3s-up k3s-status k3s-logs k3s-redeploy k3s-clean k3s-test k3s-backup k3s-restore: k3s-%:
	@scripts/k3s $*

##@ Check
.PHONY: lint lint-proto lint-generated check-manifests check-compose audit
lint: ## Format, clippy and documentation, without a warning
	@cargo fmt --all --check
	@cargo clippy --workspace --all-targets -- -D warnings
	@RUSTDOCFLAGS='-D warnings' cargo doc --workspace --no-deps --document-private-items --quiet

lint-proto: ## buf's STANDARD lint, and no breaking change against main
	@$(WITH_NODE) bash -c '$(NPM_INSTALL) && scripts/lint-proto'

lint-generated: sdl events-catalogue metrics-catalogue sqlx ## Whether schema.graphql, docs/openapi.json, the catalogues of events and metrics and the .sqlx folders are up to date
	@git diff --exit-code -- schema.graphql docs/openapi.json docs/events.md docs/events docs/metrics.md '*/.sqlx' || { echo 'Generated files differ: commit what `make sdl events-catalogue metrics-catalogue sqlx` made.' >&2; exit 1; }
	@test -z "$$(git status --porcelain -- schema.graphql docs/openapi.json docs/events.md docs/events docs/metrics.md '*/.sqlx')" || { git status --short -- schema.graphql docs/openapi.json docs/events.md docs/events docs/metrics.md '*/.sqlx' >&2; exit 1; }

check-manifests: ## Everything about k8s/ and docker-compose.yml that can be known without a cluster
	@cargo build --workspace --bins
	@$(WITH_MANIFESTS) scripts/check-manifests

check-compose: ## Run docker-compose.yml on an engine of its own, without a registry (wants root on a Debian; builds for release)
	@cargo build --release -p gateway -p user -p order -p payment -p portico
	@$(PORTICO) with --node --tool curl -- scripts/check-compose

audit: ## Licences, bans, sources, unused dependencies; advisories where there is a network
	@scripts/audit

##@ Measure
.PHONY: bench bench-quick load-test
bench: ## Measure everything that docs/performance.md says, and write it anew
	@scripts/bench

bench-quick: ## The same in short rounds, without writing
	@scripts/bench --quick

URL ?= http://127.0.0.1:4000/graphql
CONCURRENCY ?= 16
REQUESTS ?= 10000
load-test: ## A bounded load on a running Portico (URL=, CONCURRENCY=, REQUESTS=)
	@cargo run --quiet --release -p bench -- load --url '$(URL)' --concurrency $(CONCURRENCY) --requests $(REQUESTS)
