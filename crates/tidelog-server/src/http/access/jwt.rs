//! JSON Web Tokens: signed by somebody else, checked with the keys of a JWK set (RFC 7517).
//!
//! A key takes tokens of its own algorithm and no other, so a token cannot choose how it is checked. What a token's header says of keys (`jwk`, `jku`,
//! `x5u`) is not looked at, and nothing is ever fetched because of a token.

use super::jwks::Published;
use super::tokens::is_kind;
use super::watched::Watched;
use super::{Authorizer, Denied, Grant, Kinds, bearer};
use axum::http::request::Parts;
use jsonwebtoken::errors::ErrorKind;
use jsonwebtoken::jwk::{AlgorithmParameters, EllipticCurve, Jwk, KeyAlgorithm, PublicKeyUse};
use jsonwebtoken::{Algorithm, DecodingKey, Validation};
use serde::Deserialize;
use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::Arc;
use tidelog_core::{LogName, Subject, Timestamp};

/// Clocks may differ by so many seconds.
const LEEWAY: u64 = 30;
/// The most bytes of a token.
const MAX_TOKEN_BYTES: usize = 8 * 1024;
/// The fewest bytes of a shared secret: those of its hash (RFC 7518, 3.2).
const MIN_SECRET_BYTES: usize = 32;
/// The fewest base64 digits of an RSA modulus: 2,048 bits (RFC 7518, 3.3).
const MIN_MODULUS_DIGITS: usize = 342;

/// The keys that tokens are checked with, who must have issued them, and for whom.
///
/// A token names its subject in `sub`, must have `exp`, `iss` and `aud`, and says in the claim `tidelog` what it allows, by log: `"read"`,
/// `"append"` (which includes reading), `"erase"` (which includes both), or kinds of streams: those that may be appended to, those in
/// which payloads may be erased, and those that may be read beside them (everything, if `read` is not there). A name that ends with `*` stands for all logs that begin so; the longest name
/// that fits a log decides.
///
/// ```json
/// { "sub": "ann", "exp": 1767225600, "iss": "https://id.example", "aud": "tidelog",
///   "tidelog": { "todos": "append", "news": "read", "acme-*": { "append": ["order", "invoice"] },
///                "shop": { "read": ["price"], "append": ["order"], "erase": ["person"] } } }
/// ```
pub struct JwtKeys {
    issuer: String,
    audience: String,
    keys: Source,
}

enum Source {
    Watched(Watched<Vec<Key>>),
    Published(Box<Published>),
}

pub(super) struct Key {
    id: String,
    algorithm: Algorithm,
    key: DecodingKey,
}

impl std::fmt::Debug for JwtKeys {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("JwtKeys")
            .field("issuer", &self.issuer)
            .field("audience", &self.audience)
            .finish_non_exhaustive()
    }
}

