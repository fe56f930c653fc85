//! One module per runtime: how it starts, with its bootstrap beside it.

pub(crate) mod python;
