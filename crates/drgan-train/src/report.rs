//! An evaluation as a table for people.
use crate::evaluate::{Evaluation, Figures};

/// Trained, untrained and real side by side, with everything that a figure depends on above them.
pub fn table(e: &Evaluation) -> String {
    let mut text = format!(
        "preset {}, seed {}, step {}, averaged generator; {} samples, {} noise seeds a caption\n{:<34}{:>9}{:>11}{:>9}\n",
        e.preset, e.seed, e.step, e.samples, e.noise_seeds, "", "trained", "untrained", "real"
    );
    let mut row = |name: &str, of: &dyn Fn(&Figures) -> Option<f64>| {
        let show = |v: f64| if v >= 10. { format!("{v:.0}") } else { format!("{v:.3}") };
        let cell = |f: Option<&Figures>| f.and_then(of).map_or_else(|| "-".to_owned(), show);
        let (trained, untrained, real) =
            (cell(Some(&e.trained)), cell(Some(&e.untrained)), cell(e.real.as_ref()));
        text += &format!("{name:<34}{trained:>9}{untrained:>11}{real:>9}\n");
    };
    row("hue within 30 degrees", &|f| f.hue);
    row("nearest of nine colours (Lab)", &|f| f.lab);
    row("nearest of three shapes", &|f| f.shape);
    row("pair distance / real", &|f| Some(f.pair_distance));
    row("noise diversity", &|f| f.noise_diversity);
    row("KID (backbone features)", &|f| Some(f.kid));
    row("R-precision", &|f| Some(f.r_precision));
    row("  of this many captions", &|f| Some(f.candidates as f64));
    text += "real: held-out pictures in the samples' place; the obedience measures, the 27 real pictures themselves\n";
    if let Some(early) = e.early_kid {
        text +=
            &format!("KID at one eighth of the run: {early:.3}; now {:.2} of it\n", e.trained.kid / early);
    }
    text
}
