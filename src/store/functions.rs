//! Functions: deploy, find, list, delete.
//!
//! A row of `function` is a name for ever: records and logs name it by id, so deleting marks it and deploying again
//! revives it. A deploy replaces the row of `$LATEST` at once, or leaves one beside it that takes its place once its code has
//! been loaded ([`Haste`]).

use rusqlite::{OptionalExtension, Row, params};

use crate::base::failpoint;
use crate::error::{About, Error, Kind, Result};
use crate::model::function::{
    Config, Digest, Function, FunctionName, LATEST, NEXT, Namespace, Only, check_names, no_function,
};
use crate::model::query::{Page, PageLimit};
use crate::model::status::{Stand, Status};
use crate::store::sealing::Sealing;
use crate::store::versions::{self, COLUMN_COUNT};
use crate::store::{Store, Tx, fault, packages};

/// When what is deployed takes the place of what was there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Haste {
    /// Now, whatever is under way and whether it can be loaded or not.
    AtOnce(Only),
    /// Once it has been loaded; there must be none of that name.
    Created,
    /// Once it has been loaded; the function's `$LATEST` must be the version of that id still, and nothing under way with it.
    Updated(i64),
    /// Now, in the same way.
    Changed(i64),
}

/// The code of a deploy.
#[derive(Debug)]
pub enum Content {
    /// An archive and its digest.
    New(Vec<u8>, Digest),
    /// The code of what is there.
    Same(Digest),
}

impl Content {
    fn digest(&self) -> Digest {
        match self {
            Content::New(_, digest) | Content::Same(digest) => *digest,
        }
    }
}

impl Store {
    /// Makes that code with `config` the function's, new or not. When it returns, both survive a power cut.
    ///
    /// Fails with `NotFound` (a layer; a function to update), and with `Conflict` where the function stands otherwise than
    /// `haste` says.
    pub fn deploy(
        &self,
        namespace: &Namespace,
        name: &FunctionName,
        config: &Config,
        content: Content,
        haste: Haste,
    ) -> Result<Function> {
        let digest = content.digest();
        let pin = self.pin(digest);
        if let Content::New(package, _) = content {
            self.upload(digest, package)?;
        }
        let (namespace, name, config) = (namespace.clone(), name.clone(), config.clone());
        let sealing = self.sealing().clone();
        let deployed = self.write_durably(move |tx| {
            check(stands(tx, &namespace, &name)?.as_ref(), haste, &namespace, &name)?;
            let package_id = packages::complete(tx, digest)?;
            let id = revive(tx, &namespace, &name)?;
            let (qualifier, stand) = match haste {
                Haste::AtOnce(_) | Haste::Changed(_) => (LATEST, Stand::Active),
                Haste::Created => (LATEST, Stand::Creating),
                Haste::Updated(_) => (NEXT, Stand::Updating),
            };
            versions::remove(tx, id, NEXT)?;
            versions::remove(tx, id, qualifier)?;
            versions::insert(tx, &sealing, id, qualifier, &config, package_id)?;
            set_status(tx, id, &Status::of(stand))?;
            failpoint::here("deploy.replace")?;
            find(tx, &sealing, &namespace, &name)?.ok_or_else(|| fault::unreadable("function"))
        });
        drop(pin);
        self.sweep_packages()?;
        deployed
    }

    /// The functions whose code is to be loaded before it is in force, oldest first.
    pub fn passing(&self) -> Result<Vec<Function>> {
        self.read(|tx| {
            let sql = format!("{} AND f.status IN ('Creating', 'Updating') ORDER BY f.modified_us", select());
            let mut statement = tx.prepare_cached(&sql)?;
            let mut rows = statement.query([])?;
            let mut functions = Vec::new();
            while let Some(row) = rows.next()? {
                functions.push(function(row, self.sealing())?);
            }
            Ok(functions)
        })
    }

    /// Notes how loading the version of that id went, if it is still the one that the function waits for: puts it in force, or
    /// keeps what was there. The function as it stands then, unless it was deployed anew or deleted meanwhile.
    pub fn settle_function(
        &self,
        function_id: i64,
        version_id: i64,
        status: Status,
    ) -> Result<Option<Function>> {
        let sealing = self.sealing().clone();
        let settled = self.write_durably(move |tx| {
            let awaited = awaited(tx, &sealing, function_id)?;
            if awaited != Some(version_id) {
                return Ok(None);
            }
            let is_well = status.stand == Stand::Active;
            let is_pending = versions::by_qualifier(tx, &sealing, function_id, NEXT)?.is_some();
            match (is_pending, is_well) {
                (true, true) => versions::put_in_force(tx, function_id, version_id)?,
                (true, false) => versions::remove(tx, function_id, NEXT)?,
                (false, _) => {}
            }
            let stand = match (is_well, is_pending) {
                (true, _) => Stand::Active,
                (false, true) => Stand::UpdateFailed,
                (false, false) => Stand::CreateFailed,
            };
            set_status(tx, function_id, &Status { stand, ..status })?;
            failpoint::here("deploy.settle")?;
            by_id(tx, &sealing, function_id)
        })?;
        self.sweep_packages()?;
        Ok(settled)
    }

