//! The HTTP side: health today.
