//! Notices by mail: SMTP submission (RFC 6409) with the message, its picture or a link.
//!
//! Who called says what stands in subject and text: both are cleaned (`words.rs`), headers are made by lettre, which encodes what is not ASCII
//! (RFC 2047), and HTML is escaped. The addresses are the subscriber's and the configuration's own.

use std::{
    fmt, io,
    time::{Duration, SystemTime},
};

use lettre::{
    AsyncSmtpTransport, AsyncTransport, Message, Tokio1Executor,
    address::Address,
    message::{
        Attachment, Mailbox, MultiPart, SinglePart,
        header::{ContentType, HeaderName, HeaderValue},
    },
    transport::smtp::{
        authentication::Credentials,
        client::{Certificate, CertificateStore, Tls, TlsParameters},
        response::Severity,
    },
};
use segue_mailbox::MediaState;
use segue_policy::Attach;
use segue_records::NoticeEvent;
use segue_store::{Due, Store, StoreError};
use tokio::task::spawn_blocking;
use tokio_rustls::rustls::pki_types::{CertificateDer, pem::PemObject};

use super::{
    Outcome, Settings, short,
    words::{NotAttached, Words},
};

/// For each command of the server; the greeting of a busy one may take a while.
const COMMAND: Duration = Duration::from_secs(20);

/// How the connection is protected.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MailTls {
    /// STARTTLS, or nothing is sent (RFC 3207).
    Starttls,
    /// From the first byte (RFC 8314 §3.3).
    Tls,
    /// Not at all.
    None,
}

/// A mail server and how we use it.
#[derive(Clone, PartialEq, Eq)]
pub struct MailServer {
    /// Its name or address.
    pub host: String,
    /// Its port.
    pub port: u16,
    /// How the connection is protected.
    pub tls: MailTls,
    /// User and password there.
    pub credentials: Option<(String, String)>,
    /// Who sends: an address, with a name in front perhaps (`Segue <segue@example.com>`).
    pub from: String,
    /// The largest media attached, bytes.
    pub attach_bytes_max: u64,
    /// PEM of the roots that its certificate must come from; `None`: the system's.
    pub roots: Option<Vec<u8>>,
}

impl fmt::Debug for MailServer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MailServer")
            .field("host", &self.host)
            .field("port", &self.port)
            .field("tls", &self.tls)
            .field("from", &self.from)
            .finish_non_exhaustive()
    }
}

/// Sends mail.
pub struct Mailer {
    from: Mailbox,
    attach_bytes_max: u64,
    transport: AsyncSmtpTransport<Tokio1Executor>,
}

impl fmt::Debug for Mailer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Mailer")
            .field("from", &self.from)
            .finish_non_exhaustive()
    }
}

impl Mailer {
    /// By this server. Nothing is connected to yet.
    ///
    /// # Errors
    /// What is wrong with the address or the roots.
    pub fn new(server: &MailServer) -> Result<Mailer, String> {
        let from: Mailbox = server
            .from
            .parse()
            .map_err(|e| format!("mail.from = {:?} is no mail address: {e}", server.from))?;
        let tls = match server.tls {
            MailTls::None => Tls::None,
            MailTls::Starttls => Tls::Required(parameters(server)?),
            MailTls::Tls => Tls::Wrapper(parameters(server)?),
        };
        let mut transport = AsyncSmtpTransport::<Tokio1Executor>::builder_dangerous(&server.host)
            .port(server.port)
            .timeout(Some(COMMAND))
            .tls(tls);
        if let Some((user, password)) = &server.credentials {
            transport = transport.credentials(Credentials::new(user.clone(), password.clone()));
        }
        Ok(Mailer {
            from,
            attach_bytes_max: server.attach_bytes_max,
            transport: transport.build(),
        })
    }

