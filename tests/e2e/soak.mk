# Hours of it: `make soak SOAK_SECONDS=28800`. NATIVE=1 takes the dynamic module.
SOAK_SECONDS ?= 180
SOAK_SEED ?= 1

.PHONY: soak
soak: build envoys $(if $(NATIVE),native) ## hostile, normal and event traffic at full speed for SOAK_SECONDS=180, totals and memory checked
	E2E_HOST=$(if $(NATIVE),native,wasm) SOAK_SECONDS=$(SOAK_SECONDS) SOAK_SEED=$(SOAK_SEED) \
		cargo run --package route-metrics-e2e --bin soak
