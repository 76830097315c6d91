//! Who sits at a browser in front of a running Segue: logging in, and whether everybody can use a page.

use std::{
    fs,
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
};

use crate::{
    page::Page,
    segue::{Segue, repository},
};

/// The password of all phones here.
pub const PASSWORD: &str = "sesame";

/// A server by which softphones register; callers of a mailbox hear the beep at once. `settings`: more of its configuration.
pub fn office(folder: &Path, settings: &str) -> Segue {
    let profiles = folder.join("profiles");
    fs::create_dir_all(&profiles).expect("a folder of profiles");
    let profile = fs::read_to_string(repository().join("sip-profiles/softphone.toml")).expect("the profile");
    // baresip 1.0 gives up when another algorithm than MD5 is offered first.
    let profile = [
        ("registrar = false", "registrar = true"),
        ("menu = true", "menu = false"),
        (
            "digest_algorithms = [\"SHA-256\", \"MD5\"]",
            "digest_algorithms = [\"MD5\"]",
        ),
    ]
    .iter()
    .fold(profile, |text, (is, shall)| {
        assert!(text.contains(is), "no {is} in the profile of softphones");
        text.replace(is, shall)
    });
    fs::write(profiles.join("softphone.toml"), profile).expect("a profile");
    Segue::start_with(
        &folder.join("segue"),
        &format!("profiles_dir = {profiles:?}\n{settings}"),
    )
}

/// A file with [`PASSWORD`] that nobody else may read.
pub fn password_file(folder: &Path) -> String {
    let file = folder.join("password");
    fs::write(&file, PASSWORD).expect("a password file");
    fs::set_permissions(&file, fs::Permissions::from_mode(0o600)).expect("a private file");
    file.to_string_lossy().into_owned()
}

/// Logs in by a link that a command has made.
#[track_caller]
pub fn log_in(page: &mut Page, segue: &Segue, command: &[&str]) {
    let link = segue.cli(command)["link"].as_str().expect("a link").to_owned();
    assert_eq!(page.goto(&link), 200);
    page.click("main button");
}

/// The address of a page.
pub fn at(segue: &Segue, path: &str) -> String {
    format!("http://{}{path}", segue.http())
}

/// Usable by everybody: no barriers light or dark, nothing beside a screen of 360 pixels, and no trouble of its own.
#[track_caller]
pub fn expect_usable(page: &mut Page, name: &str) {
    for scheme in ["dark", "light"] {
        page.scheme(scheme);
        assert_eq!(page.barriers(), Vec::<String>::new(), "{name}, {scheme}");
    }
    page.size(360, 740);
    let over = page.run("document.documentElement.scrollWidth - window.innerWidth");
    assert!(
        over.as_i64().expect("a width") <= 0,
        "{name} is {over} px wider than a small screen"
    );
    page.size(1280, 800);
    assert_eq!(page.troubles(), Vec::<String>::new(), "{name}");
}

/// Where pictures of the pages go, when somebody wants them (`make pictures`).
pub fn pictures() -> Option<PathBuf> {
    let folder = PathBuf::from(std::env::var_os("SEGUE_PICTURES")?);
    fs::create_dir_all(&folder).expect("a folder for pictures");
    Some(folder)
}
