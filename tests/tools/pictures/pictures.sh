#!/usr/bin/env bash
# Makes the pictures of the README: the page of `preview`, and the panels of the dashboard, both of real
# traffic of the demo application. Chromium photographs them.
#
#   tests/tools/pictures/pictures.sh CHROMIUM
set -euo pipefail
cd "$(dirname "$0")/../../.."
chromium=$1
minutes=${PICTURE_MINUTES:-5}
folder=$(mktemp -d)
export STATE=$folder/run DEMO_PORT=${DEMO_PORT:-10080} SCRAPE_INTERVAL=5s
stop() { envoy/stack.sh clean >/dev/null 2>&1 || true; rm -rf "$folder"; }
trap stop EXIT

photograph() {
    "$chromium" --headless --no-sandbox --disable-gpu --disable-quic --no-first-run --hide-scrollbars \
        --disable-background-networking --disable-component-update --disable-sync --user-data-dir="$folder/profile" \
        --window-size="$3" --screenshot="$2" "file://$1" >/dev/null 2>&1
    [ -s "$2" ] || { echo "no picture: $2" >&2; exit 1; }
    echo "  $2: $(stat -c %s "$2") bytes"
}

DEFAULT_ENVOY=${DEFAULT_ENVOY:?} envoy/stack.sh start >/dev/null
echo "traffic for $minutes minutes"
sleep "$((minutes * 60))"
prometheus=$(envoy/stack.sh url prometheus | grep -o 'http://[^/ ]*' | head -n 1)
tests/tools/pictures/panels.py envoy/grafana/dashboards/requests.json "$prometheus" "$minutes" > "$folder/panels.html"
photograph "$folder/panels.html" docs/dashboard.png 1210,1130

tests/tools/pictures/access_log.py > "$folder/access.log"
# The page shows the name of the log.
command=$PWD/dist/route-metrics plugin=$PWD/envoy/plugin.json
(cd "$folder" && "$command" preview "$plugin" access.log --html > preview.html)
photograph "$folder/preview.html" docs/preview.png 1280,1050