/// Why keys cannot be used. Never holds one.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum KeysError {
    /// The file cannot be read.
    #[error("the file cannot be read: {0}")]
    Unreadable(#[from] std::io::Error),
    /// The text is no JWK set.
    #[error("this is not a JWK set, {{\"keys\": [ … ]}}: {0}")]
    NotASet(#[from] serde_json::Error),
    /// A key is not fit for use.
    #[error("key {number} {wrong}")]
    Key {
        /// Which one, from 1.
        number: usize,
        /// What is wrong with it and what to do.
        wrong: String,
    },
    /// The URL is not fit for use, or gives no answer.
    #[error("the keys cannot be fetched: {detail}")]
    Url {
        /// Why.
        detail: String,
    },
    /// There are none.
    #[error("it holds no key, so nobody could do anything")]
    None,
}

impl JwtKeys {
    /// Keys that stay as they are.
    ///
    /// # Errors
    /// [`KeysError`] if the text is not a JWK set, or one of its keys is not fit for use.
    pub fn parse(set: &str, issuer: &str, audience: &str) -> Result<Self, KeysError> {
        let keys = Source::Watched(Watched::fixed(parse(set)?));
        Ok(Self::new(keys, issuer, audience))
    }

    /// Keys of a file, which is read again when it changes: put the new key in, then sign with it, then take the old one out. If it cannot be read
    /// any more, the keys that were read last stay in use and the log says so.
    ///
    /// # Errors
    /// [`KeysError`] if it cannot be read, is not a JWK set, or one of its keys is not fit for use.
    pub fn watch(file: &Path, issuer: &str, audience: &str) -> Result<Self, KeysError> {
        let keys = Source::Watched(Watched::file(file, parse)?);
        Ok(Self::new(keys, issuer, audience))
    }

    /// Keys that the issuer publishes as a JWK set at this URL: `https`, but for this machine's own addresses. They are asked
    /// for now, again when a token names a key that is not known (every 5 seconds at most), and every 5 minutes. No redirect is
    /// followed. While the URL does not answer, the keys that were read last stay in use and the log says so.
    ///
    /// Such sets are made for others too: keys that are not fit for use here are left out, and one that does not say its algorithm has
    /// the one of its type (RSA: RS256, P-256: ES256, Ed25519: EdDSA). A shared secret cannot be published.
    ///
    /// # Errors
    /// [`KeysError`] if it cannot be read, or none of its keys is fit for use.
    pub async fn fetch(url: &str, issuer: &str, audience: &str) -> Result<Self, KeysError> {
        let keys = Source::Published(Box::new(Published::at(url).await?));
        Ok(Self::new(keys, issuer, audience))
    }

    fn new(keys: Source, issuer: &str, audience: &str) -> Self {
        Self {
            issuer: issuer.to_owned(),
            audience: audience.to_owned(),
            keys,
        }
    }

    /// What the token says, if it is one of the issuer's for us and good now. The error is for its owner, who may read it.
    async fn verify(&self, token: &str) -> Result<Claims, String> {
        if token.len() > MAX_TOKEN_BYTES {
            return Err(format!("the token is longer than {MAX_TOKEN_BYTES} bytes"));
        }
        let header = jsonwebtoken::decode_header(token).map_err(|error| wrong(error.kind()))?;
        let plain = header.typ.as_deref().is_none_or(|typ| {
            typ.eq_ignore_ascii_case("JWT") || typ.eq_ignore_ascii_case("at+jwt")
        });
        if !plain || header.crit.is_some() {
            return Err("this is not an access token".into());
        }
        let keys = self.keys(header.kid.as_deref()).await;
        let key = named(&keys, header.kid.as_deref())
            .ok_or("the token is signed with a key that is not known here")?;
        let mut validation = Validation::new(key.algorithm);
        validation.leeway = LEEWAY;
        validation.validate_nbf = true;
        validation.set_issuer(&[&self.issuer]);
        validation.set_audience(&[&self.audience]);
        validation.set_required_spec_claims(&["exp", "iss", "aud", "sub"]);
        jsonwebtoken::decode::<Claims>(token, &key.key, &validation)
            .map(|data| data.claims)
            .map_err(|error| wrong(error.kind()))
    }
}

impl JwtKeys {
    /// The keys, with the one of this name if the issuer has published it.
    async fn keys(&self, name: Option<&str>) -> Arc<Vec<Key>> {
        let published = match &self.keys {
            Source::Watched(file) => return file.get(parse),
            Source::Published(published) => published,
        };
        published.keep_young().await;
        let keys = published.keys();
        if named(&keys, name).is_some() {
            return keys;
        }
        published.look_again().await;
        published.keys()
    }
}

fn named<'k>(keys: &'k [Key], name: Option<&str>) -> Option<&'k Key> {
    match (name, keys) {
        (Some(name), keys) => keys.iter().find(|key| key.id == name),
        // Without a name there is nothing to choose from but a single key.
        (None, [key]) => Some(key),
        (None, _) => None,
    }
}

impl Authorizer for JwtKeys {
    type Caller = Claims;

