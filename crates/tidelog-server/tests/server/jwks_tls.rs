//! Keys that are published over HTTPS: whose certificate is taken.

use crate::harness::{BIN, Server, name_database, text};
use crate::jwks::{Issuer, read, token, until};
use crate::jwt::{ISSUER, ed25519, p256, public};
use jsonwebtoken::Algorithm;
use rcgen::{BasicConstraints, CertificateParams, IsCa, KeyPair, date_time_ymd};
use rustls::pki_types::{CertificateDer, PrivatePkcs8KeyDer};
use rustls::{ServerConfig, ServerConnection, StreamOwned};
use std::io::{BufRead, BufReader, Write};
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use tempfile::TempDir;

/// Where the issuer is, as its certificate says.
const HERE: &str = "127.0.0.1";

/// Somebody who signs certificates.
struct Authority {
    pem: String,
    issuer: rcgen::Issuer<'static, KeyPair>,
}

impl Authority {
    fn new() -> Self {
        let key = KeyPair::generate().expect("a key");
        let mut params = CertificateParams::default();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let own = params.self_signed(&key).expect("a certificate");
        Self {
            pem: own.pem(),
            issuer: rcgen::Issuer::new(params, key),
        }
    }

    /// What a server for this host shows.
    fn certified(&self, host: &str, change: impl FnOnce(&mut CertificateParams)) -> Shown {
        let key = KeyPair::generate().expect("a key");
        let mut params = CertificateParams::new([host.to_owned()]).expect("a name");
        change(&mut params);
        let signed = params.signed_by(&key, &self.issuer).expect("signed");
        shown(signed.der().clone(), &key)
    }

    /// The file that makes a server trust it.
    fn file(&self, folder: &Path) -> PathBuf {
        let file = folder.join("authority.pem");
        std::fs::write(&file, &self.pem).expect("a file");
        file
    }
}

/// A certificate and its key, as the side of a connection that shows them.
type Shown = Arc<ServerConfig>;

fn shown(certificate: CertificateDer<'static>, key: &KeyPair) -> Shown {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .expect("versions of TLS")
        .with_no_client_auth();
    let key = PrivatePkcs8KeyDer::from(key.serialize_der());
    let config = config.with_single_cert(vec![certificate], key.into());
    Arc::new(config.expect("a certificate and its key"))
}

/// What answers at the URL, with which certificate, and how often somebody came.
struct Secure {
    url: String,
    says: Arc<Mutex<(Shown, String)>>,
    came: Arc<AtomicUsize>,
}

impl Secure {
    fn new(shown: Shown, answer: String) -> Self {
        let listener = TcpListener::bind((HERE, 0)).expect("a port");
        let url = format!(
            "https://{}/keys",
            listener.local_addr().expect("an address")
        );
        let secure = Self {
            url,
            says: Arc::new(Mutex::new((shown, answer))),
            came: Arc::default(),
        };
        let (says, came) = (Arc::clone(&secure.says), Arc::clone(&secure.came));
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                let (shown, answer) = says.lock().expect("a lock").clone();
                // Whoever does not like the certificate is gone.
                let _ = served(stream.expect("a connection"), shown, &answer);
                came.fetch_add(1, Ordering::SeqCst);
            }
        });
        secure
    }

    fn say(&self, shown: Shown, answer: String) {
        *self.says.lock().expect("a lock") = (shown, answer);
    }

    fn came(&self) -> usize {
        self.came.load(Ordering::SeqCst)
    }

    /// `tidelog serve` with the keys from here, trusting nobody but the authority of this file.
    fn serve(&self, trusted: &Path) -> Command {
        let mut serve = Command::new(BIN);
        serve
            .args(["serve", "--jwt-jwks", &self.url])
            .args(["--jwt-issuer", ISSUER, "--jwt-audience", "tidelog"])
            .env("SSL_CERT_FILE", trusted)
            .env_remove("SSL_CERT_DIR");
        serve
    }
}

fn served(stream: TcpStream, shown: Shown, answer: &str) -> std::io::Result<()> {
    let connection = ServerConnection::new(shown).map_err(std::io::Error::other)?;
    let mut stream = BufReader::new(StreamOwned::new(connection, stream));
    let mut line = String::new();
    while stream.read_line(&mut line)? > 2 {
        line.clear();
    }
    let stream = stream.get_mut();
    stream.write_all(answer.as_bytes())?;
    stream.conn.send_close_notify();
    stream.flush()
}

#[test]
fn keys_come_over_https_from_whom_a_trusted_authority_vouches_for() {
    let (authority, stranger) = (Authority::new(), Authority::new());
    let folder = TempDir::new().expect("a directory");
    let trusted = authority.file(folder.path());
    let ed = public(&ed25519(), Algorithm::EdDSA, "ed");
    let keys = Issuer::keys(std::slice::from_ref(&ed));
    let secure = Secure::new(authority.certified(HERE, |_params| {}), keys);
    let mut serve = secure.serve(&trusted);
    let directory = TempDir::new().expect("a directory");
    name_database(&mut serve, &directory.path().join("tidelog.db"));
    let server = Server::spawn(serve, directory, &["--log", "todos"]);
    let good = token(Algorithm::EdDSA, "ed", &ed25519());
    assert_eq!(read(&server, &good).status, 200);
    // Somebody takes the issuer's place and publishes a key of their own.
    let own = public(&p256(), Algorithm::ES256, "ec");
    let forged = token(Algorithm::ES256, "ec", &p256());
    secure.say(
        stranger.certified(HERE, |_params| {}),
        Issuer::keys(&[ed, own]),
    );
    until("it does not ask again", || {
        read(&server, &forged).is_problem(401, "unauthorized");
        secure.came() >= 2
    });
    read(&server, &forged).is_problem(401, "unauthorized");
    assert_eq!(read(&server, &good).status, 200, "the old keys stay");
}

#[test]
fn a_wrong_certificate_is_refused_at_the_start() {
    let (authority, stranger) = (Authority::new(), Authority::new());
    let folder = TempDir::new().expect("a directory");
    let trusted = authority.file(folder.path());
    let own = KeyPair::generate().expect("a key");
    let signed_by_itself = CertificateParams::new([HERE.to_owned()])
        .and_then(|params| params.self_signed(&own))
        .expect("a certificate");
    for (what, certificate) in [
        (
            "an authority that nobody trusts",
            stranger.certified(HERE, |_params| {}),
        ),
        (
            "another host",
            authority.certified("id.example", |_params| {}),
        ),
        (
            "a time that is over",
            authority.certified(HERE, |params| {
                params.not_before = date_time_ymd(2020, 1, 1);
                params.not_after = date_time_ymd(2021, 1, 1);
            }),
        ),
        ("itself alone", shown(signed_by_itself.der().clone(), &own)),
    ] {
        let ed = public(&ed25519(), Algorithm::EdDSA, "ed");
        let secure = Secure::new(certificate, Issuer::keys(&[ed]));
        let output = secure
            .serve(&trusted)
            .args(["--listen", "127.0.0.1:0", "--db"])
            .arg(folder.path().join("x.db"))
            .output()
            .expect("it runs");
        let said = text(&output.stderr);
        assert_eq!(output.status.code(), Some(2), "{what}: {said}");
        assert!(said.contains("certificate"), "{what}: {said:?}");
    }
}
