//! Namespaces: made, described, listed, deleted.

use crate::error::{About, Error, Result};
use crate::model::function::{NAMESPACE_DEFAULT, Namespace};
use crate::model::namespace::{Space, check_description};
use crate::store::Store;

/// All namespaces.
#[derive(Debug)]
pub struct Namespaces {
    store: Store,
}

impl Namespaces {
    /// Those in `store`.
    pub fn new(store: Store) -> Namespaces {
        Namespaces { store }
    }

    /// Makes one. Fails with `Conflict` where there is one of that name, and with `Invalid`.
    pub fn create(&self, name: &Namespace, description: &str) -> Result<()> {
        check_description(description)?;
        if name.as_str() == NAMESPACE_DEFAULT {
            return Err(Error::invalid("the namespace default is always there").about(About::Default));
        }
        self.store.create_namespace(name, description)
    }

    /// Changes what one is described by. Fails with `NotFound` and `Invalid`.
    pub fn describe(&self, name: &Namespace, description: &str) -> Result<()> {
        check_description(description)?;
        self.store.describe_namespace(name, description)
    }

    /// Deletes one that is empty. Fails with `NotFound`, `Conflict` (functions are in it) and `Invalid` (it is `default`).
    pub fn delete(&self, name: &Namespace) -> Result<()> {
        self.store.delete_namespace(name)
    }

    /// Every one by name.
    pub fn list(&self) -> Result<Vec<Space>> {
        self.store.namespaces()
    }

    /// Fails with `NotFound` where there is none of that name.
    pub fn check(&self, name: &Namespace) -> Result<()> {
        self.store.check_namespace(name)
    }
}
