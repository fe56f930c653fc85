//! Functions and their living version: deploy, find, list, delete.
//!
//! A row of `function` is a name for ever: records and logs name it by id, so deleting marks it and deploying again
//! revives it. Each deploy replaces the row of `$LATEST` by one with a new id.

use rusqlite::{OptionalExtension, Row, params};
use serde_json::{Map, Value};

use crate::base::failpoint;
use crate::error::{Error, Result};
use crate::model::function::{
    Config, Digest, Env, EventConfig, Function, FunctionName, Handler, LATEST, Namespace, NetworkPolicy,
    Processes, Version,
};
use crate::model::query::{Page, PageLimit};
use crate::model::runtime::Runtime;
use crate::store::sealing::Sealing;
use crate::store::{Store, Tx, fault, packages};

impl Store {
    /// Makes `package` (whose SHA-256 is `digest`) with `config` the living version of the function, new or not. When
    /// it returns, both survive a power cut.
    pub fn deploy(
        &self,
        namespace: &Namespace,
        name: &FunctionName,
        config: &Config,
        package: Vec<u8>,
        digest: Digest,
    ) -> Result<Function> {
        let pin = self.pin(digest);
        self.upload(digest, package)?;
        let (namespace, name, config) = (namespace.clone(), name.clone(), config.clone());
        let sealing = self.sealing().clone();
        let deployed = self.write_durably(move |tx| {
            let package_id = packages::complete(tx, digest)?;
            let id = revive(tx, &namespace, &name)?;
            replace_latest(tx, &sealing, id, &config, package_id)?;
            failpoint::here("deploy.replace")?;
            find(tx, &sealing, &namespace, &name)?.ok_or_else(|| fault::unreadable("function"))
        });
        drop(pin);
        self.sweep_packages()?;
        deployed
    }

    /// The function of that name.
    pub fn function(&self, namespace: &Namespace, name: &FunctionName) -> Result<Option<Function>> {
        self.read(|tx| find(tx, self.sealing(), namespace, name))
    }

    /// The function of that id, unless it was deleted.
    pub fn function_by_id(&self, id: i64) -> Result<Option<Function>> {
        self.read(|tx| {
            let mut statement = tx.prepare_cached(&format!("{SELECT} AND f.id = ?1"))?;
            let mut rows = statement.query([id])?;
            rows.next()?.map(|row| function(row, self.sealing())).transpose()
        })
    }

    /// The id under which records and logs know that name, also after the function was deleted.
    pub fn function_id(&self, namespace: &Namespace, name: &FunctionName) -> Result<Option<i64>> {
        self.read(|tx| {
            let sql = "SELECT id FROM function WHERE namespace = ?1 AND name = ?2";
            let names = [namespace.as_str(), name.as_str()];
            Ok(tx.prepare_cached(sql)?.query_row(names, |row| row.get(0)).optional()?)
        })
    }

    /// The functions of a namespace by name, from behind `after`.
    pub fn functions(
        &self,
        namespace: &Namespace,
        after: Option<&str>,
        limit: PageLimit,
    ) -> Result<Page<Function, String>> {
        self.read(|tx| {
            let sql = format!("{SELECT} AND f.namespace = ?1 AND f.name > ?2 ORDER BY f.name LIMIT ?3");
            let mut statement = tx.prepare_cached(&sql)?;
            let mut rows =
                statement.query(params![namespace.as_str(), after.unwrap_or(""), limit.get() + 1])?;
            let mut functions = Vec::new();
            while let Some(row) = rows.next()? {
                functions.push(function(row, self.sealing())?);
            }
            Ok(Page::cut(functions, limit, |function| function.name.as_str().to_owned()))
        })
    }

    /// What each function has reserved, MB, by function id; those that reserved nothing are left out.
    pub fn reservations(&self) -> Result<Vec<(i64, u32)>> {
        self.read(|tx| {
            let sql = "SELECT function_id, reserved_mb FROM version WHERE qualifier = ?1 AND reserved_mb IS NOT NULL";
            let mut statement = tx.prepare_cached(sql)?;
            let rows = statement.query_map([LATEST], |row| Ok((row.get(0)?, row.get(1)?)))?;
            Ok(rows.collect::<rusqlite::Result<_>>()?)
        })
    }

    /// Deletes the function and its code; its records and logs stay. Gives back what it was; fails with `NotFound`.
    pub fn delete_function(&self, namespace: &Namespace, name: &FunctionName) -> Result<Function> {
        let (namespace, name) = (namespace.clone(), name.clone());
        let sealing = self.sealing().clone();
        let deleted = self.write_durably(move |tx| {
            let function = find(tx, &sealing, &namespace, &name)?
                .ok_or_else(|| Error::not_found(format!("no function {name} in namespace {namespace}")))?;
            tx.execute("DELETE FROM version WHERE function_id = ?1", [function.id])?;
            tx.execute("DELETE FROM idempotency WHERE function_id = ?1", [function.id])?;
            tx.execute("UPDATE function SET deleted_us = ?2 WHERE id = ?1", [function.id, tx.now_us])?;
            Ok(function)
        })?;
        self.sweep_packages()?;
        Ok(deleted)
    }
}

