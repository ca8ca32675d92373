//! Which pairs of a batch are no mismatches of each other.
use crate::config::Recipe;
use candle_core::Tensor;
use drgan_tensor::internal::fnv1a;
use std::collections::HashMap;

/// Labels of a batch's pairs of image and caption, of one or more kinds. Pairs with an equal label of any kind are no mismatches
/// of each other. That does not carry over: of three pairs the first and second may have one class, the second and third
/// one caption, and the first and third still be mismatches.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PairLabels(Vec<Vec<i64>>);

impl From<Vec<i64>> for PairLabels {
    /// Labels of one kind.
    fn from(labels: Vec<i64>) -> Self {
        Self(vec![labels])
    }
}

impl PairLabels {
    /// The labels of records given by class, where they have one, and by key, with their captions' token ids `(B, T)`.
    ///
    /// # Errors
    /// Ids that cannot be read.
    pub(crate) fn new<'a>(
        recipe: Recipe,
        records: impl IntoIterator<Item = (Option<u32>, &'a str)>,
        ids: &Tensor,
    ) -> candle_core::Result<Self> {
        let of_record = |(class, key): (Option<u32>, &str)| {
            class.map_or_else(|| fnv1a(key.as_bytes()) as i64, i64::from) // keys are told apart by their hashes
        };
        let mut kinds = vec![records.into_iter().map(of_record).collect()];
        if recipe.equal_captions_match() {
            let mut numbers = HashMap::new();
            let rows = ids.to_vec2::<u32>()?.into_iter().map(|row| {
                let next = numbers.len() as i64;
                *numbers.entry(row).or_insert(next)
            });
            kinds.push(rows.collect());
        }
        Ok(Self(kinds))
    }

    /// Number of pairs.
    pub fn pairs(&self) -> usize {
        self.0.first().map_or(0, Vec::len)
    }

    /// Whether the pairs `i` and `j` are no mismatches of each other.
    pub fn alike(&self, i: usize, j: usize) -> bool {
        self.0.iter().any(|labels| labels[i] == labels[j])
    }

    /// The labels of each kind, as the losses take them.
    pub fn kinds(&self) -> Vec<&[i64]> {
        self.0.iter().map(Vec::as_slice).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use candle_core::Device;

    #[test]
    fn one_class_one_image_or_one_caption_is_no_mismatch() -> candle_core::Result<()> {
        let records = [(Some(7), "a"), (Some(7), "b"), (None, "c"), (None, "c"), (Some(8), "d")];
        let ids = Tensor::new(&[[1u32, 2], [1, 3], [1, 2], [4, 0], [1, 3]], &Device::Cpu)?;
        let pairs = |recipe| -> candle_core::Result<Vec<(usize, usize)>> {
            let labels = PairLabels::new(recipe, records, &ids)?;
            let all = (0..5).flat_map(|i| (i + 1..5).map(move |j| (i, j)));
            Ok(all.filter(|&(i, j)| labels.alike(i, j)).collect())
        };
        assert_eq!(pairs(Recipe::First)?, [(0, 1), (2, 3)]);
        assert_eq!(pairs(Recipe::EveryScript)?, [(0, 1), (0, 2), (1, 4), (2, 3)]);
        let labels = PairLabels::new(Recipe::EveryScript, records, &ids)?;
        assert_eq!((labels.pairs(), labels.kinds().len()), (5, 2));
        Ok(())
    }
}
