# `make` alone prints the targets. What is missing on a fresh machine is installed by the target
# that needs it, into .tools/.

SHELL := /bin/bash
.SHELLFLAGS := -eu -o pipefail -c
.DEFAULT_GOAL := help
MAKEFLAGS += --no-print-directory

# The Envoys that are tested; the first one is run. ENVOY=/path/to/envoy stands for all of them.
ENVOY_VERSIONS := $(shell sed -n 's/^\([0-9.]*\) test$$/\1/p' tests/envoys)
# Those of `make versions`.
ENVOY_MATRIX := $(shell sed -n 's/^\([0-9][0-9.]*\).*/\1/p' tests/envoys)
ENVOY ?=
UPSTREAM ?=
PLUGIN ?= envoy/plugin.json
ENVOY_PORT ?= 10000
ADMIN_PORT ?= 9901
METRICS_PORT ?= 9902
DEMO_PORT ?= 10080
# NATIVE=1 takes the dynamic module in place of the Wasm module.
NATIVE ?=
NATIVE_ARCH ?= x86_64
NATIVE_FILE = dist/$(if $(filter x86_64,$(NATIVE_ARCH)),,$(NATIVE_ARCH)/)libroute_metrics.so

export ENVOY UPSTREAM PLUGIN ENVOY_PORT ADMIN_PORT METRICS_PORT DEMO_PORT NATIVE
export CARGO_TARGET_WASM32_UNKNOWN_UNKNOWN_RUNNER := $(CURDIR)/.tools/bin/wasm-bindgen-test-runner
DENY := .tools/bin/cargo-deny --workspace --config .ci/deny.toml
# Behind what is installed already.
export PATH := $(PATH):$(CURDIR)/.tools/prometheus/usr/bin

# End-to-end tests wait more than they work, so there are more of them at once than cores; each has one
# or two Envoys of up to four workers, so there are never many.
CORES := $(shell nproc 2>/dev/null || echo 2)
E2E_THREADS ?= $(shell echo $$(($(CORES) < 4 ? 2 * $(CORES) : 8)))
E2E := RUST_TEST_THREADS=$(E2E_THREADS) cargo test --package route-metrics-e2e

FIRST_ENVOY := $(CURDIR)/.tools/envoy-$(firstword $(ENVOY_VERSIONS))/bin/envoy
CARGO_WASM := cargo rustc --lib --crate-type cdylib --target wasm32-wasip1
CARGO_MODULE := $(CARGO_WASM) --profile module
# LLVM repeats a function at its callers far more readily than the time that it saves is worth: what
# requests run often says #[inline(always)] itself. See "Size" in tests/tools/bench/README.md.
MODULE_FLAGS := -Cllvm-args=--inline-threshold=3 -Cllvm-args=--inlinehint-threshold=15
# Paths of this machine stay out of the module, so that it is the same wherever it is built. The
# folders of the registry are named by where it is mirrored, and are there only after a fetch.
REMAP = cargo fetch --quiet --target wasm32-wasip1; \
	export CARGO_TARGET_WASM32_WASIP1_RUSTFLAGS="$(MODULE_FLAGS) --remap-path-prefix=$(CURDIR)=/route-metrics $$(printf -- \
		'--remap-path-prefix=%s=/cargo ' "$${CARGO_HOME:-$$HOME/.cargo}"/registry/src/*)"

##@ Use

.PHONY: help
help: ## print this
	@awk 'BEGIN {FS = ":.*## "} \
		/^##@ / {printf "\n%s\n", substr($$0, 5)} \
		/^[a-z0-9_-]+:.*## / {printf "  %-26s %s\n", $$1, $$2}' $(MAKEFILE_LIST)
	@echo
	@echo "Ports: ENVOY_PORT=$(ENVOY_PORT) (traffic) ADMIN_PORT=$(ADMIN_PORT) METRICS_PORT=$(METRICS_PORT) DEMO_PORT=$(DEMO_PORT)"
	@echo "Also:  PLUGIN=FILE (the plugin's JSON) ENVOY=PATH (an Envoy of your own)"
	@echo "More:  make observability-help"

.PHONY: build
build: module ## build dist/route_metrics.wasm and dist/route-metrics
	cargo build --release --bin route-metrics
	@install target/release/route-metrics dist/
	@ls -l dist/route_metrics.wasm dist/route-metrics | awk '{print "  " $$NF ": " $$5 " bytes"}'

