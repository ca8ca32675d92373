//! Convolutions by cuDNN.

/// A pass of a convolution; each has one algorithm, which gives the same bits each time and takes any shape.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Pass {
    /// The result from map and weight.
    Forward,
    /// The map's gradient from weight and gradient.
    Input,
    /// The weight's gradient from map and gradient.
    Weight,
}

/// The sizes of a convolution as cuDNN takes them: the padding is the same on opposite sides.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Geometry {
    /// Images, channels, height and width of the map.
    pub(crate) x: [usize; 4],
    /// Output channels, input channels, height and width of the weight.
    pub(crate) w: [usize; 4],
    /// Images, channels, height and width of the result.
    pub(crate) y: [usize; 4],
    /// Rows above and below, columns left and right.
    pub(crate) padding: [usize; 2],
    pub(crate) stride: usize,
}

#[cfg(all(feature = "cuda", feature = "cudnn"))]
impl Pass {
    /// What it is called where times of kernels are told.
    pub(super) fn kernel(self) -> &'static str {
        match self {
            Self::Forward => "cudnn forward",
            Self::Input => "cudnn gradient of the map",
            Self::Weight => "cudnn gradient of the weight",
        }
    }
}

#[cfg(all(feature = "cuda", feature = "cudnn"))]
impl Geometry {
    /// Multiplications and additions of a pass, the same for each.
    pub(super) fn operations(&self) -> u64 {
        let [b, _, h, w] = self.y;
        2 * (b * h * w * self.w.iter().product::<usize>()) as u64
    }
}

/// The variable that says what computes convolutions: cuDNN where it is installed if it is not set.
#[cfg(feature = "cuda")]
const VARIABLE: &str = "DRGAN_CONV";

/// What the environment asks convolutions to be computed by.
#[cfg(feature = "cuda")]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Asked {
    /// cuDNN where it is installed.
    Either,
    Cudnn,
    Columns,
}

#[cfg(feature = "cuda")]
impl Asked {
    /// What the variable says.
    pub(super) fn by_environment() -> Result<Self, String> {
        Self::by(std::env::var_os(VARIABLE).as_deref())
    }

    fn by(value: Option<&std::ffi::OsStr>) -> Result<Self, String> {
        match value.map(|value| value.to_string_lossy()).as_deref() {
            None | Some("") => Ok(Self::Either),
            Some("cudnn") => Ok(Self::Cudnn),
            Some("gemm") => Ok(Self::Columns),
            Some(other) => Err(format!("{VARIABLE}: `{other}` is neither `cudnn` nor `gemm`")),
        }
    }

    /// Why cuDNN, without which this cannot be done, is not used; nothing where that is as well.
    pub(super) fn without(self, reason: String) -> Result<Option<String>, String> {
        match self {
            Self::Either => Ok(Some(reason)),
            Self::Cudnn => Err(format!("{VARIABLE}=cudnn: {reason}")),
            Self::Columns => Ok(None),
        }
    }
}

#[cfg(all(feature = "cuda", not(feature = "cudnn")))]
impl super::Queue {
    /// Whether convolutions are computed by cuDNN: not by this build.
    pub(crate) fn convolves(&self) -> candle_core::Result<bool> {
        Ok(false)
    }

    /// What computes convolutions.
    ///
    /// # Errors
    /// The environment asks for cuDNN, or for nothing that there is.
    pub(crate) fn convolutions(&self) -> candle_core::Result<crate::convolutions::Convolutions> {
        let reason = || "this build has no support for it, the feature `cudnn` of drgan-kernels".to_owned();
        let asked = Asked::by_environment().and_then(|asked| asked.without(reason()));
        asked
            .map(|_| crate::convolutions::Convolutions::Columns { lacks: None })
            .map_err(candle_core::Error::msg)
    }

    /// Enqueues a pass of a convolution, if cuDNN is used: not by this build.
    pub(crate) fn convolve(
        &self,
        _: Pass,
        _: &Geometry,
        _: [super::View<'_>; 2],
        _: &mut super::Buffer,
    ) -> candle_core::Result<bool> {
        Ok(false)
    }
}

#[cfg(all(test, feature = "cuda"))]
mod tests {
    use super::*;

    #[test]
    fn what_is_asked_for_is_known_or_named() {
        let by = |value: &str| Asked::by(Some(value.as_ref()));
        assert_eq!(Asked::by(None), Ok(Asked::Either));
        assert_eq!([by(""), by("cudnn"), by("gemm")], [Asked::Either, Asked::Cudnn, Asked::Columns].map(Ok));
        let said = by("nonsense").expect_err("it is nothing");
        assert!(said.contains("DRGAN_CONV: `nonsense`") && said.contains("`gemm`"), "{said}");
        assert_eq!(Asked::Either.without("none".into()), Ok(Some("none".into())));
        assert_eq!(Asked::Columns.without("none".into()), Ok(None));
        assert_eq!(Asked::Cudnn.without("none".into()), Err("DRGAN_CONV=cudnn: none".into()));
    }
}
