#include "state.h"
#include <algorithm>
#include <cerrno>
#include <cstdarg>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <unistd.h>
#include <vector>

namespace emu {

std::recursive_mutex lock;
Counters counters;

static unsigned long number(const char *name, unsigned long otherwise) {
    const char *text = getenv(name);
    if (!text || !*text) return otherwise;
    char *end;
    unsigned long value = strtoul(text, &end, 10);
    if (*end) wrong("%s: `%s` is not a number", name, text);
    return value;
}

static Settings read() {
    Settings s{};
    s.devices = number("CUDAEMU_DEVICES", 1);
    const char *kernels = getenv("CUDAEMU_KERNELS");
    std::string k = kernels ? kernels : "run";
    if (k != "run" && k != "count") wrong("CUDAEMU_KERNELS: `%s` is neither run nor count", kernels);
    s.counting = k == "count";
    s.memory = number("CUDAEMU_MEMORY", s.counting ? 1ul << 40 : 8ul << 30);
    s.driver = number("CUDAEMU_DRIVER", 13000);
    const char *report = getenv("CUDAEMU_REPORT"), *order = getenv("CUDAEMU_ORDER");
    s.report = report ? report : "";
    if (!s.report.empty()) { // not only at the end, when there is nobody to tell
        FILE *f = fopen(report, "a");
        if (!f) wrong("CUDAEMU_REPORT: %s cannot be written: %s", report, strerror(errno));
        fclose(f);
    }
    std::string o = order ? order : "ascending";
    if (o == "ascending") s.order = Settings::ascending;
    else if (o == "descending") s.order = Settings::descending;
    else if (o.rfind("random:", 0) == 0) s.order = Settings::random, s.seed = atoi(o.c_str() + 7);
    else wrong("CUDAEMU_ORDER: `%s` is none of ascending, descending, random:SEED", o.c_str());
    if (const char *fault = getenv("CUDAEMU_FAULT")) {
        std::string text = fault, kind = text.substr(text.find(':') + 1);
        s.faulty_kernel = text.substr(0, text.find(':'));
        s.fault = kind == "grid" ? Settings::grid : kind == "swap" ? Settings::swap : kind == "skip" ? Settings::skip : Settings::none;
        if (s.fault == Settings::none) wrong("CUDAEMU_FAULT: `%s` is not KERNEL:grid, KERNEL:swap or KERNEL:skip", fault);
    }
    return s;
}
const Settings settings = read();

void wrong(const char *format, ...) {
    // Nothing of stdio: its buffer for stderr is larger than the stack that a handler of SIGSEGV runs on.
    static char text[1024];
    char *end = text + sizeof text - 1;
    va_list list;
    va_start(list, format);
    char *at = text + snprintf(text, sizeof text, "emulated device: ");
    at = std::min(at + vsnprintf(at, end - at, format, list), end);
    va_end(list);
    at = std::min(at + snprintf(at, end - at, "%s", where()), end);
    *at++ = '\n';
    if (write(2, text, at - text)) {}
    abort();
}

int refuse(int error, const char *format, ...) {
    va_list list;
    va_start(list, format);
    fprintf(stderr, "emulated device: refused with error %d: ", error);
    vfprintf(stderr, format, list);
    fputc('\n', stderr);
    va_end(list);
    return error;
}

// One JSON object, so that a test can read it.
static struct Report {
    ~Report() {
        if (settings.report.empty()) return;
        FILE *f = fopen(settings.report.c_str(), "w");
        if (!f) return;
        note_peaks();
        auto &c = counters;
        fprintf(f,
                "{\"launches\": %lu, \"uploads\": %lu, \"pinned_uploads\": %lu, \"upload_bytes\": %lu, \"downloads\": %lu, \"download_bytes\": %lu, "
                "\"copies\": %lu, \"allocations\": %lu, \"float_atomics\": %lu, \"live_bytes\": %zu, \"peak_bytes\": %zu, "
                "\"tensor_peak_bytes\": %zu, \"streams\": %zu, \"kernels\": {",
                c.launches, c.uploads, c.pinned_uploads, c.upload_bytes, c.downloads, c.download_bytes, c.copies, c.allocations,
                c.float_atomics, c.live, c.peak, c.tensor_peak, c.by_stream.size());
        std::vector<std::pair<unsigned long, std::string>> most;
        for (auto &[name, n] : c.by_kernel) most.push_back({n, name});
        std::sort(most.rbegin(), most.rend());
        for (size_t i = 0; i < most.size(); i++) fprintf(f, "%s\"%s\": %lu", i ? ", " : "", most[i].second.c_str(), most[i].first);
        fputs("}}\n", f);
        fclose(f);
    }
} at_the_end;

} // namespace emu
