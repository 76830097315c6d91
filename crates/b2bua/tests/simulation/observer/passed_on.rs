//! What B says for others in its responses, as A hears it.

use std::collections::BTreeSet;

use super::{Marks, Said, View};
use segue_call::MediaAction;

impl View<'_> {
    /// Each marker of B reaches A in a message of its kind, after B has said it, and in one message only; the 200 of a bridge has that
    /// of the callee who answered, the mailbox none.
    pub(super) fn what_b_says_is_passed_on(&self, marks: &mut Marks) -> Result<(), String> {
        let marker = |said: &Said| said.msg.header("x-marker").map(str::to_owned);
        let bridged = self
            .actions()
            .any(|(_, action)| matches!(action, MediaAction::Bridge { .. }));
        let Some(invite) = self.a.iter().find(|said| said.is(false, "INVITE")) else {
            return Ok(());
        };
        // Whose offer is in our 200 is bridged when it has answered.
        let may_bridge = bridged || invite.msg.sdp().is_none();
        let (mut early, mut texts) = (BTreeSet::new(), BTreeSet::new());
        for told in self.a.iter().filter(|said| said.out) {
            let Some(status) = told.responds(true, "INVITE") else {
                hold!(marker(told).is_none(), "a marker in no response to INVITE");
                continue;
            };
            if !texts.insert(told.msg.bytes()) {
                continue;
            }
            let Some(marker) = marker(told) else {
                hold!(
                    !(bridged && status == 200 && told.msg.cseq() == invite.msg.cseq()),
                    "the 200 of the bridge says nothing of B"
                );
                continue;
            };
            let said = |said: &&Said| !said.out && said.n < told.n && said.msg.header("x-marker") == Some(&marker);
            hold!(
                self.b.iter().any(|s| said(&s)),
                "B has not said {marker} before A heard it"
            );
            let of_answer = marker.starts_with("200-");
            hold!((200..300).contains(&status) == of_answer, "{marker} in a {status}");
            hold!(!of_answer || may_bridge, "{marker} without a bridge");
            hold!(of_answer || early.insert(marker.clone()), "{marker} was told twice");
            marks.insert(format!(
                "what B says in its {} reaches A",
                if of_answer { "200" } else { "1xx" }
            ));
        }
        Ok(())
    }
}
