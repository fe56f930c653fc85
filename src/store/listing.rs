//! Pages by number, as the TencentCloud API asks for them: so many rows from the so-manieth on, and how many there are in all.
//! Our own lists go by cursor, which costs the same on every page; here SQLite counts.

use rusqlite::types::Value;
use rusqlite::{OptionalExtension, Row, params_from_iter};

use crate::error::Result;
use crate::model::function::{Function, Namespace};
use crate::model::invocation::Record;
use crate::store::Store;
use crate::store::functions;
use crate::store::minutes::{self, Of};
use crate::store::records::{COLUMNS, TABLES, row};

/// Which functions, in which order, from where.
#[derive(Clone, Debug)]
pub struct FunctionQuery {
    /// Of that namespace.
    pub namespace: Namespace,
    /// With that in their name.
    pub name_part: Option<String>,
    /// With that in their description.
    pub description_part: Option<String>,
    /// For which all of these hold.
    pub conditions: Vec<Condition>,
    /// By what they are sorted.
    pub sort: Sort,
    /// Whether the largest comes first.
    pub goes_down: bool,
    /// Rows left out.
    pub offset: usize,
    /// Rows of the page.
    pub limit: usize,
}

/// Something that may hold of a function.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Condition {
    /// It does.
    Always,
    /// It does not.
    Never,
    /// It stands so.
    Status(Vec<String>),
    /// It has one of those runtimes.
    Runtime(Vec<String>),
    /// Its caller said one of those values of that field of the cloud's.
    Said {
        /// The field.
        name: String,
        /// The values.
        values: Vec<String>,
    },
    /// It has a tag of that key with one of those values.
    Tag {
        /// The key.
        key: String,
        /// The values.
        values: Vec<String>,
    },
}

/// By what functions are sorted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sort {
    /// When they were deployed first.
    Created,
    /// When they were changed last.
    Modified,
    /// Their names.
    Name,
}

/// Which runs of a function, in which order, from where.
#[derive(Clone, Debug)]
pub struct RunQuery {
    /// Of that function.
    pub function_id: i64,
    /// Of that request only.
    pub request_id: Option<String>,
    /// By that version or alias only.
    pub qualifier: Option<String>,
    /// That ended so.
    pub ending: Ending,
    /// Of those that nobody waited for only.
    pub events_only: bool,
    /// Accepted, or where runs are sorted by their end ended, then or later, microseconds since the epoch.
    pub since_us: Option<i64>,
    /// The same, before then.
    pub before_us: Option<i64>,
    /// Ended then or later, and before then, microseconds since the epoch.
    pub ended_us: (Option<i64>, Option<i64>),
    /// By what they are sorted.
    pub sort: RunSort,
    /// Whether the largest comes first.
    pub goes_down: bool,
    /// Rows left out.
    pub offset: usize,
    /// Rows of the page.
    pub limit: usize,
}

/// How runs ended.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Ending {
    /// In whatever way, or not yet.
    #[default]
    Any,
    /// They returned.
    Returned,
    /// They are over and did not return.
    Failed,
    /// With that status code.
    Code(u16),
    /// In one of those states, by their numbers in the table; one that was claimed counts as running (0).
    States(Vec<i64>),
}

/// By what runs are sorted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RunSort {
    /// When they were accepted.
    Start,
    /// When they ended.
    End,
    /// How long the handler ran.
    Duration,
    /// The most memory they used.
    Memory,
}

/// What a function takes of what all share.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Used {
    /// The namespace.
    pub namespace: String,
    /// The function.
    pub name: String,
    /// What it reserved, MB.
    pub reserved_mb: i64,
    /// What is kept parked for its versions, MB.
    pub provisioned_mb: i64,
}

