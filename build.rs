//! What is told to the linker, which commit this is, of which day and for what, and the document of the API with
//! the page that shows it, packed.

#![expect(
    clippy::disallowed_methods,
    reason = "cargo tells a build script by the environment"
)]

use std::env::var;
use std::fs::{File, read};
use std::io::{self, Cursor, Read, Write};
use std::path::Path;
use std::process::Command;

use flate2::Compression;
use flate2::write::GzEncoder;
use utoipa_swagger_ui_vendored::SWAGGER_UI_VENDORED;
use zip::ZipArchive;

/// A name that is not in the release is missed by `src/api/swagger.rs`.
const PAGE: [&str; 9] = [
    "favicon-16x16.png",
    "favicon-32x32.png",
    "index.css",
    "index.html",
    "oauth2-redirect.html",
    "oauth2-redirect.js",
    "swagger-ui-bundle.js",
    "swagger-ui-standalone-preset.js",
    "swagger-ui.css",
];

fn main() -> io::Result<()> {
    println!("cargo::rerun-if-changed=build.rs");
    println!("cargo::rerun-if-env-changed=SERIN_COMMIT");
    let target = var("TARGET").unwrap_or_default();
    let profile = var("PROFILE").unwrap_or_default();
    // Else every commit would have all be built anew.
    let is_shipped = profile == "release";
    let commit = var("SERIN_COMMIT").ok().filter(|it| !it.is_empty());
    let commit = commit.or_else(|| is_shipped.then(commit_of_git).flatten());
    let commit = commit.unwrap_or_else(|| "unknown".to_owned());
    println!("cargo::rustc-env=SERIN_COMMIT={}", commit.trim());
    println!("cargo::rerun-if-env-changed=SERIN_COMMIT_DATE");
    let date = var("SERIN_COMMIT_DATE").ok().filter(|it| !it.is_empty());
    let date = date.or_else(|| is_shipped.then(date_of_git).flatten());
    let date = date.unwrap_or_else(|| "unknown".to_owned());
    println!("cargo::rustc-env=SERIN_COMMIT_DATE={}", date.trim());
    println!("cargo::rustc-env=SERIN_TARGET={target}");
    // Functions that are the same are there once, which spares 0.6 MB, and addresses that move together are
    // written as bits, which spares 2.0 MB and wants glibc 2.36. Rust's own linker for this target can do it;
    // others may not know the words, and release/build takes another for the sake of an older glibc.
    let is_rusts_own = var("RUSTC_LINKER").is_err();
    if target == "x86_64-unknown-linux-gnu" && profile == "release" && is_rusts_own {
        println!("cargo::rustc-link-arg-bins=-Wl,-O2,--icf=all,-z,pack-relative-relocs");
    }
    // A tenth of its text is left, and a part of what the code that describes it would take.
    pack_own("openapi/serin.json", "serin.json")?;
    pack_page()
}

fn pack_own(file: &str, name: &str) -> io::Result<()> {
    println!("cargo::rerun-if-changed={file}");
    pack(name, &read(file)?)
}

/// Of Swagger UI what its page asks for: half of what its release has.
fn pack_page() -> io::Result<()> {
    let mut release = ZipArchive::new(Cursor::new(SWAGGER_UI_VENDORED))?;
    for place in 0..release.len() {
        let mut file = release.by_index(place)?;
        let name = file.name()?.into_owned();
        let Some((_, name)) = name.split_once("/dist/") else {
            continue;
        };
        if PAGE.contains(&name) {
            let mut content = Vec::new();
            file.read_to_end(&mut content)?;
            pack(name, &content)?;
        }
    }
    pack_own("src/api/swagger-initializer.js", "swagger-initializer.js")
}

fn pack(name: &str, content: &[u8]) -> io::Result<()> {
    let folder = var("OUT_DIR").map_err(io::Error::other)?;
    let packed = File::create(Path::new(&folder).join(format!("{name}.gz")))?;
    let mut packed = GzEncoder::new(packed, Compression::best());
    packed.write_all(content)?;
    packed.finish().map(drop)
}

/// None outside of a clone, such as in an image.
fn commit_of_git() -> Option<String> {
    for file in ["HEAD", "logs/HEAD"] {
        if let Some(path) = git(&["rev-parse", "--git-path", file]) {
            println!("cargo::rerun-if-changed={path}");
        }
    }
    git(&["rev-parse", "HEAD"])
}

/// In the years, months and days of who made it.
fn date_of_git() -> Option<String> {
    git(&["show", "--no-patch", "--format=%cs", "HEAD"])
}

fn git(arguments: &[&str]) -> Option<String> {
    let told = Command::new("git").args(arguments).output().ok()?;
    let text = String::from_utf8(told.stdout).ok()?;
    told.status.success().then(|| text.trim().to_owned())
}
