//! The shape of the house (ARCHITECTURE.md): who may import whom, which package lives where, what pure crates may not
//! know, where `unsafe` may stand, and how long a file may grow.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::{Path, PathBuf},
};

/// The allowed arrows: a crate may name what stands here, and whatever that in turn may name.
const ARROWS: &[(&str, &[&str])] = &[
    ("server", &["web", "jobs", "b2bua", "media-worker"]),
    ("web", &["manage", "store", "b2bua", "jobs"]),
    ("manage", &["store", "policy", "mailbox", "records", "sip-wire"]),
    ("jobs", &["store", "mailbox", "media", "records"]),
    ("b2bua", &["call", "registrar", "sip", "media", "store"]),
    ("store", &["policy", "mailbox", "records"]),
    ("call", &["policy", "mailbox", "records", "sdp", "sip-wire"]),
    ("registrar", &["sip-wire"]),
    ("sip", &["sip-wire"]),
    ("media", &["sdp"]),
    ("media-worker", &["media", "mailbox"]),
    ("sdp", &[]),
    ("sip-wire", &[]),
    ("policy", &[]),
    ("mailbox", &[]),
    ("records", &[]),
];

/// Packages with one home.
const HOMES: &[(&str, &str)] = &[
    ("rsip", "sip-wire"),
    ("rusqlite", "store"),
    ("gstreamer", "media-worker"),
    ("gstreamer-app", "media-worker"),
];

/// Crates without socket, file, clock, thread or runtime. `sip` is pure outside `transport/`.
const PURE: &[&str] = &[
    "sdp",
    "sip-wire",
    "policy",
    "mailbox",
    "records",
    "call",
    "registrar",
    "sip",
];

/// What pure code may not name. Hash maps are here for their random order.
const IMPURE: &[&str] = &[
    "tokio",
    "socket2",
    "UdpSocket",
    "TcpStream",
    "TcpListener",
    "std::fs",
    "std::thread",
    "std::env",
    "Instant::now",
    "SystemTime",
    "HashMap",
    "HashSet",
];

const LINES_MAX: usize = 600;

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap().to_owned()
}

/// The folders in `crates/`, which are the crates' names without `segue-`.
fn crates() -> Vec<String> {
    let mut names: Vec<String> = fs::read_dir(root().join("crates"))
        .unwrap()
        .map(|entry| entry.unwrap())
        .filter(|entry| entry.path().join("Cargo.toml").exists())
        .map(|entry| entry.file_name().into_string().unwrap())
        .collect();
    names.sort();
    names
}

fn manifest(name: &str) -> toml::Table {
    fs::read_to_string(root().join("crates").join(name).join("Cargo.toml"))
        .unwrap()
        .parse()
        .unwrap()
}

/// Names in the given dependency sections of a manifest.
fn dependencies(name: &str, sections: &[&str]) -> Vec<String> {
    let manifest = manifest(name);
    sections
        .iter()
        .filter_map(|section| manifest.get(*section)?.as_table())
        .flat_map(|table| table.keys().cloned())
        .collect()
}

/// All Rust files below a folder.
fn sources(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    let mut folders = vec![folder.to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(&folder).into_iter().flatten() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                found.push(path);
            }
        }
    }
    found.sort();
    found
}

/// The lines of a file that are code and not its unit tests, with their numbers. Comment lines and line ends go; tests
/// stand at the end of a file or in files of their own.
fn code(path: &Path) -> Vec<(usize, String)> {
    if path.file_name().is_some_and(|name| name == "tests.rs")
        || path.components().any(|part| part.as_os_str() == "tests")
    {
        return Vec::new();
    }
    fs::read_to_string(path)
        .unwrap()
        .lines()
        .take_while(|line| line.trim() != "#[cfg(test)]")
        .enumerate()
        .map(|(index, line)| (index + 1, line.split("//").next().unwrap_or_default().to_owned()))
        .collect()
}

