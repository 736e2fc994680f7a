#!/usr/bin/env bash
# Runs the end-to-end tests on each of these versions of Envoy, with the Wasm module and with the dynamic module
# where the version has such, and prints a table. Started by `make versions`. The output of each run is kept in
# target/versions/.
#
#   HOSTS="wasm native" tests/versions.sh VERSION...
#
# Of the dynamic module, tests/native-skips says what is left out. What it expects to fail runs after the others, and
# a test of it that passes is a failure: the list says what is not so.
set -uo pipefail
cd "$(dirname "$0")/.."
logs=target/versions
mkdir -p "$logs"
rows=() failures=0

# Runs tests of suites, and appends what they print to $log: SUITES... -- ARGUMENTS...
tests() {
    local suites=()
    while [ "$1" != -- ]; do suites+=(--test "$1"); shift; done
    shift
    ENVOY= ENVOY_VERSION=$version E2E_HOST=$host cargo test --package route-metrics-e2e "${suites[@]}" \
        --no-fail-fast "$@" >> "$log" 2>&1
}

# The sums of a log: passed, failed, left out.
sums() {
    sed -n 's/^test result: .* \([0-9]*\) passed; \([0-9]*\) failed; .* \([0-9]*\) filtered out;.*/\1 \2 \3/p' "$1" |
        awk '{p += $1; f += $2; l += $3} END {print p + 0, f + 0, l + 0}'
}

row() {
    rows+=("| $version | $host | $passed | $failed | $left_out | $((SECONDS - started)) s |")
    echo "Envoy $version, $host: $passed passed, $failed failed" >&2
    sed -n '/^failures:$/,$ s/^    \([a-z_:0-9]*\)$/    \1/p' "$log" | sort -u >&2
}

# What the stack's programs do is the same with each Envoy. Protocols and metrics of applications are, too, in
# Wasm; of the dynamic module, each Envoy has another interface.
with_wasm() {
    local without=(--skip running::)
    # Envoy 1.36 cannot name spans by the endpoint.
    case $version in 1.36.*) without+=(--skip tracing::spans --skip tracing::the_share) ;; esac
    tests requests faults observability -- --lib -- "${without[@]}" || failures=$((failures + 1))
    read -r passed failed left_out < <(sums "$log")
    row
}

with_native() {
    local suites=(requests faults custom_metrics protocols observability) without=() expected=() stale
    mapfile -t expected < <(tests/skips.sh "$version" expected)
    while read -r name; do without+=(--skip "$name"); done < <(tests/skips.sh "$version")
    tests "${suites[@]}" -- -- "${without[@]}" || failures=$((failures + 1))
    # These choose their hosts.
    tests native -- -- --include-ignored "${without[@]}" || failures=$((failures + 1))
    read -r passed failed left_out < <(sums "$log")
    row
    # They wait for what does not come, so they are not to wait long.
    local log=$logs/$version-$host-expected.log
    : > "$log"
    E2E_DEADLINE=20 tests "${suites[@]}" native -- -- --include-ignored "${expected[@]}"
    stale=$(sed -n 's/^test \([a-z_:0-9]*\) \.\.\. ok$/\1/p' "$log")
    if [ -n "$stale" ]; then
        echo "tests/native-skips leaves these out, and they pass on Envoy $version:" >&2
        printf '    %s\n' $stale >&2
        failures=$((failures + 1))
    fi
}

for version in "$@"; do
    for host in ${HOSTS:-wasm native}; do
        # Envoy has dynamic modules of a stable kind since 1.38.
        case $host-$version in native-1.3[67].*) continue ;; esac
        log=$logs/$version-$host.log
        echo "Envoy $version, $host" > "$log"
        started=$SECONDS
        "with_$host"
    done
done
echo "| Envoy | host | passed | failed | left out | took |"
echo "|---|---|--:|--:|--:|--:|"
printf '%s\n' "${rows[@]}"
[ "$failures" -eq 0 ] || { echo "$failures runs failed; see $logs" >&2; exit 1; }
