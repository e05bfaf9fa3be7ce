//! JSON Schemas of payloads, by event type and schema version.
//!
//! They are read once, when the server starts, and nothing is fetched: a `$ref` leads to a place in the same schema, or
//! it is an error.

use crate::check::{PayloadCheck, WrongPayload};
use jsonschema::Validator;
use serde_json::Value;
use std::collections::BTreeMap;
use std::fs;
use std::num::NonZeroU32;
use std::path::{Path, PathBuf};
use tidelog_core::{Event, EventType, SchemaVersion};

/// The schemas that payloads must keep to.
///
/// ```
/// # let folder = tempfile::tempdir()?;
/// # let folder = folder.path();
/// std::fs::write(folder.join("todo.added.1.json"), r#"{ "type": "object", "required": ["title"] }"#)?;
/// let schemas = tidelog_server::schemas::Schemas::read(folder)?;
/// assert_eq!(schemas.len(), 1);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct Schemas {
    known: BTreeMap<(EventType, SchemaVersion), Validator>,
    strict: bool,
}

impl std::fmt::Debug for Schemas {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Schemas")
            .field("known", &self.known.keys())
            .field("strict", &self.strict)
            .finish()
    }
}

/// Why schemas cannot be used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SchemasError {
    /// A file or folder cannot be read.
    #[error("{} cannot be read: {source}", path.display())]
    Unreadable {
        /// Which one.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// A file is not JSON, or not an object of the right shape.
    #[error("{}: {detail}", path.display())]
    Malformed {
        /// Which one.
        path: PathBuf,
        /// What is wrong with it.
        detail: String,
    },
    /// A schema is no JSON Schema, or leads somewhere else.
    #[error("the schema of {event_type}, version {version}: {detail}")]
    Schema {
        /// For which type of events.
        event_type: EventType,
        /// And which version of their payload's shape.
        version: SchemaVersion,
        /// What is wrong with it.
        detail: String,
    },
    /// There are none.
    #[error("{} holds no schema; a folder holds files such as todo.added.1.json", path.display())]
    None {
        /// Where they should be.
        path: PathBuf,
    },
}

impl Schemas {
    /// Reads a folder with a file for each type and version, such as `todo.added.1.json`; or one file with all of them,
    /// `{"todo.added": {"1": { … }}}`. Other names in the folder are left alone if they do not end with `.json`.
    ///
    /// # Errors
    /// [`SchemasError`] for the first one that cannot be used, or if there is none.
    pub fn read(path: &Path) -> Result<Self, SchemasError> {
        let mut schemas = Self {
            known: BTreeMap::new(),
            strict: false,
        };
        match path.is_dir() {
            true => schemas.read_folder(path)?,
            false => schemas.read_file(path)?,
        }
        match schemas.known.is_empty() {
            true => Err(SchemasError::None { path: path.into() }),
            false => Ok(schemas),
        }
    }

    /// The same, but an event without a schema is refused, and not let through.
    #[must_use]
    pub fn strict(self) -> Self {
        let strict = true;
        Self { strict, ..self }
    }

    /// How many there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.known.len()
    }

    /// Are there none? Never, of those that were read.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.known.is_empty()
    }

    fn read_folder(&mut self, folder: &Path) -> Result<(), SchemasError> {
        let unreadable = |source| SchemasError::Unreadable {
            path: folder.into(),
            source,
        };
        for entry in fs::read_dir(folder).map_err(unreadable)? {
            let path = entry.map_err(unreadable)?.path();
            if path.extension().is_none_or(|end| end != "json") {
                continue;
            }
            let name = path.file_stem().map(|stem| stem.to_string_lossy());
            let name = name.unwrap_or_default();
            let named = name
                .rsplit_once('.')
                .ok_or_else(|| SchemasError::Malformed {
                    path: path.clone(),
                    detail: "the name is not `type.version.json`, such as todo.added.1.json".into(),
                })?;
            self.add(&path, named, &json(&path)?)?;
        }
        Ok(())
    }

    fn read_file(&mut self, path: &Path) -> Result<(), SchemasError> {
        let all: BTreeMap<String, BTreeMap<String, Value>> = serde_json::from_value(json(path)?)
            .map_err(|error| SchemasError::Malformed {
                path: path.into(),
                detail: format!("this is not {{\"type\": {{\"version\": schema}}}}: {error}"),
            })?;
        for (event_type, versions) in &all {
            for (version, schema) in versions {
                self.add(path, (event_type, version), schema)?;
            }
        }
        Ok(())
    }

    fn add(
        &mut self,
        path: &Path,
        (event_type, version): (&str, &str),
        schema: &Value,
    ) -> Result<(), SchemasError> {
        let malformed = |detail| SchemasError::Malformed {
            path: path.into(),
            detail,
        };
        let event_type =
            EventType::new(event_type).map_err(|error| malformed(error.to_string()))?;
        let version = version
            .parse::<NonZeroU32>()
            .map_err(|_why| malformed(format!("{version:?} is no version from 1")))?;
        let version = SchemaVersion::new(version.get());
        let validator = jsonschema::options().build(schema);
        let validator = validator.map_err(|error| SchemasError::Schema {
            event_type: event_type.clone(),
            version,
            detail: error.to_string(),
        })?;
        self.known.insert((event_type, version), validator);
        Ok(())
    }
}

impl PayloadCheck for Schemas {
    fn check(&self, event: &Event) -> Result<(), WrongPayload> {
        let Some(validator) = self.known.get(&(event.event_type.clone(), event.schema)) else {
            return match self.strict {
                true => Err(WrongPayload::at("", "this server has no schema for it")),
                false => Ok(()),
            };
        };
        let text = event.data.text().unwrap_or_default();
        let value: Value = serde_json::from_str(text)
            .map_err(|error| WrongPayload::at("", format!("it cannot be checked: {error}")))?;
        validator
            .validate(&value)
            .map_err(|error| WrongPayload::at(error.instance_path().as_str(), error.to_string()))
    }
}

fn json(path: &Path) -> Result<Value, SchemasError> {
    let text = fs::read_to_string(path).map_err(|source| SchemasError::Unreadable {
        path: path.into(),
        source,
    })?;
    serde_json::from_str(&text).map_err(|error| SchemasError::Malformed {
        path: path.into(),
        detail: format!("this is not JSON: {error}"),
    })
}
