#!/usr/bin/env bash
# Envoy with the filter, Prometheus and Grafana on this machine: with Docker Compose where an engine
# answers, else as local programs. State is in .run/. Started by the make targets observability-*.
#
#   envoy/stack.sh check | start | stop | run | status | logs | clean | url NAME
set -euo pipefail
cd "$(dirname "$0")/.."
state=${STATE:-$PWD/.run}

say() { echo "$*"; }
fail() { echo "$*" >&2; exit 1; }
has() { command -v "$1" >/dev/null 2>&1; }
. envoy/settings.sh

# ---- settings: the environment, then .env, then defaults

names="OBSERVABILITY_ENABLED METRICS_ENABLED DETAILED_METRICS_ENABLED METRICS_SAMPLE_RATE
    METRICS_RETENTION_DAYS SCRAPE_INTERVAL TRACING_ENABLED TRACING_SAMPLE_RATE OTLP_ENDPOINT
    OBSERVABILITY_ADDRESS ENVOY_PORT METRICS_PORT ADMIN_PORT EVENTS_PORT PROMETHEUS_PORT GRAFANA_PORT
    DEMO_PORT GRAFANA_ADMIN_USER GRAFANA_ADMIN_PASSWORD UPSTREAM PLUGIN METRICS_HASH_KEY"

ports="ENVOY_PORT METRICS_PORT ADMIN_PORT EVENTS_PORT PROMETHEUS_PORT GRAFANA_PORT DEMO_PORT"

# Read, not run: a value may hold anything.
read_dotenv() {
    local file=$1 line name value number=0
    [ -f "$file" ] || return 0
    while IFS= read -r line || [ -n "$line" ]; do
        number=$((number + 1))
        line=${line%$'\r'}
        [[ ! $line =~ ^[[:space:]]*(#|$) ]] || continue
        name=${line%%=*}
        value=${line#*=}
        case $value in
            \"*\") value=${value#\"} value=${value%\"} ;;
            \'*\') value=${value#\'} value=${value%\'} ;;
        esac
        case " $(echo $names) " in
            *" $name "*) [ -n "${!name+set}" ] || printf -v "$name" %s "$value" ;;
            *) mistakes+=("$file:$number: unknown setting \"$name\"; envoy/.env.example lists all") ;;
        esac
    done < "$file"
}

switch() {
    case ${!1,,} in
        true | 1 | yes | on) printf -v "$1" true ;;
        false | 0 | no | off) printf -v "$1" false ;;
        *) mistake "$1" "is not a switch; write true or false" ;;
    esac
}

share() {
    [[ ${!1} =~ ^(0|1|0?\.[0-9]+|0\.[0-9]*|1\.0*)$ ]] ||
        mistake "$1" "is not a share; write a number from 0 to 1"
}

loopback() {
    case $OBSERVABILITY_ADDRESS in 127.* | ::1 | localhost) true ;; *) false ;; esac
}

