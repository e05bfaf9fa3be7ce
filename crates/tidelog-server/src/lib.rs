//! Tidelog's sync server: many logs in one SQLite file, or in a PostgreSQL database that any number of processes share.
//!
//! - [`store`]: what the server asks of a database, as a contract, and two that keep it: SQLite (one writer thread, group
//!   commit across logs) and, by the feature `postgres`, PostgreSQL. Both answer only after the transaction is on disk;
//! - [`http`]: the protocol as an axum [`Router`](axum::Router) over any store, so it can be mounted in other servers;
//! - [`check`]: what a server demands of payloads, and [`schemas`], which do so by JSON Schema;
//! - [`cli`]: the program `tidelog`: serves, imports, exports, verifies, backs up, restores, counts, follows, describes the API,
//!   and checks other servers.
//!
//! Invariant: every decision about a commit is [`tidelog_core::authority::admit`]'s; this crate only gathers its facts
//! under the log's lock and stores what it accepts.
//!
//! ```no_run
//! # async fn serve() -> Result<(), Box<dyn std::error::Error>> {
//! use tidelog_server::{http::{self, App, Dev, Settings}, store::{LogStore, SqliteStore}};
//! let store = SqliteStore::open("tidelog.db")?;
//! store.create(&"todos".parse()?).await?;
//! let app = App::new(store, Settings::new(Dev));
//! let listener = tokio::net::TcpListener::bind("127.0.0.1:8080").await?;
//! axum::serve(listener, http::router(app)).await?;
//! # Ok(()) }
//! ```

mod agent;
pub mod check;
pub mod cli;
pub mod clock;
mod conformance;
mod derived;
pub mod http;
pub mod schemas;
pub mod store;
