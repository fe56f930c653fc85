//! Command line to exit code.

use std::env;
use std::process::ExitCode;

/// The word that makes this program the starter of function processes; no user types it.
const LAUNCH: &str = "__launch";

fn main() -> ExitCode {
    // Before the command line is parsed: it is on the way of every function's start.
    if env::args_os().nth(1).is_some_and(|word| word == LAUNCH) {
        return fnlite::instance::launch::main();
    }
    #[cfg(feature = "failpoints")]
    let _as_the_environment_says = fnlite::base::failpoint::setup();
    fnlite::cli::main(env::args_os())
}