settings() {
    read_dotenv "${DOTENV:-.env}"
    : "${OBSERVABILITY_ENABLED:=true}" "${METRICS_ENABLED:=true}" "${DETAILED_METRICS_ENABLED:=false}"
    : "${METRICS_SAMPLE_RATE:=}" "${METRICS_RETENTION_DAYS:=15}" "${SCRAPE_INTERVAL:=15s}"
    : "${TRACING_ENABLED:=false}" "${TRACING_SAMPLE_RATE:=0.01}" "${OTLP_ENDPOINT:=127.0.0.1:4318}"
    : "${OBSERVABILITY_ADDRESS:=127.0.0.1}" "${ENVOY_PORT:=10000}" "${METRICS_PORT:=9902}"
    : "${ADMIN_PORT:=9901}" "${EVENTS_PORT:=9903}" "${PROMETHEUS_PORT:=9090}" "${GRAFANA_PORT:=3001}"
    : "${DEMO_PORT:=10080}"
    : "${GRAFANA_ADMIN_USER:=admin}" "${GRAFANA_ADMIN_PASSWORD:=}" "${UPSTREAM:=}"
    : "${PLUGIN:=envoy/plugin.json}"
    local name
    for name in OBSERVABILITY_ENABLED METRICS_ENABLED DETAILED_METRICS_ENABLED TRACING_ENABLED; do
        switch "$name"
    done
    check_ports $ports
    local used=(ENVOY_PORT METRICS_PORT ADMIN_PORT)
    [ -z "$UPSTREAM" ] || check_upstream "${used[@]}"
    [ -n "$UPSTREAM" ] || used+=(DEMO_PORT)
    ! may_take_events || used+=(EVENTS_PORT)
    [ "$OBSERVABILITY_ENABLED" != true ] || used+=(PROMETHEUS_PORT GRAFANA_PORT)
    check_distinct "${used[@]}"
    check_file PLUGIN
    [ "$OBSERVABILITY_ADDRESS" = localhost ] || is_address "$OBSERVABILITY_ADDRESS" ||
        mistake OBSERVABILITY_ADDRESS "is not an address, such as 127.0.0.1 or 0.0.0.0"
    [ -z "$METRICS_SAMPLE_RATE" ] || share METRICS_SAMPLE_RATE
    share TRACING_SAMPLE_RATE
    [[ $METRICS_RETENTION_DAYS =~ ^[1-9][0-9]{0,4}$ ]] ||
        mistake METRICS_RETENTION_DAYS "is not a number of days; use 1 to 99999"
    [[ $SCRAPE_INTERVAL =~ ^[1-9][0-9]*(s|m)$ ]] || mistake SCRAPE_INTERVAL "is not a time, such as 15s"
    case $GRAFANA_ADMIN_PASSWORD in
        '' | admin | password | changeme | grafana)
            loopback || mistakes+=("GRAFANA_ADMIN_PASSWORD is missing or a default, and $OBSERVABILITY_ADDRESS can be reached from elsewhere; set one of your own in .env")
            : "${GRAFANA_ADMIN_PASSWORD:=admin}"
            ;;
    esac
    settled
    # The programs read these, and compose.yaml does.
    PROMETHEUS_ADDRESS=$(bracketed "$OBSERVABILITY_ADDRESS"):$PROMETHEUS_PORT
    UID_GID=$(id -u):$(id -g)
    export OBSERVABILITY_ENABLED METRICS_ENABLED DETAILED_METRICS_ENABLED METRICS_SAMPLE_RATE
    export METRICS_RETENTION_DAYS OBSERVABILITY_ADDRESS PROMETHEUS_ADDRESS PROMETHEUS_PORT GRAFANA_PORT
    export SCRAPE_INTERVAL GRAFANA_ADMIN_USER GRAFANA_ADMIN_PASSWORD UID_GID
    [ -z "${METRICS_HASH_KEY+set}" ] || export METRICS_HASH_KEY
}

bracketed() { case $1 in *:*) echo "[$1]" ;; *) echo "$1" ;; esac; }

# ---- processes

# The process that was started under a name, where it still runs.
running() {
    local file=$state/$1.pid id
    [ -f "$file" ] || return 1
    read -r id started < "$file"
    # A number may be another process by now; the time of its start tells.
    [ "$(start_time "$id")" = "$started" ] && echo "$id"
}

start_time() { ps -o lstart= -p "$1" 2>/dev/null | tr -s ' ' _ || true; }

launch() {
    local name=$1
    shift
    launched="$name ${launched:-}"
    mkdir -p "$state/logs"
    setsid "$@" > "$state/logs/$name.log" 2>&1 < /dev/null &
    echo "$! $(start_time $!)" > "$state/$name.pid"
}

listens() { (exec 3<>"/dev/tcp/$1/$2") 2>/dev/null; }

