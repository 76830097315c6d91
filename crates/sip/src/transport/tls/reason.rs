//! Why a handshake failed, in words that say what to do.

use std::io;

use tokio_rustls::rustls::{AlertDescription, CertificateError, Error};

/// Our part in a handshake.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Side {
    /// We connected: the peer has proven who it is.
    Client,
    /// The peer connected.
    Server,
}

/// Why it failed.
pub(super) fn reason(error: &io::Error, side: Side) -> String {
    let inner = error.get_ref().and_then(|inner| inner.downcast_ref::<Error>());
    match inner {
        Some(error) => of(error, side).unwrap_or_else(|| error.to_string()),
        None => error.to_string(),
    }
}

fn of(error: &Error, side: Side) -> Option<String> {
    let key = match side {
        Side::Client => "sip.tls_ca",
        Side::Server => "sip.tls_client_ca",
    };
    Some(match error {
        Error::InvalidCertificate(CertificateError::UnknownIssuer) => {
            let roots = match side {
                Side::Client => "a root in sip.tls_ca (or of the system, where that is not set)",
                Side::Server => "a root in sip.tls_client_ca",
            };
            format!("its certificate is not signed by {roots}: to believe it put its root, or itself if it is self-signed, into the file of {key}")
        }
        Error::InvalidCertificate(CertificateError::Other(other)) if other.to_string().contains("CaUsedAsEndEntity") => {
            "its certificate is that of an authority (CA:TRUE), and no authority proves a server: it needs one that says CA:FALSE"
                .to_owned()
        }
        Error::InvalidCertificate(CertificateError::Expired | CertificateError::ExpiredContext { .. }) => {
            "its certificate has ended, or the clock of this machine is wrong".to_owned()
        }
        Error::InvalidCertificate(CertificateError::NotValidYet | CertificateError::NotValidYetContext { .. }) => {
            "its certificate is not valid yet, or the clock of this machine is wrong".to_owned()
        }
        Error::InvalidCertificate(CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. }) => {
            "its certificate does not name the domain or address that is called".to_owned()
        }
        Error::NoCertificatesPresented => format!("it shows no certificate, which {key} asks for"),
        Error::AlertReceived(
            alert @ (AlertDescription::UnknownCA
            | AlertDescription::BadCertificate
            | AlertDescription::CertificateUnknown
            | AlertDescription::CertificateExpired
            | AlertDescription::UnsupportedCertificate),
        ) => format!("it does not believe our certificate, sip.tls_certificate ({alert:?})"),
        Error::AlertReceived(AlertDescription::CertificateRequired) => {
            "it wants a certificate of ours and was shown none that it takes, sip.tls_certificate (CertificateRequired)".to_owned()
        }
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(error: Error, side: Side) -> String {
        reason(&io::Error::new(io::ErrorKind::InvalidData, error), side)
    }

    #[test]
    fn a_certificate_that_is_not_believed_is_told_with_the_key_to_set() {
        let unknown = Error::InvalidCertificate(CertificateError::UnknownIssuer);
        let said = told(unknown.clone(), Side::Client);
        assert!(
            said.starts_with("its certificate is not signed by a root in sip.tls_ca")
                && said.ends_with("into the file of sip.tls_ca"),
            "{said}"
        );
        assert!(told(unknown, Side::Server).ends_with("into the file of sip.tls_client_ca"));
        assert!(told(Error::NoCertificatesPresented, Side::Server).contains("sip.tls_client_ca"));
        let alert = Error::AlertReceived(AlertDescription::UnknownCA);
        assert!(told(alert, Side::Client).contains("sip.tls_certificate (UnknownCA)"));
    }

    #[test]
    fn what_needs_no_words_of_ours_stands_as_it_is() {
        let other = Error::InvalidCertificate(CertificateError::BadSignature);
        assert_eq!(told(other.clone(), Side::Client), other.to_string());
        assert_eq!(reason(&io::Error::other("gone"), Side::Client), "gone");
    }
}
