//! Deep Attentional Multimodal Similarity Model (DAMSM) of AttnGAN: contrastive losses of words and sentences with images
//! (docs/model.md, DAMSM).
use candle_core::{D, Tensor};
use drgan_tensor::device::HOST;
use drgan_tensor::ops::{inner_product, log_softmax, softmax};
use drgan_tensor::{Error, ImageFeatures, Result, TextFeatures, expect_shape};
use serde::{Deserialize, Serialize};

/// Factors that sharpen the softmaxes of the DAMSM; gamma1 to gamma3 of AttnGAN.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Gammas {
    /// gamma1, on the attention over regions.
    pub attention: f64,
    /// gamma2, in the log-sum-exp over words.
    pub words: f64,
    /// gamma3, on the softmax over the batch.
    pub batch: f64,
}

impl Default for Gammas {
    /// AttnGAN's values: 4, 5 and 10.
    fn default() -> Self {
        Self { attention: 4., words: 5., batch: 10. }
    }
}

/// Cross-entropies of one kind of similarity, both scalars.
#[derive(Clone, Debug)]
#[must_use]
pub struct MatchingLoss {
    /// Each image should find its caption (`w_loss0`, `s_loss0` of AttnGAN).
    pub image_to_text: Tensor,
    /// Each caption should find its image (`w_loss1`, `s_loss1` of AttnGAN).
    pub text_to_image: Tensor,
}

/// Scores of every image with every caption, both `(B_images, B_captions)`.
#[derive(Clone, Debug)]
#[must_use]
pub struct Similarity {
    /// Cosine of image code and sentence embedding, in `[-1, 1]`.
    pub sentence: Tensor,
    /// `ln sum_t exp(gamma2 cos(word_t, context_t))`, where context_t is the mean of the regions that word t attends to.
    pub words: Tensor,
}

/// Added to squared norms, so that no cosine divides by less than 1e-4 and a zero vector has a finite gradient.
const NORM_EPS: f64 = 1e-8;
/// Largest number of elements of one `(captions, T, images, R)` temporary; more captions are taken in chunks.
const CHUNK: usize = 1 << 24;

fn bad(what: &'static str, expected: impl Into<String>, got: Vec<usize>) -> Error {
    Error::Shape { what, expected: expected.into(), got }
}

/// Word scores `(B_images, B_captions)` and, if `maps`, the attention `(len, h, w)` of the matching pairs. `chunk` is the
/// largest number of elements of one `(captions, T, images, R)` temporary; one caption is always taken.
fn word_scores(
    regions: &Tensor,
    words: &Tensor,
    lens: &[usize],
    g: Gammas,
    maps: bool,
    chunk: usize,
) -> Result<(Tensor, Vec<Tensor>)> {
    expect_shape("damsm: regions", regions, &[None; 4], "(B, D, h, w)")?;
    let (bi, d, h, w) = regions.dims4()?;
    expect_shape("damsm: words", words, &[None, Some(d), None], "(B, D, T), D as in regions")?;
    let (bc, _, t) = words.dims3()?;
    let r = h * w;
    if bi * bc * r * d == 0 {
        return Err(bad(
            "damsm: regions and words",
            "(B, D, h, w) and (B, D, T), none empty",
            vec![bi, bc, r, d],
        ));
    }
    if lens.len() != bc || lens.iter().any(|n| !(1..=t).contains(n)) {
        return Err(bad("damsm: lens", format!("{bc} lengths in 1..={t}"), lens.to_vec()));
    }
    let (dtype, dev) = (regions.dtype(), regions.device());
    let ctx = regions.reshape((bi, d, r))?;
    let ctx_t = ctx.transpose(1, 2)?.contiguous()?;
    // |sum_r a_r c_r|^2 = a^T G a with the Gram matrix G, so that no (pairs, T, D) map is made.
    let gram = ctx_t.matmul(&ctx.contiguous()?)?;
    let flat = ctx_t.reshape((bi * r, d))?.t()?.contiguous()?;
    let words = words.transpose(1, 2)?.contiguous()?;
    let step = (chunk / (t * bi * r)).max(1);
    let (mut rows, mut attention) = (Vec::new(), Vec::new());
    for start in (0..bc).step_by(step) {
        let n = step.min(bc - start);
        let keep =
            lens[start..start + n].iter().flat_map(|&len| (0..t).map(move |i| f64::from(u8::from(i < len))));
        let keep = Tensor::from_iter(keep, &HOST)?.to_dtype(dtype)?.reshape((n, t))?;
        let hide = ((&keep - 1.)? * 1e30)?.reshape((n, t, 1, 1))?.to_device(dev)?;
        let keep = keep.to_device(dev)?;
        let q = words.narrow(0, start, n)?.contiguous()?;
        let scores = q.reshape((n * t, d))?.matmul(&flat)?.reshape((n, t, bi, r))?;
        let over_words = softmax(&scores.broadcast_add(&hide)?, 1)?;
        let attn = softmax(&(over_words * g.attention)?, 3)?;
        let dot = (&attn * &scores)?.sum(D::Minus1)?;
        let by_image = attn.permute((2, 0, 1, 3))?.contiguous()?.reshape((bi, n * t, r))?;
        let ctx_sq = (by_image.matmul(&gram)? * &by_image)?.sum(D::Minus1)?;
        let ctx_sq = ctx_sq.reshape((bi, n, t))?.permute((1, 2, 0))?;
        let ctx_norm = (ctx_sq.contiguous()? + NORM_EPS)?.sqrt()?;
        let q_norm = (q.sqr()?.sum(D::Minus1)? + NORM_EPS)?.sqrt()?.unsqueeze(2)?;
        let cosine = dot.div(&ctx_norm)?.broadcast_div(&q_norm)?;
        let pooled = (cosine * g.words)?.exp()?.broadcast_mul(&keep.unsqueeze(2)?)?.sum(1)?.log()?;
        rows.push(pooled);
        for i in (0..n).filter(|_| maps) {
            let len = lens[start + i];
            let own = attn.detach().narrow(0, i, 1)?.narrow(1, 0, len)?.narrow(2, start + i, 1)?;
            attention.push(own.contiguous()?.reshape((len, h, w))?);
        }
    }
    Ok((Tensor::cat(&rows, 0)?.t()?.contiguous()?, attention))
}

