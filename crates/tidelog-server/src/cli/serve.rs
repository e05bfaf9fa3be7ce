//! `tidelog serve`.

use super::otel::Traces;
use super::target::Target;
use super::{Failure, output};
use crate::http::{
    App, Dev, JwtKeys, Limits, Origins, Rate, Settings, Tokens, metrics, router, serve,
};
use crate::schemas::Schemas;
use crate::store::LogStore;
use axum::http::{HeaderValue, Uri};
use clap::builder::BoolishValueParser;
use clap::{Args, ValueEnum};
use std::io::IsTerminal;
use std::net::SocketAddr;
use std::num::NonZeroU32;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;
use tidelog_core::LogName;
use tokio::net::TcpListener;
use tokio::signal::unix::{SignalKind, signal};

/// How many requests a second are usual: a replica makes a few, a busy service some dozens.
const RATE: u32 = 200;
/// How many seconds' worth of requests may come at once.
const BURST: u32 = 5;
/// How many live connections of a subject are usual: a few for each of a person's devices, many for a service's.
const LIVE: u32 = 1_000;
/// Files that a server opens beside its connections: a database's, those that it reads again, and connections to others.
const OTHER_FILES: usize = 64;

/// Serve logs over HTTP until SIGINT or SIGTERM.
///
/// Every option can also be said by a variable (TIDELOG_LISTEN for --listen) or in a file (--config). An option goes before its
/// variable, and that before the file.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct Serve {
    #[command(flatten)]
    target: Target,
    /// A TOML file whose keys are the names of these options: `listen = "0.0.0.0:8080"`, `log = ["todos", "news"]`.
    #[arg(long, value_name = "FILE", env = "TIDELOG_CONFIG")]
    config: Option<PathBuf>,
    /// Where to listen, such as 127.0.0.1:8080; port 0 takes a free one and prints it.
    #[arg(
        long,
        value_name = "ADDR",
        default_value = "127.0.0.1:8080",
        value_parser = address,
        env = "TIDELOG_LISTEN"
    )]
    listen: SocketAddr,
    /// Development: no token needed (a token is taken as the subject's name), any origin, this machine only.
    #[arg(long, env = "TIDELOG_DEV", value_parser = BoolishValueParser::new())]
    dev: bool,
    /// With --dev: allow addresses that other machines can reach. They may then read and append everything.
    #[arg(long, requires = "dev", env = "TIDELOG_DEV_ANY_ADDRESS", value_parser = BoolishValueParser::new())]
    dev_any_address: bool,
    /// A log to make if it is missing; may be repeated. Logs that were never made are answered with 404.
    #[arg(
        long = "log",
        value_name = "NAME",
        value_delimiter = ',',
        env = "TIDELOG_LOG"
    )]
    logs: Vec<LogName>,
    /// Who may do what: lines `log token subject [read[:kinds]] [append[:kinds]] [erase[:kinds]]`, read again when the file changes. Needed unless --dev.
    #[arg(
        long,
        value_name = "FILE",
        conflicts_with = "dev",
        env = "TIDELOG_TOKENS"
    )]
    tokens: Option<PathBuf>,
    /// Instead of --tokens: the JWK set (RFC 7517) with which JSON Web Tokens are checked, read again when it changes. Each key needs kid
    /// and alg: EdDSA, ES256, RS256 or HS256.
    #[arg(group = "jwt", long, value_name = "FILE", conflicts_with_all = ["dev", "tokens"], requires_all = ["jwt_issuer", "jwt_audience"], env = "TIDELOG_JWT_KEYS")]
    jwt_keys: Option<PathBuf>,
    /// Instead of --jwt-keys: where the issuer publishes that set, https but for this machine. Asked for at the start, every 5 minutes, and when a
    /// token names a key that is not known. No other address is ever asked. Its certificate must be of an authority that the system trusts, or
    /// of one in the file that SSL_CERT_FILE names.
    #[arg(
        group = "jwt",
        long,
        value_name = "URL",
        conflicts_with_all = ["dev", "tokens"],
        requires_all = ["jwt_issuer", "jwt_audience"],
        env = "TIDELOG_JWT_JWKS"
    )]
    jwt_jwks: Option<String>,
    /// Who must have issued a JSON Web Token (iss).
    #[arg(long, value_name = "ISS", requires = "jwt", env = "TIDELOG_JWT_ISSUER")]
    jwt_issuer: Option<String>,
    /// For whom a JSON Web Token must be (aud).
    #[arg(
        long,
        value_name = "AUD",
        requires = "jwt",
        env = "TIDELOG_JWT_AUDIENCE"
    )]
    jwt_audience: Option<String>,
    /// JSON Schemas that payloads must keep to: a folder of files named `type.version.json`, such as todo.added.1.json, or one file
    /// {"type": {"version": schema}}. Read once. A commit with a payload that does not is refused whole.
    #[arg(long, value_name = "PATH", env = "TIDELOG_SCHEMAS")]
    schemas: Option<PathBuf>,
    /// With --schemas: refuse events whose type and version have none, too.
    #[arg(long, requires = "schemas", env = "TIDELOG_SCHEMAS_STRICT", value_parser = BoolishValueParser::new())]
    schemas_strict: bool,
    /// A directory of files to serve beside the protocol, such as a built app.
    #[arg(long, value_name = "DIR", env = "TIDELOG_WWW")]
    www: Option<PathBuf>,
    /// An origin whose pages may call this server, such as https://app.example; may be repeated.
    #[arg(
        long = "allow-origin",
        value_name = "ORIGIN",
        value_delimiter = ',',
        value_parser = origin,
        env = "TIDELOG_ALLOW_ORIGIN"
    )]
    allow_origin: Vec<HeaderValue>,
    /// How many requests a second one subject may make of one log in the long run, and five times as many at once; 0 for as many as it
    /// likes, which is also what --dev does when this is not given.
    #[arg(long, value_name = "REQUESTS", default_value_t = RATE, default_value_if("dev", "true", "0"), env = "TIDELOG_RATE_LIMIT")]
    rate_limit: u32,
    /// How many live connections one subject may hold; 0 for as many as it likes, which is also what --dev does when this is not given.
    #[arg(long, value_name = "CONNECTIONS", default_value_t = LIVE, default_value_if("dev", "true", "0"), env = "TIDELOG_LIVE_LIMIT")]
    live_limit: u32,
    /// How many connections there may be at once; those that come then wait. Never more than the system allows open files, whose soft limit is
    /// raised as far as it goes.
    #[arg(
        long,
        value_name = "CONNECTIONS",
        default_value_t = 20_000,
        env = "TIDELOG_MAX_CONNECTIONS"
    )]
    max_connections: usize,
    /// How many seconds to go on serving after the signal to stop, while GET /readyz says 503: as long as whatever hands requests to
    /// several servers takes to notice. A second signal ends the wait.
    #[arg(
        long,
        value_name = "SECONDS",
        default_value_t = 0,
        env = "TIDELOG_DRAIN_DELAY"
    )]
    drain_delay: u64,
    /// How many seconds requests that are being answered then may take.
    #[arg(
        long,
        value_name = "SECONDS",
        default_value_t = 10,
        env = "TIDELOG_DRAIN_TIME"
    )]
    drain_time: u64,
    /// Where to serve GET /metrics for Prometheus: an address of its own, because the numbers are not for callers.
    #[arg(long, value_name = "ADDR", value_parser = address, env = "TIDELOG_METRICS_LISTEN")]
    metrics_listen: Option<SocketAddr>,
    /// How lines on standard error look: text for people, or an object of JSON each.
    #[arg(
        long,
        value_name = "FORMAT",
        default_value = "text",
        env = "TIDELOG_LOG_FORMAT"
    )]
    log_format: LogFormat,
    /// How much to write to standard error: error, warn, info or debug.
    #[arg(
        long,
        value_name = "LEVEL",
        default_value = "warn",
        env = "TIDELOG_VERBOSITY"
    )]
    verbosity: tracing::Level,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum LogFormat {
    Text,
    Json,
}

