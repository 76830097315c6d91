//! What profiles name and keep elsewhere: passwords, in files that nobody but their owner may read or in the environment.

use std::{collections::BTreeMap, path::Path, sync::Arc};

use segue_b2bua::{Secrets, TrunkSetup};
use segue_policy::{Algorithm, Auth, DigestOver, Profile};
use segue_sip::{Account, Realm, Secret, User};
use segue_sip_wire::DigestAlgorithm;

use crate::{
    config::{ProfileFile, TrunkTable, tls::secret},
    failure::Failure,
};

/// Of each profile, in order. Blocking. Relative paths are meant from `base`, where the profiles are.
///
/// Errors name the file, the line, the key and what to do.
pub fn load(profiles: &[ProfileFile], base: Option<&Path>) -> Result<Vec<Secrets>, Failure> {
    let base = base.unwrap_or(Path::new(""));
    let read = |file: &ProfileFile| of(&file.profile, &|key| file.at(key), base);
    profiles.iter().map(read).collect()
}

/// Of one profile; `at` says where a key stands.
fn of(profile: &Profile, at: &dyn Fn(&str) -> String, base: &Path) -> Result<Secrets, Failure> {
    let mut secrets = Secrets::default();
    if !profile.digest_user.is_empty() {
        let account = Account {
            realm: profile.digest_realm.clone(),
            username: profile.digest_user.clone(),
            secret: password(&profile.digest_secret, at, base)?,
            algorithms: algorithms(&profile.digest_algorithms),
            tls_only: profile.digest_over == DigestOver::Tls,
        };
        secrets.account = Some(Arc::new(account));
    }
    if profile.auth == Auth::Digest || profile.registrar {
        // Without a file those alone who have a password as subscribers.
        let users = match profile.auth_users.is_empty() {
            true => BTreeMap::new(),
            false => {
                let name = format!("{}: auth_users", at("auth_users"));
                let text = read(&name, &profile.auth_users, base)?;
                users(&text).map_err(|why| {
                    Failure::refused(
                        "bad_secret",
                        format!("{name} = {}: {why}", profile.auth_users),
                        "write a user a line: name, password, and whom its From may name",
                    )
                })?
            }
        };
        secrets.realm = Some(Arc::new(Realm {
            name: profile.auth_realm.clone(),
            algorithms: algorithms(&profile.digest_algorithms),
            users,
        }));
    }
    Ok(secrets)
}

/// `name password [from ...]` a line.
fn users(text: &str) -> Result<BTreeMap<String, User>, String> {
    let mut users = BTreeMap::new();
    for (at, line) in text.lines().enumerate() {
        let line = line.trim();
        if line.is_empty() || line.starts_with('#') {
            continue;
        }
        // The line itself is not repeated: it has a password.
        let number = at.saturating_add(1);
        let mut words = line.split_whitespace().map(str::to_owned);
        let (Some(name), Some(secret)) = (words.next(), words.next()) else {
            return Err(format!("line {number} has no password"));
        };
        let (secret, from) = (Secret::Password(secret), words.collect());
        if users.insert(name.clone(), User { secret, from }).is_some() {
            return Err(format!("line {number} names {name} again"));
        }
    }
    if users.is_empty() {
        return Err("there is no user in it".to_owned());
    }
    Ok(users)
}

/// The trunks with their passwords. Blocking. Relative paths are meant from the file that they stand in.
///
/// Errors name the file, the line, the key and what to do.
pub fn of_trunks(tables: &[TrunkTable]) -> Result<Vec<TrunkSetup>, Failure> {
    let setup = |table: &TrunkTable| {
        let trunk = table.trunk.clone();
        let secret = match trunk.digest_user.is_empty() {
            true => None,
            false => Some(password(&trunk.digest_secret, &|key| table.at(key), table.base())?),
        };
        Ok(TrunkSetup::new(trunk, secret))
    };
    tables.iter().map(setup).collect()
}

/// What `digest_secret` names.
fn password(place: &str, at: &dyn Fn(&str) -> String, base: &Path) -> Result<String, Failure> {
    one_line(&format!("{}: digest_secret", at("digest_secret")), place, base)
}

