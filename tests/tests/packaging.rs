//! What the Debian package and the container image are made of: everything is there, agrees, and is hardened as
//! docs/install.md says.

use std::{
    fs,
    path::Path,
    process::{Command, Output},
};

use segue_tests::segue::{binary, repository};

fn read(path: &str) -> String {
    fs::read_to_string(repository().join(path)).unwrap_or_else(|e| panic!("{path}: {e}"))
}

/// The package's files: where each comes from, relative to the repository, and where it goes.
fn assets() -> Vec<(String, String)> {
    let manifest: toml::Table = read("crates/server/Cargo.toml").parse().unwrap();
    let assets = manifest["package"]["metadata"]["deb"]["assets"]
        .as_array()
        .unwrap()
        .clone();
    let mut files = Vec::new();
    for asset in &assets {
        let (from, to) = (asset[0].as_str().unwrap(), asset[1].as_str().unwrap());
        let from = from.trim_start_matches("../../");
        let Some((folder, pattern)) = from.rsplit_once('/').filter(|(_, name)| name.starts_with('*')) else {
            let name = Path::new(from).file_name().unwrap().to_str().unwrap();
            files.push((from.to_owned(), format!("/{to}{name}")));
            continue;
        };
        let before = files.len();
        for entry in fs::read_dir(repository().join(folder)).unwrap() {
            let name = entry.unwrap().file_name().into_string().unwrap();
            if name.ends_with(&pattern[1..]) {
                files.push((format!("{folder}/{name}"), format!("/{to}{name}")));
            }
        }
        assert!(files.len() > before, "{from} is nothing");
    }
    files
}

#[test]
fn the_package_holds_what_the_unit_and_the_configuration_name() {
    let files = assets();
    for (from, _) in files.iter().filter(|(from, _)| from != "target/release/segue") {
        assert!(repository().join(from).is_file(), "{from}");
    }
    let is_there = |path: &str| {
        files
            .iter()
            .any(|(_, to)| to == path || to.starts_with(&format!("{path}/")))
    };
    let start = directives("ExecStart");
    for path in start[0]
        .split(' ')
        .filter(|word| word.starts_with("/usr/") || word.starts_with("/etc/"))
    {
        assert!(is_there(path), "{path} of ExecStart");
    }
    let shipped: toml::Table = read("packaging/segue.toml").parse().unwrap();
    let profiles = shipped["profiles_dir"].as_str().unwrap();
    assert!(is_there(profiles), "{profiles}");
    let data = shipped["data_dir"].as_str().unwrap();
    assert_eq!(directives("WorkingDirectory"), [data]);
    assert_eq!(format!("/var/lib/{}", directives("StateDirectory")[0]), data);

    // What an operator may have changed is kept when a newer package comes.
    let manifest: toml::Table = read("crates/server/Cargo.toml").parse().unwrap();
    let kept = manifest["package"]["metadata"]["deb"]["conf-files"]
        .as_array()
        .unwrap()
        .clone();
    let mut kept: Vec<&str> = kept.iter().filter_map(|path| path.as_str()).collect();
    let mut editable: Vec<&str> = files
        .iter()
        .map(|(_, to)| to.as_str())
        .filter(|to| to.starts_with("/etc/"))
        .collect();
    kept.sort_unstable();
    editable.sort_unstable();
    assert_eq!(kept, editable);
}

#[test]
fn the_shipped_configuration_reads_well() {
    let checked = Command::new(binary())
        .args(["config", "check", "--config"])
        .arg(repository().join("packaging/segue.toml"))
        .env("SEGUE_PROFILES_DIR", repository().join("sip-profiles"))
        .output()
        .unwrap();
    expect_success("segue config check", &checked);
}

#[test]
fn the_scripts_of_the_package_are_sh_and_leave_the_messages() {
    for name in ["postinst", "postrm"] {
        let script = repository().join("packaging/debian").join(name);
        expect_success(name, &Command::new("sh").arg("-n").arg(&script).output().unwrap());
        let text = fs::read_to_string(&script).unwrap();
        // dh_installsystemd's part goes there.
        assert!(text.contains("\n#DEBHELPER#\n"), "{name}");
        let removes = text.lines().filter(|line| line.trim_start().starts_with("rm "));
        assert!(removes.clone().all(|line| !line.contains("/var/lib/segue")), "{name}");
    }
}

/// The values of one directive of the unit.
fn directives(name: &str) -> Vec<String> {
    let unit = read("packaging/segue.service");
    let lines = unit.lines().filter_map(|line| line.split_once('='));
    lines
        .filter(|(found, _)| *found == name)
        .map(|(_, value)| value.to_owned())
        .collect()
}

