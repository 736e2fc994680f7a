# What one endpoint decision costs, natively and as Wasm; built as the module is.

# The features of src/module/wasm/trim.sh.
MICRO_OPT := wasm-opt --enable-bulk-memory --enable-nontrapping-float-to-int --enable-sign-ext \
	--enable-mutable-globals --enable-reference-types --enable-multivalue -Oz --converge --low-memory-unused
MICRO := --quiet --package route-metrics-micro --profile module

.PHONY: micro
micro: ## print what one endpoint decision costs, natively and as Wasm (Node)
	@tests/setup.sh rust binaryen
	@cargo build $(MICRO)
	@CARGO_TARGET_WASM32_WASIP1_RUSTFLAGS="$(MODULE_FLAGS) --cfg route_metrics_micro" \
		cargo build $(MICRO) --target wasm32-wasip1
	@$(MICRO_OPT) target/wasm32-wasip1/module/route-metrics-micro.wasm --output target/micro.wasm
	@printf 'Natively:\n\n'
	@target/module/route-metrics-micro
	@printf '\nAs Wasm, in Node %s:\n\n' "$$(node --version)"
	@node --no-warnings tests/tools/micro/run-wasm.mjs target/micro.wasm
