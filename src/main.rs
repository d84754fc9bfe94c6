//! The program. All code is in the library.

use std::process::ExitCode;

fn main() -> ExitCode {
    wonder_signer::cli::run()
}
