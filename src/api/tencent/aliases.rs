//! Aliases (contract 6.7).

use serde_json::{Value, json};

use crate::api::tencent::call::{Call, Reply};
use crate::api::tencent::fault::Fault;
use crate::api::tencent::params::Params;
use crate::api::tencent::times;
use crate::model::alias::{Alias, AliasName, Match, Method, Other, Share};

/// Most rows of a page of aliases.
const LIMIT_MAX: u32 = 100;

pub(super) fn create(call: &Call<'_>) -> Result<Reply, Fault> {
    let (namespace, name) = call.names()?;
    call.parts.versions.create_alias(&namespace, &name, &asked(call)?).map_err(fault_of)?;
    Ok(Reply::done())
}

pub(super) fn update(call: &Call<'_>) -> Result<Reply, Fault> {
    let (namespace, name) = call.names()?;
    let mut alias = asked(call)?;
    let before = call.parts.versions.alias(&namespace, &name, &alias.name)?;
    // What is not named stays.
    if !call.params.has("Description") {
        alias.description = before.description;
    }
    if !call.params.has("RoutingConfig") {
        alias.other = before.other.filter(|other| other.version != alias.version);
    }
    call.parts.versions.update_alias(&namespace, &name, &alias).map_err(fault_of)?;
    Ok(Reply::done())
}

pub(super) fn get(call: &Call<'_>) -> Result<Reply, Fault> {
    let (namespace, name) = call.names()?;
    let alias = call.parts.versions.alias(&namespace, &name, &alias_name(call)?)?;
    Ok(Reply::of(described(&alias)))
}

pub(super) fn list(call: &Call<'_>) -> Result<Reply, Fault> {
    let (namespace, name) = call.names()?;
    let window = call.window(LIMIT_MAX)?;
    let mut aliases = call.parts.versions.aliases(&namespace, &name)?;
    if let Some(version) = call.params.said("FunctionVersion")? {
        aliases.retain(|alias| alias.names(version));
    }
    let total = aliases.len();
    let page: Vec<Value> = window.cut(aliases).iter().map(described).collect();
    Ok(Reply::of(json!({ "Aliases": page, "TotalCount": total })))
}

pub(super) fn delete(call: &Call<'_>) -> Result<Reply, Fault> {
    let (namespace, name) = call.names()?;
    let deleted = call.parts.versions.delete_alias(&namespace, &name, &alias_name(call)?);
    deleted.map_err(|error| {
        Fault::from(error).renamed("InvalidParameterValue", "InvalidParameterValue.Alias")
    })?;
    Ok(Reply::done())
}

fn alias_name(call: &Call<'_>) -> Result<AliasName, Fault> {
    let name = AliasName::parse(call.params.needed("Name")?);
    name.map_err(|error| Fault::new("InvalidParameterValue.Name", error.message))
}

fn asked(call: &Call<'_>) -> Result<Alias, Fault> {
    let config = call.params.object("RoutingConfig")?;
    Ok(Alias {
        name: alias_name(call)?,
        version: call.params.needed("FunctionVersion")?.to_owned(),
        other: config.as_ref().map(other).transpose()?.flatten(),
        description: call.params.text("Description")?.unwrap_or_default().to_owned(),
        created_us: 0,
        modified_us: 0,
    })
}

/// The other version of a routing configuration: by weight or by rule, never both, and one at most.
fn other(config: &Params) -> Result<Option<Other>, Fault> {
    let weights = config.objects("AdditionalVersionWeights")?.unwrap_or_default();
    let rules = config.objects("AddtionVersionMatchs")?.unwrap_or_default();
    match (&weights[..], &rules[..]) {
        ([], []) => Ok(None),
        ([weight], []) => {
            let share =
                weight.number("Weight")?.ok_or_else(|| Fault::missing("MissingParameter", "Weight"))?;
            Ok(Some(Other { version: weight.needed("Version")?.to_owned(), share: Share::Weight(share) }))
        }
        ([], [rule]) => {
            let method = rule.needed("Method")?.to_ascii_lowercase();
            let method = Method::parse(&method).ok_or_else(|| wrong("Method must be exact or range"))?;
            let share = Share::Match(Match {
                key: rule.needed("Key")?.to_owned(),
                method,
                expression: rule.needed("Expression")?.to_owned(),
            });
            Ok(Some(Other { version: rule.needed("Version")?.to_owned(), share }))
        }
        ([_, _, ..], []) => Err(Fault::new(
            "InvalidParameterValue.AdditionalVersionWeights",
            "there is at most one additional version",
        )),
        ([], _) => Err(wrong("there is at most one additional version")),
        _ => Err(wrong("versions are chosen by weight or by match, not both")),
    }
}

fn wrong(sentence: &str) -> Fault {
    Fault::new("InvalidParameterValue.RoutingConfig", sentence)
}

/// What is wrong with an alias beside its name is mostly how it routes.
fn fault_of(error: crate::error::Error) -> Fault {
    Fault::from(error).renamed("InvalidParameterValue", "InvalidParameterValue.RoutingConfig")
}

fn described(alias: &Alias) -> Value {
    json!({
        "Name": alias.name.as_str(),
        "FunctionVersion": alias.version,
        "Description": alias.description,
        "RoutingConfig": routing(alias.other.as_ref()),
        "AddTime": times::of(alias.created_us),
        "ModTime": times::of(alias.modified_us),
    })
}

fn routing(other: Option<&Other>) -> Value {
    let (mut weights, mut rules) = (Vec::new(), Vec::new());
    match other {
        None => {}
        Some(Other { version, share: Share::Weight(weight) }) => {
            weights.push(json!({ "Version": version, "Weight": weight }));
        }
        Some(Other { version, share: Share::Match(rule) }) => rules.push(json!({
            "Version": version,
            "Key": rule.key,
            "Method": rule.method.as_str(),
            "Expression": rule.expression,
        })),
    }
    json!({ "AdditionalVersionWeights": weights, "AddtionVersionMatchs": rules })
}