impl Store {
    /// A page of functions, and how many there are in all.
    pub fn listed_functions(&self, query: &FunctionQuery) -> Result<(Vec<Function>, usize)> {
        let filter = Filter::of_functions(query);
        let order = match query.sort {
            Sort::Created => "f.created_us",
            Sort::Modified => "f.modified_us",
            Sort::Name => "f.name",
        };
        let way = if query.goes_down { "DESC" } else { "ASC" };
        self.read(|tx| {
            let tables = filter.tables_of_functions();
            let count = format!("SELECT count(*) FROM {tables} WHERE f.deleted_us IS NULL{}", filter.sql);
            let total: i64 = tx.prepare_cached(&count)?.query_row(params_from_iter(&filter.values), |row| row.get(0))?;
            // The page is chosen by ids first: reading whole rows of what is left out would cost more than all else.
            let page = format!(
                "SELECT f.id FROM {tables} WHERE f.deleted_us IS NULL{} ORDER BY {order} {way}, f.id {way} LIMIT ? OFFSET ?",
                filter.sql
            );
            let mut values = filter.values.clone();
            values.extend([whole(query.limit), whole(query.offset)]);
            let mut statement = tx.prepare_cached(&page)?;
            let ids = statement.query_map(params_from_iter(values), |row| row.get::<_, i64>(0))?;
            let mut rows = Vec::new();
            for id in ids {
                rows.extend(functions::by_id(tx, self.sealing(), id?)?);
            }
            Ok((rows, usize::try_from(total).unwrap_or(0)))
        })
    }

    /// A page of runs without event and result, and how many there are in all.
    pub fn listed_runs(&self, query: &RunQuery) -> Result<(Vec<Record>, usize)> {
        let order = match query.sort {
            RunSort::Start => "i.id",
            RunSort::End => "i.ended_us",
            RunSort::Duration => "i.duration_us",
            RunSort::Memory => "i.memory_used_kb",
        };
        let way = if query.goes_down { "DESC" } else { "ASC" };
        self.read(|tx| {
            let ids = minutes::ids(tx, Of::Invocation, query.since_us, query.before_us)?;
            let Some((first, last)) = ids else { return Ok((Vec::new(), 0)) };
            let filter = Filter::of_runs(query, first, last);
            let count = format!("SELECT count(*) FROM {TABLES} WHERE i.id BETWEEN ? AND ?{}", filter.sql);
            let total: i64 = tx.prepare_cached(&count)?.query_row(params_from_iter(&filter.values), |row| row.get(0))?;
            let page = format!(
                "SELECT {COLUMNS} FROM {TABLES} WHERE i.id BETWEEN ? AND ?{} ORDER BY {order} {way}, i.id {way}
                 LIMIT ? OFFSET ?",
                filter.sql
            );
            let mut values = filter.values.clone();
            values.extend([whole(query.limit), whole(query.offset)]);
            let mut statement = tx.prepare_cached(&page)?;
            let rows = statement.query_map(params_from_iter(values), row)?;
            Ok((rows.collect::<rusqlite::Result<_>>()?, usize::try_from(total).unwrap_or(0)))
        })
    }

    /// The run of that row id, without event and result.
    pub fn run_brief(&self, run_id: i64) -> Result<Option<Record>> {
        self.read(|tx| {
            let sql = format!("SELECT {COLUMNS} FROM {TABLES} WHERE i.id = ?1");
            Ok(tx.prepare_cached(&sql)?.query_row([run_id], row).optional()?)
        })
    }

    /// The beginning of a run's result, at most so many bytes.
    pub fn result_beginning(&self, run_id: i64, bytes_max: usize) -> Result<Vec<u8>> {
        self.read(|tx| {
            let sql = "SELECT substr(result, 1, ?2) FROM invocation WHERE id = ?1";
            let bytes = i64::try_from(bytes_max).unwrap_or(i64::MAX);
            let beginning: Option<Vec<u8>> =
                tx.prepare_cached(sql)?.query_row([run_id, bytes], |row| row.get(0))?;
            // Of nothing it is NULL.
            Ok(beginning.unwrap_or_default())
        })
    }

    /// What every function takes of what all share, by namespace and name.
    pub fn used(&self) -> Result<Vec<Used>> {
        self.read(|tx| {
            let sql = "SELECT f.namespace, f.name, coalesce(v.reserved_mb, 0),
                           (SELECT coalesce(sum(w.instances * p.memory_mb), 0) FROM provisioned w
                            JOIN version p ON p.function_id = w.function_id AND p.qualifier = w.qualifier
                            WHERE w.function_id = f.id)
                       FROM function f JOIN version v ON v.function_id = f.id AND v.qualifier = '$LATEST'
                       WHERE f.deleted_us IS NULL ORDER BY f.namespace, f.name";
            let mut statement = tx.prepare_cached(sql)?;
            let row = |row: &Row<'_>| {
                Ok(Used {
                    namespace: row.get(0)?,
                    name: row.get(1)?,
                    reserved_mb: row.get(2)?,
                    provisioned_mb: row.get(3)?,
                })
            };
            Ok(statement.query_map([], row)?.collect::<rusqlite::Result<_>>()?)
        })
    }
}

