//! THE table: every action of `scf` 2018-04-16, and the one of `cls` 2020-10-16 that there is: who may, and what answers, or why
//! nothing does. The README's page about the SDKs lists it as it is here.

use std::fmt;

use crate::api::tencent::call::{Call, Reply};
use crate::api::tencent::fault::Fault;
use crate::api::tencent::{
    account, aliases, cls, concurrency, events, functions, invoke, layers, logs, namespaces, triggers,
    versions,
};
use crate::model::key::Scope;

/// One row of the table.
pub struct Action {
    /// Its name.
    pub name: &'static str,
    /// The least a key must be for.
    pub scope: Scope,
    /// What is different here from the cloud; empty where nothing is.
    pub note: &'static str,
    pub(super) answers: Answers,
}

/// What answers an action.
pub(super) enum Answers {
    Served(fn(&Call<'_>) -> Result<Reply, Fault>),
    /// Nothing, since one host cannot mean it; the phrase says why.
    Refused(&'static str),
}

const SCF_VERSION: &str = "2018-04-16";
const CLS_VERSION: &str = "2020-10-16";

const NO_DOMAINS: &str = "domain names and their certificates belong to the reverse proxy before this server";

/// The actions of `scf`.
pub static ACTIONS: &[Action] = &[
    invokes("Invoke", invoke::invoke),
    invokes("InvokeFunction", invoke::invoke_function),
    changes("CreateFunction", functions::create).with("code comes as `ZipFile`; `Type` is `Event`"),
    changes("UpdateFunctionCode", functions::update_code).with("code comes as `ZipFile`"),
    changes("UpdateFunctionConfiguration", functions::update_configuration),
    // Environments are shown, and people keep passwords there.
    changes("GetFunction", functions::get),
    changes("GetFunctionAddress", functions::address).with("the link holds for an hour"),
    reads("ListFunctions", functions::list),
    changes("DeleteFunction", functions::delete),
    changes("CopyFunction", functions::copy),
    changes("PublishVersion", versions::publish),
    reads("ListVersionByFunction", versions::list),
    changes("DeleteFunctionVersion", versions::delete),
    changes("CreateAlias", aliases::create),
    changes("UpdateAlias", aliases::update),
    reads("GetAlias", aliases::get),
    reads("ListAliases", aliases::list),
    changes("DeleteAlias", aliases::delete),
    changes("CreateNamespace", namespaces::create),
    changes("UpdateNamespace", namespaces::update),
    reads("ListNamespaces", namespaces::list),
    changes("DeleteNamespace", namespaces::delete),
    changes("CreateTrigger", triggers::create).with("timer, http, apigw, cos and ckafka"),
    changes("UpdateTrigger", triggers::update),
    changes("UpdateTriggerStatus", triggers::update_status),
    reads("ListTriggers", triggers::list),
    changes("DeleteTrigger", triggers::delete),
    reads("GetFunctionLogs", logs::list),
    reads("GetRequestStatus", logs::status),
    reads("ListAsyncEvents", events::list).with("of every asynchronous event"),
    reads("GetAsyncEventStatus", events::status).with("of every asynchronous event"),
    changes("TerminateAsyncEvent", events::terminate).with("of every asynchronous event"),
    reads("GetFunctionEventInvokeConfig", events::get_config),
    changes("UpdateFunctionEventInvokeConfig", events::update_config),
    changes("PublishLayerVersion", layers::publish),
    changes("GetLayerVersion", layers::get),
    reads("ListLayers", layers::list),
    reads("ListLayerVersions", layers::versions),
    changes("DeleteLayerVersion", layers::delete),
    changes("PutReservedConcurrencyConfig", concurrency::put_reserved),
    reads("GetReservedConcurrencyConfig", concurrency::get_reserved),
    changes("DeleteReservedConcurrencyConfig", concurrency::delete_reserved),
    changes("PutProvisionedConcurrencyConfig", concurrency::put_provisioned)
        .with("a fixed number of processes"),
    reads("GetProvisionedConcurrencyConfig", concurrency::get_provisioned),
    changes("DeleteProvisionedConcurrencyConfig", concurrency::delete_provisioned),
    changes("PutTotalConcurrencyConfig", concurrency::put_total)
        .with("of the whole host, at most what the server was started for"),
    reads("GetAccount", account::get),
    refuses("CreateCustomDomain", NO_DOMAINS),
    refuses("UpdateCustomDomain", NO_DOMAINS),
    refuses("GetCustomDomain", NO_DOMAINS),
    refuses("ListCustomDomains", NO_DOMAINS),
    refuses("DeleteCustomDomain", NO_DOMAINS),
];

/// The actions of `cls`.
static CLS_ACTIONS: &[Action] = &[reads("SearchLog", cls::search)
    .with("service `cls`, version 2020-10-16; the query language is that of `logs -q`")];

const fn invokes(name: &'static str, serve: fn(&Call<'_>) -> Result<Reply, Fault>) -> Action {
    Action { name, scope: Scope::Invoke, note: "", answers: Answers::Served(serve) }
}

const fn reads(name: &'static str, serve: fn(&Call<'_>) -> Result<Reply, Fault>) -> Action {
    Action { name, scope: Scope::Read, note: "", answers: Answers::Served(serve) }
}

const fn changes(name: &'static str, serve: fn(&Call<'_>) -> Result<Reply, Fault>) -> Action {
    Action { name, scope: Scope::Admin, note: "", answers: Answers::Served(serve) }
}

