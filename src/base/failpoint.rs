//! Points at which a test makes the program fail: `failpoint::here("record.commit")?` on a line of its own.
//!
//! Only a build with the feature `failpoints` has them; in every other the line is nothing, and the crate behind it is not
//! linked. There, a program started with `FAILPOINTS=record.commit=20*off->1*panic` passes that point 20 times, panics the
//! next time, and passes ever after. Instead of `panic` it can `return(error)`, an internal error, or
//! `return(kill)`: the process gets SIGKILL from itself. The crate `fail` tells what else can be said.
//!
//! What must stay true: a point stands where a step can fail by itself or the host can die, never where the line below
//! could not be reached in life. Names are `noun.verb`, said once in the source; `tests/it/failpoints.rs` goes through all.

#[cfg(feature = "failpoints")]
use crate::error::Error;
use crate::error::Result;

/// Fails as the environment asks for at the point of that name, if at all.
#[cfg(not(feature = "failpoints"))]
#[inline]
pub fn here(_name: &'static str) -> Result<()> {
    Ok(())
}

/// Fails as the environment asks for at the point of that name, if at all.
#[cfg(feature = "failpoints")]
pub fn here(name: &'static str) -> Result<()> {
    fail::fail_point!(name, |what| Err(failure(name, what.as_deref())));
    Ok(())
}

/// Reads `FAILPOINTS`; the points are as it says while the value lives. Panics where it cannot be understood.
#[cfg(feature = "failpoints")]
pub fn setup() -> fail::FailScenario<'static> {
    fail::FailScenario::setup()
}

#[cfg(feature = "failpoints")]
fn failure(name: &str, what: Option<&str>) -> Error {
    if what == Some("kill") {
        let killed = rustix::process::kill_process(rustix::process::getpid(), rustix::process::Signal::KILL);
        panic!("failpoint {name} could not kill: {killed:?}");
    }
    Error::internal(format!("failpoint {name}"))
}
