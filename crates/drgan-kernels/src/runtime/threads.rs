//! candle's own threads, which a program that uses these kernels does without.

/// Tells candle to compute on the calling thread only, unless the user has set `CANDLE_NUM_THREADS`; says whether it did.
///
/// candle 0.11 shares out element-wise operations to threads of its own, which spin while they wait and so take the cores
/// from the operations of this crate: a training step of the `emoji-64` preset took 1.5 times as long with them. Does
/// nothing once the process has more than one thread (the environment must not change under a reader), and where that
/// cannot be told.
pub fn limit_candle_threads() -> bool {
    const NAME: &str = "CANDLE_NUM_THREADS";
    let alone = std::fs::read_dir("/proc/self/task").is_ok_and(|tasks| tasks.count() == 1);
    if !alone || std::env::var_os(NAME).is_some() {
        return false;
    }
    // SAFETY: this is the only thread of the process, so nobody reads or writes the environment meanwhile.
    unsafe { std::env::set_var(NAME, "1") };
    true
}
