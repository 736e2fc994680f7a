#!/usr/bin/env bash
# Runs the end-to-end tests of the filter on each of these versions of Envoy, and prints a table.
# Started by `make versions`. The output of each run is kept in target/versions/.
#
#   tests/versions.sh VERSION...
set -uo pipefail
cd "$(dirname "$0")/.."
logs=target/versions
mkdir -p "$logs"
rows=() failures=0
for version in "$@"; do
    log=$logs/$version.log
    echo "Envoy $version" > "$log"
    started=$SECONDS
    ENVOY= ENVOY_VERSION=$version cargo test --package route-metrics-e2e --test filter --no-fail-fast >> "$log" 2>&1
    status=$?
    read -r passed failed ignored < <(sed -n \
        's/^test result: .* \([0-9]*\) passed; \([0-9]*\) failed; \([0-9]*\) ignored;.*/\1 \2 \3/p' "$log" |
        awk '{p += $1; f += $2; i += $3} END {print p + 0, f + 0, i + 0}')
    [ "$status" -eq 0 ] || failures=$((failures + 1))
    rows+=("| $version | $passed | $failed | $ignored | $((SECONDS - started)) s |")
    echo "Envoy $version: $passed passed, $failed failed" >&2
    sed -n '/^failures:$/,$ s/^    \([a-z_:0-9]*\)$/    \1/p' "$log" | sort -u >&2
done
echo "| Envoy | passed | failed | ignored | took |"
echo "|---|---|---|---|---|"
printf '%s\n' "${rows[@]}"
[ "$failures" -eq 0 ] || { echo "$failures versions failed; see $logs" >&2; exit 1; }
