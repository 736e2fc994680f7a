# `make` alone prints the targets. What is missing on a fresh machine is installed by the target
# that needs it, into .tools/.

SHELL := /bin/bash
.SHELLFLAGS := -eu -o pipefail -c
.DEFAULT_GOAL := help
MAKEFLAGS += --no-print-directory

# The Envoys that are tested; the first one is run. ENVOY=/path/to/envoy stands for all of them.
ENVOY_VERSIONS := 1.40.0 1.36.4
ENVOY ?=
UPSTREAM ?=
PLUGIN ?= envoy/plugin.json
ENVOY_PORT ?= 10000
ADMIN_PORT ?= 9901
METRICS_PORT ?= 9902
DEMO_PORT ?= 10080

export ENVOY UPSTREAM PLUGIN ENVOY_PORT ADMIN_PORT METRICS_PORT DEMO_PORT
export CARGO_TARGET_WASM32_UNKNOWN_UNKNOWN_RUNNER := $(CURDIR)/.tools/bin/wasm-bindgen-test-runner
# Behind what is installed already.
export PATH := $(PATH):$(CURDIR)/.tools/prometheus/usr/bin

FIRST_ENVOY := $(CURDIR)/.tools/envoy-$(firstword $(ENVOY_VERSIONS))/bin/envoy
CARGO_MODULE := cargo rustc --profile module --lib --crate-type cdylib --target wasm32-wasip1

##@ Use

.PHONY: help
help: ## print this
	@awk 'BEGIN {FS = ":.*## "} \
		/^##@ / {printf "\n%s\n", substr($$0, 5)} \
		/^[a-z0-9_-]+:.*## / {printf "  %-26s %s\n", $$1, $$2}' $(MAKEFILE_LIST)
	@echo
	@echo "Ports: ENVOY_PORT=$(ENVOY_PORT) (traffic) ADMIN_PORT=$(ADMIN_PORT) METRICS_PORT=$(METRICS_PORT) DEMO_PORT=$(DEMO_PORT)"
	@echo "Also:  PLUGIN=FILE (the plugin's JSON) ENVOY=PATH (an Envoy of your own)"

.PHONY: build
build: ## build dist/route_metrics.wasm and dist/route-metrics
	@tests/setup.sh rust
	$(CARGO_MODULE)
	cargo build --release --bin route-metrics
	@mkdir -p dist
	@cp target/wasm32-wasip1/module/route_metrics.wasm target/release/route-metrics dist/
	@ls -l dist/route_metrics.wasm dist/route-metrics | awk '{print "  " $$NF ": " $$5 " bytes"}'

.PHONY: run
run: build ## run Envoy with the filter in front of UPSTREAM=host:port, or of a demo application
	@[ -n "$(ENVOY)" ] || tests/setup.sh envoy $(firstword $(ENVOY_VERSIONS))
	@if [ -z "$(UPSTREAM)" ]; then \
		echo "cargo build --package route-metrics-demo"; \
		cargo build --package route-metrics-demo; \
		cp target/debug/route-metrics-demo dist/; \
	fi
	@ENVOY="$${ENVOY:-$(FIRST_ENVOY)}" exec envoy/run.sh

include envoy/stack.mk

##@ Work on it

.PHONY: test
test: test-native test-wasm test-e2e ## run all tests

.PHONY: test-native
test-native: build stack-tools ## run the unit and property tests
	@tests/setup.sh rust prometheus
	cargo test --workspace --exclude route-metrics-e2e --no-fail-fast

.PHONY: test-wasm
test-wasm: ## run the unit and property tests of the core as Wasm under Node
	@tests/setup.sh rust runner
	cargo test --lib --target wasm32-unknown-unknown

.PHONY: test-e2e
test-e2e: stack-programs envoys ## run the end-to-end tests in real Envoys
	@tests/setup.sh prometheus django
	cargo test --package route-metrics-e2e --no-fail-fast

include tests/fuzz/fuzz.mk
include tests/e2e/soak.mk

.PHONY: envoys
envoys: ## install the tested Envoys into .tools/
	@[ -n "$(ENVOY)" ] || tests/setup.sh $(ENVOY_VERSIONS:%=envoy %)

.PHONY: lint
lint: ## check formatting and lints, natively and for the module
	@tests/setup.sh rust lint
	cargo fmt --all --check
	cargo clippy --workspace --all-targets -- -D warnings
	cargo clippy --lib --target wasm32-wasip1 -- -D warnings

.PHONY: fmt
fmt: ## format the sources
	@tests/setup.sh lint
	cargo fmt --all

.PHONY: size
size: ## print what each dependency costs in the module
	@tests/setup.sh rust
	CARGO_PROFILE_MODULE_STRIP=debuginfo $(CARGO_MODULE) --target-dir target/size
	cargo run --quiet --package route-metrics-size -- target/size/wasm32-wasip1/module/route_metrics.wasm

.PHONY: generate
generate: ## print again the files in envoy/ and docs/ that the command prints
	GENERATE=1 cargo test --test printed_files

.PHONY: clean
clean: ## remove what was built; .tools/ stays
	cargo clean
	rm -rf dist .run
