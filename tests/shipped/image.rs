//! The OCI image of the module, as Istio and Envoy Gateway read one (`imagefetcher.go` of both): the
//! last layer of a manifest is a gzipped tar in which there is `plugin.wasm`.

use std::fs;
use std::io::Read;
use std::path::Path;
use std::process::Command;

use flate2::read::GzDecoder;
use serde_json::Value;

/// Writes the layout of a module; returns the digest of the manifest.
fn image(module: &Path, layout: &Path) -> String {
    let output = Command::new(Path::new(env!("CARGO_MANIFEST_DIR")).join("envoy/image.sh"))
        .args([module, layout])
        .arg("1.2.3")
        .env("SOURCE_DATE_EPOCH", "1700000000")
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap().trim().to_owned()
}

/// The content that a descriptor describes, after its size and digest were found to be right.
fn blob(layout: &Path, descriptor: &Value, media_type: &str) -> Vec<u8> {
    assert_eq!(descriptor["mediaType"], media_type);
    let digest = descriptor["digest"].as_str().unwrap().strip_prefix("sha256:").unwrap();
    let path = layout.join("blobs/sha256").join(digest);
    let content = fs::read(&path).unwrap();
    assert_eq!(descriptor["size"], content.len());
    let output = Command::new("sha256sum").arg(&path).output().unwrap();
    assert!(output.stdout.starts_with(digest.as_bytes()), "{descriptor}");
    content
}

fn json(content: &[u8]) -> Value {
    serde_json::from_slice(content).unwrap()
}

#[test]
fn the_image_is_one_layer_with_the_module() {
    let directory = tempfile::tempdir().unwrap();
    let (module, layout) = (directory.path().join("any.wasm"), directory.path().join("oci"));
    let bytes: Vec<u8> = b"\0asm\x01\0\0\0".iter().copied().cycle().take(5000).collect();
    fs::write(&module, &bytes).unwrap();
    let digest = image(&module, &layout);
    assert_eq!(json(&fs::read(layout.join("oci-layout")).unwrap())["imageLayoutVersion"], "1.0.0");
    let index = json(&fs::read(layout.join("index.json")).unwrap());
    let descriptor = &index["manifests"][0];
    assert_eq!(descriptor["digest"], digest);
    assert_eq!(descriptor["annotations"]["org.opencontainers.image.ref.name"], "1.2.3");
    let manifest = json(&blob(&layout, descriptor, "application/vnd.oci.image.manifest.v1+json"));
    let config =
        json(&blob(&layout, &manifest["config"], "application/vnd.oci.image.config.v1+json"));
    assert_eq!(manifest["layers"].as_array().unwrap().len(), 1);
    let layer =
        blob(&layout, &manifest["layers"][0], "application/vnd.oci.image.layer.v1.tar+gzip");
    let mut tar = Vec::new();
    GzDecoder::new(layer.as_slice()).read_to_end(&mut tar).unwrap();
    fs::write(directory.path().join("tar"), &tar).unwrap();
    let output = Command::new("sha256sum").arg(directory.path().join("tar")).output().unwrap();
    let diff = config["rootfs"]["diff_ids"][0].as_str().unwrap().replace("sha256:", "");
    assert!(output.stdout.starts_with(diff.as_bytes()));
    // One entry (POSIX ustar): its name, its size in octal, and from the next block its content.
    assert!(tar.starts_with(b"plugin.wasm\0"));
    let size = std::str::from_utf8(&tar[124..135]).unwrap();
    assert_eq!(usize::from_str_radix(size, 8).unwrap(), bytes.len());
    assert_eq!(&tar[512..512 + bytes.len()], bytes);
    assert!(tar[(512 + bytes.len()).next_multiple_of(512)..].iter().all(|&byte| byte == 0));
}

#[test]
fn the_same_module_gives_the_same_image() {
    let directory = tempfile::tempdir().unwrap();
    let at = |name: &str| directory.path().join(name);
    fs::write(at("one.wasm"), b"\0asm").unwrap();
    fs::write(at("other.wasm"), b"\0asm").unwrap();
    assert_eq!(image(&at("one.wasm"), &at("a")), image(&at("other.wasm"), &at("b")));
    fs::write(at("other.wasm"), b"\0asm\x01").unwrap();
    assert_ne!(image(&at("one.wasm"), &at("a")), image(&at("other.wasm"), &at("b")));
}
