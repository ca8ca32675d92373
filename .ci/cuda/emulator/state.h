// What all parts of the emulated device share: settings from the environment, counters, and the two ways to object.
#pragma once
#include <cstddef>
#include <cstdint>
#include <map>
#include <mutex>
#include <string>

namespace emu {

// Taken by every function of the emulated libraries: the program may call them from several threads.
extern std::recursive_mutex lock;
using Hold = std::lock_guard<std::recursive_mutex>;

struct Settings {
    unsigned devices;    // CUDAEMU_DEVICES: how many there are; 1
    size_t memory;       // CUDAEMU_MEMORY: bytes of each; 8 GiB, or 1 TiB where nothing is computed
    // CUDAEMU_KERNELS=count: kernels, products, convolutions and copies are checked and counted and not made, memory is
    // addresses alone, and downloads are zeros: how much memory a program needs, whatever its size. Else `run`
    bool counting;
    int driver;          // CUDAEMU_DRIVER: what the driver supports, 1000 * major + 10 * minor; 13000
    std::string report;  // CUDAEMU_REPORT: the file that gets the counters when the program ends; none
    enum Order { ascending, descending, random } order; // CUDAEMU_ORDER: of blocks and of threads between barriers
    uint32_t seed;       // ... =random:SEED
    // CUDAEMU_FAULT=KERNEL:FAULT: each launch of that kernel is wrong, to see whether a test notices; FAULT is `grid` (the
    // last block is missing), `swap` (the first two arguments are exchanged) or `skip` (nothing is launched)
    std::string faulty_kernel;
    enum Fault { none, grid, swap, skip } fault;
};
extern const Settings settings;

struct Counters {
    unsigned long launches, uploads, pinned_uploads, upload_bytes, downloads, download_bytes, copies, allocations, float_atomics;
    size_t live, peak;              // bytes
    size_t pool_high;               // the peak since the program has set it back (cuMemPoolSetAttribute)
    size_t workspaces, tensor_peak; // what algorithms compute in, of `live`; the most bytes of all else
    std::map<std::string, unsigned long> by_kernel;
    std::map<const void *, unsigned long> by_stream; // launches and copies
};
extern Counters counters;

// The program does what a GPU would not notice, or would answer with wrong values: says it and aborts.
[[noreturn, gnu::format(printf, 1, 2)]] void wrong(const char *format, ...);

// The program asks for what the real library refuses: says why on stderr and gives its error number back.
[[gnu::format(printf, 2, 3)]] int refuse(int error, const char *format, ...);

// --- memory.cpp: allocations, each between two pages that nobody may touch.
using Address = unsigned long long;
// What lies at an address: the allocation it is in, or none.
struct Allocation { Address begin; size_t bytes; unsigned device; bool workspace; };
const Allocation *allocation_of(Address);
// From now on what lies there is counted apart, as the room that an algorithm computes in.
void is_workspace(Address);
// Takes note of the peaks: before live bytes change, and at the end.
void note_peaks();
// Aborts unless `bytes` bytes from `at` on lie in one allocation.
void check_range(const char *what, Address at, size_t bytes);
// Whether a stream may be used: made and not destroyed, or one of the predefined ones.
bool is_stream(const void *);
// Makes the copies from page-locked memory that are left to be done in a stream, as work behind them in it wants.
void settle(const void *stream);
// Whether the calling thread has a current context.
bool in_context();

// --- kernels: what build.py registers of each .cu file.
struct Kernel {
    const char *name;
    void (*call)(void **arguments);
    bool waits; // has barriers or exchanges values within a warp: its threads run as fibers
};
void register_kernels(const Kernel *, unsigned);
const Kernel *find_kernel(const char *name);
// Where the running kernel is, for messages; empty if none runs.
const char *where();

} // namespace emu
