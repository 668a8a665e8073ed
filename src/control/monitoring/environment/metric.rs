//! The kinds of metrics.

use crate::time::UnixTime;

/// A named metric.
#[derive(Debug, Clone, PartialEq)]
pub enum Metric {
    /// A decimal number, as text.
    Number(String, String),
    /// A text.
    Text(String, String),
    /// Figures of a sliding window.
    Histogram(String, Histogram),
    /// Several metrics.
    Set(String, Vec<Metric>),
}

/// Figures of a sliding window.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Histogram {
    /// When the last value came.
    pub updated: UnixTime,
    /// Smallest value.
    pub min: f64,
    /// Largest value.
    pub max: f64,
    /// Mean.
    pub mean: f64,
    /// Median.
    pub median: f64,
    /// Standard deviation of the sample.
    pub deviation: f64,
}

impl Metric {
    /// A number where the text is one, else a text (X-Road 7.8 behaviour).
    pub fn of_text(name: &str, text: &str) -> Self {
        let digits = text.strip_prefix('-').unwrap_or(text);
        let is_number = digits.bytes().any(|byte| byte.is_ascii_digit())
            && digits.bytes().all(|byte| byte.is_ascii_digit() || byte == b'.')
            && digits.matches('.').count() <= 1;
        match is_number {
            true => Self::Number(name.into(), text.into()),
            false => Self::Text(name.into(), text.into()),
        }
    }

    /// A number.
    pub fn number(name: &str, value: u64) -> Self {
        Self::Number(name.into(), value.to_string())
    }

    /// Figures of some values; `None` without any.
    pub fn histogram(name: &str, updated: UnixTime, mut values: Vec<f64>) -> Option<Self> {
        values.sort_by(f64::total_cmp);
        let (min, max) = (*values.first()?, *values.last()?);
        let count = values.len() as f64;
        let mean = values.iter().sum::<f64>() / count;
        let squares: f64 = values.iter().map(|value| (value - mean) * (value - mean)).sum();
        let deviation = if values.len() < 2 { 0.0 } else { (squares / (count - 1.0)).sqrt() };
        let (low, high) = (values.get((values.len() - 1) / 2)?, values.get(values.len() / 2)?);
        let histogram = Histogram { updated, min, max, mean, median: (low + high) / 2.0, deviation };
        Some(Self::Histogram(name.into(), histogram))
    }

    /// Its name.
    pub fn name(&self) -> &str {
        match self {
            Self::Number(name, _) | Self::Text(name, _) | Self::Histogram(name, _) | Self::Set(name, _) => {
                name
            }
        }
    }
}
