//! How the generator's conditioning augmentation starts, beyond the usual initialization.
use crate::GeneratorConfig;
use candle_core::Tensor;
use drgan_tensor::{Error, ParamKind, ParamStore, Result};

/// Name of the conditioning augmentation's parameters.
pub(crate) const NAME: &str = "ca_net";

/// Applies `cfg.condition_init` to a generator's store: call it once, after [`drgan_tensor::init::gan`].
///
/// `ca_net.fc.weight` is multiplied by [`weight_scale`](crate::ConditionInit::weight_scale). `ca_net.fc.bias` has the rows mu,
/// logvar, gate of mu and gate of logvar, `nc` each; those of logvar are set to
/// [`logvar_bias`](crate::ConditionInit::logvar_bias). The default configuration changes nothing.
///
/// # Errors
/// [`Error::Weights`] when the store holds no `ca_net` of this configuration; [`Error::Config`] for a value out of range.
pub fn init_condition(store: &ParamStore, cfg: &GeneratorConfig) -> Result<()> {
    cfg.validate()?;
    let (weight, bias) = (format!("{NAME}.fc.weight"), format!("{NAME}.fc.bias"));
    let vars = store.vars(ParamKind::Param);
    let find = |name: &str, dims: &[usize]| {
        let found = vars.iter().find(|(n, v)| n == name && v.dims() == dims);
        found
            .map(|(_, v)| v)
            .ok_or_else(|| Error::Weights { missing: vec![name.to_owned()], unexpected: vec![] })
    };
    let n = cfg.nc;
    let (weight, bias) = (find(&weight, &[4 * n, cfg.text_dim])?, find(&bias, &[4 * n])?);
    let init = cfg.condition_init;
    weight.set(&(weight.as_detached_tensor() * init.weight_scale)?)?;
    let old = bias.as_detached_tensor();
    let logvar = Tensor::full(init.logvar_bias, n, old.device())?.to_dtype(old.dtype())?;
    if init.logvar_bias != 0. {
        bias.set(&Tensor::cat(&[&old.narrow(0, 0, n)?, &logvar, &old.narrow(0, 2 * n, 2 * n)?], 0)?)?;
    }
    Ok(())
}
