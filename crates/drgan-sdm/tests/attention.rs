//! Word attention and disentangling: golden values, invariants, gradients.
mod common;

use candle_core::{DType, Tensor};
use common::{CPU, captions};
use drgan_sdm::{Disentangle, MaskConfig, WordAttention};
use drgan_tensor::testing::{Fill, Tol, assert_close, assert_grad, golden};
use drgan_tensor::{Ctx, Mode, Result, Variant};

const GRAD: Tol = Tol { rtol: 1e-5, atol: 1e-7 };

fn noise(shape: impl Into<candle_core::Shape>) -> Result<Tensor> {
    Ctx::new(Mode::Eval, 5).randn(shape, DType::F32, &CPU)
}

#[test]
fn attention_agrees_with_the_golden_file() -> Result<()> {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/golden/word_attention.safetensors");
    let g = golden(path)?;
    let attention = WordAttention::new(256, 64, Fill::new("seed-a", "attention.").builder())?;
    let (context, theta) = attention.attend(&g["h"], &g["words"], &g["mask"])?;
    let tol = Tol { rtol: 1e-4, atol: 1e-5 };
    assert_close("context", &context, &g["context"], tol)?;
    assert_close("attention", &theta, &g["attention"], tol)
}

#[test]
fn attention_sums_to_one_and_ignores_padding() -> Result<()> {
    let attention = WordAttention::new(6, 4, Fill::new("t", "").builder())?;
    let text = captions(&[3, 5, 1], 5, 6, DType::F32)?;
    let h = noise((3, 4, 3, 5))?;
    let (context, theta) = attention.attend(&h, &text.words, &text.mask)?;
    assert_close("sum", &theta.sum(1)?, &Tensor::ones((3, 3, 5), DType::F32, &CPU)?, Tol::LAYER)?;
    let padded = theta.get(0)?.narrow(0, 3, 2)?;
    assert_close("padding", &padded, &padded.zeros_like()?, Tol::EXACT)?;
    let one = theta.get(2)?.get(0)?;
    assert_close("an only word", &one, &one.ones_like()?, Tol::LAYER)?;

    // What stands at padding, and how much padding there is, changes nothing.
    let dirt = (noise((3, 6, 5))? * 100.)?.broadcast_mul(&text.mask.to_dtype(DType::F32)?.unsqueeze(1)?)?;
    let (dirty, _) = attention.attend(&h, &(&text.words + dirt)?, &text.mask)?;
    assert_close("dirty padding", &dirty, &context, Tol::LAYER)?;
    let (words, mask) = (text.words.narrow(0, 0, 1)?, text.mask.narrow(0, 0, 1)?);
    let (short, _) =
        attention.attend(&h.narrow(0, 0, 1)?, &words.narrow(2, 0, 3)?, &mask.narrow(1, 0, 3)?)?;
    assert_close("alone and unpadded", &short, &context.narrow(0, 0, 1)?, Tol::LAYER)
}

#[test]
fn a_caption_without_words_reads_nothing() -> Result<()> {
    let attention = WordAttention::new(6, 4, Fill::new("t", "").builder())?;
    let text = captions(&[0, 2], 3, 6, DType::F32)?;
    let (context, theta) = attention.attend(&noise((2, 4, 2, 3))?, &text.words, &text.mask)?;
    let none = context.get(0)?;
    assert_close("context", &none, &none.zeros_like()?, Tol::EXACT)?;
    assert_close("sum", &theta.sum(1)?, &Tensor::ones((2, 2, 3), DType::F32, &CPU)?, Tol::LAYER)
}

#[test]
fn attention_gradients_agree_with_finite_differences() -> Result<()> {
    let vb = Fill::new("t", "").builder().set_dtype(DType::F64);
    let attention = WordAttention::new(6, 4, vb)?;
    let text = captions(&[2, 3], 3, 6, DType::F64)?;
    let h = noise((2, 4, 3, 5))?.to_dtype(DType::F64)?;
    let weigh = |h: &Tensor, words: &Tensor| -> Result<Tensor> {
        let (context, theta) = attention.attend(h, words, &text.mask)?;
        Ok((context.powf(3.)?.sum_all()? + theta.sqr()?.sum_all()?)?)
    };
    assert_grad("h", &h, |h| weigh(h, &text.words), GRAD)?;
    assert_grad("words", &text.words, |words| weigh(&h, words), GRAD)
}

