#!/usr/bin/env bash
# Prints the end-to-end tests that tests/native-skips leaves out on a version of Envoy, one name in a line; with
# `expected`, those of them that are expected to fail there. Started by `make test-dynamic` and `make versions`.
#
#   tests/skips.sh VERSION [expected]
set -euo pipefail
cd "$(dirname "$0")/.."
awk -v version="$1." -v only="${2:-}" '
    /^[a-z]/ {
        count = split($2, places, ",")
        for (i = 1; i <= count; i++) {
            everywhere = places[i] == "wasm" || places[i] == "same" && only == ""
            if (everywhere || index(version, places[i] ".") == 1) { print $1; next }
        }
    }' tests/native-skips
