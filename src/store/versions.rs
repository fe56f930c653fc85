//! Versions: the rows of configuration and code, `$LATEST`, published and pending ones alike.
//!
//! Every change of a version is a new row with a new id, so that an Instance of an older one can always be told apart. Rows go
//! with their function; the layers they name go on.

use rusqlite::{OptionalExtension, Row, params};
use serde_json::{Map, Value};

use crate::error::{About, Error, Kind, Result};
use crate::model::alias::is_number;
use crate::model::function::{
    Config, Digest, Env, EventConfig, FunctionName, Handler, LATEST, Namespace, NetworkPolicy, Processes,
    Version, no_function,
};
use crate::model::layer::{LayerName, LayerRef};
use crate::model::limits;
use crate::model::runtime::Runtime;
use crate::store::functions::find;
use crate::store::sealing::Sealing;
use crate::store::{Store, Tx, fault, layers};

/// The columns that [`version`] reads, of tables `v` and `p`.
pub(super) const COLUMNS: &str = "v.id, v.function_id, v.qualifier, v.runtime, v.handler, v.timeout_s, v.init_timeout_s,
        v.memory_mb, v.reserved_mb, v.env, v.description, v.network, v.retry_num, v.msg_ttl_s, v.dead_letter, v.keep_s,
        v.reuse, v.spawn, v.echo, v.created_us, p.sha256, p.size_bytes,
        (SELECT json_group_array(json_array(l.name, l.number, hex(lp.sha256)) ORDER BY u.place)
         FROM version_layer u JOIN layer_version l ON l.id = u.layer_id JOIN package lp ON lp.id = l.package_id
         WHERE u.version_id = v.id)";

/// How many columns those are.
pub(super) const COLUMN_COUNT: usize = 23;

impl Store {
    /// The version of that function and qualifier.
    pub fn version(&self, function_id: i64, qualifier: &str) -> Result<Option<Version>> {
        self.read(|tx| by_qualifier(tx, self.sealing(), function_id, qualifier))
    }

    /// Whether a function's code is for the runtime of that name.
    pub fn needs_runtime(&self, runtime: &str) -> Result<bool> {
        self.read(|tx| {
            let sql = "SELECT EXISTS (SELECT 1 FROM version v JOIN function f ON f.id = v.function_id
                 WHERE v.runtime = ?1 AND f.deleted_us IS NULL)";
            Ok(tx.prepare_cached(sql)?.query_row([runtime], |row| row.get(0))?)
        })
    }

    /// Freezes `$LATEST` as the next number. Fails with `NotFound`, with `Conflict` while the function is being changed, and
    /// with `Limit` where it has as many versions as it may.
    pub fn publish(
        &self,
        namespace: &Namespace,
        name: &FunctionName,
        description: Option<&str>,
    ) -> Result<Version> {
        let (namespace, name) = (namespace.clone(), name.clone());
        let (description, sealing) = (description.map(str::to_owned), self.sealing().clone());
        self.write_durably(move |tx| {
            let function = find(tx, &sealing, &namespace, &name)?;
            let function = function.ok_or_else(|| no_function(&namespace, &name))?;
            function.status.check_changeable()?;
            function.status.check_runnable()?;
            check_count(tx, function.id)?;
            let number = next_number(tx, function.id)?;
            let mut config = function.version.config;
            if let Some(description) = description {
                config.description = description;
            }
            let package_id = package_of(tx, function.version.id)?;
            insert(tx, &sealing, function.id, &number, &config, package_id)?;
            by_qualifier(tx, &sealing, function.id, &number)?.ok_or_else(|| fault::unreadable("version"))
        })
    }

    /// `$LATEST` and the published versions of a function, oldest number first.
    pub fn versions(&self, function_id: i64) -> Result<Vec<Version>> {
        self.read(|tx| {
            let sql = format!(
                "SELECT {COLUMNS} FROM version v JOIN package p ON p.id = v.package_id
                 WHERE v.function_id = ?1 AND v.qualifier <> '$NEXT'
                 ORDER BY v.qualifier = '$LATEST' DESC, CAST(v.qualifier AS INTEGER)"
            );
            let mut statement = tx.prepare_cached(&sql)?;
            let mut rows = statement.query([function_id])?;
            let mut versions = Vec::new();
            while let Some(row) = rows.next()? {
                versions.push(version(row, 0, self.sealing())?);
            }
            Ok(versions)
        })
    }

    /// Deletes a published version; its id. Fails with `NotFound`, and with `Conflict` where an alias means it.
    pub fn delete_version(&self, function_id: i64, qualifier: &str) -> Result<i64> {
        let wanted = qualifier.to_owned();
        let deleted = self.write_durably(move |tx| {
            check_unbound(tx, function_id, &wanted)?;
            let sql = "DELETE FROM version WHERE function_id = ?1 AND qualifier = ?2 RETURNING id";
            let id: Option<i64> = match is_number(&wanted) {
                true => tx.query_row(sql, params![function_id, wanted], |row| row.get(0)).optional()?,
                false => None,
            };
            let id = id.ok_or_else(|| no_version(&wanted))?;
            tx.execute("DELETE FROM version_layer WHERE version_id = ?1", [id])?;
            tx.execute(
                "DELETE FROM provisioned WHERE function_id = ?1 AND qualifier = ?2",
                params![function_id, wanted],
            )?;
            Ok(id)
        })?;
        self.sweep_packages()?;
        Ok(deleted)
    }
}

