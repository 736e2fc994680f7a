#!/usr/bin/env bash
# What a worker's VM costs in memory, and a start in time and memory, and the same of the dynamic module: one Envoy
# after another, first without traffic, then with 1, 2 and 4 workers, each with 2,000 series. Prints Markdown tables.
# `make bench-memory` runs it; BENCH_STARTS is how often each is started without traffic.
set -euo pipefail

envoy=$1
folder=$(mktemp -d)
trap 'kill "${pid:-}" 2>/dev/null || true; wait 2>/dev/null || true; rm -rf "$folder"' EXIT

cat >"$folder/plugin.json" <<'EOF'
{"labels": {"shard": {"from": "query_param", "name": "shard"}},
 "metrics": {"requests_total": {"labels": ["method", "endpoint", "status", "shard"]}},
 "endpoint": {"templates": ["/users"]},
 "limits": {"max_values_per_label": 4000, "max_series_per_metric": 4000}}
EOF
port() { python3 -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])'; }

start() { # WORKERS CONFIGURATION: sets pid, and started (ms until it is ready)
	local begin
	begin=$(date +%s%N)
	"$envoy" --config-path "$2" --concurrency "$1" --use-dynamic-base-id --log-level error >"$folder/log" 2>&1 &
	pid=$!
	until curl -fs -o /dev/null "http://127.0.0.1:$admin/ready"; do
		kill -0 "$pid" 2>/dev/null || { cat "$folder/log" >&2; exit 1; }
		sleep 0.005
	done
	started=$((($(date +%s%N) - begin) / 1000000))
}

stop() { # sets rss (kB), and ends it
	rss=$(awk '/^VmRSS/ {print $2}' "/proc/$pid/status")
	kill "$pid"
	wait "$pid" 2>/dev/null || true
}

measure() { # WORKERS CONFIGURATION: sets rss, started and series
	start "$@"
	h2load --h1 -t 1 -c 32 -n 128000 -i "$folder/urls" >/dev/null 2>&1
	sleep 2
	series=$(curl -s "http://127.0.0.1:$admin/stats/prometheus" | grep -c '^http_requests_total{' || true)
	stop
}

median() { sort -n "$1" | awk '{v[NR] = $1} END {print v[int((NR + 1) / 2)]}'; }

listen=$(port)
admin=$(port)
metrics=$(port)
dist/route-metrics envoy "$folder/plugin.json" --upstream 127.0.0.1:9 \
	--port "$listen" --admin-port "$admin" --metrics-port "$metrics" >"$folder/with.yaml"
# The same without the filter's entry, which ends where the next one begins.
awk '/^ *- name: route_metrics$/ { skip = 1; match($0, /^ */); depth = RLENGTH; next }
	skip { match($0, /^ */); if (NF && RLENGTH <= depth) skip = 0 }
	!skip' "$folder/with.yaml" >"$folder/without.yaml"
dist/route-metrics envoy "$folder/plugin.json" --native --module "$PWD/dist/libroute_metrics.so" --upstream 127.0.0.1:9 \
	--port "$listen" --admin-port "$admin" --metrics-port "$metrics" >"$folder/native.yaml"
for index in $(seq 2000); do echo "http://127.0.0.1:$listen/users?shard=$index"; done >"$folder/urls"

# In turn, so that what changes on the machine changes for all.
starts=${BENCH_STARTS:-9}
for _ in $(seq "$starts"); do
	for case in without with native; do
		start 1 "$folder/$case.yaml"
		echo "$started" >>"$folder/$case.started"
		stop
		echo "$rss" >>"$folder/$case.rss"
	done
done
echo "Ready after its start, one worker, no traffic yet; medians of $starts starts:"
echo
echo "| | ms | RSS, MB |"
echo "|---|--:|--:|"
row() { # NAME CASE
	awk -v n="$1" -v t="$(median "$folder/$2.started")" -v r="$(median "$folder/$2.rss")" \
		'BEGIN {printf "| %s | %d | %.1f |\n", n, t, r / 1024}'
}
row "no filter" without
row "dynamic module" native
row "Wasm module" with
echo
echo "After 128,000 requests:"
echo
echo "| workers | RSS without the filter, MB | Wasm | dynamic module | series | start without, ms | Wasm | dynamic module |"
echo "|--:|--:|--:|--:|--:|--:|--:|--:|"
declare -A with without
for workers in 1 2 4; do
	measure "$workers" "$folder/without.yaml"
	without[$workers]=$rss
	bare=$started
	measure "$workers" "$folder/with.yaml"
	with[$workers]=$rss
	vms=$started wasm_series=$series
	measure "$workers" "$folder/native.yaml"
	[ "$series" -eq "$wasm_series" ] || { echo "series: $wasm_series with Wasm, $series with the dynamic module" >&2; exit 1; }
	awk -v w="$workers" -v a="${without[$workers]}" -v b="${with[$workers]}" -v c="$rss" -v s="$series" \
		-v t="$bare" -v u="$vms" -v v="$started" \
		'BEGIN {printf "| %d | %.1f | %.1f | %.1f | %d | %d | %d | %d |\n", w, a / 1024, b / 1024, c / 1024, s, t, u, v}'
done
awk -v a="$((with[4] - without[4]))" -v b="$((with[2] - without[2]))" \
	'BEGIN {printf "\nEach further worker: %.2f MB\n", (a - b) / 2 / 1024}'
