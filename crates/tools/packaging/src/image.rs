//! The image that installs Twill on nodes: one binary per architecture, in a layout of the Open
//! Container Initiative, which podman, skopeo and containerd read.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result};
use serde_json::{Value, json};
use xtask::architecture::Architecture;
use xtask::command;

use crate::archive::pack;
use crate::contents::{NOTICES, Product};
use crate::release::{Release, VERSION};
use crate::stage::{PAGE, PROGRAM, Stage, gzip};

/// The licences of the binary and of what is linked into it, of which `/licenses` has the texts.
const LICENSES: &str = "Apache-2.0 AND ISC AND MIT AND Unicode-3.0";

const INDEX: &str = "application/vnd.oci.image.index.v1+json";
const MANIFEST: &str = "application/vnd.oci.image.manifest.v1+json";
const CONFIG: &str = "application/vnd.oci.image.config.v1+json";
const LAYER: &str = "application/vnd.oci.image.layer.v1.tar+gzip";

/// Writes `twill-<version>-image.tar`, an archive of a layout, and returns its path.
///
/// The layout has one image, `localhost/twill:<version>`, with a manifest per platform. `twill
/// install` is what it runs without other arguments.
///
/// # Errors
/// If a file cannot be read or written.
pub fn write(release: &Release<'_>, products: &[(&Architecture, Product)]) -> Result<PathBuf> {
    let image = Image {
        layout: Stage::new(release.time)?,
        license: release.workspace.root.join("LICENSE"),
        created: release.date(&["+%Y-%m-%dT%H:%M:%SZ"])?,
        time: release.time,
    };
    let mut manifests = Vec::new();
    for (architecture, product) in products {
        manifests.push(image.manifest(architecture, product)?);
    }
    let index = json!({ "schemaVersion": 2, "mediaType": INDEX, "manifests": manifests });
    let mut index = image.document(INDEX, &index)?;
    let name = format!("localhost/twill:{VERSION}");
    set(
        &mut index,
        "annotations",
        json!({
            "io.containerd.image.name": name,
            "org.opencontainers.image.ref.name": name,
        }),
    );
    let root = json!({ "schemaVersion": 2, "mediaType": INDEX, "manifests": [index] });
    let layout = &image.layout;
    layout.write("index.json", PAGE, root.to_string())?;
    let version = json!({ "imageLayoutVersion": "1.0.0" });
    layout.write("oci-layout", PAGE, version.to_string())?;
    let archive = release.dir.join(format!("twill-{VERSION}-image.tar"));
    pack(
        layout.finish()?,
        &["blobs", "index.json", "oci-layout"],
        &archive,
    )?;
    Ok(archive)
}

struct Image {
    layout: Stage,
    license: PathBuf,
    created: String,
    time: u64,
}

impl Image {
    /// Adds the image of an architecture, and returns the descriptor of its manifest.
    fn manifest(&self, architecture: &Architecture, product: &Product) -> Result<Value> {
        let (name, variant) = architecture.image;
        let mut platform = json!({ "architecture": name, "os": "linux" });
        if let Some(variant) = variant {
            set(&mut platform, "variant", json!(variant));
        }
        let (diff_id, layer) = self.layer(product)?;
        let mut config = platform.clone();
        let created = &self.created;
        set(&mut config, "created", json!(created));
        set(
            &mut config,
            "config",
            json!({
                "Entrypoint": ["/twill"],
                "Cmd": ["install"],
                "Labels": {
                    "org.opencontainers.image.licenses": LICENSES,
                    "org.opencontainers.image.title": "twill",
                    "org.opencontainers.image.version": VERSION,
                },
            }),
        );
        set(
            &mut config,
            "rootfs",
            json!({ "type": "layers", "diff_ids": [diff_id] }),
        );
        let history = json!([{ "created": created, "created_by": "cargo xtask dist --release" }]);
        set(&mut config, "history", history);
        let manifest = json!({
            "schemaVersion": 2,
            "mediaType": MANIFEST,
            "config": self.document(CONFIG, &config)?,
            "layers": [layer],
        });
        let mut manifest = self.document(MANIFEST, &manifest)?;
        set(&mut manifest, "platform", platform);
        Ok(manifest)
    }

