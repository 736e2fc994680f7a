#!/usr/bin/env bash
# Runs Envoy with the filter in front of UPSTREAM=HOST:PORT, or of the demo application with traffic
# of its own. Stays in the foreground, and stops all that it started when it is interrupted or
# terminated. Started by `make run`, which builds what is needed and sets the variables; `check` looks
# at these alone.
set -euo pipefail
cd "$(dirname "$0")/.."
. envoy/settings.sh

upstream=${UPSTREAM:-}
: "${EVENTS_PORT:=9903}" "${CONCURRENCY:=2}" "${ADDRESS:=127.0.0.1}"
check_ports ENVOY_PORT ADMIN_PORT METRICS_PORT DEMO_PORT EVENTS_PORT
used=(ENVOY_PORT ADMIN_PORT METRICS_PORT)
if [ -n "$upstream" ]; then check_upstream "${used[@]}"; else used+=(DEMO_PORT); fi
! may_take_events || used+=(EVENTS_PORT)
check_distinct "${used[@]}"
check_file PLUGIN
[[ $CONCURRENCY =~ ^[1-9][0-9]{0,2}$ ]] || mistake CONCURRENCY "is not a number of workers; use 1 to 999"
is_address "$ADDRESS" || mistake ADDRESS "is not an address, such as 127.0.0.1 or 0.0.0.0"
settled
[ "${1:-}" != check ] || exit 0

: "${ENVOY:?}"
state=.run
mkdir -p "$state"
started=()

stop() {
    trap '' INT TERM
    trap - EXIT
    if [ ${#started[@]} -gt 0 ]; then
        kill "${started[@]}" 2>/dev/null || true
        wait "${started[@]}" 2>/dev/null || true
    fi
}
trap stop EXIT
trap 'stop; echo; echo "stopped"; exit 0' INT TERM

listens() { (exec 3<>"/dev/tcp/127.0.0.1/$1") 2>/dev/null; }

free() {
    if listens "$1"; then
        echo "port $1 is in use; give another: make run $2=PORT" >&2
        exit 1
    fi
}

# Waits for a program that was started to listen; gives up where it ends.
await() {
    local port=$1 process=$2
    until listens "$port"; do
        kill -0 "$process" 2>/dev/null || return 1
        sleep 0.1
    done
}

free "$ENVOY_PORT" ENVOY_PORT
free "$ADMIN_PORT" ADMIN_PORT
free "$METRICS_PORT" METRICS_PORT
about=$upstream
if [ -z "$upstream" ]; then
    free "$DEMO_PORT" DEMO_PORT
    upstream=127.0.0.1:$DEMO_PORT
    about="the demo application at $upstream"
fi

if [ -n "${UPSTREAM:-}" ]; then
    host=${upstream%:*} host=${host#[} host=${host%]}
    timeout 2 bash -c 'exec 3<>"/dev/tcp/$0/$1"' "$host" "${upstream##*:}" 2>/dev/null ||
        echo "nothing listens at $upstream yet; until it does, Envoy answers every request with 503" >&2
fi

module=(--module "$PWD/dist/route_metrics.wasm")
[ -z "${NATIVE:-}" ] || module=(--native --module "$PWD/dist/libroute_metrics.so")
dist/route-metrics envoy "$PLUGIN" --upstream "$upstream" --address "$ADDRESS" \
    --port "$ENVOY_PORT" --admin-port "$ADMIN_PORT" --metrics-port "$METRICS_PORT" \
    --events-port "$EVENTS_PORT" --envoy-version "$("$ENVOY" --version)" \
    "${module[@]}" > "$state/envoy.yaml"
# There is a listener for events where the plugin takes posts.
events=()
if grep -q '^  - name: events$' "$state/envoy.yaml"; then
    free "$EVENTS_PORT" EVENTS_PORT
    events=(--events "127.0.0.1:$EVENTS_PORT")
fi
"$ENVOY" --config-path "$state/envoy.yaml" --concurrency "$CONCURRENCY" --disable-hot-restart \
    --log-level warning &
envoy=$!
started+=("$envoy")
if ! await "$ENVOY_PORT" "$envoy" || ! await "$METRICS_PORT" "$envoy"; then
    echo "Envoy did not start; its words are above" >&2
    exit 1
fi
if [ -z "${UPSTREAM:-}" ]; then
    dist/route-metrics-demo --listen "$upstream" --proxy "127.0.0.1:$ENVOY_PORT" "${events[@]}" &
    started+=("$!")
    await "$DEMO_PORT" "$!"
fi

cat <<TEXT

Envoy with route-metrics is in front of $about.

  traffic   http://127.0.0.1:$ENVOY_PORT/
  metrics   http://127.0.0.1:$METRICS_PORT/stats/prometheus
  admin     http://127.0.0.1:$ADMIN_PORT/

Try:  curl -s http://127.0.0.1:$METRICS_PORT/stats/prometheus | grep ^http_requests_total
Stop: Ctrl-C
TEXT
if [ -n "${UPSTREAM:-}" ]; then
    cat <<TEXT

Send requests to http://127.0.0.1:$ENVOY_PORT/ to see series. A path that your server answers with 404
or 401, say, is counted as endpoint="_UNMATCHED": docs/troubleshooting.md says why, and what to do.
TEXT
fi
status=0
wait "$envoy" || status=$?
# Where the shell that started this ignores interrupts, only the programs get them.
[ "$status" -ne 0 ] || exit 0
echo "Envoy has ended by itself (status $status)" >&2
exit 1
