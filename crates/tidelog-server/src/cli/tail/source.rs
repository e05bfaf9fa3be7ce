//! Where the commits come from: a database, or a server.

use crate::cli::Failure;
use crate::cli::target::Target;
use crate::store::{After, AnyStore, LogStore, PageCap};
use std::time::Duration;
use tidelog_core::protocol::{CLIENT_HEADER, CLIENT_VERSION, FRAMES, HEAD_HEADER};
use tidelog_core::{LogName, Position, Recorded, frame};
use tokio::runtime::Runtime;
use ureq::http::{Response, StatusCode};
use ureq::{Agent, Body};

/// How long one question waits for news.
const WAIT: Duration = Duration::from_secs(25);
/// How long an answer may take that is not waited for.
const TIMEOUT: Duration = Duration::from_secs(30);
const PAGE: PageCap = PageCap {
    bytes: 1024 * 1024,
    events: u64::MAX,
};

/// Commits in order, and where they end: past gaps, too.
pub(super) struct Read {
    pub(super) commits: Vec<Recorded>,
    pub(super) end: Position,
}

/// Why a source gave nothing.
pub(super) enum Trouble {
    /// It may give something if it is asked again.
    Passing(String),
    /// It will not.
    Lasting(Failure),
}

impl Trouble {
    pub(super) fn into_failure(self) -> Failure {
        match self {
            Self::Passing(why) => Failure::Failed(why),
            Self::Lasting(failure) => failure,
        }
    }

    fn lasting(error: impl std::fmt::Display) -> Self {
        Self::Lasting(Failure::failed(error))
    }
}

pub(super) enum Source {
    Database {
        runtime: Runtime,
        store: AnyStore,
        log: LogName,
    },
    Server {
        agent: Agent,
        /// Of the log.
        url: String,
        authorization: Option<String>,
    },
}

impl Source {
    pub(super) fn database(target: &Target, log: &LogName) -> Result<Self, Failure> {
        let runtime = crate::cli::runtime()?;
        let store = runtime.block_on(target.open_to_read())?;
        let log = log.clone();
        Ok(Self::Database {
            runtime,
            store,
            log,
        })
    }

    pub(super) fn server(url: &str, token: Option<&str>, log: &LogName) -> Result<Self, Failure> {
        if !["http://", "https://"]
            .iter()
            .any(|scheme| url.starts_with(scheme))
        {
            return Err(Failure::Refused(format!(
                "--url {url:?} does not begin with http:// or https://"
            )));
        }
        let agent = crate::agent::config()
            .http_status_as_error(false)
            .timeout_global(Some(WAIT + TIMEOUT))
            // A token is for the one it was given for.
            .max_redirects(0)
            .build();
        Ok(Self::Server {
            agent: agent.into(),
            url: format!("{}/v1/logs/{log}", url.trim_end_matches('/')),
            authorization: token.map(|token| format!("Bearer {token}")),
        })
    }

    /// Where the log ends now.
    pub(super) fn end(&mut self) -> Result<Position, Trouble> {
        match self {
            Self::Database {
                runtime,
                store,
                log,
            } => {
                let state = runtime.block_on(store.state(log));
                let state = state.map_err(|error| Trouble::Lasting(error.into()))?;
                Ok(state.head.position)
            }
            Self::Server {
                agent,
                url,
                authorization,
            } => {
                let response = ask(agent, url, authorization.as_deref(), "application/json")?;
                head(&response)
            }
        }
    }

    /// What comes after a position; if it may, it waits a while for something to come.
    pub(super) fn read(&mut self, after: Position, wait: bool) -> Result<Read, Trouble> {
        match self {
            Self::Database {
                runtime,
                store,
                log,
            } => runtime.block_on(async {
                // Watching begins before reading, so nothing is missed between the two.
                let mut watch = store.watch(log);
                let page = store.page(log, After::Position(after), PAGE).await;
                let page = page.map_err(|error| Trouble::Lasting(error.into()))?;
                let commits: Vec<Recorded> =
                    page.commits.into_iter().map(|one| one.recorded).collect();
                if commits.is_empty() && wait {
                    // Whether there was news or not, the log is what is read next.
                    let _news = tokio::time::timeout(WAIT, watch.changed()).await;
                }
                let end = commits.last().map_or(after, Recorded::last_position);
                Ok(Read { commits, end })
            }),
            Self::Server {
                agent,
                url,
                authorization,
            } => {
                let seconds = if wait { WAIT.as_secs() } else { 0 };
                let url = format!("{url}/commits?after={after}&wait={seconds}");
                let mut response = ask(agent, &url, authorization.as_deref(), FRAMES)?;
                let bytes = response
                    .body_mut()
                    .read_to_vec()
                    .map_err(|error| Trouble::Passing(error.to_string()))?;
                decoded(&bytes, after)
            }
        }
    }
}

/// The commits of frames that follow each other, and where these end.
fn decoded(bytes: &[u8], after: Position) -> Result<Read, Trouble> {
    let (mut commits, mut end) = (Vec::new(), after);
    for bytes in frame::split(bytes).map_err(Trouble::lasting)? {
        let frame = frame::decode(bytes).map_err(Trouble::lasting)?;
        if let Some(last) = frame.steps().last() {
            end = last.last();
        }
        if let frame::Body::Recorded(more) = frame.body {
            commits.extend(more);
        }
    }
    Ok(Read { commits, end })
}

fn ask(
    agent: &Agent,
    url: &str,
    authorization: Option<&str>,
    media_type: &str,
) -> Result<Response<Body>, Trouble> {
    let mut request = agent
        .get(url)
        .header("accept", media_type)
        .header(CLIENT_HEADER, CLIENT_VERSION.to_string());
    if let Some(authorization) = authorization {
        request = request.header("authorization", authorization);
    }
    let mut response = request.call().map_err(|error| match error {
        ureq::Error::BadUri(_) | ureq::Error::Http(_) => Trouble::lasting(error),
        error => Trouble::Passing(format!("{url}: {error}")),
    })?;
    let status = response.status();
    let is_expected = response
        .headers()
        .get("content-type")
        .is_some_and(|found| found.as_bytes().starts_with(media_type.as_bytes()));
    if status == StatusCode::OK && is_expected {
        return Ok(response);
    }
    let body = response.body_mut().read_to_string().unwrap_or_default();
    let detail = serde_json::from_str::<serde_json::Value>(&body)
        .ok()
        .and_then(|problem| Some(problem.get("detail")?.as_str()?.to_owned()));
    let why = match detail {
        Some(detail) => format!("the server says {}: {detail}", status.as_u16()),
        None => format!(
            "the answer is not a Tidelog server's (status {})",
            status.as_u16()
        ),
    };
    match status.is_server_error() || status == StatusCode::TOO_MANY_REQUESTS {
        true => Err(Trouble::Passing(why)),
        false => Err(Trouble::lasting(why)),
    }
}

fn head(response: &Response<Body>) -> Result<Position, Trouble> {
    response
        .headers()
        .get(HEAD_HEADER)
        .and_then(|head| head.to_str().ok()?.parse().ok())
        .map(Position::new)
        .ok_or_else(|| Trouble::lasting("the answer does not say where the log ends"))
}
