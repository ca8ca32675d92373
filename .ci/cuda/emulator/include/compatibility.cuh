// In place of candle's file of this name, which makes up for old GPUs: functions of 16-bit floats by way of f32.
#pragma once
#include "cuda_bf16.h"
#include "cuda_fp16.h"
#include "cuda_fp8.h"
#define EMU_SHORT_FLOAT(T) \
    inline bool __hisnan(T x) { return isnan(float(x)); } \
    inline T __habs(T x) { return fabsf(x); } \
    inline T __hmax_nan(T a, T b) { return __hisnan(a) ? a : __hisnan(b) ? b : T(fmaxf(a, b)); } \
    inline T __hmin_nan(T a, T b) { return __hisnan(a) ? a : __hisnan(b) ? b : T(fminf(a, b)); } \
    inline T hsqrt(T x) { return sqrtf(x); } \
    inline T hsin(T x) { return sinf(x); } \
    inline T hcos(T x) { return cosf(x); } \
    inline T hexp(T x) { return expf(x); } \
    inline T hlog(T x) { return logf(x); }
EMU_SHORT_FLOAT(__half)
EMU_SHORT_FLOAT(__nv_bfloat16)