    /// Adds the only layer of an image, which has the binary and the licences; returns the digest
    /// of the layer as a plain archive, and the descriptor of the compressed one.
    fn layer(&self, product: &Product) -> Result<(String, Value)> {
        let content = Stage::new(self.time)?;
        content.copy("root/twill", PROGRAM, &product.binary)?;
        content.copy("root/licenses/LICENSE", PAGE, &self.license)?;
        let notices = format!("root/licenses/{NOTICES}");
        content.write(&notices, PAGE, &product.notices)?;
        let dir = content.finish()?;
        let tar = dir.join("layer.tar");
        pack(&dir.join("root"), &["licenses", "twill"], &tar)?;
        let diff_id = digest(&tar)?;
        gzip(&tar)?;
        let layer = fs::read(dir.join("layer.tar.gz"))?;
        Ok((diff_id, self.blob(LAYER, &layer)?))
    }

    fn document(&self, media_type: &str, document: &Value) -> Result<Value> {
        self.blob(media_type, document.to_string().as_bytes())
    }

    /// Adds a blob, and returns its descriptor.
    fn blob(&self, media_type: &str, contents: &[u8]) -> Result<Value> {
        let file = tempfile::NamedTempFile::new()?;
        fs::write(file.path(), contents)?;
        let digest = digest(file.path())?;
        let path = format!("blobs/{}", digest.replace(':', "/"));
        self.layout.write(&path, PAGE, contents)?;
        Ok(json!({ "mediaType": media_type, "digest": digest, "size": contents.len() }))
    }
}

/// The digest of a file, as `sha256:<hexadecimal>`.
fn digest(path: &Path) -> Result<String> {
    let file = File::open(path).with_context(|| format!("cannot read {}", path.display()))?;
    let printed = command::output(Command::new("sha256sum").stdin(file))?;
    let sum = printed.split_whitespace().next();
    Ok(format!(
        "sha256:{}",
        sum.context("`sha256sum` prints a sum")?
    ))
}

/// Sets a key of a JSON object.
fn set(object: &mut Value, key: &str, value: Value) {
    if let Value::Object(object) = object {
        object.insert(key.to_owned(), value);
    }
}

#[cfg(test)]
mod tests {
    use xtask::architecture::ALL;
    use xtask::workspace::Workspace;

    use super::*;

    /// Names each blob whose digest is not its name, and each layer that no configuration has.
    const CHECK: &str = r#"
tar --extract --file twill-*-image.tar && cd blobs/sha256
for blob in *; do
    [ "$(sha256sum < $blob | cut -c1-64)" = $blob ] || echo "blob $blob"
    gzip --test $blob 2> /dev/null || continue
    grep --quiet "diff_ids.*$(gzip -dc $blob | sha256sum | cut -c1-64)" * || echo "layer $blob"
done
ls | wc -l
"#;

    /// podman compares the digests of blobs, but not those of layers.
    #[test]
    fn the_digests_are_those_of_the_blobs_and_layers() {
        let dir = tempfile::tempdir().unwrap();
        let workspace = Workspace::find().unwrap();
        let release = Release::new(&workspace, dir.path()).unwrap();
        let [first, second, ..] = &ALL;
        let products = [first, second].map(|architecture| {
            let binary = dir.path().join(architecture.name);
            fs::write(&binary, architecture.name).unwrap();
            let product = Product {
                binary,
                manual: PathBuf::new(),
                notices: String::new(),
            };
            (architecture, product)
        });
        write(&release, &products).unwrap();
        let mut check = Command::new("sh");
        check.args(["-ec", CHECK]).current_dir(dir.path());
        // Two images of a manifest, a configuration and a layer, and the index.
        assert_eq!(command::output(&mut check).unwrap(), "7\n");
    }
}