const EXAMPLES: &str = "\
Examples:
  tidelog serve --db tidelog.db --dev --log todos
      On your own machine: anybody may do anything, at http://127.0.0.1:8080.
  tidelog serve --db tidelog.db --listen 0.0.0.0:8080 --log todos --tokens tokens.txt --www dist
      An app and its logs, for those whose tokens are in the file.
  TIDELOG_STORE=postgres://tidelog@db.internal/tidelog tidelog serve --config tidelog.toml
      One of several servers on one PostgreSQL database. The file may hold:
        listen = \"0.0.0.0:8080\"
        metrics-listen = \"127.0.0.1:9090\"
        log = [\"todos\", \"news\"]
        jwt-keys = \"/etc/tidelog/keys.json\"
        jwt-issuer = \"https://id.example\"
        jwt-audience = \"tidelog\"
        schemas = \"/etc/tidelog/schemas\"
        log-format = \"json\"
        verbosity = \"info\"
        drain-delay = 5";

/// Where to listen.
fn address(text: &str) -> Result<SocketAddr, String> {
    text.parse().map_err(|_no_address| {
        "give an IP address and a port, such as 127.0.0.1:8080, or 0.0.0.0:8080 for every network that this machine is in".into()
    })
}

/// An origin as browsers send it. Any other text would be compared with theirs and never be the same.
fn origin(text: &str) -> Result<HeaderValue, String> {
    let is_origin = text.parse().is_ok_and(|uri: Uri| {
        let parts = uri.into_parts();
        match (parts.scheme, parts.authority) {
            (Some(scheme), Some(authority)) => text == format!("{scheme}://{authority}"),
            _ => false,
        }
    });
    let is_sent = is_origin && !text.contains(|c: char| c.is_ascii_uppercase() || c == '@');
    // `null` is what pages without an origin send, such as sandboxed frames.
    let as_sent = is_sent || text == "null";
    match HeaderValue::from_str(text) {
        Ok(origin) if as_sent => Ok(origin),
        _ => Err(
            "an origin is https://app.example, or http://localhost:5173: scheme and host in small letters, the port if it is not \
             the usual one, and nothing behind it"
                .into(),
        ),
    }
}

impl Serve {
    pub(super) fn run(self) -> Result<(), Failure> {
        let lines = tracing_subscriber::fmt()
            .with_max_level(self.verbosity)
            .with_writer(std::io::stderr)
            .with_ansi(std::io::stderr().is_terminal())
            .with_target(false);
        match self.log_format {
            LogFormat::Text => lines.init(),
            LogFormat::Json => lines.json().flatten_event(true).init(),
        }
        let _traces = Traces::begin()?;
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .enable_all()
            .build();
        runtime.map_err(Failure::failed)?.block_on(async move {
            let settings = self.settings().await?;
            self.serve(settings).await
        })
    }

    async fn settings(&self) -> Result<Settings, Failure> {
        let mut settings = self.access().await?;
        settings.origins = match self.dev {
            true => Origins::Any,
            false if self.allow_origin.is_empty() => Origins::None,
            false => Origins::Only(self.allow_origin.clone()),
        };
        settings.rate = NonZeroU32::new(self.rate_limit).map(|per_second| Rate {
            per_second,
            burst: per_second.saturating_mul(NonZeroU32::MIN.saturating_add(BURST - 1)),
        });
        settings.live = NonZeroU32::new(self.live_limit);
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
    async fn access(&self) -> Result<Settings, Failure> {
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
        if let (Some(url), Some(issuer), Some(audience)) =
            (&self.jwt_jwks, &self.jwt_issuer, &self.jwt_audience)
        {
            return JwtKeys::fetch(url, issuer, audience)
                .await
                .map(Settings::new)
                .map_err(|error| Failure::Refused(format!("--jwt-jwks {url}: {error}")));
        }
        let Some(path) = &self.tokens else {
            return Err(Failure::Refused(
                "a server needs to know who may do what. Give --tokens FILE with lines \
                 `log token subject [read[:kinds]] [append[:kinds]] [erase[:kinds]]`, --jwt-keys FILE with the keys of whoever signs \
                 JSON Web Tokens or --jwt-jwks URL where they are published, or --dev on your own machine"
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
        let listener = listen(self.listen).await?;
        let address = listener.local_addr().map_err(Failure::failed)?;
        let app = App::new(store, settings);
        if let Some(address) = self.metrics_listen {
            let listener = listen(address).await?;
            let address = listener.local_addr().map_err(Failure::failed)?;
            tracing::info!(%address, "metrics are served");
            // They are served until the process ends.
            tokio::spawn(axum::serve(listener, metrics(app.clone())).into_future());
        }
        let limits = Limits {
            connections: connections(self.max_connections),
            drain: Duration::from_secs(self.drain_time),
        };
        output::line(format_args!("tidelog listens on http://{address}"));
        let draining = app.clone();
        let delay = Duration::from_secs(self.drain_delay);
        let ended = async move {
            tokio::select! {
                _ = interrupt.recv() => {}
                _ = terminate.recv() => {}
            }
            tracing::info!("shutting down");
            draining.drain();
            // Who asks twice does not want to wait.
            tokio::select! {
                () = tokio::time::sleep(delay) => {}
                _ = interrupt.recv() => {}
                _ = terminate.recv() => {}
            }
        };
        let router = router(app.clone());
        if !serve(listener, router, app, limits, ended).await {
            tracing::warn!("some requests did not end in time and are cut off");
        }
        Ok(())
    }
}

/// How many connections there may be at once: each is an open file, and the system says how many of those there may be.
fn connections(wanted: usize) -> usize {
    let files = match rlimit::increase_nofile_limit(u64::MAX) {
        Ok(files) => usize::try_from(files).unwrap_or(usize::MAX),
        Err(error) => {
            tracing::warn!(%error, "the limit of open files is not known");
            return wanted.max(1);
        }
    };
    let room = files.saturating_sub(OTHER_FILES);
    if files < wanted {
        tracing::warn!(
            "the system allows this process {files} open files, so {room} connections at once instead of {wanted}: \
             raise its hard limit (ulimit -Hn, LimitNOFILE), or lower --max-connections"
        );
    }
    wanted.min(room).max(1)
}

async fn listen(address: SocketAddr) -> Result<TcpListener, Failure> {
    TcpListener::bind(address)
        .await
        .map_err(|error| Failure::Failed(format!("cannot listen on {address}: {error}")))
}
