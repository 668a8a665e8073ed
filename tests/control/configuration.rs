//! The configuration client against synthetic sources, each signed by keys of the test.

mod anchors;
mod download;
mod federation;
mod folder;
mod refusals;
mod source;
