use bytes::{Bytes, BytesMut};

/// Puts slices together, without a copy when there is only one.
#[derive(Debug, Default)]
pub(super) struct Gather {
    first: Bytes,
    all: BytesMut,
}

impl Gather {
    pub(super) fn len(&self) -> usize {
        self.first.len() + self.all.len()
    }

    pub(super) fn push(&mut self, data: Bytes) {
        if self.len() == 0 {
            self.first = data;
            return;
        }
        if !self.first.is_empty() {
            self.all.reserve(2 * (self.first.len() + data.len()));
            self.all.extend_from_slice(&std::mem::take(&mut self.first));
        }
        self.all.extend_from_slice(&data);
    }

    pub(super) fn finish(self) -> Bytes {
        if self.all.is_empty() { self.first } else { self.all.freeze() }
    }
}
