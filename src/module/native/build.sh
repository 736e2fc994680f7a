#!/usr/bin/env bash
# Builds the dynamic module for Envoy. Started by `make native` and `make trap`.
#
#   src/module/native/build.sh FILE ARCHITECTURE [FLAG...]
#
# FILE is where it is put, ARCHITECTURE x86_64 or aarch64; flags are rustc's.
set -euo pipefail
cd "$(dirname "$0")/../../.."
file=$1 architecture=$2
shift 2
# That of manylinux_2_28, which is older than those of all images of Envoy 1.38 and newer.
glibc=2.28
export ZIG=$PWD/.tools/zig/bin/zig ZIG_TARGET=$architecture-linux-gnu.$glibc
target=$architecture-unknown-linux-gnu
cargo fetch --quiet --target "$target"
# Paths of this machine stay out of the module (see REMAP in the Makefile).
remap=("--remap-path-prefix=$PWD=/route-metrics")
for folder in "${CARGO_HOME:-$HOME/.cargo}"/registry/src/*; do remap+=("--remap-path-prefix=$folder=/cargo"); done
export CARGO_ENCODED_RUSTFLAGS
CARGO_ENCODED_RUSTFLAGS=$(IFS=$'\x1f'; echo "${remap[*]}")
cargo rustc --lib --crate-type cdylib --profile native --features native --target "$target" -- \
    -Clinker="$PWD/src/module/native/link.sh" -Clinker-flavor=gcc "$@"
mkdir -p "$(dirname "$file")"
install "target/$target/native/libroute_metrics.so" "$file"