/// What is said where a function has no such version or alias.
pub(super) fn no_version(qualifier: &str) -> Error {
    Error::not_found(format!("there is no version or alias {qualifier}")).about(About::Qualifier)
}

fn check_unbound(tx: &Tx<'_>, function_id: i64, qualifier: &str) -> Result<()> {
    let sql =
        "SELECT name FROM alias WHERE function_id = ?1 AND (version = ?2 OR other_version = ?2) LIMIT 1";
    let bound: Option<String> =
        tx.query_row(sql, params![function_id, qualifier], |row| row.get(0)).optional()?;
    match bound {
        None => Ok(()),
        Some(alias) => Err(Error::new(
            Kind::Conflict,
            format!("version {qualifier} is what alias {alias} means; move or delete the alias first"),
        )
        .about(About::Alias)),
    }
}

fn check_count(tx: &Tx<'_>, function_id: i64) -> Result<()> {
    let sql = "SELECT count(*) FROM version WHERE function_id = ?1";
    let count: u32 = tx.query_row(sql, [function_id], |row| row.get(0))?;
    if count <= limits::VERSIONS_MAX {
        return Ok(());
    }
    Err(Error::limit(format!("a function has at most {} published versions", limits::VERSIONS_MAX))
        .about(About::Version))
}

fn next_number(tx: &Tx<'_>, function_id: i64) -> Result<String> {
    let sql = "UPDATE function SET last_version = last_version + 1 WHERE id = ?1 RETURNING last_version";
    let number: i64 = tx.query_row(sql, [function_id], |row| row.get(0))?;
    Ok(number.to_string())
}

fn package_of(tx: &Tx<'_>, version_id: i64) -> Result<i64> {
    Ok(tx.query_row("SELECT package_id FROM version WHERE id = ?1", [version_id], |row| row.get(0))?)
}

/// The version of that function and qualifier.
pub(super) fn by_qualifier(
    tx: &Tx<'_>,
    sealing: &Sealing,
    function_id: i64,
    qualifier: &str,
) -> Result<Option<Version>> {
    let sql = format!(
        "SELECT {COLUMNS} FROM version v JOIN package p ON p.id = v.package_id
         WHERE v.function_id = ?1 AND v.qualifier = ?2"
    );
    let mut statement = tx.prepare_cached(&sql)?;
    let mut rows = statement.query(params![function_id, qualifier])?;
    rows.next()?.map(|row| version(row, 0, sealing)).transpose()
}

/// Removes the row of that qualifier, if there is one.
pub(super) fn remove(tx: &Tx<'_>, function_id: i64, qualifier: &str) -> Result<()> {
    tx.execute(
        "DELETE FROM version_layer WHERE version_id IN
             (SELECT id FROM version WHERE function_id = ?1 AND qualifier = ?2)",
        params![function_id, qualifier],
    )?;
    tx.execute(
        "DELETE FROM version WHERE function_id = ?1 AND qualifier = ?2",
        params![function_id, qualifier],
    )?;
    Ok(())
}

/// Removes all rows of a function.
pub(super) fn remove_all(tx: &Tx<'_>, function_id: i64) -> Result<()> {
    tx.execute(
        "DELETE FROM version_layer WHERE version_id IN (SELECT id FROM version WHERE function_id = ?1)",
        [function_id],
    )?;
    tx.execute("DELETE FROM version WHERE function_id = ?1", [function_id])?;
    Ok(())
}

