//! `/v1/layers`: archives that functions share.

use serde::Serialize;

use crate::api::rest::Rest;
use crate::api::rest::answer;
use crate::api::rest::call::Call;
use crate::api::rest::fields::Fields;
use crate::api::rest::functions::{code_of, has_zip_type};
use crate::error::{Error, Result};
use crate::http::response::Response;
use crate::model::layer::{LayerName, LayerRef, LayerText, LayerVersion};
use crate::service::functions::Code;

#[derive(Serialize)]
struct LayerBody<'a> {
    layer: &'a str,
    version: u32,
    runtimes: &'a [String],
    description: &'a str,
    license: &'a str,
    code_sha256: String,
    code_bytes: u64,
    created_us: i64,
}

#[derive(Serialize)]
struct LayersBody<'a> {
    layers: Vec<LayerBody<'a>>,
}

pub(super) fn list(rest: &Rest, _: Call) -> Result<Response> {
    let layers = rest.parts.layers.list()?;
    Ok(answer::json(200, &LayersBody { layers: layers.iter().map(body_of).collect() }))
}

pub(super) fn publish(rest: &Rest, call: Call) -> Result<Response> {
    let name = LayerName::parse(&call.part)?;
    let is_zip = has_zip_type(&call);
    let query = call.query;
    let body = call.body.into_bytes()?;
    let (text, code) = if is_zip || body.starts_with(b"PK") {
        let text = |name| query.text(name).unwrap_or_default().to_owned();
        let runtimes = query.all("runtime").map(str::to_owned).collect();
        (LayerText { runtimes, description: text("description"), license: text("license") }, Code::Zip(body))
    } else {
        from_json(&body)?
    };
    let published = rest.parts.layers.publish(&name, &text, code)?;
    Ok(answer::json(201, &body_of(&published)))
}

fn from_json(body: &[u8]) -> Result<(LayerText, Code)> {
    let mut fields = Fields::parse(body)?;
    let text = LayerText {
        runtimes: fields.list("runtimes")?.unwrap_or_default(),
        description: fields.text("description")?.unwrap_or_default(),
        license: fields.text("license")?.unwrap_or_default(),
    };
    let code = fields.object("code")?.ok_or_else(|| Error::invalid("code is required"))?;
    fields.nothing_else(&["runtimes", "description", "license", "code"])?;
    Ok((text, code_of(code)?))
}

pub(super) fn content(rest: &Rest, call: Call) -> Result<Response> {
    let layer = meant(&call)?;
    let archive = rest.parts.layers.content(&layer)?;
    Ok(Response::new(200)
        .with_header("Content-Type", "application/zip")
        .with_header(
            "Content-Disposition",
            format!("attachment; filename=\"{}-{}.zip\"", layer.name, layer.number),
        )
        .with_bytes(archive))
}

pub(super) fn delete(rest: &Rest, call: Call) -> Result<Response> {
    rest.parts.layers.delete(&meant(&call)?)?;
    Ok(Response::new(204))
}

fn meant(call: &Call) -> Result<LayerRef> {
    LayerRef::parse(&format!("{}:{}", call.part, call.second))
}

fn body_of(version: &LayerVersion) -> LayerBody<'_> {
    LayerBody {
        layer: version.layer.name.as_str(),
        version: version.layer.number,
        runtimes: &version.runtimes,
        description: &version.description,
        license: &version.license,
        code_sha256: version.package.to_string(),
        code_bytes: version.package_bytes,
        created_us: version.created_us,
    }
}
