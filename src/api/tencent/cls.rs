//! SearchLog of the cloud's log service (contract 5.4): our lines under its names, so that tools written for it find them.
//!
//! There is one log here, so a topic is a namespace: the one of that name, and `default` for every other id. The query language is
//! that of `/v1/logs`.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::sync::Arc;
use std::time::Duration;

use serde_json::{Map, Value, json};

use crate::api::tencent::call::{Call, Reply};
use crate::api::tencent::fault::Fault;
use crate::api::tencent::invoke::{megabytes, milliseconds};
use crate::model::function::Namespace;
use crate::model::invocation::Record;
use crate::model::limits;
use crate::model::log::{Level, Stream};
use crate::model::query::{Order, PageLimit, StoredLine};
use crate::search::{Case, Query};
use crate::service::search::LinesAsked;

/// Rows of a page unless asked otherwise.
const LIMIT_DEFAULT: u32 = 100;
/// Longest query, bytes (contract 5.4).
const QUERY_BYTES_MAX: usize = 12 * 1024;
/// How long one search may take; what was found until then is answered, and where to go on.
const PATIENCE: Duration = Duration::from_secs(10);

pub(super) fn search(call: &Call<'_>) -> Result<Reply, Fault> {
    let topic = call.params.said("TopicId")?.unwrap_or_default();
    let page = call.parts.logs.lines(&asked(call, topic)?)?;
    let mut runs = HashMap::new();
    let mut rows = Vec::new();
    for hit in &page.rows {
        let line = &hit.line;
        let run = match runs.entry(line.run_id) {
            Entry::Occupied(known) => known.into_mut(),
            Entry::Vacant(place) => place.insert(call.parts.store.run_brief(line.run_id)?),
        };
        rows.push(row(line, run.as_ref(), topic));
    }
    Ok(Reply::of(json!({
        "Context": page.next.map(|next| next.to_string()).unwrap_or_default(),
        "ListOver": page.next.is_none(),
        "Analysis": false,
        "Results": rows,
        "ColNames": [],
        "AnalysisResults": [],
        "AnalysisRecords": [],
        "Columns": [],
    })))
}

fn asked(call: &Call<'_>, topic: &str) -> Result<LinesAsked, Fault> {
    if call.params.whole("Offset")?.unwrap_or(0) != 0 {
        let sentence = "pages are gone through by Context here, not by Offset";
        return Err(Fault::new("UnsupportedOperation", sentence));
    }
    let limit = call.params.count("Limit")?.unwrap_or(LIMIT_DEFAULT);
    if limit == 0 || limit > limits::PAGE_MAX {
        let sentence = format!("Limit must be 1 to {}", limits::PAGE_MAX);
        return Err(Fault::new("InvalidParameter", sentence));
    }
    let millisecond = |name: &str| Ok::<_, Fault>(call.params.whole(name)?.map(|ms| ms.saturating_mul(1000)));
    let needed = |name: &str| millisecond(name)?.ok_or_else(|| Fault::missing("MissingParameter", name));
    let order = match call.params.said("Sort")?.unwrap_or("desc") {
        "asc" => Order::Ascending,
        "desc" => Order::Descending,
        _ => return Err(Fault::new("InvalidParameter", "Sort must be asc or desc")),
    };
    let context = call.params.said("Context")?;
    let after = context.map(|text| text.parse::<i64>()).transpose();
    Ok(LinesAsked {
        namespace: namespace(call, topic)?,
        request_id: None,
        function: None,
        query: query(call)?,
        since_us: Some(needed("From")?),
        until_us: Some(needed("To")?),
        order,
        context: 0,
        after: after
            .map_err(|_| Fault::new("InvalidParameter", "Context must be that of the answer before"))?,
        limit: PageLimit::new(limit)?,
        patience: PATIENCE,
    })
}

/// A topic that has the name of a namespace is that one.
fn namespace(call: &Call<'_>, topic: &str) -> Result<Namespace, Fault> {
    let spaces = call.parts.namespaces.list()?;
    let named = spaces.into_iter().find(|space| space.name.as_str() == topic);
    Ok(named.map(|space| space.name).unwrap_or_default())
}

