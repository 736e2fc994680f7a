# Checks of settings, for run.sh and stack.sh. Each mistake names the variable as the user wrote it,
# its value and what is allowed; `settled` ends with all of them at once.

mistakes=()

mistake() { mistakes+=("$1: \"${!1}\" $2"); }

settled() {
    [ ${#mistakes[@]} -eq 0 ] || { printf '%s\n' "${mistakes[@]}" >&2; exit 1; }
}

is_port() { [[ $1 =~ ^[1-9][0-9]{0,4}$ ]] && [ "$1" -le 65535 ]; }

check_ports() {
    local name
    for name in "$@"; do
        is_port "${!name}" || mistake "$name" "is not a port; use 1 to 65535"
    done
}

# Of the ports that are used no two are the same.
check_distinct() {
    local name other
    local seen=()
    for name in "$@"; do
        is_port "${!name}" || continue
        for other in "${seen[@]}"; do
            [ "${!other}" != "${!name}" ] || mistake "$name" "is the port of $other, too; give each its own"
        done
        seen+=("$name")
    done
}

# Whether the plugin may take events by POST, so that it needs a port for them.
may_take_events() { [ -f "$PLUGIN" ] && grep -q '"events"' "$PLUGIN"; }

# HOST:PORT, ADDRESS:PORT or [ADDRESS]:PORT, and none of Envoy's own ports, which would be a circle.
check_upstream() {
    local host=${UPSTREAM%:*} port=${UPSTREAM##*:} name
    if [[ ! $UPSTREAM =~ ^([A-Za-z0-9._-]+|\[[0-9a-fA-F:.]+\]):[0-9]+$ ]] || ! is_port "$port"; then
        mistake UPSTREAM "is not HOST:PORT, such as 127.0.0.1:8080, with a port from 1 to 65535"
        return
    fi
    case $host in 127.* | localhost | "[::1]" | 0.0.0.0) ;; *) return 0 ;; esac
    for name in "$@"; do
        [ "$port" != "${!name}" ] || mistake UPSTREAM "is Envoy itself ($name); give the port of your server"
    done
}

is_address() { [[ $1 =~ ^([0-9]{1,3}(\.[0-9]{1,3}){3}|[0-9a-fA-F:.]*:[0-9a-fA-F:.]*)$ ]]; }

check_file() {
    [ -f "${!1}" ] || mistake "$1" "is no file"
}
