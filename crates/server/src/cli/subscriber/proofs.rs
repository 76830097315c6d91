//! What subscribers prove themselves by, sealed.

use std::path::Path;

use crate::{
    cli::Context,
    config::load_profiles,
    failure::Failure,
    passwords::{self, Sealer},
};

/// What a password is checked by, sealed: by realm.
pub type Sealed = Vec<(String, Vec<u8>)>;

/// Seals passwords for the realm of each profile that asks for one.
pub struct Passwords {
    realms: Vec<String>,
    sealer: Sealer,
}

impl Passwords {
    /// Makes the data directory where there is none yet.
    pub fn new(context: &Context) -> Result<Passwords, Failure> {
        let realms = passwords::realms(load_profiles(&context.config)?.iter());
        if realms.is_empty() {
            return Err(Failure::refused(
                "no_realm",
                "no profile asks for a password",
                "set 'registrar = true' or 'auth = \"digest\"' in a profile first",
            ));
        }
        context.new_access()?;
        let sealer = Sealer::of(&context.config.data_dir)?;
        Ok(Passwords { realms, sealer })
    }

    /// What a password is checked by. Error: it is none.
    pub fn seal(&self, user: &str, password: &str) -> Result<Sealed, Failure> {
        let password = passwords::checked("the column 'password'", password)?;
        self.sealer.seal(user, &self.realms, &password)
    }
}

/// The same of the file of `--password-file`.
pub fn of_file(path: &Path, user: &str, context: &Context) -> Result<Sealed, Failure> {
    let password = passwords::read(path)?;
    let Passwords { realms, sealer } = Passwords::new(context)?;
    sealer.seal(user, &realms, &password)
}
