//! The checksum of model files.

/// Sixteen hexadecimal digits that change with every single changed byte: each step is a bijection of
/// the state for a given word, and injective in the word for a given state.
pub(super) struct Checksum {
    state: u64,
    /// Bytes of the present part that do not fill a word yet.
    rest: Vec<u8>,
    /// Bytes of the present part.
    length: u64,
}

impl Default for Checksum {
    fn default() -> Checksum {
        Checksum { state: 0x243f_6a88_85a3_08d3, rest: Vec::with_capacity(8), length: 0 }
    }
}

impl Checksum {
    fn step(&mut self, word: u64) {
        self.state = (self.state ^ word).wrapping_mul(0x9e37_79b9_7f4a_7c15).rotate_left(29);
    }

    /// More bytes of the present part.
    pub fn update(&mut self, mut bytes: &[u8]) {
        self.length += bytes.len() as u64;
        if !self.rest.is_empty() {
            let (head, tail) = bytes.split_at(bytes.len().min(8 - self.rest.len()));
            self.rest.extend(head);
            bytes = tail;
            if let Ok(word) = self.rest[..].try_into() {
                self.step(u64::from_le_bytes(word));
                self.rest.clear();
            }
        }
        let (words, rest) = bytes.as_chunks::<8>();
        words.iter().for_each(|word| self.step(u64::from_le_bytes(*word)));
        self.rest.extend(rest);
    }

    pub fn end_part(&mut self) {
        for byte in std::mem::take(&mut self.rest) {
            self.step(u64::from(byte));
        }
        let length = std::mem::take(&mut self.length);
        self.step(length);
    }

    /// A whole part.
    pub fn part(&mut self, bytes: &[u8]) {
        self.update(bytes);
        self.end_part();
    }

    pub fn digits(&self) -> String {
        format!("{:016x}", crate::init::mix(self.state))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pieces_do_not_matter_and_parts_do() {
        let bytes: Vec<u8> = (0..100).collect();
        let of = |cuts: &[usize], parts: bool| {
            let mut sum = Checksum::default();
            let mut from = 0;
            for cut in cuts.iter().chain([&bytes.len()]) {
                sum.update(&bytes[from..*cut]);
                from = *cut;
                if parts {
                    sum.end_part();
                }
            }
            sum.digits()
        };
        assert_eq!(of(&[], false), of(&[3, 4, 20, 21, 21, 40], false));
        assert_ne!(of(&[40], true), of(&[48], true));
    }
}
