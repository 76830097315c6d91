//! Configuration and profiles that calls meet now, whatever the files say meanwhile; and how pages and API ask for them to be read again.

use std::{
    future::Future,
    pin::Pin,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use segue_b2bua::Limits;
use segue_policy::{PROFILE_KEYS, Profile, Trunk, TrunkError};
use segue_records::UnixMs;
use segue_web::{KeyShown, ProfileShown, ProfilesShown, Reloaded};
use serde_json::Value;
use tokio::sync::{mpsc, oneshot};

use crate::{
    check,
    cli::now_ms,
    config::{Config, ProfileFile},
    passwords,
};

/// Who may ask at once.
const ASKS_MAX: usize = 4;

/// What is in force. Cheap to clone.
#[derive(Debug, Clone)]
pub struct InForce(Arc<Mutex<Arc<Now>>>);

#[derive(Debug)]
struct Now {
    files: Vec<ProfileFile>,
    config: Config,
    since: UnixMs,
}

impl InForce {
    /// These, from now on.
    pub fn new(files: Vec<ProfileFile>, config: Config) -> InForce {
        let since = UnixMs(now_ms());
        InForce(Arc::new(Mutex::new(Arc::new(Now { files, config, since }))))
    }

    fn held(&self) -> MutexGuard<'_, Arc<Now>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Nobody is kept waiting by who looks at it.
    fn now(&self) -> Arc<Now> {
        Arc::clone(&self.held())
    }

    /// The profiles, in the order in which they are asked.
    pub fn profiles(&self) -> Vec<Profile> {
        self.now().files.iter().map(|file| file.profile.clone()).collect()
    }

    /// How many calls there may be.
    pub fn limits(&self) -> Limits {
        self.now().config.limits()
    }

    /// From now on these; what has changed, in words.
    pub fn take(&self, files: Vec<ProfileFile>, config: Config) -> Vec<String> {
        let mut now = self.held();
        let changed = changes(&now.files, &files);
        *now = Arc::new(Now {
            files,
            config,
            since: UnixMs(now_ms()),
        });
        changed
    }

    /// As people see them.
    pub fn shown(&self) -> ProfilesShown {
        let now = self.now();
        let default = values(&Profile::default());
        ProfilesShown {
            since: now.since.rfc3339(),
            profiles: now.files.iter().map(|file| shown(file, &default)).collect(),
        }
    }
}

/// By the configuration and the profiles that calls meet now.
impl segue_manage::Trunking for InForce {
    fn stands_at(&self, name: &str) -> Option<String> {
        check::configured_trunk(&self.now().config, name)
    }

    fn fits(&self, trunk: &Trunk) -> Result<(), TrunkError> {
        let now = self.now();
        check::trunk_fits(&now.config, &now.files, trunk)
    }

    fn seal(&self, trunk: &str, password: &str) -> Result<Vec<u8>, String> {
        passwords::seal_for_trunk(&self.now().config.data_dir, trunk, password)
    }
}

fn values(profile: &Profile) -> Value {
    serde_json::to_value(profile).unwrap_or_default()
}

fn of(values: &Value, key: &str) -> Value {
    values.get(key).cloned().unwrap_or_default()
}

fn shown(file: &ProfileFile, default: &Value) -> ProfileShown {
    let values = values(&file.profile);
    let keys = PROFILE_KEYS.iter().map(|(key, wants)| KeyShown {
        key: (*key).to_owned(),
        value: of(&values, key),
        default: of(default, key),
        at: file.stands(key).then(|| file.at(key)),
        wants: (*wants).to_owned(),
    });
    ProfileShown {
        name: file.profile.name.clone(),
        file: file.at(""),
        keys: keys.collect(),
    }
}

/// Profiles are known by their names.
fn changes(before: &[ProfileFile], after: &[ProfileFile]) -> Vec<String> {
    let named = |all: &[ProfileFile], name: &str| {
        all.iter()
            .find(|file| file.profile.name == name)
            .map(|file| values(&file.profile))
    };
    let mut changed = Vec::new();
    for file in after {
        let name = &file.profile.name;
        let new = values(&file.profile);
        match named(before, name) {
            None => changed.push(format!("the profile {name} is new")),
            Some(old) => changed.extend(PROFILE_KEYS.iter().filter_map(|(key, _)| {
                let (old, new) = (of(&old, key), of(&new, key));
                (old != new).then(|| format!("{key} of {name}: {old} became {new}"))
            })),
        }
    }
    let gone = before.iter().filter(|file| named(after, &file.profile.name).is_none());
    changed.extend(gone.map(|file| format!("the profile {} is gone", file.profile.name)));
    let order = |all: &[ProfileFile]| all.iter().map(|file| file.profile.name.clone()).collect::<Vec<_>>();
    if changed.is_empty() && order(before) != order(after) {
        changed.push("profiles are asked in another order".to_owned());
    }
    changed
}

/// Asks the running server to read everything again.
#[derive(Debug, Clone)]
pub struct Asks(mpsc::Sender<oneshot::Sender<Reloaded>>);

/// Who is asked: each is answered with what became of it.
pub type Asked = mpsc::Receiver<oneshot::Sender<Reloaded>>;

impl Asks {
    /// Both ends.
    pub fn new() -> (Asks, Asked) {
        let (asks, asked) = mpsc::channel(ASKS_MAX);
        (Asks(asks), asked)
    }

    /// What became of it; `None`: too many ask, or the server stops.
    pub fn ask(&self) -> Pin<Box<dyn Future<Output = Option<Reloaded>> + Send>> {
        let (answer, answered) = oneshot::channel();
        let sent = self.0.try_send(answer).is_ok();
        Box::pin(async move {
            match sent {
                true => answered.await.ok(),
                false => None,
            }
        })
    }
}

#[cfg(test)]
mod tests {
    use std::{fs, path::Path};

    use super::*;
    use crate::config::load_files;

    fn files(dir: &Path, all: &[(&str, &str)]) -> Vec<ProfileFile> {
        let profiles = dir.join("p");
        let _ = fs::remove_dir_all(&profiles);
        fs::create_dir(&profiles).unwrap();
        for (name, text) in all {
            fs::write(profiles.join(name), text).unwrap();
        }
        let mut config = Config::default();
        config.profiles_dir = Some(profiles);
        load_files(&config).unwrap()
    }

    #[test]
    fn each_key_is_shown_with_its_default_and_its_place_and_what_a_reload_changes_is_said() {
        const A: &str = "name = \"a\"\nsources = [\"10.0.0.0/8\"]\n";
        const B: &str = "name = \"b\"\nsources = [\"192.0.2.0/24\"]\n";
        let dir = tempfile::tempdir().unwrap();
        let in_force = InForce::new(files(dir.path(), &[("1.toml", A), ("2.toml", B)]), Config::default());
        let shown = in_force.shown();
        assert_eq!(shown.profiles.len(), 2);
        let first = &shown.profiles[0];
        assert!(first.file.ends_with("1.toml"), "{}", first.file);
        assert_eq!(first.keys.len(), PROFILE_KEYS.len());
        let key = |name: &str| first.keys.iter().find(|key| key.key == name).unwrap();
        assert!(key("sources").at.as_ref().unwrap().ends_with("1.toml:2:11"));
        assert_eq!((&key("nat").at, &key("nat").value), (&None, &key("nat").default));
        // Each key that the docs know is one that the profile has.
        let default = values(&Profile::default());
        assert!(PROFILE_KEYS.iter().all(|(key, _)| default.get(key).is_some()));

        let same = files(dir.path(), &[("1.toml", A), ("2.toml", B)]);
        assert!(in_force.take(same, Config::default()).is_empty());
        let other = format!("{A}hold_ms = 4000\n");
        let c = B.replace("\"b\"", "\"c\"");
        let changed = in_force.take(
            files(dir.path(), &[("1.toml", &other), ("2.toml", &c)]),
            Config::default(),
        );
        assert_eq!(
            changed,
            [
                "hold_ms of a: 0 became 4000",
                "the profile c is new",
                "the profile b is gone"
            ]
        );
        assert_eq!(in_force.profiles()[0].hold_ms, 4_000);
        let swapped = in_force.take(
            files(dir.path(), &[("1.toml", &c), ("2.toml", &other)]),
            Config::default(),
        );
        assert_eq!(swapped, ["profiles are asked in another order"]);
    }
}
