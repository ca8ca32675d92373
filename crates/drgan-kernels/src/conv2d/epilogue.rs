use crate::activation::Activation;

/// What follows a convolution's sums in inference: `act(sum + shift[o]) + plus`, `plus` a map of the result's shape.
#[derive(Clone, Copy)]
pub(crate) struct Epilogue<'a> {
    pub(crate) shift: Option<&'a [f32]>,
    pub(crate) act: Activation,
    pub(crate) plus: Option<&'a [f32]>,
}