    async fn identify(&self, request: &Parts) -> Result<Claims, Denied> {
        let token = bearer(&request.headers)?.ok_or_else(super::needed)?;
        self.verify(token).await.map_err(Denied::unknown)
    }

    async fn grant(&self, claims: &Claims, log: &LogName) -> Result<Option<Grant>, Denied> {
        Ok(claims.grant(log))
    }

    fn expires(&self, claims: &Claims) -> Option<Timestamp> {
        Some(claims.expires())
    }
}

fn wrong(kind: &ErrorKind) -> String {
    match kind {
        ErrorKind::ExpiredSignature => "the token has expired: get a new one".into(),
        ErrorKind::ImmatureSignature => "the token is not valid yet".into(),
        ErrorKind::InvalidIssuer => "the token is of another issuer".into(),
        ErrorKind::InvalidAudience => "the token is for another audience".into(),
        ErrorKind::MissingRequiredClaim(claim) => format!("the token does not have {claim}"),
        ErrorKind::Json(error) => format!("the token's claims are not as they should be: {error}"),
        _ => "the token is not valid here".into(),
    }
}

/// A JWK set as it is written.
#[derive(Deserialize)]
struct Set {
    keys: Vec<serde_json::Value>,
}

fn parse(set: &str) -> Result<Vec<Key>, KeysError> {
    let Set { keys } = serde_json::from_str(set)?;
    let mut parsed: Vec<Key> = Vec::new();
    for (number, value) in (1..).zip(keys) {
        let key =
            usable(value).and_then(|key| match parsed.iter().any(|known| known.id == key.id) {
                true => Err("has the kid of another one".into()),
                false => Ok(key),
            });
        parsed.push(key.map_err(|wrong| KeysError::Key { number, wrong })?);
    }
    match parsed.is_empty() {
        true => Err(KeysError::None),
        false => Ok(parsed),
    }
}

/// The keys of a published set that are fit for use.
pub(super) fn published(set: &str) -> Result<Vec<Key>, KeysError> {
    let Set { keys } = serde_json::from_str(set)?;
    let mut usable_keys: Vec<Key> = Vec::new();
    for mut value in keys {
        let kind = |name: &str| value.get(name).and_then(serde_json::Value::as_str);
        let algorithm = match (kind("kty"), kind("crv")) {
            (Some("RSA"), _) => "RS256",
            (Some("EC"), Some("P-256")) => "ES256",
            (Some("OKP"), Some("Ed25519")) => "EdDSA",
            // Others, and secrets, which are none once they are published.
            _ => continue,
        };
        if let Some(fields) = value.as_object_mut() {
            fields.entry("alg").or_insert_with(|| algorithm.into());
        }
        match usable(value) {
            Ok(key) if usable_keys.iter().all(|known| known.id != key.id) => usable_keys.push(key),
            Ok(_) => {}
            Err(wrong) => tracing::debug!(wrong, "a published key is left out"),
        }
    }
    match usable_keys.is_empty() {
        true => Err(KeysError::None),
        false => Ok(usable_keys),
    }
}

