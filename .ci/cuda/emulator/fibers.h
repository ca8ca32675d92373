// CUDA threads as fibers: one block after another on one OS thread, the threads of a block in turns between barriers.
//
// Finds barriers that not all threads reach, results that depend on the order of threads between barriers (a missing
// __syncthreads), and shared memory that is read before it is written (NaN).
#pragma once
#include "state.h"
#include <functional>

struct dim3 { unsigned x = 1, y = 1, z = 1; };

namespace emu {

extern dim3 block_index, block_size, grid_size, thread_index;

enum class Wait { nothing, block, warp, done };
// Gives way to the other threads of the block until what this one waits for has happened.
void wait_for(Wait);
// The running thread's number in its block.
extern unsigned thread_number;
// Where threads of a warp leave values for each other.
extern uint64_t lanes[1024];

// Runs all blocks of a launch or, `without_last`, all but those that are last along x, which the others know nothing of.
void run(const Kernel &, dim3 grid, dim3 block, void **arguments, bool without_last);

} // namespace emu
