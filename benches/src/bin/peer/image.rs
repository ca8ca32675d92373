//! Features of captions to the finest image.
use crate::{Named, Row};
use anyhow::Result;
use drgan_benches::Inference;
use drgan_tensor::TextFeatures;

/// Captions under the names that the other side knows.
pub(crate) fn named(text: &TextFeatures) -> Named {
    let tensors = [("words", &text.words), ("sentence", &text.sentence), ("padding", &text.mask)];
    tensors.into_iter().map(|(name, t)| (name.to_owned(), t.clone())).collect()
}

impl Row for Inference {
    fn inputs(&self) -> Result<Named> {
        let mut all = named(&self.text);
        all.insert("z".into(), self.z.clone());
        all.insert("eps".into(), self.eps.clone());
        Ok(all)
    }

    fn first(&mut self) -> Result<Named> {
        Ok(Named::from([("image".into(), self.draw()?)]))
    }

    fn run(&mut self) -> Result<()> {
        std::hint::black_box(self.draw()?);
        Ok(())
    }
}
