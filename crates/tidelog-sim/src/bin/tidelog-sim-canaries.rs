//! `cargo xtask sim --canaries`: the same program with the planted bugs of the core compiled in. It has a name of its own,
//! so that neither makes the other build again.

#[cfg(not(target_family = "wasm"))]
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> std::process::ExitCode {
    tidelog_sim::cli::main()
}
