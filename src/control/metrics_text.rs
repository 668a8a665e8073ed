//! The text format of Prometheus, as far as it is needed here: counters and gauges with at most one label.

use std::fmt::{Display, Write as _};

/// Builds the text.
#[derive(Debug, Default)]
pub struct MetricsText(String);

impl MetricsText {
    /// A figure that only grows.
    pub fn counter(&mut self, name: &str, help: &str, value: impl Display) {
        self.family(name, "counter", help);
        let _ = writeln!(self.0, "{name} {value}");
    }

    /// A figure that goes up and down.
    pub fn gauge(&mut self, name: &str, help: &str, value: impl Display) {
        self.family(name, "gauge", help);
        let _ = writeln!(self.0, "{name} {value}");
    }

    /// A counter for each value of a label. Values must not need escapes.
    pub fn counters<V: Display>(
        &mut self,
        name: &str,
        help: &str,
        label: &str,
        values: impl IntoIterator<Item = (impl AsRef<str>, V)>,
    ) {
        self.family(name, "counter", help);
        self.labelled(name, label, values);
    }

    /// A figure that goes up and down for each value of a label. Values must not need escapes.
    pub fn gauges<V: Display>(
        &mut self,
        name: &str,
        help: &str,
        label: &str,
        values: impl IntoIterator<Item = (impl AsRef<str>, V)>,
    ) {
        self.family(name, "gauge", help);
        self.labelled(name, label, values);
    }

    fn labelled<V: Display>(
        &mut self,
        name: &str,
        label: &str,
        values: impl IntoIterator<Item = (impl AsRef<str>, V)>,
    ) {
        for (value, figure) in values {
            let _ = writeln!(self.0, "{name}{{{label}=\"{}\"}} {figure}", value.as_ref());
        }
    }

    /// A histogram in seconds for each value of a label: numbers by class of microseconds, the last beyond all bounds, and
    /// the sum in microseconds.
    pub fn durations<'c>(
        &mut self,
        name: &str,
        help: &str,
        label: &str,
        bounds_us: &[u64],
        values: impl IntoIterator<Item = (&'static str, &'c [u64], u64)>,
    ) {
        self.family(name, "histogram", help);
        for (value, classes, sum_us) in values {
            let mut total = 0;
            for (bound, count) in bounds_us.iter().zip(classes) {
                total += count;
                let bound = seconds(*bound);
                let _ = writeln!(self.0, "{name}_bucket{{{label}=\"{value}\",le=\"{bound}\"}} {total}");
            }
            let total: u64 = classes.iter().sum();
            let _ = writeln!(self.0, "{name}_bucket{{{label}=\"{value}\",le=\"+Inf\"}} {total}");
            let _ = writeln!(self.0, "{name}_sum{{{label}=\"{value}\"}} {}", seconds(sum_us));
            let _ = writeln!(self.0, "{name}_count{{{label}=\"{value}\"}} {total}");
        }
    }

    /// A histogram from the number of observations at most as large as each bound (not cumulative), those beyond the
    /// last bound, and the sum of all.
    pub fn histogram(&mut self, name: &str, help: &str, bounds: &[usize], counts: &[u64], sum: u64) {
        self.family(name, "histogram", help);
        let mut total = 0;
        for (bound, count) in bounds.iter().zip(counts) {
            total += count;
            let _ = writeln!(self.0, "{name}_bucket{{le=\"{bound}\"}} {total}");
        }
        let total: u64 = counts.iter().sum();
        let _ =
            writeln!(self.0, "{name}_bucket{{le=\"+Inf\"}} {total}\n{name}_sum {sum}\n{name}_count {total}");
    }

    /// The whole text.
    pub fn finish(self) -> String {
        self.0
    }

    fn family(&mut self, name: &str, kind: &str, help: &str) {
        let _ = writeln!(self.0, "# HELP {name} {help}\n# TYPE {name} {kind}");
    }
}

/// Microseconds as seconds.
pub fn seconds(us: u64) -> f64 {
    us as f64 / 1e6
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn writes_what_a_scraper_reads() {
        let mut text = MetricsText::default();
        text.counter("a_total", "As.", 3);
        text.counters("b_total", "Bs.", "kind", [("x", 1), ("y", 2)]);
        text.histogram("c", "Cs.", &[1, 2], &[4, 0, 1], 9);
        text.gauges("d", "Ds.", "kind", [("x", "+Inf")]);
        text.durations("e", "Es.", "phase", &[500], [("log", &[2, 1][..], 2_000_000)]);
        assert_eq!(
            text.finish(),
            "# HELP a_total As.\n# TYPE a_total counter\na_total 3\n\
             # HELP b_total Bs.\n# TYPE b_total counter\nb_total{kind=\"x\"} 1\nb_total{kind=\"y\"} 2\n\
             # HELP c Cs.\n# TYPE c histogram\nc_bucket{le=\"1\"} 4\nc_bucket{le=\"2\"} 4\n\
             c_bucket{le=\"+Inf\"} 5\nc_sum 9\nc_count 5\n\
             # HELP d Ds.\n# TYPE d gauge\nd{kind=\"x\"} +Inf\n\
             # HELP e Es.\n# TYPE e histogram\ne_bucket{phase=\"log\",le=\"0.0005\"} 2\n\
             e_bucket{phase=\"log\",le=\"+Inf\"} 3\ne_sum{phase=\"log\"} 2\ne_count{phase=\"log\"} 3\n"
        );
    }
}