.PHONY: module
module: ## build dist/route_metrics.wasm alone
	@tests/setup.sh rust binaryen
	@echo "$(CARGO_MODULE)"; $(REMAP); $(CARGO_MODULE)
	@mkdir -p dist
	@src/module/wasm/trim.sh target/wasm32-wasip1/module/route_metrics.wasm dist/route_metrics.wasm

.PHONY: native
native: ## build dist/libroute_metrics.so, the same filter as a dynamic module; NATIVE_ARCH=aarch64 for ARM
	@tests/setup.sh rust zig
	@[ "$(NATIVE_ARCH)" = x86_64 ] || rustup target add $(NATIVE_ARCH)-unknown-linux-gnu
	@echo "src/module/native/build.sh $(NATIVE_FILE) $(NATIVE_ARCH)"; src/module/native/build.sh $(NATIVE_FILE) $(NATIVE_ARCH)
	@ls -l $(NATIVE_FILE) | awk '{print "  " $$NF ": " $$5 " bytes"}'

# Settings are looked at before anything is built.
.PHONY: run-settings
run-settings:
	@envoy/run.sh check

.PHONY: run
run: run-settings build $(if $(NATIVE),native) ## run Envoy with the filter in front of UPSTREAM=host:port, or of a demo application
	@[ -n "$(ENVOY)" ] || tests/setup.sh envoy $(firstword $(ENVOY_VERSIONS))
	@if [ -z "$(UPSTREAM)" ]; then \
		echo "cargo build --package route-metrics-demo"; \
		cargo build --package route-metrics-demo; \
		install target/debug/route-metrics-demo dist/; \
	fi
	@ENVOY="$${ENVOY:-$(FIRST_ENVOY)}" exec envoy/run.sh

include envoy/stack.mk

##@ Work on it

.PHONY: test
test: test-native test-wasm test-e2e test-dynamic ## run all tests

.PHONY: test-native
test-native: build trap stack-tools ## run the unit and property tests
	@tests/setup.sh rust prometheus
	cargo test --workspace --exclude route-metrics-e2e --no-fail-fast
	@# The hooks of the dynamic module, as the older Envoys that it knows; above, as the newest.
	for minor in 38 39; do MOCK_ENVOY=1.$$minor cargo test --quiet --workspace --exclude route-metrics-e2e --lib module::native || exit 1; done

.PHONY: test-wasm
test-wasm: ## run the unit and property tests of the core as Wasm under Node
	@tests/setup.sh rust runner
	cargo test --lib --target wasm32-unknown-unknown

.PHONY: test-e2e
test-e2e: stack-programs envoys trap ## run the end-to-end tests in real Envoys
	@tests/setup.sh prometheus django
	$(E2E) --no-fail-fast

.PHONY: quality
quality: ## print how well endpoints of made-up APIs are inferred
	@tests/setup.sh rust
	@cargo test --quiet --test core endpoint_quality::made_up -- --nocapture

# The hooks of the dynamic module, called from tests on an Envoy in memory, under valgrind, as each Envoy that it
# knows. Of a property fewer cases are tried than natively, for it takes fifty times as long.
.PHONY: native-memcheck
native-memcheck: ## call the dynamic module's hooks under valgrind
	@tests/setup.sh rust
	@command -v valgrind >/dev/null || { \
		echo "native-memcheck: installing the Debian package valgrind"; \
		apt-get update -qq && apt-get install -y -qq --no-install-recommends valgrind >/dev/null; \
	}
	cargo test --lib --features native module::native
	@for minor in 38 39 40; do echo "Envoy 1.$$minor"; \
		MOCK_ENVOY=1.$$minor PROPTEST_CASES=20 CARGO_TARGET_X86_64_UNKNOWN_LINUX_GNU_RUNNER="valgrind --quiet \
			--error-exitcode=9 --leak-check=full --show-leak-kinds=definite --errors-for-leak-kinds=definite" \
		cargo test --quiet --lib --features native module::native; done

# All end-to-end tests but those that tests/native-skips names, each with its reason.
NATIVE_SKIPS = $(addprefix --skip ,$(shell tests/skips.sh $(firstword $(ENVOY_VERSIONS))))
.PHONY: test-dynamic
test-dynamic: stack-programs envoys native native-trap ## run end-to-end tests on the dynamic module
	@tests/setup.sh prometheus django
	$(E2E) --test native -- --include-ignored
	E2E_HOST=native ENVOY_VERSION=$(firstword $(ENVOY_VERSIONS)) $(E2E) --no-fail-fast --test requests --test faults \
		--test custom_metrics --test protocols --test observability -- $(NATIVE_SKIPS)

