//! `tidelog openapi`.

use super::{Failure, output};
use crate::http::openapi::document;
use clap::Args;

/// Prints the HTTP API as an OpenAPI document (version 3.1), the same that a server has at /openapi.json.
#[derive(Debug, Args)]
#[command(after_help = "\
Example:
  tidelog openapi > openapi.json")]
pub(super) struct Openapi {}

impl Openapi {
    pub(super) fn run(self) -> Result<(), Failure> {
        let Self {} = self;
        output::line(document().to_pretty_json().map_err(Failure::failed)?);
        Ok(())
    }
}
