//! `/v1/functions/{name}/triggers` and `/v1/triggers`: what makes functions run by themselves.

use serde::Serialize;
use serde_json::value::RawValue;

use crate::api::rest::Rest;
use crate::api::rest::answer;
use crate::api::rest::call::Call;
use crate::api::rest::fields::Fields;
use crate::api::rest::trigger_spec;
use crate::error::{About, Error, Kind as Failure, Result};
use crate::http::response::Response;
use crate::model::function::LATEST;
use crate::model::trigger::{Kind, Placed, Spec, Trigger};
use crate::store::trigger_spec::text;
use crate::store::triggers::TriggerRef;

#[derive(Serialize)]
struct Body<'a> {
    namespace: &'a str,
    function: &'a str,
    name: &'a str,
    r#type: &'static str,
    qualifier: &'a str,
    enabled: bool,
    address: String,
    spec: Box<RawValue>,
    argument: &'a str,
    description: &'a str,
    created_us: i64,
    modified_us: i64,
    next_us: Option<i64>,
    fired: u64,
    failed: u64,
    skipped: u64,
    fired_us: i64,
    error: &'a str,
    error_us: i64,
    #[serde(skip_serializing_if = "Option::is_none")]
    warning: Option<String>,
}

#[derive(Serialize)]
struct ListBody<'a> {
    triggers: Vec<Body<'a>>,
}

/// Fields of a body, beside those of its spec.
const KNOWN: [&str; 7] = ["name", "type", "spec", "qualifier", "enabled", "argument", "description"];

/// What a function's own URL is called where nobody says.
const URL_NAME: &str = "url";

pub(super) fn list_all(rest: &Rest, call: Call) -> Result<Response> {
    let mut triggers = rest.parts.triggers.list_all(&call.namespace()?)?;
    if let Some(kind) = kind(&call)? {
        triggers.retain(|placed| placed.trigger.spec.kind() == kind);
    }
    Ok(listed(rest, &triggers))
}

pub(super) fn list(rest: &Rest, call: Call) -> Result<Response> {
    Ok(listed(rest, &rest.parts.triggers.list(&call.namespace()?, &call.function()?)?))
}

pub(super) fn get(rest: &Rest, call: Call) -> Result<Response> {
    Ok(answer::json(200, &body(rest, &meant(rest, &call)?)))
}

pub(super) fn create(rest: &Rest, call: Call) -> Result<Response> {
    let (namespace, function) = (call.namespace()?, call.function()?);
    let bytes = call.body.into_bytes()?;
    let trigger = asked(Fields::parse(&bytes)?)?;
    let made = rest.parts.triggers.create(&namespace, &function, &trigger)?;
    Ok(answer::json(201, &body(rest, &made)))
}

/// What is not named stays.
pub(super) fn change(rest: &Rest, call: Call) -> Result<Response> {
    let placed = meant(rest, &call)?;
    let bytes = call.body.into_bytes()?;
    let changed = rest.parts.triggers.update(&of(&placed), move |trigger| changed(trigger, &bytes))?;
    Ok(answer::json(200, &body(rest, &Placed { trigger: changed, ..placed })))
}

fn changed(trigger: &mut Trigger, body: &[u8]) -> Result<()> {
    let mut fields = Fields::parse(body)?;
    if let Some(spec) = fields.object("spec")? {
        trigger_spec::change(&mut trigger.spec, spec)?;
    }
    if fields.text("qualifier")?.is_some_and(|qualifier| qualifier != trigger.qualifier) {
        return Err(Error::invalid("qualifier cannot be changed: remove the trigger and add another"));
    }
    trigger.enabled = fields.truth("enabled")?.unwrap_or(trigger.enabled);
    for (place, said) in [
        (&mut trigger.custom_argument, fields.text("argument")?),
        (&mut trigger.description, fields.text("description")?),
    ] {
        if let Some(said) = said {
            *place = said;
        }
    }
    fields.nothing_else(&["spec", "enabled", "argument", "description"])
}

