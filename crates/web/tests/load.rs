//! The last hour of the load: what is kept of it, who may see it, and how it is shown.

mod fixture;

use std::time::{Duration, Instant};

use fixture::{Office, load};
use segue_records::UnixMs;
use segue_store::Role;
use segue_web::{LoadHistory, LoadView, Refused, SAMPLE_EVERY, SAMPLES_MAX, Used};

/// 2026-03-01T12:00:00Z.
const NOON: UnixMs = UnixMs(1_772_366_400_000);

/// The load after so many samples: the calls go up by one with each, two are tried and one is refused in each.
fn after(samples: u32) -> LoadView {
    let samples = u64::from(samples);
    let mut load = load();
    load.refused
        .iter_mut()
        .for_each(|one: &mut Refused| one.count += samples);
    LoadView {
        calls: Used {
            now: samples,
            max: None,
        },
        cores: 2,
        cpu_ms: samples * 2_500,
        attempts: 100 + 2 * samples,
        ..load
    }
}

/// So many samples, one when it is due.
fn fill(history: &LoadHistory, samples: u32) {
    let began = Instant::now();
    for n in 0..=samples {
        let at = UnixMs(NOON.0 + 5_000 * i64::from(n));
        history.note(at, began + SAMPLE_EVERY * n, &after(n));
    }
}

#[test]
fn a_sample_has_what_was_counted_since_the_one_before_and_the_first_says_nothing_yet() {
    let history = LoadHistory::default();
    let began = Instant::now();
    history.note(NOON, began, &after(0));
    assert_eq!(history.view().samples, [], "what was before the first is not known");
    history.note(UnixMs(NOON.0 + 5_000), began + Duration::from_secs(5), &after(1));
    // Later than it should be: its rate is by the time that has passed.
    history.note(UnixMs(NOON.0 + 15_000), began + Duration::from_secs(15), &after(2));
    let samples = history.view().samples;
    let told: Vec<_> = samples
        .iter()
        .map(|s| (s.at.as_str(), s.over_ms, s.attempts, s.refused, s.cpu_percent))
        .collect();
    assert_eq!(
        told,
        [
            ("2026-03-01T12:00:05.000Z", 5_000, 2, 1, 25),
            ("2026-03-01T12:00:15.000Z", 10_000, 2, 1, 13)
        ]
    );
    // What counts from the start again is no negative number.
    history.note(UnixMs(NOON.0 + 20_000), began + Duration::from_secs(20), &after(0));
    assert_eq!(history.view().samples[2].attempts, 0);
}

#[test]
fn an_hour_is_kept_and_the_oldest_goes_for_the_newest() {
    let history = LoadHistory::default();
    let kept = u32::try_from(SAMPLES_MAX).unwrap();
    assert_eq!(SAMPLE_EVERY * kept, Duration::from_secs(3600));
    fill(&history, kept + 80);
    let samples = history.view().samples;
    assert_eq!(samples.len(), SAMPLES_MAX);
    assert_eq!(
        SAMPLE_EVERY * u32::try_from(SAMPLES_MAX).unwrap(),
        Duration::from_secs(3600)
    );
    assert_eq!(
        (samples[0].calls, samples[SAMPLES_MAX - 1].calls),
        (81, u64::from(kept) + 80)
    );
}

#[tokio::test]
async fn operators_see_the_last_hour_by_api_and_as_charts_with_the_same_in_words() {
    let office = Office::open().await;
    let root = office.browser("root").await;
    let text = root.get("/operator/load").await.text();
    assert!(text.contains("Nothing has been measured yet"), "{text}");
    let none = root.get("/api/v1/load/history").await.json();
    assert_eq!(
        (&none["every_ms"], &none["samples"]),
        (&5000.into(), &serde_json::json!([]))
    );

    fill(&office.load_history, 24);
    let history = root.get("/api/v1/load/history").await.json();
    let samples = history["samples"].as_array().unwrap();
    assert_eq!(samples.len(), 24);
    assert_eq!(samples[23]["at"], "2026-03-01T12:02:00.000Z");
    assert_eq!(
        (&samples[23]["calls"], &samples[23]["attempts"]),
        (&24.into(), &2.into())
    );
    let text = root.get("/operator/load").await.text();
    for told in [
        // Each chart says in words what it shows.
        "Calls; up: 24 now, 24 at most; waiting for an answer: 3 now, 3 at most; the table below has all",
        "tried: 0.4 now, 0.4 at most",
        "of all reasons: 0.2 now, 0.2 at most",
        "this process: 25 % now, 25 % at most",
        // A minute of the table: the last is of one sample, that before of twelve.
        "2026-03-01 12:01:00 UTC</time></td><td class=\"number\">23</td><td class=\"number\">3</td><td class=\"number\">24</td><td class=\"number\">12</td>",
    ] {
        assert!(text.contains(told), "{told}: {text}");
    }
    // Two minutes are shown on five: the first sample is the one at five seconds.
    assert_eq!(text.matches("<polyline").count(), 6);
    assert!(text.contains("points=\"229.0,"), "{text}");
    assert!(!text.contains("style="), "the policy of the pages takes none");

    let looks = office.program("root", Role::Operator, &["calls:read"]);
    looks.get("/api/v1/load/history").await.problem(403);
    let bob = office.browser("bob").await;
    bob.get("/api/v1/load/history").await.problem(403);
    office.nobody().get("/api/v1/load/history").await.problem(401);
}

#[tokio::test]
async fn where_nothing_was_measured_no_line_is_drawn() {
    let office = Office::open().await;
    let began = Instant::now();
    for s in [0_u32, 5, 10, 600, 605] {
        let at = UnixMs(NOON.0 + i64::from(s) * 1_000);
        let now = began + Duration::from_secs(s.into());
        office.load_history.note(at, now, &after(s));
    }
    let root = office.browser("root").await;
    let text = root.get("/operator/load").await.text();
    assert_eq!(text.matches("<polyline").count(), 12, "{text}");
}