    pub(super) async fn send(&self, due: &Due, settings: &Settings, store: &Store) -> Outcome {
        let to: Option<Address> = due.notify.mail.as_deref().and_then(|to| to.parse().ok());
        let Some(to) = to else {
            return Outcome::Dead("there is no address to send mail to: 'segue subscriber set USER --mail'".to_owned());
        };
        let (store, wanted, max) = (store.clone(), due.clone(), self.attach_bytes_max);
        let along = match spawn_blocking(move || along(&store, &wanted, max)).await {
            Ok(Ok(along)) => along,
            Ok(Err(error)) => return Outcome::Again(error.to_string(), None),
            Err(_) => return Outcome::Again("a fault of ours".to_owned(), None),
        };
        let mail = match self.compose(due, settings, to, along) {
            Ok(mail) => mail,
            Err(error) => return Outcome::Dead(format!("the mail cannot be written: {error}")),
        };
        match self.transport.send(mail).await {
            Ok(response) => Outcome::Sent(said(response.code().into(), response.message())),
            Err(error) => refused(&error),
        }
    }

    fn compose(
        &self,
        due: &Due,
        settings: &Settings,
        to: Address,
        along: Along,
    ) -> Result<Message, lettre::error::Error> {
        let words = Words::of(due.notify.language.unwrap_or(settings.language), &due.zone);
        let text = words.text(&due.facts);
        let mut lines = text.lines;
        lines.extend(along.missing.map(|why| words.not_attached(why)));
        let link = match due.facts.event {
            NoticeEvent::MessageCommitted | NoticeEvent::MessageExpires => due.facts.message_id.as_deref(),
            NoticeEvent::CallMissed | NoticeEvent::MailboxNearlyFull => None,
        };
        let link = link
            .and_then(|id| settings.link_to(id))
            .map(|link| (words.watch_it(), link));
        let plain = plain(&lines, link.as_ref());
        let html = html(&lines, link.as_ref(), along.poster.is_some(), words.code());
        let body = MultiPart::alternative().singlepart(SinglePart::plain(plain));
        let body = match along.poster {
            Some(poster) => body.multipart(
                MultiPart::related()
                    .singlepart(SinglePart::html(html))
                    .singlepart(Attachment::new_inline(POSTER.to_owned()).body(poster, image())),
            ),
            None => body.singlepart(SinglePart::html(html)),
        };
        let body = match along.media {
            Some(media) => MultiPart::mixed()
                .multipart(body)
                .singlepart(Attachment::new(media.name).body(
                    media.bytes,
                    ContentType::parse(&media.media_type).unwrap_or_else(|_| octets()),
                )),
            None => body,
        };
        let header =
            |name: &'static str, value: &str| HeaderValue::new(HeaderName::new_from_ascii_str(name), value.to_owned());
        Message::builder()
            .from(self.from.clone())
            .to(Mailbox::new(None, to))
            .subject(text.subject)
            .date(SystemTime::now())
            // The same for each attempt: whoever gets it twice knows it by that.
            .message_id(Some(format!("<{}@{}>", due.key, self.from.email.domain())))
            // No answer by a machine is wanted (RFC 3834 §5).
            .raw_header(header("Auto-Submitted", "auto-generated"))
            .raw_header(header("X-Segue-Event", due.facts.event.name()))
            .raw_header(header("Content-Language", words.code()))
            .multipart(body)
    }
}

fn parameters(server: &MailServer) -> Result<TlsParameters, String> {
    let mut parameters = TlsParameters::builder(server.host.clone());
    if let Some(pem) = &server.roots {
        parameters = parameters.certificate_store(CertificateStore::None);
        for root in CertificateDer::pem_slice_iter(pem) {
            let root = root.map_err(|e| e.to_string())?;
            let root = Certificate::from_der(root.to_vec()).map_err(|e| e.to_string())?;
            parameters = parameters.add_root_certificate(root);
        }
    }
    parameters.build().map_err(|e| e.to_string())
}

/// What a server's refusal means. Who is not let in, with the right password tomorrow, is no lost notice; who is not known there is.
fn refused(error: &lettre::transport::smtp::Error) -> Outcome {
    /// "Authentication required", "mechanism too weak", "credentials invalid", "encryption required" (RFC 4954 §6).
    const OURS: [u16; 4] = [530, 534, 535, 538];
    let why = chain(error);
    match error.status() {
        Some(code) if code.severity == Severity::PermanentNegativeCompletion && !OURS.contains(&code.into()) => {
            Outcome::Dead(why)
        }
        _ => Outcome::Again(why, None),
    }
}