/// Does `line` name `word`, not as part of a longer word?
fn names(line: &str, word: &str) -> bool {
    let part = |c: Option<char>| c.is_some_and(|c| c.is_alphanumeric() || c == '_');
    line.match_indices(word)
        .any(|(at, _)| !part(line[..at].chars().next_back()) && !part(line[at + word.len()..].chars().next()))
}

#[track_caller]
fn none(wrong: Vec<String>) {
    assert!(wrong.is_empty(), "\n{}\n", wrong.join("\n"));
}

#[test]
fn every_crate_follows_the_arrows() {
    let arrows: BTreeMap<&str, &[&str]> = ARROWS.iter().copied().collect();
    let reachable = |from: &str| {
        let mut seen: BTreeSet<&str> = BTreeSet::new();
        let mut next: Vec<&str> = arrows.get(from).map(|below| below.to_vec()).unwrap_or_default();
        while let Some(name) = next.pop() {
            if seen.insert(name) {
                next.extend(arrows.get(name).copied().unwrap_or_default());
            }
        }
        seen
    };
    let mut wrong = Vec::new();
    for name in crates() {
        if !arrows.contains_key(name.as_str()) {
            wrong.push(format!("crates/{name} has no row in the table of arrows"));
        }
        let allowed = reachable(&name);
        // Dev-dependencies stay free: a test may look across.
        for dependency in dependencies(&name, &["dependencies", "build-dependencies"]) {
            let Some(ours) = dependency.strip_prefix("segue-") else {
                continue;
            };
            if !allowed.contains(ours) {
                wrong.push(format!("crates/{name} imports {ours}, against the arrows"));
            }
        }
    }
    none(wrong);
}

#[test]
fn the_arrows_form_no_circle() {
    for (name, _) in ARROWS {
        let mut below: BTreeSet<&str> = BTreeSet::new();
        let mut next = vec![*name];
        while let Some(at) = next.pop() {
            for (_, to) in ARROWS.iter().filter(|(from, _)| *from == at) {
                next.extend(to.iter().filter(|to| below.insert(to)));
            }
        }
        assert!(!below.contains(name), "{name} reaches itself");
    }
}

#[test]
fn each_package_with_one_home_is_named_nowhere_else() {
    let mut wrong = Vec::new();
    for name in crates() {
        for dependency in dependencies(&name, &["dependencies", "build-dependencies", "dev-dependencies"]) {
            if let Some((_, home)) = HOMES
                .iter()
                .find(|(package, home)| *package == dependency && *home != name)
            {
                wrong.push(format!(
                    "crates/{name} names {dependency}, whose only home is crates/{home}"
                ));
            }
        }
    }
    none(wrong);
}

#[test]
fn pure_crates_know_no_socket_file_clock_or_thread() {
    let mut wrong = Vec::new();
    for name in PURE {
        let source = root().join("crates").join(name).join("src");
        for path in sources(&source) {
            if path.starts_with(source.join("transport")) || path == source.join("transport.rs") {
                continue;
            }
            for (number, line) in code(&path) {
                for word in IMPURE.iter().filter(|word| names(&line, word)) {
                    wrong.push(format!(
                        "{}:{number} names {word}",
                        path.strip_prefix(root()).unwrap().display()
                    ));
                }
            }
        }
    }
    none(wrong);
}

#[test]
fn handlers_of_the_web_get_to_what_is_somebody_s_by_their_access_alone() {
    let source = root().join("crates/web/src");
    let wrong = ["api", "api.rs", "pages", "pages.rs"]
        .iter()
        .map(|part| source.join(part))
        .flat_map(|part| if part.is_dir() { sources(&part) } else { vec![part] })
        .flat_map(|path| code(&path).into_iter().map(move |line| (path.clone(), line)))
        .filter(|(_, (_, line))| names(line, "Store"))
        .map(|(path, (number, _))| format!("{}:{number} names the store", path.display()))
        .collect();
    none(wrong);
}

