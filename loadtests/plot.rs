//! Plots as inline SVG.

use std::fmt::Write as _;

const WIDTH: f64 = 860.0;
const HEIGHT: f64 = 260.0;
const LEFT: f64 = 64.0;
const BOTTOM: f64 = 34.0;
const TOP: f64 = 12.0;
const COLOURS: [&str; 6] = ["#2563eb", "#dc2626", "#059669", "#d97706", "#7c3aed", "#475569"];

/// A named line.
pub struct Line {
    /// In the legend.
    pub name: String,
    /// x and y.
    pub points: Vec<(f64, f64)>,
}

/// Lines over an evenly divided x axis with given marks (position and text).
pub fn plot(lines: &[Line], x_marks: &[(f64, String)], y_name: &str, logarithmic: bool) -> String {
    let all = || lines.iter().flat_map(|line| &line.points);
    let x_max = all().map(|point| point.0).fold(f64::EPSILON, f64::max);
    let y_max = all().map(|point| point.1).fold(f64::EPSILON, f64::max) * 1.05;
    let y_min = all().map(|point| point.1).filter(|y| *y > 0.0).fold(y_max, f64::min).max(y_max / 1e6);
    let x_at = |x: f64| LEFT + x / x_max * (WIDTH - LEFT - 10.0);
    let y_at = |y: f64| {
        let share = match logarithmic {
            true => (y.max(y_min) / y_min).ln() / (y_max / y_min).ln().max(f64::EPSILON),
            false => y / y_max,
        };
        HEIGHT - BOTTOM - share * (HEIGHT - BOTTOM - TOP)
    };
    let mut out = format!("<svg viewBox=\"0 0 {WIDTH} {HEIGHT}\" role=\"img\">");
    for y in y_marks(y_min, y_max, logarithmic) {
        let at = y_at(y);
        let _ = write!(
            out,
            "<line x1=\"{LEFT}\" x2=\"{}\" y1=\"{at:.1}\" y2=\"{at:.1}\" class=\"grid\"/>\
             <text x=\"{}\" y=\"{:.1}\" text-anchor=\"end\">{}</text>",
            WIDTH - 10.0,
            LEFT - 6.0,
            at + 4.0,
            number(y)
        );
    }
    for (x, text) in x_marks.iter().filter(|(x, _)| *x <= x_max) {
        let at = x_at(*x);
        let _ = write!(
            out,
            "<text x=\"{at:.1}\" y=\"{}\" text-anchor=\"middle\">{text}</text>",
            HEIGHT - BOTTOM + 18.0
        );
    }
    let _ = write!(out, "<text x=\"4\" y=\"12\">{y_name}</text>");
    for (index, line) in lines.iter().enumerate() {
        let colour = COLOURS[index % COLOURS.len()];
        let points: Vec<String> =
            line.points.iter().map(|(x, y)| format!("{:.1},{:.1}", x_at(*x), y_at(*y))).collect();
        let _ = write!(
            out,
            "<polyline points=\"{}\" fill=\"none\" stroke=\"{colour}\" stroke-width=\"1.5\"/>\
             <text x=\"{}\" y=\"{}\" fill=\"{colour}\" text-anchor=\"end\">{}</text>",
            points.join(" "),
            WIDTH - 14.0,
            TOP + 14.0 * (index as f64 + 1.0),
            crate::page::escape(&line.name)
        );
    }
    out.push_str("</svg>");
    out
}

fn y_marks(min: f64, max: f64, logarithmic: bool) -> Vec<f64> {
    if logarithmic {
        let first = min.log10().floor() as i32;
        return (first..=first + 12)
            .flat_map(|power| [1.0, 2.0, 5.0].map(|digit| digit * 10_f64.powi(power)))
            .filter(|mark| (min..=max).contains(mark))
            .collect();
    }
    let rough = max / 5.0;
    let power = 10_f64.powf(rough.log10().floor());
    let step = [1.0, 2.0, 5.0, 10.0].map(|digit| digit * power).into_iter().find(|step| *step >= rough);
    let step = step.unwrap_or(rough);
    (0..=6).map(|index| f64::from(index) * step).filter(|mark| *mark <= max).collect()
}

fn number(value: f64) -> String {
    match value {
        1_000.0.. => format!("{value:.0}"),
        1.0.. => format!("{value:.1}").trim_end_matches(".0").to_owned(),
        _ => format!("{value:.3}").trim_end_matches('0').trim_end_matches('.').to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_plot_of_nothing_and_of_zeros_is_still_a_plot() {
        for points in [vec![], vec![(0.0, 0.0)], vec![(0.0, 1.0), (1.0, 1000.0)]] {
            for logarithmic in [false, true] {
                let line = Line { name: "a<b".into(), points: points.clone() };
                let svg = plot(&[line], &[(0.0, "0".into())], "ms", logarithmic);
                assert!(svg.ends_with("</svg>") && !svg.contains("NaN") && svg.contains("a&lt;b"), "{svg}");
            }
        }
    }
}
