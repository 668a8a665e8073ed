/// Letters of a boundary of our own making, after its prefix.
pub const BOUNDARY_LETTERS: usize = 30;

/// The random part of the boundaries of one message: 30 ASCII letters, some 170 bits, so that no content can hold
/// it by chance or by plan.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Boundary(String);

impl Boundary {
    /// From as many random bytes.
    pub fn from_random(random: &[u8; BOUNDARY_LETTERS]) -> Self {
        const LETTERS: &[u8; 52] = b"abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ";
        Self(random.iter().map(|byte| char::from(LETTERS[usize::from(byte % 52)])).collect())
    }

    /// The letters.
    pub fn letters(&self) -> &str {
        &self.0
    }

    /// Boundary of the transport message.
    pub fn top(&self) -> String {
        format!("xtop{}", self.0)
    }

    /// Boundary of the nested multipart of attachments.
    pub fn attachments(&self) -> String {
        format!("xatt{}", self.0)
    }

    /// Boundary of a `multipart/related` towards client or service.
    pub fn related(&self) -> String {
        format!("xroad{}", self.0)
    }
}
