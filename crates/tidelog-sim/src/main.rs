//! `cargo xtask sim`: plays worlds on every core and says what broke.

#[cfg(not(target_family = "wasm"))]
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> std::process::ExitCode {
    tidelog_sim::cli::main()
}
