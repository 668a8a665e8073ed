//! The servers' own figures, as their admin port tells them.

use std::collections::BTreeMap;
use std::ops::Sub;

/// A snapshot: `name{labels}` and value.
#[derive(Debug, Clone, Default)]
pub struct Metrics(BTreeMap<String, f64>);

impl Metrics {
    /// Reads the text format of Prometheus.
    pub fn parse(text: &str) -> Self {
        let lines = text.lines().filter(|line| !line.starts_with('#'));
        let pairs = lines.filter_map(|line| {
            let (name, value) = line.rsplit_once(' ')?;
            Some((name.to_owned(), value.parse().ok()?))
        });
        Self(pairs.collect())
    }

    /// A figure; 0 where it is not told.
    pub fn get(&self, name: &str) -> f64 {
        self.0.get(name).copied().unwrap_or(0.0)
    }

    /// A figure with one label.
    pub fn labelled(&self, name: &str, label: &str, value: &str) -> f64 {
        self.get(&format!("{name}{{{label}=\"{value}\"}}"))
    }

    /// Nothing was told.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl Sub for &Metrics {
    type Output = Metrics;

    fn sub(self, before: &Metrics) -> Metrics {
        Metrics(self.0.iter().map(|(name, value)| (name.clone(), value - before.get(name))).collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn figures_are_read_and_subtracted() {
        let before = Metrics::parse("# HELP a As\na 3\nb{k=\"x\"} 1.5\n");
        let after = Metrics::parse("a 5\nb{k=\"x\"} 2\n");
        let delta = &after - &before;
        assert_eq!((delta.get("a"), delta.labelled("b", "k", "x"), delta.get("c")), (2.0, 0.5, 0.0));
    }
}
