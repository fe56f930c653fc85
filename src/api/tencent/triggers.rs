//! Triggers.

use serde_json::{Value, json};

use crate::api::tencent::call::{Call, Reply};
use crate::api::tencent::fault::Fault;
use crate::model::function::{Function, Version};

pub(super) fn of_version(_: &Call<'_>, _: &Function, _: &Version) -> Result<Value, Fault> {
    Ok(json!([]))
}
pub(super) fn create(_: &Call<'_>) -> Result<Reply, Fault> {
    Err(Fault::new("UnsupportedOperation", "not yet"))
}
pub(super) fn update(_: &Call<'_>) -> Result<Reply, Fault> {
    Err(Fault::new("UnsupportedOperation", "not yet"))
}
pub(super) fn update_status(_: &Call<'_>) -> Result<Reply, Fault> {
    Err(Fault::new("UnsupportedOperation", "not yet"))
}
pub(super) fn list(_: &Call<'_>) -> Result<Reply, Fault> {
    Err(Fault::new("UnsupportedOperation", "not yet"))
}
pub(super) fn delete(_: &Call<'_>) -> Result<Reply, Fault> {
    Err(Fault::new("UnsupportedOperation", "not yet"))
}
