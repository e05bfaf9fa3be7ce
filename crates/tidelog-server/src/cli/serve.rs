//! `tidelog serve`.

use super::target::Target;
use super::{Failure, output};
use crate::http::{App, Dev, JwtKeys, Origins, Rate, Settings, Tokens, router};
use crate::schemas::Schemas;
use crate::store::LogStore;
use axum::http::HeaderValue;
use clap::Args;
use std::io::IsTerminal;
use std::net::SocketAddr;
use std::num::NonZeroU32;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;
use tidelog_core::LogName;
use tokio::net::TcpListener;
use tokio::signal::unix::{SignalKind, signal};

/// How long requests that are being answered may take after the signal to stop.
const DRAIN: Duration = Duration::from_secs(10);

/// How many requests a second are usual: a replica makes a few, a busy service some dozens.
const RATE: u32 = 200;
/// How many seconds' worth of requests may come at once.
const BURST: u32 = 5;

/// Serve logs over HTTP until SIGINT or SIGTERM.
#[derive(Debug, Args)]
pub(super) struct Serve {
    #[command(flatten)]
    target: Target,
    /// Where to listen, such as 127.0.0.1:8080; port 0 takes a free one and prints it.
    #[arg(long, value_name = "ADDR", default_value = "127.0.0.1:8080")]
    listen: SocketAddr,
    /// Development: no token needed (a token is taken as the subject's name), any origin, this machine only.
    #[arg(long)]
    dev: bool,
    /// With --dev: allow addresses that other machines can reach. They may then read and append everything.
    #[arg(long, requires = "dev")]
    dev_any_address: bool,
    /// A log to make if it is missing; may be repeated. Logs that were never made are answered with 404.
    #[arg(long = "log", value_name = "NAME")]
    logs: Vec<LogName>,
    /// Who may do what: lines `log token subject [read[:kinds]] [append[:kinds]]`, read again when the file changes. Needed unless --dev.
    #[arg(long, value_name = "FILE", conflicts_with = "dev")]
    tokens: Option<PathBuf>,
    /// Instead of --tokens: the JWK set (RFC 7517) with which JSON Web Tokens are checked, read again when it changes. Each key needs kid
    /// and alg: EdDSA, ES256, RS256 or HS256.
    #[arg(long, value_name = "FILE", conflicts_with_all = ["dev", "tokens"], requires_all = ["jwt_issuer", "jwt_audience"])]
    jwt_keys: Option<PathBuf>,
    /// Who must have issued a JSON Web Token (iss).
    #[arg(long, value_name = "ISS", requires = "jwt_keys")]
    jwt_issuer: Option<String>,
    /// For whom a JSON Web Token must be (aud).
    #[arg(long, value_name = "AUD", requires = "jwt_keys")]
    jwt_audience: Option<String>,
    /// JSON Schemas that payloads must keep to: a folder of files named `type.version.json`, such as todo.added.1.json, or one file
    /// {"type": {"version": schema}}. Read once. A commit with a payload that does not is refused whole.
    #[arg(long, value_name = "PATH")]
    schemas: Option<PathBuf>,
    /// With --schemas: refuse events whose type and version have none, too.
    #[arg(long, requires = "schemas")]
    schemas_strict: bool,
    /// A directory of files to serve beside the protocol, such as a built app.
    #[arg(long, value_name = "DIR")]
    www: Option<PathBuf>,
    /// An origin whose pages may call this server, such as https://app.example; may be repeated.
    #[arg(long = "allow-origin", value_name = "ORIGIN")]
    allow_origin: Vec<HeaderValue>,
    /// How many requests a second one subject may make of one log in the long run, and five times as many at once; 0 for as many as it
    /// likes, which is also what --dev does when this is not given.
    #[arg(long, value_name = "REQUESTS", default_value_t = RATE, default_value_if("dev", "true", "0"))]
    rate_limit: u32,
    /// How much to write to standard error: error, warn, info or debug.
    #[arg(long, value_name = "LEVEL", default_value = "warn")]
    verbosity: tracing::Level,
}

