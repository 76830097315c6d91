//! Errors as RFC 9457 describes them.

use axum::{
    Json,
    http::{HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
};
use segue_manage::Refusal;
use segue_store::StoreError;
use serde::Serialize;
use utoipa::ToSchema;

/// What went wrong (RFC 9457).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct Problem {
    /// What kind it is, in words.
    pub title: &'static str,
    /// The status code.
    pub status: u16,
    /// What it is this time.
    pub detail: String,
    /// A word for programs.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub code: Option<&'static str>,
    /// What can be done about it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub fix: Option<String>,
    /// What it is, each by itself, where there are several.
    #[serde(skip_serializing_if = "<[String]>::is_empty")]
    pub reasons: Box<[String]>,
    #[serde(skip)]
    retry_after_s: Option<u64>,
}

impl Problem {
    /// With this status.
    pub(crate) fn new(status: StatusCode, detail: impl Into<String>) -> Problem {
        Problem {
            title: status.canonical_reason().unwrap_or("Problem"),
            status: status.as_u16(),
            detail: detail.into(),
            code: None,
            fix: None,
            reasons: Box::default(),
            retry_after_s: None,
        }
    }

    /// What can be done about it.
    pub(crate) fn fix(self, fix: impl Into<String>) -> Problem {
        Problem {
            fix: Some(fix.into()),
            ..self
        }
    }

    /// A word for programs.
    pub(crate) fn code(self, code: &'static str) -> Problem {
        Problem {
            code: Some(code),
            ..self
        }
    }

    /// Of which one it is told, in brackets.
    pub(crate) fn of(self, which: &str) -> Problem {
        Problem {
            detail: format!("{} ({which})", self.detail),
            ..self
        }
    }

    /// A fault of ours.
    pub(crate) fn fault() -> Problem {
        Problem {
            title: "A fault of ours",
            ..Problem::new(StatusCode::INTERNAL_SERVER_ERROR, "see the log")
        }
    }

    /// Its status.
    pub(crate) fn status(&self) -> StatusCode {
        StatusCode::from_u16(self.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR)
    }
}

impl From<Refusal> for Problem {
    fn from(refusal: Refusal) -> Problem {
        let status = match &refusal {
            Refusal::NotLoggedIn | Refusal::WrongLogin => StatusCode::UNAUTHORIZED,
            Refusal::LinkSpent => StatusCode::GONE,
            Refusal::TooMany { .. } => StatusCode::TOO_MANY_REQUESTS,
            Refusal::Forbidden { .. } => StatusCode::FORBIDDEN,
            Refusal::Invalid { .. } => StatusCode::UNPROCESSABLE_ENTITY,
            Refusal::Changed => StatusCode::PRECONDITION_FAILED,
            Refusal::Store(StoreError::NotFound { .. }) => StatusCode::NOT_FOUND,
            Refusal::Store(StoreError::Refused { .. }) => StatusCode::CONFLICT,
            Refusal::Store(StoreError::Full) => StatusCode::INSUFFICIENT_STORAGE,
            Refusal::Store(StoreError::Busy | StoreError::QueueFull | StoreError::Stopped) => {
                StatusCode::SERVICE_UNAVAILABLE
            }
            Refusal::System(_) | Refusal::Store(_) => {
                tracing::error!(error = %refusal, "a request failed");
                return Problem {
                    code: Some(refusal.code()),
                    ..Problem::fault()
                };
            }
        };
        let retry_after_s = match refusal {
            Refusal::TooMany { retry_after_s } => Some(retry_after_s),
            _ if status == StatusCode::SERVICE_UNAVAILABLE => Some(1),
            _ => None,
        };
        Problem {
            code: Some(refusal.code()),
            // A fix that names a command is none for who has none.
            fix: Some(refusal.fix()).filter(|fix| !fix.contains("'segue ")),
            retry_after_s,
            ..Problem::new(status, refusal.to_string())
        }
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let (status, retry_after_s) = (self.status(), self.retry_after_s);
        let headers = [
            (header::CONTENT_TYPE, "application/problem+json"),
            (header::CACHE_CONTROL, "no-store"),
        ];
        let mut response = (status, headers, Json(self)).into_response();
        if let Some(s) = retry_after_s {
            response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from(s));
        }
        if status == StatusCode::UNAUTHORIZED {
            // RFC 9110 §15.5.2 wants one.
            let ask = HeaderValue::from_static("Bearer realm=\"segue\"");
            response.headers_mut().insert(header::WWW_AUTHENTICATE, ask);
        }
        response
    }
}

/// `application/problem+json` with this status.
pub(crate) fn problem(status: StatusCode, title: &'static str, detail: String) -> Response {
    with_reasons(status, title, detail, &[])
}

/// The same with a member `reasons`.
pub(crate) fn with_reasons(status: StatusCode, title: &'static str, detail: String, reasons: &[String]) -> Response {
    Problem {
        title,
        reasons: reasons.into(),
        ..Problem::new(status, detail)
    }
    .into_response()
}
