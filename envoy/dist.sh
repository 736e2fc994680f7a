#!/usr/bin/env bash
# What a release is made of, beside the module that `make dist` has built: its hash, a list of what
# is in it (CycloneDX), and an image of it as Istio and Envoy Gateway take it (OCI). Everything is
# the same wherever and whenever it is made of the same sources: the module is built a second time
# from a copy in another directory, and has to be the same.
set -euo pipefail
cd "$(dirname "$0")/.."
version=$(sed -n '0,/^version = "\(.*\)"/s//\1/p' Cargo.toml)
module=dist/route_metrics.wasm
copy=$(mktemp -d)
trap 'rm -rf "$copy"' EXIT

fail() { echo "$*" >&2; exit 1; }
hash_of() { sha256sum "$1" | cut -d ' ' -f 1; }

grep -q "^## .*\b${version//./\\.}\b" CHANGELOG.md || fail "CHANGELOG.md says nothing about $version"

# ---- the module, twice

# Tracked files as they are now, and those that are new.
git ls-files -z --cached --others --exclude-standard | tar --create --null --files-from=- --ignore-failed-read 2>/dev/null |
    tar --extract --directory "$copy"
make --directory "$copy" module >/dev/null
hash=$(hash_of "$module")
again=$(hash_of "$copy/$module")
[ "$hash" = "$again" ] || fail "the module is not reproducible: $hash here, $again in another directory"
(cd dist && sha256sum route_metrics.wasm > route_metrics.wasm.sha256)

# ---- what is in it

# The time of the sources, where there is one, so that the same sources give the same list.
export SOURCE_DATE_EPOCH=${SOURCE_DATE_EPOCH:-$(git log -1 --format=%ct 2>/dev/null || echo 0)}
PATH=$PATH:$PWD/.tools/bin cargo cyclonedx --quiet --manifest-path "$copy/Cargo.toml" \
    --target wasm32-wasip1 --no-build-deps --format json --spec-version 1.5 \
    --override-filename sbom
# Without the directory, and with the hash of what it lists.
sed -e "s|path+file://$copy#|pkg:cargo/|g" -e 's|?download_url=file://\.||' \
    -e "0,/\"type\": \"application\",/s//&\n      \"hashes\": [{\"alg\": \"SHA-256\", \"content\": \"$hash\"}],/" \
    "$copy/sbom.json" > dist/route_metrics.wasm.cdx.json

# ---- the image

# https://github.com/opencontainers/image-spec: a layout with one manifest, whose only layer has
# /plugin.wasm. That is the "compat" variant of what Istio and Envoy Gateway fetch.
layout=dist/oci
blobs=$layout/blobs/sha256
rm -rf "$layout"
mkdir -p "$blobs"

# Stores standard input as a blob; prints the members of its descriptor.
blob() {
    local type=$1 file=$copy/blob digest
    cat > "$file"
    digest=$(hash_of "$file")
    cp "$file" "$blobs/$digest"
    printf '"mediaType":"%s","digest":"sha256:%s","size":%d' "$type" "$digest" "$(stat -c %s "$file")"
}

created=$(date --utc --date "@$SOURCE_DATE_EPOCH" +%Y-%m-%dT%H:%M:%SZ)
cp "$module" "$copy/plugin.wasm"
tar --create --file "$copy/layer.tar" --directory "$copy" --format ustar --mtime "@$SOURCE_DATE_EPOCH" \
    --owner 0 --group 0 --numeric-owner --mode 0644 plugin.wasm
layer=$(gzip --no-name --best < "$copy/layer.tar" | blob application/vnd.oci.image.layer.v1.tar+gzip)
config=$(blob application/vnd.oci.image.config.v1+json <<JSON
{"created":"$created","architecture":"amd64","os":"linux","config":{},"rootfs":{"type":"layers","diff_ids":["sha256:$(hash_of "$copy/layer.tar")"]},"history":[{"created":"$created","created_by":"COPY route_metrics.wasm /plugin.wasm"}]}
JSON
)
manifest=$(blob application/vnd.oci.image.manifest.v1+json <<JSON
{"schemaVersion":2,"mediaType":"application/vnd.oci.image.manifest.v1+json","config":{$config},"layers":[{$layer}],"annotations":{"org.opencontainers.image.title":"route-metrics","org.opencontainers.image.version":"$version","org.opencontainers.image.licenses":"Apache-2.0","org.opencontainers.image.created":"$created"}}
JSON
)
cat > "$layout/index.json" <<JSON
{"schemaVersion":2,"mediaType":"application/vnd.oci.image.index.v1+json","manifests":[{$manifest,"annotations":{"org.opencontainers.image.ref.name":"$version"}}]}
JSON
echo '{"imageLayoutVersion":"1.0.0"}' > "$layout/oci-layout"
archive=dist/route-metrics-$version.oci.tar
tar --create --file "$archive" --directory "$layout" --format ustar --sort name \
    --mtime "@$SOURCE_DATE_EPOCH" --owner 0 --group 0 --numeric-owner --mode u=rwX,go=rX .

echo "  built twice, in two directories: $hash"
for file in "$module" "$module.sha256" "$module.cdx.json" "$archive"; do
    echo "  $file: $(stat -c %s "$file") bytes"
done
echo "  $layout: the image, tag $version; manifest $(echo "$manifest" | grep -o 'sha256:[0-9a-f]*')"
