//! `/v1/sign-in-links`: ways into the console for whoever has none.

use std::time::Duration;

use serde::Serialize;

use crate::api::auth;
use crate::api::rest::Rest;
use crate::api::rest::answer;
use crate::api::rest::call::Call;
use crate::error::Result;
use crate::http::response::Response;
use crate::service::sessions::{self, LINK_LIFE};

#[derive(Serialize)]
struct LinkBody<'a> {
    url: String,
    path: &'a str,
    expires_us: i64,
}

/// A session that began with the link ends with the key it was made with.
pub(super) fn create(rest: &Rest, call: Call) -> Result<Response> {
    let path = sessions::path_of(&rest.parts.sessions.ticket(auth::secret(&call.head)));
    let expires_us = rest.parts.clock.wall_us().saturating_add(us(LINK_LIFE));
    let url = format!("{}{path}", rest.parts.triggers.base_url().unwrap_or_default());
    Ok(answer::json(201, &LinkBody { url, path: &path, expires_us }).with_header("Cache-Control", "no-store"))
}

fn us(length: Duration) -> i64 {
    i64::try_from(length.as_micros()).unwrap_or(i64::MAX)
}
