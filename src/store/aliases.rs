//! Aliases. A function's `$DEFAULT` has a row only once somebody moved it; until then it means `$LATEST`.

use rusqlite::{OptionalExtension, Row, params};

use crate::error::{About, Error, Kind, Result};
use crate::model::alias::{Alias, AliasName, Match, Method, Other, Share};
use crate::model::function::LATEST;
use crate::model::limits;
use crate::store::versions::no_version;
use crate::store::{Store, Tx, fault};

impl Store {
    /// The alias of that name; `$DEFAULT` is always there.
    pub fn alias(&self, function_id: i64, name: &AliasName) -> Result<Option<Alias>> {
        self.read(|tx| find(tx, function_id, name))
    }

    /// Every alias of a function by name, `$DEFAULT` first.
    pub fn aliases(&self, function_id: i64) -> Result<Vec<Alias>> {
        self.read(|tx| {
            let default = find(tx, function_id, &default_name()?)?;
            let sql = format!("{SELECT} WHERE function_id = ?1 AND name <> '$DEFAULT' ORDER BY name");
            let mut statement = tx.prepare_cached(&sql)?;
            let mut rows = statement.query([function_id])?;
            let mut aliases: Vec<Alias> = default.into_iter().collect();
            while let Some(row) = rows.next()? {
                aliases.push(alias(row)?);
            }
            Ok(aliases)
        })
    }

    /// Makes an alias. Fails with `Conflict` where there is one of that name, with `NotFound` where it means a version that is
    /// not there, and with `Limit`.
    pub fn create_alias(&self, function_id: i64, alias: &Alias) -> Result<()> {
        let alias = alias.clone();
        self.write_durably(move |tx| {
            if find(tx, function_id, &alias.name)?.is_some() {
                let sentence = format!("there is an alias {} already", alias.name);
                return Err(Error::new(Kind::Conflict, sentence).about(About::Alias));
            }
            let sql = "SELECT count(*) FROM alias WHERE function_id = ?1";
            let count: u32 = tx.query_row(sql, [function_id], |row| row.get(0))?;
            if count >= limits::ALIASES_MAX {
                let sentence = format!("a function has at most {} aliases", limits::ALIASES_MAX);
                return Err(Error::limit(sentence).about(About::Alias));
            }
            write(tx, function_id, &alias)
        })
    }

    /// Changes an alias. Fails with `NotFound` where it is not there, or a version that it is to mean.
    pub fn update_alias(&self, function_id: i64, alias: &Alias) -> Result<()> {
        let alias = alias.clone();
        self.write_durably(move |tx| {
            if find(tx, function_id, &alias.name)?.is_none() {
                return Err(no_alias(&alias.name));
            }
            write(tx, function_id, &alias)
        })
    }

    /// Deletes an alias. Fails with `NotFound`.
    pub fn delete_alias(&self, function_id: i64, name: &AliasName) -> Result<()> {
        let name = name.clone();
        self.write_durably(move |tx| {
            let sql = "DELETE FROM alias WHERE function_id = ?1 AND name = ?2";
            match tx.execute(sql, params![function_id, name.as_str()])? {
                0 => Err(no_alias(&name)),
                _ => Ok(()),
            }
        })
    }
}

const SELECT: &str =
    "SELECT name, version, other_version, weight, match_key, match_method, match_expression, description,
        created_us, modified_us FROM alias";

fn default_name() -> Result<AliasName> {
    AliasName::parse(crate::model::alias::DEFAULT)
}

fn no_alias(name: &AliasName) -> Error {
    Error::not_found(format!("there is no alias {name}")).about(About::Alias)
}

fn find(tx: &Tx<'_>, function_id: i64, name: &AliasName) -> Result<Option<Alias>> {
    let mut statement = tx.prepare_cached(&format!("{SELECT} WHERE function_id = ?1 AND name = ?2"))?;
    let mut rows = statement.query(params![function_id, name.as_str()])?;
    match rows.next()? {
        Some(row) => alias(row).map(Some),
        None if name.is_default() => unmoved_default(tx, function_id, name),
        None => Ok(None),
    }
}

/// What a function's `$DEFAULT` is that nobody has moved.
fn unmoved_default(tx: &Tx<'_>, function_id: i64, name: &AliasName) -> Result<Option<Alias>> {
    let sql = "SELECT created_us FROM function WHERE id = ?1 AND deleted_us IS NULL";
    let created_us: Option<i64> = tx.query_row(sql, [function_id], |row| row.get(0)).optional()?;
    Ok(created_us.map(|created_us| Alias {
        name: name.clone(),
        version: LATEST.to_owned(),
        other: None,
        description: String::new(),
        created_us,
        modified_us: created_us,
    }))
}

fn write(tx: &Tx<'_>, function_id: i64, alias: &Alias) -> Result<()> {
    let other = alias.other.as_ref();
    check_version(tx, function_id, &alias.version)?;
    other.map_or(Ok(()), |other| check_version(tx, function_id, &other.version))?;
    let weight = other.and_then(|other| match &other.share {
        Share::Weight(weight) => Some(*weight),
        Share::Match(_) => None,
    });
    let rule = other.and_then(|other| match &other.share {
        Share::Match(rule) => Some(rule),
        Share::Weight(_) => None,
    });
    tx.execute(
        "INSERT INTO alias (function_id, name, version, other_version, weight, match_key, match_method, match_expression,
             description, created_us, modified_us)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?10)
         ON CONFLICT (function_id, name) DO UPDATE SET version = excluded.version,
             other_version = excluded.other_version, weight = excluded.weight, match_key = excluded.match_key,
             match_method = excluded.match_method, match_expression = excluded.match_expression,
             description = excluded.description, modified_us = excluded.modified_us",
        params![
            function_id,
            alias.name.as_str(),
            alias.version,
            other.map(|other| other.version.as_str()),
            weight,
            rule.map(|rule| rule.key.as_str()),
            rule.map(|rule| rule.method.as_str()),
            rule.map(|rule| rule.expression.as_str()),
            alias.description,
            tx.now_us,
        ],
    )?;
    Ok(())
}

fn check_version(tx: &Tx<'_>, function_id: i64, version: &str) -> Result<()> {
    let sql = "SELECT 1 FROM version WHERE function_id = ?1 AND qualifier = ?2 AND qualifier <> '$NEXT'";
    if tx.prepare_cached(sql)?.exists(params![function_id, version])? {
        return Ok(());
    }
    Err(no_version(version).about(About::Version))
}

fn alias(row: &Row<'_>) -> Result<Alias> {
    Ok(Alias {
        name: AliasName::parse(&row.get::<_, String>(0)?)?,
        version: row.get(1)?,
        other: other(row)?,
        description: row.get(7)?,
        created_us: row.get(8)?,
        modified_us: row.get(9)?,
    })
}

fn other(row: &Row<'_>) -> Result<Option<Other>> {
    let Some(version) = row.get::<_, Option<String>>(2)? else { return Ok(None) };
    let share = match row.get::<_, Option<f64>>(3)? {
        Some(weight) => Share::Weight(weight),
        None => {
            let method: String = row.get(5)?;
            Share::Match(Match {
                key: row.get(4)?,
                method: Method::parse(&method).ok_or_else(|| fault::unreadable("alias"))?,
                expression: row.get(6)?,
            })
        }
    };
    Ok(Some(Other { version, share }))
}
