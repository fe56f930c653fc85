//! Requests that run functions: which trigger a request is for ([`routes`]), the event that it becomes ([`event`]), and the response
//! that the function's answer becomes ([`reply`]). All of it pure; the door before it is `api/gateway`.

pub mod event;
pub mod reply;
pub mod routes;
