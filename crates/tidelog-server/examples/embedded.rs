//! Logs inside a server that is there already, with its own sessions and its own rules.
//!
//! The surrounding app knows who is logged in; an [`Authorizer`] passes that on. And it knows what a todo may go through: the
//! decider is the one that runs in the browser (`tidelog-client`'s `Session` takes the same type), and here it judges what devices push.
//!
//! `cargo run -p tidelog-server --example embedded`, then
//! `curl -H 'cookie: session=s3cret-of-ann' http://127.0.0.1:8080/sync/v1/logs/home-ann`

use axum::extract::Request;
use axum::http::{header, request::Parts};
use axum::middleware::{self, Next};
use axum::response::Response;
use axum::routing::get;
use axum::{Extension, Router};
use serde::Deserialize;
use tidelog_core::decider::Decider;
use tidelog_core::{Expected, LogName, StreamId, Subject};
use tidelog_server::check::{CommitCheck, Proposed, Refused};
use tidelog_server::http::{App, Authorizer, Denied, Grant, Settings, router};
use tidelog_server::store::{LogStore, SqliteStore, StoreError};

/// What a todo goes through.
#[derive(Debug)]
struct Todo;

/// How far it is.
#[derive(Debug, Clone, Default)]
struct State {
    exists: bool,
    done: bool,
}

/// What people ask for.
#[derive(Debug, Clone)]
enum Command {
    /// Let there be one.
    Add {
        /// What is to be done.
        title: String,
    },
    /// It is done.
    Complete,
}

/// What happened.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(tag = "type", content = "data")]
enum Event {
    /// There is one.
    #[serde(rename = "todo.added")]
    Added {
        /// What is to be done.
        title: String,
    },
    /// It was done.
    #[serde(rename = "todo.completed")]
    Completed {},
}

impl Decider for Todo {
    type State = State;
    type Command = Command;
    type Event = Event;
    type Refusal = &'static str;

    fn initial(&self) -> State {
        State::default()
    }

    fn decide(&self, state: &State, command: &Command) -> Result<Vec<Event>, &'static str> {
        match command {
            Command::Add { .. } if state.exists => Err("there is one already"),
            Command::Add { title } if title.is_empty() => Err("what is to be done?"),
            Command::Add { title } => Ok(vec![Event::Added {
                title: title.clone(),
            }]),
            Command::Complete if !state.exists => Err("there is none"),
            Command::Complete if state.done => Ok(vec![]),
            Command::Complete => Ok(vec![Event::Completed {}]),
        }
    }

    fn evolve(&self, state: State, event: &Event) -> State {
        match event {
            Event::Added { .. } => State {
                exists: true,
                ..state
            },
            Event::Completed {} => State {
                done: true,
                ..state
            },
        }
    }
}

impl Event {
    /// Reads one as it travels.
    fn read(event: &tidelog_core::Event) -> Result<Self, Refused> {
        let data: serde_json::Value =
            serde_json::from_str(event.data.text().unwrap_or_default()).unwrap_or_default();
        let named = serde_json::json!({ "type": event.event_type.as_str(), "data": data });
        serde_json::from_value(named)
            .map_err(|error| Refused::forbidden(format!("{}: {error}", event.stream)))
    }

    /// The command that can have caused it.
    fn cause(&self) -> Command {
        match self {
            Self::Added { title } => Command::Add {
                title: title.clone(),
            },
            Self::Completed {} => Command::Complete,
        }
    }
}

/// Lets nobody store what the decider would not have decided.
#[derive(Debug)]
struct Decided;

impl CommitCheck for Decided {
    async fn check(&self, proposed: &Proposed<'_>) -> Result<(), Refused> {
        let mut streams: Vec<&StreamId> =
            proposed.commit.events.iter().map(|e| &e.stream).collect();
        streams.sort_unstable();
        streams.dedup();
        for stream in streams {
            // What it was judged on must be what it is stored on: otherwise it is a conflict, and its author decides again.
            let expects = proposed.commit.conditions.iter().any(|condition| {
                condition.stream == *stream
                    && matches!(
                        condition.expected,
                        Expected::Exact { .. } | Expected::NoStream
                    )
            });
            if !expects {
                return Err(Refused::forbidden(format!(
                    "say which version of {stream} it builds on"
                )));
            }
            let mut state = Todo.initial();
            for event in proposed.stream(stream).await? {
                state = Todo.evolve(state, &Event::read(&event)?);
            }
            for event in proposed
                .commit
                .events
                .iter()
                .filter(|event| event.stream == *stream)
            {
                let event = Event::read(event)?;
                match Todo.decide(&state, &event.cause()) {
                    Ok(events) if events == [event.clone()] => {}
                    Ok(_) => {
                        return Err(Refused::forbidden(format!(
                            "{stream}: that changes nothing"
                        )));
                    }
                    Err(why) => return Err(Refused::forbidden(format!("{stream}: {why}"))),
                }
                state = Todo.evolve(state, &event);
            }
        }
        Ok(())
    }
}

/// Somebody who is logged in to the surrounding app.
#[derive(Debug, Clone)]
struct User {
    name: &'static str,
}

/// Everybody has one log, their home.
#[derive(Debug)]
struct Homes;

impl Authorizer for Homes {
    type Caller = User;

    async fn identify(&self, request: &Parts) -> Result<User, Denied> {
        let user = request.extensions.get::<User>().cloned();
        user.ok_or_else(|| Denied::unknown("log in first"))
    }

    async fn grant(&self, user: &User, log: &LogName) -> Result<Option<Grant>, Denied> {
        let subject =
            Subject::new(user.name).map_err(|error| Denied::unknown(error.to_string()))?;
        let is_home = log.as_str() == format!("home-{}", user.name);
        Ok(is_home.then(|| Grant::append(subject)))
    }
}

/// What the surrounding app does with every request: it finds out who is logged in.
async fn session(mut request: Request, next: Next) -> Response {
    let cookie = request.headers().get(header::COOKIE);
    let name = match cookie.and_then(|cookie| cookie.to_str().ok()) {
        Some("session=s3cret-of-ann") => Some("ann"),
        Some("session=s3cret-of-ben") => Some("ben"),
        _ => None,
    };
    if let Some(name) = name {
        request.extensions_mut().insert(User { name });
    }
    next.run(request).await
}

async fn hello(user: Option<Extension<User>>) -> String {
    format!(
        "Hello {}",
        user.map_or("stranger", |Extension(user)| user.name)
    )
}

/// The surrounding app, with logs below `/sync`.
///
/// # Errors
/// If the database cannot be written.
pub(crate) async fn app(store: SqliteStore) -> Result<Router, StoreError> {
    for name in ["home-ann", "home-ben"] {
        if let Ok(log) = LogName::new(name) {
            store.create(&log).await?;
        }
    }
    let mut settings = Settings::new(Homes);
    settings.check_commits(Decided);
    Ok(Router::new()
        .route("/hello", get(hello))
        .nest("/sync", router(App::new(store, settings)))
        .layer(middleware::from_fn(session)))
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let app = app(SqliteStore::open("embedded.db")?).await?;
    let listener = tokio::net::TcpListener::bind("127.0.0.1:8080").await?;
    axum::serve(listener, app).await?;
    Ok(())
}
