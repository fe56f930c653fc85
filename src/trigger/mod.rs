//! What makes functions run by themselves: something happened, it becomes an [`Event`](crate::model::invocation::Event) as the
//! cloud would send it, and goes to [`service::invoke`](crate::service::invoke) or [`service::events`](crate::service::events).
//!
//! What triggers there are is up to [`service::triggers`](crate::service::triggers), which tells of changes and keeps what has come
//! of each.

pub mod http;
pub mod kafka;
pub mod templates;
pub mod timer;
