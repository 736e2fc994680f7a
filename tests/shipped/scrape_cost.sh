#!/usr/bin/env bash
# The constants of docs/fleet.md, measured: reads a scrape of Envoy from standard input, prints the
# lines and bytes of each kind of metric, in all and for each histogram or counter, and what a
# sample of the filter's metrics costs in Prometheus' blocks (two hours at an interval of 15 s with
# random increments; needs promtool).
#
#   curl -s http://127.0.0.1:9902/stats/prometheus | tests/shipped/scrape_cost.sh
set -euo pipefail
directory=$(mktemp -d)
trap 'rm -rf "$directory"' EXIT
cat > "$directory/scrape"

awk '
/^#/ {lines["comments"]++; bytes["comments"] += length($0) + 1; next}
{
    family = $1
    sub(/\{.*/, "", family)
    kind = "Envoy"
    if (family ~ /(^|_)http_request_duration_/) kind = "duration"
    else if (family ~ /(^|_)http_response_size_bytes/) kind = "response size"
    else if (family ~ /(^|_)http_requests_total$/) kind = "requests"
    else if (family ~ /(^|_)http_(exceptions|requests_active)/) kind = "exceptions, active"
    else if (family ~ /^route_metrics_/) kind = "filter"
    lines[kind]++
    bytes[kind] += length($0) + 1
    if (family ~ /_count$/ || kind == "requests") each[kind]++
}
END {
    printf "%-20s %8s %8s %8s %14s\n", "kind", "lines", "bytes", "of them", "bytes of each"
    for (kind in lines) {
        of = (kind == "duration" || kind == "response size" || kind == "requests") ? each[kind] : ""
        printf "%-20s %8d %8d %8s %14s\n", kind, lines[kind], bytes[kind], of, of ? int(bytes[kind] / of + 0.5) : ""
    }
}' "$directory/scrape" | { read -r head; echo "$head"; sort; }

awk '
/^#/ || !/^([a-z]+_)?(http|route_metrics)_/ {next}
{series[++n] = $1; value[n] = $2}
END {
    srand(1)
    for (i = 1; i <= n; i++) {
        sub(/\{\}$/, "", series[i])
        for (t = 0; t < 480; t++) {
            if (rand() < 0.5) value[i] += int(rand() * 20)
            printf "%s %d %d\n", series[i], value[i], 1700006400 + 15 * t
        }
    }
    print "# EOF"
    print n * 480 > "/dev/stderr"
}' "$directory/scrape" > "$directory/samples" 2> "$directory/count"
promtool tsdb create-blocks-from openmetrics "$directory/samples" "$directory/blocks" > /dev/null
size=$(du --summarize --apparent-size --bytes "$directory"/blocks | cut -f 1)
awk -v size="$size" '{printf "\nstorage: %d bytes for %d samples: %.2f bytes each\n", size, $1, size / $1}' "$directory/count"
