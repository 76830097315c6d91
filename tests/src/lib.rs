//! What the tests across crates and the demo share: a running Segue, real softphones, a browser, and ears and eyes that
//! tell which party is heard and seen. A step that fails panics with what it waited for.

pub mod browser;
pub mod certificate;
pub mod control;
pub mod desk;
pub mod handset;
pub mod impair;
pub mod kamailio;
pub mod movie;
pub mod names;
pub mod page;
pub mod phone;
pub mod picture;
pub mod road;
pub mod scenario;
pub mod segue;
pub mod sipp;
pub mod sound;
pub mod verdict;
pub mod voice;
pub mod wait;
