//! `cargo xtask sim`: plays worlds on every core and says what broke.

fn main() -> std::process::ExitCode {
    tidelog_sim::cli::main()
}
