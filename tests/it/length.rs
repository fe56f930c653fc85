//! How long the tests are: short by default, longer with `scripts/test --all`, longest with `scripts/soak`.

use std::env::var_os;

/// A number of rounds for each of the three.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Rounds {
    pub short: usize,
    pub all: usize,
    pub soak: usize,
}

impl Rounds {
    /// The one that was asked for.
    #[expect(clippy::disallowed_methods, reason = "tests have no configuration but this")]
    pub(crate) fn asked(self) -> usize {
        match (var_os("FNLITE_TEST_SOAK"), var_os("FNLITE_TEST_ALL")) {
            (Some(_), _) => self.soak,
            (None, Some(_)) => self.all,
            (None, None) => self.short,
        }
    }
}
