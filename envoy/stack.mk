# Envoy with Prometheus and Grafana. Settings are in .env; envoy/.env.example lists them.

# What make itself has set as a default must not hide what .env says.
STACK_NAMES := ENVOY_PORT ADMIN_PORT METRICS_PORT DEMO_PORT PLUGIN UPSTREAM
STACK := env $(foreach name,$(STACK_NAMES),$(if $(filter file,$(origin $(name))),-u $(name))) \
	DEFAULT_ENVOY=$(FIRST_ENVOY) envoy/stack.sh

# Settings are looked at before anything is built.
.PHONY: stack-settings
stack-settings:
	@$(STACK) check

.PHONY: stack-programs
stack-programs: build ## build and install what observability-start runs
	@[ -n "$(ENVOY)" ] || tests/setup.sh envoy $(firstword $(ENVOY_VERSIONS))
	@docker info >/dev/null 2>&1 || tests/setup.sh prometheus
	@cargo build --quiet --package route-metrics-demo && install target/debug/route-metrics-demo dist/

.PHONY: stack-tools
stack-tools: ## install what the tests of the dashboard and the manifests need
	@[ -d tests/shipped/published/node_modules/dclint ] || npm ci --silent --prefix tests/shipped/published

##@ Observability

.PHONY: observability-start
observability-start: stack-settings stack-programs ## start Envoy, Prometheus and Grafana, with demo traffic where UPSTREAM is not set
	@$(STACK) start

.PHONY: observability-stop
observability-stop: ## stop all that observability-start has started
	@$(STACK) stop

.PHONY: start-with-observability
start-with-observability: stack-settings stack-programs ## the same as observability-start, in the foreground until Ctrl-C
	@exec $(STACK) run

.PHONY: observability-dashboard
observability-dashboard: ## print the address of the dashboard
	@$(STACK) url dashboard

.PHONY: observability-prometheus
observability-prometheus: ## print the address of Prometheus' targets
	@$(STACK) url prometheus

.PHONY: observability-logs
observability-logs: ## print the last words of each program
	@$(STACK) logs

.PHONY: observability-clean
observability-clean: ## stop everything, and remove its data, logs and generated files
	@$(STACK) clean

.PHONY: observability-help
observability-help: ## explain these targets and the settings
	@awk 'BEGIN {FS = ":.*## "} /^[a-z0-9_-]*observability[a-z0-9_-]*:.*## / {printf "  %-26s %s\n", $$1, $$2}' envoy/stack.mk
	@echo; echo "Settings, in .env or in the environment:"; echo
	@sed 's/^/  /' envoy/.env.example
