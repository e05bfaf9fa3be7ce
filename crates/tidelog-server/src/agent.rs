//! How this program asks other servers.

use ureq::Agent;
use ureq::config::ConfigBuilder;
use ureq::tls::{RootCerts, TlsConfig};
use ureq::typestate::AgentScope;

/// Trusts whom the system trusts, as connections to PostgreSQL and S3 do, so that whoever runs a server with a certificate authority
/// of their own names it once: in the system's store, or in `SSL_CERT_FILE` or `SSL_CERT_DIR` instead of that store.
pub(crate) fn config() -> ConfigBuilder<AgentScope> {
    let tls = TlsConfig::builder().root_certs(RootCerts::PlatformVerifier);
    Agent::config_builder().tls_config(tls.build())
}