#[test]
fn the_unit_is_hardened() {
    for (name, value) in [
        ("User", "segue"),
        ("NoNewPrivileges", "yes"),
        ("ProtectSystem", "strict"),
        ("ProtectHome", "yes"),
        ("PrivateDevices", "yes"),
        ("PrivateTmp", "yes"),
        ("RestrictNamespaces", "yes"),
        ("SystemCallArchitectures", "native"),
        ("CapabilityBoundingSet", "CAP_SYS_NICE CAP_NET_BIND_SERVICE"),
        ("ExecReload", "/bin/kill -HUP $MAINPID"),
        ("KillMode", "mixed"),
    ] {
        assert_eq!(directives(name), [value], "{name}");
    }
    assert!(directives("SystemCallFilter").contains(&"~@privileged".to_owned()));

    // systemd's own word, where it is installed.
    if Command::new("systemd-analyze").arg("--version").output().is_err() {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let unit = folder.path().join("segue.service");
    // The binary is not installed here.
    let here = read("packaging/segue.service").replace("/usr/bin/segue", binary().to_str().unwrap());
    fs::write(&unit, here).unwrap();
    let analyze = |args: &[&str]| Command::new("systemd-analyze").args(args).arg(&unit).output().unwrap();
    let verified = analyze(&["verify", "--man=no", "--recursive-errors=no"]);
    expect_success("systemd-analyze verify", &verified);
    let said = String::from_utf8_lossy(&verified.stderr).into_owned();
    assert!(!said.contains("segue.service"), "{said}");
    // 0 is least exposed, 100 most.
    expect_success(
        "systemd-analyze security",
        &analyze(&["security", "--offline=yes", "--no-pager", "--threshold=20"]),
    );
}

#[test]
fn the_image_is_pinned_unprivileged_and_the_one_of_the_compose_file() {
    let file = read("Containerfile");
    let whole = file.replace("\\\n", " ");
    let instructions: Vec<(&str, &str)> = whole
        .lines()
        .filter(|line| !line.starts_with('#'))
        .filter_map(|line| line.split_once(' '))
        .collect();
    let all = |name: &str| -> Vec<&str> {
        let of = instructions.iter().filter(|(found, _)| *found == name);
        of.map(|(_, rest)| rest.trim()).collect()
    };
    for base in all("FROM") {
        let image = base.split(' ').next().unwrap();
        let tag = image.rsplit_once(':').map_or("latest", |(_, tag)| tag);
        assert!(tag != "latest", "{base}");
    }
    for run in all("RUN").iter().filter(|run| run.contains("apt-get install")) {
        let packages = run
            .split_once("--no-install-recommends")
            .unwrap()
            .1
            .split("&&")
            .next()
            .unwrap();
        for package in packages.split_whitespace() {
            assert!(package.contains('='), "{package} has no version");
        }
    }
    for copy in all("COPY").iter().filter(|copy| !copy.starts_with("--from")) {
        let mut words: Vec<&str> = copy.split_whitespace().collect();
        words.pop();
        for from in words {
            assert!(repository().join(from).exists(), "COPY {from}");
        }
    }
    let user = all("USER").last().unwrap().parse::<u32>().unwrap();
    assert!(user > 0, "root");
    assert_eq!(all("STOPSIGNAL"), ["SIGTERM"]);
    assert!(all("HEALTHCHECK")[0].contains("/health"));

    let compose = read("docker-compose.yml");
    let value = |key: &str| {
        let line = compose
            .lines()
            .find_map(|line| line.trim().strip_prefix(&format!("{key}: ")));
        line.unwrap_or_else(|| panic!("{key} in docker-compose.yml")).to_owned()
    };
    assert_eq!(value("dockerfile"), "Containerfile");
    assert!(file.contains(&format!("docker build -t {} ", value("image"))));
    assert_eq!(
        (value("network_mode"), value("read_only")),
        ("host".into(), "true".into())
    );
    assert_eq!(value("cap_drop"), "[ALL]");
    let mounts = compose.lines().filter_map(|line| line.trim().strip_prefix("- ./"));
    for mount in mounts.filter_map(|mount| mount.split(':').next()) {
        assert!(repository().join(mount).exists(), "{mount}");
    }
    // `make setup` puts hadolint there, unless the system has one or there was no network.
    let ours = repository().join("target/tools/bin/hadolint");
    let hadolint = if ours.exists() { ours } else { "hadolint".into() };
    match Command::new(hadolint).arg(repository().join("Containerfile")).output() {
        Ok(said) => expect_success("hadolint", &said),
        Err(error) => println!("the Containerfile is not linted: {error}"),
    }
}

#[track_caller]
fn expect_success(what: &str, output: &Output) {
    assert!(
        output.status.success(),
        "{what}: {}{}",
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    );
}
