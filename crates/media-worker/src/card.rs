//! Pictures where there is none to show, so that no caller sees black. Drawn here: they need no file and no font.

use crate::encode::{HEIGHT, WIDTH};

/// Luma and chroma (BT.601) of what is drawn.
const GREY: [u8; 3] = [126, 128, 128];
const RED: [u8; 3] = [81, 90, 240];
const WHITE: [u8; 3] = [235, 128, 128];

/// A grey blue, no other party's colour.
const BLUE: [u8; 3] = [80, 140, 118];

/// A brown, no other party's colour either.
const BROWN: [u8; 3] = [70, 112, 146];

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

/// An I420 frame of what `paint` says of each pixel.
fn draw(paint: fn(u32, u32) -> [u8; 3]) -> Vec<u8> {
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
        .and_then(|row| glyph(letter).get(row).copied())
    else {
        return false;
    };
    column < 5 && dots >> (4 - column) & 1 == 1
}

/// Rows of a 5x7 letter, the leftmost dot in bit 4.
fn glyph(letter: char) -> [u8; 7] {
    match letter {
        'R' => [0b11110, 0b10001, 0b10001, 0b11110, 0b10100, 0b10010, 0b10001],
        'E' => [0b11111, 0b10000, 0b10000, 0b11110, 0b10000, 0b10000, 0b11111],
        'C' => [0b01110, 0b10001, 0b10000, 0b10000, 0b10000, 0b10001, 0b01110],
        'O' => [0b01110, 0b10001, 0b10001, 0b10001, 0b10001, 0b10001, 0b01110],
        'D' => [0b11110, 0b10001, 0b10001, 0b10001, 0b10001, 0b10001, 0b11110],
        'I' => [0b01110, 0b00100, 0b00100, 0b00100, 0b00100, 0b00100, 0b01110],
        'N' => [0b10001, 0b11001, 0b10101, 0b10011, 0b10001, 0b10001, 0b10001],
        'M' => [0b10001, 0b11011, 0b10101, 0b10101, 0b10001, 0b10001, 0b10001],
        'A' => [0b01110, 0b10001, 0b10001, 0b11111, 0b10001, 0b10001, 0b10001],
        'L' => [0b10000, 0b10000, 0b10000, 0b10000, 0b10000, 0b10000, 0b11111],
        'B' => [0b11110, 0b10001, 0b10001, 0b11110, 0b10001, 0b10001, 0b11110],
        'X' => [0b10001, 0b10001, 0b01010, 0b00100, 0b01010, 0b10001, 0b10001],
        'F' => [0b11111, 0b10000, 0b10000, 0b11110, 0b10000, 0b10000, 0b10000],
        'U' => [0b10001, 0b10001, 0b10001, 0b10001, 0b10001, 0b10001, 0b01110],
        'G' => [0b01110, 0b10001, 0b10000, 0b10111, 0b10001, 0b10001, 0b01111],
        _ => [0; 7],
    }
}
