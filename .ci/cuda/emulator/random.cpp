// libcurand: candle makes a generator in each device; nothing here draws from it.
#include "state.h"

extern "C" {
int curandCreateGenerator(void **generator, int) {
    *generator = reinterpret_cast<void *>(7);
    return 0;
}
int curandDestroyGenerator(void *) { return 0; }
int curandSetStream(void *, void *stream) {
    emu::Hold hold(emu::lock);
    return emu::is_stream(stream) ? 0 : emu::refuse(101, "curandSetStream: no such stream");
}
int curandSetPseudoRandomGeneratorSeed(void *, unsigned long long) { return 0; }
}
