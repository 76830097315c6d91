//! Tokens by which programs act for somebody.

use segue_records::UnixMs;
use segue_store::{ApiToken, Role};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::{Access, Refusal, Scopes, login, secret};

/// A token, without what it is.
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
pub struct TokenView {
    /// By which it is revoked.
    pub id: String,
    /// Whose.
    pub name: String,
    /// `operator` or `subscriber`.
    pub role: String,
    /// What it is for.
    pub label: String,
    /// What it may.
    pub scopes: Vec<String>,
    /// Since when, RFC 3339.
    pub created_at: String,
    /// Until when, RFC 3339; `null`: until it is revoked.
    pub expires_at: Option<String>,
    /// When it was used last, to a minute, RFC 3339.
    pub used_at: Option<String>,
}

impl From<ApiToken> for TokenView {
    fn from(token: ApiToken) -> TokenView {
        let at = |ms: i64| UnixMs(ms).rfc3339();
        TokenView {
            id: token.id,
            name: token.name,
            role: token.role.name().to_owned(),
            label: token.label,
            scopes: token.scopes.split_whitespace().map(str::to_owned).collect(),
            created_at: at(token.created_at_ms),
            expires_at: token.expires_at_ms.map(at),
            used_at: token.used_at_ms.map(at),
        }
    }
}

/// A token that is to be made.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NewToken {
    /// What it is for, 1 to 100 characters.
    pub label: String,
    /// What it may, e.g. `messages:read`.
    pub scopes: Vec<String>,
    /// How long it counts, seconds; absent: until it is revoked.
    pub expires_in_s: Option<u64>,
}

/// A token that was made. What it is is said this once.
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
pub struct TokenMade {
    /// What programs send: `Authorization: Bearer TOKEN`.
    pub token: String,
    /// The rest of it.
    #[serde(flatten)]
    pub shown: TokenView,
}

/// Longest label, characters.
const LABEL_MAX: usize = 100;

impl Access {
    /// Their own tokens; for an operator those of one, or of all.
    pub fn tokens(&self, of: Option<&str>) -> Result<Vec<TokenView>, Refusal> {
        self.no_token()?;
        let of = match self.own_name() {
            Some(own) => Some(own),
            None => of,
        };
        let tokens = self.store().tokens(of)?;
        Ok(tokens.into_iter().map(TokenView::from).collect())
    }

    /// Makes a token for themselves, or for an operator for somebody named.
    ///
    /// # Errors
    /// A scope that there is not, or that a subscriber cannot have; a token cannot make tokens.
    pub fn add_token(&self, of: Option<(&str, Role)>, new: NewToken) -> Result<TokenMade, Refusal> {
        self.no_token()?;
        let (name, role) = match (self.own_name(), of) {
            (Some(own), Some((named, _))) if named != own => return Err(Refusal::not_found("subscriber", named)),
            (Some(own), _) => (own.to_owned(), Role::Subscriber),
            (None, Some((named, role))) => (named.to_owned(), role),
            (None, None) => (self.who().name.clone(), Role::Operator),
        };
        let length = new.label.trim().chars().count();
        if length == 0 || length > LABEL_MAX || new.label.contains(char::is_control) {
            return Err(Refusal::invalid("label", format!("it is 1 to {LABEL_MAX} characters")));
        }
        let scopes: Scopes = new
            .scopes
            .join(" ")
            .parse()
            .map_err(|why: String| Refusal::invalid("scopes", why))?;
        if scopes.is_empty() {
            return Err(Refusal::invalid(
                "scopes",
                format!("name one at least of {}", Scopes::all()),
            ));
        }
        if role == Role::Subscriber && scopes.iter().any(|scope| scope.is_operators()) {
            return Err(Refusal::invalid("scopes", "calls and system are for operators"));
        }
        let (secret, id, now_ms) = (login::new_token()?, secret::short_id()?, self.now_ms());
        let expires_at_ms = new.expires_in_s.map(|s| {
            let ms = i64::try_from(s.saturating_mul(1_000)).unwrap_or(i64::MAX);
            now_ms.saturating_add(ms)
        });
        let token = ApiToken {
            id,
            name,
            role,
            label: new.label.trim().to_owned(),
            scopes: scopes.to_string(),
            created_at_ms: now_ms,
            expires_at_ms,
            used_at_ms: None,
        };
        self.acting("token.create", &token.id, Some(&token.name))
            .add_token(token.clone(), secret.hash())?;
        Ok(TokenMade {
            token: secret.text().to_owned(),
            shown: token.into(),
        })
    }

    /// Revokes a token: their own, or for an operator anybody's.
    pub fn revoke_token(&self, id: &str) -> Result<(), Refusal> {
        self.no_token()?;
        let own = self.own_name();
        Ok(self.acting("token.revoke", id, own).revoke_token(id, own)?)
    }

    /// Who has only a token must not make itself another.
    fn no_token(&self) -> Result<(), Refusal> {
        if self.who().by.starts_with("token") {
            return Err(Refusal::Forbidden {
                why: "a token cannot see or change tokens".to_owned(),
                fix: "log in, or use 'segue token'".to_owned(),
            });
        }
        Ok(())
    }
}
