#!/usr/bin/env bash
# The linker of `make native`: zig's, which has the symbols of every glibc, so that the module runs with
# older ones than this machine's. $ZIG is zig, $ZIG_TARGET what it links for.
#
# zig's own unwinder is linked in where Rust asks for gcc's shared one: images with Envoy have no libgcc_s.
set -euo pipefail
arguments=()
for argument in "$@"; do
    case $argument in
        -lgcc_s) arguments+=(-lunwind) ;;
        -m64 | --target=*) ;;
        *) arguments+=("$argument") ;;
    esac
done
exec "$ZIG" cc -target "$ZIG_TARGET" "${arguments[@]}"
