//! `/v1/event-templates`: events to try functions with.

use serde::Serialize;
use serde_json::value::RawValue;

use crate::api::rest::Rest;
use crate::api::rest::answer;
use crate::api::rest::call::Call;
use crate::error::Result;
use crate::http::response::Response;
use crate::trigger::templates::{TEMPLATES, Template};

#[derive(Serialize)]
struct Body {
    templates: Vec<TemplateBody>,
}

#[derive(Serialize)]
struct TemplateBody {
    name: &'static str,
    title: &'static str,
    event: &'static RawValue,
}

pub(super) fn list(_: &Rest, _: Call) -> Result<Response> {
    Ok(answer::json(200, &Body { templates: TEMPLATES.iter().map(body).collect() }))
}

fn body(template: &Template) -> TemplateBody {
    let event = serde_json::from_str(template.event).expect("a test has read every template");
    TemplateBody { name: template.name, title: template.title, event }
}
