#!/usr/bin/env bash
# Makes of the module that Rust has built the one that ships, with what abi.txt lists and no more.
#
#   trim.sh IN OUT [--debuginfo]
#
# The SDK exports every callback, and Envoy calls what is exported, which costs time with each request:
# callbacks that are not in the list go. The traits of the SDK have a method for nearly every function of
# the host, and as they are called through tables, the linker keeps them all: functions that are not in
# the list become traps, so that the module cannot even ask for them.
set -euo pipefail
here=$(dirname "$0")
in=$1 out=$2
shift 2
# What Rust's Wasm may use. Debian's release of binaryen asks for each.
features=(--enable-bulk-memory --enable-nontrapping-float-to-int --enable-sign-ext
    --enable-mutable-globals --enable-reference-types --enable-multivalue)

wasm-dis "${features[@]}" "$in" | awk '
    FNR == NR { if ($0 !~ /^#/ && NF) listed[$1] = 1; next }
    /^ \((import|export) / {
        split($0, part, "\"")
        is_import = $1 == "(import"
        name = is_import ? part[4] : part[2]
        seen[name] = 1
        if (name in listed || (is_import && part[2] != "env")) { print; next }
        if (is_import) {
            # ` (func $name (param i32) (result i32)))`
            if (part[5] !~ /^ \(func .*\)\)$/) { print name " is no function" > "/dev/stderr"; failed = 1 }
            traps[++count] = substr(part[5], 1, length(part[5]) - 2) " (unreachable))"
        }
        next
    }
    /^\)$/ { for (i = 1; i <= count; i++) print traps[i] }
    { print }
    END {
        for (name in listed) if (!(name in seen)) { print name " is not in the module" > "/dev/stderr"; failed = 1 }
        exit failed
    }
' "$here/abi.txt" - > "$out.wat"
wasm-as "${features[@]}" "$@" "$out.wat" --output "$out"
rm "$out.wat"
# Nothing of use lies below 1024, where the linker puts the far end of the stack: what an address and an offset
# below 1024 add up to does not wrap around, so that the offset can stand in the load.
wasm-opt "${features[@]}" -Oz --converge --low-memory-unused "$@" "$out" --output "$out"