# github.jsonl, github_stream.jsonl, stripe.jsonl and petstore.jsonl: METHOD, PATH and the TEMPLATE of
# requests, an object with `method`, `path` and `template` in each line; github.templates.txt and so on:
# the templates, as `GET,PUT /users/{id}`; adversarial.jsonl: hostile paths, an object with `path` in each
# line, and with `"encoding": "base64"` where it is not UTF-8.
.PHONY: test-corpora
test-corpora: build envoys ## run the tests that need larger corpora of requests than a clone has: CORPORA=FOLDER
	@[ -f "$(CORPORA)/github.jsonl" ] || { \
		echo "test-corpora: CORPORA=FOLDER must name a folder with the files that the Makefile lists here" >&2; exit 1; }
	@tests/setup.sh rust prometheus
	ROUTE_METRICS_CORPORA="$(abspath $(CORPORA))" cargo test --no-fail-fast -- --ignored
	ROUTE_METRICS_CORPORA="$(abspath $(CORPORA))" $(E2E) --test requests -- --ignored

# The module for tests that kill a VM on purpose: it dies when a request says so (src/module/trap.rs).
# It also counts how often it allocates.
.PHONY: trap
trap:
	@tests/setup.sh rust
	$(CARGO_WASM) --profile trap -- --cfg route_metrics_trap

# The dynamic module for the tests, which panics in a hook when a request says so.
.PHONY: native-trap
native-trap:
	@tests/setup.sh rust zig
	src/module/native/build.sh target/native-trap/libroute_metrics.so x86_64 --cfg route_metrics_trap -Copt-level=1

.PHONY: envoys
envoys: ## install the tested Envoys into .tools/
	@[ -n "$(ENVOY)" ] || tests/setup.sh $(ENVOY_VERSIONS:%=envoy %)

.PHONY: lint
lint: ## check formatting and lints, natively and for the module
	@tests/setup.sh rust lint
	cargo fmt --all --check
	cargo clippy --workspace --all-targets -- -D warnings
	cargo clippy --lib --target wasm32-wasip1 -- -D warnings
	cargo clippy --lib --features native -- -D warnings

.PHONY: fmt
fmt: ## format the sources
	@tests/setup.sh lint
	cargo fmt --all

.PHONY: size
size: ## print what each dependency costs in the module
	@tests/setup.sh rust binaryen
	CARGO_PROFILE_MODULE_STRIP=debuginfo CARGO_TARGET_WASM32_WASIP1_RUSTFLAGS="$(MODULE_FLAGS)" \
		$(CARGO_MODULE) --target-dir target/size
	@src/module/wasm/trim.sh target/size/wasm32-wasip1/module/route_metrics.wasm target/size/named.wasm --debuginfo
	cargo run --quiet --package route-metrics-size -- target/size/named.wasm

include tests/tools/bench/bench.mk
include tests/tools/micro/micro.mk
include tests/tools/fuzz/fuzz.mk
include tests/e2e/soak.mk
include tests/tools/applications/applications.mk
include tests/tools/pictures/pictures.mk
include tests/tools/train/train.mk

# The hosts of `make versions`.
HOSTS ?= wasm native
.PHONY: versions
versions: stack-programs trap native native-trap ## test on each Envoy of ENVOY_MATRIX with each of HOSTS, and print one table
	@tests/setup.sh $(ENVOY_MATRIX:%=envoy %) prometheus django
	cargo test --package route-metrics-e2e --no-run
	@RUST_TEST_THREADS=$(E2E_THREADS) HOSTS="$(HOSTS)" tests/versions.sh $(ENVOY_MATRIX)

.PHONY: dist
dist: build native ## build what a release is made of: the modules, the Wasm one twice, hashes, SBOM and OCI image
	@tests/setup.sh cyclonedx
	@envoy/dist.sh

.PHONY: deny
deny: ## check licences, sources and advisories of all dependencies; OFFLINE=1 leaves out advisories
	@tests/setup.sh deny
	$(DENY) check bans licenses sources
	@if [ -n "$(OFFLINE)" ]; then echo "advisories were not checked"; else \
		echo "$(DENY) check advisories"; $(DENY) check advisories || { \
			echo "Where the list of advisories cannot be fetched, OFFLINE=1 leaves it out" >&2; exit 1; }; fi

.PHONY: generate
generate: ## print again the files in envoy/ and docs/ that the command prints
	GENERATE=1 cargo test --test shipped printed_files

.PHONY: clean
clean: ## remove what was built; .tools/ stays
	cargo clean
	rm -rf dist .run

