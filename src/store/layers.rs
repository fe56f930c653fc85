//! Layers: archives by name and number. The row of a deleted one stays, without content, so that no number is given twice.

use rusqlite::{OptionalExtension, Row, params};

use crate::error::{About, Error, Kind, Result};
use crate::model::function::Digest;
use crate::model::layer::{LayerName, LayerRef, LayerText, LayerVersion};
use crate::model::limits;
use crate::store::{Store, Tx, fault, packages};

impl Store {
    /// Keeps an archive as the next version of a layer, new or not; it survives a power cut then. Fails with `Limit` where the
    /// layer has as many versions as it may.
    pub fn publish_layer(
        &self,
        name: &LayerName,
        text: &LayerText,
        package: Vec<u8>,
        digest: Digest,
    ) -> Result<LayerVersion> {
        let pin = self.pin(digest);
        self.upload(digest, package)?;
        let (name, text) = (name.clone(), text.clone());
        let published = self.write_durably(move |tx| {
            let number = next_number(tx, &name)?;
            let package_id = packages::complete(tx, digest)?;
            let runtimes = serde_json::to_string(&text.runtimes).unwrap_or_default();
            tx.execute(
                "INSERT INTO layer_version (name, number, package_id, runtimes, description, license, created_us)
                 VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)",
                params![
                    name.as_str(),
                    number,
                    package_id,
                    runtimes,
                    text.description,
                    text.license,
                    tx.now_us
                ],
            )?;
            let layer = LayerRef { name, number };
            find(tx, &layer)?.ok_or_else(|| fault::unreadable("layer"))
        });
        drop(pin);
        published
    }

    /// That version of a layer.
    pub fn layer(&self, layer: &LayerRef) -> Result<Option<LayerVersion>> {
        self.read(|tx| find(tx, layer))
    }

    /// Every version of every layer, by name, newest number first.
    pub fn layers(&self) -> Result<Vec<LayerVersion>> {
        self.read(|tx| {
            let mut statement = tx.prepare_cached(&format!("{SELECT} ORDER BY l.name, l.number DESC"))?;
            let mut rows = statement.query([])?;
            let mut layers = Vec::new();
            while let Some(row) = rows.next()? {
                layers.push(layer_version(row)?);
            }
            Ok(layers)
        })
    }

    /// Deletes a version of a layer. Fails with `NotFound`, and with `Conflict` where a version of a function has it.
    pub fn delete_layer(&self, layer: &LayerRef) -> Result<()> {
        let layer = layer.clone();
        self.write_durably(move |tx| {
            let id = id_of(tx, &layer)?;
            if let Some(user) = user(tx, id)? {
                let sentence = format!("layer {layer} is bound to function {user}");
                return Err(Error::new(Kind::Conflict, sentence).about(About::Layer));
            }
            let sql = "UPDATE layer_version SET deleted_us = ?2, package_id = NULL WHERE id = ?1";
            tx.execute(sql, [id, tx.now_us])?;
            Ok(())
        })?;
        self.sweep_packages()
    }
}

const SELECT: &str =
    "SELECT l.id, l.name, l.number, p.sha256, p.size_bytes, l.runtimes, l.description, l.license,
        l.created_us FROM layer_version l JOIN package p ON p.id = l.package_id WHERE l.deleted_us IS NULL";

/// The row id of that version of a layer; fails with `NotFound`.
pub(super) fn id_of(tx: &Tx<'_>, layer: &LayerRef) -> Result<i64> {
    let sql = "SELECT id FROM layer_version WHERE name = ?1 AND number = ?2 AND deleted_us IS NULL";
    let id = tx.prepare_cached(sql)?;
    let mut id = id;
    id.query_row(params![layer.name.as_str(), layer.number], |row| row.get(0))
        .optional()?
        .ok_or_else(|| Error::not_found(format!("there is no layer {layer}")).about(About::Layer))
}

fn find(tx: &Tx<'_>, layer: &LayerRef) -> Result<Option<LayerVersion>> {
    let mut statement = tx.prepare_cached(&format!("{SELECT} AND l.name = ?1 AND l.number = ?2"))?;
    let mut rows = statement.query(params![layer.name.as_str(), layer.number])?;
    rows.next()?.map(layer_version).transpose()
}

fn next_number(tx: &Tx<'_>, name: &LayerName) -> Result<u32> {
    let sql = "SELECT coalesce(max(number), 0) + 1, count(*) FILTER (WHERE deleted_us IS NULL)
               FROM layer_version WHERE name = ?1";
    let (number, count): (u32, u32) =
        tx.query_row(sql, [name.as_str()], |row| Ok((row.get(0)?, row.get(1)?)))?;
    if count >= limits::LAYER_VERSIONS_MAX {
        let sentence = format!("a layer has at most {} versions", limits::LAYER_VERSIONS_MAX);
        return Err(Error::limit(sentence).about(About::Layer));
    }
    Ok(number)
}

/// A function that has that layer.
fn user(tx: &Tx<'_>, layer_id: i64) -> Result<Option<String>> {
    let sql = "SELECT f.name FROM version_layer u JOIN version v ON v.id = u.version_id
               JOIN function f ON f.id = v.function_id WHERE u.layer_id = ?1 LIMIT 1";
    Ok(tx.query_row(sql, [layer_id], |row| row.get(0)).optional()?)
}

fn layer_version(row: &Row<'_>) -> Result<LayerVersion> {
    let runtimes: String = row.get(5)?;
    Ok(LayerVersion {
        id: row.get(0)?,
        layer: LayerRef { name: LayerName::parse(&row.get::<_, String>(1)?)?, number: row.get(2)? },
        package: Digest(row.get(3)?),
        package_bytes: u64::try_from(row.get::<_, i64>(4)?).map_err(|_| fault::unreadable("package size"))?,
        runtimes: serde_json::from_str(&runtimes).map_err(|_| fault::unreadable("runtimes"))?,
        description: row.get(6)?,
        license: row.get(7)?,
        created_us: row.get(8)?,
    })
}
