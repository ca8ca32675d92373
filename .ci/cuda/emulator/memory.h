// Device memory, for the driver.
#pragma once
#include "state.h"

namespace emu {

// Takes memory of a device; false if it has none left.
bool take(Address *, size_t bytes, unsigned device);
// Gives an allocation back; aborts if it is none or if something was written behind it.
void give(Address);
// From now on a fault says what was touched.
void watch_faults();

} // namespace emu
