//! Whether a stored tensor is learnt.

/// Whether a tensor of a [`ParamStore`](crate::ParamStore) is learnt.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ParamKind {
    /// A weight or bias: it gets a gradient and the optimizer changes it.
    Param,
    /// State that a training pass itself updates: running statistics of batch norm, vectors of spectral norm.
    Buffer,
}

impl std::fmt::Display for ParamKind {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Param => "parameter",
            Self::Buffer => "buffer",
        })
    }
}
