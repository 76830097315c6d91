//! Trunks that were added beside the configuration (docs/trunks.md): an operator's. How they fare only the running server knows.

use segue_policy::{Trunk, TrunkError};
use segue_store::{KeptTrunk, StoreError};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use utoipa::ToSchema;

use crate::{
    Access, Refusal, Scope, Typed,
    access::trunk_settings::{TrunkSettings, wrong},
};

/// What stands in `digest_secret` of a trunk whose password is in the store.
const SEALED: &str = "sealed in the data directory";

/// What the server knows of trunks: which stand in its configuration, what fits it, how a password is sealed.
pub trait Trunking: Send + Sync {
    /// Where a trunk of this name stands in the configuration; `None`: nowhere.
    fn stands_at(&self, name: &str) -> Option<String>;

    /// Whether a trunk fits what is configured.
    ///
    /// # Errors
    /// Which key of it does not, why, and what would do.
    fn fits(&self, trunk: &Trunk) -> Result<(), TrunkError>;

    /// A trunk's password, sealed.
    ///
    /// # Errors
    /// Why it is none.
    fn seal(&self, trunk: &str, password: &str) -> Result<Vec<u8>, String>;
}

/// A trunk that is to be.
#[derive(Debug, Clone, PartialEq, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct TrunkGiven {
    /// A letter, then letters, digits, `-` and `_`, at most 32.
    pub name: String,
    /// With `digest_user`, where its servers ask for credentials; it is never told again.
    #[schema(value_type = Option<String>)]
    pub password: Option<Typed>,
    /// What else is set; what is absent is as the table in docs/trunks.md says.
    #[serde(default)]
    pub settings: TrunkSettings,
}

/// What is to be changed of a trunk.
#[derive(Debug, Clone, Default, PartialEq, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct TrunkChange {
    /// Absent: as it is; empty: none. It goes with `digest_user`, too.
    #[schema(value_type = Option<String>)]
    pub password: Option<Typed>,
    /// What is absent stays.
    #[serde(default)]
    pub settings: TrunkSettings,
}

/// A trunk as it was added.
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
pub struct TrunkView {
    /// Its name.
    pub name: String,
    /// Its settings by their keys in docs/trunks.md; `null`: they cannot be read.
    #[schema(value_type = Object)]
    pub settings: Value,
    /// Whether it has a password.
    pub has_password: bool,
}

impl From<&KeptTrunk> for TrunkView {
    fn from(kept: &KeptTrunk) -> TrunkView {
        let trunk = serde_json::from_str::<Trunk>(&kept.settings);
        let mut settings = trunk.and_then(serde_json::to_value).unwrap_or_default();
        if let Some(settings) = settings.as_object_mut() {
            settings.remove("name");
            settings.remove("digest_secret");
        }
        TrunkView {
            name: kept.name.clone(),
            settings,
            has_password: kept.sealed.is_some(),
        }
    }
}

impl Access {
    /// The trunks that were added, by name.
    pub fn trunks(&self) -> Result<Vec<TrunkView>, Refusal> {
        self.need(Scope::SystemRead)?;
        Ok(self.store().trunks()?.trunks.iter().map(TrunkView::from).collect())
    }

    /// One of them. One of the configuration is not there.
    pub fn trunk(&self, name: &str) -> Result<TrunkView, Refusal> {
        self.need(Scope::SystemRead)?;
        Ok((&self.store().trunk(name)?).into())
    }

    /// Adds a trunk; a running server has it within a second.
    ///
    /// # Errors
    /// Who asks is no operator; [`Refusal::Invalid`] with the field; the name is that of another trunk, or of one of the configuration.
    pub fn add_trunk(&self, given: TrunkGiven, host: &dyn Trunking) -> Result<TrunkView, Refusal> {
        self.need(Scope::SystemWrite)?;
        let TrunkGiven {
            name,
            password,
            settings,
        } = given;
        stands_nowhere(&name, host)?;
        let has_password = password.as_ref().is_some_and(|Typed(word)| !word.is_empty());
        let before = Trunk {
            name,
            ..Trunk::default()
        };
        let trunk = settings.apply(&before, secret(has_password))?;
        let kept = keep(&trunk, password.as_ref(), None, host)?;
        let view = TrunkView::from(&kept);
        self.acting("trunk.add", &trunk.name, None).add_trunk(kept)?;
        Ok(view)
    }