const SELECT: &str = "SELECT f.id, f.namespace, f.name, f.created_us, f.modified_us, v.id, v.qualifier, v.runtime,
        v.handler, v.timeout_s, v.init_timeout_s, v.memory_mb, v.reserved_mb, v.env, v.description, p.sha256, p.size_bytes,
        v.network, v.retry_num, v.msg_ttl_s, v.dead_letter, v.keep_s, v.reuse, v.spawn
    FROM function f
    JOIN version v ON v.function_id = f.id AND v.qualifier = '$LATEST'
    JOIN package p ON p.id = v.package_id
    WHERE f.deleted_us IS NULL";

fn find(
    tx: &Tx<'_>,
    sealing: &Sealing,
    namespace: &Namespace,
    name: &FunctionName,
) -> Result<Option<Function>> {
    let mut statement = tx.prepare_cached(&format!("{SELECT} AND f.namespace = ?1 AND f.name = ?2"))?;
    let mut rows = statement.query([namespace.as_str(), name.as_str()])?;
    rows.next()?.map(|row| function(row, sealing)).transpose()
}

/// The id of that name, which stands from now on; created anew if it was deleted.
fn revive(tx: &Tx<'_>, namespace: &Namespace, name: &FunctionName) -> Result<i64> {
    let id = tx.query_row(
        "INSERT INTO function (namespace, name, created_us, modified_us) VALUES (?1, ?2, ?3, ?3)
         ON CONFLICT (namespace, name) DO UPDATE SET
             created_us = CASE WHEN deleted_us IS NULL THEN created_us ELSE excluded.created_us END,
             modified_us = excluded.modified_us, deleted_us = NULL
         RETURNING id",
        params![namespace.as_str(), name.as_str(), tx.now_us],
        |row| row.get(0),
    )?;
    Ok(id)
}

fn replace_latest(
    tx: &Tx<'_>,
    sealing: &Sealing,
    function_id: i64,
    config: &Config,
    package_id: i64,
) -> Result<()> {
    tx.execute(
        "DELETE FROM version WHERE function_id = ?1 AND qualifier = ?2",
        params![function_id, LATEST],
    )?;
    tx.execute(
        "INSERT INTO version (function_id, qualifier, runtime, handler, timeout_s, init_timeout_s, memory_mb,
             reserved_mb, env, description, package_id, network, retry_num, msg_ttl_s, dead_letter, keep_s, reuse, spawn)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15, ?16, ?17, ?18)",
        params![
            function_id,
            LATEST,
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
        ],
    )?;
    Ok(())
}

fn function(row: &Row<'_>, sealing: &Sealing) -> Result<Function> {
    let id = row.get(0)?;
    let runtime = Runtime::parse(row.get_ref(7)?.as_str().map_err(|_| fault::unreadable("runtime"))?)?;
    let handler = Handler::parse(
        row.get_ref(8)?.as_str().map_err(|_| fault::unreadable("handler"))?,
        runtime.language,
    )?;
    let config = Config {
        runtime,
        handler,
        timeout_s: row.get(9)?,
        init_timeout_s: row.get(10)?,
        memory_mb: row.get(11)?,
        reserved_mb: row.get(12)?,
        network: NetworkPolicy::parse(row.get_ref(17)?.as_str().map_err(|_| fault::unreadable("network"))?)?,
        event: EventConfig {
            retry_num: row.get(18)?,
            msg_ttl_s: row.get(19)?,
            dead_letter: row
                .get::<_, Option<String>>(20)?
                .map(|name| FunctionName::parse(&name))
                .transpose()?,
        },
        processes: Processes { reuse: row.get(22)?, spawn: row.get(23)? },
        keep_s: row.get(21)?,
        env: env_of(&sealing.open(id, row.get(13)?)?)?,
        description: row.get(14)?,
    };
    let version = Version {
        id: row.get(5)?,
        function_id: id,
        qualifier: row.get(6)?,
        config,
        package: Digest(row.get(15)?),
        package_bytes: u64::try_from(row.get::<_, i64>(16)?)
            .map_err(|_| fault::unreadable("package size"))?,
    };
    Ok(Function {
        id,
        namespace: Namespace::parse(&row.get::<_, String>(1)?)?,
        name: FunctionName::parse(&row.get::<_, String>(2)?)?,
        version,
        created_us: row.get(3)?,
        modified_us: row.get(4)?,
    })
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