/// A password alone in its file, or `env:NAME`.
pub fn one_line(name: &str, place: &str, base: &Path) -> Result<String, Failure> {
    let text = read(name, place, base)?;
    // The line end that an editor leaves is no part of it.
    let password = text.trim_end_matches(['\r', '\n']);
    if password.is_empty() || password.contains(char::is_control) {
        let why = format!("{name} = {place}: there is no password in one line");
        return Err(Failure::refused("bad_secret", why, "write the password alone into it"));
    }
    Ok(password.to_owned())
}

fn algorithms(preferred: &[Algorithm]) -> Vec<DigestAlgorithm> {
    let of = |algorithm: &Algorithm| match algorithm {
        Algorithm::Md5 => DigestAlgorithm::Md5,
        Algorithm::Sha256 => DigestAlgorithm::Sha256,
        Algorithm::Sha512_256 => DigestAlgorithm::Sha512_256,
    };
    preferred.iter().map(of).collect()
}

/// A private file, or `env:NAME`. `name` is the key, with where it stands.
pub fn read(name: &str, place: &str, base: &Path) -> Result<String, Failure> {
    if let Some(variable) = place.strip_prefix("env:") {
        return std::env::var(variable).map_err(|_| {
            Failure::refused(
                "bad_secret",
                format!("{name} = {place}: there is no such environment variable"),
                format!("set {variable} where Segue is started, or name a file"),
            )
        });
    }
    let bytes = secret(name, &base.join(place))?;
    String::from_utf8(bytes).map_err(|_| {
        Failure::refused(
            "bad_secret",
            format!("{name} = {place}: it is no UTF-8 text"),
            "write it as UTF-8",
        )
    })
}

#[cfg(test)]
mod tests {
    use std::{fs, os::unix::fs::PermissionsExt};

    use super::*;

    fn profile(secret: &str) -> Profile {
        Profile {
            name: "trunk".to_owned(),
            digest_user: "us".to_owned(),
            digest_realm: "them".to_owned(),
            digest_secret: secret.to_owned(),
            ..Profile::default()
        }
    }

    #[test]
    fn users_are_read_a_line_each() {
        let read = users("# who may call\nalice  wonderland\n\npbx exchange +4930* reception\n").unwrap();
        assert_eq!(read["alice"].secret, Secret::Password("wonderland".to_owned()));
        assert!(read["alice"].from.is_empty());
        assert_eq!(read["pbx"].from, ["+4930*", "reception"]);
        for (text, told) in [
            ("alice", "line 1 has no password"),
            ("\na b\na c", "line 3 names a again"),
            ("# nobody", "no user"),
        ] {
            let refused = users(text).unwrap_err();
            assert!(refused.contains(told), "{refused}");
        }
    }

    #[test]
    fn a_password_comes_from_a_private_file_or_the_environment() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("password");
        fs::write(&file, "open sesame\n").unwrap();
        fs::set_permissions(&file, fs::Permissions::from_mode(0o600)).unwrap();
        let loaded = |secret: &str| of(&profile(secret), &|key| format!("trunk.toml:{key}"), dir.path());
        let account = loaded("password").unwrap().account.unwrap();
        assert_eq!(
            (account.secret.as_str(), account.realm.as_str()),
            ("open sesame", "them")
        );
        assert!(!format!("{account:?}").contains("sesame"), "it is in no log");
        // Cargo sets this one.
        let account = loaded("env:CARGO_PKG_NAME").unwrap().account.unwrap();
        assert_eq!(account.secret, "segue");

        fs::set_permissions(&file, fs::Permissions::from_mode(0o604)).unwrap();
        for (secret, told) in [
            ("password", "chmod 600"),
            ("nothing", "set digest_secret to a file"),
            ("nothing", "trunk.toml:digest_secret: digest_secret = "),
            ("env:NO_SUCH_VARIABLE_HERE", "set NO_SUCH_VARIABLE_HERE"),
        ] {
            let refused = loaded(secret).unwrap_err().to_string();
            assert!(refused.contains(told), "{refused}");
        }
    }
}