fn query(call: &Call<'_>) -> Result<Option<Arc<Query>>, Fault> {
    let text = call.params.said("QueryString")?.or(call.params.said("Query")?).unwrap_or_default();
    if text.len() > QUERY_BYTES_MAX {
        return Err(Fault::new(
            "InvalidParameter",
            format!("the query must be at most {QUERY_BYTES_MAX} bytes"),
        ));
    }
    if has_analysis(text) {
        let sentence = "what follows | is not served here; POST /v1/sql and `fnlite sql` count and group";
        return Err(Fault::new("UnsupportedOperation", sentence));
    }
    let parsed = Query::parse(text, Case::Ignored);
    let query = parsed.map_err(|mistake| Fault::new("FailedOperation.SyntaxError", mistake.to_string()))?;
    Ok((!text.trim().is_empty() && text.trim() != "*").then(|| Arc::new(query)))
}

/// Whether a query goes on with SQL: a single bar outside quotes, of which two mean OR.
fn has_analysis(text: &str) -> bool {
    let mut quote = None;
    let mut letters = text.chars().peekable();
    while let Some(letter) = letters.next() {
        match (letter, quote) {
            ('\\', _) => {
                letters.next();
            }
            ('"' | '\'' | '/', None) => quote = Some(letter),
            (closing, Some(open)) if closing == open => quote = None,
            ('|', None) if letters.next_if_eq(&'|').is_none() => return true,
            _ => {}
        }
    }
    false
}

fn row(line: &StoredLine, run: Option<&Record>, topic: &str) -> Value {
    json!({
        "Time": line.line.ts_us / 1000,
        "TopicId": topic,
        "TopicName": "SCF_logtopic",
        "Source": "",
        "FileName": "",
        "PkgId": line.run_id.to_string(),
        "PkgLogId": line.id.to_string(),
        "HostName": "",
        "LogJson": fields(line, run).to_string(),
        "RawLog": "",
        "IndexStatus": "",
    })
}

/// The fourteen fields (contract 5.2), and what a line that is a JSON object has on its first level.
fn fields(line: &StoredLine, run: Option<&Record>) -> Value {
    let mut fields: Map<String, Value> = serde_json::from_str(&line.line.message).unwrap_or_default();
    let (of_run, none) = (run.map(|run| (run.duration_us, run.memory_used_kb, run.status)), (0, 0, 202));
    let (duration_us, memory_kb, status) = of_run.unwrap_or(none);
    let own = json!({
        "SCF_FunctionName": line.function,
        "SCF_Namespace": line.namespace,
        "SCF_RequestId": line.request_id.as_ref().map(|id| id.as_str()).unwrap_or_default(),
        "SCF_Alias": run.map(|run| run.alias.as_str()).unwrap_or_default(),
        "SCF_Qualifier": run.map(|run| run.qualifier.as_str()).unwrap_or_default(),
        "SCF_StartTime": run.map_or(0, |run| run.started_us / 1000),
        "SCF_LogTime": line.line.ts_us / 1000,
        "SCF_Duration": milliseconds(duration_us),
        "SCF_MemUsage": megabytes(memory_kb),
        "SCF_Level": if line.line.level == Level::Error { "ERROR" } else { "INFO" },
        "SCF_Message": line.line.message,
        "SCF_Type": if line.line.stream == Stream::Platform { "Platform" } else { "Custom" },
        "SCF_StatusCode": status,
        "SCF_RetryNum": line.retry_num,
    });
    if let Value::Object(own) = own {
        fields.extend(own);
    }
    Value::Object(fields)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_single_bar_begins_an_analysis() {
        for text in ["* | select count(*)", "error|select 1", "a || b | c"] {
            assert!(has_analysis(text), "{text}");
        }
        for text in ["", "a || b", "\"a | b\"", "'|'", r"a\|b", "/a|b/"] {
            assert!(!has_analysis(text), "{text}");
        }
    }
}
