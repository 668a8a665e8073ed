//! Installed packages, from the database of dpkg where there is one, and Hermod itself.

use std::path::Path;

use super::host::read;
use super::metric::Metric;

pub fn list(root: &Path) -> Vec<Metric> {
    let own = Metric::of_text("hermod", env!("CARGO_PKG_VERSION"));
    let status = read(root, "var/lib/dpkg/status");
    let packages = status.split("\n\n").filter_map(|paragraph| {
        let field = |name: &str| {
            let line = paragraph.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':'));
            line.map(str::trim)
        };
        let installed = field("Status")?.ends_with(" installed");
        installed.then_some(Metric::of_text(field("Package")?, field("Version")?))
    });
    std::iter::once(own).chain(packages).collect()
}