# Waits until a program that was launched listens.
await() {
    local name=$1 port=$2 address=${3:-$OBSERVABILITY_ADDRESS} left=600
    case $address in 0.0.0.0 | ::) address=127.0.0.1 ;; esac
    until listens "$address" "$port"; do
        running "$name" >/dev/null || { tail -n 20 "$state/logs/$name.log" >&2; fail "$name did not start; its words are above"; }
        left=$((left - 1))
        [ "$left" -gt 0 ] || fail "$name does not listen on port $port"
        sleep 0.1
    done
}

halt() {
    local name=$1 id left=100
    if id=$(running "$name"); then
        kill "$id" 2>/dev/null || true
        while running "$name" >/dev/null && [ "$left" -gt 0 ]; do sleep 0.1; left=$((left - 1)); done
        running "$name" >/dev/null && kill -KILL "$id" 2>/dev/null || true
        say "stopped $name"
    fi
    rm -f "$state/$name.pid"
}

# What this call has started is stopped where it cannot go on.
undo() {
    local ended=$? name
    [ "$ended" -ne 0 ] || return 0
    for name in ${launched:-}; do halt "$name" >/dev/null; done
}

# The settings that what runs was started with; a second start with others would only half count.
same_settings() {
    local file=$state/settings now name different=
    now=$(for name in $names; do case $name in *PASSWORD | *KEY) continue ;; esac; echo "$name=${!name:-}"; done)
    if { running envoy >/dev/null || composed; } && [ -f "$file" ]; then
        different=$(diff "$file" <(echo "$now") | sed -n 's/^> \([A-Z_]*\)=.*/\1/p' | paste -sd ' ' || true)
        [ -z "$different" ] || fail "Envoy runs already, with other settings ($different); run make observability-stop first"
    fi
    echo "$now" > "$file"
}

free() {
    ! listens 127.0.0.1 "${!1}" || fail "port ${!1} is in use, perhaps by make run; stop that, or give another: make … $1=PORT, or in .env"
}

docker_works() { [ "${DOCKER:-}" != no ] && has docker && docker compose version >/dev/null 2>&1 && docker info >/dev/null 2>&1; }

compose() { docker compose --file envoy/compose.yaml "$@"; }
# What was started, with or without Prometheus and Grafana.
compose_all() { compose --profile observability "$@"; }
composed() { [ -f "$state/compose" ]; }

# ---- what they read

prepare() {
    local upstream=$1 module=$2 version=$3 tracing=()
    mkdir -p "$state/prometheus" "$state/prometheus-data" "$state/dashboards" "$state/logs"
    if [ "$TRACING_ENABLED" = true ] && [ "$OBSERVABILITY_ENABLED" = true ]; then
        tracing=(--tracing "$OTLP_ENDPOINT" --tracing-sample-rate "$TRACING_SAMPLE_RATE")
    fi
    dist/route-metrics envoy "$PLUGIN" --upstream "$upstream" --address "${OBSERVABILITY_ADDRESS/localhost/127.0.0.1}" \
        --port "$ENVOY_PORT" --metrics-port "$METRICS_PORT" --admin-port "$ADMIN_PORT" --events-port "$EVENTS_PORT" \
        --module "$module" --envoy-version "$version" "${tracing[@]}" > "$state/envoy.yaml"
    dist/route-metrics rules "$PLUGIN" --grafana "http://localhost:$GRAFANA_PORT" > "$state/prometheus/rules.yaml"
    dist/route-metrics dashboard "$PLUGIN" > "$state/dashboards/requests.json"
    sed -e "s/^\(  scrape_interval:\|  evaluation_interval:\) .*/\1 $SCRAPE_INTERVAL/" \
        -e "s/^\(  scrape_timeout:\) .*/\1 $(timeout_of "$SCRAPE_INTERVAL")/" \
        envoy/prometheus/prometheus.yml > "$state/prometheus/prometheus.yml"
    local target=$OBSERVABILITY_ADDRESS
    case $target in 0.0.0.0 | :: | localhost) target=127.0.0.1 ;; esac
    echo "[{\"targets\": [\"$(bracketed "$target"):$METRICS_PORT\"]}]" > "$state/prometheus/targets.json"
}

