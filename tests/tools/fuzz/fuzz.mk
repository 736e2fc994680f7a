##@ Endure

# Fuzzing with libFuzzer on stable Rust; it needs a C++ compiler. The tests of the same targets need
# none: `cargo test --package route-metrics-fuzz`.

# Seconds for each target.
FUZZ_SECONDS ?= 60
FUZZ_TARGETS ?= $(notdir $(wildcard tests/tools/fuzz/corpus/*))
FUZZ_HOST := $(shell rustc -vV 2>/dev/null | sed -n 's/^host: //p')
FUZZ_DIR := $(CURDIR)/target/fuzz
# The coverage that libFuzzer reads (https://clang.llvm.org/docs/SanitizerCoverage.html), as
# cargo-fuzz asks for it.
FUZZ_FLAGS := --cfg fuzzing -Ccodegen-units=1 -Cpasses=sancov-module \
	-Cllvm-args=-sanitizer-coverage-level=4 \
	-Cllvm-args=-sanitizer-coverage-inline-8bit-counters \
	-Cllvm-args=-sanitizer-coverage-pc-table \
	-Cllvm-args=-sanitizer-coverage-trace-compares

.PHONY: fuzz
fuzz: ## search for inputs that break a property, FUZZ_SECONDS=60 for each of FUZZ_TARGETS
	@tests/setup.sh rust
	RUSTFLAGS="$(FUZZ_FLAGS)" cargo build --package route-metrics-fuzz --profile fuzz \
		--target $(FUZZ_HOST) --target-dir $(FUZZ_DIR)
	@status=0; for target in $(FUZZ_TARGETS); do \
		mkdir -p $(FUZZ_DIR)/corpus/$$target; \
		echo "$$target: $(FUZZ_SECONDS) s, log in $(FUZZ_DIR)/$$target.log"; \
		FUZZ_TARGET=$$target $(FUZZ_DIR)/$(FUZZ_HOST)/fuzz/route-metrics-fuzz \
			-max_total_time=$(FUZZ_SECONDS) -max_len=4096 -timeout=10 -rss_limit_mb=2048 \
			-dict=tests/tools/fuzz/dictionary.txt -print_final_stats=1 \
			-artifact_prefix=$(FUZZ_DIR)/found-$$target- \
			$(FUZZ_DIR)/corpus/$$target tests/tools/fuzz/corpus/$$target \
			> $(FUZZ_DIR)/$$target.log 2>&1 || status=1; \
		grep -E 'panicked|ERROR|Test unit written|stat::number_of_executed|stat::new_units' -A1 \
			$(FUZZ_DIR)/$$target.log | grep -vE '^--|peak|slowest|average' || true; \
	done; exit $$status
