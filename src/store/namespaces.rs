//! Namespaces. One is there from when it was made, or a function was deployed into it, until it is deleted, empty.

use rusqlite::{OptionalExtension, Row, params};

use crate::error::{About, Error, Kind, Result};
use crate::model::function::{NAMESPACE_DEFAULT, Namespace};
use crate::model::namespace::Space;
use crate::store::{Store, Tx};

impl Store {
    /// Makes a namespace. Fails with `Conflict` where there is one of that name.
    pub fn create_namespace(&self, name: &Namespace, description: &str) -> Result<()> {
        let (name, description) = (name.clone(), description.to_owned());
        self.write_durably(move |tx| {
            let sql = "INSERT OR IGNORE INTO namespace (name, description, created_us, modified_us)
                       VALUES (?1, ?2, ?3, ?3)";
            match tx.execute(sql, params![name.as_str(), description, tx.now_us])? {
                0 => Err(Error::new(Kind::Conflict, format!("there is a namespace {name} already"))
                    .about(About::Namespace)),
                _ => Ok(()),
            }
        })
    }

    /// Changes what a namespace is described by. Fails with `NotFound`.
    pub fn describe_namespace(&self, name: &Namespace, description: &str) -> Result<()> {
        let (name, description) = (name.clone(), description.to_owned());
        self.write_durably(move |tx| {
            let sql = "UPDATE namespace SET description = ?2, modified_us = ?3 WHERE name = ?1";
            match tx.execute(sql, params![name.as_str(), description, tx.now_us])? {
                0 => Err(no_namespace(&name)),
                _ => Ok(()),
            }
        })
    }

    /// Deletes a namespace. Fails with `NotFound`, with `Conflict` where functions are in it, and with `Invalid` for the one
    /// that is always there.
    pub fn delete_namespace(&self, name: &Namespace) -> Result<()> {
        if name.as_str() == NAMESPACE_DEFAULT {
            return Err(Error::invalid("the namespace default cannot be deleted").about(About::Default));
        }
        let name = name.clone();
        self.write_durably(move |tx| {
            let sql = "SELECT count(*) FROM function WHERE namespace = ?1 AND deleted_us IS NULL";
            let functions: i64 = tx.query_row(sql, [name.as_str()], |row| row.get(0))?;
            if functions > 0 {
                let sentence = format!("{functions} functions are in namespace {name}; delete them first");
                return Err(Error::new(Kind::Conflict, sentence).about(About::Namespace));
            }
            match tx.execute("DELETE FROM namespace WHERE name = ?1", [name.as_str()])? {
                0 => Err(no_namespace(&name)),
                _ => Ok(()),
            }
        })
    }

    /// Every namespace by name.
    pub fn namespaces(&self) -> Result<Vec<Space>> {
        self.read(|tx| {
            let sql = "SELECT name, description, created_us, modified_us FROM namespace ORDER BY name";
            let mut statement = tx.prepare_cached(sql)?;
            let mut rows = statement.query([])?;
            let mut spaces = Vec::new();
            while let Some(row) = rows.next()? {
                spaces.push(space(row)?);
            }
            Ok(spaces)
        })
    }

    /// Fails with `NotFound` where there is no namespace of that name.
    pub fn check_namespace(&self, name: &Namespace) -> Result<()> {
        self.read(|tx| is_there(tx, name)?.then_some(()).ok_or_else(|| no_namespace(name)))
    }
}

fn is_there(tx: &Tx<'_>, name: &Namespace) -> Result<bool> {
    let sql = "SELECT 1 FROM namespace WHERE name = ?1";
    Ok(tx.prepare_cached(sql)?.query_row([name.as_str()], |_| Ok(())).optional()?.is_some())
}

fn no_namespace(name: &Namespace) -> Error {
    Error::not_found(format!("there is no namespace {name}")).about(About::Namespace)
}

fn space(row: &Row<'_>) -> Result<Space> {
    Ok(Space {
        name: Namespace::parse(&row.get::<_, String>(0)?)?,
        description: row.get(1)?,
        created_us: row.get(2)?,
        modified_us: row.get(3)?,
    })
}