fn mask(form: Variant, dtype: DType) -> Result<Disentangle> {
    let cfg = MaskConfig { form, logit_scale: if form == Variant::Paper { 1. } else { 0.25 } };
    Disentangle::new(4, cfg, Fill::new("t", "").builder().set_dtype(dtype))
}

#[test]
fn key_and_non_key_parts_sum_to_the_input() -> Result<()> {
    for form in [Variant::Paper, Variant::Released] {
        let x = noise((1, 4, 3, 5))?;
        let s = mask(form, DType::F32)?.split(&x, &Ctx::new(Mode::Eval, 0))?;
        assert_close("key + non-key", &(&s.key + s.non_key()?)?, &x, Tol { rtol: 1e-6, atol: 1e-7 })?;
        assert_close("key", &s.key, &(&x * s.mask()?)?, Tol::EXACT)?;
        let m = s.mask()?.flatten_all()?.to_vec1::<f32>()?;
        assert!(m.iter().all(|m| (0. ..=1.).contains(m)), "{m:?}");
        assert!(m.iter().any(|v| (v - m[0]).abs() > 1e-3), "a mask that does not look at its input: {m:?}");
    }
    Ok(())
}

#[test]
fn a_smaller_logit_scale_brings_the_mask_nearer_to_a_half() -> Result<()> {
    let x = noise((1, 4, 3, 5))?;
    let peak = |logit_scale: f64| -> Result<f32> {
        let cfg = MaskConfig { form: Variant::Released, logit_scale };
        let split = Disentangle::new(4, cfg, Fill::new("t", "").builder())?;
        let mask = split.split(&x, &Ctx::new(Mode::Eval, 0))?.mask()?;
        Ok((mask - 0.5)?.abs()?.max_all()?.to_scalar::<f32>()?)
    };
    assert!(peak(1.)? > 3. * peak(0.25)?, "{} {}", peak(1.)?, peak(0.25)?);
    Ok(())
}

#[test]
fn disentangling_gradients_agree_with_finite_differences() -> Result<()> {
    for form in [Variant::Paper, Variant::Released] {
        let split = mask(form, DType::F64)?;
        for mode in [Mode::Frozen, Mode::Eval] {
            let f = |x: &Tensor| -> Result<Tensor> {
                let s = split.split(x, &Ctx::new(mode, 0))?;
                Ok((s.key.sqr()?.sum_all()? + (s.non_key()?.powf(3.)? + s.mask()?.sqr()?)?.sum_all()?)?)
            };
            assert_grad("x", &noise((2, 4, 3, 5))?, f, GRAD)?;
        }
    }
    Ok(())
}

#[test]
fn bad_shapes_are_named() -> Result<()> {
    let attention = WordAttention::new(6, 4, Fill::new("t", "").builder())?;
    let text = captions(&[2], 3, 6, DType::F32)?;
    let message = |r: Result<(Tensor, Tensor)>| r.unwrap_err().to_string();
    let h = noise((1, 4, 2, 2))?;
    assert_eq!(
        message(attention.attend(&noise((1, 5, 2, 2))?, &text.words, &text.mask)),
        "WordAttention: h: expected shape (B, C = 4, H, W), got [1, 5, 2, 2]"
    );
    assert_eq!(
        message(attention.attend(&h, &noise((1, 7, 3))?, &text.mask)),
        "WordAttention: words: expected shape (B = 1, D = 6, T >= 1), got [1, 7, 3]"
    );
    assert_eq!(
        message(attention.attend(&h, &text.words.narrow(2, 0, 0)?, &text.mask)),
        "WordAttention: words: expected shape (B = 1, D = 6, T >= 1), got [1, 6, 0]"
    );
    assert_eq!(
        message(attention.attend(&h, &text.words, &text.mask.narrow(1, 0, 2)?)),
        "WordAttention: mask: expected shape (B = 1, T = 3), got [1, 2]"
    );
    let (split, ctx) = (mask(Variant::Paper, DType::F32)?, Ctx::new(Mode::Eval, 0));
    assert_eq!(
        split.split(&noise((1, 3, 2, 2))?, &ctx).unwrap_err().to_string(),
        "Disentangle: x: expected shape (B, C = 4, H, W), got [1, 3, 2, 2]"
    );
    Ok(())
}
