//! Differentiable augmentation in one pass over each image, after its mean.
use super::{COLUMNS, Sizes};
use crate::cpu::shared_slice::fill_uninit;
use crate::op::{Gradient, Op, Pass};
use candle_core::Shape;
use rayon::prelude::*;
use std::ops::Range;

/// An augmentation of images of these sizes; the second input is the table.
pub(super) struct Augment(pub(super) Sizes);

/// A row of the table.
struct Row {
    own: f32,
    gray: f32,
    mean: f32,
    brightness: f32,
    shift: [isize; 2],
    cutout: [Range<usize>; 2],
}

impl Row {
    fn of(row: &[f32]) -> Self {
        let range = |from: f32, to: f32| from as usize..to as usize;
        Self {
            own: row[0],
            gray: row[1],
            mean: row[2],
            brightness: row[3],
            shift: [row[4] as isize, row[5] as isize],
            cutout: [range(row[6], row[7]), range(row[8], row[9])],
        }
    }

    /// The row of the image that row `r` of the result comes from.
    fn source(&self, r: usize, h: usize) -> Option<usize> {
        r.checked_add_signed(-self.shift[0]).filter(|from| *from < h)
    }

    /// The columns of row `r` of the result that come from the image and are not covered, in up to two parts.
    fn columns(&self, r: usize, w: usize) -> [Range<usize>; 2] {
        let bound = |at: isize| at.clamp(0, w as isize) as usize;
        let (from, to) = (bound(self.shift[1]), bound(w as isize + self.shift[1]));
        let [rows, columns] = &self.cutout;
        match rows.contains(&r) && !columns.is_empty() {
            true => {
                [from..columns.start.clamp(from, to.max(from)), columns.end.clamp(from, to.max(from))..to]
            }
            false => [from..to, to..to],
        }
    }
}

/// The sum of some values, in an order that their number alone decides.
fn sum(values: impl Iterator<Item = f32>) -> f64 {
    values.map(f64::from).sum()
}

impl Augment {
    /// For each image, runs `f` on its number, its row of the table and its own part of a result, which is all 0 before.
    fn images(&self, table: &[f32], f: impl Fn(usize, &Row, &mut [f32]) + Sync) -> Vec<f32> {
        let size = self.0.image();
        // SAFETY: images cover all values, each is its task's own, and is filled before it is read.
        unsafe {
            fill_uninit(self.0.count(), |out| {
                (0..self.0.b).into_par_iter().for_each(|i| {
                    let image = out.slice_mut(i * size, size);
                    image.fill(0.);
                    f(i, &Row::of(&table[i * COLUMNS..][..COLUMNS]), image);
                });
            })
        }
    }

    /// Runs `f` with the offset in a plane of each value of the result that comes from the image, and of where it comes from.
    fn moved(&self, row: &Row, mut f: impl FnMut(usize, usize, usize)) {
        let Sizes { h, w, .. } = self.0;
        for r in 0..h {
            let Some(from) = row.source(r, h) else { continue };
            for columns in row.columns(r, w) {
                if !columns.is_empty() {
                    let first = columns.start.wrapping_add_signed(-row.shift[1]);
                    f(r * w + columns.start, from * w + first, columns.len());
                }
            }
        }
    }
}

impl Op<2> for Augment {
    const NAME: &'static str = "augment";
    type Saved = ();

    fn output(&self) -> Shape {
        let Sizes { b, c, h, w } = self.0;
        (b, c, h, w).into()
    }

    fn forward(&self, [x, table]: [&[f32]; 2]) -> (Vec<f32>, ()) {
        let (size, plane, c) = (self.0.image(), self.0.plane(), self.0.c);
        let y = self.images(table, |i, row, y| {
            let x = &x[i * size..][..size];
            let constant = row.mean * (sum(x.iter().copied()) / size as f64) as f32 + row.brightness;
            self.moved(row, |to, from, n| {
                let mut gray = vec![0.; n];
                for x in x.chunks(plane) {
                    gray.iter_mut().zip(&x[from..]).for_each(|(gray, x)| *gray += x);
                }
                gray.iter_mut().for_each(|gray| *gray = *gray * (row.gray / c as f32) + constant);
                for (x, y) in x.chunks(plane).zip(y.chunks_mut(plane)) {
                    let values = y[to..][..n].iter_mut().zip(&x[from..]).zip(&gray);
                    values.for_each(|((y, x), gray)| *y = row.own * x + gray);
                }
            });
        });
        (y, ())
    }

    fn backward(&self, pass: Pass<'_, 2, ()>) -> [Gradient; 2] {
        let (size, plane, c) = (self.0.image(), self.0.plane(), self.0.c);
        let [_, table] = pass.inputs;
        let dx = self.images(table, |i, row, dx| {
            let dy = &pass.gradient[i * size..][..size];
            let mut all = 0.;
            self.moved(row, |to, from, n| {
                let mut gray = vec![0.; n];
                for dy in dy.chunks(plane) {
                    gray.iter_mut().zip(&dy[to..]).for_each(|(gray, dy)| *gray += dy);
                }
                all += sum(gray.iter().copied());
                for (dy, dx) in dy.chunks(plane).zip(dx.chunks_mut(plane)) {
                    let values = dx[from..][..n].iter_mut().zip(&dy[to..]).zip(&gray);
                    values.for_each(|((dx, dy), gray)| *dx = row.own * dy + row.gray / c as f32 * gray);
                }
            });
            let of_mean = (f64::from(row.mean) * all / size as f64) as f32;
            dx.iter_mut().for_each(|dx| *dx += of_mean);
        });
        [Gradient::Values(dx), Gradient::None]
    }
}