# Prometheus refuses a timeout above the interval.
timeout_of() {
    case $1 in ?s) echo "$1" ;; *) echo 10s ;; esac
}

# ---- commands

start() {
    settings
    mkdir -p "$state"
    trap undo EXIT
    same_settings
    local with=local upstream=${UPSTREAM:-127.0.0.1:$DEMO_PORT}
    ! docker_works || with=compose
    "start_$with" "$upstream"
    [ -n "$UPSTREAM" ] || start_demo "$upstream"
    summary
}

# There is a listener for events where the plugin takes posts.
takes_events() { grep -q '^  - name: events$' "$state/envoy.yaml"; }

start_demo() {
    local events=()
    if ! running demo >/dev/null; then
        ! takes_events || events=(--events "127.0.0.1:$EVENTS_PORT")
        free DEMO_PORT
        launch demo dist/route-metrics-demo --listen "$1" --proxy "127.0.0.1:$ENVOY_PORT" "${events[@]}"
    fi
    await demo "$DEMO_PORT" 127.0.0.1
}

start_compose() {
    prepare "$1" /dist/route_metrics.wasm "$(sed -n 's/.*envoyproxy\/envoy:v//p' envoy/compose.yaml)"
    local profile=()
    [ "$OBSERVABILITY_ENABLED" = true ] && profile=(--profile observability)
    compose "${profile[@]}" up --detach --wait
    touch "$state/compose"
}

start_local() {
    local program version
    if running envoy >/dev/null; then
        say "Envoy runs already"
    else
        program=${ENVOY:-${DEFAULT_ENVOY:-envoy}}
        has "$program" || fail "no Envoy: $program; set ENVOY=/path/to/envoy"
        version=$("$program" --version 2>/dev/null) || fail "$program --version does not work"
        # Its tracer can name spans since 1.37.
        if [ "$TRACING_ENABLED" = true ] && echo "$version" | grep -q '/1\.\(3[0-6]\|[12][0-9]\)\.'; then
            fail "TRACING_ENABLED needs Envoy 1.37 or newer; $program is older"
        fi
        free ENVOY_PORT; free ADMIN_PORT; free METRICS_PORT
        prepare "$1" "$PWD/dist/route_metrics.wasm" "$version"
        ! takes_events || free EVENTS_PORT
        launch envoy "$program" --config-path "$state/envoy.yaml" --concurrency "${CONCURRENCY:-2}" \
            --disable-hot-restart --log-level warning
    fi
    await envoy "$ENVOY_PORT"
    [ "$OBSERVABILITY_ENABLED" = true ] || return 0
    if ! running prometheus >/dev/null; then
        program=${PROMETHEUS:-prometheus}
        has "$program" || fail "no Prometheus: $program; install it (Debian package prometheus), or Docker, or set PROMETHEUS=/path/to/prometheus"
        free PROMETHEUS_PORT
        launch prometheus "$program" --config.file="$state/prometheus/prometheus.yml" \
            --storage.tsdb.path="$state/prometheus-data" \
            --storage.tsdb.retention.time="${METRICS_RETENTION_DAYS}d" \
            --web.listen-address="$PROMETHEUS_ADDRESS"
    fi
    await prometheus "$PROMETHEUS_PORT"
    start_grafana
}