    /// Changes a trunk that was added, if it is as `is_as_seen` wants it: all of it, or nothing.
    ///
    /// # Errors
    /// Those of [`Access::add_trunk`]; it is not there; [`Refusal::Changed`].
    pub fn change_trunk(
        &self,
        name: &str,
        change: TrunkChange,
        host: &dyn Trunking,
        is_as_seen: impl FnOnce(&TrunkView) -> bool,
    ) -> Result<TrunkView, Refusal> {
        self.need(Scope::SystemWrite)?;
        stands_nowhere(name, host)?;
        let kept = self.store().trunk(name)?;
        if !is_as_seen(&(&kept).into()) {
            return Err(Refusal::Changed);
        }
        let before: Trunk = serde_json::from_str(&kept.settings).map_err(|why| StoreError::Refused {
            why: format!("the trunk {name} cannot be read: {why}"),
            fix: "remove it and add it anew".to_owned(),
        })?;
        let TrunkChange { password, settings } = change;
        let has_password = match &password {
            Some(Typed(word)) => !word.is_empty(),
            None => kept.sealed.is_some() && !settings.forgets_user(),
        };
        let trunk = settings.apply(&before, secret(has_password))?;
        let sealed = kept.sealed.clone().filter(|_| has_password);
        let after = keep(&trunk, password.as_ref(), sealed, host)?;
        let view = TrunkView::from(&after);
        self.acting("trunk.set", name, None).replace_trunk(kept, after)?;
        Ok(view)
    }

    /// Has the running server ask a trunk at once: by OPTIONS, and by REGISTER if it registers. It looks for that within a second.
    pub fn ask_trunk(&self, name: &str) -> Result<(), Refusal> {
        self.need(Scope::SystemWrite)?;
        Ok(self.acting("trunk.test", name, None).ask_trunk(name)?)
    }

    /// Removes a trunk that was added, if it is as `is_as_seen` wants it; what was registered is taken back, calls go on.
    ///
    /// # Errors
    /// Who asks is no operator; it is not there; it stands in the configuration alone; [`Refusal::Changed`].
    pub fn remove_trunk(
        &self,
        name: &str,
        host: &dyn Trunking,
        is_as_seen: impl FnOnce(&TrunkView) -> bool + Send + 'static,
    ) -> Result<(), Refusal> {
        self.need(Scope::SystemWrite)?;
        let acting = self.acting("trunk.remove", name, None);
        let removed = acting.remove_trunk_if(name, move |now| is_as_seen(&now.into()));
        // One of both is taken from here: that mends it.
        if matches!(removed, Err(StoreError::NotFound { .. })) {
            stands_nowhere(name, host)?;
        }
        Ok(removed?)
    }
}

fn secret(has_password: bool) -> &'static str {
    if has_password { SEALED } else { "" }
}

/// What stands in the configuration is changed there.
fn stands_nowhere(name: &str, host: &dyn Trunking) -> Result<(), Refusal> {
    match host.stands_at(name) {
        None => Ok(()),
        Some(at) => Err(Refusal::Store(StoreError::Refused {
            why: format!("the trunk {name} stands in the configuration, at {at}"),
            fix: "change it there, or choose another name".to_owned(),
        })),
    }
}

/// As it is stored, once it fits the configuration; `sealed`: the password that it has.
fn keep(
    trunk: &Trunk,
    password: Option<&Typed>,
    sealed: Option<Vec<u8>>,
    host: &dyn Trunking,
) -> Result<KeptTrunk, Refusal> {
    host.fits(trunk)
        .map_err(|TrunkError { key, why }| Refusal::invalid(key, why))?;
    let sealed = match password {
        Some(Typed(word)) if !word.is_empty() => {
            Some(host.seal(&trunk.name, word).map_err(|why| wrong("password", why))?)
        }
        _ => sealed,
    };
    Ok(KeptTrunk {
        name: trunk.name.clone(),
        settings: serde_json::to_string(trunk).map_err(|why| Refusal::System(why.to_string()))?,
        sealed,
    })
}
