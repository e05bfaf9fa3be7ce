//! The two programs of `wasm-bindgen-cli` at exactly the version in `Cargo.lock`.
//!
//! `wasm-tool bindgen ARGS…` writes the JavaScript glue of a wasm file. `wasm-tool run-tests ARGS…`
//! is the cargo runner of the browser tests. Both are one binary because they share the minutes of
//! compilation, and apart from `xtask` so that `cargo xtask` itself starts at once.

use std::ffi::OsString;
use std::process::ExitCode;

fn main() -> ExitCode {
    let mut arguments: Vec<OsString> = std::env::args_os().collect();
    let program = if arguments.len() > 1 {
        arguments.remove(1)
    } else {
        OsString::new()
    };
    let outcome = match program.to_str() {
        Some("bindgen") => wasm_bindgen_cli::wasm_bindgen::run_cli_with_args(arguments),
        Some("run-tests") => {
            wasm_bindgen_cli::wasm_bindgen_test_runner::run_cli_with_args(arguments)
        }
        _ => Err(anyhow::anyhow!("usage: wasm-tool bindgen|run-tests ARGS…")),
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error:?}");
            ExitCode::FAILURE
        }
    }
}
