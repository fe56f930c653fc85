//! Latencies counted into buckets: any number of them in fixed memory, percentiles within one percent.

/// Buckets of each power of two; 128 keep the error below one percent.
const STEPS: usize = 128;
const STEP_BITS: u32 = STEPS.trailing_zeros();
/// Enough for every 64-bit value.
const BUCKETS: usize = (65 - STEP_BITS as usize) * STEPS;

/// Counts of nanoseconds.
#[derive(Clone, Debug)]
pub struct Histogram {
    counts: Vec<u64>,
    count: u64,
    most_ns: u64,
}

impl Default for Histogram {
    fn default() -> Histogram {
        Histogram { counts: vec![0; BUCKETS], count: 0, most_ns: 0 }
    }
}

impl Histogram {
    /// Counts one value.
    pub fn add(&mut self, ns: u64) {
        self.counts[bucket(ns)] += 1;
        self.count += 1;
        self.most_ns = self.most_ns.max(ns);
    }

    /// Adds all of another one.
    pub fn merge(&mut self, other: &Histogram) {
        self.counts.iter_mut().zip(&other.counts).for_each(|(mine, theirs)| *mine += theirs);
        self.count += other.count;
        self.most_ns = self.most_ns.max(other.most_ns);
    }

    /// How many values were counted.
    pub fn count(&self) -> u64 {
        self.count
    }

    /// The largest value, exactly; 0 if there is none.
    pub fn most_ns(&self) -> u64 {
        self.most_ns
    }

    /// The value that `per_mille` of a thousand values do not exceed, rounded up to its bucket's end; 0 if there is
    /// none.
    pub fn quantile_ns(&self, per_mille: u64) -> u64 {
        let rank = (self.count * per_mille).div_ceil(1000).max(1);
        let mut below = 0;
        let found = self.counts.iter().position(|count| {
            below += count;
            below >= rank
        });
        found.map_or(0, |bucket| last_of(bucket).min(self.most_ns))
    }
}

/// Values below 128 have a bucket each; above, the highest seven bits behind the first choose one.
fn bucket(ns: u64) -> usize {
    let shift = (u64::BITS - ns.leading_zeros()).saturating_sub(STEP_BITS + 1);
    let mantissa = usize::try_from(ns >> shift).expect("eight bits are left");
    shift as usize * STEPS + mantissa
}

/// The largest value of a bucket.
fn last_of(bucket: usize) -> u64 {
    let shift = (bucket / STEPS).saturating_sub(1);
    let mantissa = (bucket - shift * STEPS) as u64;
    (mantissa << shift) + ((1u64 << shift) - 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_value_lies_in_its_bucket() {
        for ns in (0..1000).chain([1023, 1024, 123_456_789, u64::MAX / 3, u64::MAX]) {
            let last = last_of(bucket(ns));
            assert!(last >= ns && (last - ns) as f64 <= ns as f64 / 100.0, "{ns} {last}");
            assert!(last == u64::MAX || bucket(last + 1) == bucket(ns) + 1, "{ns} {last}");
        }
    }

    #[test]
    fn quantiles_are_ranks() {
        let mut histogram = Histogram::default();
        assert_eq!((histogram.quantile_ns(500), histogram.most_ns()), (0, 0));
        (1..=100).for_each(|ns| histogram.add(ns));
        let quantiles = [1, 500, 900, 990, 999, 1000].map(|per_mille| histogram.quantile_ns(per_mille));
        assert_eq!(quantiles, [1, 50, 90, 99, 100, 100]);
    }

    #[test]
    fn merging_is_counting_together() {
        let (mut first, mut second) = (Histogram::default(), Histogram::default());
        (1..=50).for_each(|ns| first.add(ns));
        (51..=100).for_each(|ns| second.add(ns));
        first.merge(&second);
        assert_eq!((first.count(), first.quantile_ns(500), first.most_ns()), (100, 50, 100));
    }
}
