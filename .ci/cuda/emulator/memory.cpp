// Device memory: host memory, each allocation between two pages that nobody may touch, NaN until it is written, and out of
// reach once it is freed.
#include "memory.h"
#include "pinned.h"
#include <algorithm>
#include <csignal>
#include <cstdlib>
#include <cstring>
#include <deque>
#include <sys/mman.h>
#include <unistd.h>

namespace emu {

namespace {

constexpr size_t PAGE = 4096, ALIGNMENT = 256; // as cuMemAlloc has it
constexpr unsigned char NOT_WRITTEN = 0xff;    // NaN in every float type

std::map<Address, Allocation> allocations; // by where they begin
// Freed ones, whose addresses are not given out again at once.
struct Freed { char *pages; size_t bytes; };
std::deque<Freed> freed;
constexpr size_t KEPT = 2000;

size_t whole_pages(size_t bytes) { return (bytes + PAGE - 1) / PAGE * PAGE; }
size_t aligned(size_t bytes) { return (bytes + ALIGNMENT - 1) / ALIGNMENT * ALIGNMENT; }
char *pages_of(const Allocation &a) { return reinterpret_cast<char *>(a.begin + aligned(a.bytes) - whole_pages(aligned(a.bytes)) - PAGE); }
size_t bytes_of_pages(const Allocation &a) { return whole_pages(aligned(a.bytes)) + 2 * PAGE; }

// A fault of a kernel or a copy: says where, since a bare SIGSEGV says nothing.
void fault(int, siginfo_t *info, void *) {
    Address at = reinterpret_cast<Address>(info->si_addr);
    auto next = allocations.lower_bound(at);
    const Allocation *near = nullptr;
    if (next != allocations.begin()) near = &std::prev(next)->second;
    if (near && at >= near->begin + near->bytes && at < near->begin + aligned(near->bytes) + PAGE)
        wrong("%llu bytes behind the end of an allocation of %zu bytes", at - near->begin - near->bytes, near->bytes);
    if (next != allocations.end() && next->second.begin - at <= PAGE)
        wrong("%llu bytes before an allocation of %zu bytes", next->second.begin - at, next->second.bytes);
    for (auto &f : freed)
        if (at >= reinterpret_cast<Address>(f.pages) && at < reinterpret_cast<Address>(f.pages) + f.bytes) wrong("memory that has been freed is used");
    if (!*where()) { // not ours
        signal(SIGSEGV, SIG_DFL);
        return;
    }
    wrong("address %#llx is no device memory", at);
}

void misaligned(int, siginfo_t *, void *) { wrong("a pointer is not aligned as its type wants"); }

void on(int number, void (*handler)(int, siginfo_t *, void *)) {
    struct sigaction action = {};
    action.sa_sigaction = handler;
    action.sa_flags = SA_SIGINFO | SA_ONSTACK;
    sigaction(number, &action, nullptr);
}

} // namespace

void watch_faults() {
    static bool watched = false;
    if (watched) return;
    watched = true;
    on(SIGSEGV, fault);
    on(SIGBUS, fault);
    on(SIGILL, misaligned); // how -fsanitize=alignment ends
}

bool take(Address *at, size_t bytes, unsigned device) {
    if (counters.live + bytes > settings.memory) return false;
    note_peaks();
    size_t room = whole_pages(aligned(bytes)) + 2 * PAGE;
    void *pages = mmap(nullptr, room, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (pages == MAP_FAILED) return false;
    char *inner = static_cast<char *>(pages) + PAGE;
    if (!settings.counting) {
        if (mprotect(inner, room - 2 * PAGE, PROT_READ | PROT_WRITE)) return false;
        memset(inner, NOT_WRITTEN, room - 2 * PAGE);
    }
    // The end lies as near to the page behind it as the alignment lets it.
    *at = reinterpret_cast<Address>(inner + room - 2 * PAGE - aligned(bytes));
    allocations[*at] = {*at, bytes, device, false};
    counters.allocations++;
    counters.live += bytes;
    return true;
}

void give(Address at) {
    auto found = allocations.find(at);
    if (found == allocations.end()) wrong("free of %#llx, which is not the beginning of an allocation", at);
    const Allocation a = found->second;
    check_no_copy_into(a);
    note_peaks();
    for (size_t i = a.bytes; !settings.counting && i < aligned(a.bytes); i++)
        if (reinterpret_cast<unsigned char *>(at)[i] != NOT_WRITTEN)
            wrong("%zu bytes behind the end of an allocation of %zu bytes were written", i - a.bytes, a.bytes);
    allocations.erase(found);
    counters.live -= a.bytes;
    if (a.workspace) counters.workspaces -= a.bytes;
    char *pages = pages_of(a);
    size_t room = bytes_of_pages(a);
    mmap(pages, room, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_FIXED, -1, 0);
    freed.push_back({pages, room});
    if (freed.size() > KEPT) {
        munmap(freed.front().pages, freed.front().bytes);
        freed.pop_front();
    }
}

const Allocation *allocation_of(Address at) {
    auto next = allocations.upper_bound(at);
    if (next == allocations.begin()) return nullptr;
    const Allocation &a = std::prev(next)->second;
    return at < a.begin + std::max<size_t>(a.bytes, 1) ? &a : nullptr;
}

void is_workspace(Address at) {
    auto found = allocations.find(at);
    if (found == allocations.end() || found->second.workspace) return;
    found->second.workspace = true;
    counters.workspaces += found->second.bytes;
}

void note_peaks() {
    counters.peak = std::max(counters.peak, counters.live);
    counters.pool_high = std::max(counters.pool_high, counters.live);
    counters.tensor_peak = std::max(counters.tensor_peak, counters.live - counters.workspaces);
}

void check_range(const char *what, Address at, size_t bytes) {
    if (!bytes) return;
    const Allocation *a = allocation_of(at);
    if (!a) wrong("%s: %#llx is no device memory, or no more", what, at);
    if (at + bytes > a->begin + a->bytes)
        wrong("%s: %zu bytes from byte %llu on of an allocation of %zu bytes", what, bytes, at - a->begin, a->bytes);
}

} // namespace emu