impl Serve {
    pub(super) fn run(self) -> Result<(), Failure> {
        let settings = self.settings()?;
        tracing_subscriber::fmt()
            .with_max_level(self.verbosity)
            .with_writer(std::io::stderr)
            .with_ansi(std::io::stderr().is_terminal())
            .with_target(false)
            .init();
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .enable_all()
            .build();
        runtime
            .map_err(Failure::failed)?
            .block_on(self.serve(settings))
    }

    fn settings(&self) -> Result<Settings, Failure> {
        let mut settings = self.access()?;
        settings.origins = match self.dev {
            true => Origins::Any,
            false if self.allow_origin.is_empty() => Origins::None,
            false => Origins::Only(self.allow_origin.clone()),
        };
        settings.rate = NonZeroU32::new(self.rate_limit).map(|per_second| Rate {
            per_second,
            burst: per_second.saturating_mul(NonZeroU32::MIN.saturating_add(BURST - 1)),
        });
        if let Some(path) = &self.schemas {
            let schemas = Schemas::read(path)
                .map_err(|error| Failure::Refused(format!("--schemas: {error}")))?;
            settings.payloads = Some(match self.schemas_strict {
                true => Arc::new(schemas.strict()),
                false => Arc::new(schemas),
            });
        }
        if let Some(www) = &self.www {
            if !www.is_dir() {
                return Err(Failure::Refused(format!(
                    "--www {} is not a directory",
                    www.display()
                )));
            }
            settings.www = Some(www.clone());
        }
        Ok(settings)
    }

    /// The settings of a server that knows its callers, and nothing else yet.
    fn access(&self) -> Result<Settings, Failure> {
        if self.dev {
            if !self.listen.ip().is_loopback() && !self.dev_any_address {
                return Err(Failure::Refused(format!(
                    "--dev lets anybody read and append, and {} can be reached by other machines. \
                     Listen on 127.0.0.1, or add --dev-any-address if that is what you want",
                    self.listen
                )));
            }
            return Ok(Settings::new(Dev));
        }
        if let (Some(file), Some(issuer), Some(audience)) =
            (&self.jwt_keys, &self.jwt_issuer, &self.jwt_audience)
        {
            return JwtKeys::watch(file, issuer, audience)
                .map(Settings::new)
                .map_err(|error| {
                    Failure::Refused(format!("--jwt-keys {}: {error}", file.display()))
                });
        }
        let Some(path) = &self.tokens else {
            return Err(Failure::Refused(
                "a server needs to know who may do what. Give --tokens FILE with lines \
                 `log token subject [read[:kinds]] [append[:kinds]]`, --jwt-keys FILE with the keys of whoever signs \
                 JSON Web Tokens, or --dev on your own machine"
                    .into(),
            ));
        };
        Tokens::watch(path)
            .map(Settings::new)
            .map_err(|error| Failure::Refused(format!("--tokens {}: {error}", path.display())))
    }

    async fn serve(self, settings: Settings) -> Result<(), Failure> {
        // Signals are listened for before anybody is told that the server runs.
        let mut interrupt = signal(SignalKind::interrupt()).map_err(Failure::failed)?;
        let mut terminate = signal(SignalKind::terminate()).map_err(Failure::failed)?;
        let store = self.target.open().await?;
        for log in &self.logs {
            store.create(log).await?;
        }
        let listener = TcpListener::bind(self.listen).await.map_err(|error| {
            Failure::Failed(format!("cannot listen on {}: {error}", self.listen))
        })?;
        let address = listener.local_addr().map_err(Failure::failed)?;
        let app = App::new(store, settings);
        let server = axum::serve(listener, router(app.clone()))
            .with_graceful_shutdown(app.clone().closing());
        let mut server = tokio::spawn(server.into_future());
        output::line(format_args!("tidelog listens on http://{address}"));
        tokio::select! {
            _ = interrupt.recv() => {}
            _ = terminate.recv() => {}
            ended = &mut server => {
                return Err(Failure::Failed(format!("the server ended by itself: {ended:?}")));
            }
        }
        tracing::info!("shutting down");
        app.close();
        if tokio::time::timeout(DRAIN, server).await.is_err() {
            tracing::warn!("some requests did not end in time and are cut off");
        }
        Ok(())
    }
}
