//! Keys that whoever issues tokens publishes: a JWK set at a URL.
//!
//! Nothing but that URL is ever asked: no redirect is followed, no proxy of the environment is used, and what a token says
//! of keys is not looked at. A key that is not known makes the set be asked for again, at most every [`PAUSE`]; one that is
//! no longer in the set is known for at most [`AGE`] more, as long as the URL answers. If it does not, the keys stay.

use super::jwt::{Key, KeysError, published};
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;
use tokio::sync::Mutex;
use tokio::time::Instant;

/// The shortest time between two calls.
const PAUSE: Duration = Duration::from_secs(5);
/// After how long the set is asked for again although all keys are known.
const AGE: Duration = Duration::from_secs(300);
/// How long a call may take.
const CALL: Duration = Duration::from_secs(5);
/// The most bytes of a set.
const MAX_BYTES: u64 = 256 * 1024;

/// A JWK set at a URL, as it was last fit for use.
pub(super) struct Published {
    url: String,
    keys: RwLock<Arc<Vec<Key>>>,
    /// When it was last asked; held by who asks.
    asked: Mutex<Instant>,
}

impl Published {
    /// Asks for the set.
    ///
    /// # Errors
    /// [`KeysError`] if it cannot be read, or none of its keys is fit for use.
    pub(super) async fn at(url: &str) -> Result<Self, KeysError> {
        check(url)?;
        Ok(Self {
            url: url.to_owned(),
            keys: RwLock::new(Arc::new(call(url.to_owned()).await?)),
            asked: Mutex::new(Instant::now()),
        })
    }

    pub(super) fn keys(&self) -> Arc<Vec<Key>> {
        Arc::clone(&self.keys.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// Asks again if the keys are old. Whoever finds somebody else asking goes on with the keys there are.
    pub(super) async fn keep_young(&self) {
        if let Ok(mut asked) = self.asked.try_lock()
            && asked.elapsed() >= AGE
        {
            self.ask(&mut asked).await;
        }
    }

    /// Asks again because a key is not known, unless it was asked just now.
    pub(super) async fn look_again(&self) {
        let mut asked = self.asked.lock().await;
        if asked.elapsed() >= PAUSE {
            self.ask(&mut asked).await;
        }
    }

    async fn ask(&self, asked: &mut Instant) {
        *asked = Instant::now();
        match call(self.url.clone()).await {
            Ok(keys) => {
                *self.keys.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(keys);
            }
            Err(error) => tracing::error!(%error, "the keys cannot be fetched; the old keys stay"),
        }
    }
}

/// Over the open net only what TLS has vouched for is a key.
fn check(url: &str) -> Result<(), KeysError> {
    let refused = |detail: &str| KeysError::Url {
        detail: detail.into(),
    };
    let uri: axum::http::Uri = url.parse().map_err(|_why| refused("it is no URL"))?;
    let host = uri.host().unwrap_or_default();
    let plain = host.trim_start_matches('[').trim_end_matches(']');
    let is_here = plain == "localhost"
        || plain
            .parse::<std::net::IpAddr>()
            .is_ok_and(|address| address.is_loopback());
    match uri.scheme_str() {
        Some("https") => Ok(()),
        Some("http") if is_here => Ok(()),
        _ => Err(refused(
            "it must begin with https://, but for this machine's own addresses",
        )),
    }
}

async fn call(url: String) -> Result<Vec<Key>, KeysError> {
    let unanswered = |detail: String| KeysError::Url { detail };
    let text = tokio::task::spawn_blocking(move || {
        let agent: ureq::Agent = crate::agent::config()
            .timeout_global(Some(CALL))
            .max_redirects(0)
            .max_redirects_will_error(true)
            .proxy(None)
            .build()
            .into();
        let mut answer = agent
            .get(&url)
            .header("accept", "application/json")
            .call()?;
        answer
            .body_mut()
            .with_config()
            .limit(MAX_BYTES)
            .read_to_string()
    })
    .await
    .map_err(|error| unanswered(error.to_string()))?
    .map_err(|error: ureq::Error| unanswered(error.to_string()))?;
    published(&text)
}

#[cfg(test)]
mod tests {
    use super::check;

    #[test]
    fn keys_come_over_tls_or_from_this_machine() {
        for url in [
            "https://id.example/keys",
            "http://127.0.0.1:9/keys",
            "http://[::1]:9/keys",
            "http://localhost/keys",
        ] {
            assert!(check(url).is_ok(), "{url}");
        }
        for url in [
            "http://id.example/keys",
            "http://127.0.0.1.evil.example/",
            "http://localhost.evil.example/",
            "file:///etc/passwd",
            "keys.json",
            "",
        ] {
            assert!(check(url).is_err(), "{url}");
        }
    }
}
