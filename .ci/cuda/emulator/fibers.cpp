#include "fibers.h"
#include <algorithm>
#include <cstring>
#include <random>
#include <sys/mman.h>
#include <vector>

extern "C" char __start_emu_shared[], __stop_emu_shared[];
// Something has to be in the section, or the linker makes no names for it.
[[gnu::section("emu_shared"), gnu::used]] static char at_least_one_byte;

namespace emu {

dim3 block_index, block_size, grid_size, thread_index;
unsigned thread_number;
uint64_t lanes[1024];

// System V on x86-64: a function keeps rbx, rbp, r12-r15 for its caller; the stack pointer is the fiber.
extern "C" void emu_switch(void **save, void *load);
asm(R"(
.text
.globl emu_switch
.hidden emu_switch
.type emu_switch,@function
emu_switch:
  pushq %rbp; pushq %rbx; pushq %r12; pushq %r13; pushq %r14; pushq %r15
  movq %rsp, (%rdi)
  movq %rsi, %rsp
  popq %r15; popq %r14; popq %r13; popq %r12; popq %rbx; popq %rbp
  ret
)");

namespace {

constexpr size_t STACK = 64 << 10, PAGE = 4096;

struct Fiber {
    char *stack = nullptr;
    void *pointer = nullptr;
    Wait waits = Wait::nothing;

    void prepare(void (*entry)()) {
        if (!stack) {
            stack = static_cast<char *>(mmap(nullptr, STACK, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0));
            if (stack == MAP_FAILED || mprotect(stack, PAGE, PROT_NONE)) wrong("no memory for the stack of a thread");
        }
        void **top = reinterpret_cast<void **>(stack + STACK);
        *--top = nullptr; // keeps the stack as aligned as behind a call
        *--top = reinterpret_cast<void *>(entry);
        for (int saved = 0; saved < 6; saved++) *--top = nullptr;
        pointer = top;
        waits = Wait::nothing;
    }
};

std::vector<Fiber> fibers(1024);
void *scheduler;
const Kernel *running;
void **arguments_now;

void enter() {
    running->call(arguments_now);
    wait_for(Wait::done);
    __builtin_unreachable();
}

void at(unsigned thread) {
    thread_number = thread;
    if (block_size.x > thread) thread_index = {thread, 0, 0};
    else thread_index = {thread % block_size.x, thread / block_size.x % block_size.y, thread / (block_size.x * block_size.y)};
}

// Who comes when: numbers 0..n in the order that is asked for.
class Turns {
    std::vector<unsigned> shuffled;
    unsigned n = 0;

  public:
    void begin(unsigned count) {
        n = count;
        if (settings.order != Settings::random) return;
        if (shuffled.size() != n) {
            shuffled.resize(n);
            for (unsigned i = 0; i < n; i++) shuffled[i] = i;
        }
        static std::mt19937 numbers(settings.seed);
        std::shuffle(shuffled.begin(), shuffled.end(), numbers);
    }
    unsigned operator[](unsigned i) const {
        return settings.order == Settings::ascending ? i : settings.order == Settings::descending ? n - 1 - i : shuffled[i];
    }
};

void run_block(unsigned threads) {
    static Turns turns;
    turns.begin(threads);
    if (!running->waits) {
        for (unsigned i = 0; i < threads; i++) {
            at(turns[i]);
            running->call(arguments_now);
        }
        return;
    }
    memset(__start_emu_shared, 0xff, __stop_emu_shared - __start_emu_shared); // NaN, whatever the type
    for (unsigned i = 0; i < threads; i++) fibers[i].prepare(enter);
    for (;;) {
        for (unsigned turn = 0; turn < threads; turn++) {
            unsigned i = turns[turn];
            if (fibers[i].waits != Wait::nothing) continue;
            at(i);
            emu_switch(&scheduler, fibers[i].pointer);
        }
        unsigned done = 0;
        bool warps_go_on = false;
        for (unsigned first = 0; first < threads; first += 32) {
            unsigned end = std::min(first + 32, threads), at_warp = 0, at_block = 0, finished = 0;
            for (unsigned i = first; i < end; i++) {
                at_warp += fibers[i].waits == Wait::warp;
                at_block += fibers[i].waits == Wait::block;
                finished += fibers[i].waits == Wait::done;
            }
            done += finished;
            if (!at_warp) continue;
            if (at_block) wrong("threads of a warp wait at different places");
            if (finished) wrong("a thread of the warp has returned before an operation of the whole warp");
            for (unsigned i = first; i < end; i++) fibers[i].waits = Wait::nothing;
            warps_go_on = true;
        }
        if (warps_go_on) {
            turns.begin(threads);
            continue;
        }
        if (done == threads) return;
        if (done) wrong("not all threads of the block reach __syncthreads");
        for (unsigned i = 0; i < threads; i++) fibers[i].waits = Wait::nothing;
        turns.begin(threads);
    }
}

} // namespace

void wait_for(Wait what) {
    Fiber &fiber = fibers[thread_number];
    fiber.waits = what;
    emu_switch(&fiber.pointer, scheduler);
}

const char *where() {
    if (!running) return "";
    static char text[200];
    snprintf(text, sizeof text, " (kernel %s, block %u,%u,%u, thread %u,%u,%u)", running->name, block_index.x, block_index.y,
             block_index.z, thread_index.x, thread_index.y, thread_index.z);
    return text;
}

void run(const Kernel &kernel, dim3 grid, dim3 block, void **arguments, bool without_last) {
    static Turns blocks;
    const unsigned n = size_t(grid.x) * grid.y * grid.z;
    running = &kernel;
    arguments_now = arguments;
    grid_size = grid;
    block_size = block;
    blocks.begin(n);
    for (unsigned turn = 0; turn < n; turn++) {
        unsigned i = blocks[turn];
        block_index = {i % grid.x, i / grid.x % grid.y, i / (grid.x * grid.y)};
        if (!without_last || block_index.x + 1 < grid.x) run_block(block.x * block.y * block.z);
    }
    running = nullptr;
}

} // namespace emu