/// Writes a row; its id. Fails with `NotFound` where a layer is not there.
pub(super) fn insert(
    tx: &Tx<'_>,
    sealing: &Sealing,
    function_id: i64,
    qualifier: &str,
    config: &Config,
    package_id: i64,
) -> Result<i64> {
    tx.execute(
        "INSERT INTO version (function_id, qualifier, runtime, handler, timeout_s, init_timeout_s, memory_mb,
             reserved_mb, env, description, package_id, network, retry_num, msg_ttl_s, dead_letter, keep_s, reuse, spawn,
             echo, created_us)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15, ?16, ?17, ?18, ?19, ?20)",
        params![
            function_id,
            qualifier,
            config.runtime.name,
            config.handler.as_str(),
            config.timeout_s,
            config.init_timeout_s,
            config.memory_mb,
            config.reserved_mb,
            sealing.close(function_id, env_text(&config.env)),
            config.description,
            package_id,
            config.network.as_str(),
            config.event.retry_num,
            config.event.msg_ttl_s,
            config.event.dead_letter.as_ref().map(FunctionName::as_str),
            config.keep_s,
            config.processes.reuse,
            config.processes.spawn,
            config.echo,
            tx.now_us,
        ],
    )?;
    let id = tx.last_insert_rowid();
    for (place, layer) in (0i64..).zip(&config.layers) {
        let layer_id = layers::id_of(tx, layer)?;
        tx.execute(
            "INSERT INTO version_layer (version_id, place, layer_id) VALUES (?1, ?2, ?3)",
            [id, place, layer_id],
        )?;
    }
    Ok(id)
}

/// Makes the pending row the living one.
pub(super) fn put_in_force(tx: &Tx<'_>, function_id: i64, pending_id: i64) -> Result<()> {
    remove(tx, function_id, LATEST)?;
    tx.execute("UPDATE version SET qualifier = ?2 WHERE id = ?1", params![pending_id, LATEST])?;
    Ok(())
}

/// Reads a version whose columns begin at `at`.
pub(super) fn version(row: &Row<'_>, at: usize, sealing: &Sealing) -> Result<Version> {
    let function_id = row.get(at + 1)?;
    let text = |index: usize, what| row.get_ref(at + index)?.as_str().map_err(|_| fault::unreadable(what));
    let runtime = Runtime::parse(text(3, "runtime")?)?;
    let (layers, layer_packages) = layers_of(text(22, "layers")?)?;
    let config = Config {
        runtime,
        handler: Handler::parse(text(4, "handler")?, runtime.language)?,
        timeout_s: row.get(at + 5)?,
        init_timeout_s: row.get(at + 6)?,
        memory_mb: row.get(at + 7)?,
        reserved_mb: row.get(at + 8)?,
        env: env_of(&sealing.open(function_id, row.get(at + 9)?)?)?,
        description: row.get(at + 10)?,
        network: NetworkPolicy::parse(text(11, "network")?)?,
        event: EventConfig {
            retry_num: row.get(at + 12)?,
            msg_ttl_s: row.get(at + 13)?,
            dead_letter: row
                .get::<_, Option<String>>(at + 14)?
                .map(|name| FunctionName::parse(&name))
                .transpose()?,
        },
        keep_s: row.get(at + 15)?,
        processes: Processes { reuse: row.get(at + 16)?, spawn: row.get(at + 17)? },
        echo: row.get(at + 18)?,
        layers,
    };
    Ok(Version {
        id: row.get(at)?,
        function_id,
        qualifier: row.get(at + 2)?,
        config,
        created_us: row.get(at + 19)?,
        package: Digest(row.get(at + 20)?),
        package_bytes: u64::try_from(row.get::<_, i64>(at + 21)?)
            .map_err(|_| fault::unreadable("package size"))?,
        layer_packages,
    })
}

/// The layers of a version and their contents.
fn layers_of(text: &str) -> Result<(Vec<LayerRef>, Vec<Digest>)> {
    let unreadable = || fault::unreadable("layers");
    let rows: Vec<(String, u32, String)> = serde_json::from_str(text).map_err(|_| unreadable())?;
    let mut layers = (Vec::new(), Vec::new());
    for (name, number, digest) in rows {
        layers.0.push(LayerRef { name: LayerName::parse(&name)?, number });
        layers.1.push(Digest::parse(&digest).ok_or_else(unreadable)?);
    }
    Ok(layers)
}

fn env_text(env: &Env) -> String {
    let object: Map<String, Value> =
        env.iter().map(|(key, value)| (key.clone(), Value::String(value.clone()))).collect();
    Value::Object(object).to_string()
}

fn env_of(text: &str) -> Result<Env> {
    let object: Map<String, Value> =
        serde_json::from_str(text).map_err(|_| fault::unreadable("environment"))?;
    object
        .into_iter()
        .map(|(key, value)| match value {
            Value::String(value) => Ok((key, value)),
            _ => Err(fault::unreadable("environment")),
        })
        .collect()
}