const fn refuses(name: &'static str, why: &'static str) -> Action {
    Action { name, scope: Scope::Read, note: "", answers: Answers::Refused(why) }
}

/// The table as the README has it.
pub fn table() -> String {
    let mut table = String::from("| action | needs a key for | here |\n|---|---|---|\n");
    for action in ACTIONS.iter().chain(CLS_ACTIONS) {
        let here = match (action.refusal(), action.note) {
            (Some(why), _) => format!("**refused** with `UnsupportedOperation`: {why}"),
            (None, "") => "served".to_owned(),
            (None, note) => format!("served; {note}"),
        };
        table.push_str(&format!("| `{}` | {} | {here} |\n", action.name, action.scope.as_str()));
    }
    table
}

impl fmt::Debug for Action {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Action").field("name", &self.name).finish_non_exhaustive()
    }
}

impl Action {
    /// The same with a note.
    const fn with(self, note: &'static str) -> Action {
        Action { note, ..self }
    }

    /// Why it is refused, where it is.
    pub fn refusal(&self) -> Option<&'static str> {
        match self.answers {
            Answers::Served(_) => None,
            Answers::Refused(why) => Some(why),
        }
    }

    /// Whether an action of that name changes something, so that doing it twice is not the same as once.
    pub(super) fn changes(name: &str) -> bool {
        ["Create", "Update", "Delete", "Publish", "Copy", "Put", "Terminate"]
            .iter()
            .any(|verb| name.starts_with(verb))
    }
}

/// The row of an action.
pub(super) fn find(name: &str, version: &str) -> Result<&'static Action, Fault> {
    let table = match version {
        SCF_VERSION => ACTIONS,
        CLS_VERSION => CLS_ACTIONS,
        _ => {
            let sentence = format!("Version must be {SCF_VERSION} (scf) or {CLS_VERSION} (cls)");
            return Err(Fault::new("NoSuchVersion", sentence));
        }
    };
    table.iter().find(|action| action.name == name).ok_or_else(|| {
        let sentence = format!("The request action={name} is invalid or not found in version {version}.");
        Fault::new("InvalidAction", sentence)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_action_of_the_sdks_answers() {
        assert_eq!(ACTIONS.len(), 52);
        let mut names: Vec<&str> = ACTIONS.iter().map(|action| action.name).collect();
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), 52, "none is there twice");
        let refused = ACTIONS.iter().filter(|action| action.refusal().is_some()).count();
        assert_eq!(refused, 5);
    }

    #[test]
    fn an_action_is_of_a_version() {
        assert!(find("Invoke", "2018-04-16").is_ok());
        assert!(find("SearchLog", "2020-10-16").is_ok());
        let code = |name, version| find(name, version).err().map(|fault| fault.code);
        assert_eq!(code("SearchLog", "2018-04-16"), Some("InvalidAction"));
        assert_eq!(code("Invoke", "2017-01-01"), Some("NoSuchVersion"));
        assert_eq!(code("invoke", "2018-04-16"), Some("InvalidAction"));
    }

    #[test]
    fn what_needs_an_admin_is_what_changes_or_shows_secrets() {
        for action in ACTIONS.iter().filter(|action| action.refusal().is_none()) {
            let shows = ["GetFunction", "GetFunctionAddress", "GetLayerVersion"].contains(&action.name);
            let needs_admin = Action::changes(action.name) || shows;
            assert_eq!(action.scope == Scope::Admin, needs_admin, "{}", action.name);
        }
    }
}
