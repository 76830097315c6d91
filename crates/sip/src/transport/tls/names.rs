//! Who a server's certificate says that it is (RFC 5922 §7).

use std::sync::Arc;

use tokio_rustls::rustls::{
    CertificateError, DigitallySignedStruct, Error, RootCertStore, SignatureScheme,
    client::{
        danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier},
        verify_server_cert_signed_by_trust_anchor, verify_server_name,
    },
    crypto::{CryptoProvider, WebPkiSupportedAlgorithms, verify_tls12_signature, verify_tls13_signature},
    pki_types::{CertificateDer, ServerName, UnixTime},
    server::ParsedCertificate,
};
use webpki::EndEntityCert;

/// Believes a server whose certificate comes from a trusted root and names the SIP domain that was asked for.
#[derive(Debug)]
pub(super) struct Verifier {
    roots: Arc<RootCertStore>,
    algorithms: WebPkiSupportedAlgorithms,
}

impl Verifier {
    pub(super) fn new(roots: RootCertStore, provider: &CryptoProvider) -> Verifier {
        Verifier {
            roots: Arc::new(roots),
            algorithms: provider.signature_verification_algorithms,
        }
    }
}

impl ServerCertVerifier for Verifier {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        server_name: &ServerName<'_>,
        _ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        let parsed = ParsedCertificate::try_from(end_entity)?;
        verify_server_cert_signed_by_trust_anchor(&parsed, &self.roots, intermediates, now, self.algorithms.all)?;
        let ServerName::DnsName(domain) = server_name else {
            // An address is no domain: its certificate must name the address.
            verify_server_name(&parsed, server_name)?;
            return Ok(ServerCertVerified::assertion());
        };
        let certificate = EndEntityCert::try_from(end_entity)
            .map_err(|_| Error::InvalidCertificate(CertificateError::BadEncoding))?;
        let (uris, names) = (certificate.valid_uri_names(), certificate.valid_dns_names());
        if is_named(domain.as_ref(), uris, names) {
            return Ok(ServerCertVerified::assertion());
        }
        Err(Error::InvalidCertificate(CertificateError::NotValidForName))
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls12_signature(message, cert, dss, &self.algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls13_signature(message, cert, dss, &self.algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.algorithms.supported_schemes()
    }
}

/// Whether one of a certificate's names is this SIP domain. A `sip:` URI without user is one; DNS names count only where no
/// such URI is (§7.1). They are compared whole: no wildcard matches (§7.2).
fn is_named<'a>(domain: &str, uris: impl Iterator<Item = &'a str>, names: impl Iterator<Item = &'a str>) -> bool {
    let mut domains = uris.filter_map(sip_domain).peekable();
    if domains.peek().is_some() {
        return domains.any(|named| same(named, domain));
    }
    let mut names = names;
    names.any(|named| same(named, domain))
}

/// The domain of a `sip:` URI without user.
fn sip_domain(uri: &str) -> Option<&str> {
    let (scheme, rest) = uri.split_once(':')?;
    let plain = !rest.is_empty() && !rest.contains(['@', ';', '?', ':', '*']);
    (scheme.eq_ignore_ascii_case("sip") && plain).then_some(rest)
}

fn same(named: &str, domain: &str) -> bool {
    named
        .trim_end_matches('.')
        .eq_ignore_ascii_case(domain.trim_end_matches('.'))
}

#[cfg(test)]
mod tests {
    use super::is_named;

    fn named(domain: &str, uris: &[&str], names: &[&str]) -> bool {
        is_named(domain, uris.iter().copied(), names.iter().copied())
    }

    #[test]
    fn a_sip_uri_names_the_domain_and_then_dns_names_do_not_count() {
        assert!(named("example.com", &["sip:Example.COM"], &["pbx.example.com"]));
        assert!(!named("pbx.example.com", &["sip:example.com"], &["pbx.example.com"]));
    }

    #[test]
    fn uris_of_users_and_of_other_schemes_name_no_domain() {
        for uri in ["sip:alice@example.com", "sips:example.com", "https:example.com", "sip:"] {
            assert!(!named("example.com", &[uri], &[]), "{uri}");
            assert!(named("example.com", &[uri], &["example.com"]), "{uri}");
        }
    }

    #[test]
    fn no_wildcard_matches_and_no_part_of_a_name() {
        assert!(!named("pbx.example.com", &[], &["*.example.com", "example.com"]));
        assert!(named("pbx.example.com", &[], &["other.org", "PBX.example.com"]));
    }
}
