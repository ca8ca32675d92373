// Names only: nothing here computes in 8 bits.
#pragma once
#include "cuda_fp16.h"
struct __nv_fp8_e4m3 {
    unsigned char __x;
    __nv_fp8_e4m3() = default;
    explicit __nv_fp8_e4m3(float) { abort(); }
};
enum __nv_fp8_interpretation_t { __NV_E4M3 };
inline __half __nv_cvt_fp8_to_halfraw(unsigned char, __nv_fp8_interpretation_t) { abort(); }
