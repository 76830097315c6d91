//! Certificates for a test, made by openssl: a root, and what it signs.

use std::{
    fs,
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
    process::Command,
};

/// A root, whose files are in a folder.
#[derive(Debug)]
pub struct Root {
    folder: PathBuf,
}

/// What a root has signed: PEM files.
#[derive(Debug)]
pub struct Signed {
    /// The certificate.
    pub certificate: PathBuf,
    /// Its key, readable by its owner alone.
    pub key: PathBuf,
    /// Both in one file, as some phones want them.
    pub both: PathBuf,
}

impl Root {
    /// A new one.
    pub fn new(folder: &Path) -> Root {
        let root = Root {
            folder: folder.to_owned(),
        };
        fs::create_dir_all(folder).expect("a folder for certificates");
        root.make("root", "basicConstraints=critical,CA:TRUE\nkeyUsage=keyCertSign", false);
        root
    }

    /// Its own certificate.
    pub fn file(&self) -> PathBuf {
        self.folder.join("root.pem")
    }

    /// A certificate for these names, as openssl writes them: `DNS:localhost,IP:127.0.0.1`.
    pub fn sign(&self, file: &str, names: &str) -> Signed {
        self.make(
            file,
            &format!("basicConstraints=CA:FALSE\nsubjectAltName={names}"),
            true,
        );
        let (certificate, key) = (self.path(file, "pem"), self.path(file, "key"));
        let both = self.path(file, "both");
        let text = |path: &Path| fs::read_to_string(path).expect("a PEM file");
        fs::write(&both, text(&key) + &text(&certificate)).expect("a PEM file");
        Signed { certificate, key, both }
    }

    fn path(&self, file: &str, extension: &str) -> PathBuf {
        self.folder.join(format!("{file}.{extension}"))
    }

    fn make(&self, file: &str, extensions: &str, signed: bool) {
        let config = self.path(file, "conf");
        let text = format!("[req]\ndistinguished_name=dn\nprompt=no\n[dn]\nCN={file}\n[ext]\n{extensions}\n");
        fs::write(&config, text).expect("openssl's configuration");
        let key = self.path(file, "key");
        let mut openssl = Command::new("openssl");
        openssl.args(["req", "-x509", "-nodes", "-days", "2", "-newkey", "ec", "-pkeyopt"]);
        openssl.args(["ec_paramgen_curve:P-256", "-extensions", "ext", "-config"]);
        openssl.arg(&config).arg("-keyout").arg(&key);
        openssl.arg("-out").arg(self.path(file, "pem"));
        if signed {
            openssl
                .arg("-CA")
                .arg(self.file())
                .arg("-CAkey")
                .arg(self.path("root", "key"));
        }
        let made = openssl.output().expect("openssl runs");
        assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
        fs::set_permissions(&key, fs::Permissions::from_mode(0o600)).expect("a private key");
    }
}
