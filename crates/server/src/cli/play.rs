//! `segue message open`: plays a message with what this machine has.

use std::{
    env,
    fs::File,
    io::{BufWriter, Write},
    path::Path,
    process::{Command, Stdio},
};

use segue_mailbox::MediaState;
use segue_manage::{Access, MessageView};

use crate::failure::Failure;

/// A program that plays a file, and what it takes to make it end with the file.
struct Player {
    program: &'static str,
    arguments: &'static [&'static str],
    /// It hands the file to another program and returns at once: the file must stay.
    hands_over: bool,
}

/// In the order in which they are tried.
const PLAYERS: [Player; 5] = [
    Player {
        program: "ffplay",
        arguments: &["-autoexit", "-loglevel", "error"],
        hands_over: false,
    },
    Player {
        program: "gst-play-1.0",
        arguments: &["--no-interactive"],
        hands_over: false,
    },
    Player {
        program: "mpv",
        arguments: &["--really-quiet"],
        hands_over: false,
    },
    Player {
        program: "vlc",
        arguments: &["--play-and-exit"],
        hands_over: false,
    },
    Player {
        program: "xdg-open",
        arguments: &[],
        hands_over: true,
    },
];

/// Plays it and waits for the end; says with which program. It does not make it heard.
pub fn play(access: &Access, message: &MessageView, is_watched: bool) -> Result<&'static str, Failure> {
    if message.media_state == MediaState::Raw {
        return Err(Failure::refused(
            "not_ready",
            format!(
                "message {} is still the raw recording, which no player knows",
                message.id
            ),
            "start the server: it makes raw messages ready at its start; 'segue doctor' says what the worker lacks",
        ));
    }
    let path = env::var_os("PATH").unwrap_or_default();
    let player = PLAYERS
        .iter()
        .find(|player| env::split_paths(&path).any(|dir| dir.join(player.program).is_file()))
        .ok_or_else(|| {
            Failure::refused(
                "no_player",
                "nothing on this machine plays videos",
                format!(
                    "install ffplay (ffmpeg) or gst-play-1.0, or write it to a file: 'segue message export {} FILE'",
                    message.id
                ),
            )
        })?;
    let wrong = |what: &str, e: std::io::Error| {
        Failure::refused("system", format!("{what}: {e}"), "see TMPDIR and the space there")
    };
    let folder = tempfile::Builder::new()
        .prefix("segue-")
        .tempdir()
        .map_err(|e| wrong("no temporary directory can be made", e))?;
    let file = folder.path().join(format!("{}.mp4", message.id));
    let mut out = BufWriter::new(File::create(&file).map_err(|e| wrong("a copy cannot be made", e))?);
    access.export_media(&message.id, &mut out)?;
    out.flush().map_err(|e| wrong("a copy cannot be made", e))?;
    if player.hands_over {
        // Whoever it hands the file to reads it after we are gone.
        let _ = folder.keep();
    }
    run(player, &file, is_watched)?;
    Ok(player.program)
}

fn run(player: &Player, file: &Path, is_watched: bool) -> Result<(), Failure> {
    let said = if is_watched { Stdio::inherit() } else { Stdio::piped() };
    let ended = Command::new(player.program)
        .args(player.arguments)
        .arg(file)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(said)
        .output();
    let failed = |why: String| {
        Failure::refused(
            "player_failed",
            format!("{} could not play it: {why}", player.program),
            "see that this terminal has a display and sound, or use 'segue message export ID FILE'",
        )
    };
    match ended {
        // Without a sound device ffplay gives up and ends as if it had played.
        Ok(ended) if ended.status.success() => match String::from_utf8_lossy(&ended.stderr)
            .lines()
            .find(|line| line.contains("Failed to open file"))
        {
            Some(line) => Err(failed(line.chars().filter(|c| !c.is_control()).collect())),
            None => Ok(()),
        },
        Ok(ended) => Err(failed(ended.status.to_string())),
        Err(e) => Err(failed(e.to_string())),
    }
}