/// An error with what is behind it.
fn chain(error: &dyn std::error::Error) -> String {
    let mut why = error.to_string();
    let mut source = error.source();
    while let Some(inner) = source {
        let inner_why = inner.to_string();
        if !why.contains(&inner_why) {
            why = format!("{why}: {inner_why}");
        }
        source = inner.source();
    }
    short(&why)
}

fn said<'a>(code: u16, lines: impl Iterator<Item = &'a str>) -> String {
    let lines: Vec<&str> = lines.collect();
    short(&format!("{code} {}", lines.join(" ")))
}

/// What goes along.
#[derive(Debug, Default)]
struct Along {
    poster: Option<Vec<u8>>,
    media: Option<Media>,
    missing: Option<NotAttached>,
}

#[derive(Debug)]
struct Media {
    name: String,
    media_type: String,
    bytes: Vec<u8>,
}

/// Reads what the recipient wants to have along of a message. Blocking.
fn along(store: &Store, due: &Due, max: u64) -> Result<Along, StoreError> {
    let id = match (&due.facts.event, &due.facts.message_id) {
        (NoticeEvent::MessageCommitted, Some(id)) if due.notify.attach != Attach::No => id,
        _ => return Ok(Along::default()),
    };
    let (message, poster) = match (store.message(id), store.poster(id)) {
        (Ok(message), Ok(poster)) => (message, poster),
        // Deleted this moment: it is told of all the same.
        (Err(StoreError::NotFound { .. }), _) | (_, Err(StoreError::NotFound { .. })) => return Ok(Along::default()),
        (Err(error), _) | (_, Err(error)) => return Err(error),
    };
    let mut along = Along {
        poster,
        ..Along::default()
    };
    if due.notify.attach == Attach::Poster {
        return Ok(along);
    }
    if message.media_state == MediaState::Raw {
        along.missing = Some(NotAttached::Unfinished);
        return Ok(along);
    }
    let mut bytes = Bounded { bytes: Vec::new(), max };
    let exported = match message.bytes <= max {
        true => Some(store.export_media(id, &mut bytes)?),
        false => None,
    };
    match exported {
        Some(exported) => {
            let ending = match exported.media_type.as_str() {
                "video/webm" | "audio/webm" => "webm",
                "audio/ogg" => "ogg",
                "audio/mp4" => "m4a",
                _ => "mp4",
            };
            along.media = Some(Media {
                name: format!("message-{id}.{ending}"),
                media_type: exported.media_type,
                bytes: bytes.bytes,
            });
        }
        None => along.missing = Some(NotAttached::TooLong(message.bytes)),
    }
    Ok(along)
}

/// Takes no more than so many bytes, whatever a row says.
struct Bounded {
    bytes: Vec<u8>,
    max: u64,
}