/// Files of the command line that get to the store itself, and why. Everything else goes through `Access`, as API and pages do.
const BESIDE_ACCESS: &[(&str, &str)] = &[
    ("mod.rs", "opens it"),
    ("beside.rs", "asks whether a server runs"),
    (
        "doctor.rs",
        "looks at the data directory itself, also at one that nothing can be made of",
    ),
    ("doctor/notices.rs", "the same"),
    ("doctor/targets.rs", "the same"),
];

#[test]
fn commands_get_to_what_is_somebody_s_by_their_access_but_for_those_named_here() {
    let source = root().join("crates/server/src/cli");
    let beside: BTreeSet<String> = sources(&source)
        .into_iter()
        .filter(|path| {
            code(path).iter().any(|(_, line)| {
                // A refusal that came from the store is no way to it.
                let line = line.replace("Refusal::Store(", "").replace("ClipError::Store(", "");
                names(&line, "Store") || line.contains("store()")
            })
        })
        .map(|path| path.strip_prefix(&source).unwrap().display().to_string())
        .collect();
    let excused: BTreeSet<String> = BESIDE_ACCESS.iter().map(|(file, _)| (*file).to_owned()).collect();
    let unexcused = beside
        .difference(&excused)
        .map(|file| format!("cli/{file} gets to the store past Access"));
    let needless = excused
        .difference(&beside)
        .map(|file| format!("cli/{file} needs no excuse any more"));
    none(unexcused.chain(needless).collect());
}

#[test]
fn unsafe_stands_only_on_the_packet_path_and_with_its_reason() {
    let mut wrong = Vec::new();
    for path in sources(&root().join("crates")) {
        let short = path.strip_prefix(root()).unwrap().display().to_string();
        let text = fs::read_to_string(&path).unwrap();
        let lines: Vec<&str> = text.lines().collect();
        for (number, line) in code(&path) {
            if !names(&line, "unsafe") {
                continue;
            }
            let before = &lines[number.saturating_sub(6)..number];
            if !short.starts_with("crates/media/src/") {
                wrong.push(format!("{short}:{number} unsafe outside the packet path"));
            } else if !before
                .iter()
                .any(|line| line.contains("SAFETY:") || line.contains("# Safety"))
            {
                wrong.push(format!("{short}:{number} unsafe without a SAFETY comment"));
            }
        }
    }
    none(wrong);
}

#[test]
fn every_crate_takes_the_workspace_lints() {
    let silent: Vec<String> = crates()
        .into_iter()
        .filter(|name| {
            manifest(name).get("lints").and_then(|lints| lints.get("workspace")) != Some(&toml::Value::Boolean(true))
        })
        .map(|name| format!("crates/{name} does not say [lints] workspace = true"))
        .collect();
    none(silent);
}

#[test]
fn no_file_is_longer_than_one_idea() {
    let long: Vec<String> = ["crates", "tests"]
        .iter()
        .flat_map(|folder| sources(&root().join(folder)))
        .map(|path| (fs::read_to_string(&path).unwrap().lines().count(), path))
        .filter(|(lines, _)| *lines > LINES_MAX)
        .map(|(lines, path)| format!("{}: {lines} lines", path.strip_prefix(root()).unwrap().display()))
        .collect();
    none(long);
}

#[test]
fn the_architecture_page_names_only_files_that_exist() {
    let page = fs::read_to_string(root().join("ARCHITECTURE.md")).unwrap();
    let missing: Vec<String> = page
        .split('`')
        .skip(1)
        .step_by(2)
        .filter(|word| word.contains('/') && (word.ends_with(".rs") || word.ends_with('/')))
        .filter(|path| !root().join(path).exists() && !root().join("crates").join(path).exists())
        .map(|path| format!("ARCHITECTURE.md names {path}, which does not exist"))
        .collect();
    none(missing);
}
