//! R-precision: how often an image finds its own caption, and a caption its own image.
use candle_core::{DType, Tensor};
use drgan_tensor::{Error, Result, expect_shape};
use rand::{SeedableRng, seq::index};
use rand_chacha::ChaCha8Rng;
use serde::Serialize;

/// Shares of top-1 retrieval among one match and random mismatches; chance is `1 / candidates`.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct RPrecision {
    /// Share of images whose own sentence comes first.
    pub image_to_text: f64,
    /// Share of sentences whose own image comes first: the R-precision of the paper's table.
    pub text_to_image: f64,
    /// Number of records that were ranked, each in both directions: those that have a mismatch at all.
    pub queries: usize,
    /// Largest number of candidates of a query, its own match included; at most the number asked for.
    pub candidates: usize,
}

/// Rows scaled to length 1; a zero row stays zero, and so is never above another.
fn unit_rows(what: &str, x: &Tensor) -> Result<Vec<Vec<f64>>> {
    let mut rows = x.to_dtype(DType::F64)?.to_vec2::<f64>()?;
    for (i, row) in rows.iter_mut().enumerate() {
        if row.iter().any(|v| !v.is_finite()) {
            let reason = format!("{what}: row {i} has values that are not finite, which cannot be ranked");
            return Err(Error::input(reason));
        }
        let norm = row.iter().map(|v| v * v).sum::<f64>().sqrt();
        if norm > 0. {
            row.iter_mut().for_each(|v| *v /= norm);
        }
    }
    Ok(rows)
}

fn dot(a: &[f64], b: &[f64]) -> f64 {
    a.iter().zip(b).map(|(a, b)| a * b).sum()
}

/// R-precision (R = 1) of AttnGAN: every image ranks its own sentence, and every sentence its own image, among
/// `candidates` by cosine similarity. It counts as a hit only if the match is strictly above all others: ties count
/// against it.
///
/// Mismatches are drawn without replacement from `seed`, the same for both directions. Records of the same text are not
/// mismatches of each other. Where there are fewer mismatches than asked for, all are ranked; a record without any is not
/// counted. `None` if no record has one, since all texts are the same: there is nothing to tell apart.
///
/// # Shapes
/// `images` and `sentences` `(N, D)`, any float type; row `i` of both belongs to record `i`, whose caption is `texts[i]`.
///
/// # Errors
/// N below 2, N or D not alike, `candidates` below 2, or codes that are not finite.
pub fn r_precision(
    images: &Tensor,
    sentences: &Tensor,
    texts: &[String],
    candidates: usize,
    seed: u64,
) -> Result<Option<RPrecision>> {
    const DOC: &str = "(N, D) codes, N as many as texts and at least 2, D alike in images and sentences";
    expect_shape("r_precision: images", images, &[Some(texts.len()), None], DOC)?;
    let (n, d) = images.dims2()?;
    expect_shape("r_precision: sentences", sentences, &[Some(n), Some(d)], DOC)?;
    if n < 2 || d == 0 {
        return Err(Error::Shape { what: "r_precision: images", expected: DOC.into(), got: vec![n, d] });
    }
    if candidates < 2 {
        let reason = format!("{candidates} leaves nothing to rank; give at least 2 (the paper has 100)");
        return Err(Error::Config { field: "r_precision: candidates", reason });
    }
    let (images, sentences) =
        (unit_rows("r_precision: images", images)?, unit_rows("r_precision: sentences", sentences)?);
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    let (mut i2t, mut t2i, mut queries, mut most) = (0usize, 0usize, 0usize, 0);
    for i in 0..n {
        let others: Vec<usize> = (0..n).filter(|&j| texts[j] != texts[i]).collect();
        if others.is_empty() {
            continue;
        }
        let take = others.len().min(candidates - 1);
        let drawn: Vec<usize> =
            index::sample(&mut rng, others.len(), take).iter().map(|k| others[k]).collect();
        let own = dot(&images[i], &sentences[i]);
        i2t += usize::from(drawn.iter().all(|&j| own > dot(&images[i], &sentences[j])));
        t2i += usize::from(drawn.iter().all(|&j| own > dot(&images[j], &sentences[i])));
        queries += 1;
        most = most.max(take + 1);
    }
    if queries == 0 {
        return Ok(None);
    }
    let share = |hits: usize| hits as f64 / queries as f64;
    let shares =
        RPrecision { image_to_text: share(i2t), text_to_image: share(t2i), queries, candidates: most };
    Ok(Some(shares))
}
