//! The `hermod` command: parses the command line and dispatches to [`hermod::cli`].

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> std::process::ExitCode {
    hermod::host::set_up_allocator();
    hermod::cli::main()
}
