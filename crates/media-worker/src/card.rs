//! Pictures where there is none to show, so that no caller sees black. Drawn here: they need no file and no font.

use crate::encode::{HEIGHT, WIDTH};
use crate::letters::glyph;

/// Luma and chroma (BT.601) of what is drawn.
const GREY: [u8; 3] = [126, 128, 128];
const RED: [u8; 3] = [81, 90, 240];
const WHITE: [u8; 3] = [235, 128, 128];

/// A grey blue, no other party's colour.
const BLUE: [u8; 3] = [80, 140, 118];

/// A brown, no other party's colour either.
const BROWN: [u8; 3] = [70, 112, 146];

/// A dark green, calm enough to be read from for a while.
const GREEN: [u8; 3] = [60, 124, 112];

/// Pixels of a dot of a letter of a prompt's picture, and from one line of it to the next.
const TEXT_DOT: u32 = 4;
const TEXT_STEP: u32 = 12 * TEXT_DOT;
/// The most letters of a line, and lines, of a prompt's picture.
pub(crate) const TEXT_LETTERS_MAX: usize = 25;
pub(crate) const TEXT_LINES_MAX: usize = 7;

/// Pixels of a dot of a letter, which is 5 dots wide and 7 high, with one dot between.
const DOT: u32 = 8;
/// Where the word of the recording's card begins, and where those of the full mailbox.
const WORD_TOP: u32 = 230;
const MAILBOX_TOP: u32 = 112;
const FULL_TOP: u32 = 192;
const CIRCLE: (u32, u32, u32) = (WIDTH / 2, 130, 60);

/// The sound card's bars: half their heights, their width and their distance, pixels.
const BAR_HALVES: [u32; 5] = [30, 60, 90, 60, 30];
const BAR_WIDTH: u32 = 24;
const BAR_STEP: u32 = 48;

/// The card of a recording: grey, a red dot, the word.
pub(crate) fn recording() -> Vec<u8> {
    draw(recording_at)
}

/// The card of a clip that is sound alone: a quiet blue with five bars, as of a sound.
pub(crate) fn sound() -> Vec<u8> {
    draw(sound_at)
}

/// The card of a full mailbox: brown, two words.
pub(crate) fn full() -> Vec<u8> {
    draw(full_at)
}

/// The picture of a prompt: green, its lines in the middle, each beginning where the longest does.
pub(crate) fn text(lines: &[Vec<char>]) -> Vec<u8> {
    let longest = lines.iter().map(Vec::len).max().unwrap_or(0) as u32;
    let left = WIDTH.saturating_sub(longest * 6 * TEXT_DOT) / 2;
    let top = HEIGHT.saturating_sub(lines.len() as u32 * TEXT_STEP - 5 * TEXT_DOT) / 2;
    draw(|x, y| {
        let (Some(x), Some(y)) = (x.checked_sub(left), y.checked_sub(top)) else {
            return GREEN;
        };
        let (line, row) = (y / TEXT_STEP, y % TEXT_STEP / TEXT_DOT);
        let (letter, column) = (x / TEXT_DOT / 6, x / TEXT_DOT % 6);
        let at = |index: u32| usize::try_from(index).unwrap_or(usize::MAX);
        let letter = lines.get(at(line)).and_then(|line| line.get(at(letter)));
        let dots = letter.and_then(|letter| glyph(*letter)?.get(at(row)).copied());
        let is_dot = column < 5 && dots.is_some_and(|dots| dots >> (4 - column) & 1 == 1);
        if is_dot { WHITE } else { GREEN }
    })
}

/// An I420 frame of what `paint` says of each pixel.
fn draw(paint: impl Fn(u32, u32) -> [u8; 3]) -> Vec<u8> {
    let mut planes = Vec::new();
    for (plane, step) in [(0, 1), (1, 2), (2, 2)] {
        for y in (0..HEIGHT).step_by(step) {
            planes.extend(
                (0..WIDTH)
                    .step_by(step)
                    .map(|x| paint(x, y).get(plane).copied().unwrap_or(128)),
            );
        }
    }
    planes
}

fn recording_at(x: u32, y: u32) -> [u8; 3] {
    let (middle_x, middle_y, radius) = CIRCLE;
    if x.abs_diff(middle_x).pow(2) + y.abs_diff(middle_y).pow(2) < radius.pow(2) {
        RED
    } else if in_word("RECORDING", WORD_TOP, x, y) {
        WHITE
    } else {
        GREY
    }
}

fn full_at(x: u32, y: u32) -> [u8; 3] {
    if in_word("MAILBOX", MAILBOX_TOP, x, y) || in_word("FULL", FULL_TOP, x, y) {
        WHITE
    } else {
        BROWN
    }
}

fn sound_at(x: u32, y: u32) -> [u8; 3] {
    let left = (WIDTH - (BAR_HALVES.len() as u32 * BAR_STEP - (BAR_STEP - BAR_WIDTH))) / 2;
    let half = x
        .checked_sub(left)
        .and_then(|x| (x % BAR_STEP < BAR_WIDTH).then_some(x / BAR_STEP));
    let half = half.and_then(|bar| BAR_HALVES.get(usize::try_from(bar).ok()?));
    if half.is_some_and(|half| y.abs_diff(HEIGHT / 2) < *half) {
        WHITE
    } else {
        BLUE
    }
}

/// Whether a pixel is one of a word's, in the middle of a line that begins at `top`.
fn in_word(word: &str, top: u32, x: u32, y: u32) -> bool {
    let width = (word.len() as u32 * 6).saturating_sub(1) * DOT;
    let left = WIDTH.saturating_sub(width) / 2;
    let (Some(x), Some(y)) = (x.checked_sub(left), y.checked_sub(top)) else {
        return false;
    };
    let (column, row) = (x / DOT % 6, y / DOT);
    let Some(letter) = usize::try_from(x / DOT / 6)
        .ok()
        .and_then(|index| word.chars().nth(index))
    else {
        return false;
    };
    let Some(dots) = usize::try_from(row)
        .ok()
        .and_then(|row| glyph(letter)?.get(row).copied())
    else {
        return false;
    };
    column < 5 && dots >> (4 - column) & 1 == 1
}
