//! Trunks that were added beside the configuration (docs/trunks.md): an operator's. How they fare only the running server knows.

use crate::{Access, Refusal, Scope};

impl Access {
    /// Has the running server ask a trunk at once: by OPTIONS, and by REGISTER if it registers. It looks for that within a second.
    pub fn ask_trunk(&self, name: &str) -> Result<(), Refusal> {
        self.need(Scope::SystemWrite)?;
        Ok(self.acting("trunk.test", name, None).ask_trunk(name)?)
    }

    /// Removes a trunk that was added; what was registered is taken back, calls go on. One of the configuration is not there.
    pub fn remove_trunk(&self, name: &str) -> Result<(), Refusal> {
        self.need(Scope::SystemWrite)?;
        Ok(self.acting("trunk.remove", name, None).remove_trunk(name)?)
    }
}