fn usable(value: serde_json::Value) -> Result<Key, String> {
    if value.get("d").is_some() {
        return Err("is a private one: a server needs the public part only, without d".into());
    }
    let jwk: Jwk = serde_json::from_value(value).map_err(|error| format!("is no JWK: {error}"))?;
    if !matches!(
        jwk.common.public_key_use,
        None | Some(PublicKeyUse::Signature)
    ) {
        return Err("is not for signatures (use)".into());
    }
    let id = jwk.common.key_id.clone().ok_or("has no kid")?;
    let algorithm = match (jwk.common.key_algorithm, &jwk.algorithm) {
        (None, _) => Err("has no alg: say which one it takes, so that no token can choose"),
        (Some(KeyAlgorithm::EdDSA), AlgorithmParameters::OctetKeyPair(key))
            if key.curve == EllipticCurve::Ed25519 =>
        {
            Ok(Algorithm::EdDSA)
        }
        (Some(KeyAlgorithm::ES256), AlgorithmParameters::EllipticCurve(key))
            if key.curve == EllipticCurve::P256 =>
        {
            Ok(Algorithm::ES256)
        }
        (Some(KeyAlgorithm::RS256), AlgorithmParameters::RSA(key)) => {
            match key.n.trim_end_matches('=').len() < MIN_MODULUS_DIGITS {
                true => Err("is shorter than 2048 bits"),
                false => Ok(Algorithm::RS256),
            }
        }
        (Some(KeyAlgorithm::HS256), AlgorithmParameters::OctetKey(_)) => Ok(Algorithm::HS256),
        (Some(_), _) => Err(
            "has another alg than EdDSA (Ed25519), ES256, RS256 or HS256, or a kty that does not fit it",
        ),
    }?;
    let key = DecodingKey::from_jwk(&jwk).map_err(|error| format!("cannot be read: {error}"))?;
    let secret = key.try_get_as_bytes().map_or(0, <[u8]>::len);
    if algorithm == Algorithm::HS256 && secret < MIN_SECRET_BYTES {
        return Err(format!("is shorter than {MIN_SECRET_BYTES} bytes"));
    }
    Ok(Key { id, algorithm, key })
}

/// What a token says.
#[derive(Debug, Clone, Deserialize)]
pub struct Claims {
    sub: Subject,
    exp: f64,
    #[serde(default)]
    tidelog: BTreeMap<String, GrantClaim>,
}

/// What a token allows on a log.
#[derive(Debug, Clone, Deserialize)]
#[serde(
    untagged,
    expecting = "a log is given \"read\", \"append\", \"erase\" or {\"read\": [kinds of streams], \"append\": [kinds of streams], \"erase\": [kinds of streams]}"
)]
enum GrantClaim {
    Scope(ScopeClaim),
    Kinds(KindsClaim),
}

#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(rename_all = "lowercase")]
enum ScopeClaim {
    Read,
    Append,
    Erase,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
struct KindsClaim {
    read: Option<BTreeSet<Kind>>,
    append: Option<BTreeSet<Kind>>,
    erase: Option<BTreeSet<Kind>>,
}

/// A kind of streams.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Deserialize)]
#[serde(try_from = "String")]
struct Kind(String);

impl TryFrom<String> for Kind {
    type Error = &'static str;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        match is_kind(&text) {
            true => Ok(Self(text)),
            false => Err("this is no kind of streams"),
        }
    }
}

impl Claims {
    #[expect(
        clippy::cast_possible_truncation,
        reason = "a float becomes the nearest number"
    )]
    const fn expires(&self) -> Timestamp {
        Timestamp::from_millis((self.exp * 1_000.0) as i64)
    }

    fn grant(&self, log: &LogName) -> Option<Grant> {
        let fits = |name: &str| match name.strip_suffix('*') {
            Some(prefix) => log.as_str().starts_with(prefix),
            None => log.as_str() == name,
        };
        let named = self.tidelog.iter().filter(|(name, _)| fits(name));
        // A whole name is longer than any beginning of it with its star, but for the name itself with one.
        let (_, claim) = named
            .max_by_key(|(name, _)| (name.trim_end_matches('*').len(), !name.ends_with('*')))?;
        let subject = self.sub.clone();
        Some(match claim {
            GrantClaim::Scope(ScopeClaim::Read) => Grant::read(subject),
            GrantClaim::Scope(ScopeClaim::Append) => Grant::append(subject),
            GrantClaim::Scope(ScopeClaim::Erase) => Grant::append(subject).erasing(Kinds::All),
            GrantClaim::Kinds(KindsClaim {
                read,
                append,
                erase,
            }) => Grant::append(subject)
                .reading(read.as_ref().map_or(Kinds::All, kinds))
                .appending(append.as_ref().map_or(Kinds::none(), kinds))
                .erasing(erase.as_ref().map_or(Kinds::none(), kinds)),
        })
    }
}

fn kinds(named: &BTreeSet<Kind>) -> Kinds {
    named.iter().map(|Kind(kind)| kind.as_str()).collect()
}
