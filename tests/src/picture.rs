//! Eyes: which party's colour a picture has.

use std::{path::Path, process::Command};

/// The colours of the parties (media/README.md).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Colour {
    /// The caller.
    Red,
    /// The clip.
    Green,
    /// The callee.
    Blue,
    /// The greeting.
    Yellow,
    /// A mark in time.
    White,
    /// The beep's card.
    Grey,
    /// Nothing.
    Black,
    /// None of these.
    Other,
}

impl Colour {
    /// The name that ffmpeg's filters know.
    pub fn name(self) -> &'static str {
        match self {
            Colour::Red => "red",
            Colour::Green => "lime",
            Colour::Blue => "blue",
            Colour::Yellow => "yellow",
            Colour::White => "white",
            Colour::Grey => "gray",
            Colour::Black | Colour::Other => "black",
        }
    }

    /// The colour that a mean pixel is near to.
    pub fn of([r, g, b]: [u8; 3]) -> Colour {
        let strong = |level: u8| level > 130;
        let weak = |level: u8| level < 90;
        if r.abs_diff(g) < 30 && g.abs_diff(b) < 30 {
            return match g {
                190.. => Colour::White,
                50..190 => Colour::Grey,
                _ => Colour::Black,
            };
        }
        match () {
            () if strong(r) && weak(g) && weak(b) => Colour::Red,
            () if weak(r) && strong(g) && weak(b) => Colour::Green,
            () if weak(r) && weak(g) && strong(b) => Colour::Blue,
            () if strong(r) && strong(g) && weak(b) => Colour::Yellow,
            () => Colour::Other,
        }
    }

    /// The colour of a PNG file; `None` when it cannot be read (yet).
    pub fn of_file(path: &Path) -> Option<Colour> {
        Colour::decoded(
            Command::new("ffmpeg")
                .args(["-v", "error", "-f", "png_pipe", "-i"])
                .arg(path),
        )
    }

    /// The colour of a picture file of any kind; `None` when it cannot be read (yet).
    pub fn of_picture(path: &Path) -> Option<Colour> {
        Colour::decoded(Command::new("ffmpeg").args(["-v", "error", "-i"]).arg(path))
    }

    fn decoded(ffmpeg: &mut Command) -> Option<Colour> {
        let output = ffmpeg
            .args([
                "-vf",
                "scale=1:1:flags=area",
                "-f",
                "rawvideo",
                "-pix_fmt",
                "rgb24",
                "-",
            ])
            .output()
            .expect("ffmpeg runs");
        let pixel: [u8; 3] = output.stdout.as_slice().try_into().ok()?;
        Some(Colour::of(pixel))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn colours_keep_their_name_through_a_codec() {
        // As they came out of H.264: limited range, other primaries.
        assert_eq!(Colour::of([0xec, 0x0e, 0x10]), Colour::Red);
        assert_eq!(Colour::of([0x13, 0x0e, 0xed]), Colour::Blue);
        assert_eq!(Colour::of([20, 240, 12]), Colour::Green);
        assert_eq!(Colour::of([230, 240, 30]), Colour::Yellow);
        assert_eq!(Colour::of([235, 235, 235]), Colour::White);
        assert_eq!(Colour::of([128, 126, 130]), Colour::Grey);
        assert_eq!(Colour::of([16, 16, 16]), Colour::Black);
    }
}
