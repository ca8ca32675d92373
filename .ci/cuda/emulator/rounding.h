// How tensor cores round the factors of a product: to nearest even, NaN stays NaN.
#pragma once
#include <cstdint>
#include <cstring>

namespace emu {

// To the 10 bits of a TF32's fraction.
inline float rounded_to_tf32(float x) {
    uint32_t bits;
    memcpy(&bits, &x, 4);
    if ((bits >> 23 & 0xff) != 0xff) bits = (bits + 0xfff + (bits >> 13 & 1)) & ~0x1fffu;
    memcpy(&x, &bits, 4);
    return x;
}

inline float of_bf16(uint16_t narrow) {
    uint32_t bits = uint32_t(narrow) << 16;
    float x;
    memcpy(&x, &bits, 4);
    return x;
}
// To a bf16, whose fraction has 7 bits.
inline uint16_t rounded_to_bf16(float x) {
    uint32_t bits;
    memcpy(&bits, &x, 4);
    return x != x ? 0x7fff : (bits + 0x7fff + (bits >> 16 & 1)) >> 16;
}

} // namespace emu
