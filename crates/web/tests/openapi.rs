//! The description of the API is the one that is in the repository: whoever changes the API sees it in the difference.
#![allow(clippy::unwrap_used, reason = "tests")]

use std::{fs, path::Path};

/// `RENEW=1 cargo test -p segue-web --test openapi` writes it anew.
#[test]
fn the_description_is_the_one_in_the_repository() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/openapi.json");
    let ours = segue_web::description();
    if std::env::var_os("RENEW").is_some() {
        fs::write(&path, &ours).unwrap();
    }
    let kept = fs::read_to_string(&path).unwrap_or_default();
    assert!(
        kept == ours,
        "docs/openapi.json is another: RENEW=1 cargo test -p segue-web --test openapi"
    );
}

#[tokio::test]
async fn it_is_served_to_everybody() {
    let office = fixture::Office::open().await;
    let answer = office.nobody().get("/api/v1/openapi.json").await;
    let served: serde_json::Value = answer.json();
    let kept: serde_json::Value = serde_json::from_str(&segue_web::description()).unwrap();
    assert_eq!(served, kept);
}

mod fixture;