pub(super) fn delete(rest: &Rest, call: Call) -> Result<Response> {
    rest.parts.triggers.delete(&of(&meant(rest, &call)?))?;
    Ok(Response::new(204))
}

fn listed(rest: &Rest, triggers: &[Placed]) -> Response {
    answer::json(200, &ListBody { triggers: triggers.iter().map(|placed| body(rest, placed)).collect() })
}

fn asked(mut fields: Fields<'_>) -> Result<Trigger> {
    let kind = fields.text("type")?.ok_or_else(|| Error::invalid("type is required"))?;
    let kind = Kind::parse(&kind)?;
    let name = fields.text("name")?.or_else(|| (kind == Kind::Http).then(|| URL_NAME.to_owned()));
    let name = name.ok_or_else(|| Error::invalid("name is required"))?;
    let spec = trigger_spec::read(kind, fields.object("spec")?)?;
    let trigger = Trigger {
        name,
        spec,
        qualifier: fields.text("qualifier")?.unwrap_or_else(|| LATEST.to_owned()),
        enabled: fields.truth("enabled")?.unwrap_or(true),
        custom_argument: fields.text("argument")?.unwrap_or_default(),
        description: fields.text("description")?.unwrap_or_default(),
        created_us: 0,
        modified_us: 0,
    };
    fields.nothing_else(&KNOWN)?;
    Ok(trigger)
}

fn kind(call: &Call) -> Result<Option<Kind>> {
    call.query.text("type").map(Kind::parse).transpose()
}

/// The one trigger that path and query mean: names alone may be taken more than once (triggers 6).
fn meant(rest: &Rest, call: &Call) -> Result<Placed> {
    let (kind, name) = (kind(call)?, &call.second);
    let (qualifier, event) = (call.query.text("qualifier"), call.query.text("event"));
    let mut all = rest.parts.triggers.list(&call.namespace()?, &call.function()?)?;
    all.retain(|placed| {
        let trigger = &placed.trigger;
        trigger.name == *name
            && kind.is_none_or(|kind| kind == trigger.spec.kind())
            && qualifier.is_none_or(|qualifier| qualifier == trigger.qualifier)
            && event.is_none_or(|event| matches!(&trigger.spec, Spec::Cos(cos) if cos.event == event))
    });
    match all.len() {
        0 => Err(gone(name)),
        1 => Ok(all.remove(0)),
        count => Err(Error::new(
            Failure::Conflict,
            format!("{count} triggers are called {name}: say which by type, qualifier or event"),
        )
        .about(About::Trigger)),
    }
}

fn gone(name: &str) -> Error {
    Error::not_found(format!("there is no trigger {name}")).about(About::Trigger)
}

fn of(placed: &Placed) -> TriggerRef {
    let trigger = &placed.trigger;
    TriggerRef {
        function_id: placed.function_id,
        kind: trigger.spec.kind(),
        name: trigger.name.clone(),
        qualifier: Some(trigger.qualifier.clone()),
        event: match &trigger.spec {
            Spec::Cos(cos) => Some(cos.event.clone()),
            _ => None,
        },
    }
}

fn body<'a>(rest: &Rest, placed: &'a Placed) -> Body<'a> {
    let Placed { trigger, state, .. } = placed;
    Body {
        namespace: placed.namespace.as_str(),
        function: placed.function.as_str(),
        name: &trigger.name,
        r#type: trigger.spec.kind().as_str(),
        qualifier: &trigger.qualifier,
        enabled: trigger.enabled,
        address: rest.parts.triggers.address(placed),
        spec: RawValue::from_string(text(&trigger.spec)).expect("it was written as JSON just now"),
        argument: &trigger.custom_argument,
        description: &trigger.description,
        created_us: trigger.created_us,
        modified_us: trigger.modified_us,
        next_us: rest.parts.triggers.next_us(placed),
        fired: state.fired,
        failed: state.failed,
        skipped: state.skipped,
        fired_us: state.fired_us,
        error: &state.error,
        error_us: state.error_us,
        // What cannot be found out is not said.
        warning: rest.parts.objects.warning(placed).unwrap_or_default(),
    }
}