/// Conditions behind a `WHERE`, with their values.
#[derive(Debug, Default)]
struct Filter {
    sql: String,
    values: Vec<Value>,
    /// Some are of a function's version in force, a row of its own for each function.
    is_of_version: bool,
}

impl Filter {
    fn of_functions(query: &FunctionQuery) -> Filter {
        let mut filter = Filter::default();
        filter.and("f.namespace = ?", [query.namespace.as_str().to_owned().into()]);
        if let Some(part) = &query.name_part {
            filter.and("instr(f.name, ?) > 0", [part.clone().into()]);
        }
        if let Some(part) = &query.description_part {
            filter.and_of_version("instr(v.description, ?) > 0", [part.clone().into()]);
        }
        query.conditions.iter().for_each(|condition| filter.and_condition(condition));
        filter
    }

    fn of_runs(query: &RunQuery, first: i64, last: i64) -> Filter {
        let mut filter = Filter { values: vec![first.into(), last.into()], ..Filter::default() };
        filter.and("i.function_id = ?", [query.function_id.into()]);
        if let Some(id) = &query.request_id {
            filter.and("i.request_id = ?", [id.clone().into()]);
        }
        if let Some(qualifier) = &query.qualifier {
            filter.and("? IN (i.qualifier, i.alias)", [qualifier.clone().into()]);
        }
        if query.events_only {
            filter.and("i.is_event", []);
        }
        let (ended_since, ended_before) = query.ended_us;
        for (sql, us) in [
            ("i.created_us >= ?", query.since_us),
            ("i.created_us < ?", query.before_us),
            ("i.ended_us > 0 AND i.ended_us >= ?", ended_since),
            ("i.ended_us > 0 AND i.ended_us < ?", ended_before),
        ] {
            if let Some(us) = us {
                filter.and(sql, [us.into()]);
            }
        }
        match &query.ending {
            Ending::Any => {}
            Ending::Returned => filter.and("i.state = 1", []),
            Ending::Failed => filter.and("i.state IN (2, 5, 6)", []),
            Ending::Code(code) => {
                filter.and("i.state IN (2, 5, 6) AND i.status = ?", [i64::from(*code).into()])
            }
            Ending::States(states) => {
                let marks = vec!["?"; states.len()].join(", ");
                let sql = format!("iif(q.claimed_us IS NULL, i.state, 0) IN ({marks})");
                filter.and(&sql, states.iter().map(|state| Value::from(*state)));
            }
        }
        filter
    }

    fn and(&mut self, sql: &str, values: impl IntoIterator<Item = Value>) {
        self.sql.push_str(" AND ");
        self.sql.push_str(sql);
        self.values.extend(values);
    }

    fn and_of_version(&mut self, sql: &str, values: impl IntoIterator<Item = Value>) {
        self.is_of_version = true;
        self.and(sql, values);
    }

    fn tables_of_functions(&self) -> &'static str {
        if self.is_of_version {
            "function f JOIN version v ON v.function_id = f.id AND v.qualifier = '$LATEST'"
        } else {
            "function f"
        }
    }

    fn and_condition(&mut self, condition: &Condition) {
        let marks = |values: &[String]| vec!["?"; values.len()].join(", ");
        let texts =
            |values: &[String]| values.iter().map(|value| Value::from(value.clone())).collect::<Vec<_>>();
        match condition {
            Condition::Always => {}
            Condition::Never => self.and("0", []),
            Condition::Status(values) => self.and(&format!("f.status IN ({})", marks(values)), texts(values)),
            Condition::Runtime(values) => {
                self.and_of_version(&format!("v.runtime IN ({})", marks(values)), texts(values))
            }
            Condition::Said { name, values } => {
                let mut all = vec![Value::from(format!("$.{name}"))];
                all.extend(texts(values));
                self.and_of_version(&format!("json_extract(v.echo, ?) IN ({})", marks(values)), all);
            }
            Condition::Tag { key, values } => {
                let sql = format!(
                    "EXISTS (SELECT 1 FROM json_each(v.echo, '$.Tags') t
                             WHERE json_extract(t.value, '$.Key') = ? AND json_extract(t.value, '$.Value') IN ({}))",
                    marks(values)
                );
                let mut all = vec![Value::from(key.clone())];
                all.extend(texts(values));
                self.and_of_version(&sql, all);
            }
        }
    }
}

fn whole(number: usize) -> Value {
    Value::from(i64::try_from(number).unwrap_or(i64::MAX))
}
