#!/usr/bin/env bash
# Writes an image of a module as an OCI layout (https://github.com/opencontainers/image-spec): one
# manifest, whose only layer has /plugin.wasm. That is the "compat" variant of the images that Istio
# and Envoy Gateway take. The same module, version and SOURCE_DATE_EPOCH give the same bytes. Prints
# the digest of the manifest.
#
#   envoy/image.sh MODULE LAYOUT VERSION
set -euo pipefail
module=$1 layout=$2 version=$3
: "${SOURCE_DATE_EPOCH:=0}"
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
blobs=$layout/blobs/sha256
rm -rf "$layout"
mkdir -p "$blobs"

hash_of() { sha256sum "$1" | cut -d ' ' -f 1; }

# Stores standard input as a blob; prints the members of its descriptor.
blob() {
    local type=$1 digest
    cat > "$scratch/blob"
    digest=$(hash_of "$scratch/blob")
    cp "$scratch/blob" "$blobs/$digest"
    printf '"mediaType":"%s","digest":"sha256:%s","size":%d' "$type" "$digest" "$(stat -c %s "$scratch/blob")"
}

created=$(date --utc --date "@$SOURCE_DATE_EPOCH" +%Y-%m-%dT%H:%M:%SZ)
cp "$module" "$scratch/plugin.wasm"
tar --create --file "$scratch/layer.tar" --directory "$scratch" --format ustar --mtime "@$SOURCE_DATE_EPOCH" \
    --owner 0 --group 0 --numeric-owner --mode 0644 plugin.wasm
layer=$(gzip --no-name --best < "$scratch/layer.tar" | blob application/vnd.oci.image.layer.v1.tar+gzip)
# A module runs on every platform, but an image has to name one; this is what `docker build` says on
# most machines, and neither product asks.
config=$(blob application/vnd.oci.image.config.v1+json <<JSON
{"created":"$created","architecture":"amd64","os":"linux","config":{},"rootfs":{"type":"layers","diff_ids":["sha256:$(hash_of "$scratch/layer.tar")"]},"history":[{"created":"$created","created_by":"COPY route_metrics.wasm /plugin.wasm"}]}
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
echo "$manifest" | grep -o 'sha256:[0-9a-f]*'
