//! What is told to the linker.

#![expect(
    clippy::disallowed_methods,
    reason = "cargo tells a build script by the environment"
)]

use std::env::var;

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    // Functions that are the same are there once, which spares 0.6 MB, and addresses that move together are
    // written as bits, which spares 2.0 MB and wants glibc 2.36. Rust's own linker for this target can do it;
    // others may not know the words, and release/build takes another for the sake of an older glibc.
    let target = var("TARGET").unwrap_or_default();
    let profile = var("PROFILE").unwrap_or_default();
    let is_rusts_own = var("RUSTC_LINKER").is_err();
    if target == "x86_64-unknown-linux-gnu" && profile == "release" && is_rusts_own {
        println!("cargo::rustc-link-arg-bins=-Wl,-O2,--icf=all,-z,pack-relative-relocs");
    }
}
