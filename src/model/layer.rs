//! Layers: archives that functions share, unpacked into `/opt` of their runs (contract 6.12).

use std::fmt;

use crate::error::{About, Error, Result};
use crate::model::function::{Digest, ends_whole, is_word};
use crate::model::limits;
use crate::model::namespace::check_description;

/// A layer's name: 1 to [`limits::LAYER_CHARS_MAX`] letters, digits, `-` and `_`, beginning with a letter and not ending in
/// `-` or `_`.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct LayerName(String);

impl LayerName {
    /// Checks the grammar.
    pub fn parse(text: &str) -> Result<LayerName> {
        if is_word(text) && ends_whole(text) && text.len() <= limits::LAYER_CHARS_MAX {
            return Ok(LayerName(text.to_owned()));
        }
        Err(Error::invalid(format!(
            "layer must be 1 to {} letters, digits, '-' or '_', begin with a letter and end with a letter or digit",
            limits::LAYER_CHARS_MAX
        )))
    }

    /// The name as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for LayerName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// A version of a layer, as a function names it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LayerRef {
    /// The layer.
    pub name: LayerName,
    /// Its version's number, from 1.
    pub number: u32,
}

impl fmt::Display for LayerRef {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.name, self.number)
    }
}

impl LayerRef {
    /// Reads `name:number`.
    pub fn parse(text: &str) -> Result<LayerRef> {
        let parts = text.split_once(':');
        let number = parts.and_then(|(_, number)| number.parse().ok()).filter(|number| *number > 0);
        match (parts, number) {
            (Some((name, _)), Some(number)) => Ok(LayerRef { name: LayerName::parse(name)?, number }),
            _ => Err(Error::invalid("layers must be NAME:VERSION, the version a number from 1")
                .about(About::Layers)),
        }
    }
}

/// A version of a layer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LayerVersion {
    /// Row id.
    pub id: i64,
    /// Which one it is.
    pub layer: LayerRef,
    /// Its content.
    pub package: Digest,
    /// Size of the archive, bytes.
    pub package_bytes: u64,
    /// The runtimes it is made for, as its publisher named them.
    pub runtimes: Vec<String>,
    /// Free text.
    pub description: String,
    /// Under which licence it comes, free text.
    pub license: String,
    /// When it was published, microseconds since the epoch.
    pub created_us: i64,
}

/// What a publisher says of a version of a layer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LayerText {
    /// The runtimes it is made for, at least one.
    pub runtimes: Vec<String>,
    /// Free text.
    pub description: String,
    /// Under which licence it comes, free text.
    pub license: String,
}

impl LayerText {
    /// Checks texts and number of runtimes.
    pub fn check(&self) -> Result<()> {
        check_description(&self.description)?;
        check_description(&self.license)
            .map_err(|error| Error::invalid(error.message.replacen("description", "license", 1)))?;
        if (1..=limits::LAYER_RUNTIMES_MAX).contains(&self.runtimes.len()) {
            return Ok(());
        }
        Err(Error::invalid(format!("runtimes must name 1 to {} runtimes", limits::LAYER_RUNTIMES_MAX)))
    }
}

/// Checks the layers of one version: not too many, and none twice.
pub fn check_layers(layers: &[LayerRef]) -> Result<()> {
    if layers.len() > limits::LAYERS_PER_VERSION_MAX {
        return Err(Error::invalid(format!(
            "layers must be at most {}, not {}",
            limits::LAYERS_PER_VERSION_MAX,
            layers.len()
        ))
        .about(About::Layers));
    }
    for (place, layer) in layers.iter().enumerate() {
        if layers[..place].iter().any(|other| other.name == layer.name) {
            return Err(Error::invalid(format!("layers name {} twice", layer.name)).about(About::Layers));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_version_is_named_by_name_and_number() {
        let layer = LayerRef::parse("deps:12").unwrap();
        assert_eq!((layer.name.as_str(), layer.number, layer.to_string().as_str()), ("deps", 12, "deps:12"));
        for bad in ["deps", "deps:", "deps:0", "deps:x", ":1", "-a:1", "a-:1", "deps:-1"] {
            assert!(LayerRef::parse(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn five_different_ones_at_most() {
        let layers = |names: &[&str]| {
            names.iter().map(|name| LayerRef::parse(name).unwrap()).collect::<Vec<LayerRef>>()
        };
        assert!(check_layers(&layers(&["a:1", "b:1", "c:1", "d:1", "e:1"])).is_ok());
        assert!(check_layers(&layers(&["a:1", "b:1", "c:1", "d:1", "e:1", "f:1"])).is_err());
        assert!(check_layers(&layers(&["a:1", "b:1", "a:2"])).is_err());
    }
}
