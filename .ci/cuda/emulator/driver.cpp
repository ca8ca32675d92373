// libcuda: devices, contexts, streams, events, memory, modules and launches, as far as the program asks for them.
#include "fibers.h"
#include "memory.h"
#include "pinned.h"
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <set>
#include <vector>

namespace emu {

enum Error {
    success = 0,
    invalid_value = 1,
    out_of_memory = 2,
    not_initialized = 3,
    no_device = 100,
    invalid_device = 101,
    invalid_image = 200,
    invalid_context = 201,
    invalid_handle = 400,
    not_found = 500,
    not_supported = 801,
};

namespace {

bool initialized;
thread_local long current = 0; // the context of this thread: a device's number and one, or none
struct Stream { long context; };
struct Event { Moment moment; bool takes_time, recorded; std::chrono::steady_clock::time_point at; };
struct Function { const Kernel *kernel; unsigned most_threads; };
struct Module {
    std::map<std::string, unsigned> entries;   // with the most threads that a block of each may have
    std::map<std::string, Function> functions; // that were asked for
};
std::set<const void *> streams, events, modules, functions;
std::vector<Kernel> &kernels() {
    static std::vector<Kernel> all;
    return all;
}

long context_of(void *context) { return reinterpret_cast<long>(context); }

#define ENTER \
    Hold hold(lock); \
    if (!initialized) return refuse(not_initialized, "%s before cuInit", __func__)
#define ENTER_CONTEXT \
    ENTER; \
    if (!current) return refuse(invalid_context, "%s: this thread has no current context", __func__)
#define ON_STREAM(stream) \
    ENTER_CONTEXT; \
    if (!is_stream(stream)) return refuse(invalid_handle, "%s: no such stream", __func__); \
    counters.by_stream[stream]++; \
    settle(stream)

bool is_event(const void *e) { return events.count(e); }

// Numbers of CUdevice_attribute and what an A100 says of them; others are 0.
int attribute(int number) {
    switch (number) {
    case 1: return 1024;       // threads per block
    case 2: case 3: return 1024; // of block x, y
    case 4: return 64;         // of block z
    case 5: return 2147483647; // of grid x
    case 6: case 7: return 65535;
    case 8: return 49152;      // shared memory per block
    case 10: return 32;        // warp
    case 12: return 65536;     // registers per block
    case 16: return 108;       // multiprocessors
    case 39: return 2048;      // threads per multiprocessor
    case 41: return 1;         // unified addressing
    case 75: return 8;         // compute capability
    case 76: return 0;
    case 81: return 167936;    // shared memory per multiprocessor
    case 97: return 166912;    // shared memory per block, if asked for
    case 115: return 1;        // memory pools
    default: return 0;
    }
}

// The kernels of a PTX text: `.entry NAME(`, and before its body `.maxntid N` if its blocks are bounded.
std::map<std::string, unsigned> entries(const std::string &ptx) {
    std::map<std::string, unsigned> found;
    const std::string mark = ".entry ";
    for (size_t at = ptx.find(mark); at != std::string::npos; at = ptx.find(mark, at)) {
        at += mark.size();
        size_t end = ptx.find('(', at), body = ptx.find('{', at), bound = ptx.find(".maxntid", at);
        found[ptx.substr(at, end - at)] = bound < body ? strtoul(ptx.c_str() + bound + 8, nullptr, 10) : 1024;
    }
    return found;
}

} // namespace

bool in_context() { return initialized && current; }
bool is_stream(const void *s) { return reinterpret_cast<uintptr_t>(s) <= 2 || streams.count(s); }

void register_kernels(const Kernel *of_file, unsigned n) { kernels().insert(kernels().end(), of_file, of_file + n); }
const Kernel *find_kernel(const char *name) {
    for (auto &kernel : kernels())
        if (!strcmp(kernel.name, name)) return &kernel;
    return nullptr;
}

extern "C" {

int cuInit(unsigned flags) {
    Hold hold(lock);
    if (flags) return refuse(invalid_value, "cuInit: flags have to be 0");
    if (!settings.devices) return no_device;
    if (settings.fault && !find_kernel(settings.faulty_kernel.c_str()))
        wrong("CUDAEMU_FAULT: there is no kernel `%s`; products and convolutions of cuBLAS and cuDNN have no faults", settings.faulty_kernel.c_str());
    watch_faults();
    initialized = true;
    return success;
}
int cuDriverGetVersion(int *version) {
    *version = settings.driver;
    return success;
}
int cuDeviceGetCount(int *n) {
    ENTER;
    *n = settings.devices;
    return success;
}
int cuDeviceGet(int *device, int number) {
    ENTER;
    if (number < 0 || number >= int(settings.devices)) return invalid_device;
    *device = number;
    return success;
}
int cuDeviceGetName(char *name, int length, int device) {
    ENTER;
    snprintf(name, length, "emulated device %d", device);
    return success;
}
int cuDeviceTotalMem_v2(size_t *bytes, int) {
    ENTER;
    *bytes = settings.memory;
    return success;
}
int cuDeviceGetAttribute(int *value, int number, int) {
    ENTER;
    *value = attribute(number);
    return success;
}
int cuDevicePrimaryCtxRetain(void **context, int device) {
    ENTER;
    if (device < 0 || device >= int(settings.devices)) return invalid_device;
    *context = reinterpret_cast<void *>(device + 1l);
    return success;
}
int cuDevicePrimaryCtxRelease_v2(int) {
    ENTER;
    return success;
}
int cuCtxSetCurrent(void *context) {
    ENTER;
    if (context_of(context) < 0 || context_of(context) > long(settings.devices)) return refuse(invalid_context, "cuCtxSetCurrent: no such context");
    current = context_of(context);
    return success;
}
int cuCtxGetCurrent(void **context) {
    ENTER;
    *context = reinterpret_cast<void *>(current);
    return success;
}
int cuCtxSynchronize() {
    ENTER_CONTEXT;
    host_waited_for_all();
    return success;
}

int cuStreamCreate(void **stream, unsigned) {
    ENTER_CONTEXT;
    *stream = new Stream{current};
    streams.insert(*stream);
    return success;
}
int cuStreamDestroy_v2(void *stream) {
    ENTER;
    if (!streams.erase(stream)) return refuse(invalid_handle, "cuStreamDestroy: no such stream");
    settle(stream);
    delete static_cast<Stream *>(stream);
    return success;
}
int cuStreamSynchronize(void *stream) {
    ENTER_CONTEXT;
    if (!is_stream(stream)) return refuse(invalid_handle, "cuStreamSynchronize: no such stream");
    host_waited(now_in(stream));
    return success;
}
int cuStreamWaitEvent(void *stream, void *event, unsigned) {
    ENTER_CONTEXT;
    if (!is_stream(stream) || !is_event(event)) return refuse(invalid_handle, "cuStreamWaitEvent: no such stream or event");
    order_behind(static_cast<Event *>(event)->moment, stream);
    return success;
}
int cuStreamIsCapturing(void *, int *status) {
    *status = 0;
    return success;
}
int cuEventCreate(void **event, unsigned flags) {
    ENTER_CONTEXT;
    *event = new Event{{}, !(flags & 2), false, {}};
    events.insert(*event);
    return success;
}
int cuEventDestroy_v2(void *event) {
    ENTER;
    if (!events.erase(event)) return refuse(invalid_handle, "cuEventDestroy: no such event");
    delete static_cast<Event *>(event);
    return success;
}
int cuEventRecord(void *event, void *stream) {
    ENTER_CONTEXT;
    if (!is_stream(stream) || !is_event(event)) return refuse(invalid_handle, "cuEventRecord: no such stream or event");
    auto *of = static_cast<Event *>(event);
    *of = {now_in(stream), of->takes_time, true, std::chrono::steady_clock::now()};
    return success;
}
int cuEventSynchronize(void *event) {
    ENTER_CONTEXT;
    if (!is_event(event)) return refuse(invalid_handle, "cuEventSynchronize: no such event");
    host_waited(static_cast<Event *>(event)->moment);
    return success;
}
// Work is done when it is enqueued: the time between two events is the host's.
int cuEventElapsedTime_v2(float *milliseconds, void *from, void *to) {
    ENTER_CONTEXT;
    for (void *event : {from, to}) {
        if (!is_event(event)) return refuse(invalid_handle, "cuEventElapsedTime: no such event");
        auto *of = static_cast<Event *>(event);
        if (!of->takes_time || !of->recorded) return refuse(invalid_handle, "cuEventElapsedTime: an event that takes no time, or was not recorded");
    }
    std::chrono::duration<float, std::milli> between = static_cast<Event *>(to)->at - static_cast<Event *>(from)->at;
    *milliseconds = between.count();
    return success;
}
int cuEventElapsedTime(float *milliseconds, void *from, void *to) { return cuEventElapsedTime_v2(milliseconds, from, to); }

int cuMemAllocAsync(Address *at, size_t bytes, void *stream) {
    ON_STREAM(stream);
    if (!bytes) return refuse(invalid_value, "an allocation of 0 bytes");
    return take(at, bytes, current - 1) ? success : out_of_memory;
}
int cuMemAlloc_v2(Address *at, size_t bytes) {
    return cuMemAllocAsync(at, bytes, nullptr);
}
int cuMemFreeAsync(Address at, void *stream) {
    ON_STREAM(stream);
    give(at);
    return success;
}
int cuMemFree_v2(Address at) {
    return cuMemFreeAsync(at, nullptr);
}
int cuMemGetInfo_v2(size_t *free, size_t *total) {
    ENTER_CONTEXT;
    *total = settings.memory;
    *free = settings.memory - counters.live;
    return success;
}
int cuMemHostAlloc(void **at, size_t bytes, unsigned flags) {
    ENTER_CONTEXT;
    if (!bytes || flags > 7) return refuse(invalid_value, "cuMemHostAlloc: %zu bytes, flags %u", bytes, flags);
    *at = take_pinned(bytes);
    return *at ? success : out_of_memory;
}
int cuMemFreeHost(void *at) {
    ENTER_CONTEXT;
    return give_pinned(at) ? success : refuse(invalid_value, "cuMemFreeHost: %p is no page-locked memory, or no more", at);
}
int cuDeviceGetDefaultMemPool(void **pool, int device) {
    ENTER;
    *pool = reinterpret_cast<void *>(device + 1l);
    return success;
}
constexpr int used_now = 7, used_high = 8; // of CUmemPool_attribute
int cuMemPoolSetAttribute(void *pool, int name, void *value) {
    ENTER;
    if (!pool || name < 1 || name > 8) return refuse(invalid_value, "cuMemPoolSetAttribute: attribute %d", name);
    if (name == used_high) {
        if (*static_cast<uint64_t *>(value)) return refuse(invalid_value, "cuMemPoolSetAttribute: the peak can be set to 0 alone");
        counters.pool_high = counters.live;
    }
    return success;
}
int cuMemPoolGetAttribute(void *pool, int name, void *value) {
    ENTER;
    if (!pool || (name != used_now && name != used_high)) return refuse(invalid_value, "cuMemPoolGetAttribute: attribute %d", name);
    note_peaks();
    *static_cast<uint64_t *>(value) = name == used_now ? counters.live : counters.pool_high;
    return success;
}
int cuMemcpyHtoDAsync_v2(Address to, const void *from, size_t bytes, void *stream) {
    ON_STREAM(stream);
    check_range("upload", to, bytes);
    counters.uploads++;
    counters.upload_bytes += bytes;
    counters.pinned_uploads += is_pinned(from, bytes);
    if (settings.counting) return success;
    if (is_pinned(from, bytes)) copy_later(stream, to, from, bytes);
    else memcpy(reinterpret_cast<void *>(to), from, bytes);
    return success;
}
int cuMemcpyDtoHAsync_v2(void *to, Address from, size_t bytes, void *stream) {
    ON_STREAM(stream);
    check_range("download", from, bytes);
    host_waited(now_in(stream)); // to memory that is not page-locked
    counters.downloads++;
    counters.download_bytes += bytes;
    if (settings.counting) memset(to, 0, bytes);
    else memcpy(to, reinterpret_cast<void *>(from), bytes);
    return success;
}
int cuMemcpyDtoDAsync_v2(Address to, Address from, size_t bytes, void *stream) {
    ON_STREAM(stream);
    check_range("copy from", from, bytes);
    check_range("copy to", to, bytes);
    if (to < from + bytes && from < to + bytes && bytes) wrong("a copy whose source and destination overlap");
    counters.copies++;
    if (!settings.counting) memcpy(reinterpret_cast<void *>(to), reinterpret_cast<void *>(from), bytes);
    return success;
}
int cuMemsetD8Async(Address at, unsigned char value, size_t bytes, void *stream) {
    ON_STREAM(stream);
    check_range("fill", at, bytes);
    if (!settings.counting) memset(reinterpret_cast<void *>(at), value, bytes);
    return success;
}

int cuModuleLoadData(void **module, const void *image) {
    ENTER_CONTEXT;
    auto found = entries(static_cast<const char *>(image));
    if (found.empty()) return refuse(invalid_image, "cuModuleLoadData: no PTX with kernels");
    *module = new Module{found, {}};
    modules.insert(*module);
    return success;
}
int cuModuleUnload(void *module) {
    ENTER;
    if (!modules.erase(module)) return refuse(invalid_handle, "cuModuleUnload: no such module");
    for (auto &[name, function] : static_cast<Module *>(module)->functions) functions.erase(&function);
    delete static_cast<Module *>(module);
    return success;
}
int cuModuleGetFunction(void **function, void *module, const char *name) {
    ENTER_CONTEXT;
    if (!modules.count(module)) return refuse(invalid_handle, "cuModuleGetFunction: no such module");
    auto *of = static_cast<Module *>(module);
    auto known = of->functions.find(name);
    if (known == of->functions.end()) {
        auto entry = of->entries.find(name);
        if (entry == of->entries.end()) return refuse(not_found, "the module has no kernel %s", name);
        const Kernel *kernel = find_kernel(name);
        if (!kernel) return refuse(not_found, "the emulator was built without kernel %s (see emulator/build.py)", name);
        known = of->functions.insert({name, {kernel, entry->second}}).first;
        functions.insert(&known->second);
    }
    *function = &known->second;
    return success;
}
int cuFuncSetAttribute(void *, int, int) { return success; }
int cuLaunchKernel(void *function, unsigned gx, unsigned gy, unsigned gz, unsigned bx, unsigned by, unsigned bz, unsigned shared, void *stream,
                   void **arguments, void **) {
    ON_STREAM(stream);
    if (!functions.count(function)) return refuse(invalid_handle, "cuLaunchKernel: no such function");
    auto *f = static_cast<Function *>(function);
    if (!gx || !gy || !gz || gx > 2147483647u || gy > 65535 || gz > 65535)
        return refuse(invalid_value, "launch of %s with a grid of %u x %u x %u", f->kernel->name, gx, gy, gz);
    size_t threads = size_t(bx) * by * bz;
    if (!threads || threads > f->most_threads || bx > 1024 || by > 1024 || bz > 64)
        return refuse(invalid_value, "launch of %s with blocks of %u x %u x %u threads, it may have %u", f->kernel->name, bx, by, bz, f->most_threads);
    if (shared > 49152) return refuse(invalid_value, "launch of %s with %u bytes of shared memory", f->kernel->name, shared);
    counters.launches++;
    counters.by_kernel[f->kernel->name]++;
    const auto fault = settings.faulty_kernel == f->kernel->name ? settings.fault : Settings::none;
    if (fault == Settings::skip) return success;
    if (fault == Settings::swap) std::swap(arguments[0], arguments[1]);
    if (!settings.counting) run(*f->kernel, {gx, gy, gz}, {bx, by, bz}, arguments, fault == Settings::grid);
    return success;
}

int cuGetErrorName(int error, const char **text) {
    switch (error) {
    case success: *text = "CUDA_SUCCESS"; break;
    case invalid_value: *text = "CUDA_ERROR_INVALID_VALUE"; break;
    case out_of_memory: *text = "CUDA_ERROR_OUT_OF_MEMORY"; break;
    case not_initialized: *text = "CUDA_ERROR_NOT_INITIALIZED"; break;
    case no_device: *text = "CUDA_ERROR_NO_DEVICE"; break;
    case invalid_device: *text = "CUDA_ERROR_INVALID_DEVICE"; break;
    case invalid_image: *text = "CUDA_ERROR_INVALID_IMAGE"; break;
    case invalid_context: *text = "CUDA_ERROR_INVALID_CONTEXT"; break;
    case invalid_handle: *text = "CUDA_ERROR_INVALID_HANDLE"; break;
    case not_found: *text = "CUDA_ERROR_NOT_FOUND"; break;
    case not_supported: *text = "CUDA_ERROR_NOT_SUPPORTED"; break;
    default: *text = "CUDA_ERROR_UNKNOWN"; return invalid_value;
    }
    return success;
}
int cuGetErrorString(int error, const char **text) { return cuGetErrorName(error, text); }

// Not NVIDIA's: launches so far of the kernel of this name or, without a name, of all. For tests, which count within a process.
unsigned long cudaemu_launches(const char *kernel) {
    Hold hold(lock);
    if (!kernel) return counters.launches;
    auto found = counters.by_kernel.find(kernel);
    return found == counters.by_kernel.end() ? 0 : found->second;
}

} // extern "C"
} // namespace emu
