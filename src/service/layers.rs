//! Layers: published, found, listed, deleted.

use crate::error::{About, Error, Result};
use crate::instance::package;
use crate::model::layer::{LayerName, LayerRef, LayerText, LayerVersion};
use crate::service::functions::{Code, archive};
use crate::store::Store;

/// All layers.
#[derive(Debug)]
pub struct Layers {
    store: Store,
}

impl Layers {
    /// Those in `store`.
    pub fn new(store: Store) -> Layers {
        Layers { store }
    }

    /// Keeps an archive as the next version of a layer. Fails with `Invalid`, `Limit` and `Busy` (the disk is nearly full).
    pub fn publish(&self, name: &LayerName, text: &LayerText, code: Code) -> Result<LayerVersion> {
        self.store.check_room_for_event()?;
        text.check()?;
        let archive = archive(code)?;
        let checked = package::check(&archive).map_err(|error| error.about(About::Code))?;
        self.store.publish_layer(name, text, archive, checked.digest)
    }

    /// That version of a layer; fails with `NotFound`.
    pub fn find(&self, layer: &LayerRef) -> Result<LayerVersion> {
        let found = self.store.layer(layer)?;
        found.ok_or_else(|| Error::not_found(format!("there is no layer {layer}")).about(About::Layer))
    }

    /// The content of that version, a zip archive; fails with `NotFound`.
    pub fn content(&self, layer: &LayerRef) -> Result<Vec<u8>> {
        let found = self.find(layer)?;
        let archive = self.store.package(found.package)?;
        archive.ok_or_else(|| {
            Error::not_found(format!("layer {layer} was deleted just now")).about(About::Layer)
        })
    }

    /// Every version of every layer, by name, newest first.
    pub fn list(&self) -> Result<Vec<LayerVersion>> {
        self.store.layers()
    }

    /// Deletes a version of a layer. Fails with `NotFound`, and with `Conflict` where a function has it.
    pub fn delete(&self, layer: &LayerRef) -> Result<()> {
        self.store.delete_layer(layer)
    }
}
