use crate::GeneratorConfig;
use candle_core::Tensor;
use drgan_tensor::{Error, Kind, ParamStore, Result};

/// Name of conditioning augmentation's module.
pub(crate) const NAME: &str = "ca_net";

/// Applies `cfg.condition_init` to a generator's store: call it once, after [`drgan_tensor::init::gan`].
///
/// `ca_net.fc.weight` is scaled; of `ca_net.fc.bias` (rows: mu, logvar, mu's gate, logvar's gate, `nc` each) the
/// logvar rows are set. The default configuration changes nothing.
///
/// # Errors
/// [`Error::Weights`] when the store holds no generator's `ca_net` of this configuration; a configuration out of range.
pub fn init_condition(store: &ParamStore, cfg: &GeneratorConfig) -> Result<()> {
    cfg.validate()?;
    let (weight, bias) = (format!("{NAME}.fc.weight"), format!("{NAME}.fc.bias"));
    let vars = store.vars(Kind::Param);
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
