// Page-locked memory of the host, and copies from it, which a device makes later than the program asks for them.
#pragma once
#include "state.h"

namespace emu {

// A moment in a stream, as an event marks it.
struct Moment { const void *stream = nullptr; unsigned long copies = 0; };
Moment now_in(const void *stream);
// What a stream does from now on comes behind what was asked for before this moment.
void order_behind(const Moment &, const void *stream);
// The host has waited for this moment: copies before it are made, and their sources are the program's again.
void host_waited(const Moment &);
void host_waited_for_all();
// Whether these bytes of the host are page-locked.
bool is_pinned(const void *from, size_t bytes);
// A copy to the device that is made when something waits for it. Aborts then if the source was changed meanwhile.
void copy_later(const void *stream, Address to, const void *from, size_t bytes);
void *take_pinned(size_t bytes);
// Frees page-locked memory; false if it is none. Aborts if a copy from it is left to be done.
bool give_pinned(void *);
// Aborts if a copy into this memory of the device, which is about to be freed, is left to be done.
void check_no_copy_into(const Allocation &);

} // namespace emu