/// Rows scaled to length 1.
fn unit(x: &Tensor) -> Result<Tensor> {
    Ok(x.broadcast_div(&(x.sqr()?.sum_keepdim(1)? + NORM_EPS)?.sqrt()?)?)
}

fn sentence_scores(code: &Tensor, sentence: &Tensor) -> Result<Tensor> {
    expect_shape("damsm: code", code, &[None, None], "(B, D)")?;
    expect_shape("damsm: sentence", sentence, &[None, Some(code.dim(1)?)], "(B, D), D as in code")?;
    if code.elem_count() * sentence.elem_count() == 0 {
        return Err(bad("damsm: code and sentence", "(B, D), not empty", code.dims().to_vec()));
    }
    Ok(unit(code)?.matmul(&unit(sentence)?.t()?.contiguous()?)?)
}

/// Which pairs of images and captions belong together, as constants of a batch.
struct Pairs {
    /// `-1 / B` for the pairs of the batch, 0 for all others: `(B, B)`.
    own: Tensor,
    /// What is added to the logits: -1e9 for other pairs that have a label in common, which are not negatives; `(B, B)`.
    alike: Option<Tensor>,
}

impl Pairs {
    /// Those of a batch whose scores are `scores`.
    fn new(scores: &Tensor, labels: &[&[i64]]) -> Result<Self> {
        let (b, captions) = scores.dims2()?;
        if b != captions || labels.iter().any(|of_kind| of_kind.len() != b) {
            let got = [b, captions].into_iter().chain(labels.iter().map(|of_kind| of_kind.len()));
            return Err(bad(
                "damsm: batch",
                "as many images, captions and labels of each kind",
                got.collect(),
            ));
        }
        // Made where it costs no launches.
        let table = |f: &dyn Fn(usize, usize) -> bool, v: f64| -> Result<Tensor> {
            let values = (0..b * b).map(|k| if f(k / b, k % b) { v } else { 0. });
            let values = Tensor::from_iter(values, &HOST)?.reshape((b, b))?.to_dtype(scores.dtype())?;
            Ok(values.to_device(scores.device())?)
        };
        let alike = |i: usize, j: usize| i != j && labels.iter().any(|of_kind| of_kind[i] == of_kind[j]);
        let alike = if labels.is_empty() { None } else { Some(table(&alike, -1e9)?) };
        Ok(Self { own: table(&|i, j| i == j, -1. / b as f64)?, alike })
    }

    /// Cross-entropy of the diagonal by rows and by columns. A row without a negative gives 0, and no gradient.
    fn matching(&self, scores: &Tensor, gamma: f64) -> Result<MatchingLoss> {
        let mut logits = (scores * gamma)?;
        if let Some(alike) = &self.alike {
            logits = (logits + alike)?;
        }
        let pick =
            |dim: usize| -> Result<Tensor> { Ok(inner_product(&log_softmax(&logits, dim)?, &self.own)?) };
        Ok(MatchingLoss { image_to_text: pick(1)?, text_to_image: pick(0)? })
    }
}

