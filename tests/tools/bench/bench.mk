# The benchmark; included by the Makefile. tests/tools/bench/README.md says what it measures.

##@ Measure

.PHONY: bench
bench: build native ## measure what the filter costs a real Envoy (BENCH_STARTS, BENCH_ROUNDS, BENCH_SECONDS)
	@command -v taskset >/dev/null || { echo "bench: taskset is missing (util-linux)" >&2; exit 1; }
	@command -v h2load >/dev/null || { \
		echo "bench: installing the Debian package nghttp2-client, for h2load"; \
		apt-get update -qq && apt-get install -y -qq --no-install-recommends nghttp2-client >/dev/null; \
	}
	@[ -n "$(ENVOY)" ] || tests/setup.sh envoy $(firstword $(ENVOY_VERSIONS))
	cargo build --release --target wasm32-wasip1 --package bench-empty-sdk \
		--package bench-floor --package bench-straightforward
	cargo build --release --package route-metrics-bench
	@ENVOY="$${ENVOY:-$(FIRST_ENVOY)}" target/release/route-metrics-bench

.PHONY: bench-memory
bench-memory: build native ## measure what a worker's VM costs in memory, and a start in time and memory (BENCH_STARTS)
	@command -v h2load >/dev/null || { echo "bench-memory: h2load is missing; make bench installs it" >&2; exit 1; }
	@[ -n "$(ENVOY)" ] || tests/setup.sh envoy $(firstword $(ENVOY_VERSIONS))
	@tests/tools/bench/memory.sh "$${ENVOY:-$(FIRST_ENVOY)}"
