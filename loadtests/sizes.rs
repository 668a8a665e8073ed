//! How large messages are.

use serde::Deserialize;

use crate::seed::Seed;

/// A share of all messages, and the size of their bodies in bytes, request and response alike.
#[derive(Debug, Clone, PartialEq)]
pub struct Class {
    /// For people: `2 kB`.
    pub name: String,
    /// Bytes.
    pub bytes: usize,
    weight: f64,
}

/// A mix of sizes: `"national"`, `"1k"`, or shares and bytes: `[[30, 2000], [70, 10000]]`.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(try_from = "Words")]
pub struct Sizes {
    classes: Vec<Class>,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum Words {
    Name(String),
    Shares(Vec<(f64, usize)>),
}

// What national operators publish about their traffic.
const NATIONAL: [(f64, usize); 5] =
    [(30.0, 2_000), (60.0, 10_000), (9.0, 100_000), (0.9, 2_000_000), (0.1, 10_000_000)];

impl Default for Sizes {
    fn default() -> Self {
        Self::new(&NATIONAL)
    }
}

impl TryFrom<Words> for Sizes {
    type Error = String;

    fn try_from(words: Words) -> Result<Self, String> {
        match words {
            Words::Name(name) if name == "national" => Ok(Self::default()),
            Words::Name(name) if name == "1k" => Ok(Self::new(&[(1.0, 1024)])),
            Words::Name(name) => Err(format!("no mix is called \"{name}\": it is \"national\" or \"1k\"")),
            Words::Shares(shares) if shares.iter().any(|(share, _)| *share > 0.0) && shares.len() < 256 => {
                Ok(Self::new(&shares))
            }
            Words::Shares(_) => Err("a mix needs 1 to 255 shares".to_owned()),
        }
    }
}

impl Sizes {
    fn new(shares: &[(f64, usize)]) -> Self {
        let total: f64 = shares.iter().map(|(share, _)| share).sum();
        let class = |(share, bytes): &(f64, usize)| Class {
            name: bytes_text(*bytes),
            bytes: *bytes,
            weight: share / total,
        };
        Self { classes: shares.iter().map(class).collect() }
    }

    /// All classes.
    pub fn classes(&self) -> &[Class] {
        &self.classes
    }

    /// The number of the next message's class.
    pub fn pick(&self, seed: &mut Seed) -> u8 {
        let mut rest = seed.unit();
        let found = self.classes.iter().position(|class| {
            rest -= class.weight;
            rest < 0.0
        });
        found.unwrap_or(0) as u8
    }

    /// In the mean, in bytes.
    pub fn mean(&self) -> f64 {
        self.classes.iter().map(|class| class.weight * class.bytes as f64).sum()
    }
}

fn bytes_text(bytes: usize) -> String {
    match bytes {
        0x4000_0000.. if bytes.is_multiple_of(0x4000_0000) => format!("{} GiB", bytes / 0x4000_0000),
        0x10_0000.. if bytes.is_multiple_of(0x10_0000) => format!("{} MiB", bytes / 0x10_0000),
        1_000_000.. if bytes.is_multiple_of(1_000_000) => format!("{} MB", bytes / 1_000_000),
        1_000.. if bytes.is_multiple_of(1_000) => format!("{} kB", bytes / 1_000),
        1024.. if bytes.is_multiple_of(1024) => format!("{} KiB", bytes / 1024),
        _ => format!("{bytes} B"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_national_mix_has_its_published_shares() {
        let (sizes, mut seed) = (Sizes::default(), Seed::new(1));
        let mut counts = [0_u32; 5];
        for _ in 0..100_000 {
            counts[usize::from(sizes.pick(&mut seed))] += 1;
        }
        assert!((29_000..31_000).contains(&counts[0]) && (59_000..61_000).contains(&counts[1]), "{counts:?}");
        assert!((60..140).contains(&counts[4]), "{counts:?}");
        let names: Vec<&str> = sizes.classes().iter().map(|class| class.name.as_str()).collect();
        assert_eq!(names, ["2 kB", "10 kB", "100 kB", "2 MB", "10 MB"]);
    }
}
