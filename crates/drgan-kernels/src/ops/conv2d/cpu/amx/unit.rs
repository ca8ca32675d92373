//! The processor's matrix unit: whether it is there, the system's permission, and its configuration.
use std::arch::asm;
use std::arch::x86_64::__cpuid_count;
use std::marker::PhantomData;
use std::sync::OnceLock;

/// Whether the machine has AMX bf16 and the vector instructions around it, and the system lets this process use them.
/// Asks once.
pub(crate) fn available() -> bool {
    static AVAILABLE: OnceLock<bool> = OnceLock::new();
    *AVAILABLE.get_or_init(|| {
        const BF16: u32 = 1 << 22;
        const TILE: u32 = 1 << 24;
        is_x86_feature_detected!("avx512f")
            && is_x86_feature_detected!("avx512bw")
            && is_x86_feature_detected!("avx512bf16")
            && __cpuid_count(7, 0).edx & (BF16 | TILE) == BF16 | TILE
            && permitted()
    })
}

/// Asks Linux for the tiles' state, which it saves at a switch only for processes that asked.
#[cfg(target_os = "linux")]
fn permitted() -> bool {
    const ARCH_PRCTL: usize = 158;
    const REQUEST_PERMISSION: usize = 0x1023;
    const TILE_DATA: usize = 18;
    let mut result = ARCH_PRCTL;
    // SAFETY: the call reads its two numbers only; the kernel clobbers rcx and r11.
    unsafe {
        asm!(
            "syscall",
            inout("rax") result,
            in("rdi") REQUEST_PERMISSION,
            in("rsi") TILE_DATA,
            out("rcx") _,
            out("r11") _,
            options(nostack),
        );
    }
    result == 0
}

#[cfg(not(target_os = "linux"))]
fn permitted() -> bool {
    false
}

/// This thread's tiles, all eight of 16 rows of 64 bytes, until the value is dropped.
pub(super) struct Tiles(PhantomData<*const ()>);

impl Tiles {
    /// Panics where the unit is not [`available`].
    pub(super) fn configure() -> Self {
        #[repr(C, align(64))]
        struct Config {
            palette: u8,
            start_row: u8,
            reserved: [u8; 14],
            row_bytes: [u16; 16],
            rows: [u8; 16],
        }
        assert!(available(), "AMX bf16 is not available");
        let mut config =
            Config { palette: 1, start_row: 0, reserved: [0; 14], row_bytes: [0; 16], rows: [0; 16] };
        config.row_bytes[..8].fill(64);
        config.rows[..8].fill(16);
        // SAFETY: the unit is there and permitted; `config` is 64 bytes of a valid configuration.
        unsafe { asm!("ldtilecfg [{}]", in(reg) &config, options(nostack, readonly)) };
        Self(PhantomData)
    }
}

impl Drop for Tiles {
    /// Tiles that are not in use cost nothing at a switch between threads.
    fn drop(&mut self) {
        // SAFETY: the unit is there, or `self` would not be; nobody else on this thread uses it meanwhile.
        unsafe { asm!("tilerelease", options(nostack, nomem)) };
    }
}
