# The weights of inference, fitted to requests whose templates are known. See README.md beside this.

TRAIN := RUSTFLAGS="--cfg route_metrics_train" cargo run --quiet --release --target-dir target/train \
	--package route-metrics-train --
SEED ?= 0

.PHONY: train
train: ## fit the weights of inference to requests: FOLDERS=A,B [GUARDS="C D"] [SEED=1]
	@[ -n "$(FOLDERS)" ] || { echo "train: FOLDERS=A,B must name folders as tests/tools/train/README.md says" >&2; exit 1; }
	@tests/setup.sh rust
	$(TRAIN) fit "$(FOLDERS)" $(SEED) $(GUARDS) > target/weights.txt
	$(TRAIN) apply target/weights.txt src/endpoint/inference/weights.rs
	cargo fmt

.PHONY: train-split
train-split: ## print how well endpoints are inferred: FOLDER=A, providers split by the seeds 1 and 2
	@tests/setup.sh rust
	@$(TRAIN) split "$(FOLDER)" 1 2