impl io::Write for Bounded {
    fn write(&mut self, piece: &[u8]) -> io::Result<usize> {
        if self.bytes.len().saturating_add(piece.len()) as u64 > self.max {
            return Err(io::Error::other("it is longer than its row says"));
        }
        self.bytes.extend_from_slice(piece);
        Ok(piece.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Content-ID of the picture (RFC 2392).
const POSTER: &str = "poster";

fn image() -> ContentType {
    ContentType::parse("image/jpeg").unwrap_or_else(|_| octets())
}

fn octets() -> ContentType {
    // What cannot be parsed here is text to no reader.
    ContentType::parse("application/octet-stream").unwrap_or(ContentType::TEXT_PLAIN)
}

fn plain(lines: &[String], link: Option<&(&str, String)>) -> String {
    let mut all = lines.to_vec();
    all.extend(link.map(|(say, link)| format!("{say} {link}")));
    format!("{}\r\n", all.join("\r\n\r\n"))
}

fn html(lines: &[String], link: Option<&(&str, String)>, poster: bool, language: &str) -> String {
    let mut body: String = lines
        .iter()
        .map(|line| format!("<p>{}</p>\r\n", escape(line)))
        .collect();
    if poster {
        body.push_str(&format!(
            "<p><img src=\"cid:{POSTER}\" alt=\"\" style=\"max-width:100%\"></p>\r\n"
        ));
    }
    if let Some((say, link)) = link {
        let link = escape(link);
        body.push_str(&format!("<p>{} <a href=\"{link}\">{link}</a></p>\r\n", escape(say)));
    }
    format!(
        "<!DOCTYPE html>\r\n<html lang=\"{language}\"><head><meta charset=\"utf-8\"></head>\r\n\
         <body style=\"font-family:sans-serif\">\r\n{body}</body></html>\r\n"
    )
}

fn escape(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\'' => out.push_str("&#39;"),
            other => out.push(other),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use segue_policy::{Channel, Language, Notify, Zone};
    use segue_records::{NoticeFacts, UnixMs};
    use segue_store::Attempt;

    use super::*;

    fn mailer() -> Mailer {
        Mailer::new(&MailServer {
            host: "localhost".to_owned(),
            port: 25,
            tls: MailTls::None,
            credentials: None,
            from: "Segue <segue@example.com>".to_owned(),
            attach_bytes_max: 1_000,
            roots: None,
        })
        .unwrap()
    }

    fn due(name: &str) -> Due {
        let mut facts = NoticeFacts::new(NoticeEvent::MessageCommitted, "bob", UnixMs(1_767_225_600_000));
        facts.from = Some("sip:ann@example.org".to_owned());
        facts.from_name = Some(name.to_owned());
        facts.message_id = Some("01A".to_owned());
        Due {
            attempt: Attempt { id: 1, number: 1 },
            key: "message-committed_mail_01A_bob".to_owned(),
            recipient: "bob".to_owned(),
            channel: Channel::Mail,
            facts,
            notify: Notify::default(),
            zone: Zone::default(),
            since: UnixMs(0),
        }
    }

    fn written(due: &Due, along: Along) -> String {
        let settings = Settings {
            link: Some("https://example.com/m/{id}?a=1&b=2".to_owned()),
            language: Language::En,
            ..Settings::default()
        };
        let to = "bob@example.com".parse().unwrap();
        let mail = mailer().compose(due, &settings, to, along).unwrap();
        String::from_utf8(mail.formatted()).unwrap()
    }

    #[test]
    fn a_name_from_sip_is_no_header_and_no_markup() {
        let evil = "Ann\r\nBcc: eve@example.com\r\n\r\n<script>alert(1)</script>\" onerror=\"x";
        let mail = written(&due(evil), Along::default());
        let (head, body) = mail.split_once("\r\n\r\n").unwrap();
        let names: Vec<&str> = head
            .lines()
            .filter(|line| !line.starts_with([' ', '\t']))
            .map(|line| line.split(':').next().unwrap())
            .collect();
        assert!(!names.contains(&"Bcc"), "{head}");
        assert_eq!(names.iter().filter(|name| **name == "To").count(), 1);
        assert!(
            head.contains("Message-ID: <message-committed_mail_01A_bob@example.com>"),
            "{head}"
        );
        assert!(head.contains("Auto-Submitted: auto-generated"), "{head}");
        let html = body.split("text/html").nth(1).unwrap().replace("=\r\n", "");
        assert!(!html.contains("<script"), "{html}");
        assert!(html.contains("&lt;script&gt;") && html.contains("&amp;b=3D2"), "{html}");
    }

    #[test]
    fn the_picture_is_within_the_html_and_the_message_attached() {
        let along = Along {
            poster: Some(vec![0xff, 0xd8, 0xff]),
            media: Some(Media {
                name: "message-01A.mp4".to_owned(),
                media_type: "video/mp4".to_owned(),
                bytes: vec![1, 2, 3],
            }),
            missing: None,
        };
        let mail = written(&due("Ann"), along);
        for part in [
            "multipart/mixed",
            "multipart/alternative",
            "multipart/related",
            "Content-ID: <poster>",
            "Content-Type: image/jpeg",
            "Content-Disposition: attachment; filename=\"message-01A.mp4\"",
            "Content-Type: video/mp4",
        ] {
            assert!(mail.contains(part), "{part}: {mail}");
        }
    }

    #[test]
    fn who_sends_is_an_address() {
        let wrong = MailServer {
            from: "nobody".to_owned(),
            host: "localhost".to_owned(),
            port: 25,
            tls: MailTls::None,
            credentials: None,
            attach_bytes_max: 0,
            roots: None,
        };
        assert!(Mailer::new(&wrong).unwrap_err().contains("mail.from"));
    }
}
