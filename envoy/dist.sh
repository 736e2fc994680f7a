#!/usr/bin/env bash
# What a release is made of, beside the programs that `make dist` has built: their hashes, a list of what
# is in the module (CycloneDX), and an image of it as Istio and Envoy Gateway take it (OCI). Everything is
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

layout=dist/oci
manifest=$(envoy/image.sh "$module" "$layout" "$version")
archive=dist/route-metrics-$version.oci.tar
tar --create --file "$archive" --directory "$layout" --format ustar --sort name \
    --mtime "@$SOURCE_DATE_EPOCH" --owner 0 --group 0 --numeric-owner --mode u=rwX,go=rX .

files=("$module" dist/libroute_metrics.so dist/route-metrics "$archive")

# ---- the notes: what changed, from CHANGELOG.md, and what belongs to this release

heading=$(grep "^## .*\b${version//./\\.}\b" CHANGELOG.md)
{
    echo "# route-metrics $version"
    echo
    awk -v heading="$heading" '$0 == heading {inside = 1; next} /^## / {inside = 0} inside' CHANGELOG.md
    echo
    echo "## Files"
    echo
    echo "| file | SHA-256 |"
    echo "|---|---|"
    for file in "${files[@]}"; do
        echo "| \`$(basename "$file")\` | \`$(hash_of "$file")\` |"
    done
    echo
    echo "Built with $(rustc --version) and $(wasm-opt --version). Tested with Envoy" \
        "$(sed -n 's/^\([0-9][0-9.]*\).*/\1/p' tests/envoys | paste -sd ' ' | sed 's/ /, /g')."
    echo
    echo "\`sha256sum FILE\` has to print the hash above. Each file has a signature beside it, \`FILE.sigstore.json\`:"
    echo
    echo "\`\`\`sh"
    for file in "${files[@]}"; do
        name=$(basename "$file")
        echo "cosign verify-blob --bundle $name.sigstore.json \\"
        echo "    --certificate-oidc-issuer https://token.actions.githubusercontent.com \\"
        echo "    --certificate-identity-regexp '/.github/workflows/release.yml@refs/tags/v$version\$' $name"
    done
    echo "\`\`\`"
    echo
    echo "\`docs/install.md\` in the sources of this version says where each file goes, how to upgrade, and how to roll back."
} > dist/NOTES.md

echo "  built twice, in two directories: $hash"
for file in "${files[@]}" "$module.sha256" "$module.cdx.json" dist/NOTES.md; do
    echo "  $file: $(stat -c %s "$file") bytes"
done
echo "  $layout: the image, tag $version; manifest $manifest"