/// Contrastive loss of words: softmax of word-region products over words, then over regions with `gamma1`; cosines of words
/// and their contexts pooled with `gamma2`; cross-entropy over the batch with `gamma3`.
///
/// It also gives the attention over regions of each matching pair, `(len_i, h, w)`, as constants.
///
/// # Shapes
/// `regions` `(B, D, h, w)`, `words` `(B, D, T)`; `lens` holds B lengths in `1..=T`. `labels` holds labels of the B pairs, of any
/// number of kinds (class, caption): pairs with an equal label of any kind are not negatives of each other, and a pair
/// without negatives adds 0 to the mean. Without labels all other pairs are negatives.
///
/// # Errors
/// The shapes do not fit, or are empty.
pub fn words_loss(
    regions: &Tensor,
    words: &Tensor,
    lens: &[usize],
    labels: &[&[i64]],
    gammas: Gammas,
) -> Result<(MatchingLoss, Vec<Tensor>)> {
    if regions.dims().first() != words.dims().first() {
        return Err(bad("words_loss: words", "(B, D, T), B as in regions", words.dims().to_vec()));
    }
    let (scores, attention) = word_scores(regions, words, lens, gammas, true, CHUNK)?;
    Ok((Pairs::new(&scores, labels)?.matching(&scores, gammas.batch)?, attention))
}

/// Contrastive loss of sentences: cross-entropy over the batch of `gamma3 cos(code, sentence)`.
///
/// # Shapes
/// `code` and `sentence` `(B, D)`; `labels` as in [`words_loss`].
///
/// # Errors
/// The shapes do not fit, or are empty.
pub fn sentence_loss(
    code: &Tensor,
    sentence: &Tensor,
    labels: &[&[i64]],
    gammas: Gammas,
) -> Result<MatchingLoss> {
    let scores = sentence_scores(code, sentence)?;
    Pairs::new(&scores, labels)?.matching(&scores, gammas.batch)
}

/// Sum of the losses of words and sentences in both directions: the objective that the encoders are trained with, and a term
/// of the generator's objective for its last stage. The attention maps of [`words_loss`] are not made.
///
/// # Shapes
/// A batch of matching images and captions; `labels` as in [`words_loss`].
///
/// # Errors
/// The shapes do not fit, or are empty.
pub fn damsm(
    image: &ImageFeatures,
    text: &TextFeatures,
    labels: &[&[i64]],
    gammas: Gammas,
) -> Result<Tensor> {
    let scores = similarity(image, text, gammas)?;
    let pairs = Pairs::new(&scores.words, labels)?;
    let words = pairs.matching(&scores.words, gammas.batch)?;
    let sentence = pairs.matching(&scores.sentence, gammas.batch)?;
    let images = (words.image_to_text + sentence.image_to_text)?;
    Ok((images + (words.text_to_image + sentence.text_to_image)?)?)
}

/// Scores of every image with every caption, for retrieval; there may be more of one than of the other.
///
/// # Errors
/// The shapes do not fit, or are empty.
pub fn similarity(image: &ImageFeatures, text: &TextFeatures, gammas: Gammas) -> Result<Similarity> {
    let (words, _) = word_scores(&image.regions, &text.words, &text.lens, gammas, false, CHUNK)?;
    Ok(Similarity { sentence: sentence_scores(&image.code, &text.sentence)?, words })
}

#[cfg(test)]
mod tests {
    use super::*;
    use candle_core::{Device, Var};
    use drgan_tensor::testing::{Tol, assert_close};

    fn wave(dims: &[usize], phase: f64) -> Var {
        let n: usize = dims.iter().product();
        let v: Vec<f64> = (0..n).map(|i| (i as f64 * 1.7 + phase).sin()).collect();
        Var::from_tensor(&Tensor::from_vec(v, dims, &Device::Cpu).unwrap()).unwrap()
    }

    #[test]
    fn chunks_do_not_show() {
        let (regions, words) = (wave(&[5, 4, 2, 3], 0.), wave(&[5, 4, 7], 1.));
        let lens = [7, 1, 3, 7, 2];
        let run =
            |chunk: usize| word_scores(&regions, &words, &lens, Gammas::default(), true, chunk).unwrap();
        let tol = Tol { rtol: 1e-12, atol: 1e-12 };
        let (whole, maps) = run(CHUNK);
        let grads = whole.sqr().unwrap().sum_all().unwrap().backward().unwrap();
        // One caption has 7 * 5 * 6 = 210 elements: chunks of one, of two with a rest, and of four with a rest.
        for chunk in [0, 430, 900] {
            let (scores, parts) = run(chunk);
            assert_close("scores", &scores, &whole, tol).unwrap();
            assert_eq!(parts.len(), maps.len());
            for (part, map) in parts.iter().zip(&maps) {
                assert_close("attention", part, map, tol).unwrap();
            }
            let g = scores.sqr().unwrap().sum_all().unwrap().backward().unwrap();
            for v in [&regions, &words] {
                assert_close("gradient", g.get(v).unwrap(), grads.get(v).unwrap(), tol).unwrap();
            }
        }
    }
}
