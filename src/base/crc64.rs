//! CRC-64/XZ, the checksum that the cloud's object storage tells of every object (triggers 2.4), and that of two stretches of
//! bytes joined, without reading them again: a multipart upload has its parts' checksums already.
//!
//! Our own, because joining is half of it and no crate at hand does both; eight bytes at a time is as fast as a disk.

/// The polynomial, its bits reversed.
const POLYNOMIAL: u64 = 0xC96C_5795_D787_0F42;

/// `TABLES[k][b]`: what byte `b` comes to when `k` more bytes follow it.
static TABLES: [[u64; 256]; 8] = tables();

const fn tables() -> [[u64; 256]; 8] {
    let mut tables = [[0; 256]; 8];
    let mut byte = 0;
    while byte < 256 {
        let (mut crc, mut bit) = (byte as u64, 0);
        while bit < 8 {
            crc = if crc & 1 == 1 { (crc >> 1) ^ POLYNOMIAL } else { crc >> 1 };
            bit += 1;
        }
        tables[0][byte] = crc;
        byte += 1;
    }
    let mut slice = 1;
    while slice < 8 {
        let mut byte = 0;
        while byte < 256 {
            let before = tables[slice - 1][byte];
            tables[slice][byte] = (before >> 8) ^ tables[0][(before & 0xff) as usize];
            byte += 1;
        }
        slice += 1;
    }
    tables
}

/// A checksum that grows.
#[derive(Clone, Copy, Debug)]
pub struct Crc64(u64);

impl Default for Crc64 {
    fn default() -> Crc64 {
        Crc64(!0)
    }
}

impl Crc64 {
    /// Takes more bytes in.
    pub fn update(&mut self, bytes: &[u8]) {
        let mut crc = self.0;
        let (eights, rest) = bytes.as_chunks::<8>();
        for eight in eights {
            let mixed = (crc ^ u64::from_le_bytes(*eight)).to_le_bytes();
            crc = 0;
            for (place, byte) in mixed.into_iter().enumerate() {
                crc ^= TABLES[7 - place][usize::from(byte)];
            }
        }
        for byte in rest {
            let [low, ..] = crc.to_le_bytes();
            crc = (crc >> 8) ^ TABLES[0][usize::from(low ^ byte)];
        }
        self.0 = crc;
    }

    /// The checksum of what was taken in.
    pub fn value(self) -> u64 {
        !self.0
    }
}

/// The checksum of two stretches joined, from those of each and the length of the second, bytes.
pub fn join(first: u64, second: u64, second_bytes: u64) -> u64 {
    // A checksum is linear over GF(2): a zero bit behind what is there is one step of a matrix, so many zero bytes are a power
    // of it, which is made by squaring.
    let mut step: Matrix = one_bit();
    for _ in 0..3 {
        step = squared(&step);
    }
    let (mut crc, mut left) = (first, second_bytes);
    while left > 0 {
        if left & 1 == 1 {
            crc = times(&step, crc);
        }
        left >>= 1;
        if left > 0 {
            step = squared(&step);
        }
    }
    crc ^ second
}

type Matrix = [u64; 64];

fn one_bit() -> Matrix {
    let mut matrix = [0; 64];
    matrix[0] = POLYNOMIAL;
    for (bit, row) in matrix.iter_mut().enumerate().skip(1) {
        *row = 1 << (bit - 1);
    }
    matrix
}

fn times(matrix: &Matrix, vector: u64) -> u64 {
    let set = matrix.iter().enumerate().filter(|(bit, _)| vector >> bit & 1 == 1);
    set.fold(0, |sum, (_, row)| sum ^ row)
}

fn squared(matrix: &Matrix) -> Matrix {
    matrix.map(|row| times(matrix, row))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(bytes: &[u8]) -> u64 {
        let mut crc = Crc64::default();
        crc.update(bytes);
        crc.value()
    }

    #[test]
    fn it_is_that_of_the_cloud() {
        assert_eq!(of(b"123456789"), 11_051_210_869_376_104_954);
        assert_eq!(of(b"hello"), 11_177_612_005_948_864_433);
        assert_eq!(of(b""), 0);
    }

    #[test]
    fn in_whatever_pieces_it_is_the_same() {
        let bytes: Vec<u8> = (0..1000u32).map(|n| n.wrapping_mul(2_654_435_761).to_le_bytes()[2]).collect();
        for cut in [0, 1, 7, 8, 9, 500, 999, 1000] {
            let (first, second) = bytes.split_at(cut);
            let mut crc = Crc64::default();
            crc.update(first);
            crc.update(second);
            assert_eq!(crc.value(), of(&bytes), "{cut}");
            assert_eq!(join(of(first), of(second), second.len() as u64), of(&bytes), "{cut}");
        }
    }
}
