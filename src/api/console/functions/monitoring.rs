//! The tab Monitoring: what has run of a function.

use crate::api::console::functions::{function, here, tab};
use crate::api::console::overview;
use crate::api::console::page::Shown;
use crate::api::console::problem::Problem;
use crate::api::console::visit::Visit;

pub(in crate::api::console) fn show(visit: &Visit<'_>) -> Result<Shown, Problem> {
    let function = function(visit)?;
    let history = overview::history(visit, &function.name, &here(visit, "monitoring"))?;
    tab(visit, &function, "monitoring", &history)
}
