#!/usr/bin/env bash
# Runs the end-to-end tests of the filter, of who may scrape, of the forms of Istio and Envoy Gateway
# and of tracing on each of these versions of Envoy, and prints a table. Started by `make versions`.
# The output of each run is kept in target/versions/.
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
    # What the stack's programs do is the same with each Envoy.
    without=(--skip running::)
    # Envoy 1.36 cannot name spans by the endpoint.
    case $version in 1.36.*) without+=(--skip tracing::spans --skip tracing::the_share) ;; esac
    ENVOY= ENVOY_VERSION=$version cargo test --package route-metrics-e2e --lib --test requests --test faults --test observability \
        --no-fail-fast -- "${without[@]}" >> "$log" 2>&1
    status=$?
    read -r passed failed left_out < <(sed -n \
        's/^test result: .* \([0-9]*\) passed; \([0-9]*\) failed; .* \([0-9]*\) filtered out;.*/\1 \2 \3/p' "$log" |
        awk '{p += $1; f += $2; l += $3} END {print p + 0, f + 0, l + 0}')
    [ "$status" -eq 0 ] || failures=$((failures + 1))
    rows+=("| $version | $passed | $failed | $left_out | $((SECONDS - started)) s |")
    echo "Envoy $version: $passed passed, $failed failed" >&2
    sed -n '/^failures:$/,$ s/^    \([a-z_:0-9]*\)$/    \1/p' "$log" | sort -u >&2
done
echo "| Envoy | passed | failed | left out | took |"
echo "|---|---|---|---|---|"
printf '%s\n' "${rows[@]}"
[ "$failures" -eq 0 ] || { echo "$failures versions failed; see $logs" >&2; exit 1; }
