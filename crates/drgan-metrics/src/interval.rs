//! Confidence intervals of shares, by resampling captions.
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;

/// Resamplings behind an interval.
const DRAWS: usize = 2000;

/// How many samples of one caption hit, and of how many.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Hits {
    /// Samples that hit.
    pub hits: usize,
    /// All samples.
    pub of: usize,
}

/// The 95 % interval of the share `sum hits / sum of`, by the percentile bootstrap over captions: captions are drawn with
/// replacement, each with all of its samples, since samples of one caption succeed and fail together. 2,000 draws from a seed
/// that is always the same. None where there is no sample.
///
/// Where all samples hit, the interval is the point 1: resampling cannot show what was never seen.
pub fn share_interval(captions: &[Hits]) -> Option<[f64; 2]> {
    let with_samples: Vec<Hits> = captions.iter().copied().filter(|c| c.of > 0).collect();
    if with_samples.is_empty() {
        return None;
    }
    let mut rng = ChaCha8Rng::seed_from_u64(0);
    let mut shares: Vec<f64> = (0..DRAWS)
        .map(|_| {
            let (mut hits, mut of) = (0, 0);
            for _ in 0..with_samples.len() {
                let drawn = with_samples[rng.random_range(0..with_samples.len())];
                hits += drawn.hits;
                of += drawn.of;
            }
            hits as f64 / of as f64
        })
        .collect();
    shares.sort_unstable_by(f64::total_cmp);
    Some([DRAWS / 40, DRAWS - 1 - DRAWS / 40].map(|i| shares[i]))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_caption_or_equal_captions_leave_no_doubt_that_resampling_sees() {
        assert_eq!(share_interval(&[Hits { hits: 3, of: 4 }]), Some([0.75; 2]));
        assert_eq!(share_interval(&[Hits { hits: 1, of: 2 }; 9]), Some([0.5; 2]));
        assert_eq!(share_interval(&[]), None);
        assert_eq!(share_interval(&[Hits::default()]), None);
    }

    #[test]
    fn samples_that_fail_together_widen_it() {
        let interval = |captions: &[Hits]| {
            let [low, high] = share_interval(captions).unwrap_or_else(|| panic!("there are samples"));
            assert!(low <= high, "{low} {high}");
            high - low
        };
        // 100 samples, half of them hits: of 100 captions each, or of ten.
        let apart: Vec<Hits> = (0..100).map(|i| Hits { hits: i % 2, of: 1 }).collect();
        let together: Vec<Hits> = (0..10).map(|i| Hits { hits: 10 * (i % 2), of: 10 }).collect();
        // Two standard deviations of a share of n captions to each side: 4 sqrt(p (1 - p) / n), 0.2 and 0.63.
        assert!((interval(&apart) - 0.196).abs() < 0.03, "{}", interval(&apart));
        assert!((interval(&together) - 0.62).abs() < 0.1, "{}", interval(&together));
    }
}
