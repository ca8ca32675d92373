//! How long kernels take on a device: an event before and one after each launch, where the check of a device asks for them.
use super::Queue;
use super::launch::Work;
#[cfg(not(any(test, feature = "testing")))]
use candle_core::Result;

#[cfg(not(any(test, feature = "testing")))]
impl Queue {
    /// Enqueues work; times are taken by tests alone.
    pub(super) fn timed<R>(
        &self,
        _: &'static str,
        _: Work,
        enqueue: impl FnOnce() -> Result<R>,
    ) -> Result<R> {
        enqueue()
    }
}

#[cfg(any(test, feature = "testing"))]
pub(super) use taken::profile;

#[cfg(any(test, feature = "testing"))]
mod taken {
    use super::{Queue, Work};
    use crate::cuda::about::KernelTime;
    use candle_core::Result;
    use candle_core::cuda_backend::WrapErr;
    use candle_core::cuda_backend::cudarc::driver::CudaEvent;
    use candle_core::cuda_backend::cudarc::driver::sys::CUevent_flags;
    use std::collections::BTreeMap;
    use std::sync::{Mutex, MutexGuard, PoisonError};

    struct Launch {
        kernel: &'static str,
        work: Work,
        before: CudaEvent,
        after: CudaEvent,
    }

    /// The launches since a profile was begun, of all threads; none where no profile is taken.
    static LAUNCHES: Mutex<Option<Vec<Launch>>> = Mutex::new(None);

    fn launches() -> MutexGuard<'static, Option<Vec<Launch>>> {
        LAUNCHES.lock().unwrap_or_else(PoisonError::into_inner)
    }

    impl Queue {
        /// Enqueues work, between two events while a profile is taken.
        pub(in super::super) fn timed<R>(
            &self,
            kernel: &'static str,
            work: Work,
            enqueue: impl FnOnce() -> Result<R>,
        ) -> Result<R> {
            if launches().is_none() {
                return enqueue();
            }
            let event = || self.device.cuda_stream().record_event(Some(CUevent_flags::CU_EVENT_DEFAULT)).w();
            let before = event()?;
            let result = enqueue()?;
            let after = event()?;
            if let Some(all) = &mut *launches() {
                all.push(Launch { kernel, work, before, after });
            }
            Ok(result)
        }
    }

    /// Runs `work` and gives the time of each kernel that it launched, the longest first.
    pub(in super::super) fn profile(work: impl FnOnce() -> Result<()>) -> Result<Vec<KernelTime>> {
        *launches() = Some(Vec::new());
        let done = work();
        let taken = launches().take().unwrap_or_default();
        done?;
        let mut kernels: BTreeMap<&str, KernelTime> = BTreeMap::new();
        for Launch { kernel, work, before, after } in &taken {
            let sum = kernels.entry(kernel).or_insert_with(|| KernelTime {
                kernel: (*kernel).to_owned(),
                launches: 0,
                seconds: 0.,
                bytes: 0,
                operations: 0,
            });
            sum.launches += 1;
            sum.seconds += f64::from(before.elapsed_ms(after).w()?) / 1e3;
            sum.bytes += work.bytes;
            sum.operations += work.operations;
        }
        let mut times: Vec<KernelTime> = kernels.into_values().collect();
        times.sort_by(|a, b| b.seconds.total_cmp(&a.seconds));
        Ok(times)
    }
}