    /// The function of that name.
    pub fn function(&self, namespace: &Namespace, name: &FunctionName) -> Result<Option<Function>> {
        self.read(|tx| find(tx, self.sealing(), namespace, name))
    }

    /// The function of that id, unless it was deleted.
    pub fn function_by_id(&self, id: i64) -> Result<Option<Function>> {
        self.read(|tx| by_id(tx, self.sealing(), id))
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
            let sql = format!("{} AND f.namespace = ?1 AND f.name > ?2 ORDER BY f.name LIMIT ?3", select());
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

    /// How many functions there are, in all namespaces.
    pub fn functions_count(&self) -> Result<u64> {
        self.read(|tx| {
            let sql = "SELECT count(*) FROM function WHERE deleted_us IS NULL";
            let count: i64 = tx.prepare_cached(sql)?.query_row([], |row| row.get(0))?;
            Ok(u64::try_from(count).unwrap_or(0))
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

    /// Deletes the function, its code, versions, aliases and triggers; its records and logs stay. Gives back what it was;
    /// fails with `NotFound`.
    pub fn delete_function(&self, namespace: &Namespace, name: &FunctionName) -> Result<Function> {
        let (namespace, name) = (namespace.clone(), name.clone());
        let sealing = self.sealing().clone();
        let deleted = self.write_durably(move |tx| {
            let function = find(tx, &sealing, &namespace, &name)?.ok_or_else(|| {
                Error::not_found(format!("no function {name} in namespace {namespace}"))
                    .about(About::Function)
            })?;
            versions::remove_all(tx, function.id)?;
            for table in ["idempotency", "alias", "trigger_row", "provisioned"] {
                tx.execute(&format!("DELETE FROM {table} WHERE function_id = ?1"), [function.id])?;
            }
            tx.execute("UPDATE function SET deleted_us = ?2 WHERE id = ?1", [function.id, tx.now_us])?;
            Ok(function)
        })?;
        self.sweep_packages()?;
        Ok(deleted)
    }
}

fn select() -> String {
    format!(
        "SELECT {}, f.id, f.namespace, f.name, f.created_us, f.modified_us, f.status, f.status_code, f.status_message
         FROM function f
         JOIN version v ON v.function_id = f.id AND v.qualifier = '$LATEST'
         JOIN package p ON p.id = v.package_id
         WHERE f.deleted_us IS NULL",
        versions::COLUMNS
    )
}

/// The function of that name.
pub(super) fn find(
    tx: &Tx<'_>,
    sealing: &Sealing,
    namespace: &Namespace,
    name: &FunctionName,
) -> Result<Option<Function>> {
    let mut statement = tx.prepare_cached(&format!("{} AND f.namespace = ?1 AND f.name = ?2", select()))?;
    let mut rows = statement.query([namespace.as_str(), name.as_str()])?;
    rows.next()?.map(|row| function(row, sealing)).transpose()
}

/// Checks that a function is still there: a delete may have come between the look at it and this transaction. Fails with
/// `NotFound`.
pub(super) fn check_there(tx: &Tx<'_>, id: i64) -> Result<()> {
    let sql = "SELECT 1 FROM function WHERE id = ?1 AND deleted_us IS NULL";
    if tx.prepare_cached(sql)?.exists([id])? {
        return Ok(());
    }
    Err(Error::not_found("the function was deleted just now").about(About::Function))
}

/// The function of that id, unless it was deleted.
pub(super) fn by_id(tx: &Tx<'_>, sealing: &Sealing, id: i64) -> Result<Option<Function>> {
    let mut statement = tx.prepare_cached(&format!("{} AND f.id = ?1", select()))?;
    let mut rows = statement.query([id])?;
    rows.next()?.map(|row| function(row, sealing)).transpose()
}

/// The version in force of the function of that name, and how it stands. Not the whole function: one whose environment does not
/// open any more can still be replaced.
fn stands(tx: &Tx<'_>, namespace: &Namespace, name: &FunctionName) -> Result<Option<(i64, Status)>> {
    let sql = "SELECT v.id, f.status, f.status_code, f.status_message FROM function f
               JOIN version v ON v.function_id = f.id AND v.qualifier = '$LATEST'
               WHERE f.namespace = ?1 AND f.name = ?2 AND f.deleted_us IS NULL";
    let mut statement = tx.prepare_cached(sql)?;
    let mut rows = statement.query([namespace.as_str(), name.as_str()])?;
    rows.next()?.map(|row| Ok((row.get(0)?, status(row, 1)?))).transpose()
}

/// A status whose columns begin at `at`.
fn status(row: &Row<'_>, at: usize) -> Result<Status> {
    let stand: String = row.get(at)?;
    Ok(Status {
        stand: Stand::parse(&stand).ok_or_else(|| fault::unreadable("status"))?,
        code: row.get(at + 1)?,
        message: row.get(at + 2)?,
    })
}

/// Whether the function stands as whoever deploys thinks.
fn check(
    before: Option<&(i64, Status)>,
    haste: Haste,
    namespace: &Namespace,
    name: &FunctionName,
) -> Result<()> {
    check_names(namespace, name)?;
    let taken = || Error::new(Kind::Conflict, format!("there is a function {name} in {namespace} already"));
    let unlike = |sentence: String| Err(Error::new(Kind::Conflict, sentence).about(About::Precondition));
    match (haste, before) {
        (Haste::Created, Some(_)) => Err(taken().about(About::Function)),
        (Haste::AtOnce(Only::New), Some(_)) => Err(taken().about(About::Precondition)),
        (Haste::AtOnce(Only::Over(_)), None) => {
            unlike(format!("there is no function {name} in {namespace} any more"))
        }
        (Haste::AtOnce(Only::Over(base)), Some((latest, _))) if *latest != base => {
            unlike(format!("the function {name} has been deployed anew since it was looked at"))
        }
        (Haste::Updated(_) | Haste::Changed(_), None) => Err(no_function(namespace, name)),
        (Haste::Updated(base) | Haste::Changed(base), Some((latest, status))) => {
            status.check_changeable()?;
            (*latest == base).then_some(()).ok_or_else(|| {
                let sentence =
                    format!("the function {name} was changed by somebody else just now; try again");
                Error::new(Kind::Conflict, sentence).about(About::Status)
            })
        }
        _ => Ok(()),
    }
}

/// The version that a function waits for, if it waits for one.
fn awaited(tx: &Tx<'_>, sealing: &Sealing, function_id: i64) -> Result<Option<i64>> {
    let Some(function) = by_id(tx, sealing, function_id)? else { return Ok(None) };
    match function.status.stand {
        Stand::Creating => Ok(Some(function.version.id)),
        Stand::Updating => {
            Ok(versions::by_qualifier(tx, sealing, function_id, NEXT)?.map(|pending| pending.id))
        }
        _ => Ok(None),
    }
}

/// The id of that name, which stands from now on; created anew if it was deleted.
fn revive(tx: &Tx<'_>, namespace: &Namespace, name: &FunctionName) -> Result<i64> {
    let id = tx.query_row(
        "INSERT INTO function (namespace, name, created_us, modified_us) VALUES (?1, ?2, ?3, ?3)
         ON CONFLICT (namespace, name) DO UPDATE SET
             created_us = CASE WHEN deleted_us IS NULL THEN created_us ELSE excluded.created_us END,
             last_version = CASE WHEN deleted_us IS NULL THEN last_version ELSE 0 END,
             modified_us = excluded.modified_us, deleted_us = NULL
         RETURNING id",
        params![namespace.as_str(), name.as_str(), tx.now_us],
        |row| row.get(0),
    )?;
    // A namespace is there as soon as a function is in it.
    tx.execute(
        "INSERT OR IGNORE INTO namespace (name, description, created_us, modified_us) VALUES (?1, '', ?2, ?2)",
        params![namespace.as_str(), tx.now_us],
    )?;
    Ok(id)
}

fn set_status(tx: &Tx<'_>, id: i64, status: &Status) -> Result<()> {
    tx.execute(
        "UPDATE function SET status = ?2, status_code = ?3, status_message = ?4 WHERE id = ?1",
        params![id, status.stand.as_str(), status.code, status.message],
    )?;
    Ok(())
}

fn function(row: &Row<'_>, sealing: &Sealing) -> Result<Function> {
    let at = COLUMN_COUNT;
    Ok(Function {
        version: versions::version(row, 0, sealing)?,
        id: row.get(at)?,
        namespace: Namespace::parse(&row.get::<_, String>(at + 1)?)?,
        name: FunctionName::parse(&row.get::<_, String>(at + 2)?)?,
        created_us: row.get(at + 3)?,
        modified_us: row.get(at + 4)?,
        status: status(row, at + 5)?,
    })
}
