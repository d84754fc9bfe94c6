//! Collects the chunks of a body as they arrive.

use bytes::{Bytes, BytesMut};

/// Chunks in their order. Small chunks are copied into one, because each keeps a whole read buffer in memory, and a body may have as many
/// chunks as bytes.
#[derive(Default)]
pub(crate) struct ChunkBuffer {
    chunks: Vec<Bytes>,
    small: BytesMut,
    length: usize,
}

impl ChunkBuffer {
    const SMALL: usize = 4096;

    /// Adds the next chunk.
    pub(crate) fn push(&mut self, chunk: Bytes) {
        self.length += chunk.len();
        if chunk.len() >= Self::SMALL || (self.chunks.is_empty() && self.small.is_empty()) {
            self.settle();
            self.chunks.push(chunk);
        } else {
            self.small.extend_from_slice(&chunk);
        }
    }

    /// Bytes so far.
    #[must_use]
    pub(crate) fn length(&self) -> usize {
        self.length
    }

    fn settle(&mut self) {
        if !self.small.is_empty() {
            self.chunks.push(std::mem::take(&mut self.small).freeze());
        }
    }

    /// The chunks and their total length.
    #[must_use]
    pub(crate) fn finish(mut self) -> (Vec<Bytes>, usize) {
        self.settle();
        (self.chunks, self.length)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lengths(sizes: &[usize]) -> Vec<usize> {
        let mut buffer = ChunkBuffer::default();
        for size in sizes {
            buffer.push(vec![b'x'; *size].into());
        }
        let (chunks, length) = buffer.finish();
        assert_eq!(length, sizes.iter().sum::<usize>());
        chunks.iter().map(Bytes::len).collect()
    }

    #[test]
    fn copies_only_small_chunks_together() {
        assert_eq!(lengths(&[]), [0; 0]);
        assert_eq!(lengths(&[5]), [5]);
        assert_eq!(lengths(&[8192, 8192]), [8192, 8192]);
        assert_eq!(lengths(&[1; 100]), [1, 99]);
        assert_eq!(lengths(&[1, 2, 3, 5000, 4, 5]), [1, 5, 5000, 9]);
    }
}