start_grafana() {
    local program=${GRAFANA:-}
    if [ -z "$program" ]; then
        for program in grafana-server grafana; do has "$program" && break; program=; done
    fi
    if [ -z "$program" ]; then
        say "Grafana is not installed, so it is not started. Install it (or Docker) and start again,"
        say "or import the dashboard into a Grafana of yours: $state/dashboards/requests.json"
        return 0
    fi
    running grafana >/dev/null && return 0
    free GRAFANA_PORT
    local arguments=() home
    [ "$(basename "$program")" = grafana ] && arguments=(server)
    for home in /usr/share/grafana /opt/grafana; do
        [ -d "$home" ] && arguments+=(--homepath "$home") && break
    done
    GF_SERVER_HTTP_ADDR=$OBSERVABILITY_ADDRESS GF_SERVER_HTTP_PORT=$GRAFANA_PORT \
        GF_SECURITY_ADMIN_USER=$GRAFANA_ADMIN_USER GF_SECURITY_ADMIN_PASSWORD=$GRAFANA_ADMIN_PASSWORD \
        GF_PATHS_DATA=$state/grafana GF_PATHS_LOGS=$state/logs \
        GF_PATHS_PROVISIONING=$PWD/envoy/grafana/provisioning \
        GF_ANALYTICS_REPORTING_ENABLED=false GF_ANALYTICS_CHECK_FOR_UPDATES=false \
        GF_USERS_ALLOW_SIGN_UP=false PROMETHEUS_URL=http://127.0.0.1:$PROMETHEUS_PORT \
        DASHBOARDS=$state/dashboards launch grafana "$program" "${arguments[@]}"
    await grafana "$GRAFANA_PORT"
}

summary() {
    say ""
    say "  traffic     http://localhost:$ENVOY_PORT/"
    say "  metrics     http://localhost:$METRICS_PORT/stats/prometheus"
    say "  admin       http://127.0.0.1:$ADMIN_PORT/"
    ! takes_events || say "  events      posts to 127.0.0.1:$EVENTS_PORT"
    if [ "$OBSERVABILITY_ENABLED" = false ]; then
        say "  OBSERVABILITY_ENABLED=false: nothing is recorded, Prometheus and Grafana are not started"
    else
        say "  Prometheus  http://localhost:$PROMETHEUS_PORT/"
        if composed || running grafana >/dev/null; then
            say "  Grafana     http://localhost:$GRAFANA_PORT/d/$(uid)"
        fi
        [ "$TRACING_ENABLED" = false ] || say "  spans to    http://$OTLP_ENDPOINT/v1/traces"
    fi
    say ""
    say "Stop: ${stop_by:-make observability-stop}"
}

uid() { sed -n 's/^  "uid": "\(.*\)",\{0,1\}$/\1/p' "$state/dashboards/requests.json"; }

stop() {
    if composed; then
        settings
        compose_all down
        rm -f "$state/compose"
    fi
    local name
    for name in demo grafana prometheus envoy; do halt "$name"; done
}

# In the foreground, until it is interrupted.
run() {
    local stop_by=Ctrl-C
    trap 'stop; exit 0' INT TERM
    start
    if composed; then
        compose_all logs --follow & wait $!
    else
        while running envoy >/dev/null; do sleep 1 & wait $!; done
        stop
        fail "Envoy has ended by itself; see $state/logs/envoy.log"
    fi
}

status() {
    local name id programs="envoy demo prometheus grafana"
    if composed; then
        settings
        compose_all ps
        programs=demo
    fi
    for name in $programs; do
        if id=$(running "$name"); then say "$name runs (process $id)"; else say "$name does not run"; fi
    done
}

logs() {
    if composed; then settings; compose_all logs --tail 50 "$@"; return; fi
    [ -d "$state/logs" ] || fail "nothing was started yet"
    tail -n 50 "$@" "$state"/logs/*.log
}

clean() {
    stop
    rm -rf "$state"
    say "removed $state"
}

url() {
    settings
    case $1 in
        prometheus) say "http://localhost:$PROMETHEUS_PORT/targets" ;;
        dashboard)
            [ -f "$state/dashboards/requests.json" ] || fail "nothing was started yet: make observability-start"
            if composed || running grafana >/dev/null; then
                say "http://localhost:$GRAFANA_PORT/d/$(uid)"
            else
                say "Grafana does not run; import $state/dashboards/requests.json into one that does"
            fi
            ;;
        *) fail "no such page: $1" ;;
    esac
}

case ${1:-} in
    check) settings ;;
    start | stop | run | status | logs | clean | url) "$@" ;;
    *) fail "usage: envoy/stack.sh check | start | stop | run | status | logs | clean | url NAME" ;;
esac
