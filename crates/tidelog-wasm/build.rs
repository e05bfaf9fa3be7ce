//! Makes the stack of the module smaller: the megabyte that it has otherwise is memory of every page that opens a log.
//! Nothing recurses by what it is given, and futures live on the heap.
#![allow(
    clippy::print_stdout,
    reason = "it is how a build script speaks to cargo"
)]

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    if std::env::var("CARGO_CFG_TARGET_ARCH").as_deref() == Ok("wasm32") {
        println!("cargo::rustc-link-arg-cdylib=-zstack-size=262144");
    }
}
